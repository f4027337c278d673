"""float32 in, float32 out, close to the model of the same numbers in float64."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
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
