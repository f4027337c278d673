"""The fitted estimators that hooks of callbacks are given, and stored models."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hooks import Observer, Recorder, X, Y, fitted
from models import (
    CHOOSING,
    NETWORK,
    SKIPPING,
    assert_same_bits,
    each_class,
    each_model,
    each_model_and_solver,
    needs_callbacks,
)
from sknn_simple import LogisticNN

pytestmark = needs_callbacks


def at_the_end_of(task, observer):
    return [row[4] for row in observer.ended if row[0] == task]


class Calling(Recorder):
    """Calls a function of the estimator and of its fitted copy at each task's end."""

    def __init__(self, function, task="iteration"):
        super().__init__()
        self.function, self.task = function, task

    def __getstate__(self):
        return {**vars(self), "function": None}

    # pyrefly: ignore  # scikit-learn reads from the signature what a hook asks for
    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == self.task:
            self.function(estimator, fitted_estimator)


# The end of a fit and of its starts ---------------------------------------------------


@each_model_and_solver
def test_the_end_of_a_fit_has_the_fitted_model(model, solver):
    observer = Observer()
    model = fitted(model, observer, solver=solver)
    (last,) = at_the_end_of("fit", observer)
    assert_same_bits(last, model, X)
    assert vars(last).keys() == vars(model).keys() - {"_skl_callbacks"}


@each_model
def test_the_estimator_is_fitted_at_the_end_of_its_fit(model):
    predicted = []
    calling = Calling(
        lambda estimator, _: predicted.append(estimator.predict(X)), "fit"
    )
    model = fitted(model, calling)
    assert_array_equal(predicted, [model.predict(X)])


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("model", [NETWORK, SKIPPING, CHOOSING], ids=str)
def test_the_end_of_each_start_has_its_model(model, n_jobs):
    monitor = Monitor()
    model = fitted(model, monitor, n_init=3, n_jobs=n_jobs)
    rows = [row for row in monitor.rows() if row["task_name"] == "start"]
    assert [row["task_id"] for row in rows] == [0, 1, 2]
    assert [row["loss"] for row in rows] == model.init_losses_.tolist()
    (row,) = [row for row in monitor.rows() if row["task_name"] == "fit"]
    assert row["loss"] == model.loss_ == model.init_losses_.min()


def loss_of(estimator, X, y):
    """Return the recorded J; the copies of iterations have none."""
    return getattr(estimator, "loss_", np.nan)


def Monitor():
    """A ScoringMonitor whose score is the recorded J, also in other processes."""
    from sklearn.callback import ScoringMonitor

    class Rows(ScoringMonitor):
        def rows(self):
            return self.get_logs().data

    return Rows(scoring={"loss": loss_of})


@pytest.mark.parametrize("y", [Y, np.arange(len(X)) % 3, np.eye(3)[np.arange(80) % 3]])
@each_model
def test_a_monitor_has_a_last_row_for_every_target(model, y):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    model = clone(model).set_callbacks(monitor).fit(X, y)
    first = monitor.get_logs().data[0]  # the rows begin with the whole
    assert (first["task_name"], first["accuracy"]) == ("fit", model.score(X, y))


# During a fit -------------------------------------------------------------------------


@each_model_and_solver
def test_an_estimator_in_its_fit_is_not_fitted(model, solver):
    seen = []

    def predict(estimator, fitted_estimator):
        seen.append(fitted_estimator)
        for method in ("predict", "predict_proba", "decision_function"):
            with pytest.raises(NotFittedError):
                getattr(estimator, method)(X)

    model = clone(model).set_params(solver=solver).set_callbacks(Calling(predict))
    for _ in range(2):  # the second fit begins with a fitted model
        model.fit(X, Y)
    assert len(seen) > 2


def test_copies_have_nothing_of_an_earlier_fit():
    observer = Observer()
    model = clone(SKIPPING).fit(X, Y)
    model.set_params(skip_connections=False).set_callbacks(observer).fit(X, Y)
    for _, _, _, _, copied in observer.ended:
        assert not hasattr(copied, "skip_coef_")
    assert not hasattr(model, "skip_coef_")


@each_class
def test_attributes_of_the_user_outlive_a_fit(model):
    model = clone(model).set_callbacks(Recorder())
    model.threshold_ = 0.3
    assert model.fit(X, Y).threshold_ == 0.3


@pytest.mark.parametrize("keep", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("of", ["estimator", "fitted_estimator"])
@each_class
def test_copies_that_a_callback_keeps_do_not_hold_each_other(model, of, keep):
    kept = []

    def remember(estimator, fitted_estimator):
        kept.append(keep(estimator if of == "estimator" else fitted_estimator))

    calling = Calling(remember)
    # pyrefly: ignore  # what it keeps is part of it
    calling.kept = kept
    fitted(model, calling)
    stored = [one if isinstance(one, bytes) else pickle.dumps(one) for one in kept]
    assert len(stored) > 3
    sizes = [len(one) for one in stored]
    assert max(sizes) < 1.2 * min(sizes)
    assert not any(b"Calling" in one for one in stored)


# Stored models ------------------------------------------------------------------------


@each_class
def test_a_stored_model_keeps_its_callbacks(model):
    from sklearn.callback import ScoringMonitor

    model = fitted(model, ScoringMonitor(scoring="accuracy"))
    other = pickle.loads(pickle.dumps(model))
    assert vars(other).keys() == vars(model).keys()
    assert_same_bits(other, model, X)
    (monitor,) = other.fit(X, Y)._skl_callbacks
    assert len(monitor.get_logs(select="all")) == 2
    assert len(model._skl_callbacks[0].get_logs(select="all")) == 1


@each_class
def test_a_model_is_stored_without_callbacks_if_they_are_removed(model):
    class OfThisFunction(Recorder):
        """Cannot be pickled."""

    model = fitted(model, OfThisFunction())
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(model)
    stored = pickle.dumps(model.set_callbacks())
    assert b"callback" not in stored
    assert_same_bits(pickle.loads(stored), model, X)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("already_fitted", [False, True])
@each_class
def test_refits_in_processes_are_recorded(model, already_fitted, n_jobs):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    watched = clone(model).set_callbacks(monitor)
    if already_fitted:
        watched.fit(X, Y)
    pipeline = make_pipeline(StandardScaler(), watched)
    name = type(model).__name__.lower()
    search = GridSearchCV(pipeline, {f"{name}__alpha": [0.1, 1.0]}, n_jobs=n_jobs, cv=2)
    search.fit(X, Y)
    fits = [
        row
        for log in monitor.get_logs(select="all")
        for row in log.data
        if row["estimator_name"] == type(model).__name__ and row["task_name"] == "fit"
    ]
    assert len(fits) == 2 * 2 + 1 + already_fitted


def test_the_tasks_of_a_search_are_more_than_all_iterations():
    # A context accepts as many subtasks as it announces.
    recorder = Recorder()
    model = LogisticNN(max_iter=1).set_callbacks(recorder)
    with pytest.warns(match="max_iter"):
        model.fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])
    assert len(recorder.paths("alphas")) == len(recorder.paths("iteration")) == 1
