"""The table of solvers, the one call of ``scipy.optimize.minimize``, and its result.

Every solver stops for the same reasons: the callback measures the gradient, counts
iterations and asks the caller; SciPy's own tolerances, which differ from method to
method (some on the step, some on the 2-norm), are switched off.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import optimize
from scipy.optimize import OptimizeResult, minimize

from sknn_simple._optim.constraints import Bounds
from sknn_simple._optim.iteration import ROUNDING
from sknn_simple._optim.lbfgs import lbfgs
from sknn_simple._optim.newton_cholesky import newton_cholesky
from sknn_simple._optim.problem import Memory, Problem, projected_gradient
from sknn_simple._optim.threads import no_line_search_warnings
from sknn_simple._optim.trust_krylov import trust_krylov


class Solver(NamedTuple):
    """One row of the table of solvers.

    Attributes
    ----------
    method : str or callable
        For ``scipy.optimize.minimize``.
    derivatives : tuple of str
        What it asks of a problem beyond value and gradient: "hessp", "hessian".
    bounds : bool
        Whether it can keep parameters within bounds.
    options : dict
        For ``minimize``; its own tests of convergence are switched off.
    reach : float, default=0.0
        By what factor the gradient may fall in one run; then the method is started
        afresh.
    """

    method: str | Callable[..., OptimizeResult]
    derivatives: tuple[str, ...]
    bounds: bool
    options: dict[str, Any]
    reach: float = 0.0


SOLVERS: dict[str, Solver] = {
    # 20 pairs, not SciPy's 10: measured best on networks.
    "lbfgs": Solver(lbfgs, (), True, {"maxcor": 20}),
    # Older SciPy does not begin at all with xtol = 0. Its inner iteration ends at once
    # where gᵀHg is below 7e-16, in units of the gradient at the start of a run.
    "newton-cg": Solver("Newton-CG", ("hessp",), False, {"xtol": 1e-300}, reach=1e-7),
    "trust-ncg": Solver("trust-ncg", ("hessp",), False, {"gtol": 0.0}),
    "trust-krylov": Solver(trust_krylov, ("hessp",), False, {}),
    "newton-cholesky": Solver(newton_cholesky, ("hessian",), False, {}),
}

# Over how many iterations a decrease is measured. One step of L-BFGS may be short by
# chance; ten in a row are not.
_DECREASE_WINDOW = 10
_SMALLEST_VALUE = 1e-6
# A dense Hessian above this size is refused: forming and factorising it takes three
# arrays of that size.
MAX_HESSIAN_BYTES = 2**31

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
        Largest number of iterations.
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
    """One iterate, as an observer sees it; `x` is in the coordinates of `problem`."""

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


class Renewal(NamedTuple):
    """Coordinates that are renewed on the way, because the curvature changes there.

    Attributes
    ----------
    first : int
        After how many iterations; and again each time their number has doubled, so
        that ever less of the whole is spent on it.
    renew : callable
        From a problem and a point to the same problem in other coordinates and the
        point there: f must not be higher.
    """

    first: int
    renew: Callable[[Problem, np.ndarray], tuple[Problem, np.ndarray]]


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


class _Journey:
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
        free = projected_gradient(x, gradient, self._bounds)
        grad_norm = float(np.abs(free).max(initial=0.0))
        before = self.values[-1] if self.values else np.inf
        self.idle = 0 if value < before else self.idle + 1
        if before < value <= before + ROUNDING * abs(before):
            value = before
        self._at, self.grad_norm = (self.memory, x.copy()), grad_norm
        self.values.append(value)
        problem, n_iter = self.memory.problem, len(self.values) - 1
        iterate = Iterate(n_iter, self.x, value, grad_norm, problem)
        stop = self._observer is not None and self._observer.ended(iterate)
        self._go_on_unless(self._decide(stop))

    def move(self, problem: Problem, x: np.ndarray, limits: Limits) -> None:
        """Take x, in the coordinates of `problem`, for the same point, and go on."""
        memory = Memory(problem)
        value, gradient = memory.value_and_grad(x)
        self._at, self._limits = (memory, x), limits
        self.grad_norm = float(np.abs(gradient).max(initial=0.0))
        self.values[-1] = min(value, self.values[-1])
        self._go_on_unless(self._decide(False))

    def _go_on_unless(self, outcome: str | None) -> None:
        self.outcome = outcome
        if outcome is None and self._observer is not None:
            self._observer.begins(self.memory.problem, self.x)

    def _decide(self, asked_to_stop: bool) -> str | None:
        reasons = {
            "gradient": self.grad_norm <= self._limits.threshold(self.values[-1]),
            "observer": asked_to_stop,
            "decrease": self._levelled_out(self._limits.min_decrease),
            "max_iter": len(self.values) > self._limits.max_iter,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

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


def check_capability(solver: str, size: int, bounded: bool) -> None:
    """Refuse a solver that cannot do what is asked, before any work.

    Parameters
    ----------
    solver : str
        A key of ``SOLVERS``, or "auto", which is able to do anything.
    size : int
        Number of parameters.
    bounded : bool
        Whether parameters have bounds.

    Raises
    ------
    ValueError
        With the solvers that can.
    """
    if solver == "auto":
        return
    if bounded and not SOLVERS[solver].bounds:
        able = [name for name, row in SOLVERS.items() if row.bounds]
        raise ValueError(
            f"solver='{solver}' cannot keep weights within bounds, which monotonic_cst "
            f"needs. Use solver='auto' or one of {able}."
        )
    hessian_bytes = 8 * size * size
    if "hessian" in SOLVERS[solver].derivatives and hessian_bytes > MAX_HESSIAN_BYTES:
        able = [n for n, row in SOLVERS.items() if "hessian" not in row.derivatives]
        raise ValueError(
            f"solver='{solver}' needs the Hessian of {size} parameters, "
            f"{hessian_bytes / 2**30:.1f} GiB; at most "
            f"{MAX_HESSIAN_BYTES / 2**30:.1f} GiB are taken. Use solver='auto' or one "
            f"of {able}."
        )


def minimise(
    problem: Problem,
    start: np.ndarray,
    *,
    solver: str,
    limits: Limits,
    bounds: Bounds | None = None,
    observer: Observer | None = None,
    renewal: Renewal | None = None,
) -> Result:
    """Minimise a problem with one of the ``SOLVERS``.

    Parameters
    ----------
    problem : Problem
        With the derivatives that the solver needs.
    start : ndarray of shape (size,)
        The first iterate, within the bounds.
    solver : str
        A key of ``SOLVERS``.
    limits : Limits
        When to stop.
    bounds : (low, high), optional
        Arrays of shape (size,); only for solvers with `bounds`.
    observer : Observer, optional
        Told about the start and every iteration; it may ask to stop.
    renewal : Renewal, optional
        How coordinates are renewed on the way; not with `bounds`.

    Returns
    -------
    Result
        Of the last iterate, also after an interrupt (KeyboardInterrupt) or when the
        solver could not go on.
    """
    due = limits.max_iter if renewal is None else renewal.first
    journey: _Journey | None = None
    try:
        journey = _Journey(problem, start, bounds, limits.until(due), observer)
        _descend(journey, SOLVERS[solver], bounds, limits)
        while (
            renewal is not None
            and journey.outcome == "max_iter"
            and due < limits.max_iter
        ):
            due *= 2
            renewed = renewal.renew(journey.memory.problem, journey.x)
            journey.move(*renewed, limits.until(due))
            _descend(journey, SOLVERS[solver], bounds, limits)
    except KeyboardInterrupt:
        if journey is None:
            journey = _Journey(problem, start, bounds, limits, None)
        journey.outcome = "interrupted"
    finally:
        if observer is not None:
            observer.abandoned()
    return journey.result()


def _descend(
    journey: _Journey, solver: Solver, bounds: Bounds | None, limits: Limits
) -> None:
    """Run a solver, afresh as long as that helps, until the journey has an outcome.

    A line search may fail at a kink, where the curvature remembered is that of the
    other side, and a trust region may shrink to nothing: starting afresh goes on. A
    run that lowers nothing ends it.
    """
    fell = True
    while journey.outcome is None and fell:
        before = journey.values[-1]
        journey.idle = 0
        journey.least_gradient = solver.reach * journey.grad_norm
        _run(journey, solver, bounds, limits)
        fell = journey.values[-1] < before
    if journey.outcome is None:
        journey.end_without_step()


def _run(
    journey: _Journey, solver: Solver, bounds: Bounds | None, limits: Limits
) -> None:
    memory = journey.memory
    # SciPy's Newton-CG compares curvatures with absolute constants. In units of its
    # largest entry at the start the gradient is near 1; a power of two keeps every bit.
    # Without Hessian products there are none, and the first step of L-BFGS is right
    # where the curvature is near 1.
    unit = _nearest_power_of_two(journey.grad_norm) if "hessp" in solver.derivatives else 1.0
    derivatives = {
        {"hessian": "hess"}.get(name, name): _in_units(
            getattr(memory.problem, name), unit
        )
        for name in solver.derivatives
    }
    # A line search may step to where f is not finite; it comes back by itself.
    with (
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        no_line_search_warnings(),
    ):
        minimize(
            lambda x: memory.value_and_grad(x)[0] / unit,
            journey.x,
            jac=lambda x: memory.value_and_grad(x)[1] / unit,
            method=solver.method,
            bounds=None if bounds is None else optimize.Bounds(*bounds),
            callback=journey,
            options={**solver.options, "maxiter": limits.max_iter},
            **derivatives,
        )


def _nearest_power_of_two(value: float) -> float:
    """Return the power of two nearest to a value, 1 for one that has none."""
    if not 0.0 < value < np.inf:
        return 1.0
    return float(np.exp2(np.round(np.log2(value))))


def _in_units(
    derivative: Callable[..., np.ndarray], unit: float
) -> Callable[..., np.ndarray]:
    return derivative if unit == 1.0 else lambda *args: derivative(*args) / unit
