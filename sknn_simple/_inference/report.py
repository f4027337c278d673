"""What a summary says: the coefficients, the head, and the notes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sknn_simple._inference.core import Inference, null_log_likelihood
from sknn_simple._inference.raw import contrasts, norms
from sknn_simple._inference.summary import Summary, interval_table

MOST_NAMES = 10


def listed(names: Sequence[str]) -> str:
    """Return names with commas, the first ten of many."""
    some = ", ".join(map(repr, names[:MOST_NAMES]))
    rest = len(names) - MOST_NAMES
    return f"{some} and {rest} more" if rest > 0 else some


class Fit:
    """The measures of fit of an inference."""

    def __init__(self, inference: Inference) -> None:
        outputs = inference.outputs
        self.log_likelihood = inference.log_likelihood
        self.null_log_likelihood = null_log_likelihood(
            inference.rows, outputs.n_outputs, outputs.network.has_bias
        )
        self.deviance = -2.0 * self.log_likelihood
        self.null_deviance = -2.0 * self.null_log_likelihood
        self.n_effective = inference.gaussian.n_effective
        self.aic = self.deviance + 2.0 * self.n_effective
        self.bic = self.deviance + float(np.log(inference.n_rows)) * self.n_effective


def summarize(
    inference: Inference,
    classes: np.ndarray,
    columns: Sequence[str],
    reference: Any,
    confidence_level: float,
    alpha: float,
    covariance: str,
) -> Summary:
    """Return the summary of a linear network. `covariance` is its kind, as text."""
    found = contrasts(inference, classes, reference)
    std_error = norms(found.root)
    std_error[~found.has_interval] = np.nan
    names = [*columns, *["intercept"] * inference.outputs.has_intercept]
    coef = found.coef.ravel()
    with np.errstate(over="ignore"):
        table = {
            "coef": coef,
            **interval_table(coef, std_error.ravel(), confidence_level),
            "odds_ratio": np.exp(coef),
        }
    multilabel = inference.rows.multilabel
    several = multilabel or len(classes) > 2
    base = classes[0] if reference is None else reference
    title = f"LogisticNN: log odds of {found.labels[0]} against {base}"
    if several:
        what = "each label" if multilabel else f"each class against {base}"
        title = f"LogisticNN: log odds of {what}"
    fixed, open_ = found.fixed[0], found.open[0]
    return Summary(
        title,
        _head(inference, alpha, covariance),
        names * len(found.labels),
        [k for k in found.labels for _ in names] if several else None,
        "label" if multilabel else "class",
        table,
        confidence_level,
        _notes(inference, alpha, names, fixed, open_),
    )


def _head(inference: Inference, alpha: float, covariance: str) -> dict[str, Any]:
    fit, rows = Fit(inference), inference.rows
    head: dict[str, Any] = {"rows": str(len(rows.weight))}
    if not np.isclose(inference.n_rows, len(rows.weight)):
        head["sum of weights"] = inference.n_rows
    return head | {
        "alpha": alpha,
        "effective parameters": fit.n_effective,
        "covariance": covariance,
        "log-likelihood": fit.log_likelihood,
        "deviance": fit.deviance,
        "null deviance": fit.null_deviance,
        # NaN if no label varies.
        "McFadden's R²": 1.0 - fit.deviance / (fit.null_deviance or np.nan),
        "AIC": fit.aic,
        "BIC": fit.bic,
    }


def _notes(
    inference: Inference,
    alpha: float,
    names: Sequence[str],
    fixed: np.ndarray,
    open_: np.ndarray,
) -> list[str]:
    notes = []
    if alpha > 0.0:
        notes.append(
            f"The weights are penalised (alpha={alpha:.3g}): coefficients are shrunk "
            "towards 0, and intervals are Bayesian, those of a Gaussian prior. "
            "p-values and tests are approximate."
        )
    bounded = inference.held.any()
    if fixed.any():
        reason = "is constant"
        if bounded:
            reason = "is held at its bound by monotonic_cst, or its column is constant"
        which = [name for name, is_fixed in zip(names, fixed, strict=True) if is_fixed]
        notes.append(
            f"No interval: the weight of {listed(which)} {reason}. The other intervals "
            "are those of a fit in which it is fixed."
        )
    if open_.any():
        which = [name for name, is_open in zip(names, open_, strict=True) if is_open]
        notes.append(
            f"No interval: a linear combination of {listed(which)} is 0 in all rows."
        )
    return notes
