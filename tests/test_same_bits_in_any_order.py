"""Small data: a network has the same bits in any order of the rows, and for copies."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from models import (
    ACTIVATIONS,
    CHOOSING,
    NETWORK,
    NETWORK_SOLVERS,
    assert_same_bits,
    ignores_max_iter,
    independent_classes,
    labels,
)
from sknn_simple._data.canonical_order import in_canonical_order
from sknn_simple._data.training_set import TrainingSet

pytestmark = ignores_max_iter
FORMS = {
    "dense": np.asarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": sparse.csr_array,
}


def assert_same_for_copies(model, X, y, form=np.asarray):
    """Whole weights, some 0, and copies of the rows in another order."""
    rng = np.random.default_rng(0)
    times = rng.integers(0, 4, len(y))
    order = rng.permutation(times.sum())
    weighted = clone(model).fit(form(X), y, sample_weight=times)
    copies = np.repeat(X, times, axis=0)[order], np.repeat(y, times, axis=0)[order]
    repeated = clone(model).fit(form(copies[0]), copies[1])
    assert_same_bits(weighted, repeated, form(X))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", NETWORK_SOLVERS)
def test_weights_are_copies_in_any_order(solver, activation):
    X, y = independent_classes(3)
    model = clone(NETWORK).set_params(solver=solver, activation=activation)
    assert_same_for_copies(model.set_params(max_iter=200), X, y)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("standardize", [True, False])
def test_of_every_form(standardize, form):
    X, y = independent_classes(2)
    model = clone(NETWORK).set_params(standardize=standardize)
    assert_same_for_copies(model, X, y, FORMS[form])


def test_of_labels():
    X, y = labels()
    model = clone(NETWORK).set_params(class_weight="balanced")
    assert_same_for_copies(model, X, y)


def test_alpha_from_the_data():
    X, y = independent_classes(3)
    assert_same_for_copies(CHOOSING, X, y)


@pytest.mark.parametrize("n_columns", [1, 5, 40])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_each_row_counts_once(form, n_columns):
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 3, (30, n_columns)).astype(float), 3, axis=0)
    y = rng.integers(0, 3, len(X))
    weight = rng.uniform(0.5, 2.0, len(X))
    data = TrainingSet.from_weighted_rows(form(X), y, weight, np.arange(3))
    found = in_canonical_order(data)
    rows = found.X.toarray() if sparse.issparse(found.X) else found.X
    pairs = np.column_stack([rows, found.y])
    expected = np.unique(np.column_stack([X, y]), axis=0)
    np.testing.assert_array_equal(pairs[np.lexsort(pairs.T[::-1])], expected)
    np.testing.assert_allclose(found.weight.sum(), 1.0, rtol=1e-12)
    for pair, share in zip(pairs, found.weight, strict=True):
        equal = (np.column_stack([X, y]) == pair).all(axis=1)
        np.testing.assert_allclose(share, data.weight[equal].sum(), rtol=1e-12)


def test_large_data_stay_as_they_are():
    X, y = independent_classes(3, n=1001)
    data = TrainingSet.from_weighted_rows(X, y, np.ones(1001), np.arange(3))
    assert in_canonical_order(data) is data
