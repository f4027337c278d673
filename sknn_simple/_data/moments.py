"""Weighted mean and standard deviation of every column, block by block.

References
----------
Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing the sample
variance: analysis and recommendations. The American Statistician 37(3), 242-247
(shifted data, and the correction term of the two-pass algorithm).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from sknn_simple._data.features import (
    HUGE,
    TINY,
    Features,
    scaled_difference,
    transposed,
)
from sknn_simple._data.row_blocks import Block, RowBlocks, Workspace
from sknn_simple._data.threads import Workers

# 2 to this power is the largest power of two in float64.
_LARGEST_EXPONENT = 1023.0
# Rows, spread evenly, whose mean all rows are measured from; of fewer than twice as
# many it is the mean of all.
SHIFT_ROWS = 1000
# Where the mean is this many deviations off, σ² has lost two digits.
FAR = 10.0
# Below this part of the mean a deviation may be rounding.
NEARLY_CONSTANT = 1e-7
# Differences that are made at a time. A fourth would stay in a core's own cache, but
# two threads then wait longer for Python's lock: it took 1.0 to 1.3 times as long.
DIFFERENCE_BYTES = 2**22
# Below this part of the weight, zeros of a sparse column may be rounding.
NEARLY_FULL = 1e-9


def column_moments(
    blocks: RowBlocks, workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and standard deviation of each column.

    One pass, for δ = Σᵢ wᵢ (xᵢ - c) and σ² = Σᵢ wᵢ (xᵢ - c)² - δ², μ = c + δ, where c
    is the mean of some of the rows, or 0 for sparse data. σ² loses (δ/σ)² in precision,
    1e-3 where c is a mean of 1000 rows and at most 100; where it is more, there is a
    second pass. A column all of whose values are equal has exactly σ = 0, whatever c is
    rounded to.

    Parameters
    ----------
    blocks : RowBlocks
        Data whose weights sum to 1.
    workers : Workers
        Threads.

    Returns
    -------
    mean, deviation : ndarray of shape (n_features,), float64
    """
    scale = np.ones(blocks.n_features)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        shift = _first_shift(blocks)
        mean, deviation = _shifted_moments(blocks, shift, scale, workers)
        suspect = (
            ~np.isfinite(deviation)
            | (deviation > HUGE)
            | (deviation < TINY)
            | (deviation <= NEARLY_CONSTANT * np.abs(mean))
        )
        if np.any(~suspect & (np.abs(mean - shift) > FAR * deviation)):
            shift = np.where(suspect, shift, mean)
            mean, deviation = _shifted_moments(blocks, shift, scale, workers)
            # Of a constant column the first pass may have left more than that.
            suspect |= deviation <= NEARLY_CONSTANT * np.abs(mean)
        if suspect.any():
            mean = np.where(np.isfinite(mean), mean, shift)
            _settle(blocks, mean, deviation, np.flatnonzero(suspect), workers)
    return mean, deviation


def row_squares(
    blocks: RowBlocks, center: np.ndarray, scale: np.ndarray, workers: Workers
) -> np.ndarray:
    """Return Σⱼ ((xᵢⱼ - centerⱼ) scaleⱼ)² of every row, (n_rows,) in float64.

    Of sparse data only stored values count, as if they were far from the center.
    """
    squares = np.empty(blocks.n_rows)
    workspace = Workspace()

    def fill(block: Block) -> None:
        X = blocks.features(block, workspace)
        if sparse.issparse(X):
            of_values = (X.data * scale[X.indices]) ** 2
            row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
            squares[block.rows] = np.bincount(row, of_values, X.shape[0])
            return
        seen = workspace.array("scaled", X.shape, np.dtype(np.float64))
        scaled_difference(X, center, scale, out=seen)
        np.einsum("ij,ij->i", seen, seen, out=squares[block.rows])

    with np.errstate(over="ignore", under="ignore"):
        blocks.for_each(fill, workers)
    return squares


