"""L-BFGS as a method of ``scipy.optimize.minimize``; with bounds it is SciPy's.

Each iteration (Nocedal and Wright 2006, section 7.2; g is the gradient)

1. takes the direction d = -H g, where H is the inverse Hessian that BFGS makes of γ I
   and the last pairs of a step s and the change y of the gradient along it;
2. goes to a point x + t d that satisfies the strong Wolfe conditions;
3. stores the new pair in place of the oldest.

With the steps as rows of S, the changes as rows of Y, D = diag(sᵢᵀyᵢ) and R the upper
triangle of S Yᵀ, H g needs two products with all pairs at once (Byrd, Nocedal, Schnabel
1994, theorem 2.2):

    H g = γ g + Sᵀ a - γ Yᵀ p,    p = R⁻¹ S g,    a = R⁻ᵀ ((D + γ Y Yᵀ) p - γ Y g).

SciPy's L-BFGS-B can handle bounds. If an evaluation is cheap it spends more time on the
pairs than on the function: 0.8 ms per iteration with 6,000 parameters; this one 0.3 ms.

The scale γ is the inverse curvature that H assumes in directions outside the stored
pairs. The last pair gives two estimates (Barzilai, Borwein 1988): sᵀy / yᵀy, the usual
choice, and the larger sᵀs / sᵀy. Here γ is a geometric mean of both:

    γ = (sᵀy / yᵀy)¹⁻ᵇ (sᵀs / sᵀy)ᵇ,    b = ¼.

Curvature is usually smaller outside the stored pairs, and a larger γ goes further
there.

References
----------
Barzilai, J., Borwein, J. M. (1988). Two-point step size gradient methods. IMA Journal
of Numerical Analysis 8(1), 141-148.
Byrd, R. H., Nocedal, J., Schnabel, R. B. (1994). Representations of quasi-Newton
matrices and their use in limited memory methods. Mathematical Programming 63, 129-156.
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition. Springer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, minimize

from sknn_simple._optim.iteration import iterate
from sknn_simple._optim.line_search import Line

# More pairs reduce the number of iterations, but each iteration reads all pairs twice.
# That costs little if they fit a core's second-level cache: 80 pairs instead of 20 take
# 0.92 of the time for some hundred variables, and 1.22 for thousands.
_MIN_PAIRS, _MAX_PAIRS = 20, 80
_CACHE_BYTES = 2**20
# b. To reach 1.003 times the higher of both final values, functions that are not convex
# need 0.81 to 0.90 of the iterations needed with b = 0 ("What each mechanism buys" in
# the docs).
_SCALING_EXPONENT = 0.25
# SciPy's tests of convergence are off, because the callback decides. `maxls` is above
# its default of 20, because one failed line search ends the method.
_LBFGSB_OPTIONS = {"ftol": 0.0, "gtol": 0.0, "maxls": 50, "maxfun": 10**9}


def lbfgs(
    fun: Callable[..., Any],
    x0: np.ndarray,
    *,
    jac: Callable[..., np.ndarray],
    bounds: Bounds | None = None,
    callback: Callable[..., Any] | None = None,
    maxiter: int = 100,
    maxcor: int | None = None,
    **_: Any,
) -> OptimizeResult:
    """Minimise a function; the signature is that of SciPy's custom methods.

    With `bounds` SciPy's L-BFGS-B minimises it. `maxcor` is the largest number of
    stored pairs: by default those that fit into 1 MiB, between 20 and 80; 20 with
    bounds. The result is that of ``iterate``.
    """
    if bounds is not None:
        limits = {"maxiter": maxiter, "maxcor": maxcor or _MIN_PAIRS}
        return minimize(
            fun,
            x0,
            method="L-BFGS-B",
            jac=jac,
            bounds=bounds,
            callback=callback,
            options={**_LBFGSB_OPTIONS, **limits},
        )
    gradient = jac(x0)
    inverse = InverseHessian(maxcor or _n_pairs(x0.size), x0.size)

    def advance(x: np.ndarray, value: float) -> tuple[np.ndarray, float] | None:
        nonlocal gradient
        direction = inverse.descent(gradient)
        line = Line(fun, jac, x, direction, value, gradient)
        found = line.search(line.at(1.0))
        if found is None:
            return None
        inverse.add(found.x - x, found.gradient - gradient)
        gradient = found.gradient
        # Rounding must not accumulate into an increase of f.
        return found.x, min(found.value, value)

    return iterate(advance, x0, fun(x0), callback, maxiter)


class InverseHessian:
    """The matrix H of L-BFGS.

    A new pair overwrites the oldest, so that no other pair is moved. Rows and columns
    of R⁻¹ are in the order of storage. R is triangular in the order of time. Therefore
    R⁻¹ without the row and column of the oldest pair is the inverse of R without that
    pair, and a new pair adds one column.
    """

    def __init__(self, n_pairs: int, size: int) -> None:
        # Row i is sᵢ and yᵢ.
        self._pairs = np.empty((n_pairs, 2, size))
        self._n_used = 0
        self._next_place = 0
        # Place, sᵀy and yᵀy of the last pair, until the next gradient gives its
        # products with the other pairs.
        self._pending: tuple[int, float, float] | None = None
        self._R_inverse = np.zeros((n_pairs, n_pairs))
        self._YY = np.zeros((n_pairs, n_pairs))
        self._D = np.zeros(n_pairs)
        # S g and Y g of the last gradient, as columns.
        self._products = np.zeros((n_pairs, 2))
        self._gamma = 1.0

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        sy, yy = float(step @ change), float(change @ change)
        # If sᵀy is 0 but for rounding, H would not be positive definite. If yᵀy is less
        # than the smallest normal number, it has lost digits.
        limits = np.finfo(float)
        if yy < limits.tiny or sy <= limits.eps * yy:
            return
        ratio = float(step @ step) / sy * (yy / sy)
        self._gamma = ratio**_SCALING_EXPONENT * sy / yy
        place = self._next_place
        self._pairs[place] = step, change
        self._pending = place, sy, yy
        self._next_place = (place + 1) % len(self._pairs)
        self._n_used = max(self._n_used, place + 1)

    def descent(self, gradient: np.ndarray) -> np.ndarray:
        """Return -H g; without pairs, a step along -g of at most length 1."""
        if self._n_used:
            direction = -(self @ gradient)
            if gradient @ direction < 0.0:
                return direction
            # Because of rounding H is no longer positive definite: drop all pairs.
            self._n_used = self._next_place = 0
            self._pending = None
        return -gradient / max(1.0, float(np.linalg.norm(gradient)))

    def __matmul__(self, gradient: np.ndarray) -> np.ndarray:
        """Return H g; at least one pair must be stored."""
        n, gamma = self._n_used, self._gamma
        rows = self._pairs[:n].reshape(2 * n, -1)
        self._update((rows @ gradient).reshape(n, 2))
        Sg, Yg = self._products[:n].T
        R_inverse = self._R_inverse[:n, :n]
        p = R_inverse @ Sg
        inner = self._D[:n] * p + gamma * (self._YY[:n, :n] @ p - Yg)
        inner_products = np.empty((n, 2))
        inner_products[:, 0] = inner @ R_inverse
        inner_products[:, 1] = -gamma * p
        return gamma * gradient + inner_products.ravel() @ rows

    def _update(self, products: np.ndarray) -> None:
        """Store S g and Y g of a new gradient; they have changed by S y and Y y."""
        n = len(products)
        if self._pending is not None:
            place, sy, yy = self._pending
            Sy, Yy = (products - self._products[:n]).T
            Sy[place], Yy[place] = sy, yy
            self._D[place] = sy
            self._YY[place, :n] = self._YY[:n, place] = Yy
            # Remove the oldest pair. The last column of R is S y.
            self._R_inverse[place] = self._R_inverse[:, place] = 0.0
            column = self._R_inverse[:n, :n] @ Sy / -sy
            column[place] = 1.0 / sy
            self._R_inverse[:n, place] = column
        self._products[:n] = products
        self._pending = None


def _n_pairs(size: int) -> int:
    """Return the largest number of pairs of vectors of this length."""
    pair_bytes = 2 * 8 * size
    return min(max(_CACHE_BYTES // pair_bytes, _MIN_PAIRS), _MAX_PAIRS)
