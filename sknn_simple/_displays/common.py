"""What the displays share: axes, checks of arguments, names, choices and colours."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._validation import validate_features

_MAX_NAME = 30


class Display:
    """Base of the displays: what they draw with, on and about."""

    @classmethod
    def _check_estimator(cls, estimator: Any) -> None:
        """Raise unless ``estimator`` is a fitted network of this package."""
        if not isinstance(estimator, LogisticNN | OneHiddenMLP):
            raise TypeError(
                f"{cls.__name__}.from_estimator takes a fitted LogisticNN or "
                f"OneHiddenMLP; got {_described(estimator)}"
            )
        check_is_fitted(estimator)

    def _import_pyplot(self) -> Any:
        """Return matplotlib.pyplot, or say how to install it."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__}.plot draws with matplotlib, which cannot be "
                'imported. Install it with: pip install "sknn_simple[plots]"'
            ) from error
        return plt

    def _set_axes(
        self, plt: Any, ax: Any, figsize: tuple[float, float] | None = None
    ) -> Any:
        """Return the axes to draw on, a new figure's for None; keep both."""
        if ax is None:
            _, ax = plt.subplots(figsize=figsize, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def _described(estimator: Any) -> str:
    if isinstance(estimator, type):
        return f"the class {estimator.__name__}, not an instance of it."
    name = type(estimator).__name__
    if hasattr(estimator, "steps"):
        return f"a {name}. Pass its last step, as in pipeline[-1]."
    if hasattr(estimator, "best_estimator_"):
        return f"a {name}. Pass the model it found, search.best_estimator_."
    return f"a {name}."


def layer_weights(estimator: Any) -> list[np.ndarray]:
    """Return the weights layer by layer, each (n_from, n_to), in float64."""
    if isinstance(estimator, OneHiddenMLP):
        layers = estimator.coefs_
    else:
        layers = [estimator.coef_.T]
    return [np.asarray(layer, dtype=np.float64) for layer in layers]


def column_deviations(estimator: Any, X: Any) -> np.ndarray:
    """Return the standard deviation of each column of X, (n_features, 1).

    Without X each column counts as it is.
    """
    if X is None:
        return np.ones((1, 1))
    X = validate_features(estimator, X, reset=False)
    return np.sqrt(StandardScaler(with_mean=False).fit(X).var_)[:, None]


def input_names(estimator: Any, feature_names: Any) -> np.ndarray:
    """Return a name per feature: those given, those of ``fit``, or x0, x1 and so on."""
    n_features = estimator.n_features_in_
    if feature_names is None:
        if hasattr(estimator, "feature_names_in_"):
            return np.array([plain(name) for name in estimator.feature_names_in_])
        return np.array([f"x{i}" for i in range(n_features)])
    names = np.array([str(name) for name in feature_names])
    if len(names) != n_features:
        raise ValueError(
            f"feature_names must hold one name per feature: it has {len(names)} names "
            f"and the model {n_features} features."
        )
    return names


def output_names(estimator: Any, class_names: Any = None) -> np.ndarray:
    """Return one name per output; for two classes, the second's."""
    classes = estimator.classes_
    if class_names is None:
        names = np.array([plain(label) for label in classes])
    else:
        names = np.array([str(name) for name in class_names])
    if len(names) != len(classes):
        raise ValueError(
            f"class_names must hold one name per class: it has {len(names)} names and "
            f"the model {len(classes)} classes."
        )
    n_outputs = layer_weights(estimator)[-1].shape[1]
    return names[len(names) - n_outputs :]


def plain(name: Any) -> str:
    r"""Return a name from the data as text that matplotlib does not read as a formula.

    A column may be called "$ per $100"; ``\$`` is drawn as a dollar sign.
    """
    return str(name).replace("$", r"\$")


def shorten(name: str, length: int = _MAX_NAME) -> str:
    """Cut the middle out of a long name: similar names often differ at their ends.

    A formula is left whole, since matplotlib cannot draw a part of it.
    """
    if len(name) <= length or "$" in name.replace(r"\$", ""):
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[-tail:]}"


def strongest(strength: np.ndarray, n: int | None) -> np.ndarray:
    """Return the numbers of the ``n`` largest entries, ascending; all for None."""
    if n is None or n >= len(strength):
        return np.arange(len(strength))
    return np.sort(np.argsort(-strength, kind="stable")[:n])


def check_limit(name: str, limit: Any) -> None:
    """Raise unless a limit is a positive integer or None."""
    if limit is not None and not (isinstance(limit, Integral) and int(limit) >= 1):
        raise ValueError(
            f"{name} must be a positive integer, or None for no limit; got "
            f"{np.asarray(limit).tolist()!r}."
        )


def sign_colours(plt: Any, cmap: Any) -> np.ndarray:
    """Return the colours of negative and of positive weights, (2, 4).

    The very ends of a diverging colormap are almost black, hard to tell apart.
    """
    return plt.get_cmap(cmap)([0.1, 0.9])
