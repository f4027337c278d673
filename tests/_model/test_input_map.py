"""The map from parameters of transformed features to those of raw ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.row_blocks import Workspace
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.input_map import InputMap, LayerSlices, layer_slices
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork

P = 3  # features
CENTER, SCALE = np.array([1.0, -30.0, 1e4]), np.array([2.0, 0.5, 1e-3])

NETWORKS = {
    "linear": LinearNetwork(P, 2),
    "one output": LinearNetwork(P, 1),
    "no bias": LinearNetwork(P, 2, has_bias=False),
    **{name: OneHiddenNetwork(P, 4, 2, ACTIVATIONS[name]) for name in ACTIVATIONS},
    "skip connections": OneHiddenNetwork(P, 4, 2, ACTIVATIONS["tanh"], True),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def layers_of(network):
    return layer_slices(network.layout, network.input_weights)


def input_map(network, center=CENTER, scale=SCALE):
    center = np.asarray(center) * network.has_bias
    return InputMap(network.layout.size, layers_of(network), center, np.asarray(scale))


def directions(F):
    return F.to_raw, F.from_raw, F.pull_back


def vectors(network, count, seed=0):
    shape = count, network.layout.size
    return np.random.default_rng(seed).standard_normal(shape)


# Where weights lie --------------------------------------------------------------------


@every_network
def test_layer_slices_are_the_weights_on_features_with_their_biases(network):
    (theta,) = vectors(network, 1)
    arrays, layers = network.layout.views(theta), layers_of(network)
    named = [pair for pair in network.input_weights if pair[0] in arrays]
    for layer, (weights, biases) in zip(layers, named, strict=True):
        found = layer.matrix(theta)
        np.testing.assert_array_equal(found, arrays[weights])
        assert np.shares_memory(found, theta)
        if layer.biases is None:
            assert biases not in arrays
        else:
            np.testing.assert_array_equal(theta[layer.biases], arrays[biases])


def test_skip_connections_share_the_biases_of_the_outputs():
    _, skip = layers_of(NETWORKS["skip connections"])
    layout = NETWORKS["skip connections"].layout
    assert skip.weights == layout.slices["skip_coef"]
    assert skip.biases == layout.slices["output_intercept"]


# The map ------------------------------------------------------------------------------


@every_network
def test_raw_outputs_are_the_same(network):
    """Those of θ on transformed features are those of F θ on raw ones."""
    rng = np.random.default_rng(1)
    X = CENTER * network.has_bias + rng.standard_normal((20, P)) / SCALE
    transform = FeatureTransform(CENTER * network.has_bias, SCALE)
    (theta,) = vectors(network, 1)

    def outputs(parameters, features):
        params = network.layout.views(parameters)
        return network.forward(params, features, Workspace())

    found = outputs(input_map(network).to_raw(theta), X)
    np.testing.assert_allclose(found, outputs(theta, transform(X)), rtol=1e-9)


@every_network
@pytest.mark.parametrize("center", [CENTER, np.zeros(P)], ids=["centred", "not"])
def test_from_raw_and_to_raw_are_inverse(network, center):
    F = input_map(network, center)
    (x,) = vectors(network, 1)
    np.testing.assert_allclose(F.from_raw(F.to_raw(x)), x, rtol=1e-12, atol=1e-12)
    # Biases are differences of numbers as large as the mean times a weight, 1e4.
    np.testing.assert_allclose(F.to_raw(F.from_raw(x)), x, rtol=1e-9, atol=1e-9)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=P, max_size=P),
    st.lists(st.floats(1e-3, 1e3), min_size=P, max_size=P),
)
def test_inverse_for_any_columns(center, scale):
    F = input_map(NETWORKS["skip connections"], center, scale)
    (theta,) = vectors(NETWORKS["skip connections"], 1)
    np.testing.assert_allclose(F.from_raw(F.to_raw(theta)), theta, rtol=1e-9, atol=1e-8)


@every_network
def test_all_directions_are_linear(network):
    a, b = vectors(network, 2)
    for f in directions(input_map(network)):
        np.testing.assert_allclose(f(2.0 * a - b), 2.0 * f(a) - f(b), rtol=1e-9)


@every_network
@pytest.mark.parametrize("scale", [SCALE, (0.0, 1.0, 0.0)], ids=["varying", "constant"])
def test_pull_back_is_the_adjoint(network, scale):
    """⟨F θ, g⟩ = ⟨θ, Fᵀ g⟩."""
    F = input_map(network, scale=scale)
    for theta, g in zip(vectors(network, 10), vectors(network, 10, 1), strict=True):
        raw = F.to_raw(theta)
        size_of_terms = float(np.abs(raw) @ np.abs(g))
        assert theta @ F.pull_back(g) == pytest.approx(
            float(raw @ g), rel=1e-12, abs=1e-13 * size_of_terms
        )


@every_network
def test_other_parameters_are_left_alone(network):
    others = np.ones(network.layout.size, dtype=bool)
    for layer in layers_of(network):
        others[layer.weights] = False
        others[layer.biases or slice(0)] = False
    (x,) = vectors(network, 1)
    for f in directions(input_map(network)):
        np.testing.assert_array_equal(f(x)[others], x[others])


@every_network
def test_arguments_are_left_alone(network):
    (x,) = vectors(network, 1)
    before = x.copy()
    for f in directions(input_map(network)):
        assert not np.shares_memory(f(x), x)
        np.testing.assert_array_equal(x, before)


# Constant columns ---------------------------------------------------------------------


@every_network
def test_scale_zero_keeps_the_weights_of_a_column_at_zero(network):
    (x,) = vectors(network, 1)
    for f in directions(input_map(network, scale=(2.0, 0.0, 1e-3))):
        for layer in layers_of(network):
            weights = layer.matrix(f(x))
            assert (weights[1] == 0.0).all()
            assert (weights[[0, 2]] != 0.0).all()


def test_scale_zero_moves_the_part_of_a_constant_column_into_the_bias():
    """A column whose value is m in all rows adds m w to every output."""
    network = NETWORKS["one output"]
    F = input_map(network, scale=(2.0, 0.0, 1e-3))
    (raw,) = vectors(network, 1)
    x = np.array([5.0, CENTER[1], -7.0])
    found = F.to_raw(F.from_raw(raw))
    assert found[:P] @ x + found[P] == pytest.approx(raw[:P] @ x + raw[P], rel=1e-9)


def test_any_place_in_the_vector():
    """Biases may lie before the weights, and other parameters between them."""
    layers = [LayerSlices(slice(4, 10), slice(1, 3), 2)]
    F = InputMap(12, layers, CENTER, SCALE)
    x = np.random.default_rng(0).standard_normal(12)
    U, c = x[4:10].reshape(P, 2), x[1:3]
    raw = F.to_raw(x)
    np.testing.assert_allclose(raw[4:10].reshape(P, 2), U * SCALE[:, None])
    np.testing.assert_allclose(raw[1:3], c - (CENTER * SCALE) @ U)
    np.testing.assert_array_equal(raw[[0, 3, 10, 11]], x[[0, 3, 10, 11]])
