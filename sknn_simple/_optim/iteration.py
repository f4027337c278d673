"""The loop of iterations that L-BFGS and Newton's method share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

# Values of f with a smaller relative difference count as equal: f is a sum, so its
# rounding error is a few times that of one float64 number, 1.1e-16.
ROUNDING = 1e-15
# What a long sum or a factorisation loses: some hundred units of rounding (2e-16).
LONG_ROUNDING = 1e-13


def iterate(
    advance: Callable[[np.ndarray, float], tuple[np.ndarray, float] | None],
    x: np.ndarray,
    value: float,
    callback: Callable[..., Any] | None,
    maxiter: int,
) -> OptimizeResult:
    """Iterate from x, until there is no step, or the callback or `maxiter` ends it.

    `advance` maps an iterate and its value of f to the next ones, or to None if it
    finds no step. The callback gets ``intermediate_result`` after each iteration, and
    may raise StopIteration. The result has status 0 (maxiter reached), 2 (no step) or
    99 (stopped by the callback).
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
