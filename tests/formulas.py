"""The networks and their loss, written out once more."""

import numpy as np


def raw_outputs(network, theta, X):
    """z = W x + b, or W₂ φ(W₁ x + b₁) + b₂ (+ W₃ x); `theta` is in float64."""
    a = network.layout.views(theta)
    if network.is_linear:
        return X @ a["coef"] + a.get("intercept", 0.0)
    hidden = X @ a["hidden_coef"] + a["hidden_intercept"]
    network.activation.value(hidden)
    skip = X @ a["skip_coef"] if "skip_coef" in a else 0.0
    return hidden @ a["output_coef"] + a["output_intercept"] + skip


def mean_loss(name, raw, y, weight):
    """Σᵢ wᵢ ℓ(yᵢ, zᵢ) of the loss of that name, also for complex z."""
    if name == "softmax":
        e = np.exp(raw - raw.real.max(axis=1, keepdims=True))
        observed = e[np.arange(len(y)), y] / e.sum(axis=1)
        return -(weight @ np.log(observed))
    loss = np.log(1.0 + np.exp(raw)) - y * raw
    return (weight @ loss).sum()
