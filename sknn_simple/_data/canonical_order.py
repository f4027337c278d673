"""Small data with each row once, in an order that depends on the content only.

Sums over the rows then have the same bits in any order of the rows, and for a row of
weight 2 as for two equal rows. The path of a network is not convex: it amplifies
differences of 1e-16 to 1e-6 in a hundred iterations.
"""

import numpy as np
from scipy import sparse

from sknn_simple._data.moments import ROUNDING
from sknn_simple._data.training_set import TrainingSet

# With more rows or more values the sorting takes more than a hundredth of a fit.
MOST_ROWS, MOST_VALUES = 1000, 10**6
# Rows are sorted by this number of columns first: most are distinct in them.
FEW_COLUMNS = 16


def in_canonical_order(data: TrainingSet) -> TrainingSet:
    """Return each pair of features and target once, sorted, with its total weight.

    The order of numbers is the same in every unit and from every origin of a column.
    Data with many rows are returned as they are.
    """
    n_rows, n_columns = data.X.shape
    if data.in_order or n_rows > MOST_ROWS or n_rows * n_columns > MOST_VALUES:
        return data
    X = data.X.toarray() if sparse.issparse(data.X) else data.X
    y = data.y.reshape(n_rows, -1)
    order = np.lexsort(X[:, :FEW_COLUMNS].T[::-1])
    if not _differ(X[order, :FEW_COLUMNS]).all():
        order = np.lexsort(np.vstack([y.T[::-1], X.T[::-1]]))
    starts = np.flatnonzero(_differ(X[order]) | _differ(y[order]))
    total = data.total_weight if np.isfinite(data.total_weight) else 1.0
    weight = whole(data.weight * total)
    weight = np.add.reduceat(weight[order], starts)
    first = order[starts]
    return data._replace(
        X=data.X[first], y=data.y[first], weight=weight / weight.sum(), in_order=True
    )


def _differ(rows: np.ndarray) -> np.ndarray:
    """Return which rows differ from the one before; the first one does."""
    return np.append(True, (rows[1:] != rows[:-1]).any(axis=1))


def whole(weight: np.ndarray) -> np.ndarray:
    """Return the weights as whole numbers, if they are some up to rounding."""
    whole = np.round(weight)
    rounding = ROUNDING[weight.dtype] * weight
    return whole if np.all(np.abs(whole - weight) <= rounding) else weight
