"""Several starts: in which order, on which threads, and which of them is kept."""

import contextlib
import os
import signal
import sys
import threading
import time

import joblib
import numpy as np
import pytest
from joblib import cpu_count
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_simple._data.threads import limit_blas_threads
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.callbacks import FitTask
from sknn_simple._training.restarts import RestartTraining, best, train_each
from sknn_simple._training.train import Trained, train

STARTS = [np.full(2, float(number)) for number in range(4)]


def trained(score=1.0, outcome="gradient", validation=None, parameters=None):
    return Trained(
        parameters=np.zeros(2) if parameters is None else parameters,
        alpha=1.0,
        unit=np.ones(1),
        loss=score,
        loss_curve=[2.0, score],
        grad_norm=0.0,
        outcome=outcome,
        criteria=StoppingCriteria(0.1, 10),
        solver="lbfgs",
        validation_curve=validation,
    )


def ends_at(outcomes, leave_at=None):
    """Return a training whose starts end with given outcomes, and those it was called.

    A callback asks to leave the rest out after start `leave_at`.
    """
    called = []

    def train_from(number, start):
        called.append(number)
        fit = trained(float(number), outcomes[number], parameters=start)
        return fit, number == leave_at

    return train_from, called


# In their order -----------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_come_in_the_order_of_the_starts(n_jobs, backend):
    train_from, _ = ends_at(["gradient"] * 4)
    with joblib.parallel_config(backend):
        fits = train_each(train_from, STARTS, n_jobs)
    assert [fit.loss for fit in fits] == [0.0, 1.0, 2.0, 3.0]
    for fit, start in zip(fits, STARTS, strict=True):
        np.testing.assert_array_equal(fit.parameters, start)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    ("outcomes", "leave_at"),
    [
        (["gradient", "max_iter", "gradient", "gradient"], 1),
        (["gradient", "interrupted", "gradient", "gradient"], None),
    ],
    ids=["a callback asks", "interrupted"],
)
def test_starts_after_the_last_wanted_are_left_out(n_jobs, outcomes, leave_at):
    train_from, called = ends_at(outcomes, leave_at)
    with joblib.parallel_config("threading"):
        fits = train_each(train_from, STARTS, n_jobs)
    assert [fit.loss for fit in fits] == [0.0, 1.0]
    if n_jobs == 1:
        assert called == [0, 1]


def test_one_start_needs_no_workers():
    threads = []

    def train_from(number, start):
        threads.append(threading.current_thread())
        return trained(), False

    train_each(train_from, STARTS[:1], 4)
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_are_raised(n_jobs):
    def train_from(number, start):
        raise ZeroDivisionError("of a start")

    with pytest.raises(ZeroDivisionError, match="of a start"):
        train_each(train_from, STARTS, n_jobs)


# Ctrl-C while other processes train --------------------------------------------------


def until_interrupted(folder, ended, pause):
    """Return a training that interrupts this process after the starts of `ended`.

    The other starts never end by themselves, and the first of them interrupts: a second
    signal could come after the test.
    """
    process = os.getpid()

    def train_from(number, start):
        if number not in ended:
            while len(list(folder.iterdir())) < len(ended):
                time.sleep(0.01)
            time.sleep(pause)
            if number == min(set(range(len(STARTS))) - ended):
                os.kill(process, signal.SIGINT)
            threading.Event().wait()
        (folder / str(number)).touch()
        return trained(float(number)), False

    return train_from


interrupts = pytest.mark.skipif(
    sys.platform == "win32", reason="a process cannot send Ctrl-C to one other there"
)


@interrupts
@pytest.mark.usefixtures("signals_are_interrupts")
@pytest.mark.filterwarnings("error")
def test_starts_that_have_ended_are_kept_if_ctrl_c_comes(tmp_path):
    # The results may still be on their way if the signal comes: then it comes later.
    fits = []
    for pause in (1.0, 10.0):
        folder = tmp_path / str(pause)
        folder.mkdir()
        with contextlib.suppress(KeyboardInterrupt):
            fits = train_each(until_interrupted(folder, {0, 2, 3}, pause), STARTS, 2)
            break
    losses = [fit.loss for fit in fits]
    assert losses
    assert losses == sorted(losses)
    assert set(losses) <= {0.0, 2.0, 3.0}
    assert best(fits).outcome == "interrupted"
    # The processes are replaced by new ones.
    fits = train_each(ends_at(["gradient"] * 4)[0], STARTS, 2)
    assert [fit.outcome for fit in fits] == ["gradient"] * 4


