"""When a minimisation ends: the criteria, and every solver under them."""

import string

import numpy as np
import pytest

from sknn_simple._optim.history import History
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._optim.stopping import OUTCOMES, StoppingCriteria

every_solver = pytest.mark.parametrize("solver", SOLVERS)

CRITERIA = StoppingCriteria(tol=0.1, max_iter=50, min_decrease=1e-3)
FALLING = [2.0 - 0.01 * i for i in range(20)]
LEVEL = [1.0] * 20


# The criteria -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "threshold"),
    [(1e300, 0.1), (2.0, 0.1), (1.0, 0.1), (0.5, 0.05), (1e-6, 1e-7), (1e-9, 1e-7)]
    + [(value, 1e-7) for value in (0.0, -3.0)],
)
def test_threshold_follows_values_below_one_but_not_to_zero(value, threshold):
    criteria = CRITERIA._replace(min_decrease=0.0)
    assert criteria.threshold([value]) == pytest.approx(threshold, rel=1e-12)
    # A large decrease does not matter.
    assert CRITERIA.threshold([np.inf, value]) == criteria.threshold([value])


@pytest.mark.parametrize(("n_iter", "expected"), [(0, 0), (8, 8), (50, 50), (99, 50)])
def test_until_never_ends_later(n_iter, expected):
    assert CRITERIA.until(n_iter) == CRITERIA._replace(max_iter=expected)


def after(values, grad_norm=1.0, rejected=0, asked=False):
    """Return the history of a minimisation."""
    return History((), values, grad_norm, rejected, asked_to_stop=asked)


def reason(values, grad_norm=1.0, rejected=0, asked=False, **changes):
    history = after(values, grad_norm, rejected, asked)
    return CRITERIA._replace(**changes).reason(history)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (reason([2.0]), None),
        (reason(FALLING), None),
        (reason([9.0, *FALLING], grad_norm=0.1), "gradient"),
        (reason([9.0, *FALLING], grad_norm=np.nextafter(0.1, 1.0)), None),
        (reason([1.5, 0.5], grad_norm=0.06), None),  # 0.1 · 0.5 is asked for
        (reason(FALLING, asked=True), "observer"),
        (reason(LEVEL), "decrease"),
        (reason(LEVEL, min_decrease=0.0), None),
        (reason(LEVEL, rejected=6), None),  # rejected steps say nothing about f
        (reason(FALLING, max_iter=19), "max_iter"),
        (reason(FALLING, max_iter=20), None),
        (reason([2.0], max_iter=0), "max_iter"),
        # A better reason goes first.
        (reason([9.0, *LEVEL], grad_norm=0.1, asked=True, max_iter=1), "gradient"),
        (reason(LEVEL, asked=True, max_iter=1), "observer"),
        (reason(LEVEL, max_iter=1), "decrease"),
        # Where f is not a number no gradient is small.
        (reason([np.nan], grad_norm=np.nan), None),
    ],
)
def test_reason(found, expected):
    assert found == expected


def test_decrease_is_measured_over_ten_iterations_relative_to_f():
    for unit in (1e-3, 1.0, 1e3):
        fell = [unit * (1.0 + part) for part in [9.0, *np.linspace(0.02, 0.0, 11)]]
        assert reason(fell, grad_norm=np.inf, min_decrease=0.019) is None
        assert reason(fell, grad_norm=np.inf, min_decrease=0.021) == "decrease"
        too_few = [fell[0], *fell[-9:]]
        assert reason(too_few, grad_norm=np.inf, min_decrease=0.021) is None


@pytest.mark.parametrize("f", [1e-3, 1.0, 1e3])
def test_a_plateau_near_the_start_is_not_the_end(f):
    """There f falls by little of itself, but by much of its whole decrease."""
    falling = [f * (1.0 + 1e-4 * (20 - i)) for i in range(21)]
    assert reason(falling, grad_norm=np.inf, min_decrease=0.1) is None
    assert reason([2.0 * f, *falling], grad_norm=np.inf, min_decrease=0.1) == "decrease"
    # The start may be known to be near the minimum.
    ended = reason(falling, grad_norm=np.inf, min_decrease=0.1, near_minimum=True)
    assert ended == "decrease"


