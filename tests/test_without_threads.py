"""A fit needs no thread: if none can be started, the calling thread does the work."""

import subprocess
import sys
import threading

import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from models import assert_same_bits, fit, ignores_max_iter
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._data.threads import Workers

# The models stop at max_iter, on purpose.
pytestmark = ignores_max_iter

MODELS = {
    "newton-cholesky": LogisticNN(solver="newton-cholesky", max_iter=4),
    "network": OneHiddenMLP(50, alpha=1.0, max_iter=5, random_state=0),
    "search": OneHiddenMLP(20, "tanh", cv=2, max_iter=2, random_state=0),
    "restarts": OneHiddenMLP(50, alpha=1.0, n_init=2, max_iter=3, random_state=0),
}


@pytest.fixture
def allowing(monkeypatch):
    """Return a function after which the process can start only some more threads."""
    start, tried = threading.Thread.start, []

    def allow(count):
        def limited(thread):
            tried.append(thread)
            if len(tried) > count:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)
        return tried

    return allow


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_has_the_same_bits_without_threads(name, count, large, allowing):
    model = clone(MODELS[name])
    with threadpool_limits(4):
        expected = fit(model, *large)
        tried = allowing(count)
        other = model.fit(*large)
    assert len(tried) > count  # it wanted more
    assert_same_bits(other, expected, large[0][:1000])


@pytest.mark.parametrize("count", range(5))
def test_every_index_is_worked_on_once(count, allowing):
    threads = set(threading.enumerate())
    done = []
    tried = allowing(count)
    with Workers(4) as workers:
        for _ in range(3):
            workers.run(done.append, 50)
            assert sorted(done) == list(range(50))
            done.clear()
        # It does not try again for every piece of work.
        assert len(tried) <= 8
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("count", [0, 1])
def test_an_error_is_raised_without_threads(count, allowing):
    def fail(index):
        raise ZeroDivisionError(index)

    allowing(count)
    with Workers(3) as workers, pytest.raises(ZeroDivisionError):
        workers.run(fail, 10)


LIMITED = """
import os, resource, threading
import numpy as np
from threadpoolctl import threadpool_limits
from sknn_simple import LogisticNN, OneHiddenMLP

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20))
y = (X[:, 0] + rng.normal(size=len(X)) > 0.0).astype(int)
models = [LogisticNN(), OneHiddenMLP(10, alpha=1.0, tol=0.1, random_state=0)]
with threadpool_limits(2):
    expected = [model.fit(X, y).predict_proba(X) for model in models]
    if os.getuid() == 0:  # the limit is for other users
        os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        print("limited")
    for model, before in zip(models, expected):
        assert (model.fit(X, y).predict_proba(X) == before).all()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is of Linux")
def test_a_limit_of_the_system_is_no_error():
    run = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False
    )
    if "PermissionError" in run.stderr:
        pytest.skip("this process may not change its user")
    assert (run.returncode, run.stderr) == (0, "")
    if "limited" not in run.stdout:
        pytest.skip("the limit has no effect here")
