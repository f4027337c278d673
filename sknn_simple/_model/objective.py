"""The objective J of a network, its gradient and its Hessian products.

    J(θ) = Σᵢ wᵢ ℓ(yᵢ, zᵢ(θ)) + ½ Σⱼ (ρⱼ θⱼ)²,      wᵢ = sᵢ/S

θ acts on transformed features (x - m) ∘ r. The root of the penalty, ρ, is 0 for a bias
and √(alpha/S) for a connection weight; times rⱼ if the penalty is on raw weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.row_blocks import Block, RowBlocks, Workspace
from sknn_simple._data.threads import Workers
from sknn_simple._model.input_map import InputMap, layer_slices
from sknn_simple._model.losses import Loss
from sknn_simple._model.networks import Arrays


@dataclass(eq=False)
class Objective:
    """J over row blocks, whose weights sum to 1.

    `penalty_root` (size,) is ρ. `folded` is the part of the features' transform that
    the blocks do not apply: it is folded into the parameters.
    """

    # How many points are kept with their loss and its gradient. If any are, a loss is
    # computed with its gradient, because that is asked for next.
    kept_points = 0

    # A ``Network``.
    network: Any
    loss: Loss
    blocks: RowBlocks
    penalty_root: np.ndarray
    workers: Workers
    folded: FeatureTransform | None = None

    def __post_init__(self) -> None:
        network, folded = self.network, self.folded
        self.size = network.layout.size
        self.workspace = Workspace()
        self._points: list[tuple[bytes, float, np.ndarray]] = []
        self._map = None
        if folded is not None:
            layers = layer_slices(network.layout, network.input_weights)
            self._map = InputMap(self.size, layers, folded.center, folded.scale)

    def over(self, blocks: RowBlocks, penalty_root: np.ndarray | None = None) -> Self:
        """Return J over other rows, or with another penalty.

        The kept losses do not depend on the penalty: the same rows share them.
        """
        root = self.penalty_root if penalty_root is None else penalty_root
        J = type(self)(self.network, self.loss, blocks, root, self.workers, self.folded)
        if blocks is self.blocks:
            J._points = self._points
        return J

    def value(self, theta: np.ndarray) -> float:
        """Return J(θ)."""
        rooted = self.penalty_root * theta
        return self.loss_value(theta) + 0.5 * float(rooted @ rooted)

    def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J(θ) and ∂J/∂θ."""
        value, gradient = self.loss_and_gradient(theta)
        rooted = self.penalty_root * theta
        gradient += self.penalty_root * rooted
        return value + 0.5 * float(rooted @ rooted), gradient

    def loss_value(
        self, theta: np.ndarray, largest: float = np.inf, smoothing: float = 0.0
    ) -> float:
        """Return Σᵢ wᵢ ℓ(yᵢ, zᵢ(θ)), changed as in ``Loss.value``."""
        if self.kept_points and largest == np.inf and smoothing == 0.0:
            return self.loss_and_gradient(theta)[0]
        return self._loss_value(theta, largest, smoothing)

    def _loss_value(self, theta: np.ndarray, *change: float) -> float:
        """Take one forward pass through each block."""
        params = self.params(theta)

        def term(block: Block, _: np.ndarray) -> float:
            X = self.blocks.features(block, self.workspace)
            raw = self.network.forward(params, X, self.workspace)
            return self.loss.value(raw, block.y, block.loss_weight, *change)

        return self.blocks.sum(term, (0,), self.workers)[0]

    def loss_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient, a new array."""
        if not self.kept_points:
            return self._loss_and_gradient(theta)
        asked = theta.tobytes()
        for point, value, gradient in reversed(self._points):
            if point == asked:
                return value, gradient.copy()
        value, gradient = self._loss_and_gradient(theta)
        self._points.append((asked, value, gradient))
        del self._points[: -self.kept_points]
        return value, gradient.copy()

    def _loss_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Take one forward and one backward pass through each block."""
        params = self.params(theta)

        def term(block: Block, total: np.ndarray) -> float:
            X = self.blocks.features(block, self.workspace)
            raw, kept = self.network.forward_keeping(params, X, self.workspace)
            value = self.loss.value_and_gradient(raw, block.y, block.loss_weight)
            self.network.backward(params, X, raw, kept, self.views(total))
            return value

        value, gradient = self.blocks.sum(term, (self.size,), self.workers)
        return value, self.pull_back(gradient)

    def curvature(self, theta: np.ndarray) -> "Curvature":
        return Curvature(self, theta)

    def each(self, measure: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Return ``measure(J, *arguments)`` for each part of the rows: here, for all.

        `measure` is a function of a module, so that it can be sent to where rows are.
        """
        return [measure(self, *arguments)]

    def params(self, theta: np.ndarray) -> Arrays:
        """Return θ as named arrays that act on the features of the blocks."""
        stored = theta if self._map is None else self._map.to_raw(theta)
        return self.views(stored.astype(self.blocks.dtype, copy=False))

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """Return the gradient over θ from that over `params`."""
        return gradient if self._map is None else self._map.pull_back(gradient)

    def views(self, vector: np.ndarray) -> Arrays:
        return self.network.layout.views(vector)


class Curvature:
    """The second derivatives of J at one θ, as products with the Hessian."""

    def __init__(self, objective: Objective, theta: np.ndarray) -> None:
        self._objective: Any = objective
        # A copy: `params` may be views, and a caller may reuse the memory of θ.
        self._params = objective.params(theta.copy())

    def product(self, v: np.ndarray) -> np.ndarray:
        """Return the Hessian times v, exact, by the R-operator."""
        J = self._objective
        network = J.network
        params, direction = self._params, J.params(v)

        def term(block: Block, total: np.ndarray) -> float:
            X = J.blocks.features(block, J.workspace)
            raw, tangent, kept = network.tangent(params, direction, X, J.workspace)
            probability = J.loss.probabilities(raw.copy())
            J.loss.curvature_product(probability, block.loss_weight, tangent)
            J.loss.value_and_gradient(raw, block.y, block.loss_weight)
            network.tangent_backward(
                params, direction, X, raw, tangent, kept, J.views(total)
            )
            return 0.0

        _, product = J.blocks.sum(term, (J.size,), J.workers)
        return J.pull_back(product) + J.penalty_root**2 * v
