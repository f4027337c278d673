"""Tests of several coefficients at once."""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from sknn_simple._inference.core import Inference
from sknn_simple._inference.raw import contrasts, norms
from sknn_simple._training.heuristics import NO_CURVATURE


class ChiSquareTest(NamedTuple):
    """A statistic that is chi-square distributed if the hypothesis holds."""

    statistic: float
    df: int
    p_value: float


def chi_square_test(statistic: float, df: int) -> ChiSquareTest:
    return ChiSquareTest(statistic, df, float(chdtrc(df, statistic)))


def wald_test(
    inference: Inference, classes: np.ndarray, columns: np.ndarray
) -> ChiSquareTest:
    """Test whether all coefficients of some columns are 0, in every equation.

    Raises ValueError if a sandwich has too few terms for so many coefficients.
    """
    found = contrasts(inference, classes)
    coef = found.coef[:, columns].ravel()
    root = found.root[:, columns].reshape(len(coef), -1)
    scale = 1.0 / norms(root)
    root *= scale[:, None]
    values, vectors = np.linalg.eigh(root @ root.T)
    kept = values > NO_CURVATURE * values.max()
    # A sandwich of m terms has rank m - 1 or m. A lower rank has another reason: with a
    # penalty, columns may be dependent, as those of a category.
    terms, rank = inference.n_terms, int(kept.sum())
    if terms and terms - 1 <= rank < len(coef):
        what = "rows" if terms == len(inference.rows.weight) else "groups"
        raise ValueError(
            f"The covariance of {terms} {what} has rank {rank}, too low to test "
            f"{len(coef)} coefficients at once. Test fewer columns."
        )
    coordinates = (scale * coef) @ vectors[:, kept] / np.sqrt(values[kept])
    return chi_square_test(float(coordinates @ coordinates), rank)


def spans_constant(inference: Inference) -> bool:
    """Return whether a combination of the columns is 1 in every row.

    The columns of a one-hot category are an example. With the Gram matrix A and the
    sums s of the columns, n - sᵀ A⁺ s is the squared distance of 1 from their span.
    """
    outputs, X = inference.outputs, inference.rows.X
    gram, sums = 0.0, 0.0
    for block in outputs.blocks(X):
        gram = gram + block.X.T @ block.X
        sums = sums + block.X.sum(axis=0)
    weights = np.linalg.lstsq(gram, sums, rcond=NO_CURVATURE)[0]
    return bool(1.0 - weights @ sums / X.shape[0] < NO_CURVATURE)
