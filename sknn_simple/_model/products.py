"""The matrix products of the networks, each in the form that is faster on average.

A product and its transpose hold the same numbers, but OpenBLAS multiplies in tiles that
are not square. With few outputs the ratio of their times is between 0.5 and 1.7, and
depends on the processor. The ratios below are geometric means over 14 shapes, from
(150, 4) with 3 outputs to (1024, 784) with 10, and over the kernels for AVX2 and
AVX-512, on one core.
"""

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, transposed


def product(X: Features, W: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return X W; sparse products cannot be written into `out`."""
    if sparse.issparse(X):
        return X @ W
    return np.matmul(X, W, out=out)


def raw_product(X: Features, W: np.ndarray) -> np.ndarray:
    """Return X W in float64 and Fortran order.

    Softmax needs the largest entry and the sum of every row. For short rows that is 5
    times as fast if columns, not rows, are contiguous. The transposed form takes 0.93
    of the time in float64, and 1.10 in float32.
    """
    if sparse.issparse(X) or X.dtype == np.float32:
        found = X @ W
    else:
        found = np.matmul(W.T, X.T).T
    return np.asarray(found, dtype=np.float64, order="F")


def add_product(total: np.ndarray, X: Features, delta: np.ndarray) -> None:
    """Add Xᵀ delta to `total`, in float64 also if the product is in float32."""
    total += (transposed(X) if sparse.issparse(X) else X.T) @ delta


def product_back(
    delta: np.ndarray, W: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return δ Wᵀ.

    With one output ``np.matmul`` does not call the BLAS and takes three times as long
    as ``np.dot``. Otherwise ``np.matmul`` is faster, because it does not fill `out`
    with zeros first.
    """
    multiply = np.dot if delta.shape[1] == 1 else np.matmul
    return multiply(delta, W.T, out=out)
