"""Ctrl-C at any moment of a fit: kept until the fit can end with what it has."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_info

from sknn_simple import (
    LogisticNN,
    OneHiddenMLP,
    _base,
    _mlp,
)
from sknn_simple._data import threads
from sknn_simple._model.objective import Objective
from sknn_simple._model.standardised import StandardisedObjective
from sknn_simple._training import interrupts as _interrupts
from sknn_simple._training import plan as _approach
from sknn_simple._training import train as _training
from sknn_simple._training.interrupts import shared_interruption
from sknn_simple._training.monitors import SilentMonitor
from sknn_simple._training.restarts import StartTraining, train_each

LINEAR = LogisticNN()
NETWORK = OneHiddenMLP(6, "tanh", alpha=0.01, random_state=0)
RESTARTS = clone(NETWORK).set_params(n_init=3)
each_model = pytest.mark.parametrize(
    "model", [LINEAR, NETWORK, RESTARTS], ids=["linear", "network", "restarts"]
)

X, Y = make_classification(
    120, 6, n_informative=4, n_redundant=0, flip_y=0.2, random_state=0
)


@pytest.fixture(autouse=True)
def handler():
    """Have the handler of an interactive program, and find it again after the test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def press():
    signal.raise_signal(signal.SIGINT)


def soon(happens):
    """Return whether something happens within ten seconds."""
    pause = threading.Event()
    return any(happens() or pause.wait(0.05) for _ in range(200))


@pytest.fixture
def ctrl_c(monkeypatch):
    """Press Ctrl-C where a function is first called."""

    def at(owner, name, times=1):
        function, calls = getattr(owner, name), []

        def pressed(*args, **kwargs):
            calls.append(None)
            if len(calls) == 1:
                for _ in range(times):
                    press()
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, pressed)

    return at


class AtIteration(SilentMonitor):
    """Ctrl-C at the end of an iteration of one of the starts."""

    def __init__(self, start, n_iter):
        self.at, self.starts = (start, n_iter), -1

    def ended(self, iterate, theta):
        self.starts += iterate.n_iter == 0
        if (self.starts, iterate.n_iter) == self.at:
            press()
        return False


def watched_by(monitor, monkeypatch):
    monitors = _base.BaseNN._monitors
    monkeypatch.setattr(
        _base.BaseNN, "_monitors", lambda *args: [*monitors(*args), monitor]
    )


# One process --------------------------------------------------------------------------

needs_openblas = pytest.mark.skipif(
    not any(pool["internal_api"] == "openblas" for pool in threadpool_info()),
    reason="no OpenBLAS is loaded",
)
BEFORE = [
    (_base, "validate_training_set"),
    pytest.param(threads, "_set_num_threads", marks=needs_openblas),
    (_training, "set_scene"),
]


@pytest.mark.parametrize(("owner", "name"), BEFORE)
@each_model
def test_before_the_first_iteration(model, owner, name, ctrl_c, interrupted):
    ctrl_c(owner, name)
    model = interrupted(clone(model), X, Y)
    assert model.n_iter_ == 0
    if model is not LINEAR and hasattr(model, "init_losses_"):
        assert len(model.init_losses_) == 1


@pytest.mark.parametrize("at", [0, 1, 3])
@each_model
def test_in_an_iteration(model, at, monkeypatch, interrupted):
    watched_by(AtIteration(0, at), monkeypatch)
    assert interrupted(clone(model), X, Y).n_iter_ == at


@each_model
def test_after_the_last_iteration(model, ctrl_c, interrupted):
    whole = clone(model).fit(X, Y)
    ctrl_c(type(model), "_record")
    model = interrupted(clone(model), X, Y)
    assert model.loss_curve_ == whole.loss_curve_
    assert_array_equal(model.predict_proba(X), whole.predict_proba(X))


