"""The map from parameters for transformed features to parameters for raw features.

With x ↦ (x - m) ∘ r for the features, weights U (p, k) and biases c (k,) act on raw
features as

    W = diag(r) U,    b = c - Wᵀ m        so that  Wᵀ x + b = Uᵀ ((x - m) ∘ r) + c.

The map is linear, θ_raw = F θ. The gradient over θ is Fᵀ times the gradient over θ_raw:

    ∂J/∂U = r ∘ (∂J/∂W - m (∂J/∂b)ᵀ),    ∂J/∂c = ∂J/∂b.

With this map in the objective, large features need not be transformed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sknn_simple._model.layout import Layout


class LayerSlices(NamedTuple):
    """The places in θ of weights and of the biases of the same outputs.

    `weights` is a (p, n_columns) array in C order; `biases` is None if the weights have
    no bias.
    """

    weights: slice
    biases: slice | None
    n_columns: int

    def matrix(self, vector: np.ndarray) -> np.ndarray:
        """Return the weights' entries of a vector as a view, (p, n_columns)."""
        return vector[self.weights].reshape(-1, self.n_columns)


def layer_slices(layout: Layout, named: Sequence[tuple[str, str]]) -> list[LayerSlices]:
    """Return the places of the named weights that the layout has, and their biases."""
    return [
        LayerSlices(
            layout.slices[weights],
            layout.slices.get(biases),
            layout.shapes[weights][1],
        )
        for weights, biases in named
        if weights in layout.shapes
    ]


class InputMap:
    """The map F; `layers` act on the features, `center` and `scale` are m and r."""

    def __init__(
        self, layers: list[LayerSlices], center: np.ndarray, scale: np.ndarray
    ) -> None:
        self._layers = layers
        self._center = center
        self._scale = scale[:, None]
        self._centred = bool(center.any())

    def to_raw(self, theta: np.ndarray) -> np.ndarray:
        """Return F θ."""
        raw = theta.copy()
        for layer in self._layers:
            weights = layer.matrix(raw)
            weights *= self._scale
            if layer.biases is not None and self._centred:
                raw[layer.biases] -= self._center @ weights
        return raw

    def from_raw(self, raw: np.ndarray) -> np.ndarray:
        """Return F⁻¹ θ_raw; weights of columns with scale 0 become 0."""
        theta = raw.copy()
        for layer in self._layers:
            weights = layer.matrix(theta)
            if layer.biases is not None and self._centred:
                theta[layer.biases] += self._center @ weights
            inverse = np.zeros_like(self._scale)
            np.divide(1.0, self._scale, out=inverse, where=self._scale != 0.0)
            weights *= inverse
        return theta

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """Return Fᵀ g, the gradient over θ from that over θ_raw."""
        pulled = gradient.copy()
        for layer in self._layers:
            weights = layer.matrix(pulled)
            if layer.biases is not None and self._centred:
                weights -= np.outer(self._center, gradient[layer.biases])
            weights *= self._scale
        return pulled
