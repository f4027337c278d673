"""Newton's method with the exact Hessian, as a method of ``scipy.optimize.minimize``.

Each iteration solves H d = -g by a Cholesky factorisation and searches along d by
backtracking until the sufficient-decrease condition of Armijo holds (Nocedal and Wright
2006, algorithms 3.1 and 3.2). On a convex log-loss this is iteratively reweighted least
squares (Bishop 2006, section 4.3.3): fewer than ten iterations are usual.

Near the minimum a step leaves so little of the gradient that the next may do with the
same H (the chord method, once in a while; Kelley 1995, section 5.4).

Where outputs are saturated, as a warm start in other units may leave them, H is all but
0 in some direction and d out of all proportion. A multiple of the identity is then
added to H, more each time, until d lowers f (Levenberg and Marquardt's ridge; Nocedal
and Wright 2006, sections 3.4 and 10.3).

Where most rows are on the right side a log-loss falls like exp(-t) along d, and the
whole step, t = 1, goes a part of the way only. A longer one is then tried, which saves
every third or fourth Hessian. With φ the function along d, φ″(0) = -φ′(0), because d is
Newton's step. Among the slopes of the form

    φ′(t) = φ′(0) (1 - βt) exp(-(1 - β) t),    which have this curvature at 0,

r = φ′(1)/φ′(0) determines u = 1 - β by r = u exp(-u), u = -W(-r) with Lambert's W
(Corless et al. 1996), and the minimum lies at 1/β. For r ≥ 1/e the model has none.

References
----------
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition. Springer.
Bishop, C. M. (2006). Pattern Recognition and Machine Learning. Springer.
Kelley, C. T. (1995). Iterative Methods for Linear and Nonlinear Equations. SIAM.
Hager, W. W., Zhang, H. (2005). A new conjugate gradient method with guaranteed descent
and an efficient line search. SIAM Journal on Optimization 16, 170-192.
Corless, R. M., Gonnet, G. H., Hare, D. E. G., Jeffrey, D. J., Knuth, D. E. (1996). On
the Lambert W function. Advances in Computational Mathematics 5, 329-359.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv, dpotrs
from scipy.optimize import OptimizeResult
from scipy.special import lambertw

from sknn_simple._optim.iteration import iterate
from sknn_simple._optim.line_search import ARMIJO, Line, Point

# Relative to the largest diagonal entry. Softmax outputs may all be raised by the
# same amount without changing J: H is singular in that direction and g is 0 there, so
# a ridge of this size changes no step and keeps the factorisation possible.
_FIRST_RIDGE = 1e-13
_RIDGE_GROWTH = 1e3
# The last is so much larger than all curvature, and than g, that the step is a short
# one along -g.
_LAST_RIDGE = 1e3
# With less curvature than this the ridge itself would underflow.
_SMALLEST = 1e-290
# Where the model of f promises less than this part of it, f is all rounding.
_NO_PROMISE = 1e-10
# Near the minimum f says less about a step than its slope does: a value higher by
# rounding is as good as a lower one where no more than this part of the slope is left
# (the approximate Wolfe conditions; Hager and Zhang 2005).
_LESS_SLOPE = 0.5
# From this part of the slope left after the whole step on, a longer one is tried; it is
# no longer than this. Both by the iterations of fourteen fits of seven data sets.
_STEEP = 0.2
_LONGEST_STEP = 3.0
# Where a step has left no more than this part of the gradient, the next is taken with
# the same factor of H. Fits of a few hundred rows then mostly end with a Hessian less.
_SMALL_PART = 0.02
# But only while f is expected to fall by this part of what it was at first.
_FAR_FROM_ROUNDING = 1e-11


def newton_steps(
    hessian: np.ndarray, gradient: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield d with (H + ridge) d = -g for a ridge that grows, and Cholesky's factor.

    The first ridge is as small as Cholesky allows, the last so large that d is a short
    step along -g.
    """
    diagonal = hessian.diagonal()
    largest = float(diagonal.max())
    ridge = _FIRST_RIDGE * largest if largest > _SMALLEST else 1.0
    last = _LAST_RIDGE * max(largest, float(np.abs(gradient).max()))
    while np.isfinite(last) and np.isfinite(ridge):
        damped = hessian.copy(order="F")
        damped.T.reshape(-1)[:: len(damped) + 1] += ridge
        # LAPACK itself: SciPy's cho_factor and cho_solve check and copy, which for a
        # few dozen parameters takes longer than the factorisation.
        factor, step, failed = dposv(
            damped, -gradient, overwrite_a=True, overwrite_b=True
        )
        if not failed:
            yield step, factor
            if ridge > last:
                return
        ridge *= _RIDGE_GROWTH


