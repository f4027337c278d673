"""Every solver: where it ends, why, what it reports on the way, and interrupts."""

import re
import string
import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from sknn_simple._optim import solvers as module
from sknn_simple._optim.journey import OUTCOMES, Limits
from sknn_simple._optim.solvers import (
    SOLVERS,
    Draft,
    Renewal,
    check_capability,
    minimise,
)

NONCONVEX = [n for n, solver in SOLVERS.items() if "hessian" not in solver.derivatives]
BOUNDED = [name for name, solver in SOLVERS.items() if solver.bounds]

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_nonconvex = pytest.mark.parametrize("solver", NONCONVEX)
every_bounded = pytest.mark.parametrize("solver", BOUNDED)


# Problems ---------------------------------------------------------------------------


class Quadratic:
    """½ (x - c)ᵀ A (x - c) + 1."""

    size = 6

    def __init__(self):
        rng = np.random.default_rng(0)
        Q, _ = np.linalg.qr(rng.standard_normal((self.size, self.size)))
        self.A = (Q * np.geomspace(1.0, 100.0, self.size)) @ Q.T
        self.start, self.optimum = np.zeros(self.size), rng.standard_normal(self.size)

    def value_and_grad(self, x):
        gradient = self.A @ (x - self.optimum)
        return float(0.5 * (x - self.optimum) @ gradient) + 1.0, gradient

    def hessian(self, x):
        return self.A

    def hessp(self, x, v):
        return self.hessian(x) @ v


class Logistic(Quadratic):
    """1/n Σ log(1 + exp(-m x·θ)) + ½ 0.01 |θ|², started from far away."""

    size = 3
    n_rows = 50

    def __init__(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.n_rows, self.size)) * [1.0, 3.0, 0.3]
        sign = np.where(X[:, 0] + rng.standard_normal(self.n_rows) > 0.0, 1.0, -1.0)
        self.M = X * sign[:, None]
        self.start = np.array([-1.0, 1.0, 2.0])

    def value_and_grad(self, x):
        margin = self.M @ x
        value = np.logaddexp(0.0, -margin).mean() + 0.005 * x @ x
        p = 0.5 - 0.5 * np.tanh(margin / 2.0)
        return float(value), 0.01 * x - self.M.T @ p / self.n_rows

    def hessian(self, x):
        p = 0.5 - 0.5 * np.tanh(self.M @ x / 2.0)
        weighted = self.M * (p * (1.0 - p) / self.n_rows)[:, None]
        return self.M.T @ weighted + 0.01 * np.eye(self.size)


class Separable(Logistic):
    """1 + 1/n Σ log(1 + exp(-x·θ)), x > 0: always to be lowered by a longer θ."""

    def __init__(self):
        self.M = np.abs(np.random.default_rng(0).standard_normal((50, 3)))
        self.start = np.array([-1.0, 1.0, -1.0])

    def value_and_grad(self, x):
        value, gradient = super().value_and_grad(x)
        return value - 0.005 * float(x @ x) + 1.0, gradient - 0.01 * x

    def hessian(self, x):
        return super().hessian(x) - 0.01 * np.eye(self.size)


class Rosenbrock(Quadratic):
    """(1 - x)² + 10 (y - x²)² + 1, with its curved valley."""

    size = 2

    def __init__(self):
        self.start, self.optimum = np.array([-1.2, 1.0]), np.ones(2)

    def value_and_grad(self, x):
        a, b = 1.0 - x[0], x[1] - x[0] ** 2
        gradient = np.array([-2.0 * a - 40.0 * b * x[0], 20.0 * b])
        return float(a * a + 10.0 * b * b) + 1.0, gradient

    def hessian(self, x):
        return np.array(
            [
                [2.0 - 40.0 * x[1] + 120.0 * x[0] ** 2, -40.0 * x[0]],
                [-40.0 * x[0], 20.0],
            ]
        )


class WrongGradient(Logistic):
    """A gradient that points the wrong way: no step along it lowers f."""

    def value_and_grad(self, x):
        value, gradient = super().value_and_grad(x)
        return value, -gradient


