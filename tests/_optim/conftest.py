"""Functions to minimise, linear maps, and runs of a solver."""

from typing import NamedTuple

import numpy as np
import pytest

from sknn_simple._optim.history import History
from sknn_simple._optim.minimize import minimize
from sknn_simple._optim.stopping import StoppingCriteria

# Functions ----------------------------------------------------------------------------


class DenseCurvature:
    """A Hessian that is written down."""

    def __init__(self, hessian):
        self._hessian = hessian

    def matrix(self):
        return self._hessian.copy()

    def product(self, v):
        return self._hessian @ v


class Smooth:
    """A function with `start`, perhaps an `optimum`, and a written Hessian."""

    size: int
    start: np.ndarray

    def value_and_grad(self, theta):
        raise NotImplementedError

    def hessian(self, theta):
        raise NotImplementedError

    def value(self, theta):
        return self.value_and_grad(theta)[0]

    def curvature(self, theta):
        return DenseCurvature(self.hessian(theta))

    def times(self, unit):
        """Return the same function, multiplied by a number."""
        return Multiple(self, unit)


class Multiple(Smooth):
    """unit · f."""

    def __init__(self, function, unit):
        self.function, self.unit = function, unit
        self.size, self.start = function.size, function.start

    def value_and_grad(self, theta):
        value, gradient = self.function.value_and_grad(theta)
        return self.unit * value, self.unit * gradient

    def hessian(self, theta):
        return self.unit * self.function.hessian(theta)


class Altered(Smooth):
    """A function whose value and gradient another one returns."""

    def __init__(self, function, value_and_grad):
        self.function, self.evaluate = function, value_and_grad
        self.size, self.start = function.size, function.start

    def value_and_grad(self, theta):
        return self.evaluate(theta)

    def hessian(self, theta):
        return self.function.hessian(theta)


class Quadratic(Smooth):
    """½ (θ - c)ᵀ A (θ - c) + 1."""

    size = 6

    def __init__(self):
        rng = np.random.default_rng(0)
        Q, _ = np.linalg.qr(rng.standard_normal((self.size, self.size)))
        self.A = (Q * np.geomspace(1.0, 100.0, self.size)) @ Q.T
        self.start, self.optimum = np.zeros(self.size), rng.standard_normal(self.size)

    def value_and_grad(self, theta):
        gradient = self.A @ (theta - self.optimum)
        return float(0.5 * (theta - self.optimum) @ gradient) + 1.0, gradient

    def hessian(self, theta):
        return self.A


class Logistic(Smooth):
    """1/n Σ log(1 + exp(-m x·θ)) + ½ α |θ|² + c, started from far away."""

    size = 3

    def __init__(self, alpha=0.01, constant=0.0):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((50, self.size)) * [1.0, 3.0, 0.3]
        sign = np.where(X[:, 0] + rng.standard_normal(50) > 0.0, 1.0, -1.0)
        self.M, self.alpha, self.constant = X * sign[:, None], alpha, constant
        self.start = np.array([-1.0, 1.0, 2.0])

    def value_and_grad(self, theta):
        margin = self.M @ theta
        value = np.logaddexp(0.0, -margin).mean() + 0.5 * self.alpha * theta @ theta
        p = 0.5 - 0.5 * np.tanh(margin / 2.0)
        gradient = self.alpha * theta - self.M.T @ p / len(p)
        return float(value) + self.constant, gradient

    def hessian(self, theta):
        p = 0.5 - 0.5 * np.tanh(self.M @ theta / 2.0)
        weighted = self.M * (p * (1.0 - p) / len(p))[:, None]
        return self.M.T @ weighted + self.alpha * np.eye(self.size)


class Separable(Logistic):
    """1 + 1/n Σ log(1 + exp(-x·θ)), x > 0: a longer θ always lowers it."""

    def __init__(self):
        super().__init__(alpha=0.0, constant=1.0)
        self.M = np.abs(np.random.default_rng(0).standard_normal((50, 3)))
        self.start = np.array([-1.0, 1.0, -1.0])


