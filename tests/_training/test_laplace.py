"""The Laplace approximation against one that is written out as a dense matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification, make_multilabel_classification

from sknn_simple._training.heuristics import BIAS_ROWS
from sknn_simple._training.laplace import Likelihood, lanczos, laplace

BOUNDS = (1e-4, 1e5)
MANY = BIAS_ROWS + 1
ALPHAS = [1e-3, 0.3, 20.0, 4e3]
each_alpha = pytest.mark.parametrize("alpha", ALPHAS)

BINARY = make_classification(80, 6, n_informative=3, flip_y=0.2, random_state=0)
SOFTMAX = make_classification(
    90, 5, n_informative=4, n_redundant=1, n_classes=3, random_state=1
)
LABELS = make_multilabel_classification(70, 4, n_classes=3, random_state=2)
# So many outputs that the rows of the biases are not formed.
COLUMNS = np.random.default_rng(3).standard_normal((2 * MANY, 2))
MANY_CLASSES = (COLUMNS, np.arange(2 * MANY) % MANY)
MANY_LABELS = make_multilabel_classification(60, 2, n_classes=MANY, random_state=4)
CONSTANT = (np.insert(BINARY[0], [0, 3], 2.0, axis=1), BINARY[1])
WEIGHTS = np.random.default_rng(0).uniform(0.5, 3.0, 80)

# Data, weights of the rows, and fields of the spec.
CASES = {
    "two classes": (BINARY, None, {}),
    "weights": (BINARY, WEIGHTS, {}),
    "three classes": (SOFTMAX, None, {}),
    "labels": (LABELS, None, {}),
    "many classes": (MANY_CLASSES, WEIGHTS[: 2 * MANY], {}),
    "many labels": (MANY_LABELS, WEIGHTS[:60], {"standardize": False}),
    "no intercept": (BINARY, None, {"fit_intercept": False}),
    "three classes, no intercept": (SOFTMAX, None, {"fit_intercept": False}),
    "raw columns": (BINARY, None, {"standardize": False}),
    "raw columns of three classes": (SOFTMAX, None, {"standardize": False}),
    "constant columns": (CONSTANT, None, {}),
    "raw constant columns": (
        CONSTANT,
        None,
        {"standardize": False, "fit_intercept": False},
    ),
}


class Dense:
    """The same Gaussian, from differences of the gradient and whole determinants."""

    def __init__(self, J, theta, penalty_unit, held, total):
        penalty = J.penalty_root**2
        h = 1e-3

        def difference(e):
            return J.value_and_grad(theta + e)[1] - J.value_and_grad(theta - e)[1]

        # The central difference of fourth order.
        rows = [
            8.0 * difference(h * e) - difference(2.0 * h * e) for e in np.eye(J.size)
        ]
        hessian = total * (np.array(rows) / (12.0 * h) - np.diag(penalty))
        value, gradient = J.value_and_grad(theta)
        self.loss = total * (value - 0.5 * penalty @ theta**2)
        # Columns: the free weights in units of the penalty, then the biases' freedom.
        free = np.flatnonzero((penalty_unit > 0.0) & ~held)
        places = np.arange(J.size)[J.network.layout.slices.get("intercept", slice(0))]
        steps = np.eye(J.size)[:, places]
        if J.loss.shift_invariant and len(places):
            equal = np.full((len(places), 1), len(places) ** -0.5)
            steps = steps @ np.linalg.svd(equal)[0][:, 1:]
        self.basis = np.hstack([np.eye(J.size)[:, free] / penalty_unit[free], steps])
        self.d, self.n_biases = len(free), steps.shape[1]
        self.theta, self.weights = theta, penalty_unit[free] * theta[free]
        self.hessian = self.basis.T @ hessian @ self.basis
        self.gradient = total * self.basis.T @ (gradient - penalty * theta)
        self.prior = np.append(np.ones(self.d), np.zeros(self.n_biases))

    def step(self, alpha):
        w = np.append(self.weights, np.zeros(self.n_biases))
        matrix = self.hessian + alpha * np.diag(self.prior)
        return -np.linalg.solve(matrix, self.gradient + alpha * w)

    def mode(self, alpha):
        return self.theta + self.basis @ self.step(alpha)

    def n_effective(self, alpha):
        inverse = np.linalg.inv(self.hessian + alpha * np.diag(self.prior))
        return self.d - alpha * np.trace(inverse[: self.d, : self.d])

    def log_evidence(self, alpha, step=0.0):
        """The integral of likelihood times prior, with a step to the mode."""
        step = step * np.ones(len(self.prior))
        w = self.weights + step[: self.d]
        loss = self.loss + self.gradient @ step + 0.5 * step @ self.hessian @ step
        sign, log_det = np.linalg.slogdet(self.hessian + alpha * np.diag(self.prior))
        assert sign == 1.0
        constant = 0.5 * self.n_biases * np.log(2.0 * np.pi)
        volume = 0.5 * self.d * np.log(alpha) + constant - 0.5 * log_det
        return volume - loss - 0.5 * alpha * w @ w


@pytest.fixture(params=CASES)
def case(request, training_set, linear_spec, problem_of):
    """The arguments of `laplace`, at a point that is not the minimum."""
    (X, y), weight, fields = CASES[request.param]
    data = training_set(X, y, weight)
    problem = problem_of(linear_spec(data, **fields), data)
    theta = 0.3 * np.random.default_rng(0).standard_normal(problem.objective.size)
    held = np.zeros(len(theta), bool)
    return problem.linear, theta, problem.penalty_unit, held, data.total_weight


def at(case, max_size=1000):
    """The approximation: by the Hessian, or for max_size=0 by Lanczos' method."""
    J, theta, penalty_unit, held, total = case
    loss = J.over(J.blocks, np.zeros(J.size))
    unit = np.where(held, 0.0, penalty_unit)
    return laplace(Likelihood(loss, total, unit, max_size), theta)