def in_unit(unit, base):
    """A problem of class `base`, its function multiplied by `unit`."""

    class InUnit(base):
        def value_and_grad(self, x):
            value, gradient = super().value_and_grad(x)
            return unit * value, unit * gradient

        def hessian(self, x):
            return unit * super().hessian(x)

    return InUnit()


class Watched:
    """A problem that keeps the points of its evaluations and may raise at one."""

    def __init__(self, problem, interrupt_at=None, during="value_and_grad"):
        self.problem, self.size, self.start = problem, problem.size, problem.start
        self.interrupt_at, self.during = interrupt_at, during
        self.calls, self.points = 0, []

    def _count(self, name):
        if name == self.during:
            self.calls += 1
            if self.calls == self.interrupt_at:
                raise KeyboardInterrupt

    def value_and_grad(self, x):
        self._count("value_and_grad")
        self.points.append(x.copy())
        return self.problem.value_and_grad(x)

    def hessp(self, x, v):
        self._count("hessp")
        return self.problem.hessp(x, v)

    def hessian(self, x):
        self._count("hessian")
        return self.problem.hessian(x)


class Diary:
    """An observer that keeps what it is told, and asks to stop at an iteration."""

    def __init__(self, stop_at=None, error=None):
        self.stop_at, self.error = stop_at, error
        self.iterates, self.events = [], ""

    def ended(self, iterate):
        self.events += "E"
        self.iterates.append(iterate)
        if iterate.n_iter == self.stop_at and self.error is not None:
            raise self.error
        return iterate.n_iter == self.stop_at

    def begins(self, problem, x):
        self.events += "B"
        assert np.array_equal(x, self.iterates[-1].x)

    def abandoned(self):
        self.events += "A"


def solve(
    problem, solver, start=None, tol=1e-8, max_iter=500, min_decrease=0.0, **kwargs
):
    return minimise(
        problem,
        problem.start if start is None else start,
        solver=solver,
        limits=Limits(tol, max_iter, min_decrease),
        **kwargs,
    )


def largest(array):
    return float(np.abs(array).max())


# Where it ends ----------------------------------------------------------------------


@every_solver
def test_convex_quadratic(solver):
    problem = Quadratic()
    result = solve(problem, solver)
    assert result.outcome == "gradient"
    np.testing.assert_allclose(result.x, problem.optimum, atol=1e-7)


@every_solver
def test_logistic_regression(solver):
    problem = Logistic()
    result = solve(problem, solver)
    assert result.outcome == "gradient"
    assert 0 < result.n_iter < 60
    # Strongly convex with constant 0.01: how near the minimum must be.
    value, gradient = problem.value_and_grad(result.x)
    assert gradient @ gradient / (2.0 * 0.01) < 1e-13 * value


@every_nonconvex
def test_curved_valley(solver):
    problem = Rosenbrock()
    result = solve(problem, solver, tol=1e-6)
    assert result.outcome == "gradient"
    np.testing.assert_allclose(result.x, problem.optimum, atol=1e-5)


@every_solver
@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-8])
def test_converged_means_that_no_gradient_entry_is_above_the_threshold(solver, tol):
    problem, diary = Logistic(), Diary()
    result = solve(problem, solver, tol=tol, observer=diary)
    assert result.outcome == "gradient"
    value, gradient = problem.value_and_grad(result.x)
    assert result.grad_norm == largest(gradient) <= tol * value
    for iterate in diary.iterates[:-1]:
        assert iterate.grad_norm > tol * min(1.0, iterate.value)


@pytest.mark.parametrize(
    ("value", "threshold"),
    [(1e300, 0.1), (2.0, 0.1), (1.0, 0.1), (0.5, 0.05), (1e-6, 1e-7), (1e-9, 1e-7)]
    + [(value, 1e-7) for value in (0.0, -3.0)],
)
def test_threshold_follows_values_below_one_but_not_to_zero(value, threshold):
    assert Limits(0.1, 5).threshold(value) == pytest.approx(threshold, rel=1e-12)


