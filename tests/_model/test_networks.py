"""The networks on one block of rows: formulas, adjoints and tangents."""

import numpy as np
import pytest
from scipy import sparse

from formulas import raw_outputs
from sknn_simple._data.row_blocks import Workspace
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork

N_ROWS, N_FEATURES, N_HIDDEN, N_OUTPUTS = 9, 3, 4, 2
CONTAINERS = {"dense": np.asarray, "sparse": sparse.csr_array}


def linear(fit_intercept):
    return LinearNetwork(N_FEATURES, N_OUTPUTS, fit_intercept)


def one_hidden(activation, skip):
    return OneHiddenNetwork(
        N_FEATURES, N_HIDDEN, N_OUTPUTS, ACTIVATIONS[activation], skip
    )


LINEAR = {
    "linear": linear(fit_intercept=True),
    "linear without intercept": linear(fit_intercept=False),
}
HIDDEN = {
    f"{name}{' with skip connections' * skip}": one_hidden(name, skip)
    for name in ACTIVATIONS
    for skip in (False, True)
}
NETWORKS = LINEAR | HIDDEN

every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
every_hidden = pytest.mark.parametrize("network", HIDDEN.values(), ids=HIDDEN)
every_container = pytest.mark.parametrize(
    "container", CONTAINERS.values(), ids=CONTAINERS
)


def features(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N_ROWS, N_FEATURES)) * rng.integers(
        0, 2, (N_ROWS, N_FEATURES)
    )


def vector(network, seed=0):
    return np.random.default_rng(seed).standard_normal(network.layout.size)


def deltas(seed=0):
    return np.random.default_rng(seed).standard_normal((N_ROWS, N_OUTPUTS))


def forward(network, theta, X):
    return network.forward(network.layout.views(theta), X, Workspace())


def backward(network, theta, X, delta):
    """∂(Σ delta ∘ Z)/∂θ."""
    total, params = np.zeros(network.layout.size), network.layout.views(theta)
    _, kept = network.forward_keeping(params, X, Workspace())
    network.backward(params, X, delta.copy(), kept, network.layout.views(total))
    return total


def tangent(network, theta, v, X):
    """R{Z}."""
    if network.is_linear:
        return forward(network, v, X)
    params, direction = network.layout.views(theta), network.layout.views(v)
    return network.tangent(params, direction, X, Workspace())[1]


@every_network
@every_container
def test_forward_is_the_formula(network, container):
    theta, X = vector(network), features()
    found = forward(network, theta, container(X))
    assert found.shape == (N_ROWS, N_OUTPUTS)
    np.testing.assert_allclose(found, raw_outputs(network, theta, X), atol=1e-13)


@every_network
@every_container
def test_both_forward_passes_have_the_same_bits(network, container):
    """Training and prediction compute the same function."""
    params, X = network.layout.views(vector(network)), container(features())
    raw, _ = network.forward_keeping(params, X, Workspace())
    np.testing.assert_array_equal(raw, network.forward(params, X, Workspace()))


@every_hidden
@every_container
def test_hidden_is_the_formula(network, container):
    params, X = network.layout.views(vector(network)), features()
    expected = X @ params["hidden_coef"] + params["hidden_intercept"]
    network.activation.value(expected)
    found = network.hidden(params, container(X), Workspace())
    np.testing.assert_allclose(found, expected, atol=1e-14)


@every_network
@every_container
def test_backward_is_the_derivative_of_forward(network, container):
    theta, X, delta, step = vector(network), container(features()), deltas(), 1e-6

    def weighted(theta):
        return float((delta * forward(network, theta, X)).sum())

    expected = [
        (weighted(theta + step * unit) - weighted(theta - step * unit)) / (2.0 * step)
        for unit in np.eye(theta.size)
    ]
    found = backward(network, theta, X, delta)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


@every_network
@every_container
def test_backward_adds_to_the_total(network, container):
    theta, X, delta = vector(network), container(features()), deltas()
    params = network.layout.views(theta)
    total = np.ones(network.layout.size)
    for _ in range(2):
        _, kept = network.forward_keeping(params, X, Workspace())
        network.backward(params, X, delta.copy(), kept, network.layout.views(total))
    np.testing.assert_allclose(
        total, 1.0 + 2.0 * backward(network, theta, X, delta), atol=1e-12
    )