def _first_shift(blocks: RowBlocks) -> np.ndarray:
    """Return 0 for sparse columns, else the weighted mean of rows spread evenly.

    A sparse column is near 0 where it is sparse, and its stored values need then not
    be looked up a shift for: half of the time.
    """
    if sparse.issparse(blocks.blocks[0].X):
        return np.zeros(blocks.n_features)
    some = slice(None, None, max(1, blocks.n_rows // SHIFT_ROWS))
    weight = blocks.weight[some]
    # Weights may be 0 in all of these rows; any mean near the values will do.
    if not weight.any():
        weight = np.ones_like(weight)
    return blocks.chosen_features(some).T @ (weight / weight.sum())


def _shifted_moments(
    blocks: RowBlocks, shift: np.ndarray, scale: np.ndarray, workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return μ and σ, from deviations from `shift` times `scale`."""
    term = _sparse_term if sparse.issparse(blocks.blocks[0].X) else _dense_term
    _, total = blocks.sum(term(shift, scale), (2, blocks.n_features), workers)
    drift, square = total
    deviation = np.sqrt(np.maximum(square - drift * drift, 0.0)) / scale
    return shift + drift / scale, deviation


def _dense_term(
    shift: np.ndarray, scale: np.ndarray
) -> Callable[[Block, np.ndarray], float]:
    scaled = bool(np.any(scale != 1.0))
    step = max(1, DIFFERENCE_BYTES // (8 * shift.size))
    # Memory of the system that is new each time costs a fifth of the whole.
    workspace = Workspace()

    def add(X: np.ndarray, weight: np.ndarray, total: np.ndarray) -> None:
        difference = workspace.array("difference", X.shape, np.dtype(np.float64))
        if scaled:
            scaled_difference(X, shift, scale, out=difference)
        else:
            np.subtract(X, shift, out=difference)
        total[0] += weight @ difference
        np.multiply(difference, difference, out=difference)
        total[1] += weight @ difference

    def term(block: Block, total: np.ndarray) -> float:
        for start in range(0, len(block.X), step):
            part = slice(start, start + step)
            add(block.X[part], block.weight[part], total)
        return 0.0

    return term


def _sparse_term(
    shift: np.ndarray, scale: np.ndarray
) -> Callable[[Block, np.ndarray], float]:
    scaled, shifted = bool(np.any(scale != 1.0)), bool(shift.any())
    zero = -shift * scale

    def term(block: Block, total: np.ndarray) -> float:
        X = block.X
        difference = X.data.astype(np.float64, copy=False)
        if shifted:
            difference = difference - shift[X.indices]
        if scaled:
            difference = difference * scale[X.indices]
        total[0] += transposed(X, difference) @ block.weight
        total[1] += transposed(X, difference * difference) @ block.weight
        if shifted:
            at_zero = _weight_of_zeros(X, block.weight)
            total[0] += at_zero * zero
            total[1] += at_zero * zero**2
        return 0.0

    return term


def _weight_of_zeros(X: Features, weight: np.ndarray) -> np.ndarray:
    """Return, per column, the weight of the rows in which nothing is stored."""
    whole = weight.sum()
    of_zeros = whole - transposed(X, np.ones(X.nnz)) @ weight
    if of_zeros.min() < NEARLY_FULL * whole:
        # The difference of two sums that are equal is rounding, not 0.
        stored = np.bincount(X.indices, minlength=X.shape[1])
        of_zeros[stored == X.shape[0]] = 0.0
    return of_zeros


def _settle(
    blocks: RowBlocks,
    mean: np.ndarray,
    deviation: np.ndarray,
    suspect: np.ndarray,
    workers: Workers,
) -> None:
    """Decide in place which suspect columns are constant; rescale the others' squares.

    A constant column's mean may differ from its value by rounding, which would leave a
    spurious σ > 0; a column of extreme size has squares out of float64's range.
    """
    low = np.full(blocks.n_features, np.inf)
    high = np.full(blocks.n_features, -np.inf)
    for block in blocks.blocks:
        columns = block.X[:, suspect]
        low[suspect] = np.minimum(low[suspect], _dense(columns.min(axis=0)))
        high[suspect] = np.maximum(high[suspect], _dense(columns.max(axis=0)))
    constant = low == high
    mean[constant] = low[constant]
    deviation[constant] = 0.0
    extreme = suspect[~constant[suspect]]
    if extreme.size:
        reach = np.maximum(np.abs(high), np.abs(low))[extreme]
        near = np.maximum(high - mean, mean - low)[extreme]
        reach = np.where(np.isfinite(near) & (near > 0.0), near, reach)
        scale = np.ones(blocks.n_features)
        # The nearest power of two: scaling by it is exact.
        exponent = np.minimum(-np.round(np.log2(reach)), _LARGEST_EXPONENT)
        scale[extreme] = np.exp2(exponent)
        settled = _shifted_moments(blocks, mean, scale, workers)
        for moment, rescaled in zip((mean, deviation), settled, strict=True):
            moment[extreme] = rescaled[extreme]


def _dense(row: Any) -> np.ndarray:
    return row.toarray().ravel() if sparse.issparse(row) else row
