"""The matrix products of the networks, each in one form that is quick on average.

A product and its transpose hold the same numbers, but an OpenBLAS multiplies in tiles
that are longer one way than the other. If there are few outputs, the two forms take 0.5
to 1.7 times as long as each other, and which is quicker depends on the processor. The
ratios named here are geometric means over 14 shapes, from (150, 4) by 3 outputs to
(1024, 784) by 10, and over the kernels for AVX2 and AVX-512, on one core.
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

    Softmax takes the largest entry and the sum of every row. Over short rows that is 5
    times faster if each column, not each row, is contiguous. In float64 the transposed
    form takes 0.93 times as long, in float32 1.10 times.
    """
    if sparse.issparse(X) or X.dtype == np.float32:
        found = X @ W
    else:
        found = np.matmul(W.T, X.T).T
    return np.asarray(found, dtype=np.float64, order="F")


def add_product(total: np.ndarray, X: Features, delta: np.ndarray) -> None:
    """Add Xᵀ delta to `total`, in float64 whatever the precision of the product.

    For delta of the outputs, which is in Fortran order, the transposed form takes 0.97
    times as long; for that of a hidden layer, in C order, 1.03 times.
    """
    if sparse.issparse(X):
        total += transposed(X) @ delta
    elif delta.flags.f_contiguous:
        total += (delta.T @ X).T
    else:
        total += X.T @ delta


def product_back(
    delta: np.ndarray, W: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return δ Wᵀ.

    If there is one output, ``np.matmul`` does not call the BLAS and takes three times
    as long as ``np.dot``. Otherwise ``np.matmul`` is the quicker one, because it does
    not fill `out` with zeros first.
    """
    multiply = np.dot if delta.shape[1] == 1 else np.matmul
    return multiply(delta, W.T, out=out)
