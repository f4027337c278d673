"""Both classifiers for Dask as estimators of scikit-learn, and their clients."""

import _thread
import copy
import gc
import io
import pickle
import sys
import threading
from contextlib import redirect_stdout

import dask
import dask.array as da
import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import sknn_simple.onnx
from chunked import (
    COUNTED,
    LARGE,
    LINEAR,
    NETWORK,
    X,
    Y,
    assert_same_optimum,
    chunked,
    counting,
    each_dask_class,
    plain,
)
from hooks import Observer, Recorder
from models import (
    assert_same_bits,
    expects_separation,
    fit,
    needs_callbacks,
    while_fitting,
)
from sknn_simple import Posterior
from sknn_simple._chunks.engine import Engine
from sknn_simple.dask import DaskLogisticNN, DaskOneHiddenMLP

pytestmark = pytest.mark.timeout(120)
TWO = (Y == 1).astype(int)
LAZY = chunked(X), chunked(Y)


@expects_separation
@parametrize_with_checks(
    [DaskLogisticNN(), DaskOneHiddenMLP(4, alpha=1.0, random_state=0)]
)
def test_check_estimator(estimator, check):
    check(estimator)


@each_dask_class
def test_rows_in_memory_are_fitted_as_by_the_plain_estimator(model):
    assert_same_bits(fit(model, X, Y), fit(plain(model), X, Y), X)


@pytest.mark.parametrize("kind", [int, float, str])
def test_a_chunk_with_many_classes_is_no_reason_to_warn(kind):
    # 60 classes: more than half of the rows of each chunk, but not of all.
    y = (np.arange(len(Y)) % 60).astype(kind)
    model = clone(LINEAR).set_params(tol=1e-2).fit(chunked(X), chunked(y))
    assert len(model.classes_) == 60


@each_dask_class
def test_every_parameter_has_its_constraint(model):
    assert set(model._parameter_constraints) == set(model.get_params())


# Clients ------------------------------------------------------------------------------


@each_dask_class
def test_bits_depend_on_the_chunks_alone(model, client):
    fits = [
        fit(clone(model).set_params(client=one, persist=persist), *rows)
        for rows in [(chunked(X, (200, 37, 213)), chunked(Y, (200, 37, 213)))]
        for one, persist in ((None, True), (client, True), (client, False))
    ]
    for other in fits[1:]:
        assert_same_bits(fits[0], other, X)


def test_a_client_fits_more_rows_than_the_sample(client):
    model = clone(LINEAR).set_params(client=client)
    model.fit(chunked(LARGE[0], 9000), chunked(LARGE[1], 9000))
    assert_same_optimum(model, fit(plain(LINEAR), *LARGE))


def test_a_sum_of_many_parts_is_that_of_all():
    """Eight parts make one task: 20 take two rounds."""
    engine = Engine(None, 1.0)
    parts = [engine.call(np.full, 3, float(k)) for k in range(20)]
    [total] = engine.collect([engine.total(parts)])
    assert_array_equal(total, np.full(3, 190.0))


@pytest.mark.parametrize("with_client", [False, True])
def test_a_large_theta_is_sent_once(client, with_client):
    # 9000 parameters are more than a message of a task takes.
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(60, 3000))
    y = np.arange(60) % 3
    model = clone(LINEAR).set_params(tol=1e-6)
    model.set_params(client=client if with_client else None)
    model.fit(chunked(wide, 20), chunked(y, 20))
    expected = fit(plain(model), wide, y)
    assert_allclose(model.loss_, expected.loss_, rtol=1e-6)


def test_the_default_client_is_used(client):
    lazy = counting(chunked(X))
    with client.as_current():
        fit(LINEAR, lazy, chunked(Y))
    assert len(COUNTED) == 5  # a client keeps the rows, the local scheduler cannot


def test_every_pass_reads_the_chunks_unless_they_are_kept(client):
    model, lazy = clone(LINEAR).set_params(client=client), counting(chunked(X))
    fit(model, lazy, chunked(Y))
    assert len(COUNTED) == 5
    COUNTED.clear()
    fit(model.set_params(persist=False), lazy, chunked(Y))
    assert len(COUNTED) > 5
    assert len(COUNTED) % 5 == 0


