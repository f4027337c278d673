"""alpha by the evidence: a sequence of fits of a linear network that hand θ on.

Each round minimises J for one alpha and approximates the posterior there. With γ, the
number of well-determined weights, and κ = d log|H + αR| / d log α for constant αR (how
fast the Hessian H at the minimum grows with α), alpha solves

    γ - c κ + 1/(1 + α) = α Σw²,    c = 0.4 + 0.6 min(d, S) / (S + 2K + 16)

for d weights, S rows and K classes (2 for each label). At c = 1 the evidence is
largest; MacKay (1992) leaves κ out. If classes are nearly separable, most rows are
saturated and H depends strongly on α: his alpha is then too large, and with many rows
that of the largest evidence is too small. Log-losses relative to alpha=1 of 114 tables
of at most 800 rows, those of the benchmark and of ``benchmarks/rdatasets.py`` among
them, two draws of the test rows, 3-fold, if c is 1 for more weights than rows;
geometric mean and largest:

    c               0            0.3          0.5          0.75         1
                    0.917, 1.15  0.916, 1.11  0.916, 1.13  0.920, 1.22  0.943, 2.5

With more weights than rows, relative to the best of nine alphas: 63 tables of word
counts (120 to 2000 docstrings of two to five packages, 427 to 13,290 words):

    c               0.6          0.8          1            0.4 + 0.6 S / (S + 20)
                    1.25, 1.55   1.16, 1.40   1.06, 1.20   1.09, 1.33

The evidence of few rows is not to be trusted: at c = 1 three classes of 12 rows, drawn
at random, often got the smallest alpha. From 100 rows on it did no harm to noise. Nor
is that of many classes: for 20 to 100 normal clusters in 5 or 10 columns with 3 to 10
rows each, log-losses were 1.3 to 4.9 times the best of eight alphas with S + 20, and
are 1.0 to 1.1 times it. 32 species of leaves with 17 rows each in 80 columns get 1.3
times the log-loss of S + 20, and would get 1.5 times it with S + 4K + 12.

The last term on the left is that of the prior p(log α) ∝ √(α/(1 + α)): flat for strong
penalties, as MacKay's, and falling for weak ones, so that the scale σ = α^-½ of the
weights has the tail 1/σ² of a Cauchy distribution (Gelman 2006). It counts as much as
one weight. Few rows that are nearly separable let alpha go to 0 without it. Log-losses
of 80 draws of y = [3 x + ε > 0] with logistic ε, on 2000 other rows, and relative ones
of 99 tables with at most 60 and 800 rows:

    rows × columns      10 × 2    20 × 3    30 × 3    100 × 10    60 rows    800 rows
    without             0.80      0.56      0.452     0.418       1          1
    with                0.56      0.48      0.432     0.418       0.994      1.000

κ is the difference of log|H + αR| at θ and at a point ahead, to which the minimum moves
if α grows by 3 %.

The rounds end if alpha would change by less than 3 %, or 10 % if traces are estimated,
for more parameters than ``Thresholds.evidence_params``. The data determine it to tens
of per cent only. Its two digits are the same for every solver and every order of rows.

References
----------
Gelman, A. (2006). Prior distributions for variance parameters in hierarchical models.
Bayesian Analysis 1(3), 515-534.
Kass, R. E., Raftery, A. E. (1995). Bayes factors. Journal of the American Statistical
Association 90(430), 773-795.
MacKay, D. J. C. (1992). The evidence framework applied to classification networks.
Neural Computation 4(5), 720-736.
"""

from typing import NamedTuple

import numpy as np

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.bounds import within
from sknn_simple._optim.history import History
from sknn_simple._optim.stopping import ENDED, ENDINGS, EvaluationLost, ended_by
from sknn_simple._training.heuristics import (
    CLOSE,
    CLOSE_ESTIMATE,
    LARGEST_STEP,
    LITTLE_EVIDENCE,
    SAME_OUTPUTS,
    SAME_VALUE,
    alpha_bounds,
    growth_share,
)
from sknn_simple._training.laplace import (
    Laplace,
    Likelihood,
    laplace,
    log_determinant,
)
from sknn_simple._training.phases import run_phases
from sknn_simple._training.plan import SolvePlan
from sknn_simple._training.problem import TrainingProblem
from sknn_simple._training.spec import TrainSpec

# Each alpha and its evidence.
Path = tuple[tuple[float, float], ...]


class Evidence(NamedTuple):
    """The evidence at the last alpha."""

    # The natural logarithm of the probability density of y.
    log_evidence: float
    # The number of well-determined weights, γ.
    n_effective: float
    # Every alpha that was tried and its evidence, in the order of the rounds.
    path: Path
    # Whether the search ended at this alpha by itself.
    is_chosen: bool = False


class Round(NamedTuple):
    """A minimum of J for one alpha."""

    problem: TrainingProblem
    theta: np.ndarray
    outcome: str
    # None if alpha was given, or if J was lost before there was an evidence.
    evidence: Evidence | None = None


