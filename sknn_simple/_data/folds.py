"""Folds for cross-validation that depend on the content of the rows, not their order.

Equal rows share a fold if they are copies: they are never on both sides of a split.
They are not copies if some of them equal a row of another class, or if the table has
few cells: such rows were observed several times in the same place, and are assigned one
by one. A table of one categorical column would otherwise lose whole categories in each
fold, and no network could predict them. In both cases weighting a row by 2 is the same
as repeating it.
"""

from typing import Any

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features
from sknn_simple._data.row_blocks import Block, RowBlocks, Workspace
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet

# Keys of equal rows differ by rounding, about 1e-15, because BLAS adds in another order
# at the end of a block. Keys of different rows are closer than this only by chance.
_SAME_KEY = 1e-11
# Equal rows are copies if a smaller part of them equals a row of another class. With
# one half 2,000 rows of 30 categories, of which 16 have one class, were taken for
# copies, and not learned: log-loss 0.69 instead of 0.26.
_OF_SEVERAL = 0.1
# A table has few cells if it has at most this number of distinct rows, each observed
# this many times in the mean, and if no column has more values. Of 24 tables of one
# column of 5 to 30 categories that tell the class, 19 were not learned.
_CELLS, _TIMES, _VALUES = 100, 5, 10
# The row numbers of this many observations take 8 MB.
_MOST = 10**6


def distinct_rows(blocks: RowBlocks, workers: Workers) -> np.ndarray:
    """Return a number for each row, (n_rows,), that equal rows share.

    The numbers follow the projection of the rows on a random direction, and do not
    depend on their order.
    """
    keys = np.empty(blocks.n_rows)
    direction = np.random.RandomState(0).standard_normal(blocks.n_features)
    workspace = Workspace()

    def project(block: Block) -> None:
        X = blocks.features(block, workspace)
        keys[block.rows] = X.astype(np.float64, copy=False) @ direction

    blocks.for_each(project, workers)
    order = np.argsort(keys, kind="stable")
    is_new = np.diff(keys[order], prepend=-np.inf) > _SAME_KEY
    numbers = np.empty(len(keys), dtype=np.intp)
    numbers[order] = np.cumsum(is_new) - 1
    return numbers


def has_few_values(X: Features, numbers: np.ndarray) -> bool:
    """Return whether X has few distinct rows, and few values in each column.

    Columns of measurements have more values, unless they were rounded to few.
    """
    rows = np.unique(numbers, return_index=True)[1]
    if len(rows) > _CELLS:
        return False
    values = X[rows].toarray() if sparse.issparse(X) else X[rows]
    changes = np.diff(np.sort(values, axis=0), axis=0) > 0.0
    return bool(changes.sum(axis=0).max() < _VALUES)


def observations(
    numbers: np.ndarray, strata: np.ndarray, weight: np.ndarray, *, few_values: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is dealt out: the row of each observation, and its number.

    Observations of one number share a fold. `numbers`, (n_rows,), are those of
    `distinct_rows`, and `few_values` is the answer of `has_few_values`. If equal rows
    are no copies, each has a number of its own. If also all weights are whole, a row of
    weight w is w observations. If all would be more than ``_MOST``, each row is fewer,
    but at least one.
    """
    is_whole = weight.max() < 2.0**53 and np.all(weight == np.round(weight))
    times = weight if is_whole else np.ones(len(weight))
    of_group = np.bincount(numbers, times)
    lowest = np.full(len(of_group), strata.max())
    highest = np.zeros_like(lowest)
    np.minimum.at(lowest, numbers, strata)
    np.maximum.at(highest, numbers, strata)
    of_several = of_group[lowest < highest].sum()
    has_few_cells = few_values and of_group.mean() >= _TIMES
    if not (has_few_cells or of_several > _OF_SEVERAL * of_group[of_group > 1.0].sum()):
        return np.arange(len(numbers)), numbers
    times = np.maximum(times * min(1.0, _MOST / times.sum()), 1.0).astype(np.intp)
    rows = np.repeat(np.arange(len(numbers)), times)
    # The numbers must not depend on the order of the rows.
    order = np.lexsort((weight[rows], strata[rows], numbers[rows]))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return rows, place


def dealt_rows(
    data: TrainingSet, rows: np.ndarray, fold: np.ndarray
) -> tuple[TrainingSet, np.ndarray]:
    """Return the rows of the observations that have a fold, and the fold of each row.

    Observations of the same row and fold become one row, with their share of its
    weight.
    """
    kept, n_folds = fold >= 0, fold.max() + 1
    if kept.all() and len(rows) == len(data.weight):
        return data, fold
    places = rows[kept] * n_folds + fold[kept]
    places, counts = np.unique(places, return_counts=True)
    row = places // n_folds
    return data.rows(row, np.bincount(rows)[row] / counts), places % n_folds


def assign_folds(
    numbers: np.ndarray,
    strata: np.ndarray,
    weight: np.ndarray,
    n_folds: int,
    most: float = np.inf,
) -> np.ndarray:
    """Return the fold of each row, (n_rows,), stratified by class; -1 if it has none.

    Distinct rows are shuffled, sorted by class, or by the combination of labels, and
    dealt out in turn. If there are more than about `most` of them, only some have a
    fold: of each class at least the first `n_folds`, so that rare classes remain.
    """
    stratum = _heaviest(numbers, strata, weight)
    n_distinct = len(stratum)
    shuffled = np.random.RandomState(0).permutation(n_distinct)
    order = np.lexsort((shuffled, stratum))
    place = np.arange(n_distinct)
    dealt = place % n_folds
    in_stratum = place
    if (strata.max() + 1) * n_folds <= most:  # rare combinations of labels may be many
        sizes = np.bincount(stratum)
        in_stratum = place - (np.cumsum(sizes) - sizes)[stratum[order]]
    every = max(1, round(n_distinct / most))
    dealt[in_stratum // n_folds % every > 0] = -1
    fold = np.empty(n_distinct, dtype=np.intp)
    fold[order] = dealt
    return fold[numbers]


def strata_of(data: TrainingSet) -> np.ndarray:
    """Return the number of each row's class or combination of labels."""
    if data.multilabel:
        return np.unique(data.y, axis=0, return_inverse=True)[1].reshape(-1)
    return data.codes()


def _heaviest(
    numbers: np.ndarray, strata: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return the stratum with the largest weight of each distinct row, (n_distinct,).

    An array of all pairs of a distinct row and a stratum could be too large.
    """
    n_strata = strata.max() + 1
    pairs, where = np.unique(numbers * n_strata + strata, return_inverse=True)
    row, total = pairs // n_strata, np.bincount(where.reshape(-1), weight)
    first = np.flatnonzero(np.diff(row, prepend=-1))
    largest = np.maximum.reduceat(total, first)
    # Rounded, so that ties do not depend on the order of the rows.
    share = np.round(total / largest[row], 9)
    return (pairs % n_strata)[np.lexsort((-share, row))[first]]


def lost_classes(data: TrainingSet, kept: np.ndarray) -> list[Any]:
    """Return the classes of all rows that the rows that are kept do not contain.

    For a multilabel target: the labels of which they do not contain both values.
    """
    if data.multilabel:
        rest = data.y[kept]
        values = np.ptp(rest, axis=0) if len(rest) else np.zeros(data.n_outputs)
        lost = values < np.ptp(data.y, axis=0)
        return data.classes[lost].tolist()
    codes = data.codes()
    return data.classes[np.setdiff1d(codes, codes[kept])].tolist()
