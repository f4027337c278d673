"""scikit-learn's callbacks: what each hook is told, when, and what a stop does."""

import gc
import threading
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hooks import Observer, Recorder, X, Y, fitted, stopping_at
from models import (
    HAS_CALLBACKS,
    LINEAR,
    NETWORK,
    each_class,
    each_model_and_solver,
    needs_callbacks,
)
from sknn_simple import LogisticNN, OneHiddenMLP


@pytest.mark.parametrize("kind", [LogisticNN, OneHiddenMLP])
def test_set_callbacks_is_there_from_1_9_on(kind):
    assert hasattr(kind, "set_callbacks") == HAS_CALLBACKS


@needs_callbacks
@each_model_and_solver
def test_every_iteration_is_a_task(model, solver):
    recorder = Recorder()
    model = fitted(model, recorder, solver=solver)
    recorder.assert_nested()
    within = (0,) if isinstance(model, LogisticNN) else (0, 0)
    assert recorder.paths("fit") == [(0,)]
    tasks = recorder.paths("iteration")
    # A solver may begin an iteration that comes to nothing.
    assert len(tasks) - model.n_iter_ in ((0,) if model.converged_ else (0, 1))
    assert tasks == [(*within, number) for number in range(len(tasks))]
    assert recorder.paths("iteration", "begin") == tasks


@needs_callbacks
@each_class
def test_the_model_does_not_depend_on_callbacks(model):
    alone = clone(model).fit(X, Y)
    for callbacks in ([Recorder()], [Observer()], [Recorder(), Observer()]):
        watched = fitted(model, *callbacks)
        assert watched.loss_curve_ == alone.loss_curve_
        assert_array_equal(watched.predict_proba(X), alone.predict_proba(X))


@needs_callbacks
@each_model_and_solver
def test_hooks_are_given_the_values_they_ask_for(model, solver):
    observer, weight = Observer(), np.linspace(1.0, 2.0, len(Y))
    model = clone(model).set_params(solver=solver).set_callbacks(observer)
    model.fit(X, Y, sample_weight=weight)
    for name, data, target, metadata, _ in observer.begun + observer.ended:
        assert data is X, name
        assert target is Y
        assert metadata.keys() == {"sample_weight"}
        assert metadata["sample_weight"] is weight
    # An iteration ends where the next one begins.
    begun = [row[4] for row in observer.begun if row[0] == "iteration"]
    ended = [row[4] for row in observer.ended if row[0] == "iteration"]
    for one, other in zip(ended[:-1], begun[1:], strict=True):
        assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    start = begun[0].decision_function(X)
    if isinstance(model, LogisticNN):
        assert_array_equal(start, 0.0)
    assert_array_equal(ended[-1].predict_proba(X), model.predict_proba(X))
    assert ended[-1].predict(X).shape == Y.shape
    if isinstance(model, OneHiddenMLP):
        assert_array_equal(ended[-1].transform(X), model.transform(X))


@needs_callbacks
def test_validation_rows_are_not_metadata():
    # ScoringMonitor passes the metadata on to scorers, which take no such rows.
    observer = Observer()
    model = clone(NETWORK).set_params(early_stopping=True).set_callbacks(observer)
    model.fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])
    assert observer.ended
    for _, data, _, metadata, _ in observer.begun + observer.ended:
        assert data is None or len(data) == 60
        assert metadata is None


@needs_callbacks
@each_class
def test_no_metadata_without_weights(model):
    observer = Observer()
    fitted(model, observer)
    assert all(row[3] is None for row in observer.begun + observer.ended)


@needs_callbacks
@pytest.mark.parametrize("n_classes", ["three", "labels"])
@each_class
def test_hooks_are_given_a_fitted_estimator_for_every_target(model, n_classes):
    y = np.arange(len(X)) % 3
    y = (
        np.array(["a", "b", "c"])[y]
        if n_classes == "three"
        else np.eye(3, dtype=int)[y]
    )
    observer = Observer()
    model = clone(model).set_callbacks(observer).fit(X, y)
    last = [row[4] for row in observer.ended if row[0] == "iteration"][-1]
    assert_array_equal(last.predict(X), model.predict(X))


