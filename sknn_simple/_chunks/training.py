"""Training on chunks: the optimum of a sample is the start, and few passes follow.

The sample is trained on as a data set of its own, in this process. Its optimum is near
that of all rows, and its Hessian, preconditioned, is near the identity, so that L-BFGS
needs a handful of passes. With alpha="auto" the sample chooses the alpha of the first
round, too. If the sample lacks most of a column's variance, as it may of a rare
category, or if some iterations do not suffice, the Hessian of all rows is formed.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._chunks.engine import Engine, Lazy
from sknn_simple._chunks.objective import ChunkedObjective, ChunkSums, loss_of_chunk
from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.linear_objective import is_linear
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.objective import Objective
from sknn_simple._optim.bounds import within
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._optim.problem import Preconditioner
from sknn_simple._optim.stopping import ENDED
from sknn_simple._training.heuristics import START_CRITERIA, blocks_pay
from sknn_simple._training.plan import Phase, SolvePlan, plan_solve
from sknn_simple._training.preconditioners import (
    block_preconditioner,
    hessian_preconditioner,
    known_hessian_preconditioner,
)
from sknn_simple._training.problem import (
    Columns,
    TrainingProblem,
    objective_over,
    problem_over,
)
from sknn_simple._training.spec import TrainSpec
from sknn_simple._training.subsampling import resembles
from sknn_simple._training.train import (
    MakeObservers,
    Trained,
    descend,
    first_theta,
    train,
)


class ChunkedRows(NamedTuple):
    """All rows, in chunks. The training set that holds it has a sample of them."""

    engine: Engine
    # As in ``ChunkSums``.
    groups: list[Lazy]
    n_rows: int
    # None for validation rows.
    columns: Columns | None = None

    def train(
        self,
        spec: TrainSpec,
        data: TrainingSet,
        validation: TrainingSet | None,
        start: np.ndarray,
        make_observers: MakeObservers,
        *,
        warm_start: bool,
    ) -> Trained:
        """Minimise J over all rows; see ``train``."""
        # A matrix is one pass, and an estimate without it takes about thirty.
        most = spec.thresholds.subsample_params
        spec = spec._replace(thresholds=spec.thresholds._replace(evidence_params=most))
        with np.errstate(under="ignore"):
            if warm_start or not spec.iterates:
                problem = self._problem(spec, data)
                theta, _ = first_theta(problem, start, warm_start)
            else:
                spec, raw = _from_sample(spec, data, start)
                problem = self._problem(spec, data)
                theta = within(problem.from_raw(raw), problem.bounds)
                criteria = spec.criteria._replace(past_plateau=True)
                spec = spec._replace(criteria=criteria)
            problem = problem._replace(spec=spec.finer(problem.offset))
            if spec.network.is_linear and problem.bounds is None:
                plan = _plan_linear(problem, spec.solver)
            else:
                plan = plan_solve(problem, theta)
            trained = descend(problem, plan, theta, validation, make_observers)
        if warm_start and not spec.iterates:
            trained = trained._replace(parameters=start.astype(problem.dtype))
        return trained

    def objective(
        self, problem: TrainingProblem, exact: FeatureTransform | None
    ) -> Objective:
        """Return the loss over these rows as a function of the problem's θ."""
        parts = exact, problem.objective.folded, np.zeros(problem.objective.size)
        return self._over(problem.spec, problem.data, *parts)

    def _problem(self, spec: TrainSpec, data: TrainingSet) -> TrainingProblem:
        assert self.columns is not None
        make = partial(self._over, spec, data)
        return problem_over(spec, data, self.columns, make)

    def _over(
        self,
        spec: TrainSpec,
        data: TrainingSet,
        explicit: FeatureTransform | None,
        folded: FeatureTransform | None,
        root: np.ndarray,
        dtype: np.dtype | None = None,
    ) -> Objective:
        loss_of = partial(loss_of_chunk, spec, explicit, folded, dtype)
        blocks: Any = ChunkSums(self.engine, self.groups, loss_of)
        loss = LOSSES[data.out_activation]
        return ChunkedObjective(spec.network, loss, blocks, root, Workers(1), folded)


def _from_sample(
    spec: TrainSpec, data: TrainingSet, start: np.ndarray
) -> tuple[TrainSpec, np.ndarray]:
    """Return the spec with the alpha that the sample chooses, and its optimum.

    The optimum is for raw features.
    """
    rough = spec  # alpha needs a converged fit
    if not spec.by_evidence:
        is_linear = spec.network.is_linear
        rough = spec._replace(criteria=START_CRITERIA) if is_linear else spec.coarse()
    trained = train(rough._replace(patience=None), data.in_memory(), None, start)
    if trained.outcome in ENDED:
        raise KeyboardInterrupt
    if trained.evidence is not None:
        spec = spec._replace(alpha=trained.alpha)
    return spec, trained.parameters


def _plan_linear(
    problem: TrainingProblem, solver: str, hessian: np.ndarray | None = None
) -> SolvePlan:
    """Plan for a convex J; `hessian` is that of the loss nearby, if it was formed."""
    spec = problem.spec
    J, thresholds = problem.linear, spec.thresholds
    if solver == "auto":
        is_tight = spec.criteria.tol < thresholds.preconditioned_lbfgs_tol
        solver = "newton-cg" if is_tight else "lbfgs"
    exact = Phase(lambda: J, lambda _: problem.diagonal, spec.criteria)
    phases = [exact]
    if not SOLVERS[solver].needs_matrix:
        by_sample = partial(_precondition, problem, hessian)
        phases = [exact._replace(precondition=by_sample)]
        if problem.shape.n_params <= thresholds.subsample_params:
            few = spec.criteria.until(thresholds.first_renewal)
            by_all_rows = partial(hessian_preconditioner, J, problem.diagonal)
            first = phases[0]._replace(criteria=few)
            phases = [first, exact._replace(precondition=by_all_rows)]
            sample = problem.data.in_memory()
            if hessian is None and not resembles(sample, problem):
                phases = phases[1:]
    return SolvePlan(solver, phases, plan_round=_plan_linear)


def _precondition(
    problem: TrainingProblem, hessian: np.ndarray | None, theta: np.ndarray
) -> Preconditioner | None:
    """Return what preconditions with a known Hessian, or with that of the sample."""
    spec = problem.spec
    J, diagonal, sample = problem.linear, problem.diagonal, problem.data.in_memory()
    if hessian is not None:
        return known_hessian_preconditioner(J, diagonal, hessian)
    parts = problem.explicit, J.folded, J.penalty_root
    local = objective_over(spec, sample, Workers(1), *parts)
    assert is_linear(local)  # as J is
    shape = problem.shape._replace(n_rows=sample.n_rows)
    if shape.n_params <= spec.thresholds.subsample_params:
        return hessian_preconditioner(local, diagonal, theta)
    if blocks_pay(shape, spec.thresholds):
        return block_preconditioner(local, diagonal, theta)
    return diagonal
