"""The objective J of both networks, its gradient, Hessian products and Hessian.

    J(θ) = Σᵢ wᵢ ℓ(yᵢ, zᵢ(θ)) + ½ Σⱼ (decayⱼ θⱼ)²,      wᵢ = sᵢ/S

with decayⱼ = √(alpha/S) dⱼ. For a connection weight dⱼ is 1, or the feature's standard
deviation when the penalty is on standardised features; for a bias it is 0.
"""

from typing import Protocol, Self

import numpy as np

from sknn_simple._data.features import Features, Order, standardise
from sknn_simple._data.row_blocks import KEPT_BYTES, Block, RowBlocks, Workspace
from sknn_simple._data.threads import Workers
from sknn_simple._model.layout import Layout
from sknn_simple._model.losses import Loss
from sknn_simple._model.networks import Arrays, Kept
from sknn_simple._model.standardised import StandardisedObjective, add_hessian

# Up to this size keeping ∂ℓ/∂z at each evaluation costs less than the forward pass that
# it saves a Hessian.
KEPT_GRADIENT_BYTES = 2**20
# Chosen rows are multiplied so many at a time: adding up the products, matrices of the
# square of the columns, then costs little beside them.
GATHERED_ROWS = 2048
# Multiply-adds from which a block of the Hessian is worth a thread: around its product
# there are steps that hold Python's lock.
BLOCK_WORK = 1e8
EMPTY = np.empty(0)


class Network(Protocol):
    """What the objective asks of a network; shapes as in ``networks``."""

    layout: Layout
    n_outputs: int
    has_bias: bool
    # What a hidden unit gives on average.
    hidden_mean: float
    # Whether features may be followed by a column of ones.
    takes_ones: bool

    @property
    def input_weights(self) -> tuple[tuple[str, str], ...]: ...

    @property
    def hidden_weights(self) -> tuple[tuple[str, str], ...]: ...

    def row_bytes(self, X: Features) -> float: ...

    def work(self, X: Features) -> float: ...

    def forward(self, params: Arrays, X: Features, work: Workspace) -> np.ndarray: ...

    def forward_keeping(
        self, params: Arrays, X: Features, work: Workspace
    ) -> tuple[np.ndarray, Kept]: ...

    def backward(
        self,
        params: Arrays,
        X: Features,
        delta: np.ndarray,
        kept: Kept,
        total: Arrays,
    ) -> None: ...

    def tangent(
        self, params: Arrays, direction: Arrays, X: Features, work: Workspace
    ) -> tuple[np.ndarray, np.ndarray, Kept]: ...

    def tangent_backward(
        self,
        params: Arrays,
        direction: Arrays,
        X: Features,
        delta: np.ndarray,
        tangent_delta: np.ndarray,
        kept: Kept,
        total: Arrays,
    ) -> None: ...


