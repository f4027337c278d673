"""The unit and the origin of a column do not change predictions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from models import (
    EXACT_LINEAR,
    classes,
    each_activation,
    each_solver,
    fit,
    ignores_max_iter,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


each_table = pytest.mark.parametrize(
    ("load", "seed"), [(load_iris, 0), (load_wine, 1), (load_breast_cancer, 2)]
)


def rescaled(X, seed):
    """Each column times its own 10^k, k from -6 to 6, and shifted."""
    rng = np.random.default_rng(seed)
    factor = 10.0 ** rng.permutation(np.resize(np.arange(-6, 7), X.shape[1]))
    return (X + 3.0 * rng.normal(size=X.shape[1]) * X.std(axis=0)) * factor


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e4])
def test_the_unit_of_raw_weights_does_not_matter_to_the_evidence(unit):
    X, y = classes(3)
    model = LogisticNN(standardize=False)
    one, other = fit(model, X, y), fit(model, unit * X, y)
    assert_allclose(other.alpha_, one.alpha_ * unit**2, rtol=0.03)
    assert_allclose(other.predict_proba(unit * X), one.predict_proba(X), atol=2e-3)


def test_negligible_columns_do_not_change_the_alpha_of_raw_weights():
    X, y = classes(2)
    tiny = np.random.default_rng(0).normal(size=(len(X), 3))
    model = LogisticNN(standardize=False)
    one, other = fit(model, X, y), fit(model, np.hstack([X, 1e-9 * tiny]), y)
    assert_allclose(other.alpha_, one.alpha_, rtol=0.03)


@pytest.mark.parametrize("search", [{"cv": 3}, {"early_stopping": True}])
@pytest.mark.parametrize("unit", [0.03, 30.0])
def test_the_unit_of_raw_weights_does_not_matter_to_networks(unit, search):
    X, y = classes(2, n_informative=2, flip_y=0.2)
    model = OneHiddenMLP(10, "tanh", standardize=False, random_state=0, **search)
    one, other = fit(model, X, y), fit(model, unit * X, y)
    # The minimum is flat: two steps of the path.
    assert 0.09 < other.alpha_ / (one.alpha_ * unit) < 11.0
    assert abs(other.score(unit * X, y) - one.score(X, y)) < 0.05


@each_solver
@each_table
def test_unit_and_origin_of_columns_do_not_matter(load, solver, seed):
    X, y = load(return_X_y=True)
    Z = rescaled(X, seed)
    one = LogisticNN(solver=solver, tol=1e-8).fit(X, y)
    other = LogisticNN(solver=solver, tol=1e-8).fit(Z, y)
    assert_allclose(other.loss_, one.loss_, rtol=1e-10)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-6)
    assert_array_equal(other.predict(Z), one.predict(X))


@each_activation
@each_table
def test_unit_and_origin_of_columns_do_not_matter_to_networks(load, activation, seed):
    # A whole fit: features rounded to a grid lead every path through the same points.
    assert_units_do_not_matter(
        OneHiddenMLP(10, activation, alpha=1.0, random_state=seed), load
    )


@each_activation
def test_unit_and_origin_of_columns_do_not_matter_to_a_fit_in_float32(activation):
    # From 1e6 rows times parameters on, a fit makes most of its steps in float32.
    model = OneHiddenMLP(60, activation, alpha=1.0, random_state=0)
    assert_units_do_not_matter(model, load_breast_cancer)


def assert_units_do_not_matter(model, load):
    X, y = load(return_X_y=True)
    Z = rescaled(X, model.random_state)
    one, other = fit(model, X, y), fit(model, Z, y)
    assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-10)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-10)
    assert_array_equal(other.predict(Z), one.predict(X))


@pytest.mark.parametrize(
    "settings",
    [
        {"skip_connections": True},
        {"early_stopping": True},
        {"class_weight": "balanced"},
        {"n_init": 3},
        {"solver": "newton-cg"},
        {"monotonic_cst": [1, 0, -1] + [0] * 27, "activation": "tanh"},
        # Above 1e6 rows times parameters: in float32 first.
        {"skip_connections": True, "hidden_layer_size": 60},
        {"early_stopping": True, "hidden_layer_size": 80},
        {"n_init": 2, "hidden_layer_size": 60},
        {
            "monotonic_cst": [1, 0, -1] + [0] * 27,
            "activation": "tanh",
            "hidden_layer_size": 60,
        },
        {"class_weight": "balanced", "hidden_layer_size": 60},
    ],
    ids=str,
)
def test_unit_and_origin_of_columns_do_not_matter_to_settings(settings):
    X, y = load_breast_cancer(return_X_y=True)
    Z = rescaled(X, 0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = OneHiddenMLP(5, alpha=1.0, random_state=0).set_params(**settings)
    one = clone(model).fit(X, y, sample_weight=weight)
    other = clone(model).fit(Z, y, sample_weight=weight)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-10)


@pytest.mark.parametrize("hidden_layer_size", [5, 8])
def test_unit_of_sparse_columns_does_not_matter_to_networks(hidden_layer_size):
    # With 8 units a fit begins in float32.
    X, y = load_digits(return_X_y=True)
    factor = 10.0 ** np.resize(np.arange(-6, 7), X.shape[1])
    Z = sparse.csr_array(X * factor)
    model = OneHiddenMLP(hidden_layer_size, alpha=1.0, random_state=0)
    one, other = fit(model, sparse.csr_array(X), y), fit(model, Z, y)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-10)


def test_features_too_large_to_keep_may_be_in_any_unit():
    # Above 32 MiB of float64 each evaluation standardises the features anew.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(86_000, 50))
    y = X[:, 0] + X[:, 1] > 0.0
    Z = X * 10.0 ** np.resize(np.arange(-6, 7), 50)
    model = OneHiddenMLP(1, solver="newton-cg", alpha=1.0, max_iter=1, random_state=0)
    one, other = fit(model, X, y), fit(model, Z, y)
    assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("skip", [False, True])
@each_activation
def test_powers_of_two_do_not_change_a_bit(activation, skip):
    # A factor that rounds nothing: the whole default fit has the same bits.
    X, y = load_breast_cancer(return_X_y=True)
    factor = 2.0 ** np.resize(np.arange(-20, 21, 3), X.shape[1])
    model = OneHiddenMLP(
        5, activation, alpha=1.0, skip_connections=skip, random_state=0
    )
    one, other = fit(model, X, y), fit(model, X * factor, y)
    assert other.loss_curve_ == one.loss_curve_
    assert_array_equal(other.predict_proba(X * factor), one.predict_proba(X))
    assert_array_equal(other.coefs_[0] * factor[:, None], one.coefs_[0])


@each_solver
def test_powers_of_two_do_not_change_a_bit_of_logistic_nn(solver):
    X, y = load_wine(return_X_y=True)
    factor = 2.0 ** np.resize(np.arange(-20, 21, 3), X.shape[1])
    model = LogisticNN(solver=solver)
    one, other = fit(model, X, y), fit(model, X * factor, y)
    assert other.loss_curve_ == one.loss_curve_
    assert_array_equal(other.coef_ * factor, one.coef_)


def test_order_of_columns_does_not_matter_to_the_optimum():
    X, y = classes()
    order = np.random.default_rng(0).permutation(X.shape[1])
    one, other = fit(EXACT_LINEAR, X, y), fit(EXACT_LINEAR, X[:, order], y)
    assert_allclose(other.coef_, one.coef_[:, order], atol=1e-7)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e6, -1e99, 1e-300])
def test_a_constant_column_does_not_change_the_optimum(value):
    X, y = classes()
    Z = np.column_stack([X, np.full(len(X), value)])
    one, other = fit(EXACT_LINEAR, X, y), fit(EXACT_LINEAR, Z, y)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), atol=1e-9)
    assert not other.coef_[:, -1].any()