@every_solver
def test_start_at_the_optimum_takes_no_iteration(solver):
    problem = Watched(Quadratic())
    result = solve(problem, solver, start=problem.problem.optimum)
    assert (result.outcome, result.n_iter, result.values) == ("gradient", 0, [1.0])
    np.testing.assert_array_equal(result.x, problem.problem.optimum)
    assert len(problem.points) == 1


@every_solver
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_function_does_not_change_the_optimum(solver, unit):
    result = solve(in_unit(unit, Logistic), solver, tol=1e-8 * max(1.0, unit))
    assert result.outcome == "gradient"
    np.testing.assert_allclose(result.x, solve(Logistic(), solver).x, atol=1e-5)


# Why it ends ------------------------------------------------------------------------


@every_solver
@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_max_iter(solver, max_iter):
    result = solve(Logistic(), solver, tol=0.0, max_iter=max_iter)
    assert (result.outcome, result.n_iter) == ("max_iter", max_iter)


@every_solver
@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_an_observer_stops_by_returning_true(solver, stop_at):
    diary = Diary(stop_at)
    result = solve(Logistic(), solver, tol=0.0, observer=diary)
    assert (result.outcome, result.n_iter) == ("observer", stop_at)
    np.testing.assert_array_equal(result.x, diary.iterates[-1].x)


@every_solver
@pytest.mark.parametrize("unit", [1.0, 100.0])
@pytest.mark.parametrize("min_decrease", [1e-1, 1e-2, 1e-3])
def test_decrease(solver, min_decrease, unit):
    """Converged where f fell by at most this, relative to f, over ten iterations."""
    problem = in_unit(unit, Separable)
    result = solve(problem, solver, tol=-1.0, min_decrease=min_decrease)
    assert result.outcome == "decrease"
    v = np.array(result.values)
    fell = v[:-10] - v[10:]
    assert fell[-1] <= min_decrease * v[-1]
    assert (fell[:-1] > min_decrease * v[10:-1]).all()


@every_solver
def test_decrease_is_not_looked_at_before_ten_iterations(solver):
    result = solve(Separable(), solver, tol=-1.0, min_decrease=1e300)
    assert (result.outcome, result.n_iter) == ("decrease", 10)


@every_solver
def test_no_decrease_where_the_gradient_is_wrong(solver):
    problem = WrongGradient()
    result = solve(problem, solver)
    assert result.outcome == "no_decrease"
    np.testing.assert_array_equal(result.x, problem.start)
    assert set(result.values) == {problem.value_and_grad(problem.start)[0]}


@every_solver
@pytest.mark.parametrize("make", [Quadratic, Logistic])
def test_an_impossible_tol_ends_at_the_optimum(solver, make):
    """No step that float64 can represent lowers f: every solver must notice."""
    problem = make()
    result = solve(problem, solver, tol=-1.0, max_iter=2000)
    assert result.outcome == "no_decrease"
    assert largest(problem.value_and_grad(result.x)[1]) < 1e-6


@every_solver
def test_a_value_that_is_not_finite_is_not_a_step(solver):
    """Far steps may overflow; the iterates stay where f is a number."""

    class Wall(Logistic):
        def value_and_grad(self, x):
            value, gradient = super().value_and_grad(x)
            return (value if largest(x) < 2.5 else np.inf), gradient

    result = solve(Wall(), solver)
    assert np.isfinite(result.values).all()
    assert result.values[-1] <= result.values[0]


def test_newton_cg_is_started_afresh_where_the_gradient_has_become_tiny(monkeypatch):
    """SciPy's inner iteration ends at once where gᵀHg is below an absolute constant."""
    starts = []

    def noted(fun, x, *, jac, **kwargs):
        starts.append(largest(jac(x)))
        return minimize(fun, x, jac=jac, **kwargs)

    monkeypatch.setattr(module, "minimize", noted)
    often = SOLVERS["newton-cg"]._replace(reach=1e-2)
    monkeypatch.setitem(SOLVERS, "newton-cg", often)
    result = solve(Logistic(), "newton-cg", tol=1e-9)
    assert result.outcome == "gradient"
    assert len(starts) > 1
    # In the units of each run its gradient is near 1.
    assert all(0.5 <= start <= 2.0 for start in starts)


