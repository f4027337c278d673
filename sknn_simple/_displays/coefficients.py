"""CoefficientDisplay: what matters, and how sure that is."""

import textwrap
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.preprocessing import StandardScaler

from sknn_simple._displays.common import (
    Display,
    check_limit,
    class_labels,
    input_names,
    layer_weights,
    legend_label,
    open_frame,
    shorten,
    styled,
)
from sknn_simple._inference.raw import against
from sknn_simple._inference.summary import interval_width
from sknn_simple._logistic import LogisticNN
from sknn_simple._posterior.checks import check_reference
from sknn_simple._posterior.posterior import Posterior


@dataclass(kw_only=True, eq=False, repr=False)
class CoefficientDisplay(Display):
    """Coefficients of LogisticNN or marginal effects of OneHiddenMLP, with intervals.

    Use :meth:`from_estimator` or :meth:`from_posterior` to create one. Columns are
    sorted by the size of their largest value. To compare columns in different units,
    each is measured in its ``scale_``: its standard deviation; half the distance of the
    values of a column with two, such as 0 and 1. If the model was fitted with
    ``standardize=False``, it is the standard deviation in the rows that are passed, and
    without rows the plot shows raw coefficients.

    A coefficient is the change of the log odds; of three or more classes that of each
    class against a reference. A marginal effect is the average change of the
    probability of each class.

    Read more in the :ref:`User Guide <guide_explaining>`.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_series)
        Coefficients or effects: a series per class or label, one for two classes.
    feature_names : array-like of str of shape (n_features,)
        Names of the columns.
    lower, upper : ndarray of shape (n_features, n_series), default=None
        Limits of the intervals; NaN for a value without one. None to draw none.
    series_names : array-like of str of shape (n_series,), default=None
        Names of the series in the legend; None for no legend.
    value_name : str, default="Coefficient"
        Label of the horizontal axis.

    Attributes
    ----------
    features_ : ndarray of int
        Numbers of the columns drawn, from top to bottom.
    points_ : list of matplotlib ErrorbarContainer
        The values of each series, with their intervals.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure containing the plot.

    See Also
    --------
    Posterior : The same as numbers, and more.
    HiddenUnitsDisplay : The weights into each hidden unit.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sknn_simple import CoefficientDisplay, LogisticNN
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> model = LogisticNN().fit(X, y)
    >>> display = CoefficientDisplay.from_estimator(model, X, y)
    >>> X.columns[display.features_[0]]
    'proline'
    >>> len(display.points_)  # classes 1 and 2 against class 0
    2
    """

    values: Any
    feature_names: Any
    lower: Any = None
    upper: Any = None
    series_names: Any = None
    value_name: str = "Coefficient"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        confidence_level: float = 0.95,
        reference: Any = None,
        feature_names: Any = None,
        class_names: Any = None,
        max_features: int | None = 20,
        ax: Any = None,
        point_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the coefficients or effects of a fitted model.

        Parameters
        ----------
        estimator : LogisticNN, OneHiddenMLP or Pipeline
            A fitted model, or a fitted pipeline whose last step is one: its columns are
            those that the other steps make.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The features of the fit; of a pipeline, those that go into it. Intervals
            need X and y, and so do the effects of OneHiddenMLP.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the fit.
        confidence_level : float, default=0.95
            Level of the intervals, between 0 and 1.
        reference : label, default=None
            The class that the others are compared with, for LogisticNN; None for the
            first one.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the columns of the model; None for their own names.
        class_names : array-like of str of shape (n_classes,), default=None
            Names of the classes or labels; None for the labels themselves.
        max_features : int, default=20
            Largest number of columns to draw: those with the largest values. None for
            all.
        ax : matplotlib Axes, default=None
            Axes to plot on; None for a new figure.
        point_kw : dict, default=None
            Keywords for matplotlib's ``errorbar``.

        Returns
        -------
        display : CoefficientDisplay
            The display that was plotted.

        Raises
        ------
        ValueError
            If only one of X and y is given, or neither for OneHiddenMLP, or if there
            are no intervals: see ``Posterior``.
        """
        estimator, X, feature_names = cls._fitted_model(estimator, X, feature_names)
        posterior = None
        if X is not None and y is not None:
            posterior = Posterior(estimator, X, y, sample_weight)
        elif X is not None or y is not None:
            raise ValueError(
                f"{cls.__name__} needs the rows of the fit for intervals: pass both X "
                "and y, or neither."
            )
        elif not isinstance(estimator, LogisticNN):
            raise ValueError(
                f"{cls.__name__} shows the marginal effects of OneHiddenMLP, which "
                "depend on the rows: pass the X and y of the fit."
            )
        return cls._drawn(
            estimator,
            posterior,
            confidence_level,
            reference=reference,
            feature_names=feature_names,
            class_names=class_names,
            max_features=max_features,
            ax=ax,
            point_kw=point_kw,
        )

    @classmethod
    def from_posterior(
        cls,
        posterior: Posterior,
        *,
        confidence_level: float = 0.95,
        **options: Any,
    ) -> Self:
        """Plot the coefficients or effects of a posterior, with their intervals.

        Parameters
        ----------
        posterior : Posterior
            That of a LogisticNN or OneHiddenMLP. Its intervals are drawn, also those
            of a robust or clustered covariance.
        confidence_level : float, default=0.95
            Level of the intervals, between 0 and 1.
        **options : dict
            As for :meth:`from_estimator`: ``reference``, ``feature_names``,
            ``class_names``, ``max_features``, ``ax`` and ``point_kw``.

        Returns
        -------
        display : CoefficientDisplay
            The display that was plotted.
        """
        if not isinstance(posterior, Posterior):
            raise TypeError(
                f"posterior must be a Posterior; got a {type(posterior).__name__}."
            )
        return cls._drawn(posterior.model, posterior, confidence_level, **options)

    @classmethod
    def _drawn(
        cls,
        model: Any,
        posterior: Posterior | None,
        confidence_level: float,
        *,
        reference: Any = None,
        feature_names: Any = None,
        class_names: Any = None,
        **drawing: Any,
    ) -> Self:
        width = 0.0 if posterior is None else interval_width(confidence_level)
        names = input_names(model, feature_names)
        labels = class_labels(model, class_names)
        base = _base(model, reference)
        unit, per_unit = _units(model, posterior)
        if isinstance(model, LogisticNN):
            values, error = _coefficients(model, base, posterior)
        else:
            values, error = _effects(posterior)
        values, lower, upper = unit * values, None, None
        if error is not None:
            half = width * unit * error
            lower, upper = values - half, values + half
        series = None
        if values.shape[1] > 1 or len(labels) == 1:
            has_base = isinstance(model, LogisticNN) and not model._multilabel
            series = np.delete(labels, base) if has_base else labels
        display = cls(
            values=values,
            feature_names=names,
            lower=lower,
            upper=upper,
            series_names=series,
            value_name=_value_name(model, labels, base, series is not None) + per_unit,
        )
        return display.plot(**drawing)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int | None = 20,
        point_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the values and their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None for a new figure, as large as the names need.
        max_features : int, default=20
            Largest number of columns to draw: those with the largest values. None for
            all.
        point_kw : dict, default=None
            Keywords for matplotlib's ``errorbar``.

        Returns
        -------
        self : CoefficientDisplay
            The display.
        """
        check_limit("max_features", max_features)
        values = np.asarray(self.values)
        size = np.abs(values).max(axis=1)
        self.features_ = np.argsort(-size, kind="stable")[:max_features]
        names = [shorten(n) for n in np.asarray(self.feature_names)[self.features_]]
        given = [] if self.series_names is None else self.series_names
        series = [legend_label(shorten(name)) for name in given]
        beside = 0.08 * (max(map(len, names)) + max(map(len, series), default=0))
        height = 1.0 + (0.16 + 0.1 * values.shape[1]) * len(names)
        inches = (4.5 + beside, max(height, 0.8 + 0.22 * len(series)))
        width = 3.8  # of the axes in a new figure, which has room for names and margins
        if ax is not None:
            width = ax.get_window_extent().width / ax.figure.dpi - beside
        plt = self._set_axes(ax, inches)
        ax = self.ax_
        ax.axvline(0.0, color=plt.rcParams["axes.edgecolor"], linewidth=0.8)
        self._draw_points(plt, ax, series, point_kw)
        label = self.value_name
        if ax.figure.get_layout_engine() is not None:  # it makes room for more lines
            label = _wrapped(label, width)
        ax.set(xlabel=label, ylim=(len(names) - 0.4, -0.6))
        ax.set_yticks(range(len(names)), names)
        _space_labels(ax, width)
        ax.grid(alpha=0.25)
        open_frame(ax)
        if len(names) < len(values):
            # Two lines: the axes may be a narrow part of the caller's figure.
            title = f"{len(names)} of {len(values)} columns:\nthe largest values"
            ax.set_title(title, loc="left", fontsize="small")
        if series:
            # Beside the axes: intervals may be anywhere in them.
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return self

    def _draw_points(
        self, plt: Any, ax: Any, series: list[str], point_kw: dict[str, Any] | None
    ) -> None:
        """Draw each series with its own colour and marker, and set ``points_``."""
        values, distances = np.asarray(self.values)[self.features_], None
        if self.lower is not None and self.upper is not None:
            limits = np.array([self.lower, self.upper])[:, self.features_]
            distances = np.abs(limits - values)
        n_drawn, n_series = values.shape
        offsets = (np.arange(n_series) + 0.5) / n_series - 0.5
        n_colours = len(plt.rcParams["axes.prop_cycle"])
        given = styled(plt.Line2D, {"markersize": 4}, point_kw)
        self.points_ = []
        for k in range(n_series):
            # Each cycle of colours has another marker.
            marker = "osD^vXP*"[k // n_colours % 8]
            plain = {} if "fmt" in given else {"marker": marker, "linestyle": "none"}
            height = np.arange(n_drawn) + 0.7 * offsets[k]
            xerr = None if distances is None else distances[:, :, k]
            style = {**plain, **given}
            self.points_.append(ax.errorbar(values[:, k], height, xerr=xerr, **style))
        for points, name in zip(self.points_, series, strict=False):
            points.set_label(name)


def _space_labels(ax: Any, width: float) -> None:
    """Give each label of the x axis 0.6 inches; `width` is that of the axes."""
    from matplotlib.ticker import MaxNLocator

    n_intervals = max(int(width / 0.6), 1)
    # Steps of 2.5 would have longer labels.
    ax.xaxis.set_major_locator(MaxNLocator(n_intervals, steps=[1, 2, 4, 5, 10]))


def _wrapped(label: str, width: float) -> str:
    """Return a label in lines of about `width` inches; a formula is not cut."""
    if "$" in label.replace(r"\$", ""):
        return label
    return textwrap.fill(label, max(int(width / 0.07), 16), break_long_words=False)


def _base(model: Any, reference: Any) -> int:
    """Return the number of the reference; raise ValueError if it cannot be one."""
    if reference is not None and not isinstance(model, LogisticNN):
        raise ValueError(
            "reference is for LogisticNN, because a network has an effect on every "
            f"class; got {reference!r}."
        )
    check_reference(reference, model.classes_, model._multilabel)
    return 0 if reference is None else model.classes_.tolist().index(reference)


def _units(model: Any, posterior: Posterior | None) -> tuple[np.ndarray, str]:
    """Return the unit of each column, (n_features, 1), and what the axis says of it."""
    if model.standardize:
        return np.asarray(model.scale_)[:, None], " per std. dev."
    if posterior is None:
        return np.ones((model.n_features_in_, 1)), ""
    rows = posterior._inference.rows
    scaler = StandardScaler(with_mean=False).fit(rows.X, None, rows.frequency)
    return np.sqrt(scaler.var_)[:, None], " per std. dev."


def _coefficients(
    model: LogisticNN, base: int, posterior: Posterior | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return coefficients and their standard errors, (n_features, n_series)."""
    coef, reference = layer_weights(model)[0].T, None
    if not model._multilabel:
        coef, reference = against(coef, base), model.classes_[base]
    if posterior is None:
        return coef.T, None
    error = posterior.summary(reference=reference).table["std_error"]
    return coef.T, error.reshape(len(coef), -1)[:, : model.n_features_in_].T


def _effects(posterior: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return effects and their standard errors per raw unit."""
    effect, std_error, distance = posterior._effects()
    return effect / distance[:, None], std_error / distance[:, None]


def _value_name(model: Any, labels: np.ndarray, base: int, has_legend: bool) -> str:
    if not isinstance(model, LogisticNN):
        of = "the probability" if has_legend else f"P({shorten(labels[1])})"
        return f"Mean change of {of}"
    if model._multilabel:
        return "Log odds"
    if has_legend:
        return f"Log odds against {shorten(labels[base])}"
    return f"Log odds of {shorten(labels[1 - base])}"
