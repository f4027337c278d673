"""Average marginal effects: how the probabilities change with a column.

Of a column with many values it is the mean derivative Σᵢ fᵢ ∂pᵢ/∂xⱼ / Σ fᵢ, of one with
two values the mean difference of the probabilities at both (Agresti 2013, section 5.1;
Greene 2018, section 17.3). The variance is that of the delta method, J C Jᵀ with the
gradient J of the effect by θ, which is exact: of the hidden layer by the chain rule.

The slope of relu jumps. If a weight changes, rows move across the jump, and the mean
derivative changes with them; φ″ = 0 leaves that out. J is therefore that of the mean
difference of the probabilities between x̃ⱼ + h and x̃ⱼ - h, over 2 h. Over 20 draws of
2000 rows the effects of two columns had a deviation of 0.0103 and 0.0084; the mean
standard errors are 0.0085 and 0.0087, and were 0.0214 and 0.0138 by φ″.

References
----------
Agresti, A. (2013). Categorical Data Analysis, 3rd edition. Wiley.
Greene, W. H. (2018). Econometric Analysis, 8th edition. Pearson.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._data.row_blocks import RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._data.two_valued import two_values
from sknn_simple._inference.core import Inference, Rows
from sknn_simple._inference.outputs import OutputFunctions
from sknn_simple._model.losses import Loss

# h, in standard deviations. On these draws 0.05 makes standard errors larger by up to
# 7 %, and 0.2 makes them smaller by 3 %.
KINK_STEP = 0.1


class Effects(NamedTuple):
    """Of each column and each output of the network."""

    # (p, C): C is 1 for two classes, where it is the effect on the second one.
    effect: np.ndarray
    std_error: np.ndarray


class TwoValued(NamedTuple):
    """The columns with exactly two values, and the values."""

    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray


def two_valued_columns(rows: Rows) -> TwoValued:
    """Return the columns with exactly two values; those not stored are 0."""
    blocks = RowBlocks(rows.X, rows.codes, rows.weight)
    low, high = two_values(blocks, Workers(1))
    columns = np.flatnonzero(low < high)
    return TwoValued(columns, low[columns], high[columns])


def marginal_effects(
    inference: Inference, X: Any, frequency: np.ndarray, two_valued: TwoValued
) -> Effects:
    """Return the average effects over rows of X, which count as `frequency`, (n,)."""
    outputs = inference.outputs
    p, C, size = X.shape[1], outputs.n_outputs, outputs.size
    share = frequency / frequency.sum()
    effect, J = np.zeros((p, C)), np.zeros((p, C, size))
    values = {j: both for j, *both in zip(*two_valued, strict=True)}
    center, scale = outputs.transform.center, outputs.transform.scale
    for block in outputs.blocks(X, getattr(outputs.network, "n_hidden", 1)):
        weight = share[block.rows]
        functions = _derivatives(outputs.loss, weight)
        for j in range(p):
            if scale[j] == 0.0:
                continue
            if j in values:
                low, high = ((value - center[j]) * scale[j] for value in values[j])
                change, gradient = _change(inference, block.X, j, low, high, weight)
            else:
                by_column, gradient = outputs.slope(block.X, j, functions)
                change = scale[j] * by_column
                if outputs.has_kink:
                    ends = (block.X[:, j] - KINK_STEP, block.X[:, j] + KINK_STEP)
                    _, gradient = _change(inference, block.X, j, *ends, weight)
                    gradient /= 2.0 * KINK_STEP
                gradient = scale[j] * gradient
            effect[j] += change
            J[j] += gradient
    variance = inference.interval_gaussian.variance(J.reshape(-1, size)).reshape(p, C)
    return Effects(effect, np.sqrt(variance))


def _change(
    inference: Inference,
    X: np.ndarray,
    column: int,
    low: Any,
    high: Any,
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return Σᵢ wᵢ pᵢ at high minus that at low, (C,), and its gradient by θ, (C, P).

    `low` and `high` are values of a column, for all rows or for each of them.
    """
    outputs, found = inference.outputs, []
    for value in (low, high):
        moved = X.copy()
        moved[:, column] = value
        P = outputs.loss.probabilities(outputs.raw(moved))
        gradients = [
            outputs.gradient(moved, delta)
            for delta in _rows_of_curvature(outputs.loss, P, weight)
        ]
        found.append((weight @ P, np.array(gradients)))
    (mean_low, J_low), (mean_high, J_high) = found
    return mean_high - mean_low, J_high - J_low


def _rows_of_curvature(
    loss: Loss, P: np.ndarray, weight: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield wᵢ ∂p_c/∂zᵢ for each c, (m, K)."""
    for c in range(P.shape[1]):
        delta = np.zeros_like(P)
        delta[:, c] = 1.0
        loss.curvature_product(P, weight, delta)
        yield delta


def _derivatives(loss: Loss, weight: np.ndarray) -> OutputFunctions:
    """Return the functions e_c = Σ_k ∂p_c/∂z_k t_k = ∂p_c/∂x, times the weight.

    Of softmax it is p_c (t_c - τ) with τ = Σ p_k t_k, so that ∂e_c/∂z_k is
    δ_ck p_c (t_c - τ) - p_c p_k (t_c + t_k - 2 τ). Of the sigmoid it is p (1 - p) t.
    """

    def value(raw: np.ndarray, t: np.ndarray) -> np.ndarray:
        slopes = t.copy(order="F")
        P = loss.probabilities(raw.copy(order="F"))
        loss.curvature_product(P, weight, slopes)
        return slopes.sum(axis=0)

    def derivatives(
        raw: np.ndarray, t: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        P = loss.probabilities(raw.copy(order="F"))
        mean = (P * t).sum(axis=1)
        for c, by_tangent in enumerate(_rows_of_curvature(loss, P, weight)):
            if not loss.shift_invariant:
                yield by_tangent * (1.0 - 2.0 * P) * t, by_tangent
                continue
            own = weight * P[:, c]
            by_raw = -own[:, None] * P * (t[:, [c]] + t - 2.0 * mean[:, None])
            by_raw[:, c] += own * (t[:, c] - mean)
            yield by_raw, by_tangent

    return OutputFunctions(value, derivatives)
