"""The names of columns in messages, tables and pictures."""

from typing import Any


def column_names(estimator: Any) -> list[str]:
    """Return the names of the columns in ``fit``, or x0, x1, … as scikit-learn does."""
    given = getattr(estimator, "feature_names_in_", None)
    if given is None:
        return [f"x{i}" for i in range(estimator.n_features_in_)]
    return [str(name) for name in given]
