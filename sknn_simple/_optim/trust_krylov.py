"""Trust regions in Krylov spaces, as a method of ``scipy.optimize.minimize``.

Each iteration minimises the model gᵀs + ½ sᵀHs over the steps s of length r at most
(Gould, Lucidi, Roma, Toint 1999), in the space of g, Hg, H²g, … Lanczos vectors span
it, the rows of Q, which make H tridiagonal:

    s = Qᵀ h,    T = Q H Qᵀ,    (T + σ I) h = -|g| e₁,    σ ≥ 0,    σ (|h| - r) = 0

with T + σ I positive semidefinite. T's eigenvalues give h for every σ, so that a
shorter radius costs no further products with H.

SciPy's trust-krylov does the same, but no fit twice: it draws vectors by the clock, and
where gᵀHg is nearly 0 it reads memory that nobody has written.

References
----------
Gould, N. I. M., Lucidi, S., Roma, M., Toint, P. L. (1999). Solving the trust-region
subproblem using the Lanczos method. SIAM Journal on Optimization 9, 504-525.
Conn, A. R., Gould, N. I. M., Toint, P. L. (2000). Trust-Region Methods. SIAM.
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition, chapter 4.
Parlett, B. N. (1998). The Symmetric Eigenvalue Problem. SIAM.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import norm
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import OptimizeResult

from sknn_simple._optim.iteration import iterate

# The values of SciPy's trust regions: of the radius, of the shares of the decrease
# foretold at which a step is taken, and the radius is shrunk and grown.
_FIRST_RADIUS, _LARGEST_RADIUS = 1.0, 1000.0
_TAKEN, _SHRUNK, _GROWN = 0.15, 0.25, 0.75
_MAX_REJECTED = 25
# A decrease below this, relative to f, is one of rounding (Conn, Gould, Toint 2000,
# section 17.4.2).
_ROUNDING = 10.0 * float(np.finfo(float).eps)
# As SciPy's: each vector takes as much memory as the parameters.
_MAX_VECTORS = 100
# How far |h| may be from the radius, relative to it, and in how many steps that must be
# reached; five are usual.
_ACCURACY = 1e-10
_MAX_NEWTON = 50


def trust_krylov(
    fun: Callable[..., Any],
    x0: np.ndarray,
    args: tuple = (),
    *,
    jac: Callable[..., np.ndarray],
    hessp: Callable[..., np.ndarray],
    callback: Callable[..., Any] | None = None,
    maxiter: int = 100,
    **_: Any,
) -> OptimizeResult:
    """Minimise a function; the signature is that of SciPy's custom methods.

    Parameters
    ----------
    fun, jac, hessp : callable
        f, its gradient (size,) and its Hessian times a vector (size,).
    x0 : ndarray of shape (size,)
        The start.
    args : tuple
        Extra arguments of the three functions.
    callback : callable, optional
        Called with ``intermediate_result`` after each iteration; it stops the
        minimisation by raising StopIteration.
    maxiter : int
        Largest number of iterations.

    Returns
    -------
    OptimizeResult
        With status 0 (maxiter reached), 2 (no step lowers f as foretold) or 99
        (stopped by the callback).
    """
    radius = _FIRST_RADIUS

    def advance(x: np.ndarray, value: float) -> tuple[np.ndarray, float] | None:
        nonlocal radius
        gradient = jac(x, *args)
        if not gradient.any():
            return None
        space = KrylovSpace(lambda v: hessp(x, v, *args), gradient)
        rounding = _ROUNDING * abs(value)
        for _ in range(_MAX_REJECTED):
            step = space.minimise(radius)
            if step is None:
                return None
            candidate = x + step.step
            candidate_value = fun(candidate, *args)
            share = (value - candidate_value + rounding) / (step.decrease + rounding)
            before = radius
            if not share >= _SHRUNK:  # also where f is not a number
                radius = _SHRUNK * float(norm(step.step))
            elif share > _GROWN and step.bounded:
                radius = min(2.0 * radius, _LARGEST_RADIUS)
            if share > _TAKEN and candidate_value <= value:
                return candidate, candidate_value
            if radius == before:  # the same step again
                return None
        return None

    return iterate(advance, x0, fun(x0, *args), callback, maxiter)


class Step(NamedTuple):
    """A step, the decrease that the model foretells, and whether the radius binds."""

    step: np.ndarray
    decrease: float
    bounded: bool


class KrylovSpace:
    """The model at one iterate, on as many Lanczos vectors as have been needed.

    Parameters
    ----------
    product : callable
        H times a vector.
    gradient : ndarray of shape (size,)
        g, not 0, in units in which it was near 1 at the start: the smaller it is, the
        more exact are the steps.
    """

    def __init__(
        self, product: Callable[[np.ndarray], np.ndarray], gradient: np.ndarray
    ) -> None:
        self._product = product
        self._length = float(norm(gradient))
        n_vectors = min(len(gradient), _MAX_VECTORS)
        self._vectors = np.empty((n_vectors + 1, len(gradient)))
        self._vectors[0] = gradient / self._length
        self._diagonal: list[float] = []
        # The last one belongs to the vector that comes next.
        self._off_diagonal: list[float] = []

    def minimise(self, radius: float) -> Step | None:
        """Return the step that minimises the model in a space that is large enough.

        None if it lowers nothing, or a product with H is not finite.

        As in SciPy's, the gradient left is at most min(½, |g|) of g inside the radius
        and min(½, √|g|) on it: convergence is quadratic in the end.
        """
        goal = max(1, len(self._diagonal))
        while True:
            while len(self._diagonal) < goal and not self._complete:
                if not self._grow():
                    return None
            h, shift = tridiagonal_step(
                self._diagonal, self._off_diagonal[:-1], self._length, radius
            )
            left = self._off_diagonal[-1] * abs(h[-1]) / self._length
            exponent = 0.5 if shift else 1.0
            if left <= min(0.5, self._length**exponent) or self._complete:
                break
            # Eigenvalues for each new vector would cost more than a small product.
            goal += 1 + goal // 5
        decrease = 0.5 * float(shift * (h @ h) - self._length * h[0])
        step = h @ self._vectors[: len(h)]
        return Step(step, decrease, shift > 0.0) if decrease > 0.0 else None

    @property
    def _complete(self) -> bool:
        """Whether no vector can follow: H maps the space into itself, or it is full."""
        n_vectors = len(self._diagonal)
        closed = n_vectors > 0 and self._off_diagonal[-1] == 0.0
        return closed or n_vectors == len(self._vectors) - 1

    def _grow(self) -> bool:
        """Add H times the last vector, made orthogonal; False if it is not finite."""
        n = len(self._diagonal) + 1
        known, image = self._vectors[:n], self._product(self._vectors[n - 1])
        length = norm(image)
        if not np.isfinite(length):
            return False
        self._diagonal.append(float(known[-1] @ image))
        # Once leaves rounding behind, and twice is enough (Parlett 1998, section 6.9).
        for _ in range(2):
            image = image - (known @ image) @ known
        rest = norm(image)
        closed = rest <= len(image) * np.finfo(float).eps * length
        self._off_diagonal.append(0.0 if closed else float(rest))
        if not closed:
            self._vectors[n] = image / rest
        return True


def tridiagonal_step(
    diagonal: list[float], off_diagonal: list[float], length: float, radius: float
) -> tuple[np.ndarray, float]:
    """Return h and σ of the module's formula, for g = `length` · e₁."""
    values, vectors = eigh_tridiagonal(diagonal, off_diagonal)
    gradient = length * vectors[0]
    h, shift = _shifted(values, gradient, radius)
    return vectors @ h, shift