def test_between_two_starts(monkeypatch, interrupted):
    # In the tasks of callbacks, for one: what the first start reached is not lost.
    whole = clone(RESTARTS).fit(X, Y)
    train_from = StartTraining.__call__

    def pressed(training, number, *args):
        if number == 1:
            press()
        return train_from(training, number, *args)

    monkeypatch.setattr(StartTraining, "__call__", pressed)
    model = interrupted(clone(RESTARTS), X, Y)
    assert len(model.init_losses_) == 2
    assert model.loss_ == model.init_losses_[0] == whole.init_losses_[0]


@pytest.mark.parametrize(("owner", "name"), BEFORE)
@each_model
def test_a_second_one_raises(model, owner, name, ctrl_c):
    ctrl_c(owner, name, times=2)
    model = clone(model)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.fit(X, Y).converged_


WITHIN = [
    (LINEAR, StandardisedObjective, "value_and_grad"),
    (LogisticNN(solver="newton-cg"), _approach, "optimum_of_sample"),
    (NETWORK, Objective, "value"),
]


@pytest.mark.parametrize(("model", "owner", "name"), WITHIN)
def test_a_second_one_raises_also_where_the_first_ends_the_fit(
    model, owner, name, ctrl_c
):
    """In the first evaluation, in a sample's optimum, in the last J of all."""
    rows = np.tile(np.arange(120), 100 if owner is _approach else 1)
    ctrl_c(owner, name, times=2)
    model = clone(model)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[rows], Y[rows])
    assert not hasattr(model, "n_iter_")
    assert model.fit(X, Y).converged_


def test_the_solver_is_known_also_where_a_sample_is_interrupted(
    monkeypatch, interrupted
):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_approach, "optimum_of_sample", interrupt)
    rows = np.tile(np.arange(120), 100)
    model = interrupted(LogisticNN(solver="newton-cg"), X[rows], Y[rows])
    assert model.solver_ == "newton-cg"


@each_model
def test_one_in_a_fit_that_fails(model, ctrl_c):
    ctrl_c(_base, "validate_training_set")
    with pytest.raises(ValueError, match="NaN"):
        clone(model).fit(X * np.nan, Y)


def test_one_that_comes_later_is_not_for_the_fit():
    LogisticNN().fit(X, Y)
    with pytest.raises(KeyboardInterrupt):
        press()


@each_model
def test_a_handler_of_the_program_is_left_alone(model, monkeypatch):
    pressed = []
    signal.signal(signal.SIGINT, lambda *args: pressed.append(args))
    watched_by(AtIteration(0, 1), monkeypatch)
    assert clone(model).fit(X, Y).converged_
    assert len(pressed) == 1
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_fit_within_a_fit(monkeypatch, interrupted):
    # As a callback may do: Ctrl-C ends both.
    inner = []

    class Fitting(SilentMonitor):
        def ended(self, iterate, theta):
            if iterate.n_iter == 2 and not inner:
                inner.append(LogisticNN())
                press_at = AtIteration(0, 1)
                with monkeypatch.context() as patch:
                    watched_by(press_at, patch)
                    inner.append(interrupted(inner[0], X, Y))
            return False

    watched_by(Fitting(), monkeypatch)
    assert interrupted(clone(NETWORK), X, Y).n_iter_ == 3
    assert inner[1].n_iter_ == 1


def test_in_a_thread_a_fit_knows_nothing_of_it():
    model = clone(NETWORK)
    thread = threading.Thread(target=model.fit, args=(X, Y))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        press()
    thread.join()
    assert model.converged_


def test_a_fit_in_a_thread_goes_on_while_the_main_one_ends(monkeypatch, interrupted):
    validate, beside = _base.validate_training_set, clone(NETWORK)

    def pressed(estimator, *args):
        if estimator is not beside:
            press()
            thread = threading.Thread(target=beside.fit, args=(X, Y))
            thread.start()
            thread.join()
        return validate(estimator, *args)

    monkeypatch.setattr(_base, "validate_training_set", pressed)
    assert interrupted(clone(NETWORK), X, Y).n_iter_ == 0
    assert beside.converged_


