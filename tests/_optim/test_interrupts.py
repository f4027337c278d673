"""Ctrl-C and errors, during any call of a minimisation."""

import numpy as np
import pytest

from sknn_simple._optim.minimize import SOLVERS

every_solver = pytest.mark.parametrize("solver", SOLVERS)


@every_solver
@pytest.mark.parametrize("at", range(2, 9))
def test_interrupt_keeps_the_best_iterate_so_far(
    solver, at, logistic, watched, recorder, solve
):
    """Ctrl-C during the at-th evaluation of f, in the middle of a line search too."""
    problem, observer = watched(logistic, at), recorder()
    run = solve(problem, solver, tol=-1.0, observer=observer)
    assert run.outcome == "interrupted"
    assert problem.calls == at  # nothing is evaluated after it
    np.testing.assert_array_equal(run.theta, observer.iterates[-1].theta)
    assert run.history.values == [iterate.value for iterate in observer.iterates]
    assert run.value == min(run.history.values) == logistic.value(run.theta)


@every_solver
def test_interrupt_keeps_the_iterate_over_theta(
    solver, logistic, watched, any_map, recorder, solve
):
    problem, observer = watched(logistic, 5), recorder()
    preconditioner = any_map(logistic.size)
    run = solve(problem, solver, preconditioner=preconditioner, observer=observer)
    assert run.outcome == "interrupted"
    np.testing.assert_allclose(run.theta, observer.iterates[-1].theta, rtol=1e-12)


CURVATURE = {"hessp": "product", "hess": "matrix"}
SECOND_ORDER = [
    (name, CURVATURE[asked])
    for name, row in SOLVERS.items()
    for asked in row.derivatives
]


@pytest.mark.parametrize(("solver", "during"), SECOND_ORDER)
@pytest.mark.parametrize("at", [1, 3])
def test_interrupt_during_second_derivatives(
    solver, during, at, logistic, watched, recorder, solve
):
    problem, observer = watched(logistic, at, during), recorder()
    run = solve(problem, solver, tol=-1.0, observer=observer)
    assert run.outcome == "interrupted"
    assert problem.calls == at
    np.testing.assert_array_equal(run.theta, observer.iterates[-1].theta)


@every_solver
@pytest.mark.parametrize("at", [0, 1, 2])
def test_interrupt_of_an_observer(solver, at, logistic, recorder, solve):
    observer = recorder(at, KeyboardInterrupt())
    run = solve(logistic, solver, observer=observer)
    assert (run.outcome, run.history.n_iter) == ("interrupted", at)
    np.testing.assert_array_equal(run.theta, observer.iterates[-1].theta)
    assert run.history.values == [iterate.value for iterate in observer.iterates]


@every_solver
def test_interrupt_before_the_first_value_is_raised(
    solver, logistic, watched, recorder, solve
):
    """There is no iterate to keep, not even a start with a value."""
    observer = recorder()
    with pytest.raises(KeyboardInterrupt):
        solve(watched(logistic, 1), solver, observer=observer)
    assert not observer.iterates


@every_solver
@pytest.mark.parametrize("at", [0, 1, 2])
def test_errors_of_an_observer_are_raised(solver, at, logistic, recorder, solve):
    observer = recorder(at, ZeroDivisionError("of the observer"))
    with pytest.raises(ZeroDivisionError, match="of the observer"):
        solve(logistic, solver, observer=observer)


@every_solver
def test_errors_of_the_problem_are_raised(solver, logistic, altered, solve):
    def broken(theta):
        if not np.array_equal(theta, logistic.start):
            raise ZeroDivisionError("of the problem")
        return logistic.value_and_grad(theta)

    with pytest.raises(ZeroDivisionError, match="of the problem"):
        solve(altered(logistic, broken), solver)
