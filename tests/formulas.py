"""The networks and their losses, written out once more, and targets for them."""

import numpy as np

from sknn_simple._data.row_blocks import BlockSizes
from sknn_simple._model.losses import LOSSES

# One and several outputs of every loss.
TARGETS = {"two classes": ("logistic", 1), "labels": ("logistic", 3)} | {
    name: (name, 4) for name in LOSSES if name != "logistic"
}
# Blocks of at most 4 rows, a share for every multiply-add.
SMALL = BlockSizes(
    values_per_column=0, block_bytes=1, min_rows=4, max_shares=4, share_work=1.0
)


def draw_targets(rng, name, n_rows, n_outputs):
    """Class codes for softmax, (n,); zeros and ones for other losses, (n, K)."""
    if name == "softmax":
        return rng.integers(n_outputs, size=n_rows)
    return rng.integers(2, size=(n_rows, n_outputs)).astype(float)


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