# Several starts at a time -------------------------------------------------------------


def test_before_any_start_has_begun(ctrl_c, interrupted):
    ctrl_c(_base, "validate_training_set")
    with parallel_config("threading"):
        model = interrupted(clone(RESTARTS).set_params(n_jobs=2), X, Y)
    assert model.n_iter_ == 0
    whole = clone(NETWORK).fit(X, Y)
    assert model.loss_curve_ == [pytest.approx(whole.loss_curve_[0])]


@pytest.mark.parametrize("n_iter", [0, 3])
def test_in_the_threads_of_the_starts(n_iter, monkeypatch, interrupted):
    # Signals reach the main thread only, which hands them on.
    class AtFirst(SilentMonitor):
        pressed = False

        def ended(self, iterate, theta):
            if iterate.n_iter == n_iter and not self.pressed:
                self.pressed = True
                press()
            return False

    watched_by(AtFirst(), monkeypatch)
    with parallel_config("threading"):
        model = interrupted(clone(NETWORK).set_params(n_init=50, n_jobs=2), X, Y)
    assert 1 <= len(model.init_losses_) < 50
    assert model.loss_ == min(model.init_losses_)


def test_a_second_one_raises_while_several_starts_are_trained(monkeypatch):
    class Twice(SilentMonitor):
        first = threading.Lock()

        def ended(self, iterate, theta):
            if self.first.acquire(blocking=False):
                press()
                assert soon(lambda: _interrupts._current.pending)
                press()
            return False

    model = clone(NETWORK).fit(X, Y)
    before, threads = dict(vars(model)), threading.active_count()
    model.set_params(n_init=50, n_jobs=2, tol=0.0, max_iter=10**6)
    watched_by(Twice(), monkeypatch)
    with parallel_config("threading"), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert vars(model) == {**before, **model.get_params()}
    # The threads, which joblib does not wait for, end with the fit.
    assert soon(lambda: threading.active_count() <= threads)


class Job:
    """Stands for training from two starts, in the second of which something happens."""

    def __init__(self, trained, happens):
        self.trained, self.happens = trained, happens

    def __call__(self, number, start, monitors):
        if number == 1:
            self.happens(*monitors)
        return self.trained, False


@pytest.fixture
def trained(monkeypatch):
    """What training from one start gives."""
    found, best = [], _mlp.best
    with monkeypatch.context() as patch:
        patch.setattr(_mlp, "best", lambda fits: found.extend(fits) or best(fits))
        clone(NETWORK).fit(X, Y)
    return found[0]


def die(interruption):
    os._exit(1)


def request_and_die(interruption):
    interruption.request()
    os._exit(1)


def press_here(interruption):
    press()


def train_two(job, backend, untrained: Any = None):
    with parallel_config(backend):
        return train_each(job, [np.zeros(1)] * 2, 2, lambda: untrained)


def test_workers_that_ctrl_c_ends_where_they_wait(trained):
    # joblib may or may not have handed over the other one's by then.
    [fit] = train_two(Job(trained, request_and_die), "loky", trained)
    assert fit.result.outcome == "interrupted"
    assert_array_equal(fit.theta, trained.theta)


def test_workers_that_die_by_themselves_are_an_error(trained):
    with pytest.raises(RuntimeError, match="terminated"):
        train_two(Job(trained, die), "loky")


def test_a_worker_leaves_it_to_the_process_that_fits(trained):
    assert len(train_two(Job(trained, press_here), "loky")) == 2
    # And obeys it again afterwards, whatever it works on.
    with pytest.raises(KeyboardInterrupt), parallel_config("loky", n_jobs=2):
        Parallel()(delayed(press)() for _ in range(2))


