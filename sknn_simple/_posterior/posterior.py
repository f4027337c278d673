"""Posterior: how sure a fitted network is."""

import warnings
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from sknn_simple._inference.core import SeparationError, infer, null_log_likelihood
from sknn_simple._inference.hypotheses import ChiSquareTest, lr_test, wald_test
from sknn_simple._inference.linear import LARGE_GRADIENT
from sknn_simple._inference.raw import (
    raw_covariance,
    raw_std_errors,
    raw_values,
    undetermined,
    without_interval,
)
from sknn_simple._inference.report import summarize
from sknn_simple._inference.summary import Summary, interval_width
from sknn_simple._input.names import column_names, listed
from sknn_simple._input.validation import validate_known_rows
from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._posterior.checks import (
    check_model,
    check_parameters,
    check_reference,
    column_numbers,
    group_codes,
)
from sknn_simple._posterior.rows import PosteriorRowsMixin

# As ``LARGE_GRADIENT``. OneHiddenMLP stops earlier than LogisticNN: on the same tables
# the gradient was at most 0.6 at the rows of the fit.
LARGE_NETWORK_GRADIENT = 0.8


class Posterior(PosteriorRowsMixin):
    r"""How sure a fitted network is: standard errors, intervals, effects, odd rows.

    Around the fitted parameters :math:`\hat\theta` the posterior is approximated by a
    Gaussian (Laplace). With the objective J and the sum of the weights S of the fit its
    covariance is

    .. math::

        C = \left(S\, \nabla^2 J\right)^{-1}
          = \Big(\sum_i s_i G_i^T \Lambda_i G_i + \alpha R\Big)^{-1}

    where :math:`G_i = \partial z_i / \partial \theta`, (K, P), and
    :math:`\Lambda_i = \partial^2 \ell / \partial z_i^2`, (K, K), belong to row i, and R
    is diagonal, with the squared units of the weights. For LogisticNN this is the exact
    Hessian, and with ``alpha=0`` the inference of R's ``glm`` and ``multinom`` and of
    statsmodels' ``Logit`` and ``MNLogit``. With a penalty it is that of a Gaussian
    prior: intervals are Bayesian, and shrunk towards 0. For OneHiddenMLP it is the
    generalised Gauss-Newton matrix; a prior of precision 1 on the biases, which J does
    not penalise, makes it invertible.

    Read more in the :ref:`User Guide <guide_explaining>`.

    Parameters
    ----------
    model : LogisticNN or OneHiddenMLP
        A fitted model. For a Pipeline pass the last step, ``pipeline[-1]``, and
        ``pipeline[:-1].transform(X)``. The columns keep their names if it was fitted
        after ``set_output(transform="pandas")``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The features that the model was trained on.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their labels.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the fit. A row of weight 2 is the same as two equal rows. If the
        mean is below 1, weights are divided by it, as for ``alpha="auto"``.
        ``class_weight`` of the model is applied as in the fit; that of labels counts
        as it is.
    covariance : {"model", "robust"}, default="model"
        "robust" is the sandwich C M C with HC1's factor n/(n - k): valid also if the
        model is wrong. (statsmodels' ``Logit.fit(cov_type="HC1")`` leaves the factor
        out.) It changes standard errors, intervals and tests; not the averaged
        probabilities, the evidence and the rows left out.
    groups : array-like of shape (n_samples,), default=None
        The group of each row. Rows of one group need not be independent: the sandwich
        of their sums, with the factor m/(m - 1) · (n - 1)/(n - k) for m groups.

    Attributes
    ----------
    parameter_names : list of str
        What the entries of ``covariance`` belong to. For LogisticNN: output after
        output, its row of ``coef_`` and then its intercept. For OneHiddenMLP: the
        arrays ``coefs_[0]``, ``intercepts_[0]``, ``coefs_[1]``, ``intercepts_[1]`` and
        ``skip_coef_``, each row by row. If a constant column is the intercept (see
        ``fit_intercept``), its weight has the standard error of one.
    log_likelihood, null_log_likelihood : float
        Those of the model, and of one without features. Rows count with their weights.
    n_effective : float
        The number of well-determined parameters, tr C Σ s GᵀΛG: with ``alpha=0`` all
        that are identified. Biases are included, which ``n_effective_`` of LogisticNN
        leaves out.
    log_evidence : float
        The logarithm of the evidence, as ``log_evidence_`` of LogisticNN; -∞ with
        ``alpha=0``, where the prior has no density.

    Raises
    ------
    ValueError
        If an argument is invalid, if the classes are separable and there is no penalty,
        so that intervals do not exist, or for OneHiddenMLP without a penalty; if the
        penalty is so small that it is lost in rounding.
    MemoryError
        If the covariance needs more than half of the machine's memory (4 GiB if that is
        unknown). For OneHiddenMLP it is kept by rows, n K × n K, if that is smaller.

    Warns
    -----
    UserWarning
        If the gradient of J is far from 0: these are not the rows of the fit, or it did
        not converge. If columns are linear combinations of others and there is no
        penalty: they have no interval.

    See Also
    --------
    LogisticNN, OneHiddenMLP : The models.
    CoefficientDisplay : Coefficients or effects, drawn with their intervals.

    References
    ----------
    MacKay, D. J. C. (1992). The evidence framework applied to classification networks.
    Neural Computation 4(5), 720-736.
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 4.5, 5.7.
    White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica
    50(1), 1-25.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sknn_simple import LogisticNN, Posterior
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X = X[["mean radius", "mean texture"]]
    >>> posterior = Posterior(LogisticNN(alpha=0).fit(X, y), X, y)
    >>> posterior.std_errors.round(4)
    array([0.1015, 0.0371, 1.7739])
    >>> bool(posterior.wald_test(["mean texture"]).p_value < 0.001)
    True
    """

    def __init__(
        self,
        model: LogisticNN | OneHiddenMLP,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        covariance: str = "model",
        groups: Any = None,
    ) -> None:
        check_model(model)
        if np.ndim(covariance) or covariance not in ("model", "robust"):
            raise ValueError(
                f"covariance must be 'model' or 'robust'; got {covariance!r}."
            )
        data, all_X, all_codes = validate_known_rows(model, X, y, sample_weight)
        data = model._with_own_intercept(data)
        numbers = group_codes(groups, len(all_codes), data.kept)
        parameters = {k: np.asarray(v, float) for k, v in model._parameters().items()}
        spec = model._train_spec(data)._replace(alpha=model.alpha_, by_evidence=False)
        check_parameters(model, spec, parameters)
        # The model may be fitted again: what a Posterior says stays the same.
        self.model = copy(model)
        self._kind = "clustered" if groups is not None else covariance
        self._all_rows = None if data.kept is None else (all_X, all_codes, ~data.kept)
        robust = covariance == "robust" or groups is not None
        try:
            self._inference = infer(spec, data, parameters, robust, numbers)
        except SeparationError as error:
            raise ValueError(self._separation(error)) from None
        except np.linalg.LinAlgError:
            raise ValueError(
                f"alpha={spec.alpha:.3g} is lost in rounding next to the weights of "
                "the rows, and columns or hidden units depend on each other: the "
                "Hessian cannot be inverted. Fit the model with a larger alpha."
            ) from None
        self._warn()

    def __repr__(self) -> str:
        return f"<Posterior of {self.model}, covariance {self._kind!r}>"

    def _separation(self, error: SeparationError) -> str:
        names = self._named(np.array(error.columns, dtype=int))
        columns = f" (by each of these columns: {listed(names)})" if names else ""
        return (
            f"The classes are separable{columns} and alpha=0: the log-loss falls for "
            "ever as the weights grow, so standard errors and intervals do not exist. "
            "Fit the model with alpha='auto' or a number above 0."
        )

    def _warn(self) -> None:
        gradient = self._inference.gradient
        limit = LARGE_GRADIENT if self._is_linear else LARGE_NETWORK_GRADIENT
        if not gradient < limit:
            warnings.warn(
                "The gradient of J at the model is far from 0 on these rows: "
                f"{gradient:.2g} standard errors in the mean. Either X, y and "
                "sample_weight are not those of the fit, or it ended early "
                f"(early_stopping, max_iter, tol={self.model.tol:g}: try a smaller tol)"
                ". Posterior describes a minimum of J.",
                UserWarning,
                stacklevel=3,
            )
        open_ = undetermined(self._inference)[: len(self._names)]
        if open_.any():
            dependent = self._named(np.flatnonzero(open_))
            warnings.warn(
                f"{listed(dependent)}: a linear combination of these columns (and the "
                "intercept) is 0 in all rows, and alpha=0. They have no interval.",
                UserWarning,
                stacklevel=3,
            )

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

    # Names ----------------------------------------------------------------------------

    @cached_property
    def _names(self) -> list[str]:
        return column_names(self.model)

    @property
    def parameter_names(self) -> list[str]:
        """What the entries of ``covariance`` belong to."""
        if self._is_linear:
            has_intercept = self._inference.outputs.has_intercept
            names = [*self._names, *["intercept"] * has_intercept]
            if self._inference.outputs.n_outputs == 1:
                return names
            return [f"{name} [{k}]" for k in self.model.classes_ for name in names]
        shapes = self._inference.outputs.network.layout.shapes
        return [
            f"{self.model._attribute_of[name]}[{', '.join(map(str, index))}]"
            for name, shape in shapes.items()
            for index in np.ndindex(shape)
        ]

    # Parameters -----------------------------------------------------------------------

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance of the parameters on raw columns, (P, P), as ``parameter_names``.

        NaN for weights that have no interval: held at a bound of ``monotonic_cst``, of
        a constant column, or of dependent columns with ``alpha=0``. Softmax does not
        change if a constant is added to the K outputs: it is the covariance of
        intercepts and, without a penalty, of weights whose sum over the classes is 0,
        as those of the model.
        """
        return raw_covariance(self._inference)

    @cached_property
    def std_errors(self) -> np.ndarray:
        """Standard errors of the parameters, (P,), as ``parameter_names``."""
        return raw_std_errors(self._inference)

    def conf_int(self, confidence_level: float = 0.95) -> np.ndarray:
        """Return intervals of the parameters.

        Parameters
        ----------
        confidence_level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        interval : ndarray of shape (n_parameters, 2)
            Lower and upper limits, in the order of ``parameter_names``.
        """
        width = interval_width(confidence_level) * self.std_errors
        value = raw_values(self._inference)
        return np.column_stack([value - width, value + width])

    def summary(self, confidence_level: float = 0.95, reference: Any = None) -> Summary:
        """Return the table of coefficients, for LogisticNN.

        Parameters
        ----------
        confidence_level : float, default=0.95
            Between 0 and 1.
        reference : label, default=None
            The class that the others are compared with: coefficients are changes of
            the log odds against it. The first class by default. Not for a multilabel
            target, whose labels have a model each.

        Returns
        -------
        summary : Summary
            It prints as a table, in notebooks as HTML. ``to_frame()`` gives a pandas
            DataFrame with the columns name, class (or label, if there are several),
            coef, std_error, z, p_value, lower, upper and odds_ratio.

        Raises
        ------
        TypeError
            For OneHiddenMLP. Its weights have no meaning one by one: see
            ``marginal_effects``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sknn_simple import LogisticNN, Posterior
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> posterior = Posterior(LogisticNN().fit(X, y), X, y)
        >>> frame = posterior.summary(reference=1).to_frame()
        >>> frame.shape  # 4 columns and the intercept, 2 classes against class 1
        (10, 9)
        """
        self._need_linear("summary")
        check_reference(reference, self.model.classes_, self._inference.rows.multilabel)
        return summarize(
            self._inference,
            self._names,
            reference,
            confidence_level,
            self._head(),
        )

    # Measures of fit, and tests -------------------------------------------------------

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
        return self._inference.deviance

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
        # All outputs of a column have an interval, or none.
        missing = columns[without_interval(self._inference)[columns]]
        if len(missing):
            names = listed(self._named(missing))
            raise ValueError(f"features has columns without an interval: {names}.")
        return wald_test(self._inference, columns)

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
            if not isinstance(posterior, Posterior):
                raise TypeError(f"other must be a Posterior; got {posterior!r}.")
            posterior._need_linear("lr_test")
            alpha = posterior._inference.alpha
            if alpha > 0.0:
                raise ValueError(
                    "A likelihood ratio test needs fits without a penalty, alpha=0; "
                    f"got alpha={alpha:.3g}."
                )
        smaller, larger = sorted((other, self), key=lambda each: each.n_effective)
        only = [name for name in smaller._names if name not in larger._names]
        return lr_test(smaller._inference, larger._inference, only)
