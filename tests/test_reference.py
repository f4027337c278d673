"""Equal to scikit-learn: the optimum of LogisticRegression, the J of MLPClassifier."""

import warnings
from functools import cache

import numpy as np
import pytest
import sklearn.datasets
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit, log_softmax
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from models import ACTIVATIONS, SOLVERS, column_units
from sknn_simple import LogisticNN, OneHiddenMLP


@cache
def bundled(name):
    """A bundled data set, raw; "binary wine" is its first class against the others."""
    *binary, name = name.split()
    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return X, (y == 0).astype(int) if binary else y


def log_probabilities(raw):
    raw = np.asarray(raw)
    if raw.ndim == 1:
        return np.column_stack([log_expit(-raw), log_expit(raw)])
    return log_softmax(raw, axis=1)


def objective(raw, y, weights, alpha, sample_weight=None):
    """J in three lines: weighted mean of the log-loss, and the penalty over S."""
    s = np.ones(len(y)) if sample_weight is None else sample_weight
    log_loss = -log_probabilities(raw)[np.arange(len(y)), y]
    return (s @ log_loss + alpha / 2 * sum((w**2).sum() for w in weights)) / s.sum()


def reference(X, y, C, *, sample_weight=None, fit_intercept=True):
    """LogisticRegression at its optimum: Newton's method down to rounding."""
    peer = LogisticRegression(
        C=C,
        solver="newton-cholesky",
        tol=1e-12,
        max_iter=200,
        fit_intercept=fit_intercept,
    )
    with warnings.catch_warnings():
        # At this tolerance its line search ends on rounding, and raw columns make its
        # Hessian ill-conditioned; `assert_optimal` is what the tests rely on.
        warnings.simplefilter("ignore")
        return peer.fit(X, y, sample_weight=sample_weight)


def gradient_of_logits(model, X, y, sample_weight=None):
    """∂/∂(W, b) of J's loss, one row per output, for columns of unit deviation."""
    s = np.ones(len(y)) if sample_weight is None else sample_weight
    p = model.predict_proba(X)
    delta = p - np.eye(p.shape[1])[y]
    if model.coef_.shape[0] == 1:
        delta = delta[:, 1:]
    return (s[:, None] * delta).T @ X / s.sum(), delta.T @ s / s.sum()


def distance_from_optimum(model, X, y, alpha, sample_weight=None):
    """The gradient of J, in units of each column's deviation: 0 at the optimum."""
    S = len(y) if sample_weight is None else sample_weight.sum()
    coef, intercept = gradient_of_logits(model, X, y, sample_weight)
    coef = coef + alpha / S * model.coef_
    center = X.mean(axis=0) if np.any(model.intercept_) else 0.0
    deviation = np.where(X.std(axis=0) > 0.0, X.std(axis=0), 1.0)
    coef = (coef - intercept[:, None] * center) / deviation
    return np.abs(coef).max()


# LogisticRegression -------------------------------------------------------------------

DATA = ["breast_cancer", "binary wine", "iris", "wine"]
CS = [1e-2, 1.0, 1e2, 1e4]


@pytest.mark.parametrize("C", CS)
@pytest.mark.parametrize("name", DATA)
def test_optimum_is_that_of_logistic_regression(name, C):
    X, y = bundled(name)
    model = LogisticNN(alpha=1 / C, standardize=False, tol=1e-9).fit(X, y)
    peer = reference(X, y, C)
    assert distance_from_optimum(peer, X, y, 1 / C) < 1e-7
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-5)
    J = objective(peer.decision_function(X), y, [peer.coef_], 1 / C)
    # Training rounds features to 1.5e-8 of their deviation.
    assert_allclose(model.loss_, J, rtol=1e-8)


