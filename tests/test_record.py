"""The record of a training, and what it says about its end."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer

from models import classes, each_network_solver, each_solver, ignores_max_iter
from sknn_simple import LogisticNN, OneHiddenMLP

# Some fits stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@each_solver
def test_record_of_every_solver(solver):
    X, y = classes()
    model = LogisticNN(solver=solver, alpha=1.0).fit(X, y)
    assert type(model.loss_) is float
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert model.loss_curve_[-1] == model.loss_
    assert_allclose(model.loss_curve_[0], np.log(3))
    assert np.all(np.diff(model.loss_curve_) <= 1e-15)
    assert model.n_iter_ > 1


@each_network_solver
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("max_iter", [1, 7, 1000])
def test_record_of_the_network(activation, solver, max_iter):
    X, y = classes()
    model = OneHiddenMLP(4, activation, solver=solver, max_iter=max_iter, alpha=1.0)
    model.set_params(random_state=0, tol=1e-3).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ + 1 <= max_iter + 1
    assert model.loss_curve_[-1] == model.loss_ == min(model.loss_curve_)
    assert model.converged_ == (model.n_iter_ < max_iter)


@pytest.mark.parametrize("alpha", [1e-3, 0.1])
@each_solver
def test_loss_curve_rises_by_rounding_at_most(solver, alpha):
    X, y = load_breast_cancer(return_X_y=True)
    model = LogisticNN(solver=solver, alpha=alpha, tol=1e-12).fit(X, y)
    lowest = np.minimum.accumulate(model.loss_curve_)
    assert_allclose(model.loss_curve_, lowest, rtol=4e-15)


@pytest.mark.parametrize("activation", ["relu", "tanh", None])
def test_separable_classes_are_fitted_until_gradients_underflow(activation):
    """Without a penalty J falls to 0: there is no end before float64's own."""
    X, y = np.array([[-1.0], [1.0]]), [0, 1]
    settings = {"alpha": 0.0, "tol": 0.0, "max_iter": 2000, "solver": "lbfgs"}
    if activation is None:
        model = LogisticNN(**settings)
    else:
        model = OneHiddenMLP(5, activation, random_state=0, **settings)
    assert 0.0 <= model.fit(X, y).loss_ < 1e-100


@pytest.mark.parametrize("seed", [0, 1])
def test_a_plateau_at_the_start_is_no_minimum(seed):
    """Also if a fit that did not converge is continued."""
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (1000, 1))
    y = np.sin(10.0 * np.pi * X[:, 0]) > 0.0
    model = OneHiddenMLP(100, alpha=0.1, warm_start=True, random_state=seed)
    short = clone(model).set_params(max_iter=20).fit(X, y)
    assert short.loss_ > 0.65
    assert model.fit(X, y).loss_ < 0.5
    assert short.set_params(max_iter=1000).fit(X, y).loss_ < 0.5


def test_a_small_gradient_at_the_start_is_no_minimum():
    """Values that are coded as -999 leave little of the unit of a column to others."""
    random = np.random.default_rng(0)
    X = random.normal(size=(1000, 5))
    y = 2.0 * X[:, 0] + X[:, 1] + random.logistic(size=1000) > 0.0
    X[random.random(X.shape) < 0.02] = -999.0
    assert OneHiddenMLP(alpha=0.01, random_state=3).fit(X, y).loss_ < 0.55
    assert OneHiddenMLP(random_state=0).fit(X, y).loss_ < 0.6  # searches alpha
