"""The Gaussian of a linear network, with and without a penalty.

Softmax does not change if a constant is added to all K outputs: without a penalty, and
for the biases in any case, the mean over the outputs is not determined. ``fit`` returns
the parameters with mean 0, and the covariance is that of these: in the directions of
the mean a constant is added to the precision, and removed from the root.

References
----------
Albert, A., Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
logistic regression models. Biometrika 71(1), 1-10.
"""

from typing import Any, NamedTuple

import numpy as np

from sknn_simple._inference.gaussian import RootGaussian, from_precision
from sknn_simple._inference.outputs import LinearOutputs

# Eigenvalues of the correlation of the columns below this fraction of the largest one
# are rounding: a column is a linear combination of others. Rounding of standardised
# columns leaves about 1e-16 times their number.
DEPENDENT = 1e-12
# A parameter is not determined if it changes by more than this along a dependence of
# columns, a vector of length 1.
MOVES = 1e-6
# Relative to the curvature at equal probabilities. Directions with a lower curvature
# are searched for a separation of the classes. Rare events and large effects have a low
# curvature, too.
SATURATED = 1e-3
# Rows may lie on the wrong side by this fraction of the largest distance: a fit stops
# before the directions are exact.
ON_THE_EDGE = 1e-2


class Estimable(NamedTuple):
    """The Gaussian, and the directions that the data leave open."""

    gaussian: RootGaussian
    # (q, d): combinations of columns (and 1) that are 0 in every row.
    null: np.ndarray


def penalised(
    outputs: LinearOutputs, hessian: np.ndarray, prior: np.ndarray, free: np.ndarray
) -> RootGaussian:
    """Return the Gaussian with a prior on all weights.

    `hessian` (P, P) is the precision, with the prior (P,) on its diagonal.
    """
    K = outputs.n_outputs
    precision = hessian.reshape(-1, K, len(hessian) // K, K)
    shifts = np.zeros(0, np.intp)
    if outputs.loss.shift_invariant:
        open_ = free & (prior == 0.0)
        shifts = np.flatnonzero(open_.reshape(-1, K).all(axis=1))
    added = np.array([np.trace(precision[j, :, j]) / K for j in shifts])
    for j, constant in zip(shifts, added, strict=True):
        precision[j, :, j] += constant / K
    found = from_precision(hessian, prior, free)
    root = found.root()
    _remove_mean(root, shifts, K)
    return RootGaussian(
        root,
        found.log_determinant - float(np.log(added).sum()),
        found.n_effective - len(shifts),
    )


def classical(
    outputs: LinearOutputs, hessian: np.ndarray, gram: np.ndarray, free: np.ndarray
) -> tuple[Estimable, np.ndarray]:
    """Return the Gaussian without a penalty, and the directions of low curvature.

    `gram` (q, q) is Σᵢ wᵢ x̃ᵢ x̃ᵢᵀ, `free` (q,) the rows of θ that are not fixed. The
    Hessian is formed in a basis of the columns' span, in which the Gram matrix is the
    identity. So dependent columns, which the Gram matrix alone shows, are told from
    separable classes, which take the curvature away.

    Returns
    -------
    found : Estimable
        The Gaussian, and the dependences.
    low : ndarray of shape (P, m)
        θ projected on the m directions whose curvature is nearly lost: on the one with
        the lowest, on the two with the lowest, and so on.
    """
    K, q = outputs.n_outputs, len(gram)
    scale = 1.0 / np.sqrt(np.diag(gram)[free])
    inner = gram[np.ix_(free, free)] * scale * scale[:, None]
    values, vectors = np.linalg.eigh(inner)
    vectors *= scale[:, None]
    kept = values > DEPENDENT * values.max(initial=0.0)
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
    coordinates = (basis.T @ gram) @ outputs.theta.reshape(q, K)
    low = directions[:, curvature < SATURATED * start]
    projected = np.cumsum(low * (coordinates.reshape(-1) @ low), axis=1)
    # Even at a probability of 1 - 1e-16 the curvature is positive.
    tiny = np.finfo(np.float64).tiny
    root = directions / np.sqrt(np.maximum(curvature, tiny))
    root = (basis @ root.reshape(r, -1)).reshape(q * K, -1)
    _remove_mean(root, np.arange(q) if n_shifts else np.zeros(0, np.intp), K)
    gaussian = RootGaussian(root, np.nan, float(r * K - n_shifts))
    return Estimable(gaussian, null), (basis @ projected.reshape(r, -1)).reshape(
        q * K, -1
    )


def _remove_mean(root: np.ndarray, rows: np.ndarray, n_outputs: int) -> None:
    """Subtract the mean over the outputs from some rows of θ, in place."""
    by_output = root.reshape(-1, n_outputs, root.shape[1])
    by_output[rows] -= by_output[rows].mean(axis=1, keepdims=True)


def gram_matrix(outputs: LinearOutputs, X: Any, weight: np.ndarray) -> np.ndarray:
    """Return Σᵢ wᵢ x̃ᵢ x̃ᵢᵀ, (q, q), with a 1 in x̃ for the bias."""
    q = outputs.n_rows_of_theta
    total = np.zeros((q, q))
    for block in outputs.blocks(X, q):
        rows = outputs.with_ones(block.X) * np.sqrt(weight[block.rows])[:, None]
        total += rows.T @ rows
    return total


def separating(
    outputs: LinearOutputs, X: Any, codes: np.ndarray, directions: np.ndarray
) -> np.ndarray | None:
    """Return the first of some directions of θ that never raises the loss of a row.

    J then has no minimum: it falls for ever along the direction (Albert and Anderson
    1984). `codes` are class codes (n,), or zeros and ones (n, K); `directions` are the
    columns of a matrix, (P, m). None if there is no such direction.
    """
    count = directions.shape[1]
    if not count:
        return None
    n_margins = 1 if codes.ndim == 1 else codes.shape[1]
    worst, largest = np.full((n_margins, count), np.inf), np.zeros((n_margins, count))
    for block in outputs.blocks(X, outputs.floats_per_row(count)):
        raw = outputs.times(block.X, directions)
        y = codes[block.rows]
        if codes.ndim == 1:
            own = raw[np.arange(len(y)), y]
            raw[np.arange(len(y)), y] = -np.inf
            margin = (own - raw.max(axis=1))[:, None]
        else:
            margin = (2.0 * y - 1.0)[:, :, None] * raw
        worst = np.minimum(worst, margin.min(axis=0))
        largest = np.maximum(largest, np.abs(margin).max(axis=0))
    found = np.any((largest > 0.0) & (worst >= -ON_THE_EDGE * largest), axis=0)
    return directions[:, found.argmax()] if found.any() else None
