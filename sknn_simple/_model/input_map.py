"""The map from parameters for transformed features to parameters for raw features.

With x ↦ (x - m) ∘ r for the features, weights U (p, k) and biases c (k,) act on raw
features as

    W = diag(r) U,    b = c - Wᵀ m        so that  Wᵀ x + b = Uᵀ ((x - m) ∘ r) + c.

The map is linear, θ_raw = F θ. The gradient over θ is Fᵀ times the gradient over θ_raw:

    ∂J/∂U = r ∘ (∂J/∂W - m (∂J/∂b)ᵀ),    ∂J/∂c = ∂J/∂b.

With this map in the objective, large features need not be transformed.
"""

from collections.abc import Iterable, Sequence
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


class CentredScaling:
    """The map y = T x that scales parameters, and then centres inputs.

    `scale` (size,) is the diagonal. `centred` holds the places of weights and the
    centres m of their inputs: mᵀ W is subtracted from the biases.
    """

    def __init__(
        self, scale: np.ndarray, centred: Iterable[tuple[LayerSlices, np.ndarray]] = ()
    ) -> None:
        self.scale = scale
        self._centred = [(layer, center) for layer, center in centred if center.any()]

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return T x."""
        y = x * self.scale
        for layer, center in self._centred:
            y[layer.biases] -= center @ layer.matrix(y)
        return y

    def solve(self, y: np.ndarray) -> np.ndarray:
        """Return T⁻¹ y; entries with scale 0 become 0."""
        x = y.copy()
        for layer, center in self._centred:
            x[layer.biases] += center @ layer.matrix(x)
        return np.divide(x, self.scale, out=np.zeros_like(x), where=self.scale != 0.0)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """Return Tᵀ g, the gradient over x from that over y."""
        pulled = gradient.copy()
        for layer, center in self._centred:
            weights = layer.matrix(pulled)
            weights -= np.outer(center, gradient[layer.biases])
        pulled *= self.scale
        return pulled


class InputMap(CentredScaling):
    """The map F; `layers` act on the features, `center` and `scale` are m and r."""

    def __init__(
        self,
        size: int,
        layers: list[LayerSlices],
        center: np.ndarray,
        scale: np.ndarray,
    ) -> None:
        factors = np.ones(size)
        for layer in layers:
            layer.matrix(factors)[...] = scale[:, None]
        has_bias = [layer for layer in layers if layer.biases is not None]
        super().__init__(factors, [(layer, center) for layer in has_bias])

    to_raw, from_raw = CentredScaling.apply, CentredScaling.solve
