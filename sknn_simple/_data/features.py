"""The transform that centres, scales and rounds features, and sparse helpers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from scipy import sparse

# A dense array or a CSR matrix or array of shape (n_rows, n_features).
Features = Any
# Memory order of an array: row after row, or column after column.
Order = Literal["C", "F"]


# NumPy starts a new inner loop for each row. Therefore short rows are joined into rows
# of about this number of values, if there are more rows. With 20 columns this takes 0.6
# of the time.
_LONG_ROW = 1024


@dataclass(eq=False)
class FeatureTransform:
    """x ↦ (x - center) ∘ scale, optionally rounded to a grid.

    Rounding makes the features bit-identical in all units of a column. Without it
    features in metres and in feet differ in their last digits, which can lead a network
    to another local minimum.

    Sparse features are only scaled, because centring would fill them. `sparse_shift` is
    what centring would still subtract.

    Parameters
    ----------
    center, scale : ndarray of shape (n_features,)
        In float64. A column with scale 0 becomes 0.
    step : float or None, default=None
        Float64 features are rounded to multiples of `step`, a power of two. None does
        not round.
    """

    center: np.ndarray
    scale: np.ndarray
    step: float | None = None

    @property
    def rounds(self) -> bool:
        return self.step is not None

    @property
    def sparse_shift(self) -> np.ndarray:
        """The shift (n_features,) that centring would subtract from sparse X."""
        return self._rounded(self.center * self.scale)

    def of(self, columns: slice) -> Self:
        return type(self)(self.center[columns], self.scale[columns], self.step)

    def without_rounding(self) -> Self:
        return type(self)(self.center, self.scale)

    def __call__(self, X: Features, out: np.ndarray | None = None) -> Features:
        """Return transformed features; `out`, for dense ones only, may be wider."""
        if sparse.issparse(X):
            center, scale = self.center[X.indices], self.scale[X.indices]
            # After `sparse_shift` is subtracted, these equal rounded centred features.
            values = self._rounded((X.data - center) * scale)
            values += self.sparse_shift[X.indices]
            return with_values(X, values.astype(X.dtype, copy=False))
        transformed = np.empty(X.shape, X.dtype) if out is None else out
        center, scale = (
            a.astype(transformed.dtype, copy=False) for a in (self.center, self.scale)
        )
        scaled_difference(X, center, scale, out=transformed)
        return self._rounded(transformed)

    def dense(self, X: Features) -> np.ndarray:
        """Return transformed features as a dense float64 array, also of sparse X."""
        return self(np.asarray(X.toarray() if sparse.issparse(X) else X, np.float64))

    def moments(
        self, mean: np.ndarray, deviation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the transformed columns."""
        return (mean - self.center) * self.scale, deviation * self.scale

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        if self.step is not None:
            # The spacing of float64 numbers of this size is one step, so the addition
            # rounds. That takes two passes; dividing, rounding, multiplying take three.
            size = 1.5 * 2.0**52 * self.step
            values += size
            values -= size
        return values


def equal_rows(
    X: Features, most: float = np.inf
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the first of each set of equal rows, and the number of each row's set.

    Returns None as soon as there are more than `most` sets.
    """
    numbers: dict[bytes, int] = {}
    of_row = np.empty(X.shape[0], dtype=np.intp)
    for i, key in enumerate(_row_keys(X)):
        of_row[i] = numbers.setdefault(key, len(numbers))
        if len(numbers) > most:
            return None
    return np.unique(of_row, return_index=True)[1], of_row


def _row_keys(X: Features) -> Iterator[bytes]:
    """Yield the bytes of each row: the same for rows that are stored alike."""
    if not sparse.issparse(X):
        yield from (row.tobytes() for row in X)
        return
    for pair in pairwise(X.indptr):
        part = slice(*pair)
        yield X.indices[part].tobytes() + X.data[part].tobytes()


def with_values(X: Features, values: np.ndarray) -> Features:
    """Return a CSR matrix with other values at the same indices, which are not copied.

    SciPy's constructor would copy the indices of a block, a view of a larger array.
    """
    other = sparse.csr_array(X.shape, dtype=values.dtype)
    other.data, other.indices, other.indptr = values, X.indices, X.indptr
    return other


def transposed(X: Features, data: np.ndarray | None = None) -> Features:
    """Return Xᵀ of a CSR matrix; ``X.T`` would copy its values.

    `data`, (nnz,), replaces the values.
    """
    csc = sparse.csc_array(X.shape[::-1], dtype=X.dtype)
    csc.data = X.data if data is None else data
    csc.indices, csc.indptr = X.indices, X.indptr
    return csc


def scaled_difference(
    X: np.ndarray, mean: np.ndarray, scale: np.ndarray, out: np.ndarray
) -> None:
    """Write (x - mean) * scale into `out`, several short rows at a time."""
    together = _LONG_ROW // X.shape[1]
    contiguous = X.flags.c_contiguous and out.flags.c_contiguous
    if together > 1 and X.shape[0] > _LONG_ROW and contiguous:
        whole = X.shape[0] // together * together
        longer = (-1, together * X.shape[1])
        rows = out[:whole].reshape(longer)
        np.subtract(X[:whole].reshape(longer), np.tile(mean, together), out=rows)
        rows *= np.tile(scale, together)
        X, out = X[whole:], out[whole:]
    np.subtract(X, mean, out=out)
    out *= scale
