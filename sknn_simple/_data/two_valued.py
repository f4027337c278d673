"""Columns with exactly two values, such as those of one-hot categories."""

import numpy as np
from scipy import sparse

from sknn_simple._data.features import transposed
from sknn_simple._data.moments import extremes
from sknn_simple._data.row_blocks import Block, RowBlocks
from sknn_simple._data.threads import Workers


def half_distances(blocks: RowBlocks, workers: Workers) -> np.ndarray:
    """Return half the distance of the values of two-valued columns, (n_features,).

    It is 0 for all other columns.
    """
    low, high = two_values(blocks, workers)
    return np.nan_to_num((high.astype(np.float64) - low) / 2.0)


def two_values(blocks: RowBlocks, workers: Workers) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of columns with at most two, the smaller ones first.

    They are NaN for all other columns. Values are compared as they are stored, without
    a tolerance: in another unit or from another origin, equal values are still equal.
    """
    if sparse.issparse(blocks.blocks[0].X):
        return _of_sparse(blocks)
    # Dense columns with three values among some rows are not searched: columns of
    # measurements are then free.
    some = blocks.chosen_features(blocks.some_rows)
    low, high = some.min(axis=0), some.max(axis=0)
    columns = np.flatnonzero(((some == low) | (some == high)).all(axis=0))
    low, high = low[columns], high[columns]
    beyond = _have_others(blocks, columns, low, high, workers)
    # The sample may lack a rare value.
    low[beyond], high[beyond] = extremes(blocks, columns[beyond])
    beyond[beyond] = _have_others(
        blocks, columns[beyond], low[beyond], high[beyond], workers
    )
    values = np.full((2, blocks.n_features), np.nan, some.dtype)
    values[:, columns[~beyond]] = low[~beyond], high[~beyond]
    return values[0], values[1]


def _have_others(
    blocks: RowBlocks,
    columns: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    workers: Workers,
) -> np.ndarray:
    """Return which of these columns have other values than `low` and `high`."""
    others = np.zeros(columns.size, bool)
    every = slice(None) if columns.size == blocks.n_features else columns

    def search(block: Block) -> None:
        X = block.X[:, every]
        other = low != X
        other &= high != X
        # Quicker than a search by column, which is seldom needed.
        if other.any():
            # Threads only ever write True.
            others[other.any(axis=0)] = True

    if columns.size:
        blocks.for_each(search, workers)
    return others


def _of_sparse(blocks: RowBlocks) -> tuple[np.ndarray, np.ndarray]:
    """Return the two values of sparse columns; values that are not stored are 0.

    Two different values other than 0 are kept for each column. A column that has a
    third one is dropped.
    """
    n_features, dtype = blocks.n_features, blocks.blocks[0].X.dtype
    # 0 means that no such value was found yet.
    one, two = np.zeros(n_features, dtype), np.zeros(n_features, dtype)
    dropped = np.zeros(n_features, bool)
    for X in (block.X for block in blocks.blocks):
        if dropped.all():
            return (np.full(n_features, np.nan, dtype),) * 2
        kept = ~dropped[X.indices] & (X.data != 0.0)
        columns, values = X.indices[kept], X.data[kept]
        for found in (one, two):
            last = np.zeros(n_features, dtype)
            last[columns] = values
            np.copyto(found, last, where=found == 0.0)
            other = values != found[columns]
            columns, values = columns[other], values[other]
        dropped[columns] = True
    has_zero = _have_zeros(blocks)
    # A column without a second value has its first one twice, one without any has 0.
    two[(two == 0.0) & ~has_zero] = one[(two == 0.0) & ~has_zero]
    dropped |= has_zero & (two != 0.0)
    values = np.sort([one, two], axis=0)
    values[:, dropped] = np.nan
    return values[0], values[1]


def _have_zeros(blocks: RowBlocks) -> np.ndarray:
    """Return which columns of sparse rows have a 0, stored or not."""
    n_nonzero = np.zeros(blocks.n_features)
    for X in (block.X for block in blocks.blocks):
        is_nonzero = (X.data != 0.0).astype(np.float64)
        n_nonzero += transposed(X, is_nonzero) @ np.ones(X.shape[0])
    return n_nonzero < blocks.n_rows