def newton_cholesky(
    fun: Callable[..., Any],
    x0: np.ndarray,
    args: tuple = (),
    *,
    hess: Callable[..., np.ndarray],
    jac: Callable[..., np.ndarray],
    callback: Callable[..., Any] | None = None,
    maxiter: int = 100,
    **_: Any,
) -> OptimizeResult:
    """Minimise a convex function; the signature is that of SciPy's custom methods.

    Parameters
    ----------
    fun, jac, hess : callable
        f, its gradient (size,) and its Hessian (size, size).
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
        With status 0 (maxiter reached), 2 (no decrease along the Newton step) or 99
        (stopped by the callback).
    """
    first = fun(x0, *args)
    chord = _Chord(_FAR_FROM_ROUNDING * abs(first))

    def advance(x: np.ndarray, value: float) -> tuple[np.ndarray, float] | None:
        gradient = jac(x, *args)

        def search(step: np.ndarray) -> Point | None:
            return _step(Line(fun, jac, args, x, step, value, gradient))

        step = chord.step(gradient)
        if step is not None and (found := search(step)) is not None:
            return found.x, found.value
        for ridges, (step, factor) in enumerate(newton_steps(hess(x, *args), gradient)):
            found = search(step)
            # A step cut down to nothing leaves f as it is: no reason to go on with it.
            if found is not None and (ridges == 0 or found.value < value):
                chord.remember(factor, gradient)
                return found.x, found.value
            if -float(gradient @ step) <= _NO_PROMISE * abs(value):
                return None
        return None

    return iterate(advance, x0, first, callback, maxiter)


class _Chord:
    """The last factor of H, for one more step without another.

    Where a step has left a small part of the gradient, H is nearly the same after it as
    before. Another step with the old factor leaves some three to seven times that part
    of what is left, for the price of an evaluation.

    Parameters
    ----------
    least_promise : float
        What f must be expected to fall by. Nearer to the rounding of f a new H is worth
        its price: one step then goes where two would have to tell values apart.
    """

    def __init__(self, least_promise: float) -> None:
        self._least_promise = least_promise
        self._factor: np.ndarray | None = None
        self._largest = 0.0

    def remember(self, factor: np.ndarray, gradient: np.ndarray) -> None:
        """Keep the factor of H at a point, and how large the gradient is there."""
        self._factor, self._largest = factor, float(np.abs(gradient).max())

    def step(self, gradient: np.ndarray) -> np.ndarray | None:
        """Return -H⁻¹g by the old factor if it will do; it is used once."""
        factor, self._factor = self._factor, None
        if factor is None or np.abs(gradient).max() > _SMALL_PART * self._largest:
            return None
        step, _ = dpotrs(factor, -gradient)
        return step if -0.5 * float(gradient @ step) > self._least_promise else None


def _step(line: Line) -> Point | None:
    """Return a point along Newton's step that lowers f enough, or None."""
    start = line.start
    if start.slope >= 0.0:
        return None
    whole = line.at(1.0)
    slope_left = whole.slope / start.slope
    near_minimum = line.within_rounding(whole) and abs(slope_left) <= _LESS_SLOPE
    if not (line.satisfies_armijo(whole) or near_minimum):
        return line.backtrack(whole)
    length = _step_length(slope_left)
    if length == 1.0:
        return whole
    longer = line.at(length)
    lower_by = whole.value - longer.value
    return longer if lower_by > ARMIJO * (1.0 - length) * start.slope else whole


def _step_length(slope_left: float) -> float:
    """Return how many of Newton's steps to take, from φ′(1)/φ′(0) of the first."""
    if slope_left <= _STEEP:
        return 1.0
    if slope_left >= np.exp(-1.0):
        return _LONGEST_STEP
    return min(_LONGEST_STEP, 1.0 / (1.0 + lambertw(-slope_left).real))