def minimize_by_evidence(
    problem: TrainingProblem, plan: SolvePlan, theta: np.ndarray, history: History
) -> Round:
    """Minimise J for the alpha that the evidence chooses.

    `problem`, `plan` and `theta` are those of the first round. After Ctrl-C
    (KeyboardInterrupt) or the request of an observer to stop, the last point that was
    reached is returned, or the end of a first search if its evidence is larger.

    The evidence may have two maxima: with a value that is far from all others, the
    search from a strong penalty ends at a model that is nearly constant. If the
    evidence is hardly larger than that of the class shares, a second search begins at
    the weakest penalty, and counts if its evidence is larger. One value at 1000
    deviations among 300 rows: log-loss 0.47 instead of 0.70. Noise takes twice as long,
    with the same alpha.
    """
    first = _rounds(problem, plan, theta, history, ())
    data, found = problem.data, first.evidence
    if found is None or not found.is_chosen:
        return first
    of_shares = -data.counted_rows * data.loss_of_shares()
    if found.log_evidence > of_shares + LITTLE_EVIDENCE:
        return first
    history.announce("hardly better than the class shares: a second search")
    value, norm = history.values[-1], history.grad_norm
    unit = problem.spec.alpha_unit
    weakest = data.mean_weight * alpha_bounds(data.counted_rows, unit)[0]
    last = _again(first, plan, weakest, history, found.path)
    path, other = found.path, last.evidence
    if other is not None:
        path = other.path
        if other.log_evidence > found.log_evidence:
            return last
        if other.is_chosen:
            alpha = first.problem.alpha
            others = tuple(each for each in path if each[0] != alpha)  # measured again
            last = _again(last, plan, alpha, history, others)
    if last.evidence is not None and last.evidence.is_chosen:
        return last
    # The end came early: the model of the first search is the best so far.
    history.restate(value, norm)
    evidence = found._replace(path=path, is_chosen=False)
    return first._replace(outcome=last.outcome, evidence=evidence)


def _again(
    last: Round, plan: SolvePlan, alpha: float, history: History, path: Path
) -> Round:
    """Search from another alpha, and from the weights of the last search."""
    problem = last.problem.with_alpha(alpha)
    plan = plan.next_search(problem, last.theta)
    return _rounds(problem, plan, last.theta, history, path)


def _rounds(
    problem: TrainingProblem,
    plan: SolvePlan,
    theta: np.ndarray,
    history: History,
    path: Path,
) -> Round:
    """Search from a problem's alpha; `path` has the rounds of earlier searches."""
    found, posterior = None, None
    # Rounding of the mean weight must not make two values of one alpha.
    alpha = float(f"{problem.alpha / problem.data.mean_weight:.12g}")
    search = _AlphaRoot(problem.data, problem.spec.alpha_unit)
    history.announce(_named(problem))
    while True:
        before = history.values.copy()
        theta, outcome = run_phases(plan, problem, theta, history)
        if found is not None and outcome in ENDED and history.values == before:
            return found._replace(outcome=outcome)  # J was not yet evaluated
        try:
            outcome, posterior = _approximated(problem, theta, outcome, posterior)
        except EvaluationLost:
            return Round(problem, theta, "lost")
        path = (*path, (problem.alpha, posterior.log_evidence(alpha)))
        evidence = Evidence(path[-1][1], posterior.n_effective(alpha), path)
        found = Round(problem, theta, outcome, evidence)
        if outcome in ENDED | {"observer", "max_iter"}:
            return found
        try:
            growth = _growth(problem, posterior, alpha)
            proposed = search.next_alpha(alpha, posterior, growth)
            if proposed == alpha:
                history.announce(f"{_named(problem)} is chosen")
                return found._replace(evidence=evidence._replace(is_chosen=True))
            if outcome := _asked_to_end(problem.spec, history):
                return found._replace(outcome=outcome)
            alpha = proposed
            problem = problem.with_alpha(alpha * problem.data.mean_weight)
            history.announce(_named(problem))
            history.begin_step(posterior.theta)
            theta = _newton_step(problem, posterior, alpha)
            plan = plan.next_round(problem, posterior.curvature.hessian)
        except ENDINGS as error:
            return found._replace(outcome=ended_by(error))


def _asked_to_end(spec: TrainSpec, history: History) -> str:
    """Return the reason to end the search, or an empty string."""
    if history.asked_to_stop:
        return "observer"
    return "max_iter" if history.n_iter >= spec.criteria.max_iter else ""


