"""Training a network from one start: each phase continues from the θ of the last.

Arguments and results of ``train`` can be pickled, so that restarts can run in other
processes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._data.canonical_order import in_canonical_order
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.bounds import reflected, within
from sknn_simple._optim.history import History, Observer
from sknn_simple._optim.stopping import OUTCOMES, EvaluationLost, StoppingCriteria
from sknn_simple._training.early_stopping import (
    EarlyStopping,
    early_stopping,
    validation_objective,
)
from sknn_simple._training.evidence import Evidence, Round, minimize_by_evidence
from sknn_simple._training.heuristics import COARSE_TOL
from sknn_simple._training.phases import run_phases
from sknn_simple._training.plan import SolvePlan, plan_solve
from sknn_simple._training.problem import TrainingProblem, build_problem
from sknn_simple._training.row_space import (
    few_distinct_rows,
    in_row_space,
    minimum_norm,
    start_in_row_space,
)
from sknn_simple._training.separation import separating_columns
from sknn_simple._training.spec import TrainSpec
from sknn_simple._training.subsampling import subsample_optimum

# From the problem and its early stopping, if any, to the observers of the training.
MakeObservers = Callable[[TrainingProblem, EarlyStopping | None], Sequence[Observer]]


class Trained(NamedTuple):
    """The result of training."""

    # For raw features; in float32 if the features are and it is accurate enough.
    parameters: np.ndarray
    alpha: float
    # (n_features,): the units of the columns, in which the penalty measures weights.
    unit: np.ndarray
    # J at `parameters`.
    loss: float
    # J at the start and after each iteration.
    loss_curve: list[float]
    # Largest absolute entry of the gradient, in the coordinates of `tol`.
    grad_norm: float
    # Why training ended, a key of ``OUTCOMES``, and when it would have converged.
    outcome: str
    criteria: StoppingCriteria
    solver: str
    # Log-loss on the validation set at the start and after each iteration.
    validation_curve: list[float] | None
    # None if alpha was given, or if J was lost before there was an evidence.
    evidence: Evidence | None = None
    # Without a penalty: the columns that separate the classes, so that J has no
    # minimum; empty if they cannot be told, None if J has one.
    separating: tuple[int, ...] | None = None
    # Log-loss of `parameters` on the validation set, if there is one; that of a row is
    # at most ``TrainSpec.largest_loss``, and other classes count by its ``smoothing``.
    held_out_loss: float = np.nan

    @property
    def score(self) -> float:
        """The lowest validation loss if there is one, else J; restarts compare it."""
        return min(self.validation_curve or [self.loss])


def train(
    spec: TrainSpec,
    data: TrainingSet,
    validation: TrainingSet | None,
    start: np.ndarray,
    make_observers: MakeObservers = lambda problem, stopping: (),
    *,
    warm_start: bool = False,
    problems: "Problems | None" = None,
) -> Trained:
    """Minimise J from one start.

    `start` are zeros or random numbers, in the coordinates u of the diagonal
    preconditioner. With `warm_start` they are the parameters for raw features of an
    earlier fit. Without early stopping the log-loss of the validation rows is computed
    at the end. Fits of the same rows that differ in alpha only may share `problems`,
    one after the other.
    """
    if data.chunks is not None:
        return data.chunks.train(
            spec, data, validation, start, make_observers, warm_start=warm_start
        )
    problems = problems or Problems()
    # Underflow to 0 is expected; silence it even if the user set np.seterr(under=…).
    with (
        np.errstate(under="ignore"),
        limit_blas_threads as n_threads,
        problems.workers.restarted(n_threads),
    ):
        evaluates = warm_start and not spec.iterates
        problem = problems.of(spec, data, evaluates=evaluates)
        is_drawn = not (warm_start or spec.network.is_linear)
        if is_drawn and problem.whole is not None:
            start = start_in_row_space(problem, start)
        theta, is_warm = first_theta(problem, start, warm_start)
        plan = plan_solve(problem, theta)
        if plan.subsample is not None and not is_warm:
            theta = subsample_optimum(problem, plan.subsample, theta)
        trained = descend(problem, plan, theta, validation, make_observers)
        if evaluates:
            trained = trained._replace(parameters=start.astype(problem.dtype))
        return trained


class Problems:
    """The problems of fits of the same rows, one after the other.

    In the space of the rows the first fit builds them, and the others change alpha.
    With few columns they are built again: it takes little time, and keeping them would
    keep the transformed features of all folds.
    """

    def __init__(self) -> None:
        self.workers = Workers(1)
        self._built: TrainingProblem | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Threads and their buffers stay here: another process builds its own.
        return Problems, ()

    def of(
        self, spec: TrainSpec, data: TrainingSet, *, evaluates: bool = False
    ) -> TrainingProblem:
        """Return the problem.

        It is in coordinates of the row space, if that is smaller, but not if a fit only
        `evaluates` its start.
        """
        if self._built is not None:
            return self._built.with_alpha(spec.alpha)
        is_linear = spec.network.is_linear
        if not is_linear or few_distinct_rows(spec, data.X) is not None:
            data = in_canonical_order(data)
        problem = build_problem(spec, data, self.workers)
        problem = problem._replace(spec=spec.finer(problem.offset))
        if not evaluates:
            problem = in_row_space(problem)
        if problem.whole is not None:
            self._built = problem
        return problem


def descend(
    problem: TrainingProblem,
    plan: SolvePlan,
    theta: np.ndarray,
    validation: TrainingSet | None,
    make_observers: MakeObservers,
) -> Trained:
    """Run the phases of a plan from θ."""
    spec, stopping = problem.spec, early_stopping(problem, validation)
    observers = make_observers(problem, stopping)
    history = History([stopping, *observers] if stopping else observers)
    found = _minimize(problem, plan, theta, history, stopping)
    trained = _trained(found, history, spec.criteria)
    if stopping is not None:
        return _best_of(trained, problem, stopping)
    if problem.alpha == 0.0 and spec.iterates:
        trained = _without_penalty(problem, found.theta, trained)
    if validation is not None:
        whole = problem.whole or problem  # over the columns of the validation rows
        theta = whole.from_raw(trained.parameters)
        # Features and outputs of a row far from all others may overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            rows = validation_objective(whole, validation)
            loss = rows.loss_value(theta, spec.largest_loss, spec.smoothing)
        trained = trained._replace(held_out_loss=loss)
    return trained


def _without_penalty(
    problem: TrainingProblem, theta: np.ndarray, trained: Trained
) -> Trained:
    """Return the solution of minimum norm, and whether there is one at all."""
    spec = problem.spec
    if not OUTCOMES[trained.outcome].converged:
        return trained
    # Far from a minimum Newton steps do not shrink either.
    is_tight = spec.criteria.tol <= COARSE_TOL
    try:
        free = (spec.signs == 0.0) | (theta != 0.0)
        columns = separating_columns(problem, theta, free, by_steps=is_tight)
        shortest = problem.to_raw(minimum_norm(problem, theta))
    except EvaluationLost:
        return trained._replace(outcome="lost")
    return trained._replace(parameters=shortest, separating=columns)


def first_theta(
    problem: TrainingProblem, start: np.ndarray, warm_start: bool
) -> tuple[np.ndarray, bool]:
    """Return the initial θ, within the bounds, and whether a warm start was used."""
    J, spec, bounds = problem.objective, problem.spec, problem.bounds
    if warm_start and not spec.iterates:
        return problem.from_raw(start), True
    if not warm_start:
        if spec.network.is_linear:
            return np.zeros(J.size), False
        return problem.diagonal.to_theta(reflected(start, bounds)), False
    theta = within(problem.from_raw(start), bounds)
    if not spec.network.is_linear:
        return theta, True
    # If the data were in other units in the last fit, all outputs are saturated and
    # convergence is slow. J is convex: zeros lead to the same minimum.
    zeros = np.zeros(J.size)
    with np.errstate(over="ignore", invalid="ignore"):
        is_better = J.value(theta) <= J.value(zeros)
    return (theta, True) if is_better else (zeros, False)


def _minimize(
    problem: TrainingProblem,
    plan: SolvePlan,
    theta: np.ndarray,
    history: History,
    stopping: EarlyStopping | None,
) -> Round:
    """Minimise J, for the given alpha or for the one that the evidence chooses."""
    outcome = "interrupted"  # passed to the observers if a phase raises an error
    try:
        if problem.spec.by_evidence:
            found = minimize_by_evidence(problem, plan, theta, history)
        else:
            found = Round(problem, *run_phases(plan, problem, theta, history))
        if stopping is not None and stopping.triggered and found.outcome == "observer":
            found = found._replace(outcome="early_stopping")
        outcome = found.outcome
    finally:
        history.stop(outcome)
    return found


def _trained(found: Round, history: History, criteria: StoppingCriteria) -> Trained:
    problem, theta, outcome, evidence = found
    return Trained(
        problem.to_raw(theta),
        problem.alpha,
        problem.unit,
        history.values[-1],
        history.values,
        history.grad_norm,
        outcome,
        criteria,
        history.solver,
        None,
        evidence,
    )


def _best_of(
    trained: Trained, problem: TrainingProblem, stopping: EarlyStopping
) -> Trained:
    """Return the result at the iterate with the lowest validation loss."""
    best, curve = stopping.best, stopping.curve
    if best is None:  # the end came before the validation loss of the start
        if trained.outcome == "lost":
            raise EvaluationLost("The validation rows could not be evaluated.")
        raise KeyboardInterrupt
    return trained._replace(
        parameters=problem.to_raw(best.theta),
        loss=trained.loss_curve[best.n_iter],
        # After Ctrl-C the last iterate may lack a validation loss.
        loss_curve=trained.loss_curve[: len(curve)],
        grad_norm=best.grad_norm,
        validation_curve=curve,
    )
