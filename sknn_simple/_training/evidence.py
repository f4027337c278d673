"""alpha by the evidence: a sequence of fits of a linear network that hand θ on.

Each round minimises J for one alpha, approximates the posterior there, and takes the
alpha at which the evidence of this approximation is largest. The rounds end if the
first two digits of alpha no longer change. The evidence determines alpha to tens of per
cent only; two digits make alpha the same for every solver and every order of the rows.
"""

from typing import NamedTuple

import numpy as np

from sknn_simple._optim.bounds import sign_bounds, within
from sknn_simple._optim.history import History
from sknn_simple._training.heuristics import (
    LARGEST_ALPHA,
    LEAST_SLOPE,
    MAX_ROUNDS,
    MAX_SECANTS,
    MAX_STEP,
    SMALLEST_ALPHA,
)
from sknn_simple._training.laplace import Laplace, laplace
from sknn_simple._training.phases import run_phases
from sknn_simple._training.plan import SolvePlan, plan_round
from sknn_simple._training.problem import TrainingProblem
from sknn_simple._training.spec import TrainSpec

# A smaller relative rise of J may be rounding: if classes are nearly separable, J of
# softmax is near 1e-6, with an error of 1e-16.
LEAST_RISE = 1e-9


class Evidence(NamedTuple):
    """The evidence at the chosen alpha."""

    # The natural logarithm of the probability density of y.
    log_evidence: float
    # The number of well-determined weights, γ.
    n_effective: float
    # Every alpha that was tried and its evidence, in the order of the rounds.
    path: tuple[tuple[float, float], ...]


class Round(NamedTuple):
    """A minimum of J for one alpha."""

    problem: TrainingProblem
    theta: np.ndarray
    outcome: str
    # None if alpha was given.
    evidence: Evidence | None = None


def maximize_evidence(
    spec: TrainSpec,
    problem: TrainingProblem,
    plan: SolvePlan,
    theta: np.ndarray,
    history: History,
) -> Round:
    """Minimise J for the alpha that maximises the evidence.

    `plan` and `theta` are those of the first round, for the alpha of the spec. After
    Ctrl-C (KeyboardInterrupt) or the request of an observer to stop, the last point
    that was reached is returned.
    """
    bounds, tried = sign_bounds(spec.signs), dict[float, float]()
    alpha = spec.alpha / problem.data.mean_weight
    history.announce(_named(problem))
    found = None
    while True:
        before = history.values.copy()
        theta, outcome = run_phases(plan, problem.diagonal, bounds, theta, history)
        if found is not None and outcome == "interrupted" and history.values == before:
            return found._replace(outcome=outcome)  # J was not yet evaluated
        path = () if found is None or found.evidence is None else found.evidence.path
        found, posterior = _with_evidence(spec, problem, theta, outcome, alpha, path)
        if found.outcome in ("observer", "interrupted", "max_iter"):
            return found
        try:
            tried[alpha] = posterior.best_alpha(alpha, _range(problem))
            alpha = _next_alpha(tried, _range(problem))
            if alpha in tried or len(tried) == MAX_ROUNDS:
                history.announce(f"{_named(problem)} maximises the evidence")
                return found
            if history.asked_to_stop:
                return found._replace(outcome="observer")
            if history.n_iter >= spec.criteria.max_iter:
                return found._replace(outcome="max_iter")
            problem = problem.with_alpha(alpha * problem.data.mean_weight)
            history.announce(_named(problem))
            history.begin_step(theta)
            step = _without_shift(problem, within(posterior.mode(alpha), bounds))
            theta = _lower(problem, theta, step)
            plan = plan_round(spec, problem, plan.solver, posterior.hessian)
        except KeyboardInterrupt:
            return found._replace(outcome="interrupted")


def _named(problem: TrainingProblem) -> str:
    return f"alpha={problem.alpha:.6g}"


def _with_evidence(
    spec: TrainSpec,
    problem: TrainingProblem,
    theta: np.ndarray,
    outcome: str,
    alpha: float,
    path: tuple[tuple[float, float], ...],
) -> tuple[Round, Laplace]:
    """Return the round with its evidence, also if Ctrl-C comes meanwhile.

    `path` is that of the rounds before.
    """
    try:
        posterior = _posterior(spec, problem, theta)
    except KeyboardInterrupt:
        outcome, posterior = "interrupted", _posterior(spec, problem, theta)
    log_evidence = posterior.log_evidence(alpha)
    path = (*path, (problem.alpha, log_evidence))
    evidence = Evidence(log_evidence, posterior.n_effective(alpha), path)
    return Round(problem, theta, outcome, evidence), posterior


def _posterior(spec: TrainSpec, problem: TrainingProblem, theta: np.ndarray) -> Laplace:
    """Return the Laplace approximation; weights that a bound holds do not count."""
    held = (spec.signs != 0.0) & (theta == 0.0)
    J = problem.linear
    assert J is not None  # the spec asks for the evidence of linear networks only
    total, most = problem.data.counted_rows, spec.thresholds.evidence_params
    return laplace(J, theta, problem.penalty_unit, held, total, most)


def _range(problem: TrainingProblem) -> tuple[float, float]:
    return SMALLEST_ALPHA, LARGEST_ALPHA * problem.data.counted_rows


def _next_alpha(tried: dict[float, float], bounds: tuple[float, float]) -> float:
    """Return the next alpha from the best one at each alpha that was tried.

    F(log α) is the change of log α to the best alpha, and 0 at the solution. From the
    second round on the secant of F gives the step. The sign of F tells on which side
    the solution is: a step beyond an alpha on the other side, and every step after
    many rounds, becomes one to the middle.
    """
    logs = np.log(list(tried))
    changes = np.log(list(tried.values())) - logs
    now, step = logs[-1], changes[-1]
    if len(logs) > 1:
        slope = (step - changes[-2]) / (now - logs[-2])
        step = -step / slope if slope < -LEAST_SLOPE else step
    step = min(max(step, -MAX_STEP), MAX_STEP)
    beyond = (logs - now) * changes[-1]
    other_side = np.abs(logs - now)[(beyond > 0.0) & (changes * changes[-1] < 0.0)]
    nearest = other_side.min(initial=np.inf)
    if abs(step) >= nearest or (len(tried) > MAX_SECANTS and np.isfinite(nearest)):
        step = np.sign(changes[-1]) * nearest / 2.0
    return float(f"{np.clip(np.exp(now + step), *bounds):.1e}")


def _without_shift(problem: TrainingProblem, theta: np.ndarray) -> np.ndarray:
    """Subtract from the weights of softmax their mean over the outputs.

    It is 0 at a minimum of J. If the unit of a column is extreme, rounding errors of
    the eigenvectors are large in this direction.
    """
    J = problem.objective
    if J.loss.shift_invariant:
        weights = J.views(theta)["coef"]
        weights -= weights.mean(axis=1, keepdims=True)
    return theta


def _lower(problem: TrainingProblem, theta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the result of a Newton step, but θ if J has risen."""
    J = problem.objective
    return theta if (1.0 + LEAST_RISE) * J.value(theta) < J.value(step) else step
