"""Every solver ends at the same optimum, or at a stationary point of a network."""

import warnings

import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning

from models import (
    SOLVERS,
    classes,
    each_network_solver,
    each_solver,
    noisy_classes,
)
from sknn_simple import LogisticNN, OneHiddenMLP


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_solvers_agree(load, standardize):
    X, y = load(return_X_y=True)
    models = [
        LogisticNN(solver=solver, standardize=standardize, tol=1e-7).fit(X, y)
        for solver in SOLVERS
    ]
    expected = models[0].predict_proba(X)
    for model in models:
        assert model.converged_
        assert model.solver_ == model.solver
        assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-4)
        assert_allclose(model.loss_, models[0].loss_, rtol=1e-8)
        assert_allclose(model.log_evidence_, models[0].log_evidence_, rtol=1e-5)
        assert_allclose(
            model.coef_ * X.std(axis=0),
            models[0].coef_ * X.std(axis=0),
            rtol=0,
            atol=1e-3,
        )


@each_solver
def test_solvers_agree_without_penalty(solver):
    # Overlapping classes: the optimum is finite, and softmax leaves a direction open.
    X, y = classes(n=300)
    y[::5] = (y[::5] + 1) % 3
    expected = LogisticNN(0, solver="newton-cholesky", tol=1e-9).fit(X, y)
    model = LogisticNN(0, solver=solver, tol=1e-8).fit(X, y)
    assert model.converged_
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    # Redundant columns leave the weights open, not what they add up to.
    assert_allclose(
        model.decision_function(X), expected.decision_function(X), atol=1e-4
    )
    assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-12)


@each_network_solver
def test_solvers_of_the_network_reach_a_stationary_point(solver):
    X, y = classes()
    model = OneHiddenMLP(5, "logistic", solver=solver, tol=1e-5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    assert model.converged_
    assert model.loss_ < 0.8 * model.loss_curve_[0]


def test_a_network_with_skip_connections_is_no_worse_than_the_linear_model():
    # With hidden weights of 0 it is LogisticNN.
    X, y = classes()
    network = OneHiddenMLP(1, "identity", skip_connections=True, tol=1e-7)
    network.set_params(alpha=1.0, random_state=0).fit(X, y)
    linear = LogisticNN(1.0, tol=1e-9).fit(X, y)
    assert network.loss_ <= linear.loss_ + 1e-6


@pytest.mark.parametrize("offset", [30.0, 1e3])
@each_solver
def test_columns_far_from_0_without_an_intercept(solver, offset):
    """They are nearly collinear: along their differences the gradient is small."""
    X, y = noisy_classes(2)
    X = X + offset * X.std(axis=0)
    model = LogisticNN(0.1, fit_intercept=False)
    exact = clone(model).set_params(solver="newton-cholesky", tol=1e-11).fit(X, y)
    found = clone(model).set_params(solver=solver).fit(X, y)
    assert_allclose(found.loss_, exact.loss_, rtol=1e-6)


def test_columns_very_far_from_0_without_an_intercept():
    X, y = noisy_classes(2)
    near = LogisticNN(0.1, fit_intercept=False).fit(X, y)
    far = LogisticNN(0.1, fit_intercept=False).fit(X + 1e5, y)
    assert far.converged_
    assert far.score(X + 1e5, y) >= near.score(X, y)


def test_one_column_out_of_reach_leaves_the_others():
    X, y = noisy_classes(2)
    offset = [1e5, 1e5, 1e5, 1e10]
    far = LogisticNN(0.1, fit_intercept=False).fit(X + offset, y)
    without = LogisticNN(0.1, fit_intercept=False).fit(X[:, :3] + 1e5, y)
    assert far.loss_ <= without.loss_ + 1e-3


def test_a_warning_tells_the_tol_that_was_asked_for():
    X, y = noisy_classes(2)
    model = LogisticNN(0.1, fit_intercept=False, solver="lbfgs", max_iter=5)
    with pytest.warns(ConvergenceWarning, match=r"but tol=(1|9\.99\d*)e-0[89] asks"):
        model.fit(X + 1e3 * X.std(axis=0), y)
