"""The inverse Hessian of L-BFGS against its definition, and the method on functions."""

import numpy as np
import pytest
from scipy.optimize import Bounds, minimize, rosen, rosen_der

from sknn_simple._optim.lbfgs import InverseHessian, lbfgs


def bfgs_matrix(pairs):
    """H by the recursion that defines it (Nocedal and Wright 2006, eq. 6.17)."""
    step, change = pairs[-1]
    short, long = step @ change / (change @ change), step @ step / (step @ change)
    H = short**0.75 * long**0.25 * np.eye(len(step))
    for s, y in pairs:
        rho = 1.0 / (s @ y)
        V = np.eye(len(s)) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


@pytest.mark.parametrize("n_pairs", [1, 3, 7])
def test_inverse_hessian_is_that_of_the_recursion(n_pairs):
    rng = np.random.default_rng(n_pairs)
    root = rng.normal(size=(8, 8))
    A = root @ root.T + np.eye(8)
    inverse, pairs = InverseHessian(n_pairs, 8), []
    gradient = rng.normal(size=8)
    for _ in range(20):
        step = rng.normal(size=8)
        inverse.add(step, A @ step)
        gradient = gradient + A @ step
        pairs = [*pairs, (step, A @ step)][-n_pairs:]
        expected = bfgs_matrix(pairs) @ gradient
        np.testing.assert_allclose(inverse @ gradient, expected, rtol=1e-8, atol=1e-10)


def test_without_pairs_a_step_is_at_most_of_length_one():
    inverse = InverseHessian(3, 2)
    np.testing.assert_allclose(inverse.descent(np.array([3.0, 4.0])), [-0.6, -0.8])
    np.testing.assert_allclose(inverse.descent(np.array([0.3, 0.4])), [-0.3, -0.4])


@pytest.mark.parametrize("change", [[-1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1e-170, 0.0]])
def test_a_pair_without_curvature_is_not_remembered(change):
    inverse = InverseHessian(3, 2)
    inverse.add(np.array([1.0, 0.0]), np.array(change))
    np.testing.assert_array_equal(inverse.descent(np.array([0.5, 0.0])), [-0.5, 0.0])


def test_indefinite_memory_is_forgotten():
    inverse = InverseHessian(3, 2)
    inverse.add(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    gradient = np.array([np.nan, 0.5])
    assert np.isnan(inverse.descent(gradient)[0])
    np.testing.assert_array_equal(inverse.descent(np.array([0.5, 0.0])), [-0.5, 0.0])


def test_dropped_pairs_leave_nothing_behind():
    """Also not where it was nan."""
    gradient = np.array([0.5, -0.25])
    steps = [np.array([1.0, 0.5]), np.array([0.2, -1.0])]

    def directions(inverse, scale):
        for step in steps:
            inverse.add(step, scale * step)
            yield inverse.descent(gradient)

    used, fresh = InverseHessian(3, 2), InverseHessian(3, 2)
    list(directions(used, 2.0))
    used.descent(np.full(2, np.nan))
    again = list(directions(used, np.array([1.0, 3.0])))
    np.testing.assert_array_equal(again, list(directions(fresh, np.array([1.0, 3.0]))))
    assert np.isfinite(again).all()


@pytest.mark.parametrize("maxcor", [1, 5, 20])
@pytest.mark.parametrize("size", [2, 10])
def test_minimum_of_rosenbrock(maxcor, size):
    start = np.full(size, -0.5)
    options = {"maxcor": maxcor, "maxiter": 2000}
    found = minimize(rosen, start, jac=rosen_der, method=lbfgs, options=options)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)


def test_bounds_are_kept():
    bounds = Bounds([-2.0, -2.0], [0.5, 2.0])
    start = np.array([-1.0, 1.0])
    options = {"maxiter": 100}
    found = minimize(
        rosen, start, jac=rosen_der, method=lbfgs, bounds=bounds, options=options
    )
    np.testing.assert_allclose(found.x, [0.5, 0.25], atol=1e-6)


def test_a_kink_is_passed_by_shorter_steps():
    """|x| falls by half steps although its slope never gets smaller."""
    found = minimize(
        lambda x: float(np.abs(x).sum()),
        np.array([0.7, -0.3]),
        jac=np.sign,
        method=lbfgs,
        options={"maxiter": 60},
    )
    assert found.fun < 1e-3


def test_gradients_far_below_the_rounding_of_f():
    """Below 1e-8 the values of f = 1 + ½ cᵀx² are rounding; the gradients are not."""
    rng = np.random.default_rng(0)
    curvature = np.linspace(1.0, 100.0, 30)
    values, evaluations = [], 0

    def fun(x):
        nonlocal evaluations
        evaluations += 1
        return 1.0 + 0.5 * curvature @ x**2 + 4e-16 * rng.uniform(-1.0, 1.0)

    def until_flat(intermediate_result):
        values.append(intermediate_result.fun)
        if np.abs(curvature * intermediate_result.x).max() < 1e-13:
            raise StopIteration

    found = minimize(
        fun,
        np.ones(30),
        jac=lambda x: curvature * x,
        method=lbfgs,
        callback=until_flat,
        options={"maxiter": 200},
    )
    assert found.status == 99
    assert (np.diff(values) <= 0.0).all()
    assert evaluations < 1.5 * found.nit