def test_outcomes_say_either_converged_or_why_not():
    for name, outcome in OUTCOMES.items():
        if outcome.converged or name == "observer":
            assert outcome.explanation == ""
        else:
            assert outcome.explanation
        fields = {
            f for _, f, _, _ in string.Formatter().parse(outcome.explanation) if f
        }
        assert fields <= {"max_iter", "solver"}


# What it reports on the way ---------------------------------------------------------


RUNS = [(solver, Quadratic) for solver in SOLVERS]
RUNS += [(solver, Logistic) for solver in SOLVERS]
RUNS += [(solver, Rosenbrock) for solver in NONCONVEX]
every_run = pytest.mark.parametrize(("solver", "make"), RUNS)


@every_run
def test_an_observer_is_told_the_start_and_every_iteration(solver, make):
    problem, diary = make(), Diary()
    result = solve(problem, solver, observer=diary)
    iterates = diary.iterates
    assert [iterate.n_iter for iterate in iterates] == list(range(result.n_iter + 1))
    assert [iterate.value for iterate in iterates] == result.values
    assert len(result.values) == result.n_iter + 1
    np.testing.assert_array_equal(iterates[0].x, problem.start)
    for iterate in iterates:  # each holds an x of its own
        value, gradient = problem.value_and_grad(iterate.x)
        assert (iterate.value, iterate.grad_norm) == (value, largest(gradient))


@every_run
@pytest.mark.parametrize("tol", [1e-8, -1.0])
def test_every_iteration_that_begins_ends_or_is_abandoned(solver, make, tol):
    diary = Diary()
    result = solve(make(), solver, tol=tol, max_iter=60, observer=diary)
    assert re.fullmatch("E(BE)*B?A", diary.events)
    assert diary.events.count("E") == result.n_iter + 1
    if result.outcome in ("gradient", "max_iter"):
        assert diary.events.endswith("EA")  # none begins that will not be


@every_run
def test_values_never_rise(solver, make):
    result = solve(make(), solver)
    assert (np.diff(result.values) <= 0.0).all()


@every_run
def test_result_is_the_last_iterate(solver, make):
    problem, diary = make(), Diary()
    result = solve(problem, solver, observer=diary)
    last = diary.iterates[-1]
    np.testing.assert_array_equal(result.x, last.x)
    assert (result.value, result.grad_norm) == (last.value, last.grad_norm)
    assert result.value == result.values[-1] == min(result.values)


@every_run
def test_no_point_is_evaluated_twice_in_a_row(solver, make):
    problem = Watched(make())
    solve(problem, solver)
    points = problem.points
    for before, after in pairwise(points):
        assert not np.array_equal(before, after)


@every_run
def test_same_call_same_bits(solver, make):
    first, second = (solve(make(), solver) for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)
    assert first.values == second.values


@every_solver
def test_the_start_is_left_alone(solver):
    problem = Logistic()
    start = problem.start.copy()
    result = solve(problem, solver, start=start)
    np.testing.assert_array_equal(start, problem.start)
    assert not np.shares_memory(result.x, start)


@every_solver
def test_warning_filters_are_left_alone(solver):
    before = list(warnings.filters)
    solve(WrongGradient(), solver)
    assert warnings.filters == before


# Interrupts and errors --------------------------------------------------------------


@every_solver
@pytest.mark.parametrize("at", range(2, 9))
def test_interrupt_keeps_the_best_iterate_so_far(solver, at):
    """Ctrl-C during the at-th evaluation of f, in the middle of a line search too."""
    problem, diary = Watched(Logistic(), at), Diary()
    result = solve(problem, solver, tol=-1.0, observer=diary)
    assert result.outcome == "interrupted"
    assert problem.calls == at  # nothing is evaluated after it
    np.testing.assert_array_equal(result.x, diary.iterates[-1].x)
    assert result.value == min(iterate.value for iterate in diary.iterates)
    assert result.value == problem.problem.value_and_grad(result.x)[0]
    assert len(result.values) == result.n_iter + 1 == len(diary.iterates)


