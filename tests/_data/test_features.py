"""The transform of features: its formula, rounding to a grid, and sparse features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sknn_simple._data.features import (
    FeatureTransform,
    scaled_difference,
    transposed,
    with_values,
)

STEP = 2.0**-26
CENTER, SCALE = np.array([0.5, -3.0, 0.0, 7.0]), np.array([2.0, 0.25, 1.0, 0.0])
CONTAINERS = pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
STEPS = pytest.mark.parametrize("step", [None, STEP], ids=["exact", "rounded"])


def features(n_rows=30, n_columns=4, seed=0):
    """Random features, many of which are 0."""
    rng = np.random.default_rng(seed)
    shape = n_rows, n_columns
    return rng.standard_normal(shape) * rng.integers(0, 2, shape)


# The formula --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_dense_features_are_centred_and_scaled(dtype, order):
    X = np.asarray(features(), dtype, order)
    found = FeatureTransform(CENTER, SCALE)(X)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, (X - CENTER.astype(dtype)) * SCALE)


def test_a_column_with_scale_zero_becomes_zero():
    assert (FeatureTransform(CENTER, SCALE, STEP)(features())[:, 3] == 0.0).all()


def test_out_takes_the_result_and_the_features_stay():
    X, out = features(), np.empty((30, 4))
    before = X.copy()
    assert FeatureTransform(CENTER, SCALE, STEP)(X, out=out) is out
    np.testing.assert_array_equal(out, FeatureTransform(CENTER, SCALE, STEP)(X))
    np.testing.assert_array_equal(X, before)


@CONTAINERS
@STEPS
def test_sparse_features_are_dense_ones_but_for_the_shift(container, step):
    """Where nothing is stored there is 0, from which the shift makes a centred 0."""
    X, transform = features(), FeatureTransform(CENTER, SCALE, step)
    found = transform(container(X)).toarray() - transform.sparse_shift
    np.testing.assert_allclose(found, transform(X), rtol=1e-15, atol=1e-15)


@CONTAINERS
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_features_keep_their_places_and_precision(container, dtype):
    X = container(features().astype(dtype))
    before = X.data.copy()
    found = FeatureTransform(CENTER, SCALE)(X)
    assert found.dtype == dtype
    assert found.indices is X.indices
    assert found.indptr is X.indptr
    np.testing.assert_array_equal(X.data, before)


@STEPS
def test_dense_is_the_transform_also_of_sparse_features(step):
    X, transform = features(), FeatureTransform(CENTER, SCALE, step)
    for given_X in (X, sparse.csr_array(X), sparse.csr_matrix(X)):
        found = transform.dense(given_X)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, transform(X))


def test_dense_is_in_double_precision():
    X = features().astype(np.float32)
    transform = FeatureTransform(np.full(4, 0.1), np.full(4, 1.0 / 3.0))
    expected = transform(X.astype(np.float64))
    for given_X in (X, sparse.csr_array(X)):
        found = transform.dense(given_X)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, expected)


def test_moments_are_those_of_the_transformed_columns():
    X, transform = features(), FeatureTransform(CENTER, SCALE)
    found = transform.moments(X.mean(axis=0), X.std(axis=0))
    expected = transform(X).mean(axis=0), transform(X).std(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


# Rounding to a grid -------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_rounding_is_to_the_nearest_multiple_of_the_step(values):
    X = np.array(values)[:, None]
    found = FeatureTransform(np.zeros(1), np.ones(1), STEP)(X)
    np.testing.assert_array_equal(found, np.round(X / STEP) * STEP)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rounded_features_do_not_depend_on_the_unit(container):
    """In feet and from another zero they are the same bits; unrounded they are not.

    A value is rounded the other way if it lies within its last digit, 1e-16, of the
    middle of two grid points, which are 1.5e-8 apart: one in a hundred million.
    """
    metres = np.random.default_rng(0).standard_normal((200, 3))
    offset = 0.0 if container is sparse.csr_array else 17.0
    feet = metres / 0.3048 + offset

    def transformed(X, step):
        transform = FeatureTransform(X.mean(axis=0), 1.0 / X.std(axis=0), step)
        found = transform(container(X))
        return found.toarray() if sparse.issparse(found) else found

    np.testing.assert_array_equal(transformed(metres, STEP), transformed(feet, STEP))
    assert (transformed(metres, None) != transformed(feet, None)).any()


def test_the_shift_of_sparse_features_is_on_the_grid():
    shift = FeatureTransform(CENTER / 3.0, SCALE / 7.0, STEP).sparse_shift
    np.testing.assert_array_equal(shift, np.round(shift / STEP) * STEP)
    np.testing.assert_allclose(shift, CENTER / 3.0 * (SCALE / 7.0), atol=STEP / 2.0)


def test_without_rounding_is_the_same_transform_unrounded():
    rounding = FeatureTransform(CENTER / 3.0, SCALE, STEP)
    exact = rounding.without_rounding()
    assert (rounding.rounds, exact.rounds) == (True, False)
    expected = FeatureTransform(CENTER / 3.0, SCALE)(features())
    np.testing.assert_array_equal(exact(features()), expected)


# Short rows ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "p"),
    [(0, 3), (1, 3), (40, 3), (11_000, 3), (20_001, 7), (40, 2000), (40, 1024)],
)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scaled_difference_of_short_and_long_rows(n, p, order, dtype):
    """Several short rows at a time give the same bits as one by one."""
    rng = np.random.default_rng(0)
    X = np.asarray(rng.standard_normal((n, p)), dtype, order)
    mean = rng.standard_normal(p).astype(dtype)
    scale = rng.uniform(0.5, 2.0, p).astype(dtype)
    for array in (np.ascontiguousarray, np.asfortranarray):
        out = array(np.empty((n, p), dtype))
        scaled_difference(X, mean, scale, out=out)
        np.testing.assert_array_equal(out, (X - mean) * scale)


def test_scaled_difference_in_place():
    X = np.random.default_rng(0).standard_normal((11_000, 3))
    mean, scale = np.arange(3.0), np.array([2.0, 0.5, 3.0])
    expected = (X - mean) * scale
    scaled_difference(X, mean, scale, out=X)
    np.testing.assert_array_equal(X, expected)


# Views of sparse features -------------------------------------------------------------


@CONTAINERS
def test_transposed_is_a_view(container):
    X = container(features())
    found = transposed(X)
    np.testing.assert_array_equal(found.toarray(), X.toarray().T)
    assert found.data is X.data
    doubled = transposed(X, 2.0 * X.data)
    np.testing.assert_array_equal(doubled.toarray(), 2.0 * X.toarray().T)


@CONTAINERS
def test_with_values_shares_the_places(container):
    X = container(features())
    found = with_values(X, 2.0 * X.data)
    np.testing.assert_array_equal(found.toarray(), 2.0 * X.toarray())
    assert found.indices is X.indices
    assert found.indptr is X.indptr