def both(case, max_size=1000):
    return at(case, max_size), Dense(*case)


def with_held_weights(arguments):
    J, theta, unit, held, total = arguments
    theta, held = theta.copy(), held.copy()
    held[[1, 4]], theta[[1, 4]] = True, 0.0
    return J, theta, unit, held, total


@each_alpha
@pytest.mark.parametrize("change", [lambda case: case, with_held_weights])
def test_the_gaussian_is_that_of_the_dense_matrix(alpha, change, case):
    arguments = change(case)
    got, expected = both(arguments)
    assert_allclose(got.n_effective(alpha), expected.n_effective(alpha), rtol=1e-5)
    assert_allclose(got.log_evidence(alpha), expected.log_evidence(alpha), rtol=1e-6)
    mode, dense = got.mode(alpha), expected.mode(alpha)
    assert_allclose(mode, dense, rtol=1e-4, atol=1e-6)
    assert_array_equal(mode[arguments[3]], 0.0)


@each_alpha
def test_the_best_alpha_is_a_maximum_of_the_evidence(alpha, case):
    got, expected = both(case)
    best = got.best_alpha(alpha, BOUNDS)
    assert BOUNDS[0] * 0.999 <= best <= BOUNDS[1] * 1.001

    def evidence(a):
        return expected.log_evidence(a, expected.step(a))

    # Uphill from the start, and not beyond the top unless the search ends there.
    assert evidence(best) >= evidence(alpha) - 1e-8
    if 1.1e-4 < best < 9e4:  # else the search ended at a bound
        assert evidence(best) >= max(evidence(0.97 * best), evidence(1.03 * best))
        w = got.curvature.weights(got.mode(best))
        assert_allclose(best * w @ w, got.n_effective(best), rtol=1e-6)


@pytest.mark.parametrize("bounds", [(1e-4, 0.01), (50.0, 1e5)])
def test_the_best_alpha_is_within_the_bounds(bounds, case):
    for start in bounds:
        best = at(case).best_alpha(start, bounds)
        assert bounds[0] * 0.999 <= best <= bounds[1] * 1.001


def test_softmax_does_not_depend_on_an_equal_shift_of_all_outputs(
    training_set, linear_spec, problem_of
):
    for n_classes, max_size in ((3, 1000), (40, 1000), (40, 0)):
        X, y = make_classification(
            400, 8, n_informative=8, n_redundant=0, n_classes=n_classes, random_state=0
        )
        data = training_set(X, y)
        problem = problem_of(linear_spec(data), data)
        theta = 0.1 * np.random.default_rng(0).standard_normal(problem.objective.size)
        shifted = theta.copy()
        problem.objective.network.layout.views(shifted)["intercept"][...] += 3.0
        none = np.zeros(len(theta), bool)
        one, other = (
            at((problem.linear, t, problem.penalty_unit, none, 400.0), max_size)
            for t in (theta, shifted)
        )
        for alpha in ALPHAS:
            assert_allclose(one.n_effective(alpha), other.n_effective(alpha), rtol=1e-9)
            assert_allclose(
                one.log_evidence(alpha), other.log_evidence(alpha), rtol=1e-9
            )
            weights = one.curvature.free
            assert_allclose(
                one.mode(alpha)[weights], other.mode(alpha)[weights], atol=1e-8
            )
            # The Newton step has no part along the shift.
            moved = (other.mode(alpha) - shifted)[one.curvature.places].sum()
            assert abs(moved) < 1e-8


