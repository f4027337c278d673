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