@pytest.mark.parametrize("C", [1e-2, 1.0])
def test_optimum_is_that_of_logistic_regression_on_digits(C):
    X, y = bundled("digits")
    model = LogisticNN(alpha=1 / C, standardize=False, tol=1e-8).fit(X, y)
    peer = reference(X, y, C)
    assert distance_from_optimum(peer, X, y, 1 / C) < 1e-7
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-5)
    assert_allclose(model.coef_, peer.coef_, rtol=0, atol=1e-5)


@pytest.mark.parametrize("C", CS)
@pytest.mark.parametrize("name", DATA)
def test_optimum_with_the_default_tolerance(name, C):
    X, y = bundled(name)
    model = LogisticNN(alpha=1 / C, standardize=False).fit(X, y)
    peer = reference(X, y, C)
    J = objective(peer.decision_function(X), y, [peer.coef_], 1 / C)
    assert_allclose(model.loss_, J, rtol=1e-6)
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-2)


@pytest.mark.parametrize("C", [1e-2, 1.0, 1e4])
@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
def test_optimum_with_weights(name, C):
    X, y = bundled(name)
    s = np.random.default_rng(0).exponential(size=len(y))
    model = LogisticNN(alpha=1 / C, standardize=False, tol=1e-9)
    model.fit(X, y, sample_weight=s)
    peer = reference(X, y, C, sample_weight=s)
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-5)
    J = objective(peer.decision_function(X), y, [peer.coef_], 1 / C, s)
    # Training rounds features to 1.5e-8 of their deviation.
    assert_allclose(model.loss_, J, rtol=1e-8)


@pytest.mark.parametrize("C", [1e-2, 1.0, 1e4])
@pytest.mark.parametrize("name", DATA)
def test_optimum_without_intercept(name, C):
    X, y = bundled(name)
    model = LogisticNN(alpha=1 / C, standardize=False, fit_intercept=False, tol=1e-9)
    model.fit(X, y)
    peer = reference(X, y, C, fit_intercept=False)
    assert distance_from_optimum(peer, X, y, 1 / C) < 1e-7
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-5)
    assert not model.intercept_.any()


@pytest.mark.parametrize("name", DATA)
def test_standardize_is_logistic_regression_on_scaled_columns(name):
    X, y = bundled(name)
    model = LogisticNN(tol=1e-9, alpha=1.0).fit(X, y)
    Z = scale(X)
    peer = reference(Z, y, 1.0)
    assert_allclose(model.predict_proba(X), peer.predict_proba(Z), rtol=0, atol=1e-6)
    assert_allclose(model.coef_ * X.std(axis=0), peer.coef_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
def test_class_weight_is_that_of_logistic_regression(name):
    X, y = bundled(name)
    X, y = X[20:], y[20:]
    model = LogisticNN(
        standardize=False, class_weight="balanced", tol=1e-9, alpha=1.0
    ).fit(X, y)
    s = (len(y) / (len(set(y)) * np.bincount(y)))[y]
    peer = reference(X, y, 1.0, sample_weight=s)
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-5)


@cache
def optimum(name):
    """J at the optimum of the default LogisticNN, found by LogisticRegression."""
    X, y = bundled(name)
    unit = column_units(X)
    Z = (X - X.mean(axis=0)) / np.where(unit > 0.0, unit, 1.0)
    peer = reference(Z, y, 1.0)
    assert distance_from_optimum(peer, Z, y, 1.0) < 1e-9
    return objective(peer.decision_function(Z), y, [peer.coef_], 1.0)


@pytest.mark.parametrize(
    "solver",
    ["auto", *SOLVERS],
)
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_default_fit_on_raw_data_ends_at_the_optimum(name, solver):
    # Warnings are errors here: it converges, and says nothing.
    X, y = bundled(name)
    model = LogisticNN(solver=solver, alpha=1.0).fit(X, y)
    assert model.converged_
    assert model.grad_norm_ <= model.tol
    assert_allclose(model.loss_, optimum(name), rtol=1e-6)
    assert model.loss_ >= optimum(name) * (1 - 1e-12)


# MLPClassifier ------------------------------------------------------------------------

