r"""Probabilities averaged over the Gaussian, and their intervals.

z has the covariance V = G C Gᵀ, (K, K), in a row. For a Bernoulli output
E σ(z) ≈ σ(κ z) with κ = 1/√(1 + π v/8) (MacKay 1992). For softmax the same is done with
the differences of outputs, of variance v_kj = V_kk + V_jj - 2 V_kj (Lu et al. 2020):

    E p_k ≈ 1 / Σ_j exp((z_j - z_k) / √(1 + π v_kj/8)),   normalised.

With two classes both are the same, and a shift of all outputs changes nothing.

References
----------
MacKay, D. J. C. (1992). The evidence framework applied to classification networks.
Neural Computation 4(5), 720-736.
Lu, Z., Ie, E., Sha, F. (2020). Mean-field approximation to Gaussian-softmax integral
with application to uncertainty estimation. arXiv:2006.07584.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from sknn_simple._inference.core import Inference
from sknn_simple._inference.gaussian import Gaussian
from sknn_simple._inference.outputs import OutputBlock
from sknn_simple._model.losses import Loss


def with_covariance(
    inference: Inference, gaussian: Gaussian, X: Any
) -> Iterator[tuple[OutputBlock, np.ndarray]]:
    """Yield blocks of X with the covariance of the raw outputs, (m, K, K)."""
    outputs = inference.outputs
    # The size of the Jacobian: a root of the covariance has no more columns.
    for block in outputs.blocks(X, outputs.n_outputs * outputs.size):
        yield block, gaussian.of_outputs(outputs, block.X)


def averaged_outputs(inference: Inference, X: Any, tempering: float) -> np.ndarray:
    """Return the raw outputs of the averaged probabilities, (n, K).

    `tempering` multiplies the covariance.
    """
    found = np.empty((X.shape[0], inference.outputs.n_outputs), order="F")
    for block, V in with_covariance(inference, inference.gaussian, X):
        loss = inference.outputs.loss
        found[block.rows] = averaged(loss, block.raw, tempering * V)
    return found


def averaged(loss: Loss, raw: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return raw outputs with the mean probabilities of Gaussian ones, (m, K)."""
    variance = np.diagonal(V, axis1=1, axis2=2)
    if not loss.shift_invariant:
        return raw * _shrinkage(variance)
    # The differences are exact also if the mean of the outputs is not determined.
    spread = variance[:, :, None] + variance[:, None, :] - 2.0 * V
    odds = raw[:, :, None] - raw[:, None, :]
    odds *= _shrinkage(spread)
    # 1 / Σ_j exp(-d_kj), from the smallest exponent: no overflow.
    least = odds.min(axis=2, keepdims=True)
    return least[:, :, 0] - np.log(np.exp(least - odds).sum(axis=2))


def _shrinkage(variance: np.ndarray) -> np.ndarray:
    """κ = 1/√(1 + π v/8)."""
    return 1.0 / np.sqrt(1.0 + np.pi / 8.0 * np.maximum(variance, 0.0))


def logit_intervals(
    inference: Inference, X: Any, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper limits of the logits of the K probabilities, (n, K).

    The gradient of the logit of p_k of softmax is e_k - Σ_{j≠k} p_j/(1 - p_k) e_j.
    `width` is in standard errors.
    """
    lower = np.empty((X.shape[0], inference.outputs.n_outputs))
    upper = np.empty_like(lower)
    for block, V in with_covariance(inference, inference.interval_gaussian, X):
        logit, variance = block.raw, np.diagonal(V, axis1=1, axis2=2)
        if inference.outputs.loss.shift_invariant:
            logit, variance = _of_softmax(block.raw, V)
        half = width * np.sqrt(np.maximum(variance, 0.0))
        lower[block.rows], upper[block.rows] = logit - half, logit + half
    return lower, upper


def _of_softmax(raw: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logit of each probability and its variance, (m, K)."""
    K = raw.shape[1]
    logit, variance = np.empty(raw.shape), np.empty(raw.shape)
    for k in range(K):
        others = np.delete(np.arange(K), k)
        top = raw[:, others].max(axis=1)
        share = np.exp(raw[:, others] - top[:, None])
        total = share.sum(axis=1)
        logit[:, k] = raw[:, k] - top - np.log(total)
        gradient = np.zeros(raw.shape)
        gradient[:, k], gradient[:, others] = 1.0, -share / total[:, None]
        variance[:, k] = np.einsum("mk,mkl,ml->m", gradient, V, gradient)
    return logit, variance
