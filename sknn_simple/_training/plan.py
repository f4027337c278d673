"""Choice of the solver and the phases of a fit; nothing is minimised here.

A phase is one run of the solver, with one objective, one preconditioner and one set of
stopping criteria. Large fits of a hidden layer start in float32. Large linear fits
renew their preconditioner after 8, 16, 32, … iterations. Each phase starts at the θ of
the previous one, and all share one history.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from sknn_simple._data.moments import column_moments
from sknn_simple._model.objective import Objective
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._optim.problem import Preconditioner
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.heuristics import (
    FLOAT32_LARGE,
    FLOAT32_SMALL,
    FLOAT32_TOL,
    blocks_pay,
    newton_takes_over,
    select_solver,
)
from sknn_simple._training.preconditioners import (
    block_preconditioner,
    hessian_preconditioner,
    known_hessian_preconditioner,
    rescaled_preconditioner,
)
from sknn_simple._training.problem import TrainingProblem, make_row_blocks, precision_of
from sknn_simple._training.spec import TrainSpec
from sknn_simple._training.subsampling import Subsample, draw_subsample

# From θ to the preconditioner at θ; None keeps the previous one.
Precondition = Callable[[np.ndarray], Preconditioner | None]


# The outcomes after which a fit goes on with its next phase: that of an exact phase,
# and of one in float32.
AFTER_EXACT = frozenset({"max_iter"})
AFTER_ROUGH = frozenset({"max_iter", "gradient", "decrease", "rounding", "no_decrease"})


class Phase(NamedTuple):
    """One run of the solver."""

    # Makes the objective: few fits reach a phase that converts the rows once more.
    objective: Callable[[], Objective]
    precondition: Precondition
    criteria: StoppingCriteria
    continue_after: frozenset[str] = AFTER_EXACT
    # In place of the solver of the plan.
    solver: str | None = None


class SolvePlan(NamedTuple):
    """The solver, the phases, and the subsample whose optimum is the start, if any."""

    solver: str
    phases: list[Phase]
    subsample: Subsample | None = None
    # Plans the other rounds of a search for alpha, if not ``plan_round``.
    plan_round: Callable[..., "SolvePlan"] | None = None

    def next_round(
        self, problem: TrainingProblem, hessian: np.ndarray | None = None
    ) -> "SolvePlan":
        """Return the plan for another alpha; `hessian` is as in ``plan_round``."""
        return (self.plan_round or plan_round)(problem, self.solver, hessian)

    def next_search(self, problem: TrainingProblem, theta: np.ndarray) -> "SolvePlan":
        """Return the plan from a θ that may be far from the minimum."""
        if self.plan_round is not None:
            return self.next_round(problem)
        return plan_solve(problem, theta)


def plan_solve(problem: TrainingProblem, start: np.ndarray) -> SolvePlan:
    """Choose solver and phases for a problem and an initial θ."""
    spec = problem.spec
    if spec.network.is_linear and problem.bounds is None:
        return _plan_linear(problem)
    phases = [*_float32_phase(problem, start), _exact_phase(problem)]
    return SolvePlan(_asked_or(spec, "lbfgs"), _ended_in_float64(problem, phases))


def _ended_in_float64(problem: TrainingProblem, phases: list[Phase]) -> list[Phase]:
    """Add a float64 phase if the products of the last one are in float32."""
    if precision_of(problem.spec, problem.data.X) != np.float32:
        return phases
    *before, last = phases
    criteria = last.criteria.no_finer_than(FLOAT32_TOL)
    in_float64 = partial(problem.in_precision, np.dtype(np.float64))
    wider = Phase(in_float64, lambda _: None, problem.spec.criteria)
    last = last._replace(criteria=criteria, continue_after=AFTER_ROUGH)
    return [*before, last, wider]


def plan_round(
    problem: TrainingProblem, solver: str, hessian: np.ndarray | None
) -> SolvePlan:
    """Choose the phases for another alpha, near the minimum for the previous one.

    `hessian` is that of the loss at the previous minimum, if it was formed.
    """
    phase, by_matrix = _exact_phase(problem), SOLVERS[solver].needs_matrix
    if problem.bounds is None and not by_matrix:
        if hessian is not None:
            known = problem.linear, problem.diagonal, hessian
            phase = phase._replace(
                precondition=lambda _: known_hessian_preconditioner(*known)
            )
        elif SOLVERS[solver].first_order:
            # The last of the phases: θ is near the minimum, and blocks are formed once.
            phase = _renewed_phases(problem)[-1]
    return SolvePlan(solver, [phase])


def _plan_linear(problem: TrainingProblem) -> SolvePlan:
    """Choose for a convex J: a subsample, blocks of the Hessian, or neither."""
    spec, subsample = problem.spec, draw_subsample(problem)
    preconditioned = _plan_preconditioned(problem, subsample)
    if preconditioned is not None:
        return preconditioned
    quickest = select_solver(problem.shape, spec.criteria.tol, spec.thresholds)
    solver = _asked_or(spec, quickest)
    first_order = SOLVERS[solver].first_order and SOLVERS[quickest].first_order
    phases = _renewed_phases(problem) if first_order else [_exact_phase(problem)]
    if solver == "lbfgs" and spec.solver == "auto":
        phases = _ended_by_newton(problem, phases)
    return SolvePlan(solver, phases, subsample)


def _ended_by_newton(problem: TrainingProblem, phases: list[Phase]) -> list[Phase]:
    """Limit the iterations of L-BFGS, and end with newton-cholesky, if that pays."""
    spec = problem.spec
    end = spec.thresholds.newton_after
    if spec.criteria.max_iter <= end:
        return phases
    if not newton_takes_over(problem.shape, spec.thresholds):
        return phases
    first = [*phases[:-1], phases[-1]._replace(criteria=spec.criteria.until(end))]
    last = _exact_phase(problem)._replace(solver="newton-cholesky")
    return [*first, last]


def _plan_preconditioned(
    problem: TrainingProblem, subsample: Subsample | None
) -> SolvePlan | None:
    """Precondition with the subsample's Hessian at its optimum, or return None.

    The preconditioned Hessian of all rows is then the identity up to sampling noise,
    and L-BFGS takes four to ten passes over the rows. A subsample that lacks most of a
    column's variance gives the start only.
    """
    spec, solver = problem.spec, _asked_or(problem.spec, "lbfgs")
    within_reach = spec.criteria.tol >= spec.thresholds.preconditioned_lbfgs_tol
    by_matrix = SOLVERS[solver].needs_matrix
    if subsample is None or not subsample.represents or by_matrix or not within_reach:
        return None
    J, diagonal = subsample.objective, problem.diagonal
    precondition = partial(hessian_preconditioner, J, diagonal)
    phase = _exact_phase(problem)._replace(precondition=precondition)
    return SolvePlan(solver, [phase], subsample)


def _renewed_phases(problem: TrainingProblem) -> list[Phase]:
    """Return phases between which the preconditioner is renewed.

    Blocks of the Hessian are formed at intervals that double, so that their cost stays
    a small fraction. If they do not pay, the diagonal is renewed once.
    """
    J, spec = problem.linear, problem.spec
    thresholds, max_iter = spec.thresholds, spec.criteria.max_iter

    def moments(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        blocks = make_row_blocks(spec, problem.data._replace(weight=weight))
        return problem.transform.moments(*column_moments(blocks, J.workers))

    if blocks_pay(problem.shape, thresholds):
        precondition = partial(block_preconditioner, J, problem.diagonal)
        ends = [thresholds.first_renewal * 2**k for k in range(max_iter.bit_length())]
    else:
        precondition = partial(rescaled_preconditioner, J, moments)
        ends = [thresholds.first_renewal]
    ends = [*(end for end in ends if end < max_iter), max_iter]
    first = _exact_phase(problem)._replace(criteria=spec.criteria.until(ends[0]))
    renewed = (
        Phase(lambda: J, precondition, spec.criteria.until(end)) for end in ends[1:]
    )
    return [first, *renewed]


def _float32_phase(problem: TrainingProblem, start: np.ndarray) -> list[Phase]:
    """Return the float32 phase of large fits of a hidden layer, else no phase."""
    spec, transform, data = problem.spec, problem.explicit, problem.data
    solver = SOLVERS[_asked_or(spec, "lbfgs")]
    if transform is None or not transform.rounds or not solver.first_order:
        return []
    is_small = data.n_rows * problem.objective.size < spec.thresholds.float32_work
    has_large_weights = np.abs(start).max() > FLOAT32_LARGE
    has_light_rows = data.weight.min() < FLOAT32_SMALL
    if is_small or has_large_weights or has_light_rows:
        return []
    phase = _exact_phase(problem)._replace(
        objective=partial(problem.in_precision, np.dtype(np.float32)),
        criteria=spec.criteria.no_finer_than(FLOAT32_TOL),
        continue_after=AFTER_ROUGH,
    )
    return [phase]


def _exact_phase(problem: TrainingProblem) -> Phase:
    """Return the phase that minimises J to the requested accuracy."""
    J, diagonal = problem.objective, problem.diagonal
    return Phase(lambda: J, lambda _: diagonal, problem.spec.criteria)


def _asked_or(spec: TrainSpec, default: str) -> str:
    """Return the requested solver, or `default` for "auto"."""
    return default if spec.solver == "auto" else spec.solver
