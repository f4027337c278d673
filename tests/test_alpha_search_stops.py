"""What follows a search for alpha, and what stops it: callbacks, Ctrl-C, verbose."""

import pickle
import signal
import threading
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from checks import assert_chosen
from models import (
    CHOOSING,
    LINEAR,
    assert_same_bits,
    classes,
    fit,
    needs_callbacks,
    outputs,
)

X, Y = classes(2, 120, flip_y=0.3)
VALIDATION = {"X_val": X[80:], "y_val": Y[80:]}


class Recorder:
    """Follows the protocol; `opened` are the open tasks, `tasks` all that were."""

    def __init__(self, stop=lambda context: False):
        self.stop = stop
        self.opened, self.tasks = set(), []

    def setup(self, estimator, context):
        assert not self.opened

    def teardown(self, estimator, context):
        assert not self.opened

    def on_fit_task_begin(self, estimator, context):
        place = self.place(context)
        assert place not in self.opened
        assert len(place) == 1 or place[:-1] in self.opened
        self.opened.add(place)
        self.tasks.append((context.task_name, place))

    def on_fit_task_end(self, estimator, context):
        place = self.place(context)
        self.opened.remove(place)
        # The tasks within it have ended.
        assert not any(other[: len(place)] == place for other in self.opened)
        return self.stop(context)

    @staticmethod
    def place(context):
        path = ()
        while context is not None:
            path = (context.task_id, *path)
            context = context.parent
        return path

    def places(self, name):
        found = [place for task, place in self.tasks if task == name]
        assert len(set(found)) == len(found)
        return sorted(found)


def watched(model, *callbacks, **val):
    model = clone(model).set_callbacks(*callbacks)
    return model.fit(X[:80], Y[:80], **val) if val else model.fit(X, Y)


def fit_with_one_warning(model, fit, match):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model)
    [warning] = caught
    assert warning.category is ConvergenceWarning
    assert match in str(warning.message)
    assert warning.filename == __file__
    return str(warning.message)


# Callbacks ----------------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("n_init", [1, 2])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_search_its_alphas_and_folds_are_tasks(n_init, n_threads):
    recorder = Recorder()
    model = clone(CHOOSING).set_params(n_init=n_init)
    with threadpool_limits(n_threads):
        model = watched(model, recorder)
    [search] = recorder.places("alphas")
    # After the starts, whose numbers are those of init_losses_.
    assert search == (0, n_init)
    assert recorder.places("start") == [(0, number) for number in range(n_init)]
    n_alphas = len(model.cv_results_["alpha"])
    alphas = [(*search, number) for number in range(n_alphas)]
    assert recorder.places("alpha") == alphas
    folds = [(*alpha, number) for alpha in alphas for number in range(3)]
    assert recorder.places("fold") == folds
    first = [name for name, _ in recorder.tasks].index
    assert first("alphas") < first("start")


@needs_callbacks
@pytest.mark.parametrize("model", [CHOOSING, LINEAR], ids=lambda m: type(m).__name__)
def test_a_search_by_validation_rows_has_tasks_of_one_fold(model):
    recorder = Recorder()
    model = watched(model, recorder, **VALIDATION)
    n_alphas = len(model.cv_results_["alpha"])
    assert len(recorder.places("alphas")) == 1
    assert len(recorder.places("alpha")) == len(recorder.places("fold")) == n_alphas
    assert len(recorder.places("iteration")) >= model.n_iter_


@needs_callbacks
@pytest.mark.parametrize("backend", [None, "threading"])
def test_callbacks_do_not_change_the_search(backend):
    alone = fit(CHOOSING, X, Y)
    model = clone(CHOOSING).set_params(n_jobs=2 if backend else None)
    with joblib.parallel_config(backend or "loky"):
        model = watched(model, Recorder())
    assert_same_bits(model, alone, X)
    assert model.alpha_ == alone.alpha_


