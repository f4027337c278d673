"""The record of a minimisation, and what its observers are told."""

import numpy as np
import pytest

from sknn_simple._optim.history import ROUNDING, History, Iterate, Observer

THETA = np.array([1.0, 2.0])


def filled(values, observers=()):
    history = History(observers)
    for value in values:
        history.add(THETA, value, 0.5, 0.1)
    return history


def test_an_empty_history():
    history = History()
    assert (history.values, history.n_iter) == ([], -1)
    assert history.grad_norm == np.inf
    assert not history.asked_to_stop


def test_the_start_is_no_iteration():
    assert filled([3.0]).n_iter == 0
    assert filled([3.0, 2.0, 1.0]).n_iter == 2


def test_an_observer_is_told_each_iterate(recorder):
    observer = recorder()
    history = History([observer])
    history.add(THETA, 3.0, 0.5, 0.1)
    history.add(2.0 * THETA, 2.0, 0.25, 0.05)
    first, second = observer.iterates
    assert first == Iterate(0, THETA, 3.0, 0.5, 0.1)
    assert (second.n_iter, second.value, second.grad_norm) == (1, 2.0, 0.25)
    assert second.target == 0.05
    assert history.grad_norm == 0.25


@pytest.mark.parametrize("stopping", [(), (0,), (1,), (0, 1)])
def test_all_observers_are_told_also_if_an_earlier_one_asks_to_stop(stopping, recorder):
    observers = [recorder(1 if number in stopping else None) for number in range(2)]
    history = filled([3.0, 2.0], observers)
    assert history.asked_to_stop == bool(stopping)
    assert [observer.events for observer in observers] == ["EE", "EE"]


def test_a_request_to_stop_is_that_of_the_last_iterate(recorder):
    history = filled([3.0], [recorder(0)])
    assert history.asked_to_stop
    history.add(THETA, 2.0, 0.5, 0.1)
    assert not history.asked_to_stop


def test_an_iteration_begins_once(recorder):
    """It has begun also if the run that began it found no step, and another goes on."""
    observer = recorder()
    history = filled([3.0], [observer])
    for _ in range(3):
        history.begin_iteration(THETA)
    history.add(THETA, 2.0, 0.5, 0.1)
    history.begin_iteration(THETA)
    assert observer.events == "EBEB"


def test_every_observer_is_told_the_end(recorder):
    observers = [recorder(), recorder()]
    filled([3.0], observers).stop("max_iter")
    assert [observer.outcomes for observer in observers] == [["max_iter"]] * 2


def test_a_rise_by_rounding_is_recorded_as_none():
    rounding, rise = 1.0 + 0.5 * ROUNDING, 1.0 + 3.0 * ROUNDING
    assert filled([1.0, rounding]).values == [1.0, 1.0]
    assert filled([1.0, rise]).values == [1.0, rise]
    assert filled([-1.0, -1.0 + 0.5 * ROUNDING]).values == [-1.0, -1.0]


def test_an_observer_is_told_the_recorded_value(recorder):
    observer = recorder()
    history = filled([1.0, 1.0 + 0.5 * ROUNDING], [observer])
    assert [iterate.value for iterate in observer.iterates] == history.values


def test_rejected_counts_iterations_in_a_row_that_lower_nothing():
    history = History()
    counts = []
    for value in (3.0, 3.0, 3.0, 2.0, 2.0):
        history.add(THETA, value, 0.5, 0.1)
        counts.append(history.rejected)
    assert counts == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("value", [1.5, 2.5, np.nan])
def test_restating_changes_the_last_value_alone(value, recorder):
    """Another run may evaluate the same iterate more exactly; nobody is told."""
    observer = recorder()
    history = filled([3.0, 2.0], [observer])
    history.restate(value, 0.125)
    np.testing.assert_array_equal(history.values, [3.0, value])
    assert history.grad_norm == 0.125
    assert observer.events == "EE"


def test_restating_by_rounding_keeps_the_value():
    history = filled([3.0, 2.0])
    history.restate(np.nextafter(2.0, 3.0), 0.125)
    assert history.values == [3.0, 2.0]


def test_an_observer_that_overrides_nothing_follows_silently():
    history = filled([3.0, 2.0], [Observer()])
    history.begin_iteration(THETA)
    history.stop("gradient")
    assert not history.asked_to_stop
