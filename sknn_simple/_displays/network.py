"""NetworkDisplay: a drawing of the network, with signs and sizes of the weights."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sknn_simple._displays.common import (
    Display,
    check_limit,
    column_deviations,
    indices_of_largest,
    input_names,
    layer_weights,
    output_names,
    sign_colours,
)
from sknn_simple._displays.network_drawing import NetworkDrawing, place_columns
from sknn_simple._mlp import OneHiddenMLP


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkDisplay(Display):
    """A drawing of a network: units as circles, weights as lines.

    Use :meth:`from_estimator` to create one from a fitted model. The colour of a line
    shows the sign of the weight. Its width shows the absolute value relative to the
    largest of the layer, which is written below. Skip connections are dashed. Biases
    are not drawn. For two classes the network has one output; a positive value favours
    the second class.

    Parameters
    ----------
    weights : list of ndarray of shape (n_from, n_to)
        Weights, layer by layer.
    unit_names : list of array-like of str
        Names of the units, layer by layer, inputs first.
    layer_names : list of str
        Heading of each layer of units.
    skip_weights : ndarray of shape (n_features, n_outputs), default=None
        Weights from the inputs directly to the outputs.
    per_deviation : bool, default=False
        Whether the weights of the inputs are per standard deviation of the feature.
        This changes only the text of the picture.

    Attributes
    ----------
    units_ : list of ndarray of int
        Numbers of the units drawn, layer by layer.
    lines_ : list of matplotlib LineCollection
        The weights of each layer.
    skip_lines_ : matplotlib PathCollection or None
        The skip connections.
    ax_ : matplotlib Axes
        Axes with the network.
    figure_ : matplotlib Figure
        Figure containing the network.

    See Also
    --------
    HiddenUnitsDisplay : The weights into each hidden unit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_simple import NetworkDisplay, OneHiddenMLP
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = OneHiddenMLP(3, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(
    ...     model, X, class_names=["setosa", "versicolor", "virginica"]
    ... )
    >>> [len(units) for units in display.units_]
    [4, 3, 3]
    """

    weights: list[np.ndarray]
    unit_names: list[Any]
    layer_names: list[str]
    skip_weights: np.ndarray | None = None
    per_deviation: bool = False

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        feature_names: Any = None,
        class_names: Any = None,
        max_units: int | None = 10,
        max_width: float = 4.0,
        ax: Any = None,
        cmap: Any = "RdBu_r",
    ) -> Self:
        """Draw a fitted model.

        Parameters
        ----------
        estimator : LogisticNN or OneHiddenMLP
            A fitted model.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Data for the standard deviations of the columns: the weights of the inputs
            are per standard deviation, so that you can compare features in different
            units. None shows the raw weights, which are large if the feature has small
            values. Pass X unless all columns have the same scale.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the inputs; None for ``feature_names_in_``, or x0, x1, … if the
            model has no names.
        class_names : array-like of str of shape (n_classes,), default=None
            Names of the classes (or labels), in the order of ``classes_``; None for
            ``classes_`` itself.
        max_units : int, default=10
            Largest number of units to draw in a layer: those with the largest outgoing
            weights, or incoming weights for the outputs. None for all.
        max_width : float, default=4.0
            Width in points of the line of the largest weight of a layer.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure. Create your own figure with
            ``layout="constrained"`` to leave room for the names.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            A diverging colormap; its two sides colour the two signs.

        Returns
        -------
        display : NetworkDisplay
            The display that was drawn.
        """
        cls._check_estimator(estimator)
        weights = layer_weights(estimator)
        skip = getattr(estimator, "skip_coef_", None)
        names = [
            input_names(estimator, feature_names),
            *(np.arange(hidden.shape[1]).astype(str) for hidden in weights[:-1]),
            output_names(estimator, class_names),
        ]
        layers = ["Inputs", "Outputs"]
        if isinstance(estimator, OneHiddenMLP):
            layers.insert(1, f"Hidden units ({estimator._fitted_activation})")
        deviations = column_deviations(estimator, X)
        display = cls(
            weights=[weights[0] * deviations, *weights[1:]],
            unit_names=names,
            layer_names=layers,
            skip_weights=None if skip is None else skip * deviations,
            per_deviation=X is not None,
        )
        return display.plot(ax, max_units=max_units, max_width=max_width, cmap=cmap)

    def plot(
        self,
        ax: Any = None,
        *,
        max_units: int | None = 10,
        max_width: float = 4.0,
        cmap: Any = "RdBu_r",
    ) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure. Create your own figure with
            ``layout="constrained"`` to leave room for the names.
        max_units : int, default=10
            Largest number of units to draw in a layer; None for all.
        max_width : float, default=4.0
            Width in points of the line of the largest weight of a layer.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            A diverging colormap; its two sides colour the two signs.

        Returns
        -------
        self : NetworkDisplay
            The display.
        """
        plt = self._import_pyplot()
        check_limit("max_units", max_units)
        strengths = self._strengths()
        self.units_ = [
            indices_of_largest(strength, max_units) for strength in strengths
        ]
        columns = place_columns(self.units_, [len(strength) for strength in strengths])
        n_rows = max(len(column.rows) for column in columns)
        ax = self._set_axes(plt, ax, (2.6 * len(columns) + 1.5, 0.38 * n_rows + 1.8))
        drawing = NetworkDrawing(ax, columns, sign_colours(plt, cmap), max_width)
        self.skip_lines_: Any = None
        if self.skip_weights is not None:
            drawn = np.ix_(self.units_[0], self.units_[-1])
            self.skip_lines_ = drawing.draw_skip_lines(self.skip_weights[drawn])
        self.lines_ = [
            drawing.draw_lines(i, weights[np.ix_(self.units_[i], self.units_[i + 1])])
            for i, weights in enumerate(self.weights)
        ]
        drawing.draw_units(
            [
                np.asarray(names)[units]
                for names, units in zip(self.unit_names, self.units_, strict=True)
            ]
        )
        drawing.finish(self.layer_names, self.per_deviation)
        return self

    def _strengths(self) -> list[np.ndarray]:
        """Return the norms of outgoing weights; of incoming ones for outputs."""
        strengths = [np.linalg.norm(weights, axis=1) for weights in self.weights]
        strengths.append(np.linalg.norm(self.weights[-1], axis=0))
        if self.skip_weights is not None:
            for end, axis in ((0, 1), (-1, 0)):
                direct = np.linalg.norm(self.skip_weights, axis=axis)
                strengths[end] = np.hypot(strengths[end], direct)
        return strengths
