"""How far to go along a direction in which f falls.

SciPy's search warns where it finds nothing, and a filter of warnings is one of the
whole process: fits in threads would lift each other's.

References
----------
Hager, W. W., Zhang, H. (2005). A new conjugate gradient method with guaranteed descent
and an efficient line search. SIAM Journal on Optimization 16(1), 170-192.
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition, chapter 3. Springer
(conditions: 3.6 and 3.7; backtracking: algorithm 3.1; bracket and zoom: algorithms 3.5
and 3.6; the cubic: equation 3.59).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._optim.iteration import ROUNDING

# Sufficient decrease (Armijo) and curvature (the strong condition of Wolfe); the values
# of Nocedal and Wright, section 3.1.
ARMIJO = 1e-4
WOLFE = 0.9
_MAX_HALVINGS = 40
# So many evaluations on, a point that is low enough will do: at a kink the slope may
# jump past what the second condition asks for.
_MAX_TRIALS = 10
# While f has only fallen, and is still steep, the step grows by this factor.
_GROWTH = 2.0
# Within a bracket a step keeps this part of it away from both ends.
_MARGIN = 0.1


class Point(NamedTuple):
    """A point on a line: how far along it, where, and f, gradient and slope there."""

    length: float
    x: np.ndarray
    value: float
    gradient: np.ndarray
    slope: float


class Line:
    """f along a direction.

    Parameters
    ----------
    fun, jac : callable
        f and its gradient (size,).
    args : tuple
        Extra arguments of both.
    x, direction : ndarray of shape (size,)
        The start, and the step of length 1.
    value : float
        f at the start.
    gradient : ndarray of shape (size,)
        Its gradient there.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        jac: Callable[..., np.ndarray],
        args: tuple,
        x: np.ndarray,
        direction: np.ndarray,
        value: float,
        gradient: np.ndarray,
    ) -> None:
        self._fun, self._jac, self._args = fun, jac, args
        self._direction = direction
        slope = float(gradient @ direction)
        self.start = Point(0.0, x, value, gradient, slope)

    def at(self, length: float) -> Point:
        """Evaluate f and its gradient after a step of some length.

        Where the gradient is not finite no step could go on: f counts as infinite.
        """
        x = self.start.x + length * self._direction
        value, gradient = self._fun(x, *self._args), self._jac(x, *self._args)
        slope = float(gradient @ self._direction)
        value = value if np.isfinite(slope) else np.inf
        return Point(length, x, value, gradient, slope)

    def is_low(self, point: Point) -> bool:
        """Return whether f has fallen enough for the length of the step (Armijo)."""
        start = self.start
        return point.value <= start.value + ARMIJO * point.length * start.slope

    def is_flat(self, point: Point) -> bool:
        """Return whether little enough of the slope is left (Wolfe)."""
        return abs(point.slope) <= -WOLFE * self.start.slope

    def backtrack(self, trial: Point) -> Point | None:
        """Return the first low point among `trial` and halves of its step, or None."""
        for _ in range(_MAX_HALVINGS):
            if self.is_low(trial):
                return trial
            trial = self.at(0.5 * trial.length)
        return None

    def is_level(self, point: Point) -> bool:
        """Return whether f differs from that at the start by rounding only."""
        rounding = ROUNDING * abs(self.start.value)
        return abs(point.value - self.start.value) <= rounding

    def search(self, trial: Point) -> Point | None:
        """Return a point that is low, or level, and flat; at a kink a low one; or None.

        `low` is the lowest of the points that are low enough, the start among them, and
        `high` the other end of an interval in which there must be a minimum; as long as
        f has only fallen, there is none. Where f changes by no more than its rounding
        the slope says enough (Hager and Zhang 2005, equation 4.1).

        Parameters
        ----------
        trial : Point
            The first to be tried.
        """
        low, high = self.start, None
        for number in range(1, _MAX_TRIALS + 1):
            is_lower = self.is_low(trial) and trial.value < low.value
            if self.is_flat(trial) and (is_lower or self.is_level(trial)):
                return trial
            if not is_lower:
                high = trial
            else:
                if trial.slope * (trial.length - low.length) > 0.0:
                    high = low
                low = trial
            if number == _MAX_TRIALS and low is not self.start:
                return low
            trial = self.at(_next_length(low, high))
        found = self.backtrack(trial)
        # A step that lowers nothing is none.
        return None if found is None or found.value >= self.start.value else found


def _next_length(low: Point, high: Point | None) -> float:
    if high is None:
        return _GROWTH * low.length
    width = high.length - low.length
    part = _cubic_minimum(low, high)
    # There is none where f at the other end is not finite.
    if not np.isfinite(part):
        part = 0.5
    return low.length + width * min(max(part, _MARGIN), 1.0 - _MARGIN)


def _cubic_minimum(low: Point, high: Point) -> float:
    """Return how far from `low` to `high` their cubic has its minimum; NaN for none."""
    width = high.length - low.length
    before, after = low.slope * width, high.slope * width
    inner = before + after - 3.0 * (high.value - low.value)
    square = inner * inner - before * after
    root = np.sqrt(square) if square >= 0.0 else np.nan
    below = after - before + 2.0 * root
    return 1.0 - (after + root - inner) / below if below != 0.0 else np.nan
