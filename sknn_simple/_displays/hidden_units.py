"""HiddenUnitsDisplay: the weights into each hidden unit, as images or as bars."""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Self

import numpy as np

from sknn_simple._displays.common import (
    MAX_NAME,
    Display,
    check_limit,
    column_units,
    connection_weights,
    indices_of_largest,
    input_names,
    layer_weights,
    open_frame,
    output_names,
    shorten,
    sign_colours,
)


@dataclass(kw_only=True, eq=False, repr=False)
class HiddenUnitsDisplay(Display):
    """Weights into each hidden unit, as images or as bars.

    Use :meth:`from_estimator` to create one from a fitted model. All units have the
    same scale, symmetric about 0. Bars are sorted: the feature with the largest weight
    into any of the units is at the top.

    Read more in the :ref:`User Guide <guide_weights>`.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        Weights into each unit.
    feature_names : array-like of str of shape (n_features,)
        Names of the features.
    unit_names : array-like of str of shape (n_units,)
        Titles of the units.
    strength : ndarray of shape (n_units,), default=None
        Importance of each unit. If there are more units than ``max_units``, the
        most important ones are drawn. None for the norm of each unit's weights.
    image_shape : tuple of two ints, default=None
        Height and width in pixels, if the features are the pixels of an image, row
        by row; None to draw bars.
    per_deviation : bool, default=False
        Whether the weights are per standard deviation of the feature. This changes only
        the label of the scale.
    weight_name : str, default="Weight"
        What the label of the scale calls the values.

    Attributes
    ----------
    units_ : ndarray of int
        Numbers of the units drawn, in the order of ``axes_``.
    features_ : ndarray of int
        Numbers of the features drawn, bars from top to bottom.
    axes_ : ndarray of matplotlib Axes
        One for each unit drawn.
    artists_ : list of matplotlib AxesImage or BarContainer
        The image or the bars of each unit drawn.
    ax_ : matplotlib Axes
        Empty axes; ``axes_`` divide the area of these axes.
    figure_ : matplotlib Figure
        Figure containing the units.

    See Also
    --------
    NetworkDisplay : The whole network, drawn.
    CoefficientDisplay : Effects of the features, with intervals.

    References
    ----------
    Olden, J. D., Joy, M. K., Death, R. G. (2004). An accurate comparison of methods for
    quantifying variable importance in artificial neural networks using simulated data.
    Ecological Modelling 178, 389-397.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknn_simple import HiddenUnitsDisplay, OneHiddenMLP
    >>> X, y = load_digits(return_X_y=True)
    >>> model = OneHiddenMLP(9, max_iter=50, tol=0.1, random_state=0).fit(X, y)
    >>> display = HiddenUnitsDisplay.from_estimator(model, X, image_shape=(8, 8))
    >>> display.axes_.shape
    (9,)
    """

    weights: np.ndarray
    feature_names: Any
    unit_names: Any
    strength: np.ndarray | None = None
    image_shape: tuple[int, int] | None = None
    per_deviation: bool = False
    weight_name: str = "Weight"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        per_deviation: bool = True,
        importances: bool = False,
        image_shape: tuple[int, int] | None = None,
        feature_names: Any = None,
        units: Any = None,
        max_units: int | None = 12,
        max_features: int | None = 20,
        ax: Any = None,
        cmap: Any = "RdBu_r",
        image_kw: dict[str, Any] | None = None,
        bar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the weights into the hidden units of a fitted model.

        Parameters
        ----------
        estimator : OneHiddenMLP, LogisticNN or Pipeline
            A fitted model, or a fitted pipeline whose last step is one: its columns are
            those that the other steps make. LogisticNN has no hidden units: the plot
            shows the weights into each of its outputs.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Data for the standard deviations of the columns; of a pipeline, data that go
            into it. None for the units of the fit, ``scale_``.
        per_deviation : bool, default=True
            Whether weights are per standard deviation, so that you can compare features
            in different units. False shows the raw weights, ``coefs_[0]``, which are
            large if the feature has small values. A model that was fitted with
            ``standardize=False`` knows no deviations: its weights are raw without X.
        importances : bool, default=False
            Show the importance of the features for each output instead of the weights
            into hidden units: the sum over the hidden units of weight into the unit
            times weight out of it (Olden et al. 2004), and the skip connection. It does
            not depend on rows, and ignores that units may be saturated or inactive.
        image_shape : tuple of two ints, default=None
            Height and width in pixels, if the features are the pixels of an image, row
            by row; None to draw bars.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the bars; None for ``feature_names_in_``, or x0, x1, … if the
            model has no names. Images show no names.
        units : int or array-like of int, default=None
            Numbers of the units to draw, from 0; None for all, or the ``max_units``
            with the largest outgoing weights.
        max_units : int, default=12
            Largest number of units to draw if ``units`` is None; None for all.
        max_features : int, default=20
            Largest number of bars to draw: those of the features with the largest
            weights into any of the units that are drawn. None for all.
        ax : matplotlib Axes, default=None
            Axes whose area is divided among the units; None for a new figure. Create
            your own figure with ``layout="constrained"`` to leave room for the names.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            A diverging colormap, for the images and for the signs of the bars.
        image_kw : dict, default=None
            Keywords for matplotlib's ``imshow``.
        bar_kw : dict, default=None
            Keywords for matplotlib's ``barh``.

        Returns
        -------
        display : HiddenUnitsDisplay
            The display that was plotted.
        """
        estimator, X, feature_names = cls._fitted_model(estimator, X, feature_names)
        names = input_names(estimator, feature_names)
        weights, unit_names, strength = _units(estimator, importances)
        unit, is_scaled = column_units(estimator, X, per_deviation)
        display = cls(
            weights=weights * unit,
            feature_names=names,
            unit_names=unit_names,
            strength=strength,
            image_shape=_checked_shape(image_shape, len(names)),
            per_deviation=is_scaled,
            weight_name="Importance" if importances else "Weight",
        )
        return display.plot(
            ax,
            units=units,
            max_units=max_units,
            max_features=max_features,
            cmap=cmap,
            image_kw=image_kw,
            bar_kw=bar_kw,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        units: Any = None,
        max_units: int | None = 12,
        max_features: int | None = 20,
        cmap: Any = "RdBu_r",
        image_kw: dict[str, Any] | None = None,
        bar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes whose area is divided among the units; None for a new figure. Create
            your own figure with ``layout="constrained"`` to leave room for the names.
        units : int or array-like of int, default=None
            Numbers of the units to draw; None for all, or the most important ones.
        max_units : int, default=12
            Largest number of units to draw if ``units`` is None; None for all.
        max_features : int, default=20
            Largest number of bars to draw; None for all.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            A diverging colormap, for the images and for the signs of the bars.
        image_kw : dict, default=None
            Keywords for matplotlib's ``imshow``.
        bar_kw : dict, default=None
            Keywords for matplotlib's ``barh``.

        Returns
        -------
        self : HiddenUnitsDisplay
            The display.
        """
        check_limit("max_features", max_features)
        self.units_ = self._choose_units(units, max_units)
        if self.image_shape is not None:
            self._plot_images(ax, self.image_shape, {"cmap": cmap, **(image_kw or {})})
        else:
            self._plot_bars(ax, max_features, cmap, bar_kw or {})
        names = np.asarray(self.unit_names)[self.units_]
        room = MAX_NAME if len(names) == 1 else 22
        for panel, name in zip(self.axes_, names, strict=True):
            panel.set_title(shorten(name, room), fontsize="medium")
        return self

    def _choose_units(self, units: Any, max_units: int | None) -> np.ndarray:
        n_units = self.weights.shape[1]
        if units is None:
            check_limit("max_units", max_units)
            strength = self.strength
            if strength is None:
                strength = np.linalg.norm(self.weights, axis=0)
            return indices_of_largest(strength, max_units)
        numbers = np.atleast_1d(units)
        are_integers = numbers.size > 0 and np.issubdtype(numbers.dtype, np.integer)
        if not (are_integers and (numbers >= 0).all() and (numbers < n_units).all()):
            raise ValueError(
                f"units must hold numbers of units, from 0 to {n_units - 1}; got "
                f"{np.asarray(units).tolist()!r}."
            )
        return numbers

    def _plot_images(
        self, ax: Any, image_shape: tuple[int, int], image_kw: dict[str, Any]
    ) -> None:
        height, width = image_shape
        pixel = 1.6 / max(width, height)
        inches = (pixel * width + 0.1, pixel * height + 0.25)
        n_rows, n_columns = self._make_panels(ax, inches, (0.9, 0.2))
        self.features_ = np.arange(len(self.weights))
        drawn = self.weights[:, self.units_]
        limit = np.abs(drawn).max() or 1.0
        style = {"vmin": -limit, "vmax": limit, **image_kw}
        self.artists_ = [
            panel.imshow(weights.reshape(height, width), **style)
            for panel, weights in zip(self.axes_, drawn.T, strict=True)
        ]
        for panel in self.axes_:
            panel.set(xticks=[], yticks=[])
        # This keeps the thickness of the colour bar for any number of images.
        self.figure_.colorbar(
            self.artists_[0],
            ax=list(self.axes_),
            label=self._weight_label(),
            aspect=12 * n_rows,
            fraction=0.25 / n_columns,
        )

    def _plot_bars(
        self, ax: Any, max_features: int | None, cmap: Any, bar_kw: dict[str, Any]
    ) -> None:
        drawn = self.weights[:, self.units_]
        size = np.abs(drawn).max(axis=1)
        self.features_ = np.argsort(-size, kind="stable")[:max_features]
        drawn = drawn[self.features_]
        labels = self._bar_labels()
        inches = (1.9, 0.17 * len(labels) + 0.45)
        margin = (0.08 * min(max(map(len, labels)), 30) + 0.3, 0.4)
        _, n_columns = self._make_panels(ax, inches, margin)
        from matplotlib.ticker import MaxNLocator

        colours = sign_colours(cmap)
        self.artists_ = [
            panel.barh(
                np.arange(len(weights)),
                weights,
                **{"color": colours[(weights > 0.0).astype(np.intp)], **bar_kw},
            )
            for panel, weights in zip(self.axes_, drawn.T, strict=True)
        ]
        limit = 1.1 * np.abs(drawn).max() or 1.0
        self.axes_[0].set(xlim=(-limit, limit), ylim=(len(labels) - 0.4, -0.6))
        self.axes_[0].set_yticks(range(len(labels)), labels)
        # At 0 and at the largest number of one digit, because panels are narrow.
        self.axes_[0].xaxis.set_major_locator(MaxNLocator(2, steps=range(1, 11)))
        for i, panel in enumerate(self.axes_):
            edge = panel.spines["bottom"].get_edgecolor()
            panel.axvline(0.0, color=edge, linewidth=0.8)
            panel.grid(axis="x", alpha=0.25)
            lowest = i + n_columns >= len(self.axes_)
            shown = {"labelleft": i % n_columns == 0, "labelbottom": lowest}
            panel.tick_params(labelsize="small", **shown)
            open_frame(panel)
        last_row = self.axes_[(len(self.axes_) - 1) // n_columns * n_columns :]
        # One label for the whole row: labels of narrow panels would overlap.
        last_row[(len(last_row) - 1) // 2].set_xlabel(
            self._weight_label(), x=0.5 if len(last_row) % 2 else 1.0
        )

    def _bar_labels(self) -> list[str]:
        names = np.asarray(self.feature_names)
        labels = [shorten(name) for name in names[self.features_]]
        hidden = len(names) - len(labels)
        return [*labels, f"… {hidden} more"] if hidden else labels

    def _weight_label(self) -> str:
        return self.weight_name + " per std. dev." * self.per_deviation

    def _make_panels(
        self, ax: Any, inches: tuple[float, float], margin: tuple[float, float]
    ) -> tuple[int, int]:
        """Make a panel per unit, set ``axes_``; return the shape of the grid.

        Panels with bars share their axes.
        """
        n_rows, n_columns = _grid_shape(len(self.units_))
        width, height = np.multiply(inches, (n_columns, n_rows)) + margin
        self._set_axes(ax, (max(width, 4.0), max(height, 1.7)))
        self.ax_.set_axis_off()
        grid = _place_of(self.ax_).subgridspec(n_rows, n_columns)
        panels: list[Any] = []
        for i in range(len(self.units_)):
            first = panels[0] if panels and self.image_shape is None else None
            place = grid[divmod(i, n_columns)]
            panels.append(self.figure_.add_subplot(place, sharex=first, sharey=first))
        self.axes_ = np.array(panels, dtype=object)
        return n_rows, n_columns


def _units(
    estimator: Any, importances: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the weights into hidden units, their names and strengths.

    If there are no hidden units, or for importances, the outputs take their place.
    """
    weights, *outgoing = layer_weights(estimator)
    if outgoing and not importances:
        names = np.array([f"Unit {j}" for j in range(weights.shape[1])])
        return weights, names, np.linalg.norm(outgoing[0], axis=1)
    names = output_names(estimator)
    if len(names) == 1:
        names = np.array([f"Log odds of {names[0]}"])
    return connection_weights(estimator), names, None


def _grid_shape(n: int) -> tuple[int, int]:
    """Return the numbers of rows and columns: nearly square, with few empty places."""
    least = ceil(sqrt(n))
    n_columns = min(range(least, least + 3), key=lambda columns: -n % columns)
    return ceil(n / n_columns), n_columns


def _place_of(ax: Any) -> Any:
    """Return the place of the axes in a grid, of their own if they are in none."""
    spec = ax.get_subplotspec()
    if spec is not None:
        return spec
    box = ax.get_position()
    edges = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
    return ax.figure.add_gridspec(**edges)[0]


def _checked_shape(image_shape: Any, n_features: int) -> tuple[int, int] | None:
    if image_shape is None:
        return None
    shape = np.asarray(image_shape)
    are_integers = np.issubdtype(shape.dtype, np.integer)
    if not (are_integers and shape.shape == (2,) and (shape > 0).all()):
        raise ValueError(
            "image_shape must be a height and a width in pixels, as in (8, 8); got "
            f"{shape.tolist()!r}."
        )
    height, width = shape.tolist()
    if height * width != n_features:
        raise ValueError(
            f"image_shape={(height, width)} has {height * width} pixels, but the model "
            f"has {n_features} features."
        )
    return height, width
