"""Several runs that hand θ on and share one history, as the phases of a fit do."""

import re

import numpy as np
import pytest

from sknn_simple._optim.history import History
from sknn_simple._optim.minimize import SOLVERS

NONCONVEX = [name for name, row in SOLVERS.items() if not row.needs_matrix]
every_nonconvex = pytest.mark.parametrize("solver", NONCONVEX)
every_solver = pytest.mark.parametrize("solver", SOLVERS)


@pytest.fixture
def rounded(rosenbrock, altered):
    """Rosenbrock's function in float32, 1e-3 too high."""

    def evaluate(theta):
        near = theta.astype(np.float32).astype(np.float64)
        value, gradient = rosenbrock.value_and_grad(near)
        return float(np.float32(value + 1e-3)), gradient

    return altered(rosenbrock, evaluate)


@pytest.fixture
def in_turn(solve, any_map):
    """Return a function that renews the map after 2, 4, 8, … iterations."""

    def run(problem, solver, history, max_iter=500, first=2, **settings):
        theta, outcome, end, maps = problem.start, "max_iter", first, 0
        while outcome == "max_iter" and history.n_iter < max_iter:
            theta, outcome, _ = solve(
                problem,
                solver,
                start=theta,
                history=history,
                max_iter=min(end, max_iter),
                preconditioner=any_map(problem.size, maps),
                **settings,
            )
            end, maps = 2 * end, maps + 1
        return theta, outcome, maps

    return run


# Renewed preconditioners --------------------------------------------------------------


@every_nonconvex
@pytest.mark.parametrize("first", [1, 3, 1000])
def test_renewed_maps_end_at_the_same_minimum(solver, first, rosenbrock, in_turn):
    history = History()
    theta, outcome, maps = in_turn(rosenbrock, solver, history, first=first, tol=1e-7)
    assert outcome == "gradient"
    np.testing.assert_allclose(theta, rosenbrock.optimum, atol=1e-5)
    assert maps == 1 + sum(first * 2**i < history.n_iter for i in range(20))
    assert (np.diff(history.values) <= 0.0).all()
    assert history.values[-1] == pytest.approx(rosenbrock.value(theta), rel=1e-12)


@every_solver
def test_renewed_maps_end_at_the_same_optimum_of_a_convex_function(
    solver, logistic, in_turn, solve
):
    theta, outcome, _ = in_turn(logistic, solver, History(), first=1, tol=1e-7)
    assert outcome == "gradient"
    expected = solve(logistic, solver, tol=1e-7).theta
    np.testing.assert_allclose(theta, expected, atol=1e-4)


@every_nonconvex
@pytest.mark.parametrize("max_iter", [1, 2, 3, 5])
def test_max_iter_counts_over_all_runs(solver, max_iter, rosenbrock, in_turn):
    history = History()
    _, outcome, maps = in_turn(rosenbrock, solver, history, max_iter, tol=1e-9)
    assert (outcome, history.n_iter) == ("max_iter", max_iter)
    assert maps == 1 + (max_iter > 2) + (max_iter > 4)


@every_nonconvex
def test_an_observer_follows_one_path_through_all_runs(
    solver, rosenbrock, recorder, in_turn
):
    observer = recorder()
    history = History([observer])
    _, _, maps = in_turn(rosenbrock, solver, history, tol=1e-7)
    assert maps > 2
    assert re.fullmatch("E(BE)*", observer.events)
    numbers = [iterate.n_iter for iterate in observer.iterates]
    assert numbers == list(range(history.n_iter + 1))
    for iterate in observer.iterates:
        assert iterate.value == rosenbrock.value(iterate.theta)


@every_nonconvex
@pytest.mark.parametrize("stop_at", [0, 1, 2, 3, 4])
def test_a_request_to_stop_ends_all_runs(
    solver, stop_at, rosenbrock, recorder, in_turn
):
    """Also where the map was to be renewed, after 2 and 4 iterations."""
    history = History([recorder(stop_at)])
    theta, outcome, _ = in_turn(rosenbrock, solver, history, tol=1e-9)
    assert (outcome, history.n_iter) == ("observer", stop_at)
    assert history.values[-1] == pytest.approx(rosenbrock.value(theta), rel=1e-12)


