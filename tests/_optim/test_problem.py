"""The projected gradient, and the memory of the last evaluations."""

import numpy as np
import pytest

from sknn_simple._optim.problem import Memory, projected_gradient


class Counting:
    """f(x) = |x|², counting its evaluations."""

    size = 2

    def __init__(self):
        self.evaluations = 0

    def value_and_grad(self, x):
        self.evaluations += 1
        return float(x @ x), 2.0 * x

    def hessp(self, x, v):
        return 2.0 * v


def test_without_bounds_the_gradient_is_the_projected_gradient():
    gradient = np.array([1.0, -2.0])
    assert projected_gradient(np.zeros(2), gradient, None) is gradient


@pytest.mark.parametrize(
    ("x", "gradient", "projected"),
    [
        (0.0, 1.0, 0.0),  # at the lower bound, a step down the slope would leave
        (0.0, -1.0, -1.0),  # at the lower bound, the slope leads inside
        (1.0, -1.0, 0.0),
        (1.0, 1.0, 1.0),
        (0.5, 1.0, 1.0),  # inside
        (0.5, -1.0, -1.0),
    ],
)
def test_projected_gradient_leaves_out_what_bounds_forbid(x, gradient, projected):
    bounds = (np.array([0.0]), np.array([1.0]))
    found = projected_gradient(np.array([x]), np.array([gradient]), bounds)
    assert found.tolist() == [projected]


def test_projected_gradient_with_infinite_bounds_is_the_gradient():
    gradient = np.array([1.0, -2.0])
    bounds = (np.full(2, -np.inf), np.full(2, np.inf))
    np.testing.assert_array_equal(
        projected_gradient(np.array([3.0, 4.0]), gradient, bounds), gradient
    )


def test_projected_gradient_leaves_its_arguments_alone():
    x, gradient = np.array([0.0, 0.5]), np.array([1.0, 1.0])
    projected_gradient(x, gradient, (np.zeros(2), np.ones(2)))
    assert gradient.tolist() == [1.0, 1.0]
    assert x.tolist() == [0.0, 0.5]


def test_memory_evaluates_the_last_two_points_once():
    problem = Counting()
    memory = Memory(problem)
    a, b, c = np.eye(2)[0], np.eye(2)[1], np.ones(2)
    for point in (a, a, b, a, b, b):
        value, gradient = memory.value_and_grad(point)
        assert value == point @ point
        np.testing.assert_array_equal(gradient, 2.0 * point)
    assert problem.evaluations == 2
    memory.value_and_grad(c)
    memory.value_and_grad(b)
    assert problem.evaluations == 3
    memory.value_and_grad(a)  # forgotten: two points are remembered
    assert problem.evaluations == 4


def test_memory_does_not_trust_the_callers_array():
    """Solvers write the next iterate into the array of the last one."""
    problem = Counting()
    memory, x = Memory(problem), np.zeros(2)
    assert memory.value_and_grad(x)[0] == 0.0
    x += 1.0
    assert memory.value_and_grad(x)[0] == 2.0
    assert memory.value_and_grad(np.zeros(2))[0] == 0.0
    assert problem.evaluations == 2
