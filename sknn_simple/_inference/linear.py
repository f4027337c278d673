"""The Gaussian of a linear network, with and without a penalty.

Softmax does not change if a constant is added to all K outputs: without a penalty, and
for the biases in any case, the mean over the outputs is not determined. ``fit`` returns
the parameters with mean 0, and the covariance is that of these: in the directions of
the mean a constant is added to the precision, and removed from the root. With a penalty
the precision of the mean of weights is that of the prior alone. A small one would be
lost in rounding: the constant is added, too, and the root is scaled. The intercepts
on raw columns, which depend on the means of the weights, follow in ``raw.to_raw``.
"""

from typing import Any, NamedTuple

import numpy as np

from sknn_simple._inference.gaussian import RootGaussian, from_precision
from sknn_simple._inference.outputs import LinearOutputs
from sknn_simple._model.losses import by_output
from sknn_simple._training.heuristics import NO_CURVATURE

# In standard errors: with a larger gradient θ is no minimum. On 21 tables of 400 rows
# it was at most 4e-5 at the rows of the fit; at other rows of the same tables it was
# 0.3 to 6, mostly above 1.
LARGE_GRADIENT = 0.1


class Unpenalised(NamedTuple):
    """The Gaussian, and the directions that the data leave open."""

    gaussian: RootGaussian
    # (q, d): combinations of columns (and 1) that are 0 in every row.
    null: np.ndarray
    # Whether the curvature in a direction is only rounding.
    is_flat: bool


def gaussian_with_penalty(
    outputs: LinearOutputs, hessian: np.ndarray, prior: np.ndarray, free: np.ndarray
) -> RootGaussian:
    """Return the Gaussian with a prior on all weights.

    `hessian` (P, P) is the precision, with the prior (P,) on its diagonal.
    """
    K = outputs.n_outputs
    precision = hessian.reshape(-1, K, len(hessian) // K, K)
    # All outputs of a column are free, or none, and have the same prior.
    shifts = np.flatnonzero(free[::K]) if outputs.loss.shift_invariant else []
    own = prior[::K][shifts]
    added = np.array([np.trace(precision[j, :, j]) / K for j in shifts])
    for j, constant in zip(shifts, added, strict=True):
        precision[j, :, j] += constant / K
    found = from_precision(hessian, prior, free)
    root, total = found.root(), own + added
    is_known = own > 0.0
    factor = np.sqrt(np.divide(total, own, out=np.zeros_like(own), where=is_known))
    _scale_mean(root, shifts, K, factor)
    volume = np.log(total).sum() - np.log(own[is_known]).sum()
    return RootGaussian(
        root,
        found.log_determinant - float(volume),
        found.n_effective - float((added / total).sum()),
    )


def gaussian_without_penalty(
    outputs: LinearOutputs, hessian: np.ndarray, gram: np.ndarray, free: np.ndarray
) -> Unpenalised:
    """Return the Gaussian without a penalty.

    `gram` (q, q) is Σᵢ wᵢ x̃ᵢ x̃ᵢᵀ, `free` (q,) the rows of θ that are not fixed. The
    Hessian is formed in a basis of the columns' span, in which the Gram matrix is the
    identity. So dependent columns, which the Gram matrix alone shows, are told from a
    low curvature.
    """
    K, q = outputs.n_outputs, len(gram)
    scale = 1.0 / np.sqrt(np.diag(gram)[free])
    inner = gram[np.ix_(free, free)] * scale * scale[:, None]
    values, vectors = np.linalg.eigh(inner)
    vectors *= scale[:, None]
    kept = values > NO_CURVATURE * values.max(initial=0.0)
    null, basis = np.zeros((q, np.sum(~kept))), np.zeros((q, np.sum(kept)))
    null[free] = vectors[:, ~kept] / np.linalg.norm(vectors[:, ~kept], axis=0)
    basis[free] = vectors[:, kept] / np.sqrt(values[kept])
    r = basis.shape[1]
    inner = np.einsum(
        "qa,qkpl,pb->akbl", basis, hessian.reshape(q, K, q, K), basis, optimize=True
    )
    start = outputs.loss.start_curvature(K)
    n_shifts = r if outputs.loss.shift_invariant else 0
    if n_shifts:
        for a in range(r):
            inner[a, :, a] += start / K
    curvature, directions = np.linalg.eigh(inner.reshape(r * K, r * K))
    is_flat = bool(curvature.min() < NO_CURVATURE * start)
    root = directions / np.sqrt(np.maximum(curvature, NO_CURVATURE * start))
    root = (basis @ root.reshape(r, -1)).reshape(q * K, -1)
    if n_shifts:
        _scale_mean(root, np.arange(q), K, np.zeros(q))
    gaussian = RootGaussian(root, np.nan, float(r * K - n_shifts))
    return Unpenalised(gaussian, null, is_flat)


def _scale_mean(
    root: np.ndarray, rows: Any, n_outputs: int, factor: np.ndarray
) -> None:
    """Multiply the mean over the outputs in some rows of θ by a factor each."""
    by_output = root.reshape(-1, n_outputs, root.shape[1])
    mean = by_output[rows].mean(axis=1, keepdims=True)
    by_output[rows] += (factor - 1.0)[:, None, None] * mean


def gram_matrix(outputs: LinearOutputs, X: Any, weight: np.ndarray) -> np.ndarray:
    """Return Σᵢ wᵢ x̃ᵢ x̃ᵢᵀ, (q, q), with a 1 in x̃ for the bias.

    If labels have weights of their own, w is their mean.
    """
    q = outputs.n_per_output
    total = np.zeros((q, q))
    for block in outputs.blocks(X, q):
        root = np.sqrt(by_output(weight[block.rows]).mean(axis=1, keepdims=True))
        rows = outputs.with_ones(block.X) * root
        total += rows.T @ rows
    return total
