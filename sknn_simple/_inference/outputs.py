"""The raw outputs of a fitted network, and their derivatives by θ.

Shapes: a block has m rows of transformed features x̃ (p columns, dense, in float64); K
raw outputs; P parameters θ. The Jacobian G = ∂z/∂θ of a row is (K, P). θ acts on
centred and scaled features (see ``_training.problem``), so that products lose no digits
if columns have raw units.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.row_blocks import Workspace
from sknn_simple._model.input_map import InputMap, layer_slices
from sknn_simple._model.losses import Loss
from sknn_simple._model.networks import Network
from sknn_simple._training.heuristics import ARRAY_BYTES


class Rows(NamedTuple):
    """The rows with a positive weight."""

    X: Any
    # As in ``TrainingSet``.
    codes: np.ndarray
    classes: np.ndarray
    # fᵢ cᵢ and fᵢ, (n,): the sample weights, with and without the class weights; if
    # labels have class weights of their own, fᵢ cᵢₖ, (n, K). A mean sample weight
    # below 1 counts as 1, as for ``alpha="auto"``.
    weight: np.ndarray
    frequency: np.ndarray
    multilabel: bool


class OutputBlock(NamedTuple):
    """Consecutive rows: transformed features, raw outputs and probabilities."""

    rows: slice
    X: np.ndarray
    raw: np.ndarray
    probability: np.ndarray


class Outputs(ABC):
    """The raw outputs of a network at θ.

    `transform` leads from raw features to those that θ acts on. `raw_parameters` are
    the fitted ones, by their names in the network. `own_intercept` is a constant column
    whose weight is the bias, and its value.
    """

    network: Any

    def __init__(
        self,
        network: Network,
        loss: Loss,
        transform: FeatureTransform,
        raw_parameters: dict[str, np.ndarray],
        own_intercept: tuple[int, float] | None = None,
    ) -> None:
        self.network, self.loss = network, loss
        self.own_intercept = own_intercept
        self.transform = transform.without_rounding()
        layers = layer_slices(network.layout, network.input_weights)
        center, scale = transform.center, transform.scale
        self.input_map = InputMap(network.layout.size, layers, center, scale)
        packed = network.layout.pack(
            {name: raw_parameters[name] for name in network.layout.shapes}
        )
        self.theta = self.input_map.from_raw(packed)
        self.params = network.layout.views(self.theta)
        self.size, self.n_outputs = network.layout.size, network.n_outputs
        self.workspace = Workspace()

    @property
    def has_intercept(self) -> bool:
        """Whether the model has a bias in addition to the weights of its columns."""
        return self.network.has_bias and self.own_intercept is None

    def blocks(self, X: Any, row_floats: float = 0.0) -> Iterator[OutputBlock]:
        """Yield blocks of the rows of X.

        `row_floats` is the size of the largest array that the caller makes per row.
        """
        per_row = 8.0 * max(row_floats, X.shape[1], self.n_outputs)
        step = max(1, int(ARRAY_BYTES / per_row))
        for start in range(0, X.shape[0], step):
            rows = slice(start, min(start + step, X.shape[0]))
            transformed = self.transform.dense(X[rows])
            raw = self.raw(transformed)
            probability = self.loss.probabilities(raw.copy(order="F"))
            yield OutputBlock(rows, transformed, raw, probability)

    def raw(self, X: np.ndarray) -> np.ndarray:
        """Return the raw outputs, (m, K)."""
        return self.network.forward(self.params, X, self.workspace)

    def gradient(self, X: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Return Σᵢ Gᵢᵀ δᵢ, (P,); `delta` is (m, K)."""
        total = np.zeros(self.size)
        kept = ()  # a linear network needs no forward pass
        if not self.network.is_linear:
            _, kept = self.network.forward_keeping(self.params, X, self.workspace)
        views = self.network.layout.views(total)
        self.network.backward(self.params, X, delta.copy(order="F"), kept, views)
        return total

    @abstractmethod
    def times(self, X: np.ndarray, root: np.ndarray) -> np.ndarray:
        """Return Gᵢ R for a matrix R of shape (P, r), (m, K, r)."""

    @abstractmethod
    def row_gradients(self, X: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Return Gᵢᵀ δᵢ of every row, (m, P)."""


class LinearOutputs(Outputs):
    """z = Wᵀ x̃ + b: the Jacobian is (x̃, 1), for each output."""

    @property
    def n_per_output(self) -> int:
        """The number of parameters of one output: its weights, and its bias."""
        return self.size // self.n_outputs

    def with_ones(self, X: np.ndarray) -> np.ndarray:
        """Return the features and, if there are biases, a column of ones."""
        return np.hstack([X, np.ones((len(X), self.n_per_output - X.shape[1]))])

    def times(self, X: np.ndarray, root: np.ndarray) -> np.ndarray:
        by_output = root.reshape(self.n_per_output, -1)
        return (self.with_ones(X) @ by_output).reshape(len(X), self.n_outputs, -1)

    def row_gradients(self, X: np.ndarray, delta: np.ndarray) -> np.ndarray:
        wide = self.with_ones(X)
        return (wide[:, :, None] * delta[:, None, :]).reshape(len(X), -1)


class HiddenOutputs(Outputs):
    """z = W₂ᵀ φ(W₁ᵀ x̃ + b₁) + b₂ (+ W₃ᵀ x̃), with the Jacobian as an array."""

    def jacobian(self, X: np.ndarray) -> np.ndarray:
        """Return G of every row, (m, K, P).

        ∂zₖ/∂W₁ = x̃ (φ′ ∘ W₂ₖ)ᵀ, ∂zₖ/∂b₁ = φ′ ∘ W₂ₖ, ∂zₖ/∂W₂ₖ = φ, ∂zₖ/∂b₂ₖ = 1 and
        ∂zₖ/∂W₃ₖ = x̃.
        """
        _, (A, slope) = self.network.forward_keeping(self.params, X, self.workspace)
        m, K, layout = len(X), self.n_outputs, self.network.layout
        G = np.zeros((m, K, self.size))
        back = slope[:, None, :] * self.params["output_coef"].T
        places = layout.slices
        G[:, :, places["hidden_coef"]] = np.multiply(
            X[:, None, :, None], back[:, :, None, :]
        ).reshape(m, K, -1)
        G[:, :, places["hidden_intercept"]] = back
        for k in range(K):
            G[:, k, places["output_coef"]][:, k::K] = A
            G[:, k, places["output_intercept"].start + k] = 1.0
            if self.network.skip_connections:
                G[:, k, places["skip_coef"]][:, k::K] = X
        return G

    def times(self, X: np.ndarray, root: np.ndarray) -> np.ndarray:
        G = self.jacobian(X)
        return (G.reshape(-1, self.size) @ root).reshape(*G.shape[:2], -1)

    def row_gradients(self, X: np.ndarray, delta: np.ndarray) -> np.ndarray:
        return np.matmul(delta[:, None, :], self.jacobian(X))[:, 0]

    def by_columns(self, X: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Return Σᵢ δᵢᵀ ∂zᵢ/∂x̃, (p,).

        A step along a column is a step of the biases along the column's weights.
        """
        by_bias = self.network.layout.views(self.gradient(X, delta))
        slopes = self.params["hidden_coef"] @ by_bias["hidden_intercept"]
        if self.network.skip_connections:
            slopes += self.params["skip_coef"] @ by_bias["output_intercept"]
        return slopes
