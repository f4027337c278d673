"""Covariances that do not trust the model: of rows, and of groups of rows.

With the scores gᵢ = Gᵢᵀ ∂ℓ/∂zᵢ, the frequency fᵢ of a row and its class weight cᵢ the
covariance is C M C, with C that of the model and

    M = n/(n - k) Σᵢ fᵢ cᵢ² gᵢ gᵢᵀ                      (HC1; White 1982)
    M = m/(m - 1) · (n - 1)/(n - k) Σ_g s_g s_gᵀ         (m groups; Liang, Zeger 1986)

where s_g is the sum of fᵢ cᵢ gᵢ over the rows of a group, n = Σ fᵢ, and k the number of
effective parameters. A row of frequency 2 is the same as two equal rows.

References
----------
White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica
50(1), 1-25.
Liang, K.-Y., Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
models. Biometrika 73(1), 13-22.
"""

import numpy as np

from sknn_simple._inference.gaussian import Gaussian, RootGaussian, less_mean
from sknn_simple._inference.outputs import Outputs, Rows
from sknn_simple._model.losses import Loss


def row_deltas(
    loss: Loss, raw: np.ndarray, codes: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return wᵢ ∂ℓ/∂zᵢ, (m, K); `codes` as in ``TrainingSet``."""
    delta = raw.copy(order="F")
    loss.value_and_gradient(delta, codes, weight)
    return delta


def sandwich(
    gaussian: Gaussian,
    outputs: Outputs,
    rows: Rows,
    groups: np.ndarray | None,
) -> RootGaussian:
    """Return the Gaussian with the covariance C M C.

    `groups` are group numbers (n,) from 0, or None for HC1.
    """
    n_rows, n_params = float(rows.frequency.sum()), gaussian.n_effective
    if rows.multilabel:  # labels are as separate fits
        n_params /= outputs.n_outputs
    if n_rows <= n_params:
        raise ValueError(
            "A robust covariance needs more rows than effective parameters: "
            f"{n_rows:.6g} rows have {n_params:.3g}. Use covariance='model'."
        )
    factor = n_rows / (n_rows - n_params)
    root = gaussian.root()
    if outputs.network.is_linear:  # scores of softmax have no mean
        by_output = root.reshape(-1, outputs.n_outputs, root.shape[1])
        root = less_mean(outputs, by_output).reshape(root.shape)
    n_groups = 0 if groups is None else int(groups.max()) + 1
    sums = np.zeros((n_groups, root.shape[1]))
    middle = np.zeros((root.shape[1], root.shape[1]))
    per_row = (rows.weight.T / np.sqrt(rows.frequency)).T
    if n_groups:
        per_row = rows.weight
        factor *= n_groups / (n_groups - 1.0) * (n_rows - 1.0) / n_rows
    size = outputs.n_outputs * outputs.size
    for block in outputs.blocks(rows.X, size):
        codes, weight = rows.codes[block.rows], per_row[block.rows]
        delta = row_deltas(outputs.loss, block.raw, codes, weight)
        scores = outputs.row_gradients(block.X, delta) @ root
        if groups is None:
            middle += scores.T @ scores
        else:
            np.add.at(sums, groups[block.rows], scores)
    middle += sums.T @ sums
    values, vectors = np.linalg.eigh(factor * middle)
    vectors *= np.sqrt(np.maximum(values, 0.0))
    return RootGaussian(root @ vectors, np.nan, gaussian.n_effective)