SECOND_ORDER = [(n, d) for n, solver in SOLVERS.items() for d in solver.derivatives]


@pytest.mark.parametrize(("solver", "derivative"), SECOND_ORDER)
@pytest.mark.parametrize("at", [1, 3])
def test_interrupt_during_second_derivatives(solver, derivative, at):
    problem, diary = Watched(Logistic(), at, derivative), Diary()
    result = solve(problem, solver, tol=-1.0, observer=diary)
    assert result.outcome == "interrupted"
    np.testing.assert_array_equal(result.x, diary.iterates[-1].x)


@every_solver
@pytest.mark.parametrize("at", [0, 1, 2])
def test_interrupt_of_the_observer(solver, at):
    diary = Diary(at, KeyboardInterrupt())
    result = solve(Logistic(), solver, observer=diary)
    assert (result.outcome, result.n_iter) == ("interrupted", at)
    np.testing.assert_array_equal(result.x, diary.iterates[-1].x)
    assert result.values == [iterate.value for iterate in diary.iterates]


@every_solver
def test_interrupt_before_the_first_value_gives_the_start(solver):
    problem = Watched(Logistic(), 1)
    result = solve(problem, solver)
    assert (result.outcome, result.n_iter) == ("interrupted", 0)
    np.testing.assert_array_equal(result.x, problem.start)
    assert result.values == [problem.problem.value_and_grad(problem.start)[0]]


@every_solver
@pytest.mark.parametrize("at", [0, 1, 2])
def test_errors_of_the_observer_are_raised(solver, at):
    diary = Diary(at, ZeroDivisionError("of the observer"))
    with pytest.raises(ZeroDivisionError, match="of the observer"):
        solve(Logistic(), solver, observer=diary)
    assert diary.events.endswith("A")


@every_solver
def test_errors_of_the_problem_are_raised(solver):
    class Broken(Logistic):
        def value_and_grad(self, x):
            if not np.array_equal(x, self.start):
                raise ZeroDivisionError("of the problem")
            return super().value_and_grad(x)

    with pytest.raises(ZeroDivisionError, match="of the problem"):
        solve(Broken(), solver)


# Capability -------------------------------------------------------------------------


@every_solver
def test_bounds_are_refused_by_solvers_that_would_ignore_them(solver):
    if SOLVERS[solver].bounds:
        check_capability(solver, 10, bounded=True)
        return
    check_capability(solver, 10, bounded=False)
    with pytest.raises(ValueError, match=f"solver='{solver}'.*bounds.*lbfgs"):
        check_capability(solver, 10, bounded=True)


@every_solver
def test_a_hessian_too_large_is_refused_before_it_is_formed(solver, monkeypatch):
    monkeypatch.setattr(module, "MAX_HESSIAN_BYTES", 8 * 100**2)
    check_capability(solver, 100, bounded=False)
    if "hessian" not in SOLVERS[solver].derivatives:
        check_capability(solver, 10**9, bounded=False)
        return
    with pytest.raises(ValueError, match=f"solver='{solver}'.*101 parameters.*lbfgs"):
        check_capability(solver, 101, bounded=False)


# Bounds -----------------------------------------------------------------------------

# Of values near 50, which resolve gradients no smaller than about 1e-8.
TOL = 1e-6


@every_bounded
def test_bounds_hold_at_every_evaluation(solver):
    problem = Watched(Quadratic())
    low, high = np.full(6, -0.1), np.full(6, 0.2)
    result = solve(problem, solver, tol=TOL, bounds=(low, high))
    for x in [*problem.points, result.x]:
        assert (x >= low).all()
        assert (x <= high).all()


@every_bounded
def test_optimum_within_bounds_meets_the_conditions_of_kuhn_and_tucker(solver):
    problem = Quadratic()
    low, high = np.full(6, -np.inf), np.full(6, 0.2)
    low[:3] = -0.1
    result = solve(problem, solver, tol=TOL, bounds=(low, high))
    assert result.outcome == "gradient"
    _, gradient = problem.value_and_grad(result.x)
    at_low, at_high = result.x == low, result.x == high
    assert at_low.any() or at_high.any()
    assert (gradient[at_low] >= -TOL).all()
    assert (gradient[at_high] <= TOL).all()
    assert largest(gradient[~at_low & ~at_high]) <= TOL


