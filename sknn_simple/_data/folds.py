"""Folds for cross-validation that depend on the content of the rows, not their order.

Equal rows share a fold. Weighting a row by 2 is then the same as repeating it, and the
copies of a row are never on both sides of a split.
"""

import numpy as np

from sknn_simple._data.row_blocks import Block, RowBlocks, Workspace
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet

# Keys of equal rows differ by rounding, about 1e-15, because BLAS adds in another order
# at the end of a block. Keys of different rows are closer than this only by chance.
_SAME_KEY = 1e-11


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


def assign_folds(numbers: np.ndarray, data: TrainingSet, n_folds: int) -> np.ndarray:
    """Return the fold of each row, (n_rows,), stratified by class.

    Distinct rows are shuffled, sorted by class, or by the combination of labels, and
    dealt out in turn. If equal rows have several classes, the one with the largest
    weight decides.
    """
    strata = _strata(data)
    n_distinct, n_strata = numbers.max() + 1, strata.max() + 1
    weight = np.bincount(
        numbers * n_strata + strata, data.weight, minlength=n_distinct * n_strata
    ).reshape(n_distinct, n_strata)
    # Rounded, so that ties do not depend on the order of the rows.
    heaviest = np.round(weight / weight.max(axis=1, keepdims=True), 9).argmax(axis=1)
    shuffled = np.random.RandomState(0).permutation(n_distinct)
    fold = np.empty(n_distinct, dtype=np.intp)
    fold[np.lexsort((shuffled, heaviest))] = np.arange(n_distinct) % n_folds
    return fold[numbers]


def _strata(data: TrainingSet) -> np.ndarray:
    """Return the number of each row's class or combination of labels."""
    if data.y.ndim == 1:
        return data.y
    return np.unique(data.y, axis=0, return_inverse=True)[1].reshape(-1)


def every_class_remains(data: TrainingSet, kept: np.ndarray) -> bool:
    """Return whether the rows that are kept contain the classes of all rows.

    For a multilabel target: both values of every label.
    """
    if data.y.ndim == 1:
        return len(np.unique(data.y[kept])) == len(np.unique(data.y))
    rest = data.y[kept]
    return bool(
        len(rest)
        and np.array_equal(rest.min(axis=0), data.y.min(axis=0))
        and np.array_equal(rest.max(axis=0), data.y.max(axis=0))
    )
