"""L-BFGS as a method of ``scipy.optimize.minimize``: SciPy's where there are bounds.

Where an evaluation is cheap, SciPy's L-BFGS-B spends more time on its memory of steps
than on the function, since it provides for bounds. Without any, the inverse Hessian
has a closed form that reads the memory twice an iteration (Byrd, Nocedal, Schnabel
1994, theorem 2.2): with the steps sᵢ and the changes of gradient yᵢ as rows
of S and Y, γ I what H is before them, D = diag(sᵢᵀyᵢ) and R the upper triangle of S Yᵀ,

    H g = γ g + Sᵀ a - γ Yᵀ p,    p = R⁻¹ S g,    a = R⁻ᵀ ((D + γ Y Yᵀ) p - γ Y g).

The usual γ is sᵀy / yᵀy of the last pair, the shorter of two estimates of the inverse
curvature (Barzilai, Borwein 1988); κ = sᵀs yᵀy / (sᵀy)² ≥ 1 times as much is the
longer one. Directions that no pair speaks of have less curvature than those stepped
along, and with the usual γ it takes many iterations to get on in them. Here γ grows
towards the longer estimate for as long as whole steps are taken, and shrinks where a
line search has had to shorten one:

    γ = κᵇ sᵀy / yᵀy,    b = 0.7 b after a shortened step, else min(b + 0.01, 0.3).

References
----------
Barzilai, J., Borwein, J. M. (1988). Two-point step size gradient methods. IMA Journal
of Numerical Analysis 8(1), 141-148.
Byrd, R. H., Nocedal, J., Schnabel, R. B. (1994). Representations of quasi-Newton
matrices and their use in limited memory methods. Mathematical Programming 63, 129-156.
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition, chapters 3 and 7.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.optimize import Bounds, OptimizeResult, minimize

from sknn_simple._optim.iteration import iterate
from sknn_simple._optim.line_search import Line

# From so many parameters on the pairs are remembered in float32: an iteration reads all
# of them twice, which at 50,000 took a fourth of a fit to sparse text. Their rounding
# turns a direction by about 1e-7; where the method ends it does not change.
_MANY = 10_000
# More pairs mean fewer iterations: what networks come to in 200 with 20 pairs took 170
# with 40 and 155 with 80. But an iteration reads all of them twice, which is free of
# charge only from a core's own cache: above the first size there are fewer, and above
# the second fewer still.
_PAIRS = (80, 2**20), (40, 2**26), (20, np.inf)
# Where b begins, grows, shrinks and ends. Over 12 to 20 starts of networks on five data
# sets the evaluations to 1.003 and 1.0003 times the minimum came to 0.63 and 0.54 of
# those with b = 0 for relu, and of other activations to 0.8 to 1.0 of them. A constant
# b takes more in line searches than it saves.
_BOLDNESS, _BOLDER, _MEEKER, _BOLDEST = 0.2, 0.01, 0.7, 0.3
# A pair with less curvature than this would make H indefinite or huge.
_MIN_CURVATURE = 1e-12
# The square of a change of gradient below this has lost digits to underflow.
_TINY = np.finfo(float).tiny
# Its own tests of convergence are switched off. ``maxls`` is raised because one failed
# line search ends the method.
_LBFGSB_OPTIONS = {"ftol": 0.0, "gtol": 0.0, "maxls": 50, "maxfun": 10**9}


class InverseHessian:
    """The last pairs of step and change of gradient, and H times a gradient.

    A new pair takes the place of the oldest, so the pairs are in no order. R⁻¹ is kept
    in that of their places, as a full matrix: without its first row and column it is
    the inverse for the pairs without the oldest, and a new last column is a product.

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
        self._used = 0
        # Where the next pair goes.
        self._next = 0
        # A pair whose products with the others are not known yet: place, sᵀy and yᵀy.
        self._newest: tuple[int, float, float] | None = None
        self._R_inverse = np.zeros((n_pairs, n_pairs))
        self._YY = np.zeros((n_pairs, n_pairs))
        self._D = np.zeros(n_pairs)
        # S and Y times the last gradient.
        self._projected = np.zeros((n_pairs, 2))
        self._gamma = 1.0
        self._boldness = _BOLDNESS

    def add(
        self, step: np.ndarray, change: np.ndarray, shortened: bool = False
    ) -> None:
        """Remember a pair, in place of the oldest if there are enough.

        Parameters
        ----------
        step, change : ndarray of shape (size,)
            s and y.
        shortened : bool, default=False
            Whether the step is a part of what `descent` has said.
        """
        curvature, square = float(step @ change), float(change @ change)
        if square < _TINY or curvature <= _MIN_CURVATURE * square:
            return
        if shortened:
            self._boldness *= _MEEKER
        else:
            self._boldness = min(self._boldness + _BOLDER, _BOLDEST)
        kappa = float(step @ step) / curvature * (square / curvature)
        self._gamma = kappa**self._boldness * curvature / square
        place = self._next
        self._pairs[place, 0] = step
        self._pairs[place, 1] = change
        self._newest = place, curvature, square
        self._next = (place + 1) % len(self._pairs)
        self._used = max(self._used, place + 1)

    def descent(self, gradient: np.ndarray) -> np.ndarray:
        """Return -H g; without pairs, a step along -g of length 1 at most."""
        if self._used:
            direction = -(self @ gradient)
            if gradient @ direction < 0.0:
                return direction
            # Rounding has cost H its definiteness: all of it is forgotten.
            self._used = self._next = 0
            self._newest = None
        return -gradient / max(1.0, float(np.linalg.norm(gradient)))

    def __matmul__(self, gradient: np.ndarray) -> np.ndarray:
        """Return H g; there must be a pair."""
        used, gamma = self._used, self._gamma
        rows = self._pairs[:used].reshape(2 * used, -1)
        projected = rows @ gradient.astype(rows.dtype, copy=False)
        projected = projected.reshape(used, 2)
        self._note(projected)
        R_inverse = self._R_inverse[:used, :used]
        p = R_inverse @ self._projected[:used, 0]
        inner = self._YY[:used, :used] @ p
        inner -= self._projected[:used, 1]
        inner *= gamma
        inner += self._D[:used] * p
        back = np.empty((used, 2), rows.dtype)
        back[:, 0] = inner @ R_inverse
        np.multiply(p, -gamma, out=back[:, 1], casting="same_kind")
        product = gamma * gradient
        product += back.ravel() @ rows
        return product

    def _note(self, projected: np.ndarray) -> None:
        """Take S g and Y g of a new gradient; by S y and Y y they have changed."""
        used = len(projected)
        if self._newest is not None:
            place, curvature, square = self._newest
            change = projected - self._projected[:used]
            self._D[place] = curvature
            change[place, 0], change[place, 1] = curvature, square
            self._YY[place, :used] = self._YY[:used, place] = change[:, 1]
            self._R_inverse[place] = self._R_inverse[:, place] = 0.0
            column = self._R_inverse[:used, :used] @ change[:, 0]
            column *= -1.0 / curvature
            column[place] = 1.0 / curvature
            self._R_inverse[:used, place] = column
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
        line = Line(fun, jac, args, x, direction, value, gradient)
        # Mostly the whole step will do.
        found = line.search(line.at(1.0))
        if found is None:
            return None
        shortened = found.length < 1.0
        inverse.add(found.x - x, found.gradient - gradient, shortened)
        gradient = found.gradient
        # A rise by rounding is none, and must not become one by another.
        return found.x, min(found.value, value)

    return iterate(advance, x0, fun(x0, *args), callback, maxiter)


def _pairs_for(pair_bytes: int) -> int:
    """Return how many pairs of this size are worth remembering."""
    return next(n for n, limit in _PAIRS if n * pair_bytes <= limit)
