"""What a long-running program relies on: memory, threads and imports."""

import gc
import subprocess
import sys
import threading
import tracemalloc

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from models import (
    LINEAR,
    NETWORK,
    NETWORK_SOLVERS,
    each_class,
    ignores_max_iter,
    independent_classes,
)
from sknn_simple import OneHiddenMLP

X, Y = independent_classes()


# Leaks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        LINEAR,
        NETWORK,
        clone(NETWORK).set_params(n_init=2, early_stopping=True, n_iter_no_change=2),
    ],
    ids=["linear", "network", "restarts"],
)
def test_60_fits_leak_nothing(model):
    model = clone(model).set_params(tol=0.1)
    for _ in range(20):  # caches fill
        model.fit(X, Y).predict_proba(X)
    gc.collect()
    # Those of other tests, of Dask for example, may end meanwhile.
    threads, objects = set(threading.enumerate()), len(gc.get_objects())
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(60):
        model.fit(X, Y).predict_proba(X)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(threading.enumerate()) <= threads
    # Of the last fit something stays; of each one, 60 times as much.
    assert after - before < 60 * 1000
    assert len(gc.get_objects()) - objects < 60


@each_class
def test_fits_that_fail_leak_nothing(model):
    model, bad = clone(model), X * np.nan
    threads = set(threading.enumerate())
    for _ in range(50):
        with pytest.raises(ValueError, match="NaN"):
            model.fit(bad, Y)
    assert set(threading.enumerate()) <= threads
    assert set(vars(model)) == set(model.get_params())


# SciPy 1.11's Newton methods leave cycles, so that the fits of a search add up until
# the garbage is collected. Their fits are measured one by one.
MEASURED = [("auto", "lbfgs"), *((1.0, solver) for solver in NETWORK_SOLVERS)]


@ignores_max_iter
@pytest.mark.parametrize(("alpha", "solver"), MEASURED)
def test_memory_does_not_grow_with_rows_times_hidden_units(alpha, solver):
    few, many, h = 2_500, 10_000, 200
    X, y = independent_classes(n=many)
    model = OneHiddenMLP(h, "tanh", alpha=alpha, solver=solver, random_state=0)
    model.set_params(max_iter=2)

    def peaks(n):
        gc.collect()
        tracemalloc.start()
        model.fit(X[:n], y[:n])
        _, fitting = tracemalloc.get_traced_memory()
        gc.collect()
        tracemalloc.reset_peak()
        model.predict_proba(X[:n])
        _, predicting = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return np.array([fitting, predicting])

    # Each thread holds one row block: with many threads, the peak depends on how many
    # of them meet.
    with threadpool_limits(1):
        peaks(100)
        grown = peaks(many) - peaks(few)
    # One array of every unit for every row would add 12 MB.
    assert (grown < 8 * (many - few) * h / 4).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_needs_little_memory_for_more_than_its_result(dtype):
    X, y = independent_classes(n=40_000)
    model = OneHiddenMLP(100, random_state=0).fit(X[:100], y[:100])
    X = X.astype(dtype)
    with threadpool_limits(1):  # each thread holds one row block
        tracemalloc.start()
        hidden = model.transform(X)
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert hidden.dtype == dtype
    assert peak < 1.5 * hidden.nbytes


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@each_class
def test_sparse_data_are_not_made_dense(model, container):
    n, p = 2000, 5000
    rng = np.random.default_rng(0)
    X = sparse.random(n, p, density=0.001, random_state=rng, format="csr")
    y = np.arange(n) % 2
    model = clone(model).set_params(max_iter=100, alpha=10.0)
    model.set_params(solver="lbfgs")
    tracemalloc.start()
    model.fit(container(X), y).predict_proba(container(X))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n * p / 2


@ignores_max_iter
@pytest.mark.parametrize("kind", ["read-only", "Fortran", "mapped", "csr"])
@each_class
def test_large_data_are_not_copied(model, kind, tmp_path):
    n, p = 100_000, 50
    X = np.random.default_rng(0).normal(size=(n, p))
    y = (X[:, 0] > 0).astype(int)
    X = np.asfortranarray(X) if kind == "Fortran" else X
    X.setflags(write=False)
    if kind == "mapped":
        joblib.dump(X, tmp_path / "X")
        X = joblib.load(tmp_path / "X", mmap_mode="r")
    elif kind == "csr":
        X = sparse.csr_array(X)
    model = clone(model).set_params(max_iter=2, solver="lbfgs")
    tracemalloc.start()
    model.fit(X, y).predict_proba(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n * p


# Imports ------------------------------------------------------------------------------


OPTIONAL = ["matplotlib", "polars", "skl2onnx", "onnx", "onnxruntime", "skops"]
# scikit-learn looks into these itself if they are installed.
BLOCKED = [name for name in OPTIONAL if name != "polars"]


def run(program):
    subprocess.run([sys.executable, "-c", program], check=True)


def test_imports_ask_for_no_optional_package():
    """Of every public name, each of which is imported when it is first asked for."""
    run(
        "import sys, sknn_simple, sknn_simple.onnx, sknn_simple._displays\n"
        "for name in ['', *sknn_simple.__all__]:\n"
        "    exec(f'from sknn_simple import {name}' if name else '')\n"
        f"    assert not set({OPTIONAL}) & set(sys.modules), name\n"
    )


def test_fits_without_any_optional_package():
    run(
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({BLOCKED}))\n"
        "from sknn_simple import LogisticNN, OneHiddenMLP\n"
        "X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]\n"
        "for model in (LogisticNN(), OneHiddenMLP(2, random_state=0)):\n"
        "    model.fit(X, y).predict_proba(X)\n"
    )
