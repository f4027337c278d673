"""Line searches along a descent direction d: choose t, the next iterate is x + t d.

`Line.backtrack` halves t until f decreases enough (Armijo's condition):

    f(x + t d) ≤ f(x) + 1e-4 t gᵀd.

`Line.search` asks for the strong Wolfe conditions, Armijo's and the curvature condition

    |f'(x + t d)ᵀd| ≤ 0.9 |gᵀd|.

It doubles t until an interval contains a minimum. Then it shrinks the interval with the
minimum of the cubic that interpolates the values and slopes of both ends.

Near the minimum of f a decrease is smaller than the rounding of f. If the value of a
point differs from the value at the start only by rounding, only its slope is tested, as
in the approximate Wolfe conditions of Hager and Zhang.

SciPy's line search is not used, because it warns if it fails. Warning filters belong to
the whole process, so fits in threads could not silence it safely.

References
----------
Hager, W. W., Zhang, H. (2005). A new conjugate gradient method with guaranteed descent
and an efficient line search. SIAM Journal on Optimization 16(1), 170-192.
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition, chapter 3. Springer
(conditions: 3.7; backtracking: algorithm 3.1; bracket and zoom: algorithms 3.5 and 3.6;
the cubic: equation 3.59).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._optim.iteration import ROUNDING

# The constants of both conditions (Nocedal and Wright 2006, section 3.1).
ARMIJO = 1e-4
CURVATURE = 0.9
# After this number of evaluations the search returns a point that satisfies Armijo's
# condition only: at a kink no point may satisfy the curvature condition.
_MAX_TRIALS = 10
# The distance of a trial from each end of the interval is at least this fraction of it,
# so that each trial shrinks the interval by a tenth or more.
_MARGIN = 0.1


class Point(NamedTuple):
    """A point x + t d: t, the point itself, f, its gradient, and the slope along d."""

    length: float
    x: np.ndarray
    value: float
    gradient: np.ndarray
    slope: float


class Line:
    """The function f along a direction d.

    `fun` and `jac` return f and its gradient (size,); `value` and `gradient` are those
    at the start x.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        jac: Callable[..., np.ndarray],
        x: np.ndarray,
        direction: np.ndarray,
        value: float,
        gradient: np.ndarray,
    ) -> None:
        self._fun, self._jac = fun, jac
        self._direction = direction
        slope = float(gradient @ direction)
        self.start = Point(0.0, x, value, gradient, slope)

    def at(self, length: float) -> Point:
        """Evaluate f and its gradient at t = `length`.

        If the slope is not finite, f counts as infinite, so that the point is rejected.
        """
        x = self.start.x + length * self._direction
        value, gradient = self._fun(x), self._jac(x)
        slope = float(gradient @ self._direction)
        value = value if np.isfinite(slope) else np.inf
        return Point(length, x, value, gradient, slope)

    def satisfies_armijo(self, point: Point) -> bool:
        """Return whether f has decreased enough for the length of the step."""
        start = self.start
        return point.value <= start.value + ARMIJO * point.length * start.slope

    def satisfies_curvature(self, point: Point) -> bool:
        """Return whether the slope is small enough (strong Wolfe)."""
        return abs(point.slope) <= -CURVATURE * self.start.slope

    def within_rounding(self, point: Point) -> bool:
        """Return whether f differs from its value at the start by rounding only."""
        rounding = ROUNDING * abs(self.start.value)
        return abs(point.value - self.start.value) <= rounding

    def backtrack(self, trial: Point) -> Point | None:
        """Return the first of `trial` and its halves that satisfies Armijo, or None."""
        shortest = np.finfo(np.float64).eps * trial.length
        while not self.satisfies_armijo(trial):
            if trial.length <= shortest:
                return None
            trial = self.at(0.5 * trial.length)
        return trial

    def search(self, trial: Point) -> Point | None:
        """Return a point that satisfies the strong Wolfe conditions.

        After ten trials a lower point that satisfies Armijo's condition is enough. None
        if there is no lower point.

        `low` is the lowest point so far that satisfies Armijo's condition, initially
        the start. `high` is the other end of an interval that contains a minimum, or
        None while f has only decreased.
        """
        low, high = self.start, None
        for number in range(1, _MAX_TRIALS + 1):
            is_lower = self.satisfies_armijo(trial) and trial.value < low.value
            is_as_low = is_lower or self.within_rounding(trial)
            if is_as_low and self.satisfies_curvature(trial):
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
        # A step without decrease is a failure.
        return None if found is None or found.value >= self.start.value else found


def _next_length(low: Point, high: Point | None) -> float:
    """Return the t to try next: twice that of `low`, or one between both points."""
    if high is None:
        return 2.0 * low.length
    width = high.length - low.length
    part = _cubic_minimum(low, high)
    # If f at `high` is not finite, the cubic has no minimum.
    if not np.isfinite(part):
        part = 0.5
    return low.length + width * min(max(part, _MARGIN), 1.0 - _MARGIN)


def _cubic_minimum(low: Point, high: Point) -> float:
    """Return the minimiser of their cubic, 0 at `low` and 1 at `high`, or NaN."""
    width = high.length - low.length
    before, after = low.slope * width, high.slope * width
    inner = before + after - 3.0 * (high.value - low.value)
    square = inner * inner - before * after
    root = np.sqrt(square) if square >= 0.0 else np.nan
    below = after - before + 2.0 * root
    return 1.0 - (after + root - inner) / below if below != 0.0 else np.nan
