"""The Gauss-Newton posterior of a hidden layer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer

from models import NETWORK, SKIPPING, each_activation, fit, labels, noisy_classes
from sknn_simple import OneHiddenMLP, Posterior
from sknn_simple._inference.core import infer
from sknn_simple._inference.gaussian import RowGaussian, gauss_newton, output_curvature
from sknn_simple._inference.outputs import HiddenOutputs
from sknn_simple._inference.raw import to_raw
from sknn_simple._input.validation import validate_known_rows

TARGETS = [2, 3, "multilabel"]
each_target = pytest.mark.parametrize("target", TARGETS)
each_network = pytest.mark.parametrize("model", [NETWORK, SKIPPING], ids=str)


def data(target):
    return labels(60, 4, 2) if target == "multilabel" else noisy_classes(target, 60)


def inference(model, X, y):
    """The parts of the posterior of a fitted model, and its outputs."""
    rows, _, _ = validate_known_rows(model, X, y, None)
    spec = model._train_spec(rows)._replace(alpha=model.alpha_)
    parts = infer(spec, rows, model._parameters(), robust=False, groups=None)
    assert isinstance(parts.outputs, HiddenOutputs)
    return parts, parts.outputs


def derivatives(outputs, X, step=1e-6):
    """∂z/∂θ by central differences, (n, K, P)."""
    layout, found = outputs.network.layout, []
    for j in range(outputs.size):
        raw = []
        for sign in (-1.0, 1.0):
            theta = outputs.theta.copy()
            theta[j] += sign * step
            params = layout.views(theta)
            raw.append(outputs.network.forward(params, X, outputs.workspace).copy())
        found.append((raw[1] - raw[0]) / (2.0 * step))
    return np.moveaxis(np.array(found), 0, 2)


@each_activation
@pytest.mark.parametrize("skips", [False, True])
@each_target
def test_jacobian(activation, skips, target):
    X, y = data(target)
    model = OneHiddenMLP(
        3, activation, alpha=1.0, skip_connections=skips, random_state=0
    )
    model = fit(model, X, y)
    _, outputs = inference(model, X, y)
    # relu has no derivative at 0, where a fit puts some rows.
    X = X[np.abs(X @ model.coefs_[0] + model.intercepts_[0]).min(axis=1) > 1e-3]
    (block,) = outputs.blocks(X)
    expected = derivatives(outputs, block.X)
    found = outputs.jacobian(block.X)
    assert_allclose(found, expected, atol=1e-7)
    generator = np.random.RandomState(0)
    root = generator.normal(size=(outputs.size, 5))
    assert_allclose(outputs.times(block.X, root), expected @ root, atol=1e-6)
    delta = generator.normal(size=block.raw.shape)
    by_row = np.einsum("mkp,mk->mp", expected, delta)
    assert_allclose(outputs.row_gradients(block.X, delta), by_row, atol=1e-6)
    gradient = outputs.gradient(block.X, delta)
    assert_allclose(gradient, by_row.sum(axis=0), atol=1e-6)


@each_target
@each_network
def test_covariance_is_that_of_the_formula(model, target):
    X, y = data(target)
    model = fit(model, X, y)
    parts, outputs = inference(model, X, y)
    (block,) = outputs.blocks(X)
    G = outputs.jacobian(block.X)
    curvature = output_curvature(outputs.loss, block.probability, np.ones(len(X)))
    data_part = np.einsum("mkp,mkl,mlq->pq", G, curvature, G, optimize=True)
    # alpha on weights, 1 on biases.
    prior = np.where(parts.penalty > 0.0, parts.penalty, 1.0)
    precision = data_part + np.diag(prior)
    covariance = np.linalg.inv(precision)
    assert_allclose(
        parts.interval_gaussian.apply(np.eye(len(prior))), covariance, atol=1e-9
    )
    assert_allclose(parts.gaussian.n_effective, np.trace(data_part @ covariance))
    determinant = np.linalg.slogdet(precision)[1]
    assert_allclose(parts.gaussian.log_determinant, determinant)
    joint = parts.log_likelihood - 0.5 * parts.penalty @ outputs.theta**2
    evidence = joint + 0.5 * (np.log(prior).sum() - determinant)
    assert_allclose(parts.log_evidence, evidence)


@each_target
@each_network
def test_the_form_by_rows_is_the_same(model, target):
    X, y = data(target)
    parts, outputs = inference(fit(model, X, y), X, y)
    generator = np.random.RandomState(0)
    prior = np.where(parts.penalty > 0.0, parts.penalty, 1.0)
    free = np.arange(outputs.size) != 2
    weight = generator.uniform(0.5, 2.0, len(X))
    by_rows, by_params = (
        gauss_newton(outputs, X, weight, prior, free, by_rows=form)
        for form in (True, False)
    )
    assert_allclose(by_rows.n_effective, by_params.n_effective)
    assert_allclose(by_rows.log_determinant, by_params.log_determinant)
    V = generator.normal(size=(outputs.size, 6))
    assert_allclose(by_rows.apply(V), by_params.apply(V), atol=1e-9)
    assert_allclose(by_rows.variance(V.T), by_params.variance(V.T), atol=1e-9)
    (block,) = outputs.blocks(X)
    expected = by_params.of_outputs(outputs, block.X)
    assert_allclose(by_rows.of_outputs(outputs, block.X), expected, atol=1e-9)
    root = by_rows.root()
    assert_allclose(root @ root.T, by_params.apply(np.eye(outputs.size)), atol=1e-9)


def test_errors_by_rows_if_they_are_fewer_than_parameters():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = np.vstack([X[:10], X[-10:]]), np.r_[y[:10], y[-10:]]
    model = fit(OneHiddenMLP(6, "tanh", alpha=1.0, random_state=0), X, y)
    posterior = Posterior(model, X, y)
    parts, outputs = inference(model, X, y)
    assert isinstance(parts.gaussian, RowGaussian)
    assert_allclose(posterior.std_errors**2, np.diag(posterior.covariance))
    prior = np.where(parts.penalty > 0.0, parts.penalty, 1.0)
    weight = np.ones(len(X))
    by_params = gauss_newton(outputs, X, weight, prior, parts.free, by_rows=False)
    root = to_raw(outputs, by_params.root())
    assert_allclose(posterior.covariance, root @ root.T, rtol=1e-6, atol=1e-12)


@each_network
def test_order_and_names_of_parameters(model):
    X, y = noisy_classes(3)
    posterior = Posterior(fit(model, X, y), X, y)
    fitted = posterior.model
    arrays = [fitted.coefs_[0], fitted.intercepts_[0]]
    arrays += [fitted.coefs_[1], fitted.intercepts_[1]]
    if hasattr(fitted, "skip_coef_"):
        arrays.append(fitted.skip_coef_)
    values = np.concatenate([array.ravel() for array in arrays])
    assert_allclose(posterior.conf_int().mean(axis=1), values)
    assert_allclose(posterior.std_errors**2, np.diag(posterior.covariance))
    names = posterior.parameter_names
    assert names[1] == "coefs_[0][0, 1]"
    assert names[16] == "intercepts_[0][0]"
    assert len(names) == len(values)


def test_weights_at_their_bounds_are_held():
    X, y = noisy_classes()
    model = OneHiddenMLP(
        4, "softplus", alpha=1.0, monotonic_cst=[1, -1, 0, 0], random_state=0
    )
    model = fit(model, X, y)
    held = model.coefs_[0].ravel() == 0.0
    assert held.any()
    posterior = Posterior(model, X, y)
    missing = np.isnan(posterior.std_errors)
    assert np.array_equal(missing[: len(held)], held)
    lower, upper = posterior.predict_interval(X)
    assert np.isfinite(lower + upper).all()
    assert np.isfinite(posterior.marginal_effects()["std_error"]).all()


def test_constant_columns_do_not_count():
    X, y = noisy_classes()
    wide = np.insert(X, 1, 7.0, axis=1)
    model = fit(NETWORK, wide, y)
    posterior = Posterior(model, wide, y)
    assert np.isnan(posterior.std_errors[4:8]).all()
    assert np.isnan(posterior.std_errors).sum() == 4
    assert np.isfinite(posterior.log_evidence)


@each_target
def test_robust_and_clustered(target):
    X, y = data(target)
    model = fit(NETWORK, X, y)
    plain = Posterior(model, X, y)
    robust = Posterior(model, X, y, covariance="robust")
    single = Posterior(model, X, y, groups=np.arange(len(X)))
    # Groups of one row differ from HC1 by the factor m/(m - 1) (n - 1)/n = 1.
    assert_allclose(single.covariance, robust.covariance)
    assert not np.allclose(robust.std_errors, plain.std_errors, rtol=0.01)
    assert_allclose(robust.predict_proba(X), plain.predict_proba(X))
    assert robust.log_evidence == plain.log_evidence
