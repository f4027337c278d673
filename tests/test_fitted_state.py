"""The fitted attributes decide what a model predicts: no parameter, and no history."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from models import (
    LINEAR,
    NETWORK,
    SKIPPING,
    each_class,
    each_solver,
    ignores_max_iter,
    outputs,
)
from sknn_simple import HiddenUnitsDisplay, LogisticNN, NetworkDisplay, OneHiddenMLP
from sknn_simple._model.activations import ACTIVATIONS

X, Y = load_iris(return_X_y=True)
# Another valid value of each parameter.
OTHERS = {
    "activation": "gelu",
    "alpha": 100.0,
    "class_weight": "balanced",
    "cv": 2,
    "early_stopping": True,
    "fit_intercept": False,
    "hidden_layer_size": 7,
    "max_iter": 1,
    "monotonic_cst": [1, 1, 1, 1],
    "n_init": 3,
    "n_iter_no_change": 1,
    "n_jobs": 2,
    "random_state": 5,
    "skip_connections": True,
    "solver": "newton-cg",
    "standardize": False,
    "tol": 1.0,
    "validation_fraction": 0.5,
    "verbose": 1,
    "warm_start": True,
}
CASES = [
    (model, name, value)
    for model in (LINEAR, NETWORK)
    for name in model.get_params()
    for value in (OTHERS[name], "nonsense")
]


def assert_same_outputs(model, expected):
    for name, values in outputs(model, X).items():
        assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("model", "name", "value"), CASES, ids=lambda each: str(each).split("(")[0]
)
def test_no_parameter_changes_a_fitted_model(model, name, value):
    model = clone(model).fit(X, Y)
    expected = outputs(model, X)
    model.set_params(**{name: value})
    assert_same_outputs(model, expected)
    assert_same_outputs(pickle.loads(pickle.dumps(model)), expected)


def test_no_parameter_changes_the_displays():
    pytest.importorskip("matplotlib")
    model = clone(NETWORK).fit(X, Y)

    def drawn():
        network = NetworkDisplay.from_estimator(model, X)
        units = HiddenUnitsDisplay.from_estimator(model, X)
        return network.layer_names, network.weights[0].tolist(), units.weights.tolist()

    expected = drawn()
    model.set_params(**{name: OTHERS[name] for name in model.get_params()})
    assert drawn() == expected


def test_a_model_of_an_earlier_version_keeps_its_activation():
    model = clone(NETWORK).fit(X, Y)
    expected = outputs(model, X)
    state = model.__getstate__()
    del state["activation_"]
    other = OneHiddenMLP()
    other.__setstate__(state)
    other.set_params(activation="relu")
    assert_same_outputs(other, expected)


# Attributes that were set by hand -----------------------------------------------------


def by_hand(model, **attributes):
    """An estimator with the attributes that predictions need, and no others."""
    other = clone(model)
    for name in (*model._model_attributes, "skip_coef_"):
        if hasattr(model, name):
            setattr(other, name, attributes.get(name, getattr(model, name)))
    return other


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", [LINEAR, NETWORK, SKIPPING], ids=str)
def test_attributes_set_by_hand_predict(model, n_classes):
    kept = n_classes > Y
    model = clone(model).fit(X[kept], Y[kept])
    other = by_hand(model)
    assert_same_outputs(other, outputs(model, X))
    lists = {name: getattr(model, name) for name in model._model_attributes}
    lists = {
        name: [np.asarray(part).tolist() for part in value]
        for name, value in lists.items()
    }
    assert_same_outputs(by_hand(model, **lists), outputs(model, X))


def test_weights_of_another_program_predict():
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((3, 4)), rng.standard_normal(3)
    model = LogisticNN()
    model.classes_, model.coef_, model.intercept_ = np.array(["a", "b", "c"]), W, b
    np.testing.assert_allclose(model.predict_proba(X), softmax(X @ W.T + b, axis=1))
    model.classes_, model.coef_, model.intercept_ = np.array([3, 5]), W[:1], b[:1]
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expit(X @ W[0] + b[0]))


@each_class
def test_incomplete_attributes_are_no_fitted_model(model):
    fitted = clone(model).fit(X, Y)
    for name in fitted._model_attributes:
        other = by_hand(fitted)
        delattr(other, name)
        with pytest.raises(NotFittedError):
            other.predict(X)
        other.set_params(warm_start=True)
        with pytest.raises(ValueError, match=f"{name} is missing"):
            other.fit(X, Y)


@each_class
def test_attributes_that_do_not_fit_together_are_named(model):
    fitted = clone(model).fit(X, Y)
    other = by_hand(fitted, classes_=np.arange(4))
    with pytest.raises(ValueError, match=r"(coef_|coefs_\[1\]).* has shape"):
        other.predict(X)
    other = by_hand(fitted)
    with pytest.raises(ValueError, match="X with 3 columns"):
        other.predict(X[:, :3])
    biases = other.intercept_ if isinstance(model, LogisticNN) else other.intercepts_[0]
    biases[0] = np.inf
    with pytest.raises(ValueError, match=r"intercept.* values that are not finite"):
        other.predict(X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_hidden_layer_set_by_hand_uses_the_parameter_activation(activation):
    model = clone(NETWORK).set_params(activation=activation).fit(X, Y)
    assert_same_outputs(by_hand(model), outputs(model, X))
    model = by_hand(model).set_params(activation="rellu")
    with pytest.raises(ValueError, match="activation='rellu'"):
        model.predict(X)


# Warm starts --------------------------------------------------------------------------


@ignores_max_iter
@each_class
def test_a_warm_start_continues_from_attributes_set_by_hand(model):
    fitted = clone(model).fit(X, Y)
    again = by_hand(fitted).set_params(
        warm_start=True, alpha=fitted.alpha_, max_iter=1, solver="lbfgs"
    )
    again.fit(X, Y)
    assert again.loss_curve_[0] == pytest.approx(fitted.loss_, rel=1e-6)


@ignores_max_iter
def test_a_warm_start_within_new_bounds_begins_at_the_nearest_point():
    y = (Y > 0).astype(int)
    model = LogisticNN(alpha=1.0, warm_start=True).fit(X, y)
    signs = -np.sign(model.coef_[0]).astype(int)
    model.set_params(monotonic_cst=signs, max_iter=1).fit(X, y)
    rows = len(X)
    base = model.loss_curve_[0]
    # All weights are 0 there: only the bias is left.
    assert base <= np.log(2) * 3 + 1 / rows
    assert (model.coef_ * signs >= 0.0).all()


@each_class
def test_a_warm_start_refuses_weights_that_are_not_finite(model):
    model = clone(model).fit(X, Y).set_params(warm_start=True)
    bias = model.intercept_ if hasattr(model, "intercept_") else model.intercepts_[0]
    bias[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        model.fit(X, Y)


# Evaluation and storage ---------------------------------------------------------------


@ignores_max_iter
@pytest.mark.parametrize("alpha", ["auto", 1.0])
@each_class
def test_no_iteration_only_evaluates(model, alpha):
    model = clone(model).set_params(alpha=alpha, warm_start=True).fit(X, Y)
    expected, loss = outputs(model, X), model.loss_
    model.set_params(max_iter=0).fit(X, Y)
    assert model.n_iter_ == 0
    assert model.loss_ == pytest.approx(loss, rel=1e-6)
    for name, values in outputs(model, X).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-9, atol=1e-9)
    # Other rows, other labels, a constant column, fewer rows than columns.
    constant = X.copy()
    constant[:, 0] = 1.0
    some = [0, 60, 120]
    for rows, labels in ((X, Y[::-1]), (constant, Y), (X[some], Y[some])):
        model.fit(rows, labels)
        for name, values in outputs(model, X).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-9, atol=1e-9)


@each_solver
def test_sparse_weights_predict_as_dense_ones(solver):
    y = (Y > 0).astype(int)
    signs = [1, 1, -1, -1]  # some weights are held at 0
    model = LogisticNN(1.0, monotonic_cst=signs).fit(X, y)
    expected = outputs(model, X)
    assert sparse.issparse(model.sparsify().coef_)
    assert_same_outputs(model, expected)
    assert_same_outputs(pickle.loads(pickle.dumps(model)), expected)
    dense = model.densify().coef_
    assert isinstance(dense, np.ndarray)
    assert_same_outputs(model, expected)
    again = LogisticNN(1.0, solver=solver, warm_start=True).fit(X, y).sparsify()
    assert again.fit(X, y).n_iter_ == 0
    for method in ("sparsify", "densify"):
        with pytest.raises(NotFittedError):
            getattr(LogisticNN(), method)()
