r"""The Gaussian around the fitted θ, with the covariance as a root or by rows.

The precision is Σᵢ wᵢ Gᵢᵀ Λᵢ Gᵢ + D, with Λᵢ = ∂²ℓ/∂zᵢ², the Jacobian Gᵢ = ∂zᵢ/∂θ and
the diagonal D of the prior. It is the Hessian of a linear network, and the generalised
Gauss-Newton matrix of a network with a hidden layer (Schraudolph 2002), which is never
indefinite. With Λ = B Bᵀ and the rows A of √w Bᵀ G, (n K, P), it is AᵀA + D, and by the
identity of Woodbury

    C = (AᵀA + D)⁻¹ = D⁻¹ - D⁻¹ Aᵀ (I + A D⁻¹ Aᵀ)⁻¹ A D⁻¹.

``RootGaussian`` has a root R of C, C = R Rᵀ, (P, r); ``RowGaussian`` works with the
right side, in memory n K (n K + P) in place of P².

References
----------
Schraudolph, N. N. (2002). Fast curvature matrix-vector products for second-order
gradient descent. Neural Computation 14(7), 1723-1738.
MacKay, D. J. C. (1992). The evidence framework applied to classification networks.
Neural Computation 4(5), 720-736.
"""

from typing import Any

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular

from sknn_simple._inference.outputs import HiddenOutputs, OutputBlock, Outputs
from sknn_simple._model.losses import Loss


class RootGaussian:
    """A covariance C = R Rᵀ, (P, P), of θ; of fixed parameters it is 0.

    `log_determinant` is log|precision| over the free parameters, and `n_effective` is
    tr(C Σᵢ wᵢ Gᵢᵀ Λᵢ Gᵢ).
    """

    def __init__(
        self, root: np.ndarray, log_determinant: float, n_effective: float
    ) -> None:
        self._root = root
        self.log_determinant, self.n_effective = log_determinant, n_effective

    def of_outputs(self, outputs: Outputs, X: np.ndarray) -> np.ndarray:
        """Return the covariance Gᵢ C Gᵢᵀ of the raw outputs of rows, (m, K, K).

        That of softmax is the covariance of outputs less their mean.
        """
        spread = less_mean(outputs, outputs.times(X, self._root))
        return spread @ spread.transpose(0, 2, 1)

    def variance(self, J: np.ndarray) -> np.ndarray:
        """Return the variances Jᵢ C Jᵢᵀ of functions with gradients Jᵢ; J is (m, P)."""
        return np.square(J @ self._root).sum(axis=1)

    def apply(self, V: np.ndarray) -> np.ndarray:
        """Return C V for V of shape (P, m)."""
        return self._root @ (self._root.T @ V)

    def root(self) -> np.ndarray:
        """Return R with C = R Rᵀ, (P, r)."""
        return self._root


class RowGaussian:
    """The same by the rows; `variance` (P,) is D⁻¹, with 0 for fixed parameters."""

    def __init__(self, A: np.ndarray, variance: np.ndarray) -> None:
        self._prior_variance = variance
        inner = (A * variance) @ A.T
        inner.flat[:: len(inner) + 1] += 1.0
        factor = cholesky(inner, lower=True, overwrite_a=True, check_finite=False)
        # L⁻¹ A D⁻¹, (n K, P), so that C = D⁻¹ - its Gram matrix.
        self._reduction = solve_triangular(
            factor, A * variance, lower=True, overwrite_b=True, check_finite=False
        )
        inverse, _ = lapack.dtrtri(factor, lower=1)
        self.n_effective = len(A) - float(np.square(inverse).sum())
        self.log_determinant = 2.0 * float(np.log(np.diag(factor)).sum()) - float(
            np.log(variance[variance > 0.0]).sum()
        )

    def of_outputs(self, outputs: Outputs, X: np.ndarray) -> np.ndarray:
        assert isinstance(outputs, HiddenOutputs)  # the biases of others have no prior
        G = less_mean(outputs, outputs.jacobian(X))
        explained = (G.reshape(-1, outputs.size) @ self._reduction.T).reshape(
            *G.shape[:2], -1
        )
        prior = (G * self._prior_variance) @ G.transpose(0, 2, 1)
        return prior - explained @ explained.transpose(0, 2, 1)

    def variance(self, J: np.ndarray) -> np.ndarray:
        explained = np.square(J @ self._reduction.T).sum(axis=1)
        return np.maximum(np.square(J) @ self._prior_variance - explained, 0.0)

    def apply(self, V: np.ndarray) -> np.ndarray:
        return self._prior_variance[:, None] * V - self._reduction.T @ (
            self._reduction @ V
        )

    def root(self) -> np.ndarray:
        values, vectors = np.linalg.eigh(self.apply(np.eye(len(self._prior_variance))))
        return vectors * np.sqrt(np.maximum(values, 0.0))