@pytest.mark.parametrize("f", [1e-3, 1.0])
def test_a_small_gradient_near_the_start_is_not_the_end(f):
    """It is compared with the whole decrease, down to a hundredth of f."""
    fell = [1.05 * f, f]
    assert reason(fell, grad_norm=0.0051 * f) is None
    assert reason(fell, grad_norm=0.0049 * f) == "gradient"
    assert reason([f, f], grad_norm=0.0009 * f) == "gradient"
    for name, value in ("near_minimum", 1), ("past_plateau", 1), ("min_decrease", 0.0):
        changes = {name: value}
        assert reason(fell, grad_norm=0.099 * f, **changes) == "gradient"


@pytest.mark.parametrize(
    ("min_decrease", "values", "expected"),
    [
        (0.0, LEVEL, "no_decrease"),
        (1e-3, LEVEL, "decrease"),
        (1e-3, LEVEL[:10], "no_decrease"),  # too few to tell
        (1e-2, FALLING, "decrease"),  # fell by 0.1 in ten: below ten times 1e-2
        (1e-3, FALLING, "no_decrease"),
    ],
)
def test_without_a_step_a_larger_decrease_counts_as_none(
    min_decrease, values, expected
):
    """At a kink no step lowers f, although f still fell a moment ago."""
    criteria = CRITERIA._replace(min_decrease=min_decrease)
    assert criteria.reason_without_step(after(values)) == expected


def test_outcomes_tell_either_converged_or_why_not():
    for name, outcome in OUTCOMES.items():
        assert outcome.summary
        if outcome.converged or name == "observer":
            assert outcome.explanation == outcome.advice == ""
        else:
            assert outcome.explanation
            assert outcome.advice
        text = outcome.summary + outcome.explanation
        fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
        assert fields <= {"max_iter", "solver"}


# Every solver under them --------------------------------------------------------------


@every_solver
@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_max_iter(solver, max_iter, logistic, solve):
    run = solve(logistic, solver, tol=0.0, max_iter=max_iter)
    assert (run.outcome, run.history.n_iter) == ("max_iter", max_iter)


@every_solver
@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_an_observer_stops_by_returning_true(
    solver, stop_at, logistic, recorder, solve
):
    observer = recorder(stop_at)
    run = solve(logistic, solver, tol=0.0, observer=observer)
    assert (run.outcome, run.history.n_iter) == ("observer", stop_at)
    np.testing.assert_array_equal(run.theta, observer.iterates[-1].theta)


@every_solver
@pytest.mark.parametrize("unit", [1.0, 100.0])
@pytest.mark.parametrize("min_decrease", [1e-1, 1e-2, 1e-3])
def test_decrease(solver, min_decrease, unit, separable, solve):
    """Converged if f fell by at most this part of both over ten iterations."""
    problem = separable.times(unit)
    run = solve(problem, solver, tol=-1.0, min_decrease=min_decrease)
    assert run.outcome == "decrease"
    values = np.array(run.history.values)
    fell = values[:-10] - values[10:]
    limit = min_decrease * np.minimum(values, values[0] - values)[10:]
    assert fell[-1] <= limit[-1]
    assert (fell[:-1] > limit[:-1]).all()


@every_solver
def test_decrease_is_not_looked_at_before_ten_iterations(solver, separable, solve):
    run = solve(separable, solver, tol=-1.0, min_decrease=1e300)
    assert (run.outcome, run.history.n_iter) == ("decrease", 10)


@every_solver
def test_no_decrease_if_the_gradient_is_wrong(solver, wrong_gradient, solve):
    run = solve(wrong_gradient, solver)
    assert run.outcome == "no_decrease"
    np.testing.assert_array_equal(run.theta, wrong_gradient.start)
    assert set(run.history.values) == {wrong_gradient.value(wrong_gradient.start)}


@every_solver
@pytest.mark.parametrize("name", ["quadratic", "logistic"])
def test_an_impossible_tol_ends_at_the_optimum(solver, name, request, solve):
    """No step that float64 can represent lowers f: every solver must notice."""
    problem = request.getfixturevalue(name)
    run = solve(problem, solver, tol=-1.0, max_iter=2000)
    assert run.outcome == "rounding"
    assert np.abs(problem.value_and_grad(run.theta)[1]).max() < 1e-6


@pytest.mark.parametrize("value", [1e-6, 1.0, 1e6])
def test_a_gradient_whose_decrease_is_rounding_has_converged(value):
    criteria = StoppingCriteria(0.0, 100)
    values, limit = [value], np.sqrt(1e-13 * value)
    assert criteria.reason_without_step(after(values, 0.9 * limit)) == "rounding"
    assert criteria.reason_without_step(after(values, 1.1 * limit)) == "no_decrease"