class Rosenbrock(Smooth):
    """(1 - x)² + 10 (y - x²)² + 1, with its curved valley."""

    size = 2

    def __init__(self):
        self.start, self.optimum = np.array([-1.2, 1.0]), np.ones(2)

    def value_and_grad(self, theta):
        x, y = theta
        a, b = 1.0 - x, y - x**2
        gradient = np.array([-2.0 * a - 40.0 * b * x, 20.0 * b])
        return float(a * a + 10.0 * b * b) + 1.0, gradient

    def hessian(self, theta):
        x, y = theta
        return np.array([[2.0 - 40.0 * y + 120.0 * x**2, -40.0 * x], [-40.0 * x, 20.0]])


class WrongGradient(Logistic):
    """The gradient points the wrong way: no step along it lowers f."""

    def value_and_grad(self, theta):
        value, gradient = super().value_and_grad(theta)
        return value, -gradient


class Watched:
    """A function that keeps the points of its evaluations and may interrupt a call.

    `during` is "value_and_grad", "curvature", "product" or "matrix", whose `calls` are
    counted, and `interrupt_at` the number of the call, from 1.
    """

    def __init__(self, function, interrupt_at=None, during="value_and_grad"):
        self.function, self.size, self.start = function, function.size, function.start
        self.interrupt_at, self.during = interrupt_at, during
        self.calls, self.points = 0, []

    def count(self, name):
        if name == self.during:
            self.calls += 1
            if self.calls == self.interrupt_at:
                raise KeyboardInterrupt

    def value_and_grad(self, theta):
        self.count("value_and_grad")
        self.points.append(theta.copy())
        return self.function.value_and_grad(theta)

    def curvature(self, theta):
        self.count("curvature")
        return WatchedCurvature(self, self.function.curvature(theta))


class WatchedCurvature:
    def __init__(self, watched, curvature):
        self._watched, self._curvature = watched, curvature

    def product(self, v):
        self._watched.count("product")
        return self._curvature.product(v)

    def matrix(self):
        self._watched.count("matrix")
        return self._curvature.matrix()


@pytest.fixture
def quadratic():
    return Quadratic()


@pytest.fixture
def logistic():
    return Logistic()


@pytest.fixture
def separable():
    return Separable()


@pytest.fixture
def rosenbrock():
    return Rosenbrock()


@pytest.fixture
def wrong_gradient():
    return WrongGradient()


@pytest.fixture
def altered():
    return Altered


@pytest.fixture
def watched():
    return Watched


# Maps ---------------------------------------------------------------------------------


class LinearMap:
    """θ = T u with any invertible T."""

    def __init__(self, T, gradient_unit=1.0):
        self.T, self.gradient_unit = np.asarray(T, dtype=float), gradient_unit

    def to_theta(self, u):
        return self.T @ u

    def from_theta(self, theta):
        return np.linalg.solve(self.T, theta)

    def pull_back(self, gradient):
        return self.T.T @ gradient

    def congruence(self, hessian):
        return self.T.T @ hessian @ self.T


@pytest.fixture
def linear_map():
    return LinearMap


@pytest.fixture
def any_map():
    """Return a map that mixes all parameters, for a size and a seed."""

    def draw(size, seed=0):
        rng = np.random.default_rng(seed)
        Q, _ = np.linalg.qr(rng.standard_normal((size, size)))
        return LinearMap(Q * rng.uniform(0.5, 2.0, size))

    return draw


# Runs ---------------------------------------------------------------------------------


class Run(NamedTuple):
    """What a run has led to, and the history that it continued."""

    theta: np.ndarray
    outcome: str
    history: History

    @property
    def value(self):
        return self.history.values[-1]


@pytest.fixture
def solve():
    """Return a function that minimises, by default from `start` and without a map."""

    def run(
        problem,
        solver,
        *,
        start=None,
        tol=1e-8,
        max_iter=500,
        min_decrease=0.0,
        preconditioner=None,
        history=None,
        observer=None,
        bounds=None,
    ):
        if history is None:
            history = History(() if observer is None else [observer])
        theta, outcome = minimize(
            problem,
            problem.start if start is None else start,
            preconditioner or LinearMap(np.eye(problem.size)),
            StoppingCriteria(tol, max_iter, min_decrease),
            history,
            solver=solver,
            bounds=bounds,
        )
        return Run(theta, outcome, history)

    return run
