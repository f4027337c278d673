"""Following a minimisation from iterate to iterate: when it ends, and how it ended."""

from typing import NamedTuple, Protocol

import numpy as np
from scipy.optimize import OptimizeResult

from sknn_simple._optim.constraints import Bounds
from sknn_simple._optim.iteration import ROUNDING
from sknn_simple._optim.problem import Memory, Problem, projected_gradient
from sknn_simple._optim.scaling import ScaledProblem

# Over how many iterations a decrease is measured. One step of L-BFGS may be short by
# chance; ten in a row are not.
_DECREASE_WINDOW = 10
_SMALLEST_VALUE = 1e-6
# At a kink a line search may find no step before the decrease is below its limit.
_KINK_FACTOR = 100.0
# A trust region that rejects this many steps in a row has shrunk by 4^-25: no step that
# float64 can represent lowers the objective.
_MAX_IDLE = 25


class Outcome(NamedTuple):
    """Why a minimisation ended, and whether that counts as converged.

    `explanation` completes the sentence "… stopped after n iterations because …", and
    `advice` says what to do; they are empty where there is nothing to warn about.
    """

    converged: bool
    explanation: str = ""
    advice: str = ""


OUTCOMES: dict[str, Outcome] = {
    "gradient": Outcome(True),
    "decrease": Outcome(True),
    "early_stopping": Outcome(True),
    "observer": Outcome(False),
    "max_iter": Outcome(
        False,
        "it reached max_iter={max_iter}",
        "Raise max_iter to go on, or tol if this accuracy is enough.",
    ),
    "no_decrease": Outcome(
        False,
        "the {solver} solver found no step that lowers the objective",
        "Raise tol if this accuracy is enough, or try another solver.",
    ),
    "interrupted": Outcome(
        False, "it was interrupted", "The best iterate so far is kept."
    ),
}


class Limits(NamedTuple):
    """When a minimisation ends.

    Attributes
    ----------
    tol : float
        Converged where the largest absolute entry of the gradient is at most
        ``tol · min(1, f)``: relative to f, so that a minimum near 0 is as accurate as
        one near 1, but no smaller than ``tol · 1e-6``, because separable classes
        without a penalty have no minimum and gradient and f vanish together.
    max_iter : int
        Largest number of iterations; 0 where an interrupt leaves nothing but the start.
    min_decrease : float
        Converged also where f fell by at most this, relative to f, over 10 iterations:
        a function with kinks has minima at which the gradient is not 0. Also where no
        step lowers f any more and it fell by at most 100 times this. 0 for never.
    """

    tol: float
    max_iter: int
    min_decrease: float = 0.0

    def threshold(self, value: float) -> float:
        """Return the largest gradient entry that counts as converged at f = value."""
        return self.tol * min(1.0, max(value, _SMALLEST_VALUE))

    def until(self, n_iter: int) -> "Limits":
        """Return the same limits with an end after `n_iter` iterations, if earlier."""
        return self._replace(max_iter=min(self.max_iter, n_iter))


class Iterate(NamedTuple):
    """One iterate, as an observer sees it; `x` is in the coordinates of `problem`.

    In a draft `value` and `grad_norm` have its errors.
    """

    n_iter: int
    x: np.ndarray
    value: float
    grad_norm: float
    problem: Problem


class Result(NamedTuple):
    """How a minimisation ended.

    Attributes
    ----------
    x : ndarray of shape (size,)
        The last iterate, which has the lowest value.
    value, grad_norm : float
        f and the largest absolute entry of its (projected) gradient at `x`.
    n_iter : int
        Number of iterations.
    values : list of float
        f at the start and after each iteration.
    outcome : str
        A key of ``OUTCOMES``.
    problem : Problem or None
        The one in whose coordinates `x` is; None where `x` is of no more use, because
        the problem holds the data.
    """

    x: np.ndarray
    value: float
    grad_norm: float
    n_iter: int
    values: list[float]
    outcome: str
    problem: Problem | None


class Observer(Protocol):
    """What follows a minimisation from iteration to iteration."""

    def ended(self, iterate: Iterate) -> bool:
        """Note the start (n_iter 0) or an iteration's end; True asks to stop."""
        ...

    def begins(self, problem: Problem, x: np.ndarray) -> None:
        """Note that an iteration begins at x, in the coordinates of the problem."""
        ...

    def abandoned(self) -> None:
        """Note the end: an iteration that has begun and not ended came to nothing."""
        ...