@every_hidden
@every_container
def test_tangent_is_the_derivative_of_forward(network, container):
    theta, v, X, step = vector(network), vector(network, 1), features(), 1e-6
    X = container(X)
    raw, tangent, _ = network.tangent(
        network.layout.views(theta), network.layout.views(v), X, Workspace()
    )
    np.testing.assert_allclose(raw, forward(network, theta, X), atol=1e-13)
    change = forward(network, theta + step * v, X) - forward(
        network, theta - step * v, X
    )
    np.testing.assert_allclose(tangent, change / (2.0 * step), rtol=1e-7, atol=1e-8)


@every_network
@every_container
def test_backward_is_the_adjoint_of_tangent(network, container):
    """⟨delta, R{Z}⟩ = ⟨backward(delta), v⟩ to the last digits, without a step."""
    theta, v, delta = vector(network), vector(network, 1), deltas()
    X = container(features())
    expected = float((delta * tangent(network, theta, v, X)).sum())
    assert backward(network, theta, X, delta) @ v == pytest.approx(expected, rel=1e-12)


@every_hidden
@every_container
def test_tangent_backward_is_the_derivative_of_backward(network, container):
    theta, v, X, step = vector(network), vector(network, 1), features(), 1e-6
    X, delta, tangent_delta = container(X), deltas(), deltas(1)
    params, direction = network.layout.views(theta), network.layout.views(v)
    total = np.ones(network.layout.size)
    _, _, kept = network.tangent(params, direction, X, Workspace())
    network.tangent_backward(
        params,
        direction,
        X,
        delta.copy(),
        tangent_delta.copy(),
        kept,
        network.layout.views(total),
    )
    ahead = backward(network, theta + step * v, X, delta + step * tangent_delta)
    behind = backward(network, theta - step * v, X, delta - step * tangent_delta)
    np.testing.assert_allclose(
        total - 1.0, (ahead - behind) / (2.0 * step), rtol=1e-7, atol=1e-7
    )


@every_network
@every_container
def test_single_precision_features_are_multiplied_in_single_precision(
    network, container
):
    """Only raw outputs and sums over rows are float64."""
    theta = vector(network).astype(np.float32)
    X, delta = features().astype(np.float32), deltas()
    params = network.layout.views(theta)
    raw, kept = network.forward_keeping(params, container(X), Workspace())
    assert raw.dtype == np.float64
    assert {array.dtype for array in kept} <= {np.dtype(np.float32), np.dtype(bool)}
    exact, features64 = theta.astype(float), X.astype(float)
    expected = forward(network, exact, features64)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-5)
    total = np.zeros(network.layout.size)
    network.backward(params, container(X), delta, kept, network.layout.views(total))
    expected = backward(network, exact, features64, deltas())
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-5)


@every_network
@every_container
def test_parameters_and_features_do_not_change(network, container):
    theta, v, dense = vector(network), vector(network, 1), features()
    X = container(dense)
    backward(network, theta, X, deltas())
    tangent(network, theta, v, X)
    np.testing.assert_array_equal(theta, vector(network))
    np.testing.assert_array_equal(v, vector(network, 1))
    np.testing.assert_array_equal(X.toarray() if sparse.issparse(X) else X, features())


@every_network
def test_input_weights_name_arrays_that_act_on_the_features(network):
    shapes = network.layout.shapes
    named = {weights for weights, _ in network.input_weights}
    acting = {name for name, shape in shapes.items() if shape[0] == N_FEATURES}
    assert acting == named & set(shapes)
    for weights, biases in network.input_weights:
        if weights in shapes and biases in shapes:
            assert shapes[biases] == shapes[weights][1:]


@every_network
@every_container
def test_cost_estimates_follow_the_rows(network, container):
    X = container(np.ones((N_ROWS, N_FEATURES)))
    twice = container(np.ones((2 * N_ROWS, N_FEATURES)))
    assert network.row_bytes(X) == network.row_bytes(twice) > 0.0
    assert network.work(twice) == 2.0 * network.work(X) > 0.0


@every_network
def test_empty_sparse_features(network):
    """Rows without a stored value have a cost, and the outputs of the biases."""
    X = sparse.csr_array((N_ROWS, N_FEATURES))
    assert network.row_bytes(X) > 0.0
    theta = vector(network)
    np.testing.assert_allclose(
        forward(network, theta, X),
        np.broadcast_to(raw_outputs(network, theta, X.toarray()), (N_ROWS, N_OUTPUTS)),
        atol=1e-14,
    )
