"""AlphaDisplay: how alpha was chosen."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sknn_simple._displays.common import Display, legend_label, styled

_CRITERIA = "Held-out log-loss", "Log evidence"


@dataclass(kw_only=True, eq=False, repr=False)
class AlphaDisplay(Display):
    """The values of alpha that a fit tried, and the one that it chose.

    Use :meth:`from_estimator` to create one from a model that was fitted with
    ``alpha="auto"``. If alpha was chosen by validation, the plot shows the mean
    log-loss of held-out rows. A band shows one standard error of the mean over the
    folds of a cross-validation; a single validation set has none. Differences within
    the band may be chance. For LogisticNN without a validation set the plot shows the
    logarithm of the evidence: the dots are the values that the fit computed. If classes
    are nearly separable, the chosen alpha is larger than that with the largest
    evidence, because Laplace's approximation is poor there. If there are few rows, the
    prior on alpha makes it larger.

    Read more in the :ref:`User Guide <guide_alpha>`.

    Parameters
    ----------
    alpha : array-like of shape (n_tried,)
        The values of alpha that were tried, in any order.
    criterion : array-like of shape (n_tried,)
        Mean log-loss of held-out rows, or log evidence, at each alpha.
    chosen_alpha : float
        The alpha that was chosen; it may lie between two of those that were tried.
    standard_error : array-like of shape (n_tried,), default=None
        Standard error of the mean log-loss; None to draw no band.
    criterion_name : str, default="Held-out log-loss"
        Label of the vertical axis.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The criterion at each alpha.
    band_ : matplotlib PolyCollection or None
        The band of one standard error.
    chosen_line_ : matplotlib Line2D
        Vertical line at the alpha that was chosen.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure containing the plot.

    See Also
    --------
    LossCurveDisplay : The loss at each iteration of the last fit.
    sklearn.model_selection.ValidationCurveDisplay : The same for any parameter of any
        estimator; it fits each value.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_simple import AlphaDisplay, OneHiddenMLP
    >>> X, y = load_iris(return_X_y=True)
    >>> model = OneHiddenMLP(5, random_state=0).fit(X, y)
    >>> display = AlphaDisplay.from_estimator(model)
    >>> display.ax_.get_xscale()
    'log'
    >>> bool(display.chosen_alpha == model.alpha_)
    True
    """

    alpha: Any
    criterion: Any
    chosen_alpha: float
    standard_error: Any = None
    criterion_name: str = _CRITERIA[0]
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        line_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot how a fitted model chose alpha.

        Parameters
        ----------
        estimator : LogisticNN, OneHiddenMLP or Pipeline
            A model that was fitted with ``alpha="auto"``, or a fitted pipeline whose
            last step is one.
        name : str, default=None
            Name of the model in the legend; None for the name of its class.
        ax : matplotlib Axes, default=None
            Axes to plot on; None for a new figure. To compare models, pass the
            ``ax_`` of the first display to the next.
        line_kw : dict, default=None
            Keywords for matplotlib's ``plot``.
        band_kw : dict, default=None
            Keywords for matplotlib's ``fill_between``.

        Returns
        -------
        display : AlphaDisplay
            The display that was plotted.

        Raises
        ------
        ValueError
            If the fit did not try several values: alpha was given,
            ``early_stopping=True`` used its small alpha, ``max_iter=0`` only evaluated,
            or there were too few rows.
        """
        estimator, *_ = cls._fitted_model(estimator)
        display = cls(
            **_tried(estimator),
            chosen_alpha=estimator.alpha_,
            name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax, line_kw=line_kw, band_kw=band_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        line_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the criterion against alpha.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None for a new figure.
        name : str, default=None
            Name of the model in the legend; None for the one stored.
        line_kw : dict, default=None
            Keywords for matplotlib's ``plot``.
        band_kw : dict, default=None
            Keywords for matplotlib's ``fill_between``.

        Returns
        -------
        self : AlphaDisplay
            The display.
        """
        plt = self._set_axes(ax)
        ax = self.ax_
        shown = ax.get_ylabel()
        if shown in _CRITERIA and shown != self.criterion_name:
            raise ValueError(
                f"These axes show {shown.lower()}, and {self.criterion_name.lower()} "
                "has another scale: draw it on axes of its own."
            )
        from matplotlib import ticker

        name = self.name if name is None else name
        order = np.argsort(self.alpha)
        alpha, criterion = np.array(self.alpha)[order], np.array(self.criterion)[order]
        chosen = f"alpha = {self.chosen_alpha:.3g}"
        label = chosen if name is None else legend_label(f"{name}, {chosen}")
        dots = {"marker": "o", "markersize": 4, "label": label}
        style = styled(plt.Line2D, dots, line_kw)
        (self.line_,) = ax.plot(alpha, criterion, **style)
        colour = self.line_.get_color()
        self.band_: Any = None
        if self.standard_error is not None:
            error = np.array(self.standard_error)[order]
            plain = {"color": colour, "alpha": 0.2, "linewidth": 0.0}
            band = styled(plt.Polygon, plain, band_kw)
            limits = criterion - error, criterion + error
            self.band_ = ax.fill_between(alpha, *limits, **band)
        self.chosen_line_ = ax.axvline(
            self.chosen_alpha, color=colour, linestyle="--", linewidth=1.0
        )
        ax.set(xscale="log", xlabel="alpha", ylabel=self.criterion_name)
        ax.xaxis.set_major_locator(_tick_locator(*ax.get_xlim()))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        ax.legend()
        return self


def _tick_locator(low: float, high: float) -> Any:
    """Return ticks at powers of ten; of narrower limits, at numbers between them.

    One label alone does not show the scale.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high))
    for subs in [(1.0,), (1.0, 2.0, 5.0)]:
        ticks = np.outer(powers, subs)
        if np.count_nonzero((low <= ticks) & (ticks <= high)) >= 2:
            return LogLocator(subs=subs)
    return MaxNLocator(4, steps=[1, 2, 5, 10])


def _tried(estimator: Any) -> dict[str, Any]:
    """Return the values of alpha that a fit tried and what it computed for each."""
    table = getattr(estimator, "cv_results_", None)
    if table:
        n_folds = sum(name.startswith("split") for name in table)
        error = None
        if n_folds > 1:  # the deviation has the divisor n, so the error has n - 1
            error = table["std_log_loss"] / np.sqrt(n_folds - 1)
        return {
            "alpha": table["alpha"],
            "criterion": table["mean_log_loss"],
            "standard_error": error,
        }
    if hasattr(estimator, "evidence_path_"):
        path = estimator.evidence_path_
        return {
            "alpha": path["alpha"],
            "criterion": path["log_evidence"],
            "criterion_name": _CRITERIA[1],
        }
    if table is not None:
        reason = "its search ended before it tried one, or there were too few rows"
    elif estimator.alpha != "auto":
        reason = f"alpha={estimator.alpha!r} was given"
    elif getattr(estimator, "early_stopping", False):
        reason = "early_stopping=True uses a small alpha without a search"
    else:
        reason = "max_iter=0 only evaluates, without a search"
    raise ValueError(
        "AlphaDisplay shows the values of alpha that a fit with alpha='auto' tried, "
        f"but this {type(estimator).__name__} has none: {reason}."
    )
