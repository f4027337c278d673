"""alpha by the evidence: a sequence of fits of a linear network that hand θ on.

Each round minimises J for one alpha and approximates the posterior there. With γ, the
number of well-determined weights, and κ = d log|H + αR| / d log α for constant αR (how
fast the Hessian H at the minimum grows with α), alpha solves

    γ - c κ = α Σw²,    c = 0.6

MacKay (1992) leaves κ out. If classes are nearly separable, most rows are saturated and
H depends strongly on α: his alpha is then too large, and that at the maximum of the
evidence, where c is 1, is too small. Log-losses relative to alpha=1, 22
tables of at most 800 rows, 3-fold, geometric mean and largest:

    c               0            0.5          0.65         0.75         0.85
                    0.90, 1.46   0.88, 1.19   0.88, 1.11   0.90, 1.18   0.90, 1.18

With more parameters than ``Thresholds.evidence_params`` c is 0.8. On 13 tables, images
and texts (64 to 6423 columns) it has 0.96 of the log-loss of 0.6, at most 1.04.

The rounds end if alpha would change by less than 3 %. The data determine it to tens of
per cent only. Its two digits are the same for every solver and every order of the rows.
"""

from typing import NamedTuple

import numpy as np

from sknn_simple._optim.bounds import sign_bounds, within
from sknn_simple._optim.history import History
from sknn_simple._optim.stopping import ENDED, ENDINGS, EvaluationLost, ended_by
from sknn_simple._training.heuristics import (
    CLOSE,
    LARGEST_ALPHA,
    LEAST_SLOPE,
    MAX_ROUNDS,
    MAX_SECANTS,
    MAX_STEP,
    SAME_OUTPUTS,
    SAME_VALUE,
    SHARE_OF_MANY,
    SHARE_OF_VOLUME,
    SMALL_STEP,
    SMALLEST_ALPHA,
)
from sknn_simple._training.laplace import Laplace, laplace
from sknn_simple._training.phases import run_phases
from sknn_simple._training.plan import SolvePlan, plan_round
from sknn_simple._training.problem import TrainingProblem
from sknn_simple._training.spec import TrainSpec


class Evidence(NamedTuple):
    """The evidence at the chosen alpha."""

    # The natural logarithm of the probability density of y.
    log_evidence: float
    # The number of well-determined weights, γ.
    n_effective: float
    # Every alpha that was tried and its evidence, in the order of the rounds.
    path: tuple[tuple[float, float], ...]


def lost_weights(
    n_effective: float, alpha: float, coef: np.ndarray, unit: np.ndarray
) -> float:
    """Return γ - α Σw², what the equation for alpha lacks at the end of a fit.

    `coef`, (n_features, n_outputs), is for raw columns and `unit`, (n_features,), is
    that of the columns; alpha is that of rows of an average weight of 1.
    """
    return n_effective - alpha * float(np.sum((coef * unit[:, None]) ** 2))


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
    """Minimise J for the alpha that the evidence chooses.

    `plan` and `theta` are those of the first round, for the alpha of the spec. After
    Ctrl-C (KeyboardInterrupt) or the request of an observer to stop, the last point
    that was reached is returned.
    """
    bounds, found, posterior = sign_bounds(spec.signs), None, None
    # Rounding of the mean weight must not make two values of one alpha.
    alpha = float(f"{spec.alpha / problem.data.mean_weight:.12g}")
    search = _Search(spec, problem)
    history.announce(_named(problem))
    while True:
        before = history.values.copy()
        theta, outcome = run_phases(plan, problem.diagonal, bounds, theta, history)
        if found is not None and outcome in ENDED and history.values == before:
            return found._replace(outcome=outcome)  # J was not yet evaluated
        found, posterior = _with_evidence(
            spec, problem, theta, outcome, alpha, found, posterior
        )
        if posterior is None or found.outcome in ENDED | {"observer", "max_iter"}:
            return found
        try:
            proposed = search.next_alpha(alpha, posterior)
            if proposed == alpha:
                history.announce(f"{_named(problem)} is chosen")
                return found
            if history.asked_to_stop or history.n_iter >= spec.criteria.max_iter:
                outcome = "observer" if history.asked_to_stop else "max_iter"
                return found._replace(outcome=outcome)
            alpha = proposed
            problem = problem.with_alpha(alpha * problem.data.mean_weight)
            history.announce(_named(problem))
            history.begin_step(theta)
            step = _without_shift(problem, within(posterior.mode(alpha), bounds))
            theta = _lower(problem, theta, step, posterior.loss)
            plan_next = plan.next_round or plan_round
            plan = plan_next(spec, problem, plan.solver, posterior.hessian)
        except ENDINGS as error:
            return found._replace(outcome=ended_by(error))


