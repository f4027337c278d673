"""Weighted mean and standard deviation of every column, block by block.

References
----------
Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing the sample
variance: analysis and recommendations. The American Statistician 37(3), 242-247
(the two-pass algorithm, and its correction term).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from sknn_simple._nn.blocks import Block, RowBlocks, Workers
from sknn_simple._nn.view import HUGE, TINY, scaled_difference

# 2 to this power is the largest power of two in float64.
_LARGEST_EXPONENT = 1023.0


def column_moments(
    blocks: RowBlocks, workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and standard deviation of each column.

    Two passes: μ = Σᵢ wᵢ xᵢ, then σ² = Σᵢ wᵢ (xᵢ - μ)². A column all of whose values
    are equal has exactly σ = 0, whatever μ is rounded to.

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
    p = blocks.n_features

    def first(block: Block, total: np.ndarray) -> float:
        total += block.X.T @ block.weight
        return 0.0

    _, mean = blocks.sum(first, (p,), workers)
    scale = np.ones(p)
    corrected, deviation = _second_pass(blocks, mean, scale, workers)
    mean = np.where(np.isfinite(corrected), corrected, mean)
    suspect = np.flatnonzero(
        ~np.isfinite(deviation)
        | (deviation > HUGE)
        | (deviation < TINY)
        | (deviation <= 1e-7 * np.abs(mean))
    )
    if suspect.size:
        _settle(blocks, mean, deviation, suspect, workers)
    return mean, deviation


def _second_pass(
    blocks: RowBlocks, mean: np.ndarray, scale: np.ndarray, workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean corrected for rounding, and σ, from deviations times `scale`."""
    p = blocks.n_features
    term = _sparse_term if sparse.issparse(blocks.blocks[0].X) else _dense_term

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        _, total = blocks.sum(term(mean, scale), (2, p), workers)
        drift, square = total
        deviation = np.sqrt(np.maximum(square - drift * drift, 0.0)) / scale
        return mean + drift / scale, deviation


def _dense_term(
    mean: np.ndarray, scale: np.ndarray
) -> Callable[[Block, np.ndarray], float]:
    scaled = bool(np.any(scale != 1.0))

    def term(block: Block, total: np.ndarray) -> float:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            difference = np.empty(block.X.shape)
            if scaled:
                scaled_difference(block.X, mean, scale, out=difference)
            else:
                np.subtract(block.X, mean, out=difference)
            total[0] += block.weight @ difference
            np.multiply(difference, difference, out=difference)
            total[1] += block.weight @ difference
        return 0.0

    return term


def _sparse_term(
    mean: np.ndarray, scale: np.ndarray
) -> Callable[[Block, np.ndarray], float]:
    def term(block: Block, total: np.ndarray) -> float:
        X, p = block.X, mean.size
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            weight = np.repeat(block.weight, np.diff(X.indptr))
            difference = (X.data - mean[X.indices]) * scale[X.indices]
            at_zero = block.weight.sum() - np.bincount(X.indices, weight, p)
            # The difference of two sums that are equal is rounding, not 0.
            at_zero[np.bincount(X.indices, minlength=p) == X.shape[0]] = 0.0
            zero = -mean * scale
            total[0] += np.bincount(X.indices, weight * difference, p) + at_zero * zero
            total[1] += (
                np.bincount(X.indices, weight * difference**2, p) + at_zero * zero**2
            )
        return 0.0

    return term


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
        with np.errstate(over="ignore"):
            near = np.maximum(high - mean, mean - low)[extreme]
        reach = np.where(np.isfinite(near) & (near > 0.0), near, reach)
        scale = np.ones(blocks.n_features)
        # The nearest power of two: scaling by it is exact.
        exponent = np.minimum(-np.round(np.log2(reach)), _LARGEST_EXPONENT)
        scale[extreme] = np.exp2(exponent)
        _, rescaled = _second_pass(blocks, mean, scale, workers)
        deviation[extreme] = rescaled[extreme]


def _dense(row: Any) -> np.ndarray:
    return row.toarray().ravel() if sparse.issparse(row) else row