def _shifted(
    values: np.ndarray, gradient: np.ndarray, radius: float
) -> tuple[np.ndarray, float]:
    """Return h and σ where T is diagonal, `values` ascending."""
    if values[0] > 0.0:
        h = -gradient / values
        if norm(h) <= radius:
            return h, 0.0
    # The shift is gap - values[0]: so a gap far smaller than the values is exact. Each
    # entry of h alone must fit into the radius: from there Newton's method on
    # 1/|h| - 1/radius never steps too far (Nocedal and Wright 2006, section 4.3).
    above = values - values[0]
    gap = max(0.0, values[0], (np.abs(gradient) / radius - above).max())
    h = _divided(-gradient, above + gap)
    for _ in range(_MAX_NEWTON):
        excess = norm(h) / radius - 1.0
        if excess <= _ACCURACY:
            break
        gap += excess * (h @ h) / _divided(h * h, above + gap).sum()
        h = _divided(-gradient, above + gap)
    shift = float(gap - values[0])
    if shift > 0.0 and norm(h) < (1.0 - _ACCURACY) * radius:
        # The "hard case": g has nothing along the direction of least curvature, which
        # takes up what is left of the radius.
        rest = radius**2 - h[1:] @ h[1:]
        h[0] = np.copysign(np.sqrt(rest), -gradient[0])
    return h, shift


def _divided(numerator: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return the quotient, 0 where T + σ I is singular."""
    return np.divide(numerator, gap, out=np.zeros_like(gap), where=gap > 0.0)