def test_rows_are_released_after_the_fit(client):
    fit(clone(LINEAR).set_params(client=client), chunked(X), chunked(Y))
    gc.collect()
    client.sync(_released, client)


async def _released(client):
    import asyncio

    for _ in range(3000):
        if not client.cluster.scheduler.tasks:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(list(client.cluster.scheduler.tasks))


class Workers:
    """Stands for a client whose workers have little memory."""

    def __init__(self, client, limit):
        self._client, self._limit = client, limit

    def scheduler_info(self, **options):
        workers = self._client.scheduler_info(**options)["workers"]
        return {
            "workers": {
                k: {**v, "memory_limit": self._limit} for k, v in workers.items()
            }
        }

    def __getattr__(self, name):
        return getattr(self._client, name)


@each_dask_class
def test_rows_that_do_not_fit_the_workers(model, client):
    lazy = counting(chunked(X))
    model = clone(model).set_params(client=Workers(client, 20_000))
    with pytest.raises(MemoryError, match=r"take 25,200 bytes.* 24,000 .*persist=Fal"):
        model.fit(lazy, chunked(Y))
    assert COUNTED == []
    assert not hasattr(model, "n_features_in_")
    model.set_params(persist=False, tol=1e-2).fit(lazy, chunked(Y))
    assert COUNTED
    unlimited = clone(model).set_params(client=Workers(client, 0), persist=True)
    unlimited.fit(lazy, chunked(Y))


# Copies -------------------------------------------------------------------------------


@each_dask_class
def test_copies(model, client, tmp_path):
    model = clone(model).set_params(client=client).fit(chunked(X), chunked(Y))
    other = clone(model)
    assert other.client is client
    assert not hasattr(other, "classes_")
    joblib.dump(model, tmp_path / "model")
    for copied in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model"),
        copy.deepcopy(model),
    ):
        assert copied.client is None
        assert model.client is client
        assert_same_bits(copied, model, X)
        values = copied.predict_proba(chunked(X)).compute()
        assert_array_equal(values, model.predict_proba(X))


@each_dask_class
def test_parameters(model, client):
    model = clone(model)
    assert set(plain(model).get_params()) == model.get_params().keys() - {
        "client",
        "persist",
    }
    defaults, local = (
        kind().get_params() for kind in (type(model), type(plain(model)))
    )
    assert local.items() <= defaults.items()
    assert model.set_params(client=client).get_params()["client"] is client
    assert type(model).__name__ in repr(model)
    assert "client" in model._repr_html_()


@each_dask_class
def test_to_local(model, client, tmp_path):
    model = clone(model).set_params(client=client, verbose=0, max_iter=999)
    model.fit(chunked(X), chunked(Y))
    local = model.to_local()
    kind = type(plain(model))
    assert type(local) is kind
    assert local.max_iter == 999
    assert_same_bits(local, model, X)
    joblib.dump(local, tmp_path / "local")
    assert_same_bits(joblib.load(tmp_path / "local"), model, X)
    local.fit(X, TWO)
    assert model.classes_.tolist() == [0, 1, 2]
    with pytest.raises(Exception, match="not fitted"):
        clone(model).to_local()


@each_dask_class
def test_to_local_goes_through_onnx(model):
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    sknn_simple.onnx.register()
    local = fit(model, chunked(X), chunked(Y)).to_local()
    graph = skl2onnx.to_onnx(local, X[:1]).SerializeToString()
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert_array_equal(session.run(None, {"X": X})[0], local.predict(X))


def test_to_local_has_a_posterior():
    lazy = fit(LINEAR, chunked(X), chunked(TWO)).to_local()
    table = fit(plain(LINEAR), X, TWO)
    one, other = Posterior(lazy, X, TWO), Posterior(table, X, TWO)
    assert_allclose(one.predict_proba(X[:9]), other.predict_proba(X[:9]), rtol=1e-5)


def test_a_search_over_rows_in_memory(client):
    search = GridSearchCV(clone(LINEAR), {"alpha": [0.1, 10.0]}, cv=2)
    search.fit(X, TWO)
    assert search.best_estimator_.converged_


