"""Shared parts of the displays: axes, checks of arguments, names and colours."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sknn_simple._input.names import column_names
from sknn_simple._input.validation import validate_features
from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._version import how_to_install

MAX_NAME = 30


class Display:
    """Base class of the displays: checks the model, imports matplotlib, sets axes."""

    @classmethod
    def _fitted_model(
        cls, estimator: Any, X: Any = None, feature_names: Any = None
    ) -> tuple[Any, Any, Any]:
        """Return a fitted network, the features that it gets, and their names.

        In a pipeline it is the last step: the steps before it transform X and name the
        columns. Raise an error if it is not a fitted network of this package.
        """
        before, model = None, estimator
        if isinstance(estimator, Pipeline):
            before, model = estimator[:-1], estimator[-1]
        if not isinstance(model, LogisticNN | OneHiddenMLP):
            raise TypeError(
                f"{cls.__name__}.from_estimator takes a fitted LogisticNN or "
                f"OneHiddenMLP, or a pipeline that ends in one; got {_described(model)}"
            )
        check_is_fitted(model)
        if before is not None and len(before):
            feature_names = _names_made_by(before, model, feature_names)
            X = None if X is None else before.transform(X)
        return model, X, feature_names

    def _set_axes(self, ax: Any, figsize: tuple[float, float] | None = None) -> Any:
        """Set ``ax_`` and ``figure_``, None to a new figure, and return pyplot.

        Raise an error that says how to install matplotlib if it is missing.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__}.plot draws with matplotlib, which cannot be "
                f"imported. Install it with: {how_to_install('plots')}"
            ) from error
        if ax is None:
            _, ax = plt.subplots(figsize=figsize, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return plt


def styled(artist: type, defaults: dict[str, Any], given: Any) -> dict[str, Any]:
    """Return keywords for an artist of matplotlib: the given ones, or defaults.

    The given ones may have short names, such as "ls" for "linestyle".
    """
    from matplotlib.cbook import normalize_kwargs

    return {**defaults, **normalize_kwargs(given, artist)}


def _described(estimator: Any) -> str:
    if isinstance(estimator, type):
        return f"the class {estimator.__name__}, not an instance of it."
    name = type(estimator).__name__
    if hasattr(estimator, "best_estimator_"):
        return f"a {name}. Pass the model it found, search.best_estimator_."
    return f"a {name}."


def layer_weights(estimator: Any) -> list[np.ndarray]:
    """Return the weights of each layer as float64 arrays of shape (n_from, n_to)."""
    if isinstance(estimator, OneHiddenMLP):
        layers = estimator.coefs_
    else:
        layers = [estimator._parameters()["coef"]]
    return [np.asarray(layer, dtype=np.float64) for layer in layers]


def connection_weights(estimator: Any) -> np.ndarray:
    """Return the sum over all paths of products of weights, (n_features, n_outputs).

    It is W₁ W₂ + W₃, with W₃ the skip connections: how much an input raises an output
    if the slope of each hidden unit is 1 (Olden, Joy and Death 2004).
    """
    first, *others = layer_weights(estimator)
    total = first @ others[0] if others else first
    return total + getattr(estimator, "skip_coef_", 0.0)


def mean_and_deviation(estimator: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column of X, (n_features,) each."""
    X = validate_features(estimator, X)
    scaler = StandardScaler(with_mean=False).fit(X)
    return scaler.mean_, np.sqrt(scaler.var_)


def column_units(
    estimator: Any, X: Any, per_deviation: bool
) -> tuple[np.ndarray, bool]:
    """Return the unit of each column in which weights are shown, (n_features, 1).

    It is the standard deviation in X; without X, that of the fit, ``scale_``. Also
    returns whether these are other units than the raw ones.
    """
    ones = np.ones(estimator.n_features_in_)
    if not per_deviation:
        return ones[:, None], False
    if X is not None:
        return mean_and_deviation(estimator, X)[1][:, None], True
    scale = np.asarray(getattr(estimator, "scale_", ones), float)
    return scale[:, None], bool((scale != 1.0).any())


def input_names(estimator: Any, feature_names: Any) -> np.ndarray:
    """Return one name per feature: the given ones, those of ``fit``, or x0, x1, …."""
    return _names("feature", "features", feature_names, column_names(estimator))


def _names_made_by(before: Pipeline, model: Any, given: Any) -> Any:
    """Return the names of the columns that the steps before the model make."""
    if given is not None or hasattr(model, "feature_names_in_"):
        return given
    try:
        names = before.get_feature_names_out()
    except (AttributeError, ValueError):  # a step that cannot name its columns
        return None
    if names is None:  # all steps are "passthrough"
        return None
    return [escape_dollars(name) for name in names]


def class_labels(estimator: Any, class_names: Any) -> np.ndarray:
    """Return one name per class or label: the given ones, or the labels."""
    return _names("class", "classes", class_names, estimator.classes_)


def _names(one: str, several: str, given: Any, own: Any) -> np.ndarray:
    """Return the given names, or the model's own ones, one per feature or class."""
    if given is None:
        return np.array([escape_dollars(name) for name in own])
    names = np.array([str(name) for name in given])
    if len(names) != len(own):
        raise ValueError(
            f"{one}_names must contain one name per {one}: it has {len(names)} names "
            f"and the model {len(own)} {several}."
        )
    return names


def output_names(estimator: Any, class_names: Any = None) -> np.ndarray:
    """Return one name per output; for two classes, that of the second class."""
    names = class_labels(estimator, class_names)
    n_outputs = layer_weights(estimator)[-1].shape[1]
    return names[len(names) - n_outputs :]


def escape_dollars(name: Any) -> str:
    r"""Replace $ by ``\$``, so that matplotlib does not read a name as a formula.

    A column may be called "$ per $100".
    """
    return str(name).replace("$", r"\$")


def shorten(name: str, length: int = MAX_NAME) -> str:
    """Return a name on one line, without its middle if it is long.

    Similar names differ at their ends. A second line would reach the name below. A
    formula is not cut, because matplotlib cannot draw a part of it.
    """
    name = " ".join(name.split())
    if len(name) <= length or "$" in name.replace(r"\$", ""):
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[-tail:]}"


def legend_label(text: str) -> str:
    """Return a label that a legend shows.

    matplotlib leaves out labels that begin with "_"; versions before 3.10 do so even if
    the caller passes them to ``legend``.
    """
    return f" {text}" if text.startswith("_") else text


def indices_of_largest(strength: np.ndarray, n: int | None) -> np.ndarray:
    """Return the ascending indices of the ``n`` largest entries; None for all."""
    return np.sort(np.argsort(-strength, kind="stable")[:n])


def check_limit(name: str, limit: Any) -> None:
    """Raise an error if ``limit`` is neither a positive integer nor None."""
    if limit is not None and not (isinstance(limit, Integral) and int(limit) >= 1):
        raise ValueError(
            f"{name} must be a positive integer, or None for no limit; got "
            f"{np.asarray(limit).tolist()!r}."
        )


def open_frame(ax: Any) -> None:
    """Draw the lower edge of the axes only, and the grid below what is plotted."""
    ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)


def sign_colours(cmap: Any) -> np.ndarray:
    """Return the colours of negative and of positive weights, (2, 4).

    They are those at 0.1 and 0.9 of the colormap, because the two ends of a diverging
    colormap are almost black and look alike.
    """
    from matplotlib import colormaps

    return colormaps.get_cmap(cmap)([0.1, 0.9])
