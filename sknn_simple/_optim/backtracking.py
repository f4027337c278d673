"""The simplest line search: shorter and shorter steps until one lowers f enough."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Sufficient decrease; the value of Nocedal and Wright 2006, section 3.1.
ARMIJO = 1e-4
_MAX_HALVINGS = 40


def backtrack(
    fun: Callable[..., Any],
    x: np.ndarray,
    step: np.ndarray,
    value: float,
    slope: float,
    args: tuple = (),
) -> tuple[np.ndarray, float] | None:
    """Return x + t step and f there for the first of t = 1, 1/2, … that is low enough.

    Low enough is f(x) + ARMIJO · t · slope (Armijo's condition; Nocedal and Wright
    2006, algorithm 3.1). None if no t is.

    Parameters
    ----------
    fun : callable
        f.
    x, step : ndarray of shape (size,)
        The point and the longest step.
    value, slope : float
        f and its derivative along `step`, at `x`.
    args : tuple
        Extra arguments of f.
    """
    length = 1.0
    for _ in range(_MAX_HALVINGS):
        candidate = x + length * step
        candidate_value = fun(candidate, *args)
        if candidate_value <= value + ARMIJO * length * slope:
            return candidate, candidate_value
        length *= 0.5
    return None