@interrupts
@pytest.mark.usefixtures("signals_are_interrupts")
def test_ctrl_c_is_raised_if_no_start_has_ended(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_each(until_interrupted(tmp_path, set(), 0.0), STARTS, 2)


# The best -----------------------------------------------------------------------------


@pytest.mark.parametrize("scores", [[3.0, 1.0, 2.0], [1.0, 1.0], [2.0]])
def test_the_lowest_score_wins_and_the_first_of_equals(scores):
    fits = [trained(score) for score in scores]
    assert best(fits) is fits[int(np.argmin(scores))]


def test_starts_are_compared_by_the_lowest_validation_loss():
    low_loss = trained(0.1, validation=[3.0, 2.0, 2.5])
    low_validation = trained(0.5, validation=[3.0, 1.0, 4.0])
    assert best([low_loss, low_validation]) is low_validation
    assert low_validation.score == 1.0


@pytest.mark.parametrize("last", [1.0, 3.0])
def test_the_best_is_interrupted_if_the_last_start_was(last):
    fits = [trained(2.0), trained(last, "interrupted")]
    found = best(fits)
    assert found.loss == min(2.0, last)
    assert found.outcome == "interrupted"


# Each of them -------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_start_is_trained_as_train_says(
    early_stopping, warm_start, breast_cancer, training_set, hidden_spec, start_of
):
    data, validation = training_set(*breast_cancer), None
    spec = hidden_spec(data, tol=1e-3, patience=3 if early_stopping else None)
    if early_stopping:
        rows = np.arange(len(data.y))
        data, validation = data.rows(rows[::2]), data.rows(rows[1::2])
    start = start_of(spec) / (1.0 + 1e3 * warm_start)
    training = RestartTraining(
        spec,
        data,
        validation,
        warm_start,
        observers=lambda number, task, problem, stopping: (),
        task=FitTask(None, {}, dict, dict),
    )
    found, leave_the_rest = training(0, start)
    expected = train(spec, data, validation, start, warm_start=warm_start)
    assert not leave_the_rest
    np.testing.assert_array_equal(found.parameters, expected.parameters)
    assert found.loss_curve == expected.loss_curve
    assert found.validation_curve == expected.validation_curve


# Threads ------------------------------------------------------------------------------


def blas_threads():
    return {
        pool["filepath"]: pool["num_threads"]
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }


def note_threads(number, start):
    """Return the threads that a start may use, and those of the BLAS, as losses."""
    with limit_blas_threads as allowed:
        inside = max(blas_threads().values(), default=1)
        time.sleep(0.05)  # so that several run at the same time
    fit = trained()._replace(loss_curve=[float(allowed), float(inside)])
    return fit, False


@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_workers_share_the_cores(n_jobs):
    with threadpool_limits(4):
        available = max(blas_threads().values(), default=1)
        fits = train_each(note_threads, STARTS, n_jobs)
    for fit in fits:
        allowed, inside = fit.loss_curve
        assert inside == 1  # during a fit the BLAS itself has one thread
        if n_jobs == 1:
            assert allowed == available
        else:
            assert allowed * n_jobs <= max(cpu_count(), n_jobs)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_the_user_limits_the_threads_of_workers(backend):
    inner = {"inner_max_num_threads": 1} if backend == "loky" else {}
    with joblib.parallel_config(backend, **inner), threadpool_limits(1):
        fits = train_each(note_threads, STARTS, 2)
    assert all(fit.loss_curve[0] == 1 for fit in fits)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_threads_and_limits_are_as_before(backend):
    with joblib.parallel_config(backend):
        train_each(note_threads, STARTS, 2)  # the backend may keep what it has started
        threads, limits = threading.active_count(), blas_threads()
        for _ in range(3):
            train_each(note_threads, STARTS, 2)
    # A pool of threads ends a moment after its work.
    deadline = time.monotonic() + 10.0
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    assert blas_threads() == limits
