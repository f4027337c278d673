"""Trust regions in Krylov spaces: the step is the minimiser that theory describes."""

import numpy as np
import pytest
from numpy.linalg import norm
from scipy.optimize import minimize

from sknn_simple._optim.trust_krylov import (
    KrylovSpace,
    tridiagonal_step,
    trust_krylov,
)

RADII = [1e-6, 0.1, 1.0, 10.0, 1e6]


def symmetric(values, seed=0):
    """A matrix with these eigenvalues."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return (Q * np.asarray(values, dtype=float)) @ Q.T


HESSIANS = {
    "one": [[2.0]],
    "one, concave": [[-2.0]],
    "one, flat": [[0.0]],
    "convex": symmetric(np.geomspace(1e-3, 1e3, 12)),
    "indefinite": symmetric(np.linspace(-3.0, 5.0, 12)),
    "concave": symmetric(-np.geomspace(0.1, 10.0, 12)),
    "singular": symmetric([0.0, 0.0, 1.0, 2.0, 3.0]),
    "repeated": symmetric([-1.0, -1.0, 2.0, 2.0]),
    "zero": np.zeros((4, 4)),
}


def space(H, g):
    """A space, and the list of vectors that H was multiplied by."""
    H, products = np.asarray(H), []

    def product(v):
        products.append(v.copy())
        return H @ v

    return KrylovSpace(product, np.asarray(g, dtype=float)), products


def minimised(krylov, radius):
    step = krylov.minimise(radius)
    assert step is not None
    return step


# Tridiagonal matrices ---------------------------------------------------------------

TRIDIAGONAL = {
    "one": ([2.0], []),
    "one, concave": ([-2.0], []),
    "convex": ([2.0, 3.0, 4.0, 5.0], [1.0, 0.5, 1.0]),
    "indefinite": ([1.0, -3.0, 2.0, 0.5], [1.0, 2.0, 0.5]),
    "concave": ([-2.0, -3.0, -4.0], [0.5, 1.0]),
    "singular": ([1.0, 1.0], [1.0]),
    # g has nothing, or next to nothing, along the direction of least curvature.
    "hard": ([1.0, 2.0, -3.0], [1.0, 0.0]),
    "hard, singular": ([1.0, 2.0, 0.0], [1.0, 0.0]),
    "nearly hard": ([1.0, 2.0, -3.0], [1.0, 1e-9]),
    "hardly coupled": ([1.0, 2.0, -3.0], [1e-12, 1e-12]),
}


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", TRIDIAGONAL)
def test_step_meets_the_conditions_of_a_global_minimiser(name, radius):
    diagonal, off = TRIDIAGONAL[name]
    h, shift = tridiagonal_step(diagonal, off, 0.7, radius)
    T = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    shifted = T + shift * np.eye(len(T))
    g = 0.7 * np.eye(len(T))[0]
    size = norm(T) + shift
    assert shift >= 0.0
    assert norm(h) <= radius * (1.0 + 1e-8)
    assert shift == 0.0 or norm(h) == pytest.approx(radius, rel=1e-8)
    assert np.linalg.eigvalsh(shifted)[0] >= -1e-12 * size
    rounding = 1e-8 * float(norm(g) + size * norm(h))
    np.testing.assert_allclose(shifted @ h, -g, atol=rounding)


# Steps ------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", HESSIANS)
def test_step_foretells_its_decrease(name, radius):
    H = np.asarray(HESSIANS[name])
    g = np.random.default_rng(1).standard_normal(len(H))
    step = minimised(space(H, g)[0], radius)
    s = step.step
    assert norm(s) <= radius * (1.0 + 1e-8)
    assert step.bounded == (norm(s) >= radius * (1.0 - 1e-8))
    assert step.decrease == pytest.approx(-(g @ s + 0.5 * s @ H @ s), rel=1e-6)
    # At least that of the best step along the gradient.
    curvature, length = g @ H @ g, norm(g)
    best = length**3 / curvature if curvature > 0.0 else np.inf
    t = min(best, radius) / length
    assert step.decrease >= (t * length**2 - 0.5 * t**2 * curvature) * (1.0 - 1e-9)


@pytest.mark.parametrize("size", [1.0, 1e-4, 1e-8])
def test_the_smaller_the_gradient_the_more_exact_the_step(size):
    H = symmetric(np.geomspace(1.0, 1e3, 40))
    g = np.random.default_rng(1).standard_normal(40)
    g *= size / norm(g)
    krylov, products = space(H, g)
    left = norm(g + H @ minimised(krylov, 1e3).step)
    assert left <= min(0.5, size) * size * (1.0 + 1e-6)
    assert len(products) <= 40


@pytest.mark.parametrize("name", HESSIANS)
def test_a_shorter_radius_costs_no_product(name):
    H = HESSIANS[name]
    krylov, products = space(H, np.full(len(H), 1e-12))
    minimised(krylov, 10.0)
    n = len(products)
    assert 1 <= n <= len(H)
    for radius in (1.0, 1e-3, 1e-9):
        step = minimised(krylov, radius)
        assert norm(step.step) <= radius * (1.0 + 1e-8)
    assert len(products) == n


def test_vectors_stay_orthogonal():
    H = symmetric(np.geomspace(1e-8, 1e8, 60))
    krylov, products = space(H, np.full(60, 1e-12))
    minimised(krylov, 1e20)
    Q = np.array(products)
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-12)


def test_memory_is_for_a_hundred_vectors():
    n = 300
    krylov, products = space(np.diag(np.geomspace(1e-6, 1e6, n)), np.full(n, 1e-9))
    minimised(krylov, 1e30)
    assert len(products) == 100


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_step_where_the_hessian_is_not_finite(bad):
    with np.errstate(invalid="ignore"):
        assert space(np.full((3, 3), bad), np.ones(3))[0].minimise(1.0) is None


# The method -------------------------------------------------------------------------


def test_a_convex_quadratic_takes_one_full_step():
    H = symmetric(np.geomspace(1.0, 100.0, 8))
    optimum = np.full(8, 0.1)
    points = []

    def callback(intermediate_result):
        points.append(intermediate_result.x)

    result = minimize(
        lambda x: 0.5 * (x - optimum) @ H @ (x - optimum),
        np.zeros(8),
        jac=lambda x: H @ (x - optimum),
        hessp=lambda x, v: H @ v,
        method=trust_krylov,
        callback=callback,
        options={"maxiter": 6},
    )
    np.testing.assert_allclose(result.x, optimum, atol=1e-8)
    assert len(points) == result.nit


def test_it_leaves_a_saddle_whose_gradient_points_elsewhere():
    # (x² - 1)² + y²: from (1e-9, 1) the gradient is all but along y.
    def fun(x):
        return (x[0] ** 2 - 1.0) ** 2 + x[1] ** 2

    result = minimize(
        fun,
        np.array([1e-9, 1.0]),
        jac=lambda x: np.array([4.0 * x[0] * (x[0] ** 2 - 1.0), 2.0 * x[1]]),
        hessp=lambda x, v: np.array([(12.0 * x[0] ** 2 - 4.0) * v[0], 2.0 * v[1]]),
        method=trust_krylov,
        options={"maxiter": 30},
    )
    np.testing.assert_allclose(np.abs(result.x), [1.0, 0.0], atol=1e-6)
