"""Preconditioners: linear maps with inverse and adjoint, and the Hessian after them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.input_map import LayerSlices
from sknn_simple._optim.problem import PreconditionedProblem
from sknn_simple._training.preconditioners import (
    BlockPreconditioner,
    DiagonalPreconditioner,
    block_preconditioner,
    hessian_preconditioner,
)

# Maps ---------------------------------------------------------------------------------

Q, K = 4, 3  # rows and columns of the parameters as an array
SIZE = Q * K


def positive_definite(count, size):
    A = np.random.default_rng(3).standard_normal((count, 2 * size, size))
    return A.transpose(0, 2, 1) @ A


SCALED = DiagonalPreconditioner(np.geomspace(1e-3, 50.0, SIZE))
PLAIN = DiagonalPreconditioner(np.ones(SIZE))
# Two layers of weights on hidden units, (2, 2) and (3, 1), and others between.
CENTRED = DiagonalPreconditioner(
    np.geomspace(0.1, 10.0, SIZE),
    [
        (LayerSlices(slice(1, 5), slice(5, 7), 2), np.array([0.5, -3.0])),
        (LayerSlices(slice(8, 11), slice(11, 12), 1), np.array([0.4, 0.4, 2.0])),
    ],
)
MAPS = {
    "hidden units centred": CENTRED,
    "diagonal": SCALED,
    "a matrix of all parameters": BlockPreconditioner(
        SCALED, positive_definite(1, SIZE)
    ),
    "a block per output": BlockPreconditioner(SCALED, positive_definite(K, Q)),
    "outputs that sum to zero": BlockPreconditioner(
        PLAIN, positive_definite(K, Q), zero_sum=True
    ),
}
INVERTIBLE = {name: T for name, T in MAPS.items() if "zero" not in name}


def each(maps):
    return pytest.mark.parametrize("T", maps.values(), ids=maps)


def vectors(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, SIZE))


def matrix(T):
    """T, written out."""
    return np.array([T.to_theta(unit) for unit in np.eye(SIZE)]).T


@each(INVERTIBLE)
def test_to_theta_and_from_theta_are_inverse(T):
    for x in vectors(5):
        np.testing.assert_allclose(T.from_theta(T.to_theta(x)), x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(T.to_theta(T.from_theta(x)), x, rtol=1e-9, atol=1e-9)


@given(st.lists(st.floats(1e-6, 1e6), min_size=SIZE, max_size=SIZE))
def test_inverse_for_any_scales(scale):
    T = DiagonalPreconditioner(np.array(scale))
    (u,) = vectors(1)
    np.testing.assert_allclose(T.from_theta(T.to_theta(u)), u, rtol=1e-12)


@each(MAPS)
def test_all_directions_are_linear(T):
    a, b = vectors(2)
    for f in (T.to_theta, T.from_theta, T.pull_back):
        np.testing.assert_allclose(
            f(2.0 * a - b), 2.0 * f(a) - f(b), rtol=1e-9, atol=1e-9
        )


@each(MAPS)
def test_pull_back_is_the_adjoint(T):
    """⟨T u, g⟩ = ⟨u, Tᵀ g⟩."""
    for u, g in vectors(20).reshape(10, 2, SIZE):
        theta = T.to_theta(u)
        terms = float(np.abs(theta) @ np.abs(g))
        assert u @ T.pull_back(g) == pytest.approx(theta @ g, abs=1e-12 * terms)


def test_congruence_is_the_hessian_over_u():
    """Tᵀ H T."""
    [H] = positive_definite(1, SIZE)
    written = matrix(SCALED)
    np.testing.assert_allclose(SCALED.congruence(H), written.T @ H @ written)


@each(MAPS)
def test_arguments_are_left_alone(T):
    (x,) = vectors(1)
    before = x.copy()
    for f in (T.to_theta, T.from_theta, T.pull_back):
        assert not np.shares_memory(f(x), x)
        np.testing.assert_array_equal(x, before)


def test_congruence_leaves_the_hessian_alone():
    [H] = positive_definite(1, SIZE)
    SCALED.congruence(H)
    np.testing.assert_array_equal(H, positive_definite(1, SIZE)[0])


def test_centring_subtracts_the_mean_of_the_hidden_units():
    """Wᵀ a + b = Uᵀ (a - m) + c, the formula that defines T."""
    center = np.array([0.5, -3.0])
    layer = LayerSlices(slice(0, 6), slice(6, 9), 3)
    T = DiagonalPreconditioner(np.ones(9), [(layer, center)])
    u, a = np.random.default_rng(0).standard_normal(9), np.array([2.0, 0.7])
    theta = T.to_theta(u)
    found = theta[:6].reshape(2, 3).T @ a + theta[6:]
    np.testing.assert_allclose(found, u[:6].reshape(2, 3).T @ (a - center) + u[6:])


def test_blocks_make_their_own_matrices_the_identity():
    """If the Hessian after D has the matrices as the blocks of the outputs."""
    matrices = positive_definite(K, Q)
    after = np.zeros((Q, K, Q, K))
    for k in range(K):
        after[:, k, :, k] = matrices[k]
    D = SCALED.scale
    H = after.reshape(SIZE, SIZE) / np.outer(D, D)
    T = matrix(BlockPreconditioner(SCALED, matrices))
    np.testing.assert_allclose(T.T @ H @ T, np.eye(SIZE), atol=1e-9)


def test_outputs_that_sum_to_zero():
    """Every θ has rows that sum to 0, and such a θ stays where it is."""
    T = MAPS["outputs that sum to zero"]
    for u in vectors(5):
        theta = T.to_theta(u)
        np.testing.assert_allclose(theta.reshape(Q, K).sum(axis=1), 0.0, atol=1e-12)
        again = T.to_theta(T.from_theta(theta))
        np.testing.assert_allclose(again, theta, rtol=1e-9, atol=1e-9)


# Of an objective ----------------------------------------------------------------------

TARGETS = ["two classes", "five classes", "labels"]
each_target = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture
def data(target, training_set):
    """Columns in units from 1e-3 to 1e3 that go together."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) + 5.0
    X *= np.geomspace(1e-3, 1e3, 6)
    y = rng.integers(2 if target == "two classes" else 5, size=400)
    return training_set(X, np.eye(5, dtype=int)[y] if target == "labels" else y)