@every_bounded
def test_grad_norm_leaves_out_what_bounds_forbid(solver):
    problem = Quadratic()
    result = solve(problem, solver, tol=TOL, bounds=(np.zeros(6), np.full(6, np.inf)))
    _, gradient = problem.value_and_grad(result.x)
    assert result.grad_norm <= TOL < largest(gradient)


@every_bounded
def test_infinite_bounds_are_no_bounds(solver):
    problem = Quadratic()
    bounds = np.full(6, -np.inf), np.full(6, np.inf)
    result = solve(problem, solver, tol=TOL, bounds=bounds)
    np.testing.assert_allclose(result.x, problem.optimum, atol=1e-5)


@every_bounded
def test_a_parameter_with_equal_bounds_stays(solver):
    problem = Quadratic()
    low, high = np.full(6, -np.inf), np.full(6, np.inf)
    low[2] = high[2] = 0.0
    result = solve(problem, solver, tol=TOL, bounds=(low, high))
    assert result.outcome == "gradient"
    assert result.x[2] == 0.0


@every_bounded
def test_start_at_the_optimum_on_a_bound_takes_no_iteration(solver):
    problem = Quadratic()
    bounds = np.full(6, -0.1), np.full(6, 0.1)
    first = solve(problem, solver, tol=TOL, bounds=bounds)
    again = solve(problem, solver, tol=TOL, bounds=bounds, start=first.x)
    assert (again.outcome, again.n_iter) == ("gradient", 0)


# Coordinates renewed on the way -------------------------------------------------------


class Scaled:
    """A problem over x = u · scale."""

    def __init__(self, problem, scale=1.0):
        self.problem, self.scale, self.size = problem, scale, problem.size

    def value_and_grad(self, u):
        value, gradient = self.problem.value_and_grad(u * self.scale)
        return value, gradient * self.scale

    def hessp(self, u, v):
        return self.scale * self.problem.hessp(u * self.scale, v * self.scale)

    def hessian(self, u):
        return self.scale**2 * self.problem.hessian(u * self.scale)


def renewed(first, **options):
    """Minimise with renewals; return the result in x, and the points moved from."""
    problems, moved_from = [Scaled(Rosenbrock())], []

    def renew(problem, u):
        x = u * problem.scale
        moved_from.append(x)
        problems.append(Scaled(problem.problem, 0.7 * problem.scale))
        return problems[-1], x / problems[-1].scale

    start, renewal = Rosenbrock().start, Renewal(first, renew)
    result = minimise(problems[0], start, renewal=renewal, **options)
    assert result.problem is problems[-1]
    return result._replace(x=result.x * problems[-1].scale), moved_from


@every_solver
@pytest.mark.parametrize("first", [1, 3, 1000])
def test_renewed_coordinates_end_at_the_same_minimum(solver, first):
    limits = Limits(1e-6, 500)
    result, moved_from = renewed(first, solver=solver, limits=limits)
    assert result.outcome == "gradient"
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-4)
    assert len(result.values) == result.n_iter + 1
    due = [first * 2**i for i in range(20) if first * 2**i < result.n_iter]
    assert len(moved_from) == len(due)
    for x, n_iter in zip(moved_from, due, strict=True):
        value, _ = Rosenbrock().value_and_grad(x)
        assert result.values[n_iter] == pytest.approx(value, rel=1e-12)


def test_renewals_respect_max_iter():
    for max_iter in (1, 2, 3, 5):
        limits = Limits(1e-6, max_iter)
        result, moved_from = renewed(2, solver="lbfgs", limits=limits)
        assert (result.outcome, result.n_iter) == ("max_iter", max_iter)
        assert len(moved_from) == (max_iter > 2) + (max_iter > 4)


