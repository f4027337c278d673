"""L-BFGS as a method of ``scipy.optimize.minimize``: SciPy's where there are bounds.

Where an evaluation is cheap, SciPy's L-BFGS-B spends more time on its memory of steps
than on the function, since it provides for bounds. Without any, the inverse Hessian
has a closed form that reads the memory twice an iteration (Byrd, Nocedal, Schnabel
1994, theorem 2.2): with the steps sᵢ and the changes of gradient yᵢ as rows
of S and Y, γ = sᵀy / yᵀy of the last pair, D = diag(sᵢᵀyᵢ) and R the upper triangle of
S Yᵀ,

    H g = γ g + Sᵀ a - γ Yᵀ p,    p = R⁻¹ S g,    a = R⁻ᵀ ((D + γ Y Yᵀ) p - γ Y g).

References
----------
Byrd, R. H., Nocedal, J., Schnabel, R. B. (1994). Representations of quasi-Newton
matrices and their use in limited memory methods. Mathematical Programming 63, 129-156.
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition, chapters 3 and 7.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.linalg.lapack import dtrtrs
from scipy.optimize import Bounds, OptimizeResult, line_search, minimize

from sknn_simple._optim.backtracking import ARMIJO, backtrack
from sknn_simple._optim.iteration import iterate

# From so many parameters on the pairs are remembered in float32: an iteration reads all
# of them twice, which at 50,000 took a fourth of a fit to sparse text. Their rounding
# turns a direction by about 1e-7; where the method ends it does not change.
_MANY = 10_000
# More pairs mean fewer iterations: what networks come to in 200 with 20 pairs took 170
# with 40 and 155 with 80. But an iteration reads all of them twice, which is free of
# charge only from a core's own cache: above the first size there are fewer, and above
# the second fewer still.
_PAIRS = (80, 2**20), (40, 2**26), (20, np.inf)
# The curvature condition; the value of Nocedal and Wright, section 3.1.
_WOLFE = 0.9
# A pair with less curvature than this would make H indefinite or huge.
_MIN_CURVATURE = 1e-12
# Its own tests of convergence are switched off. ``maxls`` is raised because one failed
# line search ends the method.
_LBFGSB_OPTIONS = {"ftol": 0.0, "gtol": 0.0, "maxls": 50, "maxfun": 10**9}


class InverseHessian:
    """The last pairs of step and change of gradient, and H times a gradient.

    Parameters
    ----------
    n_pairs : int
        How many pairs are remembered.
    size : int
        Length of the vectors.
    dtype : dtype, default=float64
        Of the pairs.
    """

    def __init__(self, n_pairs: int, size: int, dtype: DTypeLike = np.float64) -> None:
        self._pairs = np.empty((n_pairs, 2, size), dtype)
        # Where the pairs are, from the oldest to the newest; the rest is in this order.
        self._places = np.empty(0, dtype=np.intp)
        # S Yᵀ and Y Yᵀ.
        self._products = np.zeros((n_pairs, 2, n_pairs))
        # S and Y times the last gradient.
        self._projected = np.zeros((n_pairs, 2))
        self._newest: tuple[float, float] | None = None

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        """Remember a pair, in place of the oldest if there are enough."""
        curvature, square = float(step @ change), float(change @ change)
        if curvature <= _MIN_CURVATURE * square:
            return
        used = len(self._places)
        if used < len(self._pairs):
            self._places = np.append(self._places, used)
        else:
            self._places = np.append(self._places[1:], self._places[0])
            self._products[:-1, :, :-1] = self._products[1:, :, 1:]
            self._projected[:-1] = self._projected[1:]
        self._pairs[self._places[-1]] = step, change
        self._newest = curvature, square

    def descent(self, gradient: np.ndarray) -> np.ndarray:
        """Return -H g; without pairs, a step along -g of length 1 at most."""
        if self._places.size:
            direction = -(self @ gradient)
            if gradient @ direction < 0.0:
                return direction
            # Rounding has cost H its definiteness: all of it is forgotten.
            self._places = self._places[:0]
            self._newest = None
        return -gradient / max(1.0, float(np.linalg.norm(gradient)))

    def __matmul__(self, gradient: np.ndarray) -> np.ndarray:
        """Return H g; there must be a pair."""
        used = len(self._places)
        rows = self._pairs[:used].reshape(2 * used, -1)
        projected = rows @ gradient.astype(rows.dtype, copy=False)
        self._note(projected.reshape(used, 2)[self._places])
        steps, changes = self._projected[:used].T
        sy, yy = self._products[:used, 0, :used], self._products[:used, 1, :used]
        gamma = sy[-1, -1] / yy[-1, -1]
        p, _ = dtrtrs(sy, steps)
        inner = sy.diagonal() * p + gamma * (yy @ p - changes)
        a, _ = dtrtrs(sy, inner, trans=1)
        back = np.empty((used, 2), rows.dtype)
        back[self._places, 0] = a
        back[self._places, 1] = -gamma * p
        product = gamma * gradient
        product += back.ravel() @ rows
        return product

    def _note(self, projected: np.ndarray) -> None:
        """Take S g and Y g of a new gradient; by S y and Y y they have changed."""
        used = len(projected)
        if self._newest is not None:
            change = projected - self._projected[:used]
            self._products[:used, :, used - 1] = change
            self._products[used - 1, 1, :used] = change[:, 1]
            self._products[used - 1, :, used - 1] = self._newest
        self._projected[:used] = projected
        self._newest = None


def lbfgs(
    fun: Callable[..., Any],
    x0: np.ndarray,
    args: tuple = (),
    *,
    jac: Callable[..., np.ndarray],
    bounds: Bounds | None = None,
    callback: Callable[..., Any] | None = None,
    maxiter: int = 100,
    maxcor: int | None = None,
    dtype: DTypeLike | None = None,
    **_: Any,
) -> OptimizeResult:
    """Minimise a function; the signature is that of SciPy's custom methods.

    Parameters
    ----------
    fun, jac : callable
        f and its gradient (size,).
    x0 : ndarray of shape (size,)
        The start.
    args : tuple
        Extra arguments of both.
    bounds : scipy.optimize.Bounds, optional
        With any, SciPy's L-BFGS-B does it all.
    callback : callable, optional
        Called with ``intermediate_result`` after each iteration; it stops the
        minimisation by raising StopIteration.
    maxiter : int
        Largest number of iterations.
    maxcor : int, optional
        How many pairs are remembered. By default 20 with bounds, and without 80, 40 or
        20, the fewer the larger they are.
    dtype : dtype, optional
        Of the pairs, without bounds. By default float64, or float32 where they are
        large.

    Returns
    -------
    OptimizeResult
        With status 0 (maxiter reached), 2 (the line search found no step) or 99
        (stopped by the callback).
    """
    if bounds is not None:
        n_pairs = maxcor or _PAIRS[-1][0]
        options = {**_LBFGSB_OPTIONS, "maxiter": maxiter, "maxcor": n_pairs}
        return minimize(
            fun,
            x0,
            args,
            "L-BFGS-B",
            jac,
            bounds=bounds,
            callback=callback,
            options=options,
        )
    gradient = jac(x0, *args)
    if dtype is None:
        dtype = np.float32 if x0.size >= _MANY else np.float64
    n_pairs = maxcor or _pairs_for(2 * x0.size * np.dtype(dtype).itemsize)
    inverse = InverseHessian(n_pairs, x0.size, dtype)

    def advance(x: np.ndarray, value: float) -> tuple[np.ndarray, float] | None:
        nonlocal gradient
        direction = inverse.descent(gradient)
        found = _search(fun, jac, x, direction, value, gradient, args)
        if found is None:
            return None
        new_x, new_value, new_gradient = found
        inverse.add(new_x - x, new_gradient - gradient)
        gradient = new_gradient
        return new_x, new_value

    return iterate(advance, x0, fun(x0, *args), callback, maxiter)


def _pairs_for(pair_bytes: int) -> int:
    """Return how many pairs of this size are worth remembering."""
    return next(n for n, limit in _PAIRS if n * pair_bytes <= limit)


def _search(
    fun: Callable[..., Any],
    jac: Callable[..., np.ndarray],
    x: np.ndarray,
    direction: np.ndarray,
    value: float,
    gradient: np.ndarray,
    args: tuple,
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Return a point along the direction that satisfies Wolfe's conditions, or None.

    Mostly the whole step does, and SciPy's search, which costs as much as an evaluation
    of a small network, need not begin.
    """
    slope = float(gradient @ direction)
    whole = x + direction
    whole_value, whole_gradient = fun(whole, *args), jac(whole, *args)
    flat = abs(float(whole_gradient @ direction)) <= -_WOLFE * slope
    if flat and whole_value <= value + ARMIJO * slope:
        return whole, whole_value, whole_gradient
    length, _, _, new_value, _, _ = line_search(
        fun, jac, x, direction, gradient, value, args=args, c1=ARMIJO, c2=_WOLFE
    )
    if length is not None and new_value < value:
        new = x + length * direction
        return new, new_value, jac(new, *args)
    # At a kink the slope may jump past what the second condition asks for.
    found = backtrack(fun, x, direction, value, slope, args)
    return None if found is None else (*found, jac(found[0], *args))
