"""The unit of a column with two values is half their distance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from models import (
    EXACT_LINEAR,
    assert_same_bits,
    column_units,
    each_class,
    each_comparable_model,
    fit,
    ignores_max_iter,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter

each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])


def one_hot(n=150):
    """Measurements, common and rare categories, a constant; classes of them."""
    rng = np.random.default_rng(0)
    category = np.minimum(rng.geometric(0.5, n) - 1, 5)
    X = np.hstack([rng.normal(size=(n, 2)), np.eye(6)[category], np.ones((n, 1))])
    y = (X[:, 0] + category + rng.normal(size=n) > 1.0).astype(int)
    return X, y


@each_class
@each_container
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scale_holds_the_units(model, container, dtype):
    X, y = one_hot()
    X = (X * 4.0).astype(dtype)
    scale = fit(model, container(X), y).scale_
    assert scale.dtype == np.float64
    assert_array_equal(scale[2:], [2.0] * 6 + [1.0])
    assert_allclose(scale[:2], X[:, :2].std(axis=0), rtol=1e-5)


@each_class
def test_scale_of_raw_weights_is_1(model):
    X, y = one_hot()
    model = clone(model).set_params(standardize=False).fit(X, y)
    assert_array_equal(model.scale_, np.ones(9))


@pytest.mark.parametrize("fit_intercept", [True, False])
@each_container
def test_the_penalty_is_on_weights_in_these_units(container, fit_intercept):
    X, y = one_hot()
    model = LogisticNN(3.0, fit_intercept=fit_intercept).fit(container(X), y)
    p = model.predict_proba(X)[np.arange(len(y)), y]
    unit = column_units(X)
    J = -np.log(p).mean() + 1.5 * ((model.coef_ * unit) ** 2).sum() / len(y)
    assert_allclose(model.loss_, J, rtol=1e-10)
    # The gradient of J is 0.
    delta = (model.predict_proba(X)[:, 1] - y)[:, None]
    gradient = X.T @ delta + 3.0 * unit[:, None] ** 2 * model.coef_.T
    assert_allclose(gradient[:-1], 0.0, atol=1e-3)


def test_rare_and_common_categories_are_penalised_alike():
    # With as many rows of both classes in each category, weights differ by rows alone.
    category = np.repeat(np.arange(3), [4, 40, 400])
    X, y = np.eye(3)[category], np.tile([0, 0, 0, 1], 111)
    y[category == 2] = np.tile([0, 1], 200)
    by_unit = LogisticNN(10.0).fit(X, y).coef_[0]
    by_raw = LogisticNN(10.0 / 4.0, standardize=False).fit(X, y).coef_[0]
    assert_allclose(by_unit, by_raw, atol=1e-4)


@each_comparable_model
@pytest.mark.parametrize("seed", range(3))
def test_unit_and_origin_do_not_matter(model, seed):
    X, y = one_hot()
    rng = np.random.default_rng(seed)
    factor = rng.choice([-1.0, 1.0], 9) * 10.0 ** rng.uniform(-6, 6, 9)
    Z = (X + rng.normal(size=9)) * factor
    if isinstance(model, OneHiddenMLP):
        # Another sign would be another draw of the weights.
        Z, factor = Z * np.sign(factor), np.abs(factor)
    one, other = fit(model, X, y), fit(model, Z, y)
    assert_allclose(other.loss_, one.loss_, rtol=1e-9)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-7)
    varying = slice(0, 8)
    expected = np.abs(factor) * one.scale_
    assert_allclose(other.scale_[varying], expected[varying], rtol=1e-9)


@each_comparable_model
@each_container
def test_weights_are_repeated_rows(model, container):
    X, y = one_hot()
    times = np.random.default_rng(0).integers(0, 4, len(y))
    # Rows of weight 0 hold a third value, and another scale of the measurements.
    X[times == 0] += 10.0
    weighted = fit(model, container(X), y, sample_weight=times)
    repeated = fit(model, container(np.repeat(X, times, axis=0)), np.repeat(y, times))
    assert_array_equal(weighted.scale_[2:], [0.5] * 6 + [1.0])
    assert_allclose(weighted.scale_, repeated.scale_, rtol=1e-12)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)
    expected = weighted.predict_proba(X)
    assert_allclose(repeated.predict_proba(X), expected, rtol=0, atol=1e-7)


@each_comparable_model
def test_sparse_is_dense(model):
    X, y = one_hot()
    dense, other = fit(model, X, y), fit(model, sparse.csr_array(X), y)
    assert_allclose(other.scale_, dense.scale_, rtol=1e-12)
    assert_allclose(other.loss_, dense.loss_, rtol=1e-9)
    assert_allclose(other.predict_proba(X), dense.predict_proba(X), rtol=0, atol=1e-6)


def test_single_precision_is_double_precision():
    X, y = one_hot()
    one = fit(EXACT_LINEAR, X, y)
    other = fit(EXACT_LINEAR, X.astype(np.float32), y)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=0, atol=1e-3)


@each_class
@each_container
def test_number_of_threads_does_not_change_a_bit(model, container):
    X, y = one_hot(20_000)
    fits = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fits.append(clone(model).set_params(max_iter=3).fit(container(X), y))
    for other in fits[1:]:
        assert_same_bits(other, fits[0], X)
        assert_array_equal(other.scale_, fits[0].scale_)
