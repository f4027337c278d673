"""Sparse input of every format gives the model of the same dense array."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from models import (
    classes,
    each_comparable_model,
    each_solver,
    fit,
    ignores_max_iter,
    outputs,
)
from sknn_simple import LogisticNN

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


def with_64_bit_indices(X):
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def unsorted(X):
    """CSR whose column numbers run backwards in each row."""
    X = sparse.csr_array(X)
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """CSR that stores every entry as two halves."""
    X = sparse.coo_array(X)
    both = (np.tile(X.data / 2, 2), (np.tile(X.row, 2), np.tile(X.col, 2)))
    order = np.argsort(both[1][0], kind="stable")
    indptr = np.r_[0, np.cumsum(np.bincount(both[1][0], minlength=X.shape[0]))]
    return sparse.csr_array((both[0][order], both[1][1][order], indptr), X.shape)


SPARSE = {
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "csc_matrix": sparse.csc_matrix,
    "coo_array": sparse.coo_array,
    "coo_matrix": sparse.coo_matrix,
    "lil_array": sparse.lil_array,
    "dok_matrix": sparse.dok_matrix,
    "bsr_array": sparse.bsr_array,
    "64-bit indices": with_64_bit_indices,
    "unsorted": unsorted,
    "duplicates": with_duplicates,
}


def sparse_data(n_classes=3):
    X, y = classes(n_classes, 200, 8)
    X[np.random.default_rng(0).random(X.shape) < 0.6] = 0.0
    X[:, 0] = 0.0
    X[:, 1] = 2.0
    return X, y


@each_comparable_model
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_is_dense(model, name):
    X, y = sparse_data()
    S = SPARSE[name](X)
    dense, other = fit(model, X, y), fit(model, S, y)
    assert_allclose(other.loss_, dense.loss_, rtol=1e-9)
    for method, expected in outputs(dense, X).items():
        assert_allclose(outputs(other, S)[method], expected, atol=1e-6, err_msg=method)
        assert_allclose(outputs(other, X)[method], expected, atol=1e-6, err_msg=method)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("standardize", [True, False])
@each_solver
def test_sparse_is_dense_for_every_solver(solver, standardize, n_classes):
    X, y = sparse_data(n_classes)
    model = LogisticNN(solver=solver, standardize=standardize, tol=1e-7)
    dense, other = fit(model, X, y), fit(model, sparse.csr_array(X), y)
    assert_allclose(other.loss_, dense.loss_, rtol=1e-10)
    assert_allclose(other.predict_proba(X), dense.predict_proba(X), atol=1e-5)


@each_comparable_model
def test_sparse_input_is_left_alone(model):
    X, y = sparse_data()
    S = unsorted(X)
    before = copy.deepcopy(S)
    fit(model, S, y).predict(S)
    assert_array_equal(S.data, before.data)
    assert_array_equal(S.indices, before.indices)
