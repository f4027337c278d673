"""Without an intercept a constant column takes its place."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from models import SOLVERS, classes, each_solver, noisy_classes
from sknn_simple import LogisticNN, Posterior

X, Y = classes(3)
VALUES = [1.0, -3.0, 1e-9, 1e9]


def with_column(X, value=1.0, at=2):
    return np.insert(X, at, value, axis=1)


def fitted(X, y, **params):
    return LogisticNN(tol=1e-9, fit_intercept=False, **params).fit(X, y)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_evaluation_leaves_its_weight(n_classes):
    kept = n_classes > Y
    data, y = with_column(X[kept]), Y[kept]
    model = fitted(data, y, alpha=1.0, warm_start=True)
    coef, loss = model.coef_.copy(), model.loss_
    model.set_params(max_iter=0).fit(data, y)
    assert_allclose(model.coef_, coef, atol=1e-12)
    assert_allclose(model.loss_, loss)
    assert_allclose(model.score(data, y), fitted(data, y, alpha=1.0).score(data, y))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", ["auto", 1.0, 0.0])
@pytest.mark.parametrize("value", VALUES)
def test_a_constant_column_is_the_intercept(value, alpha, n_classes, container):
    kept = n_classes > Y
    X2, y = X[kept], Y[kept]
    data = container(with_column(X2, value))
    model = fitted(data, y, alpha=alpha)
    expected = LogisticNN(alpha, tol=1e-9).fit(container(X2), y)
    assert_allclose(
        model.decision_function(data), expected.decision_function(X2), atol=1e-5
    )
    assert_allclose(model.coef_[:, 2] * value, expected.intercept_, atol=1e-5)
    assert_array_equal(model.intercept_, np.zeros_like(expected.intercept_))
    assert model.alpha_ == expected.alpha_


@each_solver
def test_a_constant_column_is_the_intercept_of_every_solver(solver):
    model = fitted(with_column(X), Y, alpha=1.0, solver=solver)
    expected = LogisticNN(1.0, tol=1e-9, solver=solver).fit(X, Y)
    assert_allclose(model.coef_[:, 2], expected.intercept_, atol=1e-6)


def test_the_first_of_several_constant_columns_is_the_intercept():
    data = with_column(with_column(X, 2.0, 4), 5.0, 0)
    model = fitted(data, Y)
    assert model.coef_[:, 0].all()
    assert not model.coef_[:, 5].any()


def test_a_column_of_zeros_is_not_an_intercept():
    model = fitted(with_column(X, 0.0), Y, alpha=1.0)
    assert_allclose(model.predict_proba(np.zeros((1, 7))), np.full((1, 3), 1 / 3))


@pytest.mark.parametrize("alpha", ["auto", 1.0])
@each_solver
def test_a_raw_column_too_small_to_be_squared_is_zero(solver, alpha):
    tiny, zero = (
        fitted(with_column(X, value), Y, alpha=alpha, solver=solver, standardize=False)
        for value in (1e-200, 0.0)
    )
    assert_array_equal(tiny.coef_, zero.coef_)
    assert tiny.alpha_ == zero.alpha_


def test_raw_weights_are_penalised_as_those_of_logistic_regression():
    model = fitted(with_column(X), Y, alpha=100.0, standardize=False)
    free = fitted(with_column(X), Y, alpha=100.0)
    assert np.abs(model.coef_[:, 2]).max() < np.abs(free.coef_[:, 2]).max()


def test_polynomials_bring_their_own_intercept():
    y = (Y > 0).astype(int)
    model = make_pipeline(PolynomialFeatures(2), LogisticNN(fit_intercept=False))
    assert model.fit(X, y).predict_proba(X)[:, 1].mean() == pytest.approx(
        y.mean(), abs=0.01
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_keeps_the_intercept(solver):
    model = fitted(with_column(X), Y, alpha=1.0, warm_start=True, solver=solver)
    coef = model.coef_.copy()
    model.fit(with_column(X), Y)
    assert model.n_iter_ == 0
    assert_allclose(model.coef_, coef, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", ["auto", 0.0])
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("covariance", ["model", "robust"])
def test_its_table_is_that_of_a_fit_with_an_intercept(
    value, alpha, n_classes, covariance
):
    X, y = noisy_classes(n_classes)
    data = with_column(X, value)
    own = Posterior(fitted(data, y, alpha=alpha), data, y, covariance=covariance)
    model = LogisticNN(alpha, tol=1e-9).fit(X, y)
    other = Posterior(model, X, y, covariance=covariance)
    order, factor = [0, 1, 4, 2, 3], np.array([1.0, 1.0, 1.0 / abs(value), 1.0, 1.0])
    found = own.std_errors.reshape(-1, 5)
    assert_allclose(found, other.std_errors.reshape(-1, 5)[:, order] * factor, 1e-5)
    assert own.parameter_names[:5] != other.parameter_names[:5]
    frame, expected = (p.summary().to_frame() for p in (own, other))
    z = expected["z"].to_numpy().reshape(-1, 5)[:, order]
    z[:, 2] *= np.sign(value)
    assert_allclose(frame["z"].to_numpy().reshape(-1, 5), z, rtol=1e-3)
    assert "intercept" not in set(frame["name"])
    low, high = own.conf_int().T
    assert_allclose((low + high) / 2.0, own.model.coef_.ravel(), rtol=1e-9)
    for name in ("aic", "bic", "null_deviance", "n_effective"):
        assert_allclose(getattr(own, name), getattr(other, name), rtol=1e-5)
    assert own.covariance.shape == (found.size, found.size)


def test_dependent_columns_with_an_own_intercept():
    X, y = noisy_classes(2)
    data = with_column(np.hstack([X, X[:, :1] + 3.0]), 2.0)
    model = fitted(data, y, alpha=0.0)
    with pytest.warns(UserWarning, match="'x0', 'x2', 'x5'"):
        posterior = Posterior(model, data, y)
    missing = np.isnan(posterior.std_errors)
    assert_array_equal(missing, [True, False, True, False, False, True])


def test_a_constrained_column_is_no_intercept():
    y = (Y > 0).astype(int)
    signs = [0, 0, -1, 0, 0, 0, 0]
    model = LogisticNN(1.0, fit_intercept=False, monotonic_cst=signs)
    model.fit(with_column(X), y)
    assert model.coef_[0, 2] <= 0.0


def test_a_repeated_warm_fit_keeps_alpha():
    model = LogisticNN(fit_intercept=False, warm_start=True).fit(with_column(X), Y)
    alpha = model.alpha_
    assert model.fit(with_column(X), Y).alpha_ == alpha
