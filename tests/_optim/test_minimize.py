"""Every solver of the table: where it ends, with any map, and what it reports."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from sknn_simple._optim.bounds import sign_bounds
from sknn_simple._optim.minimize import SOLVERS

NONCONVEX = [name for name, row in SOLVERS.items() if not row.needs_matrix]
BOUNDED = [name for name, row in SOLVERS.items() if row.bounds]

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_nonconvex = pytest.mark.parametrize("solver", NONCONVEX)
every_bounded = pytest.mark.parametrize("solver", BOUNDED)

RUNS = [(solver, name) for solver in SOLVERS for name in ("quadratic", "logistic")]
RUNS += [(solver, "rosenbrock") for solver in NONCONVEX]
every_run = pytest.mark.parametrize(("solver", "name"), RUNS)


@pytest.fixture
def problem(request, name):
    return request.getfixturevalue(name)


def largest(array):
    return float(np.abs(array).max())


# Where it ends ------------------------------------------------------------------------


@every_solver
def test_convex_quadratic(solver, quadratic, solve):
    run = solve(quadratic, solver)
    assert run.outcome == "gradient"
    np.testing.assert_allclose(run.theta, quadratic.optimum, atol=1e-7)


@every_solver
def test_logistic_regression(solver, logistic, solve):
    run = solve(logistic, solver)
    assert run.outcome == "gradient"
    # Strongly convex with constant α: how near the minimum must be.
    value, gradient = logistic.value_and_grad(run.theta)
    assert gradient @ gradient / (2.0 * logistic.alpha) < 1e-13 * value


@every_nonconvex
def test_curved_valley(solver, rosenbrock, solve):
    run = solve(rosenbrock, solver, tol=1e-6)
    assert run.outcome == "gradient"
    np.testing.assert_allclose(run.theta, rosenbrock.optimum, atol=1e-5)


@every_run
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_over_theta_does_not_depend_on_the_preconditioner(
    solver, problem, seed, any_map, solve
):
    preconditioner = any_map(problem.size, seed)
    run = solve(problem, solver, preconditioner=preconditioner, tol=1e-7)
    assert run.outcome == "gradient"
    expected = solve(problem, solver, tol=1e-7).theta
    np.testing.assert_allclose(run.theta, expected, atol=1e-5)


@every_solver
def test_the_start_is_given_over_theta(solver, logistic, any_map, recorder, solve):
    observer = recorder()
    preconditioner = any_map(logistic.size)
    solve(logistic, solver, preconditioner=preconditioner, observer=observer)
    np.testing.assert_allclose(observer.iterates[0].theta, logistic.start, rtol=1e-12)
    assert observer.iterates[0].value == pytest.approx(
        logistic.value(logistic.start), rel=1e-12
    )


@every_solver
@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-8])
def test_converged_means_that_no_gradient_entry_is_above_the_threshold(
    solver, tol, logistic, recorder, solve
):
    observer = recorder()
    run = solve(logistic, solver, tol=tol, observer=observer)
    assert run.outcome == "gradient"
    value, gradient = logistic.value_and_grad(run.theta)
    assert run.history.grad_norm == largest(gradient) <= tol * value
    for iterate in observer.iterates[:-1]:
        assert iterate.grad_norm > tol * min(1.0, iterate.value)


@every_solver
def test_gradients_are_compared_over_u_in_the_unit_of_the_preconditioner(
    solver, logistic, linear_map, solve
):
    T = np.diag([1.0, 0.1, 7.0])
    run = solve(logistic, solver, tol=1e-4, preconditioner=linear_map(T, 0.5))
    assert run.outcome == "gradient"
    value, gradient = logistic.value_and_grad(run.theta)
    expected = 0.5 * largest(T @ gradient)
    assert run.history.grad_norm == pytest.approx(expected, rel=1e-6)
    assert expected <= 1e-4 * value


@every_solver
def test_start_at_the_optimum_takes_no_iteration(solver, quadratic, watched, solve):
    problem = watched(quadratic)
    run = solve(problem, solver, start=quadratic.optimum)
    assert (run.outcome, run.history.values) == ("gradient", [1.0])
    np.testing.assert_array_equal(run.theta, quadratic.optimum)
    assert len(problem.points) == 1


@every_solver
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_function_does_not_change_the_optimum(
    solver, unit, logistic, solve
):
    run = solve(logistic.times(unit), solver, tol=1e-8 * max(1.0, unit))
    assert run.outcome == "gradient"
    np.testing.assert_allclose(run.theta, solve(logistic, solver).theta, atol=1e-5)


@every_solver
@pytest.mark.parametrize("far", [2.5, 100.0])
def test_a_value_that_overflows_is_not_a_step(
    solver, far, logistic, altered, recorder, solve
):
    """Far steps may overflow, silently; the iterates stay where f is a number."""

    def wall(theta):
        value, gradient = logistic.value_and_grad(theta)
        if largest(theta) >= far:
            value *= np.exp(np.float64(1e4))
        return value, gradient

    observer = recorder()
    run = solve(altered(logistic, wall), solver, observer=observer)
    assert np.isfinite(run.history.values).all()
    assert run.value <= run.history.values[0]
    assert all(largest(iterate.theta) < far for iterate in observer.iterates)
    if far == 100.0:  # the optimum is not behind the wall
        np.testing.assert_allclose(run.theta, solve(logistic, solver).theta, atol=1e-6)


# Other methods ------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """Return a function that enters a method into the table of solvers."""

    def enter(method, name="scripted", **changes):
        row = SOLVERS["lbfgs"]._replace(method=method, **changes)
        monkeypatch.setitem(SOLVERS, name, row)
        return name

    return enter


def test_a_solver_is_started_again_if_the_gradient_is_out_of_its_reach(
    logistic, solve, scripted
):
    """SciPy's Newton-CG ends at once if gᵀHg is below an absolute constant.

    Each of its runs gets f in units in which the gradient at the start is near 1.
    """
    runs = []

    def newton_cg(fun, x0, args=(), *, jac, hessp, callback, **options):
        norms = [largest(jac(x0))]
        runs.append(norms)

        def follow(intermediate_result):
            norms.append(largest(jac(intermediate_result.x)))
            callback(intermediate_result)

        kept = {name: options[name] for name in ("xtol", "maxiter")}
        functions = {"jac": jac, "hessp": hessp, "callback": follow}
        return optimize.minimize(fun, x0, method="Newton-CG", options=kept, **functions)

    row = SOLVERS["newton-cg"]
    changes = {"derivatives": row.derivatives, "options": row.options}
    run = solve(logistic, scripted(newton_cg, reach=1e-2, **changes), tol=1e-9)
    assert run.outcome == "gradient"
    assert len(runs) > 1
    for first, *others in runs:
        assert 0.5 <= first <= 2.0
        assert all(norm >= 1e-2 * first for norm in others[:-1])


def test_a_method_may_write_into_its_own_array(quadratic, solve, scripted):
    def in_place(fun, x0, args=(), *, jac, callback, **_):
        x = x0.copy()
        for _ in range(3):
            x -= 1e-3 * jac(x)
            callback(optimize.OptimizeResult(x=x, fun=fun(x)))
        x += 1e3
        raise KeyboardInterrupt

    run = solve(quadratic, scripted(in_place))
    assert run.outcome == "interrupted"
    assert run.value == quadratic.value(run.theta)


def test_each_run_of_a_method_may_reject_steps(quadratic, solve, scripted):
    """Those that the run before rejected at its end do not count."""

    def rejecting(fun, x0, args=(), *, jac, callback, **_):
        lower = x0 - 1e-3 * jac(x0)
        reported = [x0] * 3 + [lower] * 100
        try:
            for x in reported:
                callback(optimize.OptimizeResult(x=x, fun=fun(x)))
        except StopIteration:
            pass

    run = solve(quadratic, scripted(rejecting), max_iter=200)
    assert run.outcome == "max_iter"
    # Each run takes a step, and ends after 25 that are rejected.
    assert len(set(run.history.values)) == 1 + 200 // 29 + 1


# What it reports on the way -----------------------------------------------------------


@every_run
def test_an_observer_is_told_the_start_and_every_iteration(
    solver, problem, recorder, solve
):
    observer = recorder()
    history = solve(problem, solver, observer=observer).history
    iterates = observer.iterates
    assert [iterate.n_iter for iterate in iterates] == list(range(history.n_iter + 1))
    assert [iterate.value for iterate in iterates] == history.values
    np.testing.assert_array_equal(iterates[0].theta, problem.start)
    for iterate in iterates:  # each holds a θ of its own
        value, gradient = problem.value_and_grad(iterate.theta)
        assert (iterate.value, iterate.grad_norm) == (value, largest(gradient))
        assert iterate.target == 1e-8 * min(1.0, value)


@every_run
def test_observers_are_told_theta_with_any_preconditioner(
    solver, problem, any_map, recorder, solve
):
    observer, preconditioner = recorder(), any_map(problem.size)
    run = solve(
        problem, solver, preconditioner=preconditioner, observer=observer, tol=1e-6
    )
    for iterate in observer.iterates:
        assert iterate.value == problem.value(iterate.theta)
    np.testing.assert_allclose(run.theta, observer.iterates[-1].theta, rtol=1e-12)
    np.testing.assert_array_equal(observer.begun_at, observer.iterates[-2].theta)


@every_run
@pytest.mark.parametrize("tol", [1e-8, -1.0])
def test_every_iteration_that_begins_ends_or_finds_no_step(
    solver, problem, tol, recorder, solve
):
    observer = recorder()
    run = solve(problem, solver, tol=tol, max_iter=60, observer=observer)
    assert re.fullmatch("E(BE)*B?", observer.events)
    assert observer.events.count("E") == run.history.n_iter + 1
    if run.outcome in ("gradient", "max_iter"):
        assert observer.events.endswith("E")  # no iteration begins in vain


@every_run
def test_values_never_rise(solver, problem, solve):
    assert (np.diff(solve(problem, solver).history.values) <= 0.0).all()


@every_run
def test_the_last_iterate_is_returned(solver, problem, recorder, solve):
    observer = recorder()
    run = solve(problem, solver, observer=observer)
    last = observer.iterates[-1]
    np.testing.assert_array_equal(run.theta, last.theta)
    assert (run.value, run.history.grad_norm) == (last.value, last.grad_norm)
    assert run.value == min(run.history.values)


@every_run
def test_no_point_is_evaluated_twice_in_a_row(solver, problem, watched, solve):
    watching = watched(problem)
    solve(watching, solver)
    for before, after in pairwise(watching.points):
        assert not np.array_equal(before, after)


@every_run
def test_same_call_same_bits(solver, problem, any_map, solve):
    preconditioner = any_map(problem.size)
    first, second = (
        solve(problem, solver, tol=1e-6, preconditioner=preconditioner)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.theta, second.theta)
    assert first.history.values == second.history.values


@every_solver
def test_the_start_is_left_alone(solver, logistic, solve):
    start = logistic.start.copy()
    run = solve(logistic, solver, start=start)
    np.testing.assert_array_equal(start, logistic.start)
    assert not np.shares_memory(run.theta, start)


@every_solver
def test_warning_filters_are_left_alone(solver, wrong_gradient, solve):
    before = list(warnings.filters)
    solve(wrong_gradient, solver)
    assert warnings.filters == before


# Bounds -------------------------------------------------------------------------------

# Of values near 50, which resolve gradients no smaller than about 1e-8.
TOL = 1e-6
SIGNS = np.array([1.0, -1.0, 1.0, 0.0, -1.0, 1.0])


@pytest.fixture
def map_within_bounds(linear_map):
    """Return a map with positive scales, which keeps bounds at 0."""
    return linear_map(np.diag([1.0, 0.1, 3.0, 0.5, 1.0, 2.0]))


@every_bounded
def test_bounds_hold_at_every_evaluation(
    solver, quadratic, map_within_bounds, watched, solve
):
    problem, bounds = watched(quadratic), sign_bounds(SIGNS)
    assert bounds is not None
    run = solve(
        problem, solver, tol=TOL, bounds=bounds, preconditioner=map_within_bounds
    )
    low, high = bounds
    for theta in [*problem.points, run.theta]:
        assert (theta >= low).all()
        assert (theta <= high).all()


@every_bounded
@pytest.mark.parametrize("mapped", [False, True])
def test_optimum_within_bounds_meets_the_conditions_of_kuhn_and_tucker(
    solver, mapped, quadratic, map_within_bounds, solve
):
    run = solve(
        quadratic,
        solver,
        tol=TOL,
        bounds=sign_bounds(SIGNS),
        preconditioner=map_within_bounds if mapped else None,
    )
    assert run.outcome == "gradient"
    _, gradient = quadratic.value_and_grad(run.theta)
    at_bound = (run.theta == 0.0) & (SIGNS != 0.0)
    assert at_bound.any()
    assert not at_bound.all()
    error = 10.0 * TOL if mapped else TOL  # the smallest scale is 0.1
    assert (gradient[at_bound] * SIGNS[at_bound] >= -error).all()
    assert largest(gradient[~at_bound]) <= error


@every_bounded
def test_grad_norm_leaves_out_what_bounds_forbid(solver, quadratic, solve):
    bounds = (np.zeros(6), np.full(6, np.inf))
    run = solve(quadratic, solver, tol=TOL, bounds=bounds)
    _, gradient = quadratic.value_and_grad(run.theta)
    assert run.history.grad_norm <= TOL < largest(gradient)


@every_bounded
def test_infinite_bounds_are_no_bounds(solver, quadratic, solve):
    bounds = np.full(6, -np.inf), np.full(6, np.inf)
    run = solve(quadratic, solver, tol=TOL, bounds=bounds)
    np.testing.assert_allclose(run.theta, quadratic.optimum, atol=1e-5)


@every_bounded
def test_a_parameter_with_equal_bounds_stays(solver, quadratic, solve):
    low, high = np.full(6, -np.inf), np.full(6, np.inf)
    low[2] = high[2] = 0.0
    run = solve(quadratic, solver, tol=TOL, bounds=(low, high))
    assert run.outcome == "gradient"
    assert run.theta[2] == 0.0


@every_bounded
def test_start_at_the_optimum_on_a_bound_takes_no_iteration(solver, quadratic, solve):
    bounds = sign_bounds(SIGNS)
    first = solve(quadratic, solver, tol=TOL, bounds=bounds)
    again = solve(quadratic, solver, tol=TOL, bounds=bounds, start=first.theta)
    assert (again.outcome, again.history.n_iter) == ("gradient", 0)
