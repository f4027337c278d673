"""Newton's method with the exact Hessian."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from sknn_simple._optim.newton_cholesky import newton_cholesky, newton_steps


def spd(size, seed=0, condition=1e4):
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return (Q * np.geomspace(1.0, condition, size)) @ Q.T


def newton_step(hessian, gradient):
    """The first of the steps: that with the smallest ridge."""
    return next(newton_steps(hessian, gradient))


# newton_steps -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-200, 1e-8, 1.0, 1e8, 1e200])
def test_step_solves_the_newton_equations_at_any_size(size):
    H, g = size * spd(5), np.arange(1.0, 6.0)
    np.testing.assert_allclose(newton_step(H, g), -np.linalg.solve(H, g), rtol=1e-8)


def test_step_of_a_singular_hessian_stays_out_of_its_null_space():
    """Softmax: all outputs may be raised together, where H and g are both 0."""
    centring = np.eye(4) - 0.25
    g = centring @ np.array([1.0, 2.0, -5.0, 0.5])
    step = newton_step(centring, g)
    np.testing.assert_allclose(centring @ step, -g, rtol=1e-9)
    # Rounding of g, over the ridge, is all that may be left there.
    assert abs(step.sum()) < 1e-2


def test_step_leaves_parameters_without_curvature_alone():
    H = np.diag([2.0, 0.0, 4.0])
    assert newton_step(H, np.array([1.0, 0.0, 1.0]))[1] == 0.0


@pytest.mark.parametrize(
    "hessian",
    [
        np.zeros((2, 2)),
        -np.eye(2),
        np.diag([1.0, -1.0]),
        np.diag([1.0, -1e-6]),
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        np.array([[1.0, 1.0], [1.0, 1.0]]),
    ],
    ids=["zero", "negative", "indefinite", "slightly", "no diagonal", "singular"],
)
def test_step_goes_down_whatever_the_hessian(hessian):
    for g in (np.array([1.0, 2.0]), np.array([1.0, -1.0]), np.array([0.0, 1e-3])):
        step = newton_step(hessian, g)
        assert np.isfinite(step).all()
        assert g @ step < 0.0


@pytest.mark.parametrize("curvature", [1e-200, 1e-30, 1e-5, 1.0])
def test_steps_end_with_a_short_one_down(curvature):
    """Where H is all but 0 in one direction the first step is out of all proportion."""
    H, g = np.diag([1.0, curvature]), np.array([1.0, -1.0])
    lengths = [np.linalg.norm(step) for step in newton_steps(H, g)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.01
    assert 2 < len(lengths) < 10


@pytest.mark.parametrize(
    "diagonal", [0.0, 1e-320, 1e-312, 1e-200, 1.0, 1e300, 1e307, np.inf, np.nan]
)
def test_there_are_not_steps_without_end(diagonal):
    for H in (np.diag([diagonal, 0.0]), np.diag([diagonal, diagonal])):
        steps = list(newton_steps(H, np.array([1.0, -1.0])))
        assert len(steps) < 250
        if diagonal < 1e300:
            assert 0.0 < np.linalg.norm(steps[-1]) < 0.01


def test_step_leaves_its_arguments_alone():
    H, g = spd(4), np.ones(4)
    newton_step(H, g)
    np.testing.assert_array_equal(H, spd(4))
    np.testing.assert_array_equal(g, np.ones(4))


# newton_cholesky --------------------------------------------------------------------


class Quadratic:
    """½ (x - c)ᵀ A (x - c)."""

    def __init__(self, size=4):
        self.A, self.c = spd(size), np.arange(1.0, size + 1.0)

    def fun(self, x):
        return float(0.5 * (x - self.c) @ self.A @ (x - self.c))

    def jac(self, x):
        return self.A @ (x - self.c)

    def hess(self, x):
        return self.A


class Hyperbola:
    """Σ √(1 + x²): convex, but full Newton steps, x → -x³, run away from |x| > 1."""

    def fun(self, x):
        return float(np.sqrt(1.0 + x * x).sum())

    def jac(self, x):
        return x / np.sqrt(1.0 + x * x)

    def hess(self, x):
        return np.diag((1.0 + x * x) ** -1.5)


class Until:
    """A callback that keeps the iterates and stops the method after `count`."""

    def __init__(self, count=np.inf):
        self.count, self.iterates = count, []

    def __call__(self, intermediate_result):
        self.iterates.append((intermediate_result.x, intermediate_result.fun))
        if len(self.iterates) >= self.count:
            raise StopIteration


def solve(problem, x0, **kwargs):
    return newton_cholesky(
        problem.fun, np.asarray(x0), jac=problem.jac, hess=problem.hess, **kwargs
    )


def test_quadratic_takes_one_iteration():
    problem = Quadratic()
    result = solve(problem, np.zeros(4), maxiter=1)
    np.testing.assert_allclose(result.x, problem.c, rtol=1e-8)
    assert result.nit == 1
    assert result.fun == problem.fun(result.x)


@pytest.mark.parametrize("start", [0.5, 2.0, 100.0])
def test_steps_that_are_too_long_are_halved(start):
    problem, seen = Hyperbola(), Until()
    result = solve(problem, [start, -start / 2.0], callback=seen, maxiter=60)
    np.testing.assert_allclose(result.x, 0.0, atol=1e-8)
    values = [
        problem.fun(np.array([start, -start / 2.0])),
        *(f for _, f in seen.iterates),
    ]
    assert (np.diff(values) <= 0.0).all()


class Apart(Hyperbola):
    """A log-loss that falls like exp(-x), with a penalty; counts Hessians."""

    penalty = 1e-4

    def __init__(self):
        self.n_hessians = 0

    def fun(self, x):
        return float((np.log1p(np.exp(-x)) + 0.5 * self.penalty * x * x).sum())

    def jac(self, x):
        return self.penalty * x - 1.0 / (1.0 + np.exp(x))

    def hess(self, x):
        self.n_hessians += 1
        p = 1.0 / (1.0 + np.exp(x))
        return np.diag(self.penalty + p * (1.0 - p))


@pytest.mark.parametrize("start", [-1.0, 0.0, 3.0])
def test_a_longer_step_is_taken_if_the_slope_is_steep_and_f_lower(start):
    problem, seen = Apart(), Until(1)
    start = np.array([start])
    solve(problem, start, callback=seen)
    x, value = seen.iterates[0]
    whole = start - problem.jac(start) / problem.hess(start)[0]
    left = (problem.jac(whole) / problem.jac(start))[0]
    length = (1.0 + left) / (1.0 - left) if left > 0.1 else 1.0
    longer = start + length * (whole - start)
    expected = longer if problem.fun(longer) < problem.fun(whole) else whole
    np.testing.assert_allclose(x, expected, rtol=1e-9)
    assert value <= problem.fun(start)


def test_convergence_is_quadratic():
    """The next gradient is f''' / (2 f''²) times the square of the last."""
    problem, seen = Apart(), Until()
    solve(problem, [0.0], callback=seen, maxiter=7)
    assert problem.n_hessians == 7
    x = seen.iterates[-1][0]
    p = 1.0 / (1.0 + np.exp(x[0]))
    factor = p * (1.0 - p) * (1.0 - 2.0 * p) / (2.0 * problem.hess(x)[0, 0] ** 2)
    gradients = [abs(float(problem.jac(x)[0])) for x, _ in seen.iterates[-4:-1]]
    for before, after in pairwise(gradients):
        assert after == pytest.approx(factor * before**2, rel=0.2)


@pytest.mark.parametrize("ulps", [1, 100])
def test_rounding_of_f_does_not_end_it_before_the_gradient_is_small(ulps):
    problem = Quadratic()
    start = problem.c + 1e-9

    calls = []

    def rounded(x):
        calls.append(x)
        return 1.0 if len(calls) == 1 else 1.0 + ulps * 2.0**-52

    result = newton_cholesky(
        rounded, start, jac=problem.jac, hess=problem.hess, maxiter=1
    )
    if ulps > 1:
        assert (result.nit, result.status) == (0, 2)
        return
    np.testing.assert_allclose(result.x, problem.c, rtol=1e-14)
    assert result.nit == 1


@pytest.mark.parametrize("count", [1, 3])
def test_callback_stops_it_at_the_iterate_that_it_saw(count):
    stop = Until(count)
    result = solve(Hyperbola(), [10.0], callback=stop)
    assert (result.nit, result.status, result.success) == (count, 99, True)
    x, fun = stop.iterates[-1]
    np.testing.assert_array_equal(result.x, x)
    assert result.fun == fun


@pytest.mark.parametrize("maxiter", [0, 1, 3])
def test_maxiter(maxiter):
    result = solve(Hyperbola(), [10.0], maxiter=maxiter)
    assert (result.nit, result.status, result.success) == (maxiter, 0, False)
    if maxiter == 0:
        assert result.x.tolist() == [10.0]


def test_no_decrease_along_the_step_ends_it():
    class WrongGradient(Quadratic):
        def jac(self, x):
            return -super().jac(x)

    result = solve(WrongGradient(), np.zeros(4))
    assert (result.nit, result.status, result.success) == (0, 2, False)
    assert result.x.tolist() == [0.0] * 4


def test_values_that_are_not_finite_are_steps_too_long():
    class Wall(Hyperbola):
        """Not finite beyond 3, as an objective that overflows."""

        def fun(self, x):
            return super().fun(x) if np.abs(x).max() <= 3.0 else np.nan

    result = solve(Wall(), [2.5], maxiter=40)
    np.testing.assert_allclose(result.x, 0.0, atol=1e-8)


def test_the_start_is_left_alone():
    start = np.zeros(4)
    solve(Quadratic(), start, maxiter=3)
    assert start.tolist() == [0.0] * 4


def test_scipy_takes_it_as_a_method():
    problem, seen = Quadratic(), Until(1)
    result = minimize(
        lambda x: 2.0 * problem.fun(x),
        np.zeros(4),
        method=newton_cholesky,
        jac=lambda x: 2.0 * problem.jac(x),
        hess=lambda x: 2.0 * problem.hess(x),
        callback=seen,
        options={"maxiter": 5},
    )
    np.testing.assert_allclose(result.x, problem.c, rtol=1e-8)
    assert result.nit == len(seen.iterates) == 1


class Saturated:
    """log(1 + exp(k y)) + log(1 + exp(-k y)) + (x - 1)²/2: flat in y far from 0."""

    k = 1e4

    def fun(self, x):
        z = self.k * x[1]
        return np.logaddexp(0.0, z) + np.logaddexp(0.0, -z) + 0.5 * (x[0] - 1.0) ** 2

    def jac(self, x):
        z = self.k * x[1]
        return np.array([x[0] - 1.0, self.k * (expit(z) - expit(-z))])

    def hess(self, x):
        z = self.k * x[1]
        return np.diag([1.0, 2.0 * self.k**2 * expit(z) * expit(-z)])


@pytest.mark.parametrize("y", [-0.03, -0.005, 0.005, 0.03])
def test_finds_the_minimum_from_a_saturated_start(y):
    """Newton's step is 1e17 long there, too long for halvings to bring it back."""
    result = solve(Saturated(), [0.0, y])
    np.testing.assert_allclose(result.x, [1.0, 0.0], atol=1e-8)


def test_finds_the_minimum_from_a_start_without_curvature():
    class Flat(Saturated):
        def hess(self, x):
            return super().hess(x) - np.diag([1.0, 0.0])

        def fun(self, x):
            return super().fun(x) - 0.5 * (x[0] - 1.0) ** 2

        def jac(self, x):
            return super().jac(x) * [0.0, 1.0]

    result = solve(Flat(), [0.0, 0.03], maxiter=200)
    assert abs(result.x[1]) < 1e-6
