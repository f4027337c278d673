"""float32 in, float32 out, close to the model of the same numbers in float64."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from models import (
    assert_same_bits,
    classes,
    each_comparable_model,
    each_solver,
    fit,
    ignores_max_iter,
    outputs,
    parameters,
)
from sknn_simple import LogisticNN

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@each_comparable_model
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_of_the_input_is_kept(model, container, n_classes, dtype):
    X, y = classes(n_classes)
    X = container(X.astype(dtype))
    fitted = fit(model, X, y, sample_weight=np.ones(len(y)))
    for name, output in outputs(fitted, X).items():
        if name != "predict":
            assert output.dtype == dtype, name
    for array in parameters(fitted):
        assert array.dtype == dtype


@each_comparable_model
@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.uint8, bool])
def test_other_numbers_become_float64(model, dtype):
    X, y = classes(2)
    X = (5 * X + 100).astype(dtype) if dtype is not bool else X > 0.0
    fitted, expected = fit(model, X, y), fit(model, X.astype(float), y)
    assert_same_bits(fitted, expected)
    assert fitted.predict_proba(X).dtype == np.float64


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_single_precision_frames_stay_single(kind):
    module = pytest.importorskip(kind)
    X, y = classes(2)
    X = X.astype(np.float32)
    frame = module.DataFrame({f"x{j}": X[:, j] for j in range(X.shape[1])})
    assert LogisticNN().fit(frame, y).predict_proba(frame).dtype == np.float32


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_single_precision_is_close_to_double(load):
    X, y = load(return_X_y=True)
    double = LogisticNN(1.0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        single = LogisticNN(1.0).fit(X.astype(np.float32), y)
    assert_allclose(
        single.predict_proba(X.astype(np.float32)), double.predict_proba(X), atol=1e-3
    )


@each_solver
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_single_precision_converges_without_a_warning(load, solver):
    X, y = load(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticNN(1.0, solver=solver).fit(X.astype(np.float32), y)
    assert model.converged_


# The fit of float32 data is that of the same values in float64 ------------------------

CONTAINERS = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])


def noisy(n=400, p=4):
    """Return columns with few digits, so that float32 holds their sums, and a score."""
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(n, p)) * 1024.0) / 1024.0
    return X, X[:, 0] + rng.logistic(size=n)


def far_columns():
    X, raw = noisy()
    return X + 100.0, np.digitize(raw, [-1.0, 1.0])


def all_categories():
    """A column for each category: together they are the intercept."""
    X, raw = noisy()
    category = np.digitize(X[:, 0], [-1.0, -0.3, 0.3, 1.0])
    return np.eye(5)[category], (raw > 0.0).astype(int)


def dependent_columns():
    X, raw = noisy()
    table = np.column_stack([X + 10.0, X[:, 0] + X[:, 1], all_categories()[0]])
    return table, np.column_stack([raw > 0.0, raw > 1.0]).astype(int)


def one_huge_value():
    X, raw = noisy()
    X[0, 0] = 99_999.0
    return X, (raw > 0.0).astype(int)


TABLES = {
    "three classes": far_columns,
    "categories": all_categories,
    "labels": dependent_columns,
    "huge value": one_huge_value,
}


def objective(model, X, y):
    """J of the fitted parameters."""
    log_probability = model.predict_log_proba(X).astype(float)
    if y.ndim == 2:
        raw = model.decision_function(X).astype(float)
        loss = np.logaddexp(0.0, (1 - 2 * y) * raw).sum()
    else:
        loss = -log_probability[np.arange(len(y)), y].sum()
    squares = ((model.coef_.astype(float) * model.scale_) ** 2).sum()
    return (loss + 0.5 * model.alpha_ * squares) / len(y)


def assert_fit_of_float64(model, X, y):
    """Fit values of float32 in both precisions, and compare J and the model."""
    X = X.astype(np.float32)
    double = clone(model).fit(X.astype(np.float64), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        single = model.fit(X, y)
    assert single.converged_
    assert single.alpha_ == double.alpha_
    assert_allclose(single.loss_, double.loss_, rtol=1e-7)
    assert_allclose(objective(single, X, y), single.loss_, rtol=1e-6)
    for one, two in zip(parameters(single), parameters(double), strict=True):
        assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(two).max())


@CONTAINERS
@each_solver
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 1e-3, "auto"])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_float32_has_the_fit_of_float64(table, alpha, solver, container):
    X, y = table()
    assert_fit_of_float64(LogisticNN(alpha, solver=solver), container(X), y)


@CONTAINERS
def test_large_float32_has_the_fit_of_float64_without_a_copy(container):
    """Each evaluation converts a block of rows at a time."""
    X, raw = noisy(220_000, 20)
    X, y = container((X + 5.0).astype(np.float32)), (raw > 0.0).astype(int)
    model = LogisticNN(alpha=1e-3)
    tracemalloc.start()
    model.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * X.size  # a copy would have 8 bytes per value
    assert_fit_of_float64(model, X, y)