def test_a_request_to_stop_where_a_renewal_is_due_is_heard():
    class Stopping:
        def ended(self, iterate):
            return iterate.n_iter == 2

        def begins(self, problem, x):
            pass

        def abandoned(self):
            pass

    limits = Limits(1e-6, 100)
    result, moved_from = renewed(2, solver="lbfgs", limits=limits, observer=Stopping())
    assert (result.outcome, result.n_iter) == ("observer", 2)
    assert not moved_from


def test_an_observer_sees_one_path_through_all_coordinates():
    events = []

    class Recorder:
        def ended(self, iterate):
            events.append(("ended", iterate.x * iterate.problem.scale))
            return False

        def begins(self, problem, x):
            events.append(("begins", x * problem.scale))

        def abandoned(self):
            events.append(("abandoned", None))

    limits = Limits(1e-6, 100)
    result, moved_from = renewed(2, solver="lbfgs", limits=limits, observer=Recorder())
    assert len(moved_from) > 1
    names = [name for name, _ in events]
    assert names == ["ended", "begins"] * result.n_iter + ["ended", "abandoned"]
    # An iteration begins where the last one has ended.
    points = [x for _, x in events[:-1]]
    for ended, begun in zip(points[::2], points[1::2], strict=False):
        np.testing.assert_allclose(ended, begun, rtol=1e-12)


def test_an_interrupt_of_a_renewal_keeps_the_point_and_its_coordinates():
    problem = Scaled(Rosenbrock())

    def renew(problem, u):
        raise KeyboardInterrupt

    result = minimise(
        problem,
        problem.problem.start,
        solver="lbfgs",
        limits=Limits(1e-6, 100),
        renewal=Renewal(3, renew),
    )
    assert (result.outcome, result.n_iter) == ("interrupted", 3)
    assert result.problem is problem
    assert problem.value_and_grad(result.x)[0] == result.value


def test_a_renewal_may_lower_the_value():
    def renew(problem, u):
        return problem, np.array([1.0, 1.0]) + 1e-9

    problem = Rosenbrock()
    limits = Limits(1e-6, 100)
    result = minimise(
        problem, problem.start, solver="lbfgs", limits=limits, renewal=Renewal(2, renew)
    )
    assert (result.outcome, result.n_iter) == ("gradient", 2)
    assert result.value == problem.value_and_grad(result.x)[0] == result.values[-1]


# Drafts -----------------------------------------------------------------------------


class Rough(Rosenbrock):
    """Rosenbrock's function in float32, 1e-3 too high."""

    def value_and_grad(self, x):
        rounded = x.astype(np.float32).astype(np.float64)
        value, gradient = super().value_and_grad(rounded)
        return float(np.float32(value + 1e-3)), gradient


class Following:
    """Notes what an observer is told, and asks to stop after some iterations."""

    def __init__(self, stop_after=None):
        self.told = []
        self.problems = []
        self._stop_after = stop_after

    def ended(self, iterate):
        self.told.append(("ended", iterate.n_iter))
        self.problems.append(iterate.problem)
        return iterate.n_iter == self._stop_after

    def begins(self, problem, x):
        self.told.append(("begins", len(self.problems)))

    def abandoned(self):
        self.told.append(("abandoned",))


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
@every_nonconvex
def test_a_draft_ends_at_the_exact_minimum(solver, tol):
    exact, rough = Rosenbrock(), Rough()
    following = Following()
    result = minimise(
        exact,
        exact.start,
        solver=solver,
        limits=Limits(tol, 500),
        observer=following,
        draft=Draft(rough, Limits(max(tol, 1e-4), 500), {}),
    )
    value, gradient = exact.value_and_grad(result.x)
    assert result.outcome == "gradient"
    assert result.problem is exact
    assert result.value == value == result.values[-1]
    assert result.grad_norm == np.abs(gradient).max() <= tol
    assert len(result.values) == result.n_iter + 1
    assert np.all(np.diff(result.values) < 1e-6)
    changed = following.problems.index(exact) if exact in following.problems else None
    assert (changed is None) == (tol == 1e-2)
    assert set(following.problems[:changed]) == {rough}
    steps = result.n_iter
    told = [("ended", 0)]
    for n in range(1, steps + 1):
        told += [("begins", n), ("ended", n)]
    assert following.told == [*told, ("abandoned",)]