FORMULAS = {
    "identity": lambda z: z,
    "logistic": expit,
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "softplus": lambda z: np.logaddexp(0.0, z),
    "silu": lambda z: z * expit(z),
    "gelu": lambda z: z * norm.cdf(z),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_is_the_formula(activation, name, skip, weighted):
    X, y = bundled(name)
    s = np.random.default_rng(0).exponential(size=len(y)) if weighted else None
    model = OneHiddenMLP(
        7, activation, alpha=0.3, skip_connections=skip, standardize=False, tol=1e-2
    )
    model.set_params(random_state=0).fit(X, y, sample_weight=s)
    A = FORMULAS[activation](X @ model.coefs_[0] + model.intercepts_[0])
    raw = A @ model.coefs_[1] + model.intercepts_[1]
    weights = list(model.coefs_)
    if skip:
        raw += X @ model.skip_coef_
        weights.append(model.skip_coef_)
    raw = raw[:, 0] if raw.shape[1] == 1 else raw
    assert_allclose(model.loss_, objective(raw, y, weights, 0.3, s), rtol=1e-9)
    assert_allclose(model.transform(X), A, rtol=1e-7, atol=1e-9)
    assert_allclose(model.decision_function(X), raw, rtol=1e-6, atol=1e-6)
    assert_allclose(model.predict_log_proba(X), log_probabilities(raw), atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_standardized_penalty_is_on_weights_of_scaled_columns(activation):
    X, y = bundled("wine")
    model = OneHiddenMLP(5, activation, alpha=0.3, skip_connections=True)
    model.set_params(random_state=0).fit(X, y)
    unit = column_units(X)[:, None]
    weights = [unit * model.coefs_[0], model.coefs_[1], unit * model.skip_coef_]
    J = objective(model.decision_function(X), y, weights, 0.3)
    # Training rounds features to 1.5e-8 of their deviation.
    assert_allclose(model.loss_, J, rtol=1e-8)


def with_weights_of(peer, X, y, **params):
    """OneHiddenMLP that starts from the weights of an MLPClassifier."""
    model = OneHiddenMLP(
        peer.hidden_layer_sizes[0],
        peer.activation,
        alpha=peer.alpha,
        standardize=False,
        warm_start=True,
        max_iter=1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
        for name in ("coefs_", "intercepts_"):
            setattr(model, name, [array.copy() for array in getattr(peer, name)])
        return model


@pytest.mark.parametrize("target", ["breast_cancer", "iris", "multilabel"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_loss_is_that_of_mlp_classifier_for_the_same_weights(activation, target):
    X, y = bundled("iris" if target == "multilabel" else target)
    X = scale(X)
    if target == "multilabel":
        y = np.column_stack([y > 0, X[:, 1] > 0.3, X[:, 2] > 0]).astype(int)
    peer = MLPClassifier((6,), activation, alpha=0.7, solver="lbfgs", max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.set_params(random_state=0).fit(X, y)
        model = with_weights_of(peer, X, y)
        assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-12)
        assert [a.shape for a in model.coefs_] == [a.shape for a in peer.coefs_]
        assert model.out_activation_ == peer.out_activation_
        assert model.n_layers_ == peer.n_layers_
        assert model.n_outputs_ == peer.n_outputs_
        model.fit(X, y)
    assert_allclose(model.loss_curve_[0], peer.loss_, rtol=1e-9)
    assert model.loss_ < peer.loss_


# Real data, no scaler -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_five_units_learn_raw_breast_cancer_from_any_seed(seed):
    # MLPClassifier's lbfgs predicts the majority class from about half of the seeds.
    X, y = bundled("breast_cancer")
    assert (
        cross_val_score(OneHiddenMLP(5, random_state=seed, alpha=1.0), X, y).mean()
        > 0.95
    )


def test_a_hundred_units_learn_raw_breast_cancer():
    X, y = bundled("breast_cancer")
    assert cross_val_score(OneHiddenMLP(random_state=0, alpha=1.0), X, y).mean() > 0.95