def test_without_free_weights_alpha_stays(case):
    J, theta, unit, _, total = case
    arguments = J, np.zeros_like(theta), unit, np.ones(len(theta), bool), total
    for max_size in (1000, 0):
        got, expected = both(arguments, max_size)
        assert got.best_alpha(2.0, BOUNDS) == 2.0
        assert got.n_effective(2.0) == 0.0
        assert_allclose(
            got.log_evidence(2.0), expected.log_evidence(2.0), rtol=1e-6, atol=1e-12
        )
        assert_allclose(got.mode(2.0), expected.mode(2.0), rtol=1e-5, atol=1e-7)


# Lanczos' method ----------------------------------------------------------------------


@pytest.mark.parametrize("change", [lambda case: case, with_held_weights])
def test_lanczos_equals_the_hessian_if_it_takes_as_many_steps(
    change, case, monkeypatch
):
    arguments = change(case)
    exact = at(arguments)
    for name, count in (("LANCZOS_STEPS", 1000), ("LANCZOS_PROBES", 200)):
        monkeypatch.setattr(f"sknn_simple._training.laplace.{name}", count)
    got = at(arguments, 0)
    assert got.curvature.hessian is None
    # What is left is the noise of the probes.
    noise = 0.05 * len(exact.curvature.free)
    for alpha in ALPHAS:
        assert_allclose(got.mode(alpha), exact.mode(alpha), rtol=1e-5, atol=1e-7)
        assert_allclose(got.n_effective(alpha), exact.n_effective(alpha), atol=noise)
        expected = exact.log_evidence(alpha)
        assert_allclose(got.log_evidence(alpha), expected, atol=3.0 * noise)


@pytest.fixture
def digits_case(digits, training_set, linear_spec, problem_of, fit):
    """At the minimum for alpha=10: 650 parameters, some of constant columns."""
    data = training_set(*digits)
    problem = problem_of(linear_spec(data, alpha=10.0), data)
    theta = problem.from_raw(fit(linear_spec(data, alpha=10.0), data).parameters)
    held = np.zeros(len(theta), bool)
    return problem.linear, theta, problem.penalty_unit, held, data.total_weight


def test_the_default_probes_are_accurate_to_tens_of_per_cent(digits_case):
    exact, got = at(digits_case), at(digits_case, 0)
    assert exact.curvature.hessian is not None
    for alpha in (1.0, 10.0, 100.0):
        assert_allclose(got.n_effective(alpha), exact.n_effective(alpha), rtol=0.2)
    for start in (3.0, 30.0):
        best = exact.best_alpha(start, BOUNDS)
        assert_allclose(got.best_alpha(start, BOUNDS), best, rtol=0.3)
    assert_allclose(got.mode(20.0), exact.mode(20.0), atol=0.02)


@pytest.mark.parametrize("rank", [0, 3, 12])
def test_the_quadrature_is_exact_in_as_many_steps_as_dimensions(rank):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((12, rank))
    A, start = root @ root.T, rng.standard_normal(12)
    basis, values, first = lanczos(lambda v: A @ v, start, 100)
    assert len(values) <= rank + 1
    assert_allclose(basis.T @ basis, np.eye(len(values)), atol=1e-12)
    exact = np.linalg.solve(A + 0.5 * np.eye(12), start)
    norm = np.linalg.norm(start)
    assert_allclose(basis @ (norm * first / (values + 0.5)), exact, atol=1e-9)
    assert_allclose(norm**2 * first**2 @ (1 / (values + 0.5)), start @ exact)


def test_the_quadrature_of_a_zero_vector_is_zero():
    basis, values, first = lanczos(lambda v: v, np.zeros(4), 10)
    assert not (basis @ first).any()
    assert np.isfinite(values).all()
