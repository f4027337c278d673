"""Columns with exactly two values, such as those of one-hot categories."""

import numpy as np
from scipy import sparse

from sknn_simple._data.moments import extremes
from sknn_simple._data.row_blocks import Block, RowBlocks
from sknn_simple._data.threads import Workers

# Columns are looked at in this number of rows first: with all of a small table this
# takes 0.05 of a fit.
FEW_ROWS = 16


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
    # measurements are then nearly free.
    some = blocks.chosen_features(blocks.some_rows)
    few = some[:: max(1, len(some) // FEW_ROWS)]
    columns = np.flatnonzero(_at_extremes(few, few.min(axis=0), few.max(axis=0)))
    some = some[:, columns]
    low, high = some.min(axis=0), some.max(axis=0)
    two = _at_extremes(some, low, high)
    columns, low, high = columns[two], low[two], high[two]
    beyond = _have_others(blocks, columns, low, high, workers)
    # The sample may lack a rare value.
    low[beyond], high[beyond] = extremes(blocks, columns[beyond])
    beyond[beyond] = _have_others(
        blocks, columns[beyond], low[beyond], high[beyond], workers
    )
    values = np.full((2, blocks.n_features), np.nan, some.dtype)
    values[:, columns[~beyond]] = low[~beyond], high[~beyond]
    return values[0], values[1]


def _at_extremes(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which columns have no other values than `low` and `high`."""
    return ((rows == low) | (rows == high)).all(axis=0)


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

    In a column with a 0 the other value is any that differs from it.
    """
    n_nonzero, other = np.zeros((2, blocks.n_features))
    for X in (block.X for block in blocks.blocks):
        nonzero = X.data != 0.0
        columns, values = X.indices, X.data
        if not nonzero.all():
            columns, values = columns[nonzero], values[nonzero]
        n_nonzero += np.bincount(columns, minlength=blocks.n_features)
        other[columns] = values
    low, high = np.minimum(other, 0.0), np.maximum(other, 0.0)
    full = np.flatnonzero(n_nonzero == blocks.n_rows)
    low[full], high[full] = extremes(blocks, full)
    for X in (block.X for block in blocks.blocks):
        third = (X.data != low[X.indices]) & (X.data != high[X.indices])
        low[X.indices[third]] = np.nan
    high[np.isnan(low)] = np.nan
    return low, high
