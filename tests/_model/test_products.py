"""Every product against its definition, in every shape, precision and order."""

import numpy as np
import pytest
from scipy import sparse

from sknn_simple._model import products

# Rows, columns and outputs.
SHAPES = [
    (7, 3, 1),
    (7, 3, 2),
    (11, 60, 1),
    (11, 60, 3),
    (900, 120, 10),
    (900, 40, 30),
]
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-4}

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
every_container = pytest.mark.parametrize(
    "container", [np.asarray, sparse.csr_array], ids=["dense", "sparse"]
)


def operands(shape, dtype):
    rng = np.random.default_rng(0)
    n, p, k = shape
    sizes = [(n, p), (p, k), (n, k)]
    return [rng.standard_normal(size).astype(dtype) for size in sizes]


@every_shape
@every_dtype
@every_container
def test_raw_product_is_float64_in_fortran_order(shape, dtype, container):
    X, W, _ = operands(shape, dtype)
    found = products.raw_product(container(X), W)
    assert found.dtype == np.float64
    assert found.flags.f_contiguous
    np.testing.assert_allclose(found, X @ W, atol=TOLERANCE[dtype])


@every_shape
@every_dtype
@every_container
@pytest.mark.parametrize("order", ["C", "F"])
def test_add_product_adds_to_float64(shape, dtype, container, order):
    X, _, delta = operands(shape, dtype)
    total = np.ones((X.shape[1], delta.shape[1]))
    products.add_product(total, container(X), delta.copy(order=order))
    np.testing.assert_allclose(total, 1.0 + X.T @ delta, atol=TOLERANCE[dtype])


@every_shape
@every_dtype
@pytest.mark.parametrize("order", ["C", "F"])
def test_product_back_writes_where_it_is_told(shape, dtype, order):
    X, W, delta = operands(shape, dtype)
    out = np.full_like(X, np.nan)
    found = products.product_back(delta.copy(order=order), W, out=out)
    assert found is out
    np.testing.assert_allclose(found, delta @ W.T, atol=TOLERANCE[dtype])