class _AlphaRoot:
    """The search for a root of F(log α), the change of log α to the best alpha."""

    def __init__(self, data: TrainingSet, unit: float) -> None:
        self._n_rows = data.counted_rows
        self._n_classes = 2 if data.multilabel else len(data.classes)
        self._unit, self._bounds = unit, alpha_bounds(self._n_rows, unit)
        # From each alpha that was tried to the best alpha of its approximation.
        self._best: dict[float, float] = {}
        self._last: list[float] = []
        self._n_repeated = 0

    def next_alpha(self, alpha: float, posterior: Laplace, growth: float) -> float:
        """Return the next alpha, of two digits; `alpha` itself at the end."""
        H = posterior.curvature
        share = growth_share(len(H.free), self._n_rows, self._n_classes)
        self._last = [*self._last[-1:], alpha]
        gamma = posterior.n_effective(alpha)
        # As α changes, κ changes nearly as γ does.
        part = 1.0 - share * growth / gamma if gamma > 0.0 else 1.0
        best = posterior.best_alpha(alpha, self._bounds, part, self._unit)
        self._best[alpha] = best
        step = self._step()
        if abs(step) < (CLOSE if H.hessian is not None else CLOSE_ESTIMATE):
            return alpha
        proposed = _two_digits(np.clip(alpha * np.exp(step), *self._bounds))
        self._n_repeated += proposed in self._best
        return alpha if self._n_repeated > 2 else proposed

    def _step(self) -> float:
        """Return a change of log α, from the best one at each alpha that was tried.

        The secant of F gives the step. If F does not fall, steps are doubled. The sign
        of F tells on which side the solution is: a step beyond an alpha on the other
        side becomes one to the middle. A long step could pass a maximum of the evidence
        on its way to a nearly constant model.
        """
        tried = list(self._best)
        logs = np.log(tried)
        changes = np.log(list(self._best.values())) - logs
        *previous, current = map(tried.index, self._last)
        now, step = logs[current], changes[current]
        change = step
        if previous:
            moved = now - logs[previous[0]]
            slope = (change - changes[previous[0]]) / moved
            if slope < 0.0:
                step = -change / slope
            elif moved * change > 0.0:
                step = np.sign(change) * max(abs(change), 2.0 * abs(moved))
        beyond = (logs - now) * change
        other_side = np.abs(logs - now)[(beyond > 0.0) & (changes * change < 0.0)]
        nearest = other_side.min(initial=np.inf)
        if abs(step) >= nearest:
            step = np.sign(change) * nearest / 2.0
        return float(np.clip(step, -LARGEST_STEP, LARGEST_STEP))


def _two_digits(alpha: float) -> float:
    return float(f"{alpha:.1e}")


def _named(problem: TrainingProblem) -> str:
    return f"alpha={problem.alpha:.6g}"


def _approximated(
    problem: TrainingProblem, theta: np.ndarray, outcome: str, last: Laplace | None
) -> tuple[str, Laplace]:
    """Return the outcome and the approximation, also if Ctrl-C comes meanwhile."""
    try:
        return outcome, _posterior(problem, theta, last)
    except KeyboardInterrupt:
        return "interrupted", _posterior(problem, theta, last)


def _likelihood(problem: TrainingProblem, theta: np.ndarray) -> Likelihood:
    """Return the likelihood; weights that a bound holds at 0 are out."""
    J, spec = problem.linear, problem.spec
    held = (spec.signs != 0.0) & (theta == 0.0)
    return Likelihood(
        J.over(J.blocks, np.zeros(J.size)),
        problem.data.counted_rows,
        np.where(held, 0.0, problem.penalty_unit),
        spec.thresholds.evidence_params,
    )


def _posterior(
    problem: TrainingProblem, theta: np.ndarray, last: Laplace | None
) -> Laplace:
    """Return the Laplace approximation; the last Hessian is used again if it may be."""
    same = last is not None and _same_outputs(last, theta - last.theta)
    known = last.curvature.hessian if last is not None and same else None
    return laplace(_likelihood(problem, theta), theta, known)


def _same_outputs(posterior: Laplace, step: np.ndarray) -> bool:
    """Return whether a step hardly changes the raw outputs, and so the Hessian.

    The product of the Hessian with the step, over its mean diagonal, which is the mean
    curvature of standardised columns, is their mean squared change, weighted by
    curvature.
    """
    hessian = posterior.curvature.hessian
    if hessian is None:
        return False
    change = step @ hessian @ step
    return bool(change < SAME_OUTPUTS * hessian.diagonal().mean())


def _growth(problem: TrainingProblem, posterior: Laplace, alpha: float) -> float:
    """Return κ: how log|H + α R| changes with log α because the minimum moves."""
    step = posterior.mode(alpha * np.exp(CLOSE)) - posterior.mode(alpha)
    # Extreme raw columns, of 1e90, may overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        if _same_outputs(posterior, step / CLOSE):
            return 0.0
        ahead = posterior.theta + step
        volume = log_determinant(_likelihood(problem, ahead), ahead, alpha)
        change = volume - posterior.log_determinant(alpha)
    return change / CLOSE if np.isfinite(change) else 0.0


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


def _newton_step(
    problem: TrainingProblem, posterior: Laplace, alpha: float
) -> np.ndarray:
    """Return θ after a Newton step for another alpha, but θ itself if J would rise."""
    J, total, theta = problem.objective, problem.data.counted_rows, posterior.theta
    step = within(posterior.mode(alpha), problem.bounds)
    step = _without_shift(problem, step)
    rooted = J.penalty_root * theta
    value = posterior.loss / total + 0.5 * float(rooted @ rooted)
    return theta if (1.0 + SAME_VALUE) * value < J.value(step) else step
