"""Tests of several coefficients at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from sknn_simple._inference.core import Inference
from sknn_simple._inference.raw import contrasts, norms
from sknn_simple._input.names import listed
from sknn_simple._model.losses import by_output
from sknn_simple._training.heuristics import NO_CURVATURE, SAME_VALUE


class ChiSquareTest(NamedTuple):
    """A statistic that is chi-square distributed if the hypothesis holds."""

    statistic: float
    df: int
    p_value: float


def chi_square_test(statistic: float, df: int) -> ChiSquareTest:
    return ChiSquareTest(statistic, df, float(chdtrc(df, statistic)))


def wald_test(inference: Inference, columns: np.ndarray) -> ChiSquareTest:
    """Test whether all coefficients of some columns are 0, in every equation.

    Raises ValueError if a sandwich has too few terms for so many coefficients.
    """
    found = contrasts(inference)
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


def lr_test(
    smaller: Inference, larger: Inference, only: Sequence[str]
) -> ChiSquareTest:
    """Test a model against one with more columns, by the likelihood ratio.

    `only` are the columns of the smaller one that the larger one lacks. Raises
    ValueError if their rows differ, or if they are not nested.
    """
    few, many = smaller.rows, larger.rows
    if not (
        np.array_equal(few.classes, many.classes)
        and np.array_equal(few.codes, many.codes)
        and np.allclose(by_output(few.weight), by_output(many.weight))
    ):
        raise ValueError("other must have the same rows: labels or weights differ.")
    has_constant = larger.outputs.network.has_bias or spans_constant(larger)
    if smaller.outputs.network.has_bias and not has_constant:
        only = [*only, "intercept"]
    if only:
        raise ValueError(
            f"other must be nested: {listed(only)} is in the smaller model only."
        )
    # Another Newton step of the larger model would lower its deviance by about gᵀ C g.
    n_effective, high = larger.gaussian.n_effective, smaller.deviance
    step, low = larger.gradient**2 * n_effective, larger.deviance
    if high < low - 2.0 * step - SAME_VALUE * low:
        raise ValueError(
            "other must be nested: the smaller model has the lower deviance, "
            f"{high:.6g}; the larger one has {low:.6g}."
        )
    df = round(n_effective - smaller.gaussian.n_effective)
    if df == 0:
        raise ValueError("other must have fewer or more parameters: both have as many.")
    return chi_square_test(max(high - low, 0.0), df)


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
