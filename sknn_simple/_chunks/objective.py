"""J over chunks: every chunk evaluates the objective of its own rows, without penalty.

The weights of all rows together sum to 1, so that the loss and its derivatives over all
rows are sums over the chunks. The penalty is added here. There is one implementation of
each: that of ``Objective``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sknn_simple._chunks.engine import Engine, Lazy, added, at_aligned_addresses
from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.objective import Curvature, Objective
from sknn_simple._training.problem import objective_over
from sknn_simple._training.spec import TrainSpec

# From the rows of a chunk to their loss, as an objective without a penalty.
LossOf = Callable[[TrainingSet], Objective]


def loss_of_chunk(
    spec: TrainSpec,
    explicit: FeatureTransform | None,
    folded: FeatureTransform | None,
    dtype: np.dtype | None,
    rows: TrainingSet,
) -> Objective:
    """Return the loss over rows; the other arguments are sent to them once."""
    # Transformed features are not kept: they would take the memory of the rows.
    sizes = spec.block_sizes._replace(kept_bytes=0.0)
    root = np.zeros(spec.network.layout.size)
    parts = explicit, folded, root, dtype
    return objective_over(spec._replace(block_sizes=sizes), rows, Workers(1), *parts)


def measured(
    rows: Sequence[TrainingSet],
    loss_of: LossOf,
    measure: Callable[..., Any],
    *arguments: Any,
) -> list[Any]:
    """Return ``measure(J, *arguments)`` for the rows of each chunk that has any."""
    arguments = tuple(map(at_aligned_addresses, arguments))
    with np.errstate(all="ignore"), limit_blas_threads:
        return [
            measure(loss_of(at_aligned_addresses(each)), *arguments)
            for each in rows
            if each.n_rows
        ]


def summed(*arguments: Any) -> Any:
    """Return the sum over chunks of what they measure, in their order."""
    return added(*measured(*arguments))


class ChunkSums:
    """The rows behind an objective, as lazy groups of chunks.

    Each value of `groups` is a sequence of `TrainingSet`; what these give is added
    first.
    """

    def __init__(self, engine: Engine, groups: list[Lazy], loss_of: LossOf) -> None:
        self._engine = engine
        self._groups = groups
        self._loss_of = engine.keep(loss_of)

    def sum(self, measure: Callable[..., Any], *arguments: Any) -> Any:
        """Return the sum of ``measure(J, *arguments)`` over all chunks."""
        sums = self._of_groups(summed, measure, arguments)
        return self._engine.collect([self._engine.total(sums)])[0]

    def each(self, measure: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Return ``measure(J, *arguments)`` for every chunk."""
        groups = self._engine.collect(self._of_groups(measured, measure, arguments))
        return [one for several in groups for one in several]

    def _of_groups(
        self,
        function: Callable[..., Any],
        measure: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> list[Lazy]:
        call, sent = self._engine.call, map(self._engine.send, arguments)
        common = self._loss_of, measure, *sent
        return [call(function, rows, *common) for rows in self._groups]


def _derivative(
    name: str, J: Objective, theta: np.ndarray, *arguments: np.ndarray
) -> np.ndarray:
    """Return what a method of the curvature at θ returns."""
    return getattr(J.curvature(theta), name)(*arguments)


class ChunkedObjective(Objective):
    """J over chunks; `blocks` is a ``ChunkSums``."""

    blocks: Any

    # Also of a hidden layer: each evaluation is a pass over all rows.
    kept_points = LinearObjective.kept_points

    def _loss_value(self, theta: np.ndarray, *change: float) -> float:
        return self.blocks.sum(Objective.loss_value, theta, *change)

    def _loss_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        return self.blocks.sum(Objective.loss_and_gradient, theta)

    def curvature(self, theta: np.ndarray) -> Any:
        return ChunkedCurvature(self, theta)

    def each(self, measure: Callable[..., Any], *arguments: Any) -> list[Any]:
        return self.blocks.each(measure, *arguments)


class ChunkedCurvature(Curvature):
    """The second derivatives of J at one θ; each is a pass over the chunks."""

    def __init__(self, objective: ChunkedObjective, theta: np.ndarray) -> None:
        self._blocks, self._theta = objective.blocks, theta.copy()
        self._penalty = objective.penalty_root**2
        self._biases = objective.network.layout.slices.get("intercept", slice(0))

    def _sum(self, name: str, *arguments: np.ndarray) -> np.ndarray:
        """Return the sum over chunks of what a method returns, without the penalty."""
        measure = partial(_derivative, name)
        return self._blocks.sum(measure, self._theta, *arguments).copy()

    def product(self, v: np.ndarray) -> np.ndarray:
        return self._sum("product", v) + self._penalty * v

    def bias_product(self, v: np.ndarray) -> np.ndarray:
        return self._sum("bias_product", v) + (self._penalty * v)[self._biases]

    def bias_block(self) -> np.ndarray:
        return self._sum("bias_block") + np.diag(self._penalty[self._biases])

    def matrix(self) -> np.ndarray:
        hessian = self._sum("matrix")
        hessian[np.diag_indices_from(hessian)] += self._penalty
        return hessian