@pytest.fixture
def problem(data, linear_spec, problem_of):
    return problem_of(linear_spec(data), data)


def hessian_over_u(problem, preconditioner, theta):
    over_u = PreconditionedProblem(problem.objective, preconditioner, theta)
    units = np.eye(theta.size)
    return np.array([over_u.hessian_product(over_u.start, e) for e in units])


def somewhere(problem, size=0.3):
    rng = np.random.default_rng(1)
    return size * rng.standard_normal(problem.objective.size)


@each_target
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 10.0])
def test_the_diagonal_is_one_at_the_start(
    data, standardize, alpha, linear_spec, problem_of
):
    """For weights; the biases are left alone."""
    spec = linear_spec(data, alpha=alpha, standardize=standardize)
    problem = problem_of(spec, data)
    zeros = np.zeros(problem.objective.size)
    diagonal = hessian_over_u(problem, problem.diagonal, zeros).diagonal()
    expected = spec.network.layout.pack({"coef": 1.0, "intercept": diagonal[-1]})
    np.testing.assert_allclose(diagonal, expected, rtol=1e-9)
    scales = spec.network.layout.views(problem.diagonal.scale)
    np.testing.assert_array_equal(scales["intercept"], 1.0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("target", ["five classes"])
def test_hidden_units_are_centred(data, activation, skip, hidden_spec, problem_of):
    """Over u a weight on a unit acts on the unit's difference from its mean."""
    spec = hidden_spec(data, n_hidden=3, activation=activation, skip=skip, alpha=0.0)
    layout, problem = spec.network.layout, problem_of(spec, data)
    arrays = layout.views(problem.diagonal.to_theta(np.ones(layout.size)))
    at_the_mean = np.full((1, 3), ACTIVATIONS[activation].mean)
    raw = at_the_mean @ arrays["output_coef"] + arrays["output_intercept"]
    np.testing.assert_allclose(raw, 1.0, rtol=1e-12)


@each_target
@pytest.mark.parametrize("size", [0.0, 0.3])
def test_the_hessian_of_all_parameters_becomes_the_identity(problem, target, size):
    theta = somewhere(problem, size)
    T = hessian_preconditioner(problem.objective, problem.diagonal, theta)
    eigenvalues = np.linalg.eigvalsh(hessian_over_u(problem, T, theta))
    # J does not change if all biases of softmax are raised alike.
    free = 1 if target == "five classes" else 0
    np.testing.assert_allclose(eigenvalues[:free], 0.0, atol=1e-6)
    np.testing.assert_allclose(eigenvalues[free:], 1.0, atol=1e-4)


@pytest.mark.parametrize("target", ["two classes", "labels"])
def test_blocks_of_independent_outputs_become_the_identity(problem):
    """Up to the rows of little curvature that they leave out."""
    theta = somewhere(problem)
    T = block_preconditioner(problem.objective, problem.diagonal, theta)
    found = hessian_over_u(problem, T, theta)
    np.testing.assert_allclose(found, np.eye(len(found)), atol=0.02)


@pytest.mark.parametrize("target", ["five classes"])
def test_blocks_of_softmax_leave_what_the_outputs_share(data, linear_spec, problem_of):
    """Eigenvalues are 0 and K/(K - 1) if all classes are as probable.

    0 is that of all outputs raised alike, which T projects out.
    """
    problem = problem_of(linear_spec(data, alpha=0.0), data)
    zeros = np.zeros(problem.objective.size)
    T = block_preconditioner(problem.objective, problem.diagonal, zeros)
    eigenvalues = np.linalg.eigvalsh(hessian_over_u(problem, T, zeros))
    shared = 7  # directions of each output: six weights and a bias
    np.testing.assert_allclose(eigenvalues[:shared], 0.0, atol=1e-9)
    np.testing.assert_allclose(eigenvalues[shared:], 5.0 / 4.0, rtol=2e-3)
    assert T is not None
    theta = T.to_theta(np.random.default_rng(0).standard_normal(len(zeros)))
    np.testing.assert_allclose(theta.reshape(-1, 5).sum(axis=1), 0.0, atol=1e-12)


@each_target
def test_theta_of_a_block_preconditioner_comes_back(problem, target):
    theta = somewhere(problem)
    T = block_preconditioner(problem.objective, problem.diagonal, theta)
    assert T is not None
    if target == "five classes":
        rows = theta.reshape(-1, 5)
        theta = (rows - rows.mean(axis=1, keepdims=True)).ravel()
    np.testing.assert_allclose(T.to_theta(T.from_theta(theta)), theta, atol=1e-9)


@pytest.mark.parametrize("target", ["two classes"])
def test_gradients_keep_their_meaning_if_curvature_drops(
    problem, data, linear_spec, problem_of
):
    """√c takes the new unit back."""
    J, D = problem.objective, problem.diagonal
    start, far = np.zeros((2, J.size))
    far[0] = 300.0
    units = []
    for theta in (start, far):
        T = hessian_preconditioner(J, D, theta)
        assert T is not None
        diagonal = hessian_over_u(problem, D, theta).diagonal()
        expected = np.sqrt(diagonal[diagonal > 0.0].mean())
        assert T.gradient_unit == pytest.approx(expected, rel=1e-9)
        units.append(expected)
    assert units[1] < 0.5 < 0.9 < units[0] <= 1.0


@pytest.mark.parametrize("target", ["two classes", "labels"])
@pytest.mark.parametrize("form", [hessian_preconditioner, block_preconditioner])
def test_no_curvature_makes_no_preconditioner(data, form, linear_spec, problem_of):
    """Separable classes have no minimum without a penalty, and a Hessian near 0."""
    far = np.full(linear_spec(data).network.layout.size, 1e3)
    without = problem_of(linear_spec(data, alpha=0.0), data)
    assert form(without.objective, without.diagonal, far) is None
    near = np.zeros_like(far)
    assert form(without.objective, without.diagonal, near) is not None
    penalised = problem_of(linear_spec(data, alpha=1e-2), data)
    assert form(penalised.objective, penalised.diagonal, far) is not None


@pytest.mark.parametrize("target", ["labels"])
def test_an_output_without_curvature_keeps_its_coordinates(
    data, linear_spec, problem_of
):
    spec = linear_spec(data, alpha=0.0)
    problem = problem_of(spec, data)
    theta = spec.network.layout.pack({"coef": 0.0, "intercept": [0, 0, 1e4, 0, 0]})
    T = block_preconditioner(problem.objective, problem.diagonal, theta)
    assert T is not None
    (u,) = np.random.default_rng(0).standard_normal((1, len(theta)))
    by_output = T.to_theta(u).reshape(-1, 5)
    by_diagonal = problem.diagonal.to_theta(u).reshape(-1, 5)
    np.testing.assert_allclose(by_output[:, 2], by_diagonal[:, 2], rtol=1e-12)
    assert not np.allclose(by_output[:, 1], by_diagonal[:, 1])
