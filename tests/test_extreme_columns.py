"""Columns that are only odd make a finite model, in silence."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from checks import X, Y, assert_sound
from models import each_activation, each_class, each_solver
from sknn_simple import LogisticNN, OneHiddenMLP


def odd_columns():
    n = len(X)
    sign = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    one = np.zeros(n)
    one[3] = 1.0
    for size in (1e-130, 1e-100, 1e-20, 1e20, 1e90, 1e99):
        yield f"one column of {size}", np.column_stack([X, size * X[:, 0]])
        yield f"all columns of {size}", size * X
        yield f"a constant of {size}", np.column_stack([X, np.full(n, size)])
        yield f"a constant of {-size}", np.column_stack([X, np.full(n, -size)])
        yield f"one entry of {size}", np.column_stack([X, size * one])
        yield f"signs of {size}", np.column_stack([X, size * sign])
    yield "zeros", np.column_stack([X, np.zeros(n)])
    yield "only zeros", np.zeros((n, 3))
    yield "only constants", np.full((n, 2), 0.1)
    yield "a duplicate", np.column_stack([X, X[:, 0]])
    yield "all duplicates", np.hstack([X, X, X])
    yield "nearly a duplicate", np.column_stack([X, X[:, 0] + 1e-9 * X[:, 1]])
    yield "far from zero", X + 1e8
    yield "very far from zero", X + 1e15
    yield "the smallest numbers", np.column_stack([X, 5e-324 * (sign > 0)])
    yield "the largest numbers", np.column_stack([X, 1e100 * sign])
    yield "more columns than rows", np.tile(X[:7], 4)[:, :20].repeat(9, 0)[:n]


ODD = dict(odd_columns())


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_class
def test_odd_columns_make_a_sound_model_in_silence(model, n_classes, standardize, case):
    y = np.minimum(Y, n_classes - 1)
    model = clone(model).set_params(standardize=standardize)
    assert_sound(model.fit(ODD[case], y), ODD[case], y)


@pytest.mark.parametrize("case", ODD)
@each_solver
def test_odd_columns_have_one_optimum_with_every_solver(solver, case):
    model = LogisticNN(solver=solver).fit(ODD[case], Y)
    assert_sound(model, ODD[case], Y)
    assert_allclose(model.loss_, LogisticNN().fit(ODD[case], Y).loss_, rtol=1e-6)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("alpha", [1e-8, 1.0, "auto"])
@pytest.mark.parametrize("standardize", [True, False])
def test_odd_columns_make_a_sound_model_without_intercept(standardize, alpha, case):
    model = LogisticNN(alpha, standardize=standardize, fit_intercept=False)
    assert_sound(model.fit(ODD[case], Y), ODD[case], Y)


@pytest.mark.parametrize("case", ODD)
@each_activation
def test_odd_columns_make_a_sound_network_with_every_activation(activation, case):
    # Whether 40 iterations are enough is not the question here. One activation is
    # enough for the search for alpha, which takes as long as ten fits.
    alpha = "auto" if activation == "relu" else 1.0
    model = OneHiddenMLP(3, activation, alpha=alpha, skip_connections=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=40, random_state=0).fit(ODD[case], Y)
    assert_sound(model, ODD[case], Y)


# A sparse column cannot be centred: at 1e15 deviations from zero it loses all digits.
@pytest.mark.parametrize("case", [case for case in ODD if case != "very far from zero"])
@each_class
def test_odd_sparse_columns_make_a_sound_model(model, case):
    S = sparse.csr_array(ODD[case])
    assert_sound(clone(model).fit(S, Y), S, Y)


def sums_of_shares(dtype):
    """A column of ones, up to rounding."""
    shares = np.random.default_rng(0).dirichlet(np.ones(9), len(X)).astype(dtype)
    total = (shares / shares.sum(axis=1, keepdims=True)).sum(axis=1)
    assert len(np.unique(total)) > 1
    return total


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("standardize", [True, False])
@each_class
def test_rounding_noise_is_no_feature(model, standardize, container, dtype):
    model = clone(model).set_params(standardize=standardize)
    data = np.column_stack([X[:, 0], sums_of_shares(dtype)]).astype(dtype)
    ones = np.column_stack([X[:, 0], np.ones(len(X))]).astype(dtype)
    model.fit(container(data), Y)
    other = data.copy()
    other[:, 1] = 0.999
    found = model.predict_proba(container(other))
    assert_allclose(found, model.predict_proba(container(data)), atol=1e-3)
    expected = clone(model).fit(container(ones), Y).predict_proba(container(ones))
    assert_allclose(model.predict_proba(container(data)), expected, atol=1e-5)


def test_single_precision_noise_stays_noise_next_to_a_column_that_needs_double():
    remote = (1e6 + X[:, 0]).astype(np.float32)
    data = np.column_stack([remote, sums_of_shares(np.float32)])
    for form in (np.asarray, sparse.csr_array):
        assert LogisticNN().fit(form(data), Y).coef_[:, 1].tolist() == [0.0] * 3


@each_class
def test_powers_of_two_as_units_change_no_prediction(model):
    expected = clone(model).fit(X, Y)
    for exponent in (-330, -200, 200, 330):
        scaled = np.ldexp(X, exponent)
        other = clone(model).fit(scaled, Y)
        assert_allclose(other.loss_, expected.loss_, rtol=1e-6)
        assert_array_equal(other.predict(scaled), expected.predict(X))
