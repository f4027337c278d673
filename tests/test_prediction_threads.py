"""Predictions have the same bits on any number of threads."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from models import classes, each_activation, ignores_max_iter, outputs
from sknn_simple import LogisticNN, OneHiddenMLP

SHAPES = [(3000, 10, 2), (500, 400, 4), (6000, 60, 12)]
FORMS = {
    "dense": np.asarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": sparse.csr_array,
}


def assert_same_bits_on_any_number_of_threads(model, X):
    results = []
    for n_threads in (1, 2, 5):
        with threadpool_limits(n_threads):
            results.append(outputs(model, X))
    for result in results[1:]:
        for name, expected in results[0].items():
            assert_array_equal(result[name], expected, err_msg=name)


@ignores_max_iter
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_predictions_do_not_depend_on_threads(shape, form):
    n, p, n_classes = shape
    X, y = classes(n_classes, n, p, n_informative=8)
    data = FORMS[form](X)
    for model in (LogisticNN(1.0), OneHiddenMLP(50, alpha=1.0, random_state=0)):
        fitted = clone(model).set_params(max_iter=5).fit(data[:300], y[:300])
        assert_same_bits_on_any_number_of_threads(fitted, data)


@ignores_max_iter
@each_activation
def test_hidden_units_do_not_depend_on_threads(activation):
    X, y = classes(3, 20_000)
    model = OneHiddenMLP(40, activation, alpha=1.0, max_iter=3, random_state=0)
    assert_same_bits_on_any_number_of_threads(model.fit(X[:300], y[:300]), X)


@pytest.mark.parametrize(
    "model", [LogisticNN(1.0), OneHiddenMLP(9, alpha=1.0)], ids=str
)
def test_batches_agree_to_rounding(model):
    """BLAS adds the products of a row in an order that depends on the batch."""
    X, y = classes(3, 1000)
    model.fit(X, y)
    whole = model.predict_proba(X)
    for size in (1, 7, 64, 333):
        parts = [model.predict_proba(X[i : i + size]) for i in range(0, 1000, size)]
        np.testing.assert_allclose(np.vstack(parts), whole, rtol=1e-12, atol=1e-15)