@pytest.fixture
def objects_are_new():
    """Have gc.get_objects leave out the million objects that are there now."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@needs_callbacks
@each_class
@pytest.mark.usefixtures("objects_are_new")
def test_models_of_iterations_are_made_only_if_asked_for(model):
    def n_models():
        return sum(isinstance(thing, type(model)) for thing in gc.get_objects())

    class Counting(Recorder):
        most = 0

        def on_fit_task_end(self, estimator, context):
            self.most = max(self.most, n_models() - before)

    gc.collect()
    before, counting = n_models(), Counting()
    fitted(model, counting, Recorder(), tol=0.1)
    assert counting.most == 1  # the clone that is fitted
    gc.collect()
    before, counting, observer = n_models(), Counting(), Observer()
    fitted(model, counting, observer, tol=0.1)
    # The observer keeps a model of the begin and of the end of each iteration, and of
    # the end of each start. It gets that of the fit after `counting` has counted.
    kept = 2 * len(observer.paths("iteration")) + len(observer.paths("start"))
    assert counting.most == 1 + kept


@needs_callbacks
@each_model_and_solver
def test_tasks_are_around_the_work(model, solver, on_evaluation):
    # Timings of a callback mean something if J is evaluated inside iterations.
    recorder = Recorder()
    on_evaluation(lambda objective: recorder.events.append(("work", "", ())))
    fitted(model, recorder, solver=solver, alpha=1.0)
    inside, where = False, []
    for what, name, _ in recorder.events:
        if name == "iteration":
            inside = what == "begin"
        elif what == "work":
            where.append(inside)
    assert where[0] is False  # J at the start
    assert all(where[1:])
    assert len(where) > 2


# Asking to stop -----------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("at", [0, 2])
@each_model_and_solver
def test_stop_is_honoured(model, solver, at):
    recorder = stopping_at("iteration", at)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fitted(model, recorder, solver=solver)
    # It is asked for, and only a search for alpha that did not end is worth a warning.
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == isinstance(model, LogisticNN)
    assert all("search for alpha did not end" in text for text in texts)
    recorder.assert_nested()
    assert model.n_iter_ == at + 1
    assert not model.converged_
    assert len(recorder.paths("iteration")) == at + 1
    # It is the model of that iteration.
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        other = clone(model).set_callbacks().set_params(max_iter=at + 1).fit(X, Y)
    assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    assert model.loss_curve_ == other.loss_curve_


@needs_callbacks
def test_all_callbacks_are_told_of_the_last_iteration():
    first, second = Recorder(lambda c: c.task_name == "iteration"), Recorder()
    fitted(clone(LINEAR).set_params(alpha=1.0), first, second)
    assert first.events == second.events


# Restarts -----------------------------------------------------------------------------


@needs_callbacks
def test_restarts_are_tasks():
    recorder = Recorder()
    model = fitted(NETWORK, recorder, n_init=3)
    recorder.assert_nested()
    assert recorder.paths("start") == [(0, number) for number in range(3)]
    each = [sum(p[1] == n for p in recorder.paths("iteration")) for n in range(3)]
    assert min(each) >= 1
    assert model.n_iter_ == each[int(model.init_losses_.argmin())]


@needs_callbacks
def test_a_stop_at_an_iteration_omits_the_other_starts():
    recorder = stopping_at("iteration", 2)
    model = fitted(NETWORK, recorder, n_init=4)
    recorder.assert_nested()
    assert len(recorder.paths("start")) == len(model.init_losses_) == 1
    assert model.n_iter_ == 3


@needs_callbacks
def test_a_stop_at_the_end_of_a_start_omits_the_other_starts():
    recorder = stopping_at("start", 1)
    model = fitted(NETWORK, recorder, n_init=4)
    recorder.assert_nested()
    assert len(recorder.paths("start")) == len(model.init_losses_) == 2


@needs_callbacks
def test_a_stop_at_the_end_of_a_start_omits_starts_in_other_threads():
    stopping = stopping_at("start", 1)
    with parallel_config("threading"):
        model = fitted(NETWORK, stopping, n_init=200, n_jobs=2)
    alone = clone(NETWORK).set_params(n_init=2).fit(X, Y)
    assert_array_equal(model.init_losses_, alone.init_losses_)
    assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    begun = stopping.paths("start", "begin")
    assert sorted(stopping.paths("start")) == sorted(begun)
    assert len(begun) < 200
    assert stopping.events[-1][0] == "teardown"


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scores_of_restarts_in_workers(n_jobs):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = fitted(NETWORK, monitor, n_init=3, n_jobs=n_jobs)
    alone = clone(NETWORK).set_params(n_init=3).fit(X, Y)
    assert_array_equal(model.init_losses_, alone.init_losses_)
    rows = [r for r in monitor.get_logs().data if r["task_name"] == "iteration"]
    starts = {row["task_id_path"][1] for row in rows}
    assert starts == {0, 1, 2}
    assert (
        sum(r["task_id_path"][1] == int(model.init_losses_.argmin()) for r in rows)
        == model.n_iter_
    )


# scikit-learn's own callbacks, and its meta-estimators --------------------------------


@needs_callbacks
@each_model_and_solver
def test_a_scoring_monitor_scores_every_iteration(model, solver):
    from sklearn.callback import ScoringMonitor
    from sklearn.metrics import log_loss

    monitor = ScoringMonitor(scoring=["neg_log_loss", "accuracy"])
    model = fitted(model, monitor, solver=solver)
    logged = monitor.get_logs().data
    rows = [row for row in logged if row["task_name"] == "iteration"]
    assert len(rows) == model.n_iter_
    assert_allclose(rows[-1]["neg_log_loss"], -log_loss(Y, model.predict_proba(X)))
    assert rows[-1]["accuracy"] == model.score(X, Y)
    assert rows[-1]["neg_log_loss"] > rows[0]["neg_log_loss"]
    # The fit and its start, if it has starts, end with the same model.
    others = [row for row in logged if row["task_name"] != "iteration"]
    names = ["fit"] if isinstance(model, LogisticNN) else ["fit", "start"]
    assert [row["task_name"] for row in others] == names
    assert {row["neg_log_loss"] for row in others} == {rows[-1]["neg_log_loss"]}


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
@each_class
def test_a_progress_bar_is_drawn(model, n_jobs, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    params = {} if isinstance(model, LogisticNN) else {"n_init": 2, "n_jobs": n_jobs}
    fitted(model, ProgressBar(), **params)
    out = capsys.readouterr().out
    assert f"{type(model).__name__} - fit" in out
    assert "100%" in out
    drawing = [type(thread).__name__ for thread in threading.enumerate()]
    assert "RichProgressMonitor" not in drawing


@needs_callbacks
@each_class
def test_callbacks_work_in_a_pipeline(model):
    recorder = Recorder()
    model = make_pipeline(StandardScaler(), clone(model).set_callbacks(recorder))
    model.fit(X, Y)
    assert len(recorder.paths("iteration")) == model[-1].n_iter_


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
@each_class
def test_callbacks_work_in_a_pipeline_and_a_search(model, n_jobs):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    watched = clone(model).set_callbacks(monitor)
    name = type(model).__name__.lower()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), watched),
        {f"{name}__alpha": [0.1, 1.0]},
        cv=2,
        n_jobs=n_jobs,
    )
    search.fit(X, Y)
    logs = monitor.get_logs(select="all")
    rows = [row for log in logs for row in log.data]
    best = search.best_estimator_[-1]
    assert len(rows) > 4 * best.n_iter_ / 2
    assert all(0.0 <= row["accuracy"] <= 1.0 for row in rows)
    plain = clone(search).set_params(n_jobs=1)
    plain.estimator[-1].set_callbacks()
    assert_array_equal(
        plain.fit(X, Y).cv_results_["mean_test_score"],
        search.cv_results_["mean_test_score"],
    )


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
@each_class
def test_a_progress_bar_is_drawn_around_a_search(model, n_jobs, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = GridSearchCV(clone(model), {"alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)
    if not hasattr(search, "set_callbacks"):
        pytest.skip("this scikit-learn's search takes no callbacks")
    search.set_callbacks(ProgressBar()).fit(X, Y)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert type(model).__name__ in out