class Journey:
    """Follows the iterates of one minimisation and decides when it ends."""

    def __init__(
        self,
        problem: Problem,
        start: np.ndarray,
        bounds: Bounds | None,
        limits: Limits,
        observer: Observer | None,
    ) -> None:
        # One attribute for both: an interrupt must not part a point from the problem in
        # whose coordinates it is.
        self._at = Memory(problem), start
        self._bounds = bounds
        self._limits = limits
        self._observer = observer
        self._asked_to_stop = self._begun = False
        self.idle = 0
        # A run ends where the gradient is smaller than this.
        self.least_gradient = 0.0
        self.values: list[float] = []
        self.outcome: str | None = None
        self.accept(start)

    @property
    def memory(self) -> Memory:
        """The problem in hand, and its last evaluations."""
        return self._at[0]

    @property
    def x(self) -> np.ndarray:
        """The last iterate."""
        return self._at[1]

    def accept(self, x: np.ndarray) -> None:
        """Take x as the next iterate and decide whether to go on from it."""
        value, gradient = self.memory.value_and_grad(x)
        grad_norm = self._norm(x, gradient)
        before = self.values[-1] if self.values else np.inf
        self.idle = 0 if value < before else self.idle + 1
        if before < value <= before + ROUNDING * abs(before):
            value = before
        self._at, self.grad_norm = (self.memory, x.copy()), grad_norm
        self.values.append(value)
        problem, n_iter = self.memory.problem, len(self.values) - 1
        iterate = Iterate(n_iter, self.x, value, grad_norm, problem)
        self._begun = False
        if self._observer is not None:
            self._asked_to_stop = self._observer.ended(iterate)
        self._go_on_unless(self._decide())

    def move(self, problem: Problem, x: np.ndarray, limits: Limits) -> None:
        """Take x, in the coordinates of `problem`, for the same point, and go on."""
        value = self._continue(problem, x, limits)
        self.values[-1] = min(value, self.values[-1])
        self._go_on_unless(self._decide())

    def refine(self, problem: Problem, limits: Limits) -> None:
        """Go on from the last iterate of a draft with f computed exactly.

        The values before are moved by the error of the last one: what f falls by from
        here on is compared with what it fell by on the way. An observer's wish to stop
        there ends it all.
        """
        if self._asked_to_stop:
            self.outcome = "observer"
            return
        value = self._continue(problem, self.x, limits)
        error = self.values[-1] - value
        self.values[:] = [*(before - error for before in self.values[:-1]), value]
        self._go_on_unless(self._decide())

    def _continue(self, problem: Problem, x: np.ndarray, limits: Limits) -> float:
        """Take x, a point of `problem`, for the last iterate; return f there."""
        memory = Memory(problem)
        value, gradient = memory.value_and_grad(x)
        self._at, self._limits = (memory, x), limits
        self.grad_norm = self._norm(x, gradient)
        return value

    def _norm(self, x: np.ndarray, gradient: np.ndarray) -> float:
        """Return the largest entry of the projected gradient, in the unit of tol."""
        largest = np.abs(projected_gradient(x, gradient, self._bounds)).max(initial=0.0)
        problem = self.memory.problem
        unit = problem.change.unit if isinstance(problem, ScaledProblem) else 1.0
        return unit * float(largest)

    def _go_on_unless(self, outcome: str | None) -> None:
        self.outcome = outcome
        # A draft's last iteration may have begun and found no step: then it goes on.
        if outcome is None and not self._begun and self._observer is not None:
            self._begun = True
            self._observer.begins(self.memory.problem, self.x)

    def _decide(self) -> str | None:
        if self.grad_norm <= self._limits.threshold(self.values[-1]):
            return "gradient"
        if self._asked_to_stop:
            return "observer"
        if self._levelled_out(self._limits.min_decrease):
            return "decrease"
        return "max_iter" if len(self.values) > self._limits.max_iter else None

    def end_without_step(self) -> None:
        """Note that no step lowers f: converged where it had all but levelled out."""
        if self._levelled_out(_KINK_FACTOR * self._limits.min_decrease):
            self.outcome = "decrease"

    def _levelled_out(self, smallest: float) -> bool:
        enough = len(self.values) > _DECREASE_WINDOW
        # Steps that a trust region rejects say nothing about how far f can fall.
        if smallest == 0.0 or not enough or self.idle > _DECREASE_WINDOW // 2:
            return False
        before, now = self.values[-1 - _DECREASE_WINDOW], self.values[-1]
        return before - now <= smallest * abs(now)

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        """Follow one iteration of SciPy's; the parameter's name is SciPy's contract."""
        self.accept(intermediate_result.x)
        out_of_reach = self.grad_norm < self.least_gradient
        if self.outcome is not None or self.idle >= _MAX_IDLE or out_of_reach:
            raise StopIteration

    def result(self) -> Result:
        return Result(
            self.x,
            self.values[-1],
            self.grad_norm,
            len(self.values) - 1,
            self.values,
            self.outcome or "no_decrease",
            self.memory.problem,
        )
