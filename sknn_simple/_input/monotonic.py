"""The signs of parameters that keep the output monotone (``monotonic_cst``)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sknn_simple._compat import check_monotonic_cst
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.networks import OneHiddenNetwork


def hidden_signs(
    estimator: Any, network: OneHiddenNetwork, data: TrainingSet
) -> np.ndarray:
    """Return 1, 0 or -1 per parameter of a network with a hidden layer.

    Every second unit can only raise the output, the others only lower it; the signs of
    a unit's weights on constrained inputs make up for that. With a convex φ the output
    is then a sum of convex and concave functions. For an odd φ and the sigmoid this is
    no restriction: a unit whose weights all change sign is the same function of the
    inputs, up to its bias and the output's.
    """
    inputs = feature_signs(estimator, data)
    if inputs.any() and not network.activation.monotone:
        monotone = sorted(name for name, row in ACTIVATIONS.items() if row.monotone)
        raise ValueError(
            f"monotonic_cst needs an activation that never decreases, but "
            f"activation='{estimator.activation}' does. Use one of {monotone}."
        )
    signs: dict[str, ArrayLike] = dict.fromkeys(network.layout.shapes, 0.0)
    if inputs.any():
        units = np.resize([1.0, -1.0], network.n_hidden)
        signs["output_coef"] = units[:, None]
        signs["hidden_coef"] = np.outer(inputs, units)
        if network.skip_connections:
            signs["skip_coef"] = inputs[:, None]
    return network.layout.pack(signs)


def feature_signs(estimator: Any, data: TrainingSet) -> np.ndarray:
    """Return 1, 0 or -1 per feature, from ``monotonic_cst``."""
    signs = check_monotonic_cst(estimator, estimator.monotonic_cst)
    if signs.any() and (data.multilabel or len(data.classes) != 2):
        raise ValueError(
            "monotonic_cst needs a target of two classes: it constrains the "
            f"probability of the second class. y has {len(data.classes)} "
            f"{'labels' if data.multilabel else 'classes'}."
        )
    return signs.astype(np.float64)
