"""Newton's method with the exact Hessian, as a method of ``scipy.optimize.minimize``.

Each iteration solves H d = -g by a Cholesky factorisation and searches along d by
backtracking until the sufficient-decrease condition of Armijo holds (Nocedal and Wright
2006, algorithms 3.1 and 3.2). On a convex log-loss this is iteratively reweighted least
squares (Bishop 2006, section 4.3.3): fewer than ten iterations are usual.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.optimize import OptimizeResult

from sknn_simple._optim.backtracking import backtrack
from sknn_simple._optim.iteration import iterate

# Relative to the largest diagonal entry. Softmax outputs may all be raised by the
# same amount without changing J: H is singular in that direction and g is 0 there, so
# a ridge of this size changes no step and keeps the factorisation possible.
_FIRST_RIDGE = 1e-13
_RIDGE_GROWTH = 1e3


def newton_step(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return d with (H + ridge) d = -g, the ridge as small as Cholesky allows."""
    diagonal = hessian.diagonal()
    largest = float(diagonal.max())
    ridge = _FIRST_RIDGE * largest if largest > 0.0 else 1.0
    while True:
        damped = hessian.copy(order="F")
        np.fill_diagonal(damped, diagonal + ridge)
        # LAPACK itself: SciPy's cho_factor and cho_solve check and copy, which for a
        # few dozen parameters takes longer than the factorisation.
        _, step, failed = dposv(damped, -gradient, overwrite_a=True, overwrite_b=True)
        if not failed:
            return step
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

    def advance(x: np.ndarray, value: float) -> tuple[np.ndarray, float] | None:
        gradient = jac(x, *args)
        step = newton_step(hess(x, *args), gradient)
        return backtrack(fun, x, step, value, float(gradient @ step), args)

    return iterate(advance, x0, fun(x0, *args), callback, maxiter)
