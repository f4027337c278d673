"""How well the model of a posterior fits, and tests of its coefficients."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sknn_simple._inference.core import Inference, null_log_likelihood
from sknn_simple._inference.hypotheses import (
    ChiSquareTest,
    chi_square_test,
    spans_constant,
    wald_test,
)
from sknn_simple._inference.raw import without_interval
from sknn_simple._inference.report import listed
from sknn_simple._model.losses import by_output
from sknn_simple._posterior_checks import column_numbers
from sknn_simple._training.heuristics import SAME_VALUE


class PosteriorFitMixin:
    """Measures of fit, and tests."""

    model: Any
    _inference: Inference
    _kind: str
    _names: list[str]

    @property
    def log_likelihood(self) -> float:
        """Σ s log p(y), of the model."""
        return self._inference.log_likelihood

    @cached_property
    def null_log_likelihood(self) -> float:
        """Σ s log p(y) of a model with biases only, if the model has biases."""
        rows, outputs = self._inference.rows, self._inference.outputs
        return null_log_likelihood(rows, outputs.n_outputs, outputs.network.has_bias)

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return -2.0 * self.log_likelihood

    @property
    def null_deviance(self) -> float:
        """-2 log-likelihood of a model without features."""
        return -2.0 * self.null_log_likelihood

    @property
    def n_effective(self) -> float:
        """The number of well-determined parameters, biases included."""
        return self._inference.gaussian.n_effective

    @property
    def aic(self) -> float:
        """Deviance + 2 · effective parameters."""
        return self.deviance + 2.0 * self.n_effective

    @property
    def bic(self) -> float:
        """Deviance + log(n) · effective parameters, with n the sum of the weights."""
        return self.deviance + float(np.log(self._inference.n_rows)) * self.n_effective

    @property
    def log_evidence(self) -> float:
        """log p(y | alpha); -∞ with alpha=0."""
        return self._inference.log_evidence

    def _head(self) -> dict[str, Any]:
        """Return what a summary says of the fit."""
        n_rows, weight = len(self._inference.rows.weight), self._inference.n_rows
        counts: dict[str, Any] = {"rows": str(n_rows)}
        if not np.isclose(weight, n_rows):
            counts["sum of weights"] = weight
        return counts | {
            "alpha": self._inference.alpha,
            "effective parameters": self.n_effective,
            "covariance": self._kind,
            "log-likelihood": self.log_likelihood,
            "deviance": self.deviance,
            "null deviance": self.null_deviance,
            # NaN if no label varies.
            "McFadden's R²": 1.0 - self.deviance / (self.null_deviance or np.nan),
            "AIC": self.aic,
            "BIC": self.bic,
        }

    def wald_test(self, features: Any) -> ChiSquareTest:
        """Test whether all coefficients of some columns are 0, for LogisticNN.

        Parameters
        ----------
        features : str, int, or array-like of str, int or bool
            Columns by name or number, or a mask: such as all columns of one category.

        Returns
        -------
        test : ChiSquareTest
            statistic bᵀ V⁻¹ b, df, p_value; b are the coefficients of the columns, of
            every class against the first one or of every label, and V their covariance.

        Raises
        ------
        ValueError
            If a column is unknown or has no interval, or if a robust or clustered
            covariance has too few rows or groups to test so many coefficients.
        """
        self._need_linear("wald_test")
        columns = column_numbers(self._names, features)
        n_outputs = self._inference.outputs.n_outputs
        missing = without_interval(self._inference).reshape(n_outputs, -1)
        fixed = columns[missing[:, columns].any(axis=0)]
        if len(fixed):
            names = listed(self._named(fixed))
            raise ValueError(f"features has columns without an interval: {names}.")
        return wald_test(self._inference, self.model.classes_, columns)

    def lr_test(self, other: Any) -> ChiSquareTest:
        """Test a model against one with fewer columns, by the likelihood ratio.

        Parameters
        ----------
        other : Posterior
            That of a LogisticNN with some of the columns, on the same rows. Both models
            have ``alpha=0``.

        Returns
        -------
        test : ChiSquareTest
            statistic (the difference of the deviances), df (that of the numbers of
            parameters), p_value.
        """
        for posterior in (self, other):
            if not isinstance(posterior, PosteriorFitMixin):
                raise TypeError(f"other must be a Posterior; got {posterior!r}.")
            posterior._need_linear("lr_test")
            alpha = posterior._inference.alpha
            if alpha > 0.0:
                raise ValueError(
                    "A likelihood ratio test needs fits without a penalty, alpha=0; "
                    f"got alpha={alpha:.3g}."
                )
        mine, theirs = self._inference, other._inference
        if not (
            np.array_equal(self.model.classes_, other.model.classes_)
            and np.array_equal(mine.rows.codes, theirs.rows.codes)
            and np.allclose(by_output(mine.rows.weight), by_output(theirs.rows.weight))
        ):
            raise ValueError("other must have the same rows: labels or weights differ.")
        smaller, larger = sorted((other, self), key=lambda each: each.n_effective)
        df = round(larger.n_effective - smaller.n_effective)
        _check_nested(smaller, larger)
        if df == 0:
            raise ValueError(
                "other must have fewer or more parameters: both have as many."
            )
        return chi_square_test(max(smaller.deviance - larger.deviance, 0.0), df)

    def _need_linear(self, what: str) -> None:
        if not self._is_linear:
            raise TypeError(
                f"Posterior.{what} is for LogisticNN: single weights of OneHiddenMLP "
                "have no meaning of their own. Use marginal_effects."
            )

    def _named(self, columns: Sequence[int] | np.ndarray) -> list[str]:
        return [self._names[column] for column in columns]

    @property
    def _is_linear(self) -> bool:
        return self._inference.outputs.network.is_linear


def _check_nested(smaller: PosteriorFitMixin, larger: PosteriorFitMixin) -> None:
    """Raise ValueError if the larger model cannot be all that the smaller one is."""
    only = [name for name in smaller._names if name not in larger._names]
    if smaller._inference.outputs.network.has_bias and not (
        larger._inference.outputs.network.has_bias or spans_constant(larger._inference)
    ):
        only.append("intercept")
    if only:
        raise ValueError(
            f"other must be nested: {listed(only)} is in the smaller model only."
        )
    # Another Newton step of the larger model would lower its deviance by about gᵀ C g.
    step = larger._inference.gradient**2 * larger.n_effective
    tolerance = 2.0 * step + SAME_VALUE * larger.deviance
    if smaller.deviance < larger.deviance - tolerance:
        raise ValueError(
            "other must be nested: the smaller model has the lower deviance, "
            f"{smaller.deviance:.6g}; the larger one has {larger.deviance:.6g}."
        )
