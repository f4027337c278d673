"""Small data with each row once, in an order that depends on the content only.

Sums over the rows then have the same bits in any order of the rows, and for a row of
weight 2 as for two equal rows. The path of a network is not convex: it amplifies
differences of 1e-16 to 1e-6 in a hundred iterations.
"""

import numpy as np
from scipy import sparse

from sknn_simple._data.features import row_keys
from sknn_simple._data.training_set import TrainingSet

# With more rows or more values the gathering takes more than a thousandth of a fit.
MOST_ROWS, MOST_VALUES = 1000, 10**6
# Weights that are whole numbers are known up to this many units of rounding.
UNITS = 8


def in_canonical_order(data: TrainingSet) -> TrainingSet:
    """Return each pair of features and target once, sorted, with its total weight.

    Data with many rows are returned as they are.
    """
    n_rows = data.X.shape[0]
    n_values = data.X.nnz if sparse.issparse(data.X) else data.X.size
    if n_rows > MOST_ROWS or n_values > MOST_VALUES:
        return data
    targets = data.y.reshape(n_rows, -1)
    keys = list(zip(row_keys(data.X), row_keys(targets), strict=True))
    order = sorted(range(n_rows), key=keys.__getitem__)
    is_first = [i == 0 or keys[order[i]] != keys[order[i - 1]] for i in range(n_rows)]
    starts = np.flatnonzero(is_first)
    weight = np.add.reduceat(_whole(data.weight * data.total_weight)[order], starts)
    first = np.array(order)[starts]
    return data._replace(X=data.X[first], y=data.y[first], weight=weight / weight.sum())


def _whole(weight: np.ndarray) -> np.ndarray:
    """Return the weights as whole numbers, if they are some up to rounding."""
    whole = np.round(weight)
    rounding = UNITS * np.finfo(np.float64).eps * weight
    return whole if np.all(np.abs(whole - weight) <= rounding) else weight