def test_a_worker_obeys_again_when_the_fit_has_ended(monkeypatch):
    with shared_interruption() as interruption:
        interruption.shield()  # this is no worker
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        monkeypatch.setattr(os, "getpid", lambda: -1)
        interruption.shield()
        press()
    with shared_interruption() as interruption:
        monkeypatch.setattr(os, "getpid", lambda: -2)
        interruption.shield()
        press()
    with pytest.raises(KeyboardInterrupt):
        press()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_one_that_raises_in_joblib_leaves_the_workers_alone(trained):
    # As a handler of the program may; joblib then hands nothing over any more.
    def wait(interruption):
        os.kill(os.getpid(), signal.SIGINT)
        assert soon(interruption.requested)

    [fit] = train_two(Job(trained, wait), "threading", trained)
    assert fit.result.outcome == "interrupted"


# A real signal ------------------------------------------------------------------------

PROGRAM = """
    import sys, threading, time, warnings
    import joblib
    import numpy as np
    from threadpoolctl import threadpool_info
    from sknn_simple import OneHiddenMLP

    def blas():
        return [p["num_threads"] for p in threadpool_info()]

    backend, n_init, max_iter = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 30))
    y = rng.integers(0, 2, 4000)
    model = OneHiddenMLP(
        100, "tanh", alpha=0.0, tol=0.0, max_iter=max_iter, random_state=0, verbose=1,
        n_init=n_init, n_jobs=2,
    )
    before, threads = blas(), threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with joblib.parallel_config(backend):
            model.fit(X, y)
    assert blas() == before
    if n_init == 1 or backend == "threading":
        # joblib's pool tells its threads to end, and does not wait for them.
        patience = time.monotonic() + 10.0
        while threading.active_count() > threads and time.monotonic() < patience:
            time.sleep(0.01)
        assert threading.active_count() == threads, threading.enumerate()
    [warning] = caught
    assert "was interrupted" in str(warning.message), warning
    assert not model.converged_
    assert 1 <= len(model.init_losses_) <= 10, model.init_losses_
    assert model.loss_ == min(model.init_losses_) == min(model.loss_curve_)
    assert model.loss_ < model.loss_curve_[0]
    assert np.isfinite(model.predict_proba(X)).all()
    print()
    print("kept", model.n_iter_, len(model.init_losses_))
"""


def kept_after_a_signal(rows, backend="loky", n_init=1, max_iter=10**6, *, group):
    """Send SIGINT once some rows of the tables are printed; return what was kept."""
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(
        [*program, backend, str(n_init), str(max_iter)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        timer = threading.Timer(60, os.killpg, [process.pid, signal.SIGKILL])
        timer.start()
        try:
            assert process.stdout is not None
            wanted, number = rows
            while wanted and (line := process.stdout.readline()):
                # Before it stands the start, where there are several.
                wanted -= line.split()[-4:-3] == [str(number)]
            # Ctrl-C in a terminal goes to the workers, too.
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
            out, err = process.communicate()
        finally:
            timer.cancel()
    assert process.returncode == 0, err
    *_, last = out.splitlines()
    assert last.startswith("kept ")
    return [int(number) for number in last.split()[1:]]


needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="no SIGINT for one process"
)


@needs_signals
def test_a_real_signal():
    n_iter, n_starts = kept_after_a_signal((1, 4), group=False)
    assert n_iter >= 4
    assert n_starts == 1


@needs_signals
@pytest.mark.parametrize(
    ("backend", "group"),
    [
        ("loky", False),
        ("loky", True),
        ("threading", False),
        ("multiprocessing", True),
    ],
)
def test_a_real_signal_in_the_first_of_many_starts(backend, group):
    n_iter, n_starts = kept_after_a_signal((2, 5), backend, 50, group=group)
    assert n_iter >= 5
    assert n_starts == 2


@needs_signals
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_a_real_signal_when_a_worker_has_nothing_left_to_do(backend):
    # Two starts have ended when the third of three has got so far.
    _, n_starts = kept_after_a_signal((3, 60), backend, 3, 100, group=True)
    assert n_starts == 3
