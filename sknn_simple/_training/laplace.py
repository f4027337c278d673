r"""The Laplace approximation of a linear network's posterior, for every alpha at once.

exp(-S J(θ)) is the likelihood times a Gaussian prior of precision α on the weights w
(in the units of the penalty), and a flat prior on the biases. At a point θ the loss
S L is replaced by its quadratic Taylor polynomial. The biases are eliminated: with

    A = H_ww - H_wb H_bb⁻¹ H_bw,    g = g_w - H_wb H_bb⁻¹ g_b

the Hessian and the gradient of S L that remain for w, (d, d) and (d,), the mode and the
evidence for a precision α are

    w(α) = (A + α I)⁻¹ (A w - g)
    log p(y | α) = -S J + d/2 log α + b/2 log 2π - ½ log|H_bb| - ½ log|A + α I|

and the number of well-determined weights is γ(α) = tr A (A + α I)⁻¹. The evidence has
its maximum where α |w(α)|² = γ(α), if A does not change with α (MacKay 1992); see
``evidence`` for what is done if it does. All of this needs only the eigenvalues of A,
or for many parameters a Gauss quadrature by Lanczos' method.

References
----------
MacKay, D. J. C. (1992). The evidence framework applied to classification networks.
Neural Computation 4(5), 720-736.
Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 4.4 and 5.7.
Ubaru, S., Chen, J., Saad, Y. (2017). Fast estimation of tr(f(A)) via stochastic Lanczos
quadrature. SIAM Journal on Matrix Analysis and Applications 38(4), 1075-1099.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator

from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._training.heuristics import (
    BIAS_ROWS,
    LANCZOS_PROBES,
    LANCZOS_STEPS,
    NO_CURVATURE,
)


class Likelihood(NamedTuple):
    """The likelihood exp(-S L(θ)), and the weights that have a prior."""

    # L: J without a penalty.
    loss: LinearObjective
    # S, the number of rows that the evidence counts.
    total: float
    # (size,): the units in which the prior measures the weights. 0 for biases, and for
    # weights that do not count: of constant columns, and those held at 0.
    unit: np.ndarray
    # With more parameters Lanczos' method is used, without the Hessian.
    max_size: int


class Spectrum(NamedTuple):
    """Σₖ multiplicity f(value) is the trace of f(A)."""

    values: np.ndarray
    multiplicity: np.ndarray

    def log_determinant(self, alpha: float) -> float:
        """Return log|A + α I|."""
        return float(self.multiplicity @ np.log(self.values + alpha))


class Curvature(NamedTuple):
    """The Hessian of S L at a θ, with the biases eliminated."""

    # That of L, (size, size); None if it is too large.
    hessian: np.ndarray | None
    # The d free weights among the parameters, and their units in the penalty.
    free: np.ndarray
    unit: np.ndarray
    # The places of the biases in θ, (b,).
    places: np.ndarray
    # H_bb⁻¹, (b, b), and H_bb⁻¹ H_bw, (b, d): an operator if there are many biases.
    inverse: np.ndarray
    coupling: np.ndarray | LinearOperator
    # b/2 log 2π - ½ log|H_bb|.
    log_volume: float
    # A, (d, d), or None if it is too large; products with it.
    A: np.ndarray | None
    product: Callable[[np.ndarray], np.ndarray]

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """Return the free weights in their units, (d,)."""
        return self.unit * theta[self.free]


class Laplace(NamedTuple):
    """The Gaussian around the mode for every α."""

    # (size,): the point of the Taylor polynomial.
    theta: np.ndarray
    # S L(θ).
    loss: float
    curvature: Curvature
    # H_bb⁻¹ g_b, (b,).
    offset: np.ndarray
    spectrum: Spectrum
    # w(α) = basis @ (coordinates / (values + α)).
    basis: np.ndarray
    coordinates: np.ndarray
    values: np.ndarray

    def n_effective(self, alpha: float) -> float:
        """Return γ, the number of well-determined weights."""
        values, multiplicity = self.spectrum
        return float(multiplicity @ (values / (values + alpha)))

    def log_evidence(self, alpha: float) -> float:
        """Return log p(y | α), with the weights at θ as the mode."""
        weights = self.curvature.weights(self.theta)
        joint = self.loss + 0.5 * alpha * float(weights @ weights)
        volume = len(weights) * np.log(alpha) - self.log_determinant(alpha)
        return float(-joint + 0.5 * volume)

    def log_determinant(self, alpha: float) -> float:
        """Return log|A + α I| + log|H_bb| - b log 2π."""
        return self.spectrum.log_determinant(alpha) - 2 * self.curvature.log_volume

    def mode(self, alpha: float) -> np.ndarray:
        """Return θ for another α, by a Newton step."""
        theta, H = self.theta.copy(), self.curvature
        weights = self.basis @ (self.coordinates / (self.values + alpha))
        step = weights - H.weights(theta)
        theta[H.free] += step / H.unit
        theta[H.places] -= self.offset + H.coupling @ step
        return theta

    def best_alpha(
        self,
        start: float,
        bounds: tuple[float, float],
        part: float = 1.0,
        unit: float = 0.0,
    ) -> float:
        """Return the α with part γ(α) + u/(u + α) = α |w(α)|², near `start`.

        The second term is that of the prior of ``evidence``, in the `unit` u of α. Left
        of the solution, which is within the bounds, the first side is larger. The
        Taylor polynomial is wrong far away, where the equation may hold again. With
        part = 1 and u = 0 it is MacKay's.
        """
        if not len(self.curvature.free):
            return start

        def excess(log_alpha: float) -> float:
            alpha, tiny = np.exp(log_alpha), np.finfo(np.float64).tiny
            weights = self.coordinates / (self.values + alpha)
            square = max(alpha * float(weights @ weights), tiny)
            left = max(part * self.n_effective(alpha) + unit / (unit + alpha), tiny)
            return float(np.log(left) - np.log(square))

        end = np.log(start)
        lowest, highest = np.log(bounds)
        sign, last = (1.0, highest) if excess(end) > 0.0 else (-1.0, lowest)
        while sign * (last - end) > 0.0:
            begin, end = end, end + sign * min(np.log(2.0), abs(last - end))
            if sign * excess(end) <= 0.0:
                end = brentq(excess, begin, end)
                break
        return float(np.exp(end))


def laplace(
    likelihood: Likelihood, theta: np.ndarray, hessian: np.ndarray | None = None
) -> Laplace:
    """Return the Laplace approximation at θ, near the minimum of J.

    `hessian` is that of L at θ, (size, size), if it is known.
    """
    H = _curvature(likelihood, theta, hessian)
    loss, gradient = likelihood.loss.loss_and_gradient(theta)
    gradient *= likelihood.total
    g_b, weights = gradient[H.places], H.weights(theta)
    reduced = gradient[H.free] / H.unit - H.coupling.T @ g_b
    if H.A is not None:
        values, basis = np.linalg.eigh(H.A)
        values = np.maximum(values, 0.0)
        coordinates = values * (weights @ basis) - reduced @ basis
        spectrum = Spectrum(values, np.ones_like(values))
    else:
        target = H.product(weights) - reduced
        basis, values, first = lanczos(H.product, target, LANCZOS_STEPS)
        coordinates = np.linalg.norm(target) * first
        spectrum = _estimated_spectrum(H.product, len(weights))
    loss, offset = likelihood.total * loss, H.inverse @ g_b
    return Laplace(theta, loss, H, offset, spectrum, basis, coordinates, values)


def log_determinant(likelihood: Likelihood, theta: np.ndarray, alpha: float) -> float:
    """Return ``Laplace.log_determinant`` of the approximation at θ, in less time."""
    H = _curvature(likelihood, theta)
    if H.A is None:
        volume = _estimated_spectrum(H.product, len(H.free)).log_determinant(alpha)
    else:
        volume = float(np.linalg.slogdet(H.A + alpha * np.eye(len(H.A)))[1])
    return volume - 2 * H.log_volume


def _curvature(
    likelihood: Likelihood, theta: np.ndarray, hessian: np.ndarray | None = None
) -> Curvature:
    L, total, unit, max_size = likelihood
    free = np.flatnonzero(unit > 0.0)
    unit = unit[free]
    places = np.arange(L.size)[L.network.layout.slices.get("intercept", slice(0))]
    if hessian is None and len(places) > BIAS_ROWS and L.size > max_size:
        return _without_rows(likelihood, theta, free, unit, places)
    curvature = L.curvature(theta)
    A = None
    if hessian is None and L.size <= max_size:
        hessian = curvature.matrix()
    if hessian is not None:
        rows = total * hessian[places]
    else:
        units = (places[:, None] == np.arange(L.size)).astype(np.float64)
        rows = np.array([curvature.product(unit) for unit in units])
        rows = total * rows.reshape(units.shape)
    inverse, log_volume = _inverse(rows[:, places], L.loss.shift_invariant)
    H_bw = rows[:, free] / unit
    coupling = inverse @ H_bw
    if hessian is not None:
        A = total * hessian[np.ix_(free, free)] / unit / unit[:, None]
        A -= H_bw.T @ coupling

    def product(v: np.ndarray) -> np.ndarray:
        full = np.zeros(L.size)
        full[free] = v / unit
        full = total * curvature.product(full)
        return full[free] / unit - coupling.T @ full[places]

    biases = places, inverse, coupling, log_volume
    return Curvature(hessian, free, unit, *biases, A, product)


def _without_rows(
    likelihood: Likelihood,
    theta: np.ndarray,
    free: np.ndarray,
    unit: np.ndarray,
    places: np.ndarray,
) -> Curvature:
    """Return the curvature without forming H_bw, which has K² p entries.

    A v holds the weights' entries of H (v, -u), with u = H_bb⁻¹ H_bw v.
    """
    L, total = likelihood.loss, likelihood.total
    curvature = L.curvature(theta)
    block = total * curvature.bias_block()
    inverse, log_volume = _inverse(block, L.loss.shift_invariant)

    def direction(v: np.ndarray | float, u: np.ndarray | float) -> np.ndarray:
        full = np.zeros(L.size)
        full[free], full[places] = v / unit, u
        return full

    def coupled(v: np.ndarray) -> np.ndarray:
        return inverse @ (total * curvature.bias_product(direction(v, 0.0)))

    def of_weights(v: np.ndarray | float, u: np.ndarray) -> np.ndarray:
        return total * curvature.product(direction(v, u))[free] / unit

    def product(v: np.ndarray) -> np.ndarray:
        return of_weights(v, -coupled(v))

    coupling = LinearOperator(
        (len(places), len(free)),
        matvec=coupled,
        rmatvec=lambda b: of_weights(0.0, inverse @ b),
        dtype=np.float64,
    )
    biases = places, inverse, coupling, log_volume
    return Curvature(None, free, unit, *biases, None, product)


def _inverse(H_bb: np.ndarray, shift_invariant: bool) -> tuple[np.ndarray, float]:
    """Return H_bb⁻¹, and b/2 log 2π - ½ log|H_bb|.

    H_bb is singular along an equal shift of all outputs, if the loss is invariant under
    it. That direction is left out: it has the smallest eigenvalue, a rounding error
    that may exceed the threshold if all rows are saturated.
    """
    values, vectors = np.linalg.eigh(H_bb)
    kept = values > NO_CURVATURE * values.max(initial=0.0)
    kept[: int(shift_invariant)] = False
    values, vectors = values[kept], vectors[:, kept]
    log_volume = 0.5 * float(np.log(2.0 * np.pi / values).sum())
    return (vectors / values) @ vectors.T, log_volume


def lanczos(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Approximate a positive semi-definite matrix in a Krylov space.

    Returns
    -------
    basis : ndarray of shape (d, m), m ≤ steps
        Orthonormal Ritz vectors.
    values : ndarray of shape (m,)
        Ritz values.
    first : ndarray of shape (m,)
        The coordinates of start/‖start‖. Their squares are the weights of a Gauss
        quadrature: Σ first² f(values) ≈ startᵀ f(A) start / ‖start‖².
    """
    norm = float(np.linalg.norm(start))
    if norm == 0.0:
        return np.zeros((len(start), 1)), np.zeros(1), np.zeros(1)
    rows = np.empty((min(steps, len(start)), len(start)))
    rows[0] = start / norm
    diagonal, beside = [], []
    for number in range(1, len(rows) + 1):
        known = rows[:number]
        v = product(known[-1])
        diagonal.append(float(v @ known[-1]))
        # Twice, because rounding errors of one pass are multiplied later.
        for _ in range(2):
            v = v - (known @ v) @ known
        norm = float(np.linalg.norm(v))
        if number == len(rows) or norm <= 1e-12 * max(diagonal):
            break
        beside.append(norm)
        rows[number] = v / norm
    values, vectors = eigh_tridiagonal(diagonal, beside)
    basis = rows[: len(values)].T @ vectors
    return basis, np.maximum(values, 0.0), vectors[0]


def _estimated_spectrum(
    product: Callable[[np.ndarray], np.ndarray], size: int
) -> Spectrum:
    """Return a quadrature for traces, from random probes of signs."""
    generator = np.random.RandomState(0)
    values, multiplicity = [], []
    for _ in range(LANCZOS_PROBES):
        probe = generator.choice([-1.0, 1.0], size)
        _, nodes, first = lanczos(product, probe, LANCZOS_STEPS)
        values.append(nodes)
        multiplicity.append(size / LANCZOS_PROBES * first**2)
    return Spectrum(np.concatenate(values), np.concatenate(multiplicity))
