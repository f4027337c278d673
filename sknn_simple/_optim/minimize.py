"""One run of a solver: θ in, θ out, through ``scipy.optimize.minimize``.

All solvers have the same stopping criteria: the callback evaluates the gradient, counts
iterations and calls the observers. SciPy's own tolerances are switched off, because
they differ between methods (some test the step, some the 2-norm).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize
from scipy.optimize import OptimizeResult

from sknn_simple._optim.bounds import Bounds, projected_gradient
from sknn_simple._optim.history import History
from sknn_simple._optim.lbfgs import lbfgs
from sknn_simple._optim.newton_cholesky import newton_cholesky
from sknn_simple._optim.problem import PreconditionedProblem, Preconditioner, Problem
from sknn_simple._optim.stopping import ENDINGS, StoppingCriteria, ended_by

# A trust region that rejects this many steps in a row has shrunk by 4^-25: no step that
# float64 can represent lowers the objective.
_MAX_REJECTED = 25


class Solver(NamedTuple):
    """One row of the table of solvers."""

    # For ``scipy.optimize.minimize``.
    method: str | Callable[..., OptimizeResult]
    # "hessp" or "hess", if it needs more than value and gradient.
    derivatives: tuple[str, ...]
    # Whether it can keep parameters within bounds.
    bounds: bool
    # For ``minimize``; they switch off the method's own tests of convergence.
    options: dict[str, Any]
    # If the gradient has fallen by this factor, the method is restarted.
    reach: float = 0.0

    @property
    def first_order(self) -> bool:
        """Whether it needs no second derivatives, and so a good preconditioner."""
        return not self.derivatives

    @property
    def needs_matrix(self) -> bool:
        """Whether it needs the Hessian as a matrix."""
        return "hess" in self.derivatives


SOLVERS: dict[str, Solver] = {
    "lbfgs": Solver(lbfgs, (), True, {}),
    # SciPy 1.11 makes no iteration if xtol is 0. Its inner iteration ends at once if
    # gᵀHg is below 7e-16, in units of the gradient at the start of a run. If J goes to
    # 0, H falls with g, and the product with its third power.
    "newton-cg": Solver("Newton-CG", ("hessp",), False, {"xtol": 1e-300}, reach=1e-4),
    "trust-ncg": Solver("trust-ncg", ("hessp",), False, {"gtol": 0.0}),
    "newton-cholesky": Solver(newton_cholesky, ("hess",), False, {}),
}


def minimize(
    problem: Problem,
    theta: np.ndarray,
    preconditioner: Preconditioner,
    criteria: StoppingCriteria,
    history: History,
    *,
    solver: str = "lbfgs",
    bounds: Bounds | None = None,
) -> tuple[np.ndarray, str]:
    """Minimise a problem from θ.

    The start `theta` is within the bounds, each of which is 0 or ±∞. The `solver`, a
    key of ``SOLVERS``, works on u = T⁻¹ θ; nothing outside this function does. The
    criteria count the iterations of earlier runs as well, to whose `history` this run
    appends.

    Returns
    -------
    theta : ndarray of shape (size,)
        The last iterate, which has the lowest value, also after Ctrl-C
        (KeyboardInterrupt), if the problem can no longer be evaluated
        (EvaluationLost), or if the solver finds no further step.
    outcome : str
        A key of ``OUTCOMES``.
    """
    history.solver = solver
    preconditioned = PreconditionedProblem(problem, preconditioner, theta)
    run = _Run(preconditioned, criteria, history, bounds, preconditioned.start)
    try:
        run.start()
        run.descend(SOLVERS[solver])
    except ENDINGS as error:
        if not history.values:  # before the value of the start
            raise
        run.outcome = ended_by(error)
    assert run.outcome is not None
    return run.theta, run.outcome


@dataclass
class _Run:
    """One problem, one preconditioner, and the iterate u in its coordinates."""

    problem: PreconditionedProblem
    criteria: StoppingCriteria
    history: History
    bounds: Bounds | None
    u: np.ndarray
    outcome: str | None = None
    # The solver is started again if the gradient is smaller than this.
    least_gradient: float = 0.0

    @property
    def theta(self) -> np.ndarray:
        return self.problem.theta(self.u)

    def start(self) -> None:
        """Evaluate the start; it ends an iteration if it is a new iterate."""
        if not self.history.values or self.history.moved:
            self._accept(self.u)
            return
        value, norm = self._measure(self.u)
        self.history.restate(value, norm)
        self._decide()

    def descend(self, solver: Solver) -> None:
        """Run a solver, and restart it while that lowers f, until there is an outcome.

        A line search may fail at a kink, because the stored pairs describe the other
        side of it, and a trust region may shrink to zero. A restart repairs both.
        """
        history = self.history
        fell = True
        while self.outcome is None and fell:
            before = history.values[-1]
            history.rejected = 0
            self.least_gradient = solver.reach * history.grad_norm
            self._call_scipy(solver)
            fell = history.values[-1] < before
        if self.outcome is None:
            self.outcome = self.criteria.reason_without_step(history)

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        """Record one iteration of SciPy, which prescribes the name of the parameter."""
        self._accept(intermediate_result.x)
        history = self.history
        out_of_reach = history.grad_norm < self.least_gradient
        shrunk = history.rejected >= _MAX_REJECTED
        if self.outcome is not None or shrunk or out_of_reach:
            raise StopIteration

    def _accept(self, u: np.ndarray) -> None:
        value, norm = self._measure(u)
        target = self.criteria.threshold([*self.history.values[:1], value])
        self.u = u.copy()
        self.history.add(self.theta, value, norm, target)
        self._decide()

    def _measure(self, u: np.ndarray) -> tuple[float, float]:
        """Return f and the largest entry of the projected gradient, in units of tol."""
        value, gradient = self.problem.value_and_grad(u)
        largest = np.abs(projected_gradient(u, gradient, self.bounds)).max(initial=0.0)
        return value, self.problem.preconditioner.gradient_unit * float(largest)

    def _decide(self) -> None:
        self.outcome = self.criteria.reason(self.history)
        if self.outcome is None:
            self.history.begin_iteration(self.theta)

    def _call_scipy(self, solver: Solver) -> None:
        problem = self.problem
        # SciPy's Newton-CG compares curvatures with absolute constants. Therefore f is
        # divided by a unit that makes the initial gradient near 1; a power of two does
        # not round. L-BFGS needs no unit: its first step fits a curvature near 1.
        by_products = "hessp" in solver.derivatives
        unit = _nearest_power_of_two(self.history.grad_norm) if by_products else 1.0
        available: dict[str, Callable[..., np.ndarray]] = {
            "hessp": lambda u, v: problem.hessian_product(u, v) / unit,
            "hess": problem.hessian,
        }
        # A line search may try a step at which f is not finite; it then shortens it.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            optimize.minimize(
                lambda u: problem.value_and_grad(u)[0] / unit,
                self.u,
                jac=lambda u: problem.value_and_grad(u)[1] / unit,
                method=solver.method,
                bounds=None if self.bounds is None else optimize.Bounds(*self.bounds),
                callback=self,
                options={**solver.options, "maxiter": self.criteria.max_iter},
                **{name: available[name] for name in solver.derivatives},
            )


def _nearest_power_of_two(value: float) -> float:
    """Return the power of two nearest to a value; 1 if it is 0 or not finite."""
    if not 0.0 < value < np.inf:
        return 1.0
    return float(np.exp2(np.round(np.log2(value))))
