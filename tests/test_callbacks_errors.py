"""Errors in hooks of callbacks, and input that reaches no hook."""

import threading

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone

from hooks import Failing, Recorder, X, Y
from models import (
    LINEAR,
    NETWORK,
    each_class,
    ignores_max_iter,
    needs_callbacks,
    with_every_solver,
)
from sknn_simple import LogisticNN, OneHiddenMLP

pytestmark = needs_callbacks

# SciPy takes a StopIteration for a request to stop, a generator makes a RuntimeError
# of it.
ERRORS = [StopIteration("broken hook"), KeyError("broken hook"), SystemExit(3)]
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
each_hook = pytest.mark.parametrize("hook", ["begin", "end"])
# The alpha of the networks is chosen by folds, that of LogisticNN on validation rows.
CHOOSING = clone(NETWORK).set_params(alpha="auto", cv=2, max_iter=20)
MODELS = with_every_solver(LogisticNN(max_iter=20), CHOOSING)


def assert_the_error_arrives(model, hook, task, error, **validation_set):
    """Require that a fit raises `error` itself, and leaves no trace."""
    failing, other = Failing(hook, task, error), Recorder()
    model = clone(model).set_callbacks(failing, other)
    with pytest.raises(type(error)) as raised:
        model.fit(X, Y, **validation_set)
    assert raised.value.args == error.args
    for callback in (failing, other):
        assert [what for what, *_ in callback.events].count("teardown") == 1
        assert callback.events[-1][0] == "teardown"
    assert [name for name in vars(model) if "callback" in name] == ["_skl_callbacks"]
    assert not [name for name in vars(model) if name.endswith("_")]
    # The error was the last event of a task.
    assert failing.events[-2][:2] == (hook, task)


@each_error
@each_hook
@ignores_max_iter
@pytest.mark.parametrize(
    ("model", "solver"), MODELS, ids=lambda v: v if isinstance(v, str) else None
)
def test_an_error_in_a_hook_arrives(model, solver, hook, error):
    tasks = ["fit", "iteration", "alphas", "alpha", "fold"]
    rows = {"X_val": X[:20], "y_val": Y[:20]}
    if isinstance(model, OneHiddenMLP):
        tasks, rows = [*tasks, "start"], {}
    model = clone(model).set_params(solver=solver)
    threads = set(threading.enumerate())
    for task in tasks:
        assert_the_error_arrives(model, hook, task, error, **rows)
    assert set(threading.enumerate()) <= threads


@each_hook
@each_error
def test_an_error_in_a_hook_arrives_from_bounds(hook, error):
    model = LogisticNN(alpha=1.0, monotonic_cst=[1, 0, 0, 0, 0])
    assert_the_error_arrives(model, hook, "iteration", error)


@ignores_max_iter
@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("task", ["iteration", "fold"])
def test_an_error_in_a_hook_arrives_from_workers(task, backend):
    model = clone(CHOOSING).set_params(n_init=2, n_jobs=2)
    failing = Failing("end", task, StopIteration("broken hook"))
    with parallel_config(backend), pytest.raises(StopIteration, match="broken hook"):
        model.set_callbacks(failing).fit(X, Y)
    assert failing.events[-1][0] == "teardown"


@each_class
def test_an_error_in_a_hook_leaves_a_fitted_model_as_it_was(model):
    model = clone(model).fit(X, Y)
    before = vars(model).copy()
    model.set_callbacks(Failing("end", "fit", KeyError("broken hook")))
    with pytest.raises(KeyError, match="broken hook"):
        model.fit(X, 1 - Y)
    model.set_callbacks()
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.parametrize("model", [LINEAR, NETWORK], ids=lambda m: type(m).__name__)
def test_the_next_fit_is_as_good_as_new(model):
    model = clone(model).set_callbacks(Failing("end", "iteration", KeyError("x")))
    with pytest.raises(KeyError):
        model.fit(X, Y)
    recorder = Recorder()
    model.set_callbacks(recorder).fit(X, Y)
    recorder.assert_nested()


@pytest.mark.parametrize("bad", [{"X": X * np.nan}, {"y": Y * 0}], ids=["X", "y"])
@each_class
def test_bad_input_reaches_no_hook(model, bad):
    recorder = Recorder()
    with pytest.raises(ValueError, match=r"NaN|classes"):
        clone(model).set_callbacks(recorder).fit(**{"X": X, "y": Y, **bad})
    assert recorder.events == []


@each_class
def test_only_callbacks_are_taken(model):
    for wrong in ("progress", Recorder, print):
        with pytest.raises(TypeError, match="FitCallback"):
            clone(model).set_callbacks(wrong)