@pytest.mark.parametrize("draft_iterations", [0, 3, 1000])
def test_a_draft_counts_towards_max_iter(draft_iterations):
    exact = Rosenbrock()
    result = minimise(
        exact,
        exact.start,
        solver="lbfgs",
        limits=Limits(1e-9, 5),
        draft=Draft(Rough(), Limits(1e-3, draft_iterations), {}),
    )
    assert (result.outcome, result.n_iter) == ("max_iter", 5)
    assert result.value == exact.value_and_grad(result.x)[0]


# The draft alone takes 19 iterations.
@pytest.mark.parametrize("stop_after", [0, 3, 19])
def test_a_request_to_stop_during_a_draft_is_heard(stop_after):
    exact, rough, following = Rosenbrock(), Rough(), Following(stop_after)
    result = minimise(
        exact,
        exact.start,
        solver="lbfgs",
        limits=Limits(1e-9, 50),
        observer=following,
        draft=Draft(rough, Limits(1e-3, 50), {}),
    )
    assert (result.outcome, result.n_iter) == ("observer", stop_after)
    assert result.problem is rough
    assert following.told[-2:] == [("ended", stop_after), ("abandoned",)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_draft_that_cannot_begin_is_left_out(value):
    class Hopeless(Rosenbrock):
        def value_and_grad(self, x):
            return value, np.full_like(x, np.nan)

    exact, following = Rosenbrock(), Following()
    options = {"solver": "lbfgs", "limits": Limits(1e-6, 100)}
    draft = Draft(Hopeless(), Limits(1e-3, 100), {})
    result = minimise(exact, exact.start, draft=draft, observer=following, **options)
    alone = minimise(exact, exact.start, **options)
    assert result.values == alone.values
    assert result.outcome == "gradient"
    assert following.told[:3] == [("ended", 0), ("begins", 1), ("ended", 1)]


@pytest.mark.parametrize("min_decrease", [0.0, 0.1])
def test_an_iteration_in_which_a_draft_finds_no_step_goes_on(min_decrease):
    """It has begun: nobody is told that it begins again."""

    class Lost(Rough):
        def value_and_grad(self, x):
            value, gradient = super().value_and_grad(x)
            return value, gradient if value > 1.8 else -gradient

    exact, following = Rosenbrock(), Following()
    result = minimise(
        exact,
        exact.start,
        solver="lbfgs",
        limits=Limits(1e-6, 100),
        observer=following,
        draft=Draft(Lost(), Limits(1e-3, 100, min_decrease), {}),
    )
    assert result.outcome == "gradient"
    told = [("ended", 0)]
    for n in range(1, result.n_iter + 1):
        told += [("begins", n), ("ended", n)]
    assert following.told == [*told, ("abandoned",)]


def test_an_interrupted_draft_keeps_its_iterate():
    class Interrupted(Rough):
        count = 0

        def value_and_grad(self, x):
            self.count += 1
            if self.count == 6:
                raise KeyboardInterrupt
            return super().value_and_grad(x)

    exact, rough = Rosenbrock(), Interrupted()
    result = minimise(
        exact,
        exact.start,
        solver="lbfgs",
        limits=Limits(1e-9, 50),
        draft=Draft(rough, Limits(1e-3, 50), {}),
    )
    assert result.outcome == "interrupted"
    assert result.problem is rough
    assert result.value == min(result.values)
    assert 0 < result.n_iter < 6


def test_options_of_a_draft_are_for_the_draft_alone(monkeypatch):
    taken, minimize = [], module.minimize

    def noted(*args, **arguments):
        taken.append(arguments["options"].get("dtype"))
        return minimize(*args, **arguments)

    monkeypatch.setattr(module, "minimize", noted)
    draft = Draft(Rough(), Limits(1e-3, 50), {"dtype": np.float32})
    exact, limits = Rosenbrock(), Limits(1e-9, 50)
    minimise(exact, exact.start, solver="lbfgs", limits=limits, draft=draft)
    assert taken == [np.float32, None]
