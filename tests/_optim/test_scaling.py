"""The linear change of variables: inverse, adjoint and the problem seen through it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknn_simple._optim.scaling import (
    Columns,
    ColumnScaling,
    ScaledProblem,
    Weights,
    Whitening,
    renewed_unit,
    whitened,
)

P = 3  # inputs


def columns(scale=(2.0, 0.5, 1e-3)):
    return Columns(np.array([1.0, -30.0, 1e4]), np.array(scale, dtype=float))


# Where the weights lie in θ: (groups, size of θ).
LAYOUTS = {
    "weights and biases": ([Weights(slice(0, 6), slice(6, 8), 2)], 8),
    "one output": ([Weights(slice(0, 3), slice(3, 4), 1)], 4),
    "others between": ([Weights(slice(1, 7), slice(9, 11), 2)], 12),
    "two groups": (
        [
            Weights(slice(0, 12), slice(12, 16), 4),
            Weights(slice(26, 32), slice(24, 26), 2),
        ],
        32,
    ),
    "no biases": ([Weights(slice(0, 6), None, 2)], 6),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


# A whitening sees the parameters as (q, k), each column with a matrix of its own.
WHITENED = {
    "a block per output": ("weights and biases", 4, 2),
    "a Hessian of all parameters": ("one output", 4, 1),
}
# Biases, and what is not on the inputs, have scales of their own.
RESCALED = {
    "biases scaled": ("weights and biases", [1.0] * 6 + [0.25, 40.0]),
    "others scaled": ("others between", [3.0] + [1.0] * 6 + [0.5, 7.0, 0.2, 4.0, 2.0]),
}
# Weights on hidden units, beside those of a layout, and the units' centres.
HIDDEN = {
    "hidden units centred": (
        "others between",
        [(Weights(slice(7, 9), slice(11, 12), 1), np.array([0.5, -3.0]))],
    ),
    "hidden units beside inputs": (
        "two groups",
        [(Weights(slice(16, 24), slice(24, 26), 2), np.full(4, 0.4))],
    ),
}
every_change = pytest.mark.parametrize(
    "layout", [*LAYOUTS, *WHITENED, *RESCALED, *HIDDEN]
)


def positive_definite(k, q):
    A = np.random.default_rng(3).standard_normal((k, 2 * q, q))
    return A.transpose(0, 2, 1) @ A


def scaling(layout, cols=None):
    groups, size = LAYOUTS[layout]
    return ColumnScaling(cols or columns(), groups), size


def make(layout, cols=None):
    if layout in WHITENED:
        base, q, k = WHITENED[layout]
        change, size = scaling(base, cols)
        return Whitening(change, positive_definite(k, q)), size
    if layout in RESCALED:
        base, others = RESCALED[layout]
        groups, size = LAYOUTS[base]
        return ColumnScaling(cols or columns(), groups, others=np.array(others)), size
    if layout in HIDDEN:
        base, hidden = HIDDEN[layout]
        groups, size = LAYOUTS[base]
        return ColumnScaling(cols or columns(), groups, hidden), size
    return scaling(layout, cols)


def vectors(size, count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, size))


class Smooth:
    """f(θ) = Σ (exp(a θ) - 1) / a + ½ θᵀ Q θ, whose derivatives are easy to write."""

    def __init__(self, size):
        rng = np.random.default_rng(7)
        self.size = size
        self.a = 0.01 * rng.uniform(-1.0, 1.0, size)
        Q = rng.standard_normal((size, size))
        self.Q = Q @ Q.T / size

    def value_and_grad(self, x):
        e = np.exp(self.a * x)
        value = (np.expm1(self.a * x) / self.a).sum() + 0.5 * x @ self.Q @ x
        return float(value), e + self.Q @ x

    def full_hessian(self, x):
        return np.diag(self.a * np.exp(self.a * x)) + self.Q

    def hessp(self, x, v):
        return self.full_hessian(x) @ v


def matrix(change, size):
    """T, written out."""
    return np.array([change.to_original(unit) for unit in np.eye(size)]).T


@every_change
def test_to_original_undoes_to_scaled(layout):
    change, size = make(layout)
    (theta,) = vectors(size, 1)
    np.testing.assert_allclose(
        change.to_original(change.to_scaled(theta)), theta, rtol=1e-9, atol=1e-9
    )


@every_change
def test_to_scaled_undoes_to_original(layout):
    change, size = make(layout)
    (u,) = vectors(size, 1)
    np.testing.assert_allclose(
        change.to_scaled(change.to_original(u)), u, rtol=1e-12, atol=1e-12
    )


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=P, max_size=P),
    st.lists(st.floats(1e-3, 1e3), min_size=P, max_size=P),
)
def test_inverse_for_any_columns(center, scale):
    cols = Columns(np.array(center), np.array(scale))
    change, size = make("weights and biases", cols)
    (u,) = vectors(size, 1)
    np.testing.assert_allclose(
        change.to_scaled(change.to_original(u)), u, rtol=1e-9, atol=1e-8
    )


@every_change
def test_both_directions_are_linear(layout):
    change, size = make(layout)
    a, b = vectors(size, 2)
    for f in (change.to_original, change.to_scaled, change.pull_back):
        np.testing.assert_allclose(f(2.0 * a - b), 2.0 * f(a) - f(b), rtol=1e-9)


@every_change
@pytest.mark.parametrize("scale", [(2.0, 0.5, 1e-3), (0.0, 1.0, 0.0)])
def test_pull_back_is_the_adjoint(layout, scale):
    """⟨T u, g⟩ = ⟨u, Tᵀ g⟩."""
    change, size = make(layout, columns(scale))
    for u, g in vectors(size, 20).reshape(10, 2, size):
        expected = float(change.to_original(u) @ g)
        size_of_terms = float(np.abs(change.to_original(u)) @ np.abs(g))
        assert u @ change.pull_back(g) == pytest.approx(
            expected, rel=1e-12, abs=1e-13 * size_of_terms
        )


def test_weights_see_centred_and_scaled_inputs():
    """Wᵀ x + b = Uᵀ ((x - m) ∘ r) + c, the formula that defines T."""
    change, size = make("weights and biases")
    x, (u,) = np.array([3.0, -2.0, 1e4]), vectors(size, 1)
    theta = change.to_original(u)
    W, b = theta[:6].reshape(P, 2), theta[6:]
    U, c = u[:6].reshape(P, 2), u[6:]
    center, scale = change.columns
    np.testing.assert_allclose(W.T @ x + b, U.T @ ((x - center) * scale) + c)


def test_other_parameters_are_left_alone():
    change, size = make("others between")
    (x,) = vectors(size, 1)
    others = [0, 7, 8, 11]
    for f in (change.to_original, change.to_scaled, change.pull_back):
        np.testing.assert_array_equal(f(x)[others], x[others])


@every_change
def test_arguments_are_left_alone(layout):
    change, size = make(layout)
    (x,) = vectors(size, 1)
    before = x.copy()
    for f in (change.to_original, change.to_scaled, change.pull_back):
        assert not np.shares_memory(f(x), x)
        np.testing.assert_array_equal(x, before)


@every_layout
def test_scale_zero_keeps_the_weights_of_a_column_at_zero(layout):
    change, size = make(layout, columns((2.0, 0.0, 1e-3)))
    u, g = vectors(size, 2)
    for group in LAYOUTS[layout][0]:
        for x in (change.to_original(u), change.to_scaled(u), change.pull_back(g)):
            weights = x[group.weights].reshape(P, group.n_columns)
            assert (weights[1] == 0.0).all()
            assert (weights[[0, 2]] != 0.0).all()


def test_scale_zero_moves_the_part_of_a_constant_column_into_the_bias():
    """A column with value m throughout adds m w to every output, which may not go."""
    change, size = make("one output", columns((2.0, 0.0, 1e-3)))
    (theta,) = vectors(size, 1)
    x = np.array([5.0, change.columns.center[1], -7.0])
    found = change.to_original(change.to_scaled(theta))
    assert found[:3] @ x + found[3] == pytest.approx(theta[:3] @ x + theta[3], rel=1e-9)


@pytest.mark.parametrize(("base", "q", "k"), WHITENED.values(), ids=WHITENED)
def test_whitening_makes_the_hessian_the_identity(base, q, k):
    """Where the Hessian in scaled coordinates has the matrices as diagonal blocks."""
    base_change, size = scaling(base)
    matrices = positive_definite(k, q)
    scaled_hessian = np.zeros((q, k, q, k))
    for i in range(k):
        scaled_hessian[:, i, :, i] = matrices[i]
    scaled_hessian = scaled_hessian.reshape(size, size)
    S = matrix(base_change, size)
    T = matrix(Whitening(base_change, matrices), size)
    W = np.linalg.solve(S, T)
    np.testing.assert_allclose(W.T @ scaled_hessian @ W, np.eye(size), atol=1e-9)


def test_whitening_keeps_the_columns_of_its_scaling():
    base, _ = scaling("one output")
    assert Whitening(base, np.eye(4)[None]).columns is base.columns


@every_change
def test_gradient_of_the_scaled_problem(layout):
    change, size = make(layout, Columns(np.array([1.0, -3.0, 2.0]), columns().scale))
    problem = ScaledProblem(Smooth(size), change)
    assert problem.size == size
    (u,), step = vectors(size, 1), 1e-5
    expected = [
        (problem.value_and_grad(u + e)[0] - problem.value_and_grad(u - e)[0])
        / (2.0 * step)
        for e in step * np.eye(size)
    ]
    value, gradient = problem.value_and_grad(u)
    assert value == problem.problem.value_and_grad(change.to_original(u))[0]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)


@every_change
def test_hessp_of_the_scaled_problem(layout):
    """Tᵀ H T v."""
    change, size = make(layout)
    smooth, T = Smooth(size), matrix(change, size)
    u, v = vectors(size, 2)
    u *= 1e-2
    expected = T.T @ smooth.full_hessian(T @ u) @ T @ v
    found = ScaledProblem(smooth, change).hessp(u, v)
    np.testing.assert_allclose(
        found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max()
    )


def test_hessian_is_asked_for_in_the_coordinates_of_the_columns():
    class WithHessian(Smooth):
        def hessian(self, x, center, scale):
            self.asked = x, center, scale
            return np.eye(self.size)

    change, size = make("one output")
    problem, (u,) = WithHessian(size), vectors(size, 1)
    np.testing.assert_array_equal(
        ScaledProblem(problem, change).hessian(u), np.eye(size)
    )
    expected = (change.to_original(u), *change.columns)
    for found, array in zip(problem.asked, expected, strict=True):
        np.testing.assert_array_equal(found, array)


# Softmax: columns that sum to 0 -------------------------------------------------------


def zero_sum(x, k):
    rows = x.reshape(-1, k)
    return (rows - rows.mean(axis=1, keepdims=True)).ravel()


@pytest.fixture(name="projecting")
def make_projecting():
    base, q, k = WHITENED["a block per output"]
    change, size = scaling(base)
    return Whitening(change, positive_definite(k, q), zero_sum=True), size, k


def test_every_point_has_columns_that_sum_to_zero(projecting):
    change, size, k = projecting
    for u in vectors(size, 5):
        theta = change.to_original(u)
        np.testing.assert_allclose(
            theta, zero_sum(theta, k), atol=1e-9 * abs(theta).max()
        )


def test_a_point_whose_columns_sum_to_zero_stays_where_it_is(projecting):
    change, size, k = projecting
    theta = zero_sum(vectors(size, 1)[0], k)
    np.testing.assert_allclose(
        change.to_original(change.to_scaled(theta)), theta, rtol=1e-9, atol=1e-9
    )


def test_pull_back_is_the_adjoint_of_the_projection_too(projecting):
    change, size, _ = projecting
    T = matrix(change, size)
    for g in vectors(size, 5):
        expected = T.T @ g
        np.testing.assert_allclose(
            change.pull_back(g), expected, atol=1e-12 * abs(T).max()
        )


@pytest.mark.parametrize("size", [1e-8, 1.0])
def test_whitened_makes_a_hessian_the_identity(size):
    change, _ = scaling("one output")
    H = size * positive_definite(1, 4)
    whitening = whitened(change, H.copy())
    assert whitening is not None
    # H is over the parameters that the change of variables leads from.
    lower = np.array(
        [change.to_scaled(whitening.to_original(unit)) for unit in np.eye(4)]
    )
    np.testing.assert_allclose(lower @ H[0] @ lower.T, np.eye(4), atol=1e-4)


def test_no_curvature_is_not_whitened():
    change, _ = scaling("one output")
    assert whitened(change, np.zeros((1, 4, 4))) is None
    assert whitened(change, 1e-15 * np.eye(4)[None]) is None
    assert whitened(change, 0.01 * np.eye(4)[None], least=0.03) is None


def test_unit_of_renewed_coordinates():
    """1 unless there is far less curvature than at the start, and never more."""
    assert renewed_unit(4.0) == renewed_unit(1.0) == renewed_unit(1.0 / 9.0) == 1.0
    assert renewed_unit(1e-4) == pytest.approx(3e-2)


def test_an_interrupt_leaves_no_half_of_the_scales(monkeypatch):
    change, size = scaling("two groups")
    expected = change.to_original(np.ones(size))
    change, _ = scaling("two groups")

    class Press:
        @property
        def weights(self):
            raise KeyboardInterrupt

    groups = change.groups
    monkeypatch.setattr(change, "groups", [groups[0], Press()])
    with pytest.raises(KeyboardInterrupt):
        change.to_original(np.ones(size))
    monkeypatch.setattr(change, "groups", groups)
    np.testing.assert_array_equal(change.to_original(np.ones(size)), expected)