class _Search:
    """The search for a root of F(log α), the change of log α to the best alpha."""

    def __init__(self, spec: TrainSpec, problem: TrainingProblem) -> None:
        self._bounds = SMALLEST_ALPHA, LARGEST_ALPHA * problem.data.counted_rows
        many = problem.objective.size > spec.thresholds.evidence_params
        self._share = SHARE_OF_MANY if many else SHARE_OF_VOLUME
        self._lost = spec.lost_weights
        # From each alpha that was tried to the best alpha of its approximation.
        self._best: dict[float, float] = {}
        self._last: list[tuple[float, Laplace]] = []
        self._n_repeated = 0

    def next_alpha(self, alpha: float, posterior: Laplace) -> float:
        """Return the next alpha, of two digits; `alpha` itself at the end."""
        if not len(posterior.free):
            return alpha
        self._last = [*self._last[-2:], (alpha, posterior)]
        is_first = not self._best
        known = not is_first or self._lost is not None
        lost = self._share * _change_of_volume(self._last)
        if is_first and self._lost is not None:
            lost = self._lost
        # κ is known from the second round on, and changes what the first one proposes.
        for each, model in self._last[-2 if len(self._best) == 1 else -1 :]:
            self._best[each] = model.best_alpha(each, self._bounds, lost)
        if known and abs(np.log(self._best[alpha] / alpha)) < CLOSE:
            return alpha
        proposed = self._next()
        if is_first and proposed == alpha:
            return _two_digits(alpha * SMALL_STEP)
        self._n_repeated += proposed in self._best
        rounds = len(self._best) + self._n_repeated
        return alpha if rounds > MAX_ROUNDS or self._n_repeated > 2 else proposed

    def _next(self) -> float:
        """Return the next alpha from the best one at each alpha that was tried.

        The secant of F gives the step. The sign of F tells on which side the solution
        is: a step beyond an alpha on the other side, and every step after many rounds,
        becomes one to the middle.
        """
        tried = list(self._best)
        logs = np.log(tried)
        changes = np.log(list(self._best.values())) - logs
        *previous, current = (tried.index(alpha) for alpha, _ in self._last[-2:])
        now, step = logs[current], changes[current]
        change = step
        if previous:
            slope = (change - changes[previous[0]]) / (now - logs[previous[0]])
            step = -step / slope if slope < -LEAST_SLOPE else step
        step = min(max(step, -MAX_STEP), MAX_STEP)
        beyond = (logs - now) * change
        other_side = np.abs(logs - now)[(beyond > 0.0) & (changes * change < 0.0)]
        nearest = other_side.min(initial=np.inf)
        if abs(step) >= nearest or (len(logs) > MAX_SECANTS and np.isfinite(nearest)):
            step = np.sign(change) * nearest / 2.0
        return _two_digits(np.clip(np.exp(now + step), *self._bounds))


def _two_digits(alpha: float) -> float:
    return float(f"{alpha:.1e}")


def _named(problem: TrainingProblem) -> str:
    return f"alpha={problem.alpha:.6g}"


def _with_evidence(
    spec: TrainSpec,
    problem: TrainingProblem,
    theta: np.ndarray,
    outcome: str,
    alpha: float,
    before: Round | None,
    last: Laplace | None,
) -> tuple[Round, Laplace | None]:
    """Return the round with its evidence, also if Ctrl-C comes meanwhile.

    `before` and `last` are those of the last round, if any. The evidence is None if J
    can no longer be evaluated.
    """
    try:
        try:
            posterior = _posterior(spec, problem, theta, last)
        except KeyboardInterrupt:
            outcome, posterior = "interrupted", _posterior(spec, problem, theta, last)
    except EvaluationLost:
        return Round(problem, theta, "lost"), None
    log_evidence = posterior.log_evidence(alpha)
    path = () if before is None or before.evidence is None else before.evidence.path
    path = (*path, (problem.alpha, log_evidence))
    evidence = Evidence(log_evidence, posterior.n_effective(alpha), path)
    return Round(problem, theta, outcome, evidence), posterior


def _posterior(
    spec: TrainSpec,
    problem: TrainingProblem,
    theta: np.ndarray,
    last: Laplace | None,
) -> Laplace:
    """Return the Laplace approximation; weights that a bound holds do not count.

    The Hessian of the last one is used again if the raw outputs have hardly changed.
    Its product with a step, over its mean diagonal, which is the mean curvature of
    standardised columns, is their mean squared change, weighted by curvature.
    """
    held = (spec.signs != 0.0) & (theta == 0.0)
    J = problem.linear
    assert J is not None  # the spec asks for the evidence of linear networks only
    total, most = problem.data.counted_rows, spec.thresholds.evidence_params
    known = None
    if last is not None and last.hessian is not None:
        step, hessian = theta - last.theta, last.hessian
        change = step @ hessian @ step
        if change < SAME_OUTPUTS * hessian.diagonal().mean():
            known = hessian
    return laplace(J, theta, problem.penalty_unit, held, total, most, hessian=known)


def _change_of_volume(last: list[tuple[float, Laplace]]) -> float:
    """Return the derivative of log|H + α R| by log α that is due to the change of H.

    It is that of the polynomial through the values at the last alphas, up to three. A
    round counts if bounds held the same weights as now. It is 0 if there is no other.
    """
    alpha, now = last[-1]
    change = {
        each: model.log_determinant(alpha) - now.log_determinant(alpha)
        for each, model in last
        if np.array_equal(model.free, now.free)
    }
    if len(change) < 2:
        return 0.0
    powers = np.vander(np.log(list(change)) - np.log(alpha), increasing=True)
    return float(np.linalg.solve(powers, list(change.values()))[1])


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


def _lower(
    problem: TrainingProblem, theta: np.ndarray, step: np.ndarray, loss: float
) -> np.ndarray:
    """Return the result of a Newton step, but θ if J has risen; `loss` is S L(θ)."""
    J, total = problem.objective, problem.data.counted_rows
    rooted = J.penalty_root * theta
    value = loss / total + 0.5 * float(rooted @ rooted)
    return theta if (1.0 + SAME_VALUE) * value < J.value(step) else step