# During a fit -------------------------------------------------------------------------


@needs_callbacks
@each_dask_class
def test_callbacks(model):
    recorder, observer = Recorder(), Observer()
    model = clone(model).set_params(tol=1e-5)
    data, y = chunked(X), chunked(Y)
    alone = fit(model, data, y)
    model = clone(model).set_callbacks(recorder, observer).fit(data, y)
    assert_same_bits(model, alone, X)
    recorder.assert_nested()
    tasks = recorder.paths("iteration")
    assert len(tasks) - model.n_iter_ in (0, 1)
    for name, seen, target, _, _ in observer.begun + observer.ended:
        assert seen is data, name
        assert target is y
    last = [row[4] for row in observer.ended if row[0] == "iteration"][-1]
    assert_array_equal(last.predict_proba(X), model.predict_proba(X))
    assert isinstance(last.predict(data), da.Array)


@needs_callbacks
def test_a_callback_stops_the_fit():
    recorder = Recorder(stop=lambda context: context.task_name == "iteration")
    model = clone(NETWORK).set_params(tol=1e-9).set_callbacks(recorder)
    model.fit(chunked(X), chunked(Y))
    assert model.n_iter_ <= 1
    assert not model.converged_


@each_dask_class
def test_verbose(model):
    with redirect_stdout(io.StringIO()) as printed:
        model = clone(model).set_params(verbose=1).fit(chunked(X), chunked(Y))
    lines = printed.getvalue().splitlines()
    name = type(model).__name__
    assert lines[0].startswith(f"{name}: 450 rows in 5 chunks, of which 450 are the sa")
    numbers = [line.split()[0] for line in lines if line.split()[0].isdigit()]
    assert numbers[0] == "0"
    assert f"after {model.n_iter_} iterations" in lines[-1]


@pytest.mark.parametrize("with_client", [False, True])
@pytest.mark.parametrize("at", [0, 2])
def test_ctrl_c_keeps_the_best_iterate(at, with_client, client):
    def press(n_iter):
        if n_iter == at:
            raise KeyboardInterrupt

    model = clone(NETWORK).set_params(client=client if with_client else None, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="was interrupted") as caught:
        while_fitting(model, *LAZY, press)
    of_fit = sys.modules[while_fitting.__module__].__file__
    assert [warning.filename for warning in caught] == [of_fit]
    assert not model.converged_
    assert model.n_iter_ == at
    assert model.loss_ == min(model.loss_curve_)
    assert np.isfinite(model.predict_proba(X)).all()
    model.set_params(tol=1e-3).fit(*LAZY)
    assert model.converged_


# Python drops an interrupt that comes within `__del__`, of a future for example.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("signals_are_interrupts")
@pytest.mark.parametrize("with_client", [False, True])
def test_ctrl_c_may_come_anywhere_within_an_iteration(with_client, client):
    ended = threading.Event()

    def press():
        while not ended.is_set():
            _thread.interrupt_main()
            ended.wait(5.0)  # then the first one was dropped

    model = clone(NETWORK).set_params(tol=0.0, alpha=0.0, max_iter=100_000)
    model.set_params(client=client if with_client else None, hidden_layer_size=20)
    timer = threading.Timer(0.03, press)
    try:
        with pytest.warns(ConvergenceWarning, match="was interrupted") as caught:
            while_fitting(
                model, *LAZY, lambda n_iter: timer.start() if n_iter == 2 else None
            )
    finally:
        ended.set()
    assert len(caught) == 1
    assert model.n_iter_ >= 2
    assert model.loss_ == min(model.loss_curve_)


@each_dask_class
def test_ctrl_c_while_rows_are_read_is_raised(model):
    def press(block):
        raise KeyboardInterrupt

    lazy = chunked(X).map_blocks(press, dtype=X.dtype, meta=X[:0])
    model = fit(model, chunked(X), chunked(Y))
    before = dict(vars(model))
    with dask.config.set(scheduler="synchronous"), pytest.raises(KeyboardInterrupt):
        model.fit(lazy, chunked(Y))
    assert vars(model) == before
