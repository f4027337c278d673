"""What our own methods of ``scipy.optimize.minimize`` share: the loop and its end."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

# Near the minimum a step that lessens the gradient may raise f by this part.
ROUNDING = 1e-15


def iterate(
    advance: Callable[[np.ndarray, float], tuple[np.ndarray, float] | None],
    x: np.ndarray,
    value: float,
    callback: Callable[..., Any] | None,
    maxiter: int,
) -> OptimizeResult:
    """Advance from x, where f is `value`, until there is a reason to stop.

    Parameters
    ----------
    advance : callable
        From an iterate and f there to the next ones; None if there is no step.
    x : ndarray of shape (size,)
        The start.
    value : float
        f at the start.
    callback : callable or None
        Called with ``intermediate_result`` after each iteration; it stops the
        minimisation by raising StopIteration.
    maxiter : int
        Largest number of iterations.

    Returns
    -------
    OptimizeResult
        With status 0 (maxiter reached), 2 (no step) or 99 (stopped by the callback).
    """
    status, nit = 0, 0
    while nit < maxiter:
        found = advance(x, value)
        if found is None:
            status = 2
            break
        x, value = found
        nit += 1
        try:
            if callback is not None:
                callback(intermediate_result=OptimizeResult(x=x, fun=value))
        except StopIteration:
            status = 99
            break
    return OptimizeResult(
        x=x, fun=value, nit=nit, status=status, success=status == 99, message=""
    )
