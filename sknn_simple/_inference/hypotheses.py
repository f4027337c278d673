"""Tests of several coefficients at once."""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from sknn_simple._inference.core import Inference
from sknn_simple._inference.raw import contrasts, norms

# Eigenvalues of a correlation below this fraction of the largest one are rounding.
SINGULAR = 1e-10


class ChiSquareTest(NamedTuple):
    """A statistic that is chi-square distributed if the hypothesis holds."""

    statistic: float
    df: int
    p_value: float


def chi_square_test(statistic: float, df: int) -> ChiSquareTest:
    """Return the test with its p-value."""
    return ChiSquareTest(statistic, df, float(chdtrc(df, statistic)))


def wald_test(
    inference: Inference, classes: np.ndarray, columns: np.ndarray
) -> ChiSquareTest:
    """Test whether all coefficients of some columns are 0, in every equation."""
    found = contrasts(inference, classes)
    coef = found.coef[:, columns].ravel()
    root = found.root[:, columns].reshape(len(coef), -1)
    scale = 1.0 / norms(root)
    root *= scale[:, None]
    values, vectors = np.linalg.eigh(root @ root.T)
    kept = values > SINGULAR * values.max()
    coordinates = (scale * coef) @ vectors[:, kept] / np.sqrt(values[kept])
    return chi_square_test(float(coordinates @ coordinates), int(kept.sum()))
