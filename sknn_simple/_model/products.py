"""The matrix products of the networks, each in the form in which the BLAS is quickest.

A product and its transpose hold the same numbers, but the kernels of a BLAS work on
tiles that are longer one way than the other, and where there are few outputs the long
side may go to waste. The times named here are of one core and OpenBLAS 0.3.31.
"""

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, transposed
from sknn_simple._data.threads import has_wide_kernels

# In float32 X W is quicker than its transpose from about so many columns on: with 100
# columns and 10 outputs it takes 0.6 times as long, with 20 columns 1.2 times.
_WIDE_FEATURES = 50
# Up to so many multiply-adds OpenBLAS has kernels for AVX-512 that do without copies,
# for which the form matters less.
_SMALL_PRODUCT = 100**3


def product(X: Features, W: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return X W; sparse products cannot be written into `out`."""
    if sparse.issparse(X):
        return X @ W
    return np.matmul(X, W, out=out)


def raw_product(X: Features, W: np.ndarray) -> np.ndarray:
    """Return X W in float64 and Fortran order.

    Softmax takes the largest entry and the sum of every row. Over short rows that is 5
    times faster where each column, not each row, is contiguous.
    """
    if sparse.issparse(X) or (X.dtype == np.float32 and X.shape[1] >= _WIDE_FEATURES):
        found = X @ W
    else:
        found = np.matmul(W.T, X.T).T
    return np.asarray(found, dtype=np.float64, order="F")


def add_product(total: np.ndarray, X: Features, delta: np.ndarray) -> None:
    """Add Xᵀ delta to `total`, in float64 whatever the precision of the product."""
    if sparse.issparse(X):
        total += transposed(X) @ delta
    elif _is_quicker_transposed(X, delta):
        total += (delta.T @ X).T
    else:
        total += X.T @ delta


def _is_quicker_transposed(X: np.ndarray, delta: np.ndarray) -> bool:
    """Return whether (deltaᵀ X)ᵀ takes less time than Xᵀ delta.

    For 784 features and 10 outputs in float64 it takes 0.6 times as long with the
    kernels for AVX-512 on a Zen 5, and 1.6 times as long with those for AVX2.
    """
    if not has_wide_kernels() or X.shape[1] < 2 * delta.shape[1]:
        return False
    if X.dtype == np.float32 and not delta.flags.f_contiguous:
        return False
    return X.size * delta.shape[1] > _SMALL_PRODUCT


def product_back(
    delta: np.ndarray, W: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return δ Wᵀ.

    With one output ``np.matmul`` does not call the BLAS, and takes three times as long
    as ``np.dot``; else it is the quicker one, which does not fill `out` with zeros.
    """
    multiply = np.dot if delta.shape[1] == 1 else np.matmul
    return multiply(delta, W.T, out=out)
