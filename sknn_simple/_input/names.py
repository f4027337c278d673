"""The names of columns in messages, tables and pictures."""

from collections.abc import Sequence
from typing import Any

MOST_NAMES = 10


def column_names(estimator: Any) -> list[str]:
    """Return the names of the columns in ``fit``, or x0, x1, … as scikit-learn does."""
    given = getattr(estimator, "feature_names_in_", None)
    if given is None:
        return [f"x{i}" for i in range(estimator.n_features_in_)]
    return [str(name) for name in given]


def listed(names: Sequence[str]) -> str:
    """Return names with commas, the first ten of many."""
    some = ", ".join(map(repr, names[:MOST_NAMES]))
    rest = len(names) - MOST_NAMES
    return f"{some} and {rest} more" if rest > 0 else some
