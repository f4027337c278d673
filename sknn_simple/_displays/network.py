"""NetworkDisplay: a drawing of the network, with signs and sizes of the weights."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sknn_simple._displays.common import (
    Display,
    check_limit,
    column_units,
    connection_weights,
    indices_of_largest,
    input_names,
    layer_weights,
    mean_and_deviation,
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
    largest of the layer, which is written below. Skip connections are dashed. If biases
    are drawn, they colour the units. For two classes the network has one output; a
    positive value favours the second class.

    Read more in the :ref:`User Guide <guide_weights>`.

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
    biases : list of ndarray of shape (n_units,), default=None
        Biases of the units of each layer after the inputs; None to draw none.

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
    HiddenUnitsDisplay : The weights into each hidden unit, or importances as bars.
    LossCurveDisplay : The loss at each iteration of a fit.

    References
    ----------
    Olden, J. D., Joy, M. K., Death, R. G. (2004). An accurate comparison of methods for
    quantifying variable importance in artificial neural networks using simulated data.
    Ecological Modelling 178, 389-397.

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
    biases: Any = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        per_deviation: bool = True,
        biases: bool = False,
        importances: bool = False,
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
        estimator : LogisticNN, OneHiddenMLP or Pipeline
            A fitted model, or a fitted pipeline whose last step is one: its columns are
            those that the other steps make.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Data for the standard deviations of the columns; of a pipeline, data that go
            into it. None for the units of the fit, ``scale_``.
        per_deviation : bool, default=True
            Whether the weights of the inputs are per standard deviation, so that you
            can compare features in different units. False shows the raw weights, which
            are large if the feature has small values. A model that was fitted with
            ``standardize=False`` knows no deviations: its weights are raw without X.
        biases : bool, default=False
            Colour the units by their biases. Those that follow the inputs are drawn at
            the mean of X, or at x = 0 without X.
        importances : bool, default=False
            Draw the importance of each input for each output instead of the hidden
            units: the sum over the hidden units of weight into the unit times weight
            out of it (Olden et al. 2004), and the skip connection. It does not depend
            on rows, and ignores that units may be saturated or inactive.
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
            Axes to draw on, into which the names fit; None for a new figure.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            A diverging colormap; its two sides colour the two signs.

        Returns
        -------
        display : NetworkDisplay
            The display that was drawn.
        """
        estimator, X, feature_names = cls._fitted_model(estimator, X, feature_names)
        unit, is_scaled = column_units(estimator, X, per_deviation)
        if importances and biases:
            raise ValueError(
                "importances=True draws no hidden units, and so no biases: set "
                "biases=False."
            )
        weights = layer_weights(estimator)
        skip = getattr(estimator, "skip_coef_", None)
        if importances:
            weights, skip = [connection_weights(estimator)], None
        hidden = [np.arange(layer.shape[1]).astype(str) for layer in weights[:-1]]
        layers = ["Inputs", "Importances for" if importances else "Outputs"]
        if hidden:
            layers.insert(1, f"Hidden units ({estimator._fitted_activation})")
        inputs = input_names(estimator, feature_names)
        display = cls(
            weights=[weights[0] * unit, *weights[1:]],
            unit_names=[inputs, *hidden, output_names(estimator, class_names)],
            layer_names=layers,
            skip_weights=None if skip is None else skip * unit,
            per_deviation=is_scaled,
            biases=_biases(estimator, X) if biases else None,
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
            Axes to draw on, into which the names fit; None for a new figure.
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
        check_limit("max_units", max_units)
        strengths = self._strengths()
        self.units_ = [
            indices_of_largest(strength, max_units) for strength in strengths
        ]
        columns = place_columns(self.units_, [len(strength) for strength in strengths])
        n_rows = max(len(column.rows) for column in columns)
        inches = (2.6 * len(columns) + 1.5, 0.38 * n_rows + 1.8)
        self._set_axes(ax, inches)
        drawing = NetworkDrawing(self.ax_, columns, sign_colours(cmap), max_width)
        self.skip_lines_: Any = None
        if self.skip_weights is not None:
            drawn = np.ix_(self.units_[0], self.units_[-1])
            self.skip_lines_ = drawing.draw_skip_lines(self.skip_weights[drawn])
        self.lines_ = [
            drawing.draw_lines(i, weights[np.ix_(self.units_[i], self.units_[i + 1])])
            for i, weights in enumerate(self.weights)
        ]
        for i, units in enumerate(self.units_):
            bias = None
            if self.biases is not None and i > 0:
                bias = self.biases[i - 1][units]
            drawing.draw_units(i, np.asarray(self.unit_names[i])[units], bias)
        drawing.finish(self.layer_names, self.per_deviation)
        if ax is not None:
            drawing.fit_into_axes()
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


def _biases(estimator: Any, X: Any) -> list[np.ndarray]:
    """Return the biases of each layer; those after the inputs at the mean of X."""
    is_hidden = isinstance(estimator, OneHiddenMLP)
    given = estimator.intercepts_ if is_hidden else [estimator.intercept_]
    first, *others = (np.asarray(bias, np.float64) for bias in given)
    if X is None:
        return [first, *others]
    mean, _ = mean_and_deviation(estimator, X)
    skip = getattr(estimator, "skip_coef_", None)
    if skip is not None:
        others = [others[0] + mean @ skip]
    return [first + mean @ layer_weights(estimator)[0], *others]
