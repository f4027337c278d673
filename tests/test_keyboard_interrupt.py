"""Ctrl-C while J is minimised keeps the best iterate; at any other moment it raises.

An interrupt is raised from the write of the line that verbose=1 prints for an
iteration, from an argument of `fit`, or from a callback: nothing is patched.
"""

import _thread
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from hooks import Failing
from models import (
    each_class,
    fit,
    independent_classes,
    needs_callbacks,
    while_fitting,
    with_every_solver,
)
from sknn_simple import LogisticNN, OneHiddenMLP

LINEAR = LogisticNN(tol=1e-9)
NETWORK = OneHiddenMLP(6, "tanh", alpha=0.01, random_state=0)
EARLY = clone(NETWORK).set_params(early_stopping=True)
each_model_and_solver = pytest.mark.parametrize(
    ("model", "solver"), with_every_solver(LINEAR, NETWORK)
)

X, Y = independent_classes(2, 120, 6, flip_y=0.2)


def assert_threads_end(count):
    """Those of a pool that joblib has shut down may take a moment."""
    end = time.monotonic() + 10.0
    while threading.active_count() > count and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= count


def interrupted(model, *at, X=X, y=Y, by=None):
    """Interrupt the fit in an iteration, and check what every interrupt leaves."""

    def press(*where):
        if where == at:
            if by is None:
                raise KeyboardInterrupt
            by()

    threads = threading.active_count()
    with threadpool_limits(2):
        limits = threadpool_info()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            while_fitting(model, X, y, press)
        assert threadpool_info() == limits
    assert_threads_end(threads)
    [warning] = caught
    assert warning.category is ConvergenceWarning
    assert "was interrupted" in str(warning.message)
    assert warning.filename == sys.modules[while_fitting.__module__].__file__
    assert not model.converged_
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert np.isfinite(model.predict_proba(X)).all()
    return model


def stopped_by_max_iter(model, n_iter):
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        return clone(model).set_params(max_iter=n_iter).fit(X, Y)


# While J is minimised -----------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 2, 3])
@each_model_and_solver
def test_the_iterate_so_far_is_kept(model, solver, at):
    model = interrupted(clone(model).set_params(solver=solver), at)
    expected = stopped_by_max_iter(model, at)
    assert model.n_iter_ == at
    assert model.loss_ == model.loss_curve_[-1] == min(model.loss_curve_)
    assert model.loss_curve_ == expected.loss_curve_
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@each_model_and_solver
def test_before_the_first_iteration_the_start_is_kept(model, solver):
    model = interrupted(clone(model).set_params(solver=solver), 0)
    assert model.n_iter_ == 0
    assert model.loss_curve_ == [model.loss_]
    if isinstance(model, LogisticNN):
        assert_array_equal(model.coef_, 0.0)


@pytest.mark.usefixtures("signals_are_interrupts")
@each_class
def test_a_signal_is_an_interrupt(model):
    model = clone(model).set_params(tol=1e-9)
    model = interrupted(model, 2, by=lambda: signal.raise_signal(signal.SIGINT))
    assert model.n_iter_ == 2


@pytest.mark.usefixtures("signals_are_interrupts")
@each_class
def test_a_fit_leaves_the_handler_of_signals_alone(model):
    handlers = []

    def note(n_iter):
        handlers.append(signal.getsignal(signal.SIGINT))

    while_fitting(clone(model), X, Y, does=note)
    assert set(handlers) == {signal.default_int_handler}


@pytest.mark.usefixtures("signals_are_interrupts")
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.05])
def test_an_interrupt_may_come_anywhere_within_an_iteration(delay, large):
    # Without an end of its own: the main thread is at work on J, or waits for others.
    timer = threading.Timer(delay, _thread.interrupt_main)
    model = OneHiddenMLP(50, tol=0.0, alpha=0.0, random_state=0)
    interrupted(model, 2, X=large[0], y=large[1], by=timer.start)
    assert model.n_iter_ >= 2
    assert model.loss_ == min(model.loss_curve_)


def test_the_record_is_that_of_the_interrupted_fit():
    model = fit(NETWORK, X, Y)
    assert model.converged_
    assert interrupted(model, 2).n_iter_ == 2


@each_class
def test_a_warm_start_goes_on_after_an_interrupt(model):
    model = clone(model).set_params(warm_start=True)
    reached = interrupted(model, 3).loss_
    assert model.fit(X, Y).converged_
    assert_allclose(model.loss_curve_[0], reached, rtol=1e-10)


@pytest.mark.parametrize("at", [0, 1, 4])
def test_the_best_iterate_is_that_of_the_lowest_validation_loss(at):
    model = interrupted(clone(EARLY), at)
    curve = model.validation_loss_curve_
    assert len(curve) == len(model.loss_curve_) == at + 1
    assert model.init_losses_ == [min(curve)]
    assert model.loss_ == model.loss_curve_[int(np.argmin(curve))]


# Several starts -----------------------------------------------------------------------


@pytest.mark.parametrize("n_iter", [0, 1, 5])
@pytest.mark.parametrize("start", [1, 2, 4])
def test_the_starts_that_have_ended_are_kept(start, n_iter):
    restarts = clone(NETWORK).set_params(n_init=4)
    whole = fit(restarts, X, Y)
    model = interrupted(restarts, start, n_iter)
    # And what the interrupted one reached.
    assert model.init_losses_.shape == (start,)
    assert_array_equal(model.init_losses_[:-1], whole.init_losses_[: start - 1])
    assert model.loss_ == model.init_losses_.min()


def test_a_start_that_is_interrupted_in_a_thread_keeps_its_best_iterate():
    restarts = clone(NETWORK).set_params(n_init=3, n_jobs=2)
    with parallel_config("threading"):
        model = interrupted(restarts, 2, 2)
    assert model.loss_ == model.init_losses_.min()


# At any other moment ------------------------------------------------------------------


@pytest.fixture(params=["unfitted", "fitted"])
def prepare(request):
    """Return a function that clones a model, and fits the clone or does not."""
    return clone if request.param == "unfitted" else lambda model: fit(model, X, Y)


def assert_raised_and_unchanged(model, *args, **kwargs):
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*args, **kwargs)
    assert vars(model).keys() == before.keys()
    for name, value in vars(model).items():
        assert value is before[name], name


class Pressing:
    """Stands for an array; Ctrl-C comes while it is read."""

    def __array__(self, *args, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
@pytest.mark.parametrize("warm_start", [False, True])
@each_class
def test_while_arguments_are_checked_it_is_raised(model, prepare, name, warm_start):
    model = prepare(model).set_params(warm_start=warm_start)
    arguments = {"X": X, "y": Y, "sample_weight": None, name: Pressing()}
    assert_raised_and_unchanged(model, **arguments)


@needs_callbacks
@pytest.mark.parametrize("hook", ["setup", "begin", "end"])
@each_class
def test_before_and_after_the_training_it_is_raised(model, prepare, hook):
    model = prepare(model).set_callbacks(Failing(hook, "fit", KeyboardInterrupt()))
    assert_raised_and_unchanged(model, X, Y)


@each_class
def test_a_fit_that_was_interrupted_while_checking_can_be_repeated(model):
    model = clone(model)
    assert_raised_and_unchanged(model, Pressing(), Y)
    assert model.fit(X, Y).converged_
