"""A problem seen through a preconditioner: its derivatives, and what is remembered."""

import numpy as np
import pytest

from sknn_simple._optim.problem import PreconditionedProblem

FUNCTIONS = ["quadratic", "logistic", "rosenbrock"]


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def preconditioner(function, any_map):
    return any_map(function.size)


@pytest.fixture
def problem(function, preconditioner):
    return PreconditionedProblem(function, preconditioner, np.zeros(function.size))


@pytest.fixture
def vectors(function):
    return np.random.default_rng(1).standard_normal((2, function.size))


# Derivatives --------------------------------------------------------------------------


def test_value_is_that_at_theta(problem, function, preconditioner, vectors):
    u, _ = vectors
    theta = preconditioner.to_theta(u)
    assert problem.value_and_grad(u)[0] == function.value(theta)
    np.testing.assert_array_equal(problem.theta(u), theta)


def test_gradient_is_that_of_the_value(problem, vectors):
    (u, _), step = vectors, 1e-6
    expected = [
        (problem.value_and_grad(u + e)[0] - problem.value_and_grad(u - e)[0])
        / (2.0 * step)
        for e in step * np.eye(len(u))
    ]
    _, gradient = problem.value_and_grad(u)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_curvature_is_the_derivative_of_the_gradient(problem, vectors):
    (u, v), step = vectors, 1e-6
    _, after = problem.value_and_grad(u + step * v)
    _, before = problem.value_and_grad(u - step * v)
    expected = (after - before) / (2.0 * step)
    product = problem.hessian_product(u, v)
    np.testing.assert_allclose(product, expected, rtol=1e-5, atol=1e-5)


def test_matrix_and_product_are_of_the_same_hessian(
    problem, function, preconditioner, vectors
):
    """Tᵀ H T, and that times v."""
    u, v = vectors
    T = preconditioner.T
    expected = T.T @ function.hessian(T @ u) @ T
    np.testing.assert_allclose(problem.hessian(u), expected, rtol=1e-12, atol=1e-12)
    product = problem.hessian_product(u, v)
    np.testing.assert_allclose(product, expected @ v, rtol=1e-11)


# What is remembered -------------------------------------------------------------------


def test_the_last_two_points_are_evaluated_once(quadratic, any_map, watched):
    function = watched(quadratic)
    problem = PreconditionedProblem(function, any_map(6), np.zeros(6))
    a, b, c = np.eye(6)[:3]
    for point in (a, a, b, a, b, b):
        value, _ = problem.value_and_grad(point)
        assert value == quadratic.value(problem.theta(point))
    assert len(function.points) == 2
    problem.value_and_grad(c)
    problem.value_and_grad(b)
    assert len(function.points) == 3
    problem.value_and_grad(a)  # forgotten: two points are remembered
    assert len(function.points) == 4


def test_the_start_itself_is_evaluated(quadratic, any_map, watched):
    """Not T T⁻¹ θ, which differs by rounding: its value may be known."""
    function, theta = watched(quadratic), np.linspace(0.1, 0.7, 6)
    problem = PreconditionedProblem(function, any_map(6), theta)
    problem.value_and_grad(problem.start)
    np.testing.assert_array_equal(function.points, [theta])
    np.testing.assert_array_equal(problem.theta(problem.start), theta)


def test_the_last_curvature_is_computed_once(quadratic, any_map, watched):
    function = watched(quadratic, during="curvature")
    problem = PreconditionedProblem(function, any_map(6), np.zeros(6))
    a, b = np.eye(6)[:2]
    for point in (a, a, b, b):
        problem.curvature(point)
    assert function.calls == 2


def test_an_evaluated_point_is_mapped_once(quadratic, any_map):
    problem, u = PreconditionedProblem(quadratic, any_map(6), np.zeros(6)), np.ones(6)
    problem.value_and_grad(u)
    assert problem.theta(u) is problem.theta(u)


def test_the_callers_array_may_change(quadratic, any_map, watched):
    """Solvers write the next iterate into the array of the last one."""
    function = watched(quadratic)
    problem = PreconditionedProblem(function, any_map(6), np.zeros(6))
    u, before = np.zeros(6), np.zeros(6)
    at_start, _ = problem.value_and_grad(u)
    hessian = problem.curvature(u)
    u += 1.0
    assert problem.value_and_grad(u)[0] != at_start
    assert problem.curvature(u) is not hessian
    assert problem.value_and_grad(before)[0] == at_start
    np.testing.assert_array_equal(problem.theta(before), np.zeros(6))
    assert len(function.points) == 2


def test_an_interrupt_leaves_what_is_remembered_as_it_was(quadratic, any_map, watched):
    function = watched(quadratic, interrupt_at=2)
    problem = PreconditionedProblem(function, any_map(6), np.zeros(6))
    a, b = np.eye(6)[:2]
    value, _ = problem.value_and_grad(a)
    with pytest.raises(KeyboardInterrupt):
        problem.value_and_grad(b)
    assert problem.value_and_grad(a)[0] == value
    assert len(function.points) == 1
    assert problem.value_and_grad(b)[0] == quadratic.value(problem.theta(b))