class Objective:
    """J over row blocks.

    Parameters
    ----------
    network : Network
        Maps features and parameters to raw outputs.
    loss : Loss
        Maps raw outputs and targets to ℓ.
    blocks : RowBlocks
        The data; its weights sum to 1.
    decay : ndarray of shape (network.layout.size,)
        The penalty's factors, √(alpha/S) dⱼ.
    workers : Workers
        Threads over which lanes of blocks are mapped.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        blocks: RowBlocks,
        decay: np.ndarray,
        workers: Workers,
    ) -> None:
        self.network = network
        self.loss = loss
        self.blocks = blocks
        self.decay = decay
        self.workers = workers
        self.size = network.layout.size
        self._workspace = Workspace()

    def over(self, blocks: RowBlocks, decay: np.ndarray | None = None) -> Self:
        """Return J over other blocks: of other rows, or of the same seen otherwise."""
        decay = self.decay if decay is None else decay
        return type(self)(self.network, self.loss, blocks, decay, self.workers)

    @property
    def input_curvature(self) -> float:
        """A typical ∂²J/∂w² of a weight on an input of unit variance, at the start."""
        return 1.0

    def value(self, theta: np.ndarray) -> float:
        """Return J(θ)."""
        params = self._params(theta)

        def term(block: Block, _: np.ndarray) -> float:
            X = self.blocks.features(block, self._workspace)
            raw = self.network.forward(params, X, self._workspace)
            return self.loss.value(raw, block.y, block.weight)

        value, _ = self.blocks.sum(term, (0,), self.workers)
        decayed = self.decay * theta
        return value + 0.5 * float(decayed @ decayed)

    def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J(θ) and ∂J/∂θ, by one forward and one backward pass per block."""
        params = self._params(theta)

        def term(block: Block, total: np.ndarray) -> float:
            X = self.blocks.features(block, self._workspace)
            raw, kept = self.network.forward_keeping(params, X, self._workspace)
            value = self.loss.value_and_gradient(raw, block.y, block.weight)
            self._evaluated(block, raw)
            self.network.backward(params, X, raw, kept, self._views(total))
            return value

        value, gradient = self.blocks.sum(term, (self.size,), self.workers)
        decayed = self.decay * theta
        gradient += self.decay * decayed
        return value + 0.5 * float(decayed @ decayed), gradient

    def _evaluated(self, block: Block, raw_gradient: np.ndarray) -> None:
        """Note wᵢ ∂ℓ/∂zᵢ of a block, (m, K), for a subclass that can use it."""

    def hessp(self, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the Hessian of J at θ times v, exact, by the R-operator."""
        params, direction = self._params(theta), self._params(v)

        def term(block: Block, total: np.ndarray) -> float:
            X = self.blocks.features(block, self._workspace)
            raw, tangent, kept = self.network.tangent(
                params, direction, X, self._workspace
            )
            probability = raw.copy()
            self.loss.probabilities(probability)
            self.loss.curvature_product(probability, block.weight, tangent)
            self.loss.value_and_gradient(raw, block.y, block.weight)
            self.network.tangent_backward(
                params, direction, X, raw, tangent, kept, self._views(total)
            )
            return 0.0

        _, product = self.blocks.sum(term, (self.size,), self.workers)
        product += self.decay * (self.decay * v)
        return product

    def _params(self, theta: np.ndarray) -> Arrays:
        return self.network.layout.views(theta.astype(self.blocks.dtype, copy=False))

    def _views(self, total: np.ndarray) -> Arrays:
        return self.network.layout.views(total)


class LinearObjective(Objective):
    """J of the linear network: convex, with a Hessian that can be written down.

    With P the probabilities at θ, the Hessian of the loss is Xᵀ C X, where C holds
    wᵢ ∂²ℓ/∂zᵢ² of every row. P is kept for the last θ, (n_rows, K): a Hessian product
    then takes one pass over X, not two. Where the data is small, so is what the last
    evaluation and the last Hessian had computed.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        blocks: RowBlocks,
        decay: np.ndarray,
        workers: Workers,
    ) -> None:
        super().__init__(network, loss, blocks, decay, workers)
        # The bytes of θ: compared faster than arrays are.
        self._at: bytes | None = None
        self._probability = EMPTY
        self._evaluated_at: bytes | None = None
        self._raw_gradient: np.ndarray | None = None
        if 8 * blocks.n_rows * network.n_outputs <= KEPT_GRADIENT_BYTES:
            shape = blocks.n_rows, network.n_outputs
            self._raw_gradient = np.empty(shape, order="F")
        # The columns that a Hessian was last asked for: centre, scale, and the order of
        # the features in memory.
        self._columns: tuple[np.ndarray, np.ndarray, Order] = (EMPTY, EMPTY, "C")
        self._kept_features: np.ndarray | None = None

    @property
    def input_curvature(self) -> float:
        """∂²J/∂w² of a weight on an input of unit variance at θ = 0, but for decay."""
        return self.loss.start_curvature(self.network.n_outputs)

    def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J(θ) and ∂J/∂θ, by one pass over X."""
        self._evaluated_at = None
        result = super().value_and_grad(theta)
        self._evaluated_at = theta.tobytes()
        return result

    def _evaluated(self, block: Block, raw_gradient: np.ndarray) -> None:
        if self._raw_gradient is not None:
            self._raw_gradient[block.rows] = raw_gradient

    def hessp(self, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the Hessian of J at θ times v: Xᵀ C (X v) + decay² v."""
        self._keep_probability(theta)
        direction = self._params(v)

        def term(block: Block, total: np.ndarray) -> float:
            X = self.blocks.features(block, self._workspace)
            tangent = self.network.forward(direction, X, self._workspace)
            self.loss.curvature_product(
                self._probability[block.rows], block.weight, tangent
            )
            self.network.backward(direction, X, tangent, (), self._views(total))
            return 0.0

        _, product = self.blocks.sum(term, (self.size,), self.workers)
        product += self.decay * (self.decay * v)
        return product

    def hessian(
        self, theta: np.ndarray, center: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        """Return the Hessian of J in the coordinates of centred and scaled features.

        The features are centred and scaled block by block before they are multiplied:
        the Gram matrix of raw features loses (mean/deviation)² in precision.

        Parameters
        ----------
        theta : ndarray of shape (size,)
            Parameters that act on the raw features.
        center, scale : ndarray of shape (p,)
            The features are seen as (x - center) * scale.

        Returns
        -------
        hessian : ndarray of shape (size, size)
            In the order of the parameters: (p, K) weights in C order, then biases.
        """
        self._keep_probability(theta)
        n_outputs = self.network.n_outputs
        size = self.size // n_outputs
        # Products along the rows are quicker where each column is contiguous.
        self._see_columns(center, scale, order="F")

        def term(block: Block, total: np.ndarray) -> float:
            diagonal, root = self._covariance_factors(block)
            add_hessian(total, self._features(block).T, diagonal, root)
            return 0.0

        shape = (size, n_outputs, size, n_outputs)
        # Several outputs take the product of all with all besides.
        per_row = (self.size if n_outputs > 1 else size) ** 2 / 2
        work = per_row * self.blocks.n_rows
        _, total = self.blocks.sum(term, shape, self.workers, work)
        hessian = total.reshape(self.size, self.size)
        diagonal = total.reshape(-1)[:: self.size + 1]
        diagonal += self._penalty(scale).ravel()
        return hessian

    def hessian_blocks(
        self,
        theta: np.ndarray,
        center: np.ndarray,
        scale: np.ndarray,
        part: float = 1.0,
    ) -> np.ndarray:
        """Return the diagonal blocks of `hessian`, (K, size/K, size/K): one per output.

        They take K products where the Hessian takes K + K²/2, and fewer rows where
        `part` is less than 1: those that hold this part of an output's curvature.
        """
        curvature = self.curvature(theta)
        # Chosen rows are quicker to gather where each of them is contiguous.
        self._see_columns(center, scale, order="C")
        n_outputs = self.network.n_outputs
        size = self.size // n_outputs
        blocks = np.zeros((n_outputs, size, size))

        def form(k: int) -> None:
            of_output = curvature[:, k]
            heavy = _heaviest(of_output, part)
            for start in range(0, len(heavy), GATHERED_ROWS):
                rows = heavy[start : start + GATHERED_ROWS]
                features = self._chosen_features(rows)
                features *= np.sqrt(of_output[rows])[:, None]
                blocks[k] += features.T @ features

        pays = part * self.blocks.n_rows * size**2 > BLOCK_WORK
        (self.workers if pays else Workers(1)).run(form, n_outputs)
        inner = np.arange(size)
        blocks[:, inner, inner] += self._penalty(scale).T
        return blocks

    def curvature(self, theta: np.ndarray) -> np.ndarray:
        """Return wᵢ ∂²ℓ/∂zᵢₖ² of every row and output at θ, (n_rows, K)."""
        self._keep_probability(theta)
        diagonal, root = self.loss.covariance_factors(
            self._probability, self.blocks.weight
        )
        if root is None:
            return diagonal
        return np.maximum(diagonal - root * root, 0.0)

    def of_standardised(
        self, center: np.ndarray, scale: np.ndarray
    ) -> StandardisedObjective:
        """Return J of parameters for features seen as (x - center) * scale, dense."""
        features = standardise(
            self.blocks.chosen_features(slice(None)),
            center,
            scale,
            self.network.has_bias,
            "F",
        )
        penalty = self._penalty(scale).ravel()
        return StandardisedObjective(
            self.loss, features, self.blocks.y, self.blocks.weight, penalty
        )

    def _covariance_factors(self, block: Block) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the loss's factors of C for a block, at the last θ."""
        return self.loss.covariance_factors(self._probability[block.rows], block.weight)

    def _penalty(self, scale: np.ndarray) -> np.ndarray:
        """Return what the penalty adds to the diagonal for scaled features, (·, K)."""
        factor = self.decay.reshape(-1, self.network.n_outputs).copy()
        factor[: scale.size] *= scale[:, None]
        return np.multiply(factor, factor, out=factor)

    def _see_columns(self, center: np.ndarray, scale: np.ndarray, order: Order) -> None:
        """See the features of `hessian` in these columns; small ones are kept so."""
        seen = self._columns
        if seen[0] is center and seen[1] is scale and seen[2] == order:
            return
        self._columns, self._kept_features = (center, scale, order), None
        shape = self.blocks.n_rows, self.size // self.network.n_outputs
        if 8 * shape[0] * shape[1] <= KEPT_BYTES:
            kept = np.empty(shape, order=order)
            for block in self.blocks.blocks:
                kept[block.rows] = self._features(block)
            self._kept_features = kept

    def _features(self, block: Block) -> np.ndarray:
        """Return a block's features for `hessian`."""
        if self._kept_features is not None:
            return self._kept_features[block.rows]
        return self._in_columns(self.blocks.features(block, self._workspace))

    def _chosen_features(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the features for `hessian`, a copy."""
        if self._kept_features is not None:
            return self._kept_features[rows]
        return self._in_columns(self.blocks.chosen_features(rows))

    def _in_columns(self, X: Features) -> np.ndarray:
        center, scale, order = self._columns
        return standardise(X, center, scale, self.network.has_bias, order)

    def _keep_probability(self, theta: np.ndarray) -> None:
        at, raw_gradient = theta.tobytes(), self._raw_gradient
        if at == self._at:
            return
        if raw_gradient is not None and at == self._evaluated_at:
            probability = raw_gradient.copy(order="F")
            self.loss.probabilities_of_gradient(
                probability, self.blocks.y, self.blocks.weight
            )
        else:
            probability = self._probabilities(theta)
        self._at, self._probability = at, probability

    def _probabilities(self, theta: np.ndarray) -> np.ndarray:
        params = self._params(theta)
        shape = self.blocks.n_rows, self.network.n_outputs
        probability = np.empty(shape, order="F")

        def fill(block: Block) -> None:
            X = self.blocks.features(block, self._workspace)
            raw = self.network.forward(params, X, self._workspace)
            self.loss.probabilities(raw)
            probability[block.rows] = raw

        self.blocks.for_each(fill, self.workers)
        return probability


def _heaviest(weight: np.ndarray, part: float) -> np.ndarray:
    """Return, in order, the rows that hold at least this part of all the weight."""
    ascending = np.sort(weight)
    sums = np.cumsum(ascending)
    lightest = ascending[np.searchsorted(sums, (1.0 - part) * sums[-1])]
    return np.flatnonzero(weight >= lightest)