Gaussian = RootGaussian | RowGaussian


def less_mean(outputs: Outputs, by_output: np.ndarray) -> np.ndarray:
    """Return (m, K, ·) less its mean over the outputs of softmax, which has no effect.

    With a small penalty the variance of the mean would hide that of differences.
    """
    if not outputs.loss.shift_invariant:
        return by_output
    return by_output - by_output.mean(axis=1, keepdims=True)


def from_precision(
    precision: np.ndarray, prior: np.ndarray, free: np.ndarray
) -> RootGaussian:
    """Return the Gaussian of a positive definite precision, (P, P).

    `prior` (P,) is the part D of its diagonal; parameters that are not `free` (P, bool)
    are fixed. Raises numpy.linalg.LinAlgError if it is not positive definite.
    """
    if not free.all():
        precision = precision[np.ix_(free, free)]
    # In units that make the diagonal 1, so that an extreme prior loses no digits.
    scale = 1.0 / np.sqrt(np.diag(precision))
    precision = precision * scale
    precision *= scale[:, None]
    upper = cholesky(precision, overwrite_a=True, check_finite=False)
    log_determinant = 2.0 * float(np.log(np.diag(upper) / scale).sum())
    inverse, _ = lapack.dtrtri(upper, overwrite_c=1)
    inverse *= scale[:, None]
    root = inverse
    if not free.all():
        root = np.zeros((len(free), len(inverse)))
        root[free] = inverse
    n_effective = len(inverse) - float(prior @ np.square(root).sum(axis=1))
    return RootGaussian(root, log_determinant, n_effective)


def weighted_rows(
    outputs: HiddenOutputs, block: OutputBlock, weight: np.ndarray
) -> np.ndarray:
    """Return the rows √w Bᵀ G of a block, (m K, P)."""
    G = outputs.jacobian(block.X)
    P = block.probability
    diagonal, root = outputs.loss.covariance_factors(P, weight)
    if root is not None:
        # With B = diag(√p) - p √pᵀ is Λ = diag(p) - p pᵀ = B Bᵀ.
        G -= (P[:, :, None] * G).sum(axis=1, keepdims=True)
    G *= np.sqrt(diagonal)[:, :, None]
    return G.reshape(-1, outputs.size)


def output_curvature(
    loss: Loss, probability: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return wᵢ Λᵢ of rows, (m, K, K)."""
    diagonal, root = loss.covariance_factors(probability, weight)
    curvature = diagonal[:, :, None] * np.eye(probability.shape[1])
    if root is not None:
        curvature -= root[:, :, None] * root[:, None, :]
    return curvature


def gauss_newton(
    outputs: HiddenOutputs,
    X: Any,
    weight: np.ndarray,
    prior: np.ndarray,
    free: np.ndarray,
    by_rows: bool,
) -> Gaussian:
    """Return the Gaussian of a network with a hidden layer.

    `weight` is (n,) or (n, K); `prior` the positive diagonal D, (P,). `by_rows`
    chooses the form.
    """
    blocks = outputs.blocks(X, outputs.n_outputs * outputs.size)
    if by_rows:
        A = np.vstack([weighted_rows(outputs, b, weight[b.rows]) for b in blocks])
        variance = np.divide(1.0, prior, out=np.zeros_like(prior), where=free)
        return RowGaussian(A, variance)
    precision = np.diag(prior)
    for block in blocks:
        A = weighted_rows(outputs, block, weight[block.rows])
        precision += A.T @ A
    return from_precision(precision, prior, free)
