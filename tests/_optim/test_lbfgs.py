"""The inverse Hessian of L-BFGS against its definition, and the method on functions."""

import numpy as np
import pytest
from scipy.optimize import Bounds, minimize, rosen, rosen_der

from sknn_simple._optim import lbfgs as module
from sknn_simple._optim.lbfgs import InverseHessian, _pairs_for, lbfgs


def bfgs_matrix(pairs, boldness):
    """H by the recursion that defines it (Nocedal and Wright 2006, eq. 6.17)."""
    step, change = pairs[-1]
    short, long = step @ change / (change @ change), step @ step / (step @ change)
    H = short ** (1.0 - boldness) * long**boldness * np.eye(len(step))
    for s, y in pairs:
        rho = 1.0 / (s @ y)
        V = np.eye(len(s)) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(np.float64, 1e-8, 1e-10), (np.float32, 1e-3, 1e-3)]
)
@pytest.mark.parametrize("n_pairs", [1, 3, 7])
def test_inverse_hessian_is_that_of_the_recursion(n_pairs, dtype, rtol, atol):
    rng = np.random.default_rng(n_pairs)
    root = rng.normal(size=(8, 8))
    A = root @ root.T + np.eye(8)
    inverse, pairs = InverseHessian(n_pairs, 8, dtype), []
    gradient, boldness = rng.normal(size=8), 0.2
    for i in range(20):
        step, shortened = rng.normal(size=8), i % 5 == 2
        inverse.add(step, A @ step, shortened)
        gradient = gradient + A @ step
        pairs = [*pairs, (step, A @ step)][-n_pairs:]
        boldness = 0.7 * boldness if shortened else min(boldness + 0.01, 0.3)
        expected = bfgs_matrix(pairs, boldness) @ gradient
        product = inverse @ gradient
        assert product.dtype == np.float64
        np.testing.assert_allclose(product, expected, rtol=rtol, atol=atol)


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


def test_nothing_is_left_of_what_was_forgotten():
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
    # How bold a first step is remains.
    used._boldness = fresh._boldness
    again = list(directions(used, np.array([1.0, 3.0])))
    np.testing.assert_array_equal(again, list(directions(fresh, np.array([1.0, 3.0]))))
    assert np.isfinite(again).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("maxcor", [1, 5, 20])
@pytest.mark.parametrize("size", [2, 10])
def test_minimum_of_rosenbrock(maxcor, size, dtype):
    start = np.full(size, -0.5)
    options = {"maxcor": maxcor, "maxiter": 2000, "dtype": dtype}
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


@pytest.mark.parametrize(("size", "dtype"), [(9_999, np.float64), (10_000, np.float32)])
def test_large_pairs_are_remembered_in_float32(size, dtype, monkeypatch):
    seen, original = [], InverseHessian

    def noted(*args):
        seen.append(args[-1])
        return original(*args)

    monkeypatch.setattr(module, "InverseHessian", noted)
    curvature = np.linspace(1.0, 100.0, size)
    found = minimize(
        lambda x: 0.5 * curvature @ x**2,
        np.ones(size),
        jac=lambda x: curvature * x,
        method=lbfgs,
        options={"maxcor": 20, "maxiter": 200},
    )
    assert seen == [dtype]
    # As near to the minimum in either: only directions are rounded.
    assert np.abs(found.x).max() < 1e-9


@pytest.mark.parametrize(
    ("size", "n_pairs"), [(1, 80), (800, 80), (900, 40), (10_000, 40), (10**6, 20)]
)
def test_fewer_pairs_are_remembered_where_they_are_large(size, n_pairs):
    assert _pairs_for(2 * 8 * size) == n_pairs


def test_gradients_far_below_the_rounding_of_f():
    """From 1e-8 on f = 1 + ½ cᵀx² only tells its rounding; gradients know the way."""
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
