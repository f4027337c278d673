"""Weighted mean and standard deviation of every column, block by block.

References
----------
Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing the sample
variance: analysis and recommendations. The American Statistician 37(3), 242-247
(shifted data, and the correction term of the two-pass algorithm).
"""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, transposed
from sknn_simple._data.row_blocks import Block, RowBlocks, Workspace
from sknn_simple._data.threads import Workers

# Squares of values up to this size, and of columns scaled to deviation 1, stay in the
# range of float64. No measurement has larger values.
LARGEST_VALUE = 1e100
# Squares of smaller deviations, times weights of rows, would underflow.
SMALLEST_DEVIATION = 1e-140
# If |shift - mean| is more than this number of σ, σ² has lost two digits.
FAR = 10.0
# A column whose range, relative to its values, is at most this is constant but for
# rounding. A sum of p terms has errors of about √p/2 times ε: the range of 32 ε is that
# of a thousand terms. float32 has only 8 ε, because 1e7 + 10 is data, not rounding.
ROUNDING = {np.dtype(np.float64): 2.0**-47, np.dtype(np.float32): 2.0**-20}


def column_moments(
    blocks: RowBlocks, workers: Workers, precision: np.dtype | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and standard deviation of each column.

    One pass computes δ = Σᵢ wᵢ (xᵢ - c), σ² = Σᵢ wᵢ (xᵢ - c)² - δ² and μ = c + δ. The
    shift c is the mean of some of the rows, or 0 for sparse data. σ² loses a factor
    (δ/σ)² of its precision: about 1e-3 if c is a mean of 1000 rows. If it is above 100,
    a second pass with c = μ follows.

    `precision` is the dtype that the values had before they were converted, if any.

    Returns
    -------
    mean, deviation : ndarray of shape (n_features,), float64
        The deviation is exactly 0 if all values of a column are equal but for rounding,
        and if it is below 1e-140.

    Raises
    ------
    ValueError
        If an entry is NaN, or its absolute value above 1e100. The message names its
        column.
    """
    rounding = ROUNDING[precision or blocks.dtype]
    with np.errstate(all="ignore"):
        shift = _first_shift(blocks)
        mean, deviation = _shifted_moments(blocks, shift, workers)
        _refuse_huge_values(blocks, shift, mean, deviation)
        constant = _settle_constant_columns(blocks, mean, deviation, rounding)
        if np.any(~constant & (np.abs(mean - shift) > FAR * deviation)):
            mean, deviation = _shifted_moments(blocks, mean, workers)
            _settle_constant_columns(blocks, mean, deviation, rounding)
    deviation[deviation < SMALLEST_DEVIATION] = 0.0
    return mean, deviation


def _first_shift(blocks: RowBlocks) -> np.ndarray:
    """Return 0 for sparse columns, else the weighted mean of evenly spaced rows.

    The mean of a sparse column is usually near 0. A shift of 0 halves the time of the
    pass, because the shift of every stored value need not be looked up.
    """
    if sparse.issparse(blocks.blocks[0].X):
        return np.zeros(blocks.n_features)
    weight = blocks.weight[blocks.some_rows]
    # If all these rows have weight 0, their unweighted mean is near enough.
    if not weight.any():
        weight = np.ones_like(weight)
    return blocks.chosen_features(blocks.some_rows).T @ (weight / weight.sum())


def _shifted_moments(
    blocks: RowBlocks, shift: np.ndarray, workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return μ and σ, from differences to `shift`."""
    if sparse.issparse(blocks.blocks[0].X):
        term = _sparse_term(shift)
    else:
        term = _dense_term(shift, blocks.sizes.difference_bytes)
    _, (drift, square) = blocks.sum(term, (2, blocks.n_features), workers)
    return shift + drift, np.sqrt(np.maximum(square - drift * drift, 0.0))


def _dense_term(
    shift: np.ndarray, buffer_bytes: int
) -> Callable[[Block, np.ndarray], float]:
    step = max(1, buffer_bytes // (8 * shift.size))
    # Memory allocated for each block would take a fifth of the time.
    workspace = Workspace()

    def term(block: Block, total: np.ndarray) -> float:
        for start in range(0, len(block.X), step):
            X = block.X[start : start + step]
            weight = block.weight[start : start + step]
            difference = workspace.array("difference", X.shape, np.dtype(np.float64))
            np.subtract(X, shift, out=difference)
            total[0] += weight @ difference
            np.multiply(difference, difference, out=difference)
            total[1] += weight @ difference
        return 0.0

    return term


def _sparse_term(shift: np.ndarray) -> Callable[[Block, np.ndarray], float]:
    shifted = bool(shift.any())

    def term(block: Block, total: np.ndarray) -> float:
        X = block.X
        difference = X.data.astype(np.float64, copy=False)
        if shifted:
            difference = difference - shift[X.indices]
            at_zero = _weight_of_zeros(X, block.weight)
            total[0] -= at_zero * shift
            total[1] += at_zero * shift**2
        total[0] += transposed(X, difference) @ block.weight
        total[1] += transposed(X, difference * difference) @ block.weight
        return 0.0

    return term


def _weight_of_zeros(X: Features, weight: np.ndarray) -> np.ndarray:
    """Return, per column, the weight of the rows that store no value."""
    of_zeros = weight.sum() - transposed(X, np.ones(X.nnz)) @ weight
    # If all rows store a value, the difference of equal sums may be rounding, not 0.
    of_zeros[np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0]] = 0.0
    return of_zeros


def _refuse_huge_values(
    blocks: RowBlocks, shift: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> None:
    """Raise ValueError if an entry is NaN, or its absolute value above LARGEST_VALUE.

    Every row has wᵢ (xᵢ - c)² ≤ σ² + δ², which bounds its values. Columns are searched
    only if this bound is above LARGEST_VALUE or not finite: searching all columns would
    take a third of the time of the moments.
    """
    bound = np.hypot(deviation, mean - shift) / np.sqrt(blocks.weight.min())
    suspect = np.flatnonzero(~(np.abs(shift) + bound <= LARGEST_VALUE))
    low, high = extremes(blocks, suspect)
    largest = np.where(high > -low, high, low)
    huge = ~(np.abs(largest) <= LARGEST_VALUE)
    if huge.any():
        first = np.argmax(huge)
        _refuse("X", int(suspect[first]), float(largest[first]))


def check_values(name: str, X: Features) -> None:
    """Raise ValueError for a value that ``column_moments`` would refuse."""
    if not max(float(X.max()), -float(X.min())) <= LARGEST_VALUE:
        row, column = np.unravel_index(abs(X).argmax(), X.shape)
        _refuse(name, int(column), float(X[row, column]))


def _refuse(name: str, column: int, value: float) -> NoReturn:
    if np.isnan(value):  # which scikit-learn's ``assume_finite`` lets pass
        raise ValueError(f"Input {name} contains NaN, in column {column}.")
    raise ValueError(
        f"Column {column} of {name} has the value {value:g}. Absolute values above "
        f"{LARGEST_VALUE:g} are too large to fit: use another unit for this column, or "
        "remove it."
    )


def _settle_constant_columns(
    blocks: RowBlocks, mean: np.ndarray, deviation: np.ndarray, rounding: float
) -> np.ndarray:
    """Set the mean, and σ = 0, for columns of equal values; return their mask.

    Values that differ by rounding count as equal, such as 0.3 and 0.1 + 0.2. Otherwise
    such differences, and the rounding of the mean, would lead to a spurious σ > 0. The
    error of σ is about the root of that of σ².
    """
    constant = deviation <= np.sqrt(rounding) * np.abs(mean)
    low, high = extremes(blocks, np.flatnonzero(constant))
    equal = high - low <= rounding * np.abs(low)
    constant[constant] = equal
    mean[constant] = low[equal]
    deviation[constant] = 0.0
    return constant


def extremes(blocks: RowBlocks, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value of each of these columns."""
    low, high = np.full(columns.size, np.inf), np.full(columns.size, -np.inf)
    if columns.size:
        for block in blocks.blocks:
            X = block.X[:, columns]
            low = np.minimum(low, dense_row(X.min(axis=0)))
            high = np.maximum(high, dense_row(X.max(axis=0)))
    return low, high


def constant_column(X: Features, free: np.ndarray) -> tuple[int, float] | None:
    """Return the number and the value of the first constant column that is `free`."""
    low, high = (dense_row(row) for row in (X.min(axis=0), X.max(axis=0)))
    rounding = ROUNDING[X.dtype] * np.abs(low)
    return first_constant(low, high - low <= rounding, free)


def first_constant(
    value: np.ndarray, constant: np.ndarray, free: np.ndarray
) -> tuple[int, float] | None:
    """Return the number and the value of the first column that is constant and free.

    The bias is divided by it, and must not overflow: columns near 0 are skipped.
    """
    places = np.flatnonzero(constant & free & (np.abs(value) > 1.0 / LARGEST_VALUE))
    return (int(places[0]), float(value[places[0]])) if places.size else None


def dense_row(row: Any) -> np.ndarray:
    """Return the minimum, maximum or sum of sparse or dense rows as an array, (p,)."""
    return row.toarray().ravel() if sparse.issparse(row) else row
