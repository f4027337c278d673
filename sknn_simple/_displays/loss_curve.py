"""LossCurveDisplay: the loss at each iteration of a fit."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sknn_simple._displays.common import Display, legend_label, styled

_J = "J (log-loss + penalty)"


@dataclass(kw_only=True, eq=False, repr=False)
class LossCurveDisplay(Display):
    """Loss at each iteration of a fit.

    Use :meth:`from_estimator` to create one from a fitted model. The training curve is
    the objective J, the mean log-loss and the penalty. A dot marks the iterate that the
    model kept if the fit converged, a cross if it did not. Models that were fitted with
    ``early_stopping=True`` also have a validation curve: the mean log-loss of the
    validation samples, without the penalty. The kept iterate is that of its minimum.
    Short lines show where the other starts of ``n_init`` ended.

    Read more in the :ref:`User Guide <guide_record>`.

    Parameters
    ----------
    loss_curve : array-like of shape (n_iter + 1,)
        J at the start and after each iteration.
    validation_loss_curve : array-like of shape (n_iter + 1,), default=None
        Log-loss of the validation samples at the start and after each iteration.
    name : str, default=None
        Name of the model in the legend.
    converged : bool, default=None
        Whether the fit converged; None for no mark.
    other_losses : array-like of shape (n_starts - 1,), default=None
        Final J of the other starts; with a validation curve, their lowest validation
        losses.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The training curve.
    validation_line_ : matplotlib Line2D or None
        The validation curve.
    kept_ : matplotlib Line2D or None
        The mark at the kept iterate.
    other_starts_ : matplotlib Line2D or None
        The ends of the other starts.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing the curves.

    See Also
    --------
    NetworkDisplay : The fitted network, drawn.
    AlphaDisplay : The values of alpha that a fit tried.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_simple import LossCurveDisplay, OneHiddenMLP
    >>> X, y = load_iris(return_X_y=True)
    >>> small = OneHiddenMLP(2, random_state=0).fit(X, y)
    >>> large = OneHiddenMLP(20, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(small, name="2 hidden units")
    >>> display = LossCurveDisplay.from_estimator(
    ...     large, name="20 hidden units", ax=display.ax_
    ... )
    >>> display.ax_.get_yscale()
    'log'
    """

    loss_curve: Any
    validation_loss_curve: Any = None
    name: str | None = None
    converged: bool | None = None
    other_losses: Any = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        yscale: str | None = None,
        line_kw: dict[str, Any] | None = None,
        validation_line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the loss curves of a fitted model.

        Parameters
        ----------
        estimator : LogisticNN, OneHiddenMLP or Pipeline
            A fitted model, or a fitted pipeline whose last step is one.
        name : str, default=None
            Name of the model in the legend; None for the name of its class.
        ax : matplotlib Axes, default=None
            Axes to plot on; None for a new figure. To compare models, pass the
            ``ax_`` of the first display to the next.
        yscale : str, default=None
            Scale of the loss axis; None for "log" unless a loss is 0 or negative.
        line_kw : dict, default=None
            Keywords for matplotlib's ``plot``, for both curves.
        validation_line_kw : dict, default=None
            Further keywords for the validation curve.

        Returns
        -------
        display : LossCurveDisplay
            The display that was plotted.
        """
        estimator, *_ = cls._fitted_model(estimator)
        validation = getattr(estimator, "validation_loss_curve_", None)
        display = cls(
            loss_curve=np.asarray(estimator.loss_curve_),
            validation_loss_curve=None if validation is None else np.array(validation),
            name=type(estimator).__name__ if name is None else name,
            converged=estimator.converged_,
            other_losses=np.sort(getattr(estimator, "init_losses_", []))[1:],
        )
        return display.plot(
            ax,
            yscale=yscale,
            line_kw=line_kw,
            validation_line_kw=validation_line_kw,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        yscale: str | None = None,
        line_kw: dict[str, Any] | None = None,
        validation_line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None for a new figure.
        name : str, default=None
            Name of the model in the legend; None for the one stored.
        yscale : str, default=None
            Scale of the loss axis; None for "log" unless a loss is 0 or negative.
        line_kw : dict, default=None
            Keywords for matplotlib's ``plot``, for both curves.
        validation_line_kw : dict, default=None
            Further keywords for the validation curve.

        Returns
        -------
        self : LossCurveDisplay
            The display.
        """
        plt = self._set_axes(ax)
        ax = self.ax_
        from matplotlib.ticker import MaxNLocator

        name = self.name if name is None else name
        line_kw = styled(plt.Line2D, {}, line_kw)
        name = None if name is None else legend_label(name)
        before = "" if name is None else f"{name}, "
        validates = self.validation_loss_curve is not None
        label = f"{before}training: {_J}" if validates or name is None else name
        (self.line_,) = ax.plot(self.loss_curve, **{"label": label, **line_kw})
        self.validation_line_: Any = None
        if validates:
            style = {
                "label": f"{before}validation: log-loss",
                "color": self.line_.get_color(),
                "linestyle": "--",
                **line_kw,
                **styled(plt.Line2D, {}, validation_line_kw),
            }
            (self.validation_line_,) = ax.plot(self.validation_loss_curve, **style)
        self._mark(ax)
        ax.set_yscale(yscale or ("log" if ax.dataLim.y0 > 0.0 else "linear"))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        loss = _J if self.validation_line_ is None else "Loss"
        # Another display may have drawn other losses on the same axes.
        ax.set(
            xlabel="Iteration", ylabel=loss if ax.get_ylabel() in ("", loss) else "Loss"
        )
        ax.legend()
        return self

    def _mark(self, ax: Any) -> None:
        """Mark the kept iterate and the ends of the other starts."""
        validation = self.validation_line_
        line = self.line_ if validation is None else validation
        curve = np.asarray(line.get_ydata())
        last = len(curve) - 1
        kept = last if validation is None else int(np.argmin(curve))
        self.kept_: Any = None
        self.other_starts_: Any = None
        style = {"color": line.get_color(), "linestyle": "none"}
        if self.converged is not None or validation is not None:
            marker = "X" if self.converged is False else "o"
            (self.kept_,) = ax.plot([kept], curve[[kept]], marker=marker, **style)
        if self.converged is False:
            self.line_.set_label(f"{self.line_.get_label()}, not converged")
        if self.other_losses is not None and len(self.other_losses):
            (self.other_starts_,) = ax.plot(
                np.full(len(self.other_losses), last),
                self.other_losses,
                **{"marker": "_", "markersize": 14, "markeredgewidth": 2.0, **style},
                alpha=0.6,
                label="ends of other starts",
            )
