"""Without a penalty Posterior gives the numbers of statsmodels, on raw units."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_wine

from models import fit
from sknn_simple import LogisticNN, Posterior

sm = pytest.importorskip("statsmodels.api")
sandwich = pytest.importorskip("statsmodels.stats.sandwich_covariance")

# Six digits. By default a fit ends when its coefficients have four or five.
DIGITS = {"rtol": 1e-6, "atol": 0.0}
CLASSICAL = LogisticNN(alpha=0, tol=1e-8)


def _spector():
    data = sm.datasets.spector.load_pandas()
    return data.exog, data.endog


def _fair():
    data = sm.datasets.fair.load_pandas()
    return data.exog, (data.endog > 0).astype(int)


def _cancer():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X[["mean area", "mean texture", "mean smoothness"]], y


def _anes():
    data = sm.datasets.anes96.load_pandas()
    return data.exog, data.endog.astype(int)


def _wine():
    X, y = load_wine(return_X_y=True, as_frame=True)
    return X[["proline", "ash"]], y


SETS = {
    "spector": _spector,
    "fair": _fair,
    "breast_cancer": _cancer,
    "anes96": _anes,
    "wine": _wine,
}


class Reference:
    """A fit of statsmodels, on columns in units of their deviations.

    On raw columns its Newton steps do not end. Coefficients and covariances are mapped
    to the raw columns, which is exact up to rounding.
    """

    def __init__(self, X, y, groups):
        raw = np.column_stack([X, np.ones(len(X))])
        scale = np.append(raw[:, :-1].std(axis=0), 1.0)
        is_binary = len(np.unique(y)) == 2
        model = (sm.Logit if is_binary else sm.MNLogit)(np.asarray(y), raw / scale)
        self.fit = model.fit(disp=0, method="newton", maxiter=50, tol=1e-10)
        n_equations = 1 if is_binary else len(np.unique(y)) - 1
        self._scale = np.tile(scale, n_equations)
        self.coef = np.asarray(self.fit.params).T.ravel() / self._scale
        self.std_error = self._errors(self.fit.cov_params())
        # Of discrete models cov_type="HC1" is without the factor n/(n - k).
        self.robust = self._errors(sandwich.cov_white_simple(self.fit))
        self.clustered = self._errors(sandwich.cov_cluster(self.fit, groups))

    def _errors(self, covariance):
        return np.sqrt(np.diag(covariance)) / self._scale


@pytest.fixture(scope="module", params=SETS)
def fitted(request):
    X, y = SETS[request.param]()
    groups = np.arange(len(y)) % 17
    return X, y, groups, fit(CLASSICAL, X, y), Reference(X, y, groups)


def test_coefficients_errors_and_z(fitted):
    X, y, _, model, expected = fitted
    frame = Posterior(model, X, y).summary().to_frame()
    assert_allclose(frame["coef"], expected.coef, **DIGITS)
    assert_allclose(frame["std_error"], expected.std_error, **DIGITS)
    assert_allclose(frame["z"], expected.coef / expected.std_error, **DIGITS)
    half = 1.959963984540054 * expected.std_error
    assert_allclose(frame["lower"] + half, expected.coef, rtol=1e-5, atol=1e-9)
    assert_allclose(frame["upper"] - half, expected.coef, rtol=1e-5, atol=1e-9)


def test_p_values(fitted):
    X, y, _, model, expected = fitted
    frame = Posterior(model, X, y).summary().to_frame()
    p_values = np.asarray(expected.fit.pvalues).T.ravel()
    assert_allclose(frame["p_value"], p_values, rtol=1e-4, atol=1e-300)


def test_measures_of_fit(fitted):
    X, y, _, model, expected = fitted
    posterior, fit = Posterior(model, X, y), expected.fit
    assert_allclose(posterior.log_likelihood, fit.llf, **DIGITS)
    assert_allclose(posterior.null_log_likelihood, fit.llnull, **DIGITS)
    assert_allclose(posterior.aic, fit.aic, **DIGITS)
    assert_allclose(posterior.bic, fit.bic, **DIGITS)
    assert_allclose(posterior.n_effective, np.size(fit.params), **DIGITS)
    head = posterior.summary().head
    assert_allclose(head["McFadden's R²"], fit.prsquared, **DIGITS)


def test_robust_errors(fitted):
    X, y, _, model, expected = fitted
    frame = Posterior(model, X, y, covariance="robust").summary().to_frame()
    assert_allclose(frame["std_error"], expected.robust, **DIGITS)


def test_clustered_errors(fitted):
    X, y, groups, model, expected = fitted
    frame = Posterior(model, X, y, groups=groups).summary().to_frame()
    assert_allclose(frame["std_error"], expected.clustered, **DIGITS)


def test_likelihood_ratio(fitted):
    X, y, _, model, expected = fitted
    base = fit(CLASSICAL, X.iloc[:, :1], y)
    small = Posterior(base, X.iloc[:, :1], y)
    test = Posterior(model, X, y).lr_test(small)
    nested = Reference(X.iloc[:, :1], y, np.arange(len(y)) % 17)
    assert_allclose(test.statistic, 2 * (expected.fit.llf - nested.fit.llf), rtol=1e-6)
    assert test.df == (len(np.unique(y)) - 1) * (X.shape[1] - 1)


def test_wald_test_of_two_columns():
    X, y = _cancer()
    model = fit(CLASSICAL, X, y)
    test = Posterior(model, X, y).wald_test(["mean area", "mean texture"])
    deviations = np.asarray(X).std(axis=0)
    design = np.column_stack([X / deviations, np.ones(len(X))])
    logit = sm.Logit(np.asarray(y), design).fit(disp=0, tol=1e-10)
    expected = logit.wald_test(np.eye(4)[:2], scalar=True)
    assert_allclose(test.statistic, expected.statistic, rtol=1e-6)
    assert_allclose(test.p_value, expected.pvalue, rtol=1e-4)
    assert test.df == 2


def test_marginal_effects():
    X, y = _fair()
    model = fit(CLASSICAL, X, y)
    frame = Posterior(model, X, y).marginal_effects()
    deviations = np.asarray(X).std(axis=0)
    design = np.column_stack([X / deviations, np.ones(len(X))])
    logit = sm.Logit(np.asarray(y), design).fit(disp=0, tol=1e-10)
    margins = logit.get_margeff(at="overall")
    assert_allclose(frame["effect"], margins.margeff / deviations, rtol=1e-6)
    assert_allclose(frame["std_error"], margins.margeff_se / deviations, rtol=1e-5)


def test_effect_of_a_two_valued_column():
    X, y = _spector()
    model = fit(CLASSICAL, X, y)
    frame = Posterior(model, X, y).marginal_effects().set_index("name")
    logit = sm.Logit(np.asarray(y), sm.add_constant(np.asarray(X))).fit(
        disp=0, tol=1e-10
    )
    margins = logit.get_margeff(dummy=True)
    assert_allclose(frame["effect"], margins.margeff, rtol=1e-6)
    assert_allclose(frame["std_error"], margins.margeff_se, rtol=1e-5)


def test_weights_are_frequencies():
    X, y = _cancer()
    weight = np.arange(len(y)) % 3 + 1.0
    model = fit(CLASSICAL, X, y, weight)
    posterior = Posterior(model, X, y, weight, covariance="robust")
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    groups = np.arange(len(repeated))
    expected = Reference(X.iloc[repeated], y.iloc[repeated], groups)
    assert_allclose(posterior.summary().table["std_error"], expected.robust, **DIGITS)
    assert_allclose(posterior.bic, expected.fit.bic, **DIGITS)
