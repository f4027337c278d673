"""Workers that die, workers that are all gone, and clients that are closed."""

import os
import signal
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from chunked import LINEAR, NETWORK, X, Y, chunked, each_dask_class
from models import assert_same_bits, fit, ignores_max_iter, while_fitting

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.timeout(120),
    # Sockets of processes that were killed.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
LONG = clone(NETWORK).set_params(max_iter=12, tol=0.0)
ROWS = (100, 37, 213, 100)


OPTIONS = {
    "threads_per_worker": 1,
    "dashboard_address": ":0",
    "set_as_default": False,
}


@pytest.fixture
def processes():
    """Return a client of two processes."""
    with distributed.Client(n_workers=2, **OPTIONS) as client:
        yield client


def in_threads(n_workers):
    """Return a client whose workers are threads of this process."""
    return distributed.Client(processes=False, n_workers=n_workers, **OPTIONS)


@pytest.fixture
def threads():
    """Return a client of one thread, to be closed."""
    with in_threads(1) as client:
        yield client


def rows():
    return chunked(X, ROWS), chunked(Y, ROWS)


# A worker -----------------------------------------------------------------------------


@ignores_max_iter
def test_a_worker_that_dies_changes_no_bit(processes):
    model, killed = clone(LONG).set_params(client=processes), []

    def kill(n_iter):
        if n_iter == 3:
            pid = next(iter(processes.run(os.getpid).values()))
            killed.append(os.kill(pid, signal.SIGKILL))

    model = while_fitting(model, *rows(), kill)
    assert len(killed) == 1
    assert model.n_iter_ == 12
    assert_same_bits(model, fit(LONG, *rows()), X)


@ignores_max_iter
@pytest.mark.parametrize("n_workers", [1, 4])
def test_any_number_of_workers_gives_the_same_bits(n_workers):
    with in_threads(n_workers) as client:
        for model in (LONG, LINEAR):
            of_workers = clone(model).set_params(client=client).fit(*rows())
            assert_same_bits(of_workers, fit(model, *rows()), X)


# All of them --------------------------------------------------------------------------


def assert_ends_with_the_best_iterate(model, lose, at=3):
    """Require one warning, and the iterate before the loss."""

    def end(n_iter):
        if n_iter == at:
            lose()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        while_fitting(model, *rows(), end)
    caught = [each for each in caught if each.category is ConvergenceWarning]
    assert len(caught) == 1
    assert "J could no longer be evaluated" in str(caught[0].message)
    assert not model.converged_
    assert model.n_iter_ >= at
    assert model.loss_ == min(model.loss_curve_)
    assert np.isfinite(model.predict_proba(X)).all()


def impatient(model):
    """Return a clone of a subclass that soon counts workers as lost."""
    kind = type(model)
    return type(kind.__name__, (kind,), {"worker_patience": 1.0})(**model.get_params())


@pytest.mark.parametrize("persist", [True, False])
def test_the_client_is_closed(persist, threads):
    model = clone(NETWORK).set_params(client=threads, persist=persist, tol=0.0)
    assert_ends_with_the_best_iterate(model, threads.close)
    assert model.n_iter_ == 3


def test_the_client_is_closed_while_alpha_is_chosen(threads):
    model = clone(LINEAR).set_params(client=threads, alpha="auto", tol=1e-9)
    assert_ends_with_the_best_iterate(model, threads.close, at=0)


def test_all_workers_are_gone(threads):
    model = impatient(NETWORK).set_params(client=threads, tol=0.0)
    assert_ends_with_the_best_iterate(model, lambda: threads.cluster.scale(0))


@pytest.mark.parametrize("lost", ["closed", "no workers"])
@each_dask_class
def test_lost_before_the_first_evaluation(model, lost, threads):
    model = impatient(model).set_params(client=threads).fit(*rows())
    before = dict(vars(model))
    state = joblib.hash({k: v for k, v in before.items() if k != "client"})
    if lost == "closed":
        threads.close()
        match = "client was closed"
    else:
        threads.cluster.scale(0)
        match = "No worker of the Dask cluster is left"
    with pytest.raises(RuntimeError, match=match):
        model.fit(*rows())
    assert vars(model) == before
    assert joblib.hash({k: v for k, v in vars(model).items() if k != "client"}) == state
    assert model.predict(X).shape == Y.shape


def test_rows_that_kill_workers(threads):
    def die(block):  # what the scheduler says after several workers have died
        raise distributed.KilledWorker("task", LastWorker(), 3)

    lazy = chunked(X, ROWS).map_blocks(die, dtype=X.dtype, meta=X[:0])
    model = clone(LINEAR).set_params(client=threads)
    with pytest.raises(RuntimeError, match=r"workers died while.*smaller chunks"):
        model.fit(lazy, chunked(Y, ROWS))
    assert not hasattr(model, "classes_")


class LastWorker:
    address = "tcp://192.0.2.1:1"