@needs_callbacks
@pytest.mark.parametrize("task", ["alpha", "fold"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_callback_may_end_the_search(task, number):
    def stop(context):
        path = Recorder.place(context)
        return context.task_name == task and path[2] == number

    recorder = Recorder(stop)
    whole = fit(CHOOSING, X, Y)
    model = clone(CHOOSING).set_callbacks(recorder)
    fit_with_one_warning(model, lambda m: m.fit(X, Y), "a callback ended the search")
    assert len(recorder.places("alpha")) == number + 1
    for name, column in model.cv_results_.items():
        assert_array_equal(column, whole.cv_results_[name][: number + 1])
    table = model.cv_results_
    assert_chosen(model.alpha_, table["alpha"], table["mean_log_loss"])
    fixed = clone(CHOOSING).set_params(alpha=model.alpha_).fit(X, Y)
    assert_same_bits(model, fixed, X)


@needs_callbacks
@pytest.mark.parametrize("model", [CHOOSING, LINEAR], ids=lambda m: type(m).__name__)
def test_a_scoring_monitor_scores_the_last_fit(model):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    model = watched(model, monitor, **VALIDATION)
    rows = [r for r in monitor.get_logs().data if r["task_name"] == "iteration"]
    assert rows[-1]["accuracy"] == model.score(X[:80], Y[:80])
    assert len(rows) == model.n_iter_


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("val", [{}, VALIDATION], ids=["folds", "validation rows"])
def test_a_progress_bar_is_drawn(n_jobs, val, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    watched(clone(CHOOSING).set_params(n_jobs=n_jobs), ProgressBar(), **val)
    out = capsys.readouterr().out
    assert "OneHiddenMLP - fit" in out
    assert "alphas" in out
    assert "100%" in out
    drawing = [type(thread).__name__ for thread in threading.enumerate()]
    assert "RichProgressMonitor" not in drawing


# Ctrl-C -------------------------------------------------------------------------------


def interrupt(model, on_evaluation, at, press):
    """Press Ctrl-C at an evaluation of J, from whichever thread makes it."""
    evaluations = []

    def count(objective):
        evaluations.append(objective)
        if len(evaluations) == at:
            press()

    on_evaluation(count)
    fit_with_one_warning(model, lambda m: m.fit(X, Y), "an interrupt ended the search")
    table = model.cv_results_
    if table:
        assert_chosen(model.alpha_, table["alpha"], table["mean_log_loss"])
    else:
        assert model.alpha_ == 1.0
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.converged_


def raise_interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", [1, 2, 20, 40])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_interrupt_ends_the_search_alone(on_evaluation, at, n_threads):
    model, threads = clone(CHOOSING), threading.active_count()
    with threadpool_limits(n_threads):
        limits = threadpool_info()
        interrupt(model, on_evaluation, at, raise_interrupt)
        assert threadpool_info() == limits
    assert threading.active_count() <= threads


@pytest.mark.usefixtures("signals_are_interrupts")
@pytest.mark.parametrize("at", [2, 20])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_signal_is_an_interrupt(on_evaluation, at, n_threads):
    # It comes to the main thread, whatever that is doing.
    def press():
        signal.raise_signal(signal.SIGINT)

    with threadpool_limits(n_threads):
        interrupt(clone(CHOOSING), on_evaluation, at, press)


@needs_callbacks
@pytest.mark.parametrize("at", [1, 20])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_interrupt_closes_the_tasks(on_evaluation, at, n_threads):
    recorder = Recorder()
    model = clone(CHOOSING).set_callbacks(recorder)
    with threadpool_limits(n_threads):
        interrupt(model, on_evaluation, at, raise_interrupt)
    assert not recorder.opened
    assert recorder.places("start") == [(0, 0)]


def test_an_interrupt_in_a_thread_of_joblib(on_evaluation):
    with joblib.parallel_config("threading", n_jobs=2):
        interrupt(clone(CHOOSING), on_evaluation, 20, raise_interrupt)


def test_an_interrupt_of_the_last_fit_keeps_the_whole_search(on_evaluation):
    model, whole, starts = clone(CHOOSING), fit(CHOOSING, X, Y), []

    def press(objective):
        # The last fit is the first one of all rows.
        starts.extend([0] * (objective.blocks.n_rows == len(Y)))
        if len(starts) == 5:
            raise KeyboardInterrupt

    on_evaluation(press)
    fit_with_one_warning(model, lambda m: m.fit(X, Y), "was interrupted")
    assert model.alpha_ == whole.alpha_
    assert not model.converged_


# verbose ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [CHOOSING, LINEAR], ids=lambda m: type(m).__name__)
def test_verbose_has_a_line_for_each_alpha(model, capsys):
    model = clone(model).set_params(verbose=1).fit(X[:80], Y[:80], **VALIDATION)
    lines = capsys.readouterr().out.splitlines()
    alphas, losses = (model.cv_results_[k] for k in ("alpha", "mean_log_loss"))
    name = type(model).__name__
    expected = [
        f"{name}: alpha={alpha:.3g}: validation log-loss {loss:.4f}"
        for alpha, loss in zip(alphas, losses, strict=True)
    ]
    # Stronger penalties than the first one are tried last.
    assert sorted(lines[: len(alphas)]) == sorted(expected)
    assert lines[len(alphas)].startswith(f"{name}: alpha={model.alpha_:.3g} ")
    # The table of the last fit follows.
    assert lines[len(alphas) + 1] == name


# Persistence, meta-estimators ---------------------------------------------------------


def test_a_stored_model_keeps_the_search(tmp_path):
    model = fit(CHOOSING, X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
    ):
        assert again.alpha_ == model.alpha_
        assert again.cv_results_.keys() == model.cv_results_.keys()
        for name, column in model.cv_results_.items():
            assert_array_equal(again.cv_results_[name], column)
        assert_same_bits(again, model, X)
    unfitted = clone(model)
    assert unfitted.get_params() == model.get_params()
    assert not hasattr(unfitted, "alpha_")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_over_alpha(n_jobs):
    pipeline = make_pipeline(StandardScaler(), clone(CHOOSING))
    grid = {"onehiddenmlp__alpha": ["auto", 0.01], "onehiddenmlp__cv": [2, 3]}
    search = GridSearchCV(
        pipeline, grid, cv=2, n_jobs=n_jobs, scoring="neg_log_loss"
    ).fit(X, Y)
    assert search.best_params_["onehiddenmlp__alpha"] == "auto"
    assert hasattr(search.best_estimator_[-1], "cv_results_")
    alone = clone(pipeline).set_params(**search.best_params_).fit(X, Y)
    for name, output in outputs(alone, X).items():
        assert_array_equal(output, getattr(search, name)(X))
