"""What a summary says: the coefficients and the notes."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from sknn_simple._inference.core import Inference
from sknn_simple._inference.raw import contrasts, norms
from sknn_simple._inference.summary import Summary, interval_table, interval_width
from sknn_simple._input.names import listed


def summarize(
    inference: Inference,
    columns: Sequence[str],
    reference: Any,
    confidence_level: float,
    head: dict[str, Any],
) -> Summary:
    width = interval_width(confidence_level)
    classes, found = inference.rows.classes, contrasts(inference, reference)
    std_error = norms(found.root)
    std_error[:, found.fixed | found.open] = np.nan
    names = [*columns, *["intercept"] * inference.outputs.has_intercept]
    coef = found.coef.ravel()
    with np.errstate(over="ignore"):
        table = {
            "coef": coef,
            **interval_table(coef, std_error.ravel(), width),
            "odds_ratio": np.exp(coef),
        }
    multilabel = inference.rows.multilabel
    several = multilabel or len(classes) > 2
    base = classes[0] if reference is None else reference
    what = f"{'each class' if several else found.labels[0]} against {base}"
    return Summary(
        head,
        names * len(found.labels),
        [k for k in found.labels for _ in names] if several else None,
        table,
        _notes(inference, names, found.fixed, found.open),
        f"LogisticNN: log odds of {'each label' if multilabel else what}",
        "label" if multilabel else "class",
        confidence_level,
    )


def _notes(
    inference: Inference,
    names: Sequence[str],
    fixed: np.ndarray,
    open_: np.ndarray,
) -> list[str]:
    notes, alpha = [], inference.alpha
    if alpha > 0.0:
        notes.append(
            f"The weights are penalised (alpha={alpha:.3g}): coefficients are shrunk "
            "towards 0, and intervals are Bayesian, those of a Gaussian prior. "
            "p-values and tests are approximate."
        )
    if fixed.any():
        reason = "is constant"
        if inference.held.any():
            reason += ", or whose weights monotonic_cst holds at a bound"
        notes.append(
            f"No interval for a column that {reason}: "
            f"{listed([*compress(names, fixed)])}. "
            "The other intervals are those of a fit in which its weight is fixed."
        )
    if open_.any():
        which = listed([*compress(names, open_)])
        notes.append(f"No interval: a linear combination of {which} is 0 in all rows.")
    return notes