def test_a_run_may_start_at_another_point(rosenbrock, solve):
    """The last value is then that of the new start."""
    first = solve(rosenbrock, "lbfgs", max_iter=2)
    run = solve(rosenbrock, "lbfgs", start=np.ones(2) + 1e-10, history=first.history)
    assert (run.outcome, run.history.n_iter) == ("gradient", 2)
    assert run.value == rosenbrock.value(run.theta)


@every_nonconvex
@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_interrupt_of_a_later_run_keeps_the_iterate(
    solver, at, rosenbrock, watched, any_map, recorder, solve
):
    observer = recorder()
    history = History([observer])
    first = solve(rosenbrock, solver, history=history, max_iter=2)
    run = solve(
        watched(rosenbrock, at),
        solver,
        start=first.theta,
        history=history,
        preconditioner=any_map(2),
    )
    assert run.outcome == "interrupted"
    assert history.n_iter >= 2
    last = observer.iterates[-1].theta
    np.testing.assert_allclose(run.theta, last, rtol=1e-12)
    assert rosenbrock.value(run.theta) == pytest.approx(history.values[-1], rel=1e-12)


# A rough function first ---------------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
@every_nonconvex
def test_after_a_rough_run_the_exact_minimum_is_found(
    solver, tol, rosenbrock, rounded, recorder, solve
):
    observer = recorder()
    history = History([observer])
    rough = solve(rounded, solver, tol=max(tol, 1e-4), history=history)
    run = solve(rosenbrock, solver, tol=tol, start=rough.theta, history=history)
    value, gradient = rosenbrock.value_and_grad(run.theta)
    assert run.outcome == "gradient"
    assert history.values[-1] == value
    assert history.grad_norm == np.abs(gradient).max() <= tol
    assert (np.diff(history.values) < 1e-6).all()
    # The exact function is evaluated at the last rough iterate; nobody is told again.
    assert re.fullmatch("E(BE)*", observer.events)
    assert observer.events.count("E") == history.n_iter + 1


@pytest.mark.parametrize("rough_iterations", [0, 3, 1000])
def test_a_rough_run_counts_towards_max_iter(
    rough_iterations, rosenbrock, rounded, solve
):
    history = History()
    max_iter = min(rough_iterations, 5)
    rough = solve(rounded, "lbfgs", tol=1e-3, max_iter=max_iter, history=history)
    run = solve(
        rosenbrock, "lbfgs", max_iter=5, start=rough.theta, history=history, tol=1e-9
    )
    assert (run.outcome, history.n_iter) == ("max_iter", 5)
    assert run.value == rosenbrock.value(run.theta)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_that_cannot_begin_leaves_no_trace(
    value, rosenbrock, altered, recorder, solve
):
    problem = altered(rosenbrock, lambda theta: (value, np.full_like(theta, np.nan)))
    observer = recorder()
    history = History([observer])
    hopeless = solve(problem, "lbfgs", history=history)
    assert hopeless.outcome == "no_decrease"
    np.testing.assert_array_equal(hopeless.theta, rosenbrock.start)
    run = solve(rosenbrock, "lbfgs", start=hopeless.theta, history=history)
    assert run.outcome == "gradient"
    assert history.values == solve(rosenbrock, "lbfgs").history.values
    assert re.fullmatch("E(BE)*", observer.events)


def test_an_iteration_in_which_a_run_finds_no_step_goes_on(
    rosenbrock, rounded, altered, recorder, solve
):
    """It has begun: nobody is told that it begins again."""

    def turned(theta):
        value, gradient = rounded.value_and_grad(theta)
        return value, gradient if value > 1.8 else -gradient

    observer = recorder()
    history = History([observer])
    lost = solve(altered(rosenbrock, turned), "lbfgs", tol=1e-3, history=history)
    assert lost.outcome == "no_decrease"
    assert observer.events.endswith("EB")
    run = solve(rosenbrock, "lbfgs", start=lost.theta, history=history)
    assert run.outcome == "gradient"
    assert re.fullmatch("E(BE)*", observer.events)
