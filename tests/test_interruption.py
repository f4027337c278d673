"""An interrupted fit: the best iterate so far, one warning, and nothing left behind.

Here the exception is raised by hand; test_interrupts.py sends signals.
"""

import threading

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._model.objective import LinearObjective
from sknn_simple._training.monitors import EarlyStopping, SilentMonitor

LINEAR = LogisticNN(tol=1e-9)
NETWORK = OneHiddenMLP(6, "tanh", alpha=0.01, random_state=0)
EVERY_SOLVER = [
    (model, solver)
    for model in (LINEAR, NETWORK)
    for solver in ["lbfgs", "newton-cg", "trust-ncg", "newton-cholesky"]
    if solver != "newton-cholesky" or model is LINEAR
]
each_solver = pytest.mark.parametrize(("model", "solver"), EVERY_SOLVER)

X, Y = make_classification(
    120, 6, n_informative=4, n_redundant=0, flip_y=0.2, random_state=0
)


class Interrupting(SilentMonitor):
    """Stands for Ctrl-C at the end of an iteration, or at the begin of the next."""

    def __init__(self, at, when="ended"):
        self.at, self.when = at, when
        self.starts = 0

    def ended(self, iterate, theta):
        self.n_iter = iterate.n_iter
        self.starts += iterate.n_iter == 0
        self._interrupt("ended")
        return False

    def begins(self, theta):
        self._interrupt("begins")

    def _interrupt(self, when):
        if (self.starts - 1, self.n_iter) == self.at and when == self.when:
            raise KeyboardInterrupt


@pytest.fixture
def watched_by(monkeypatch):
    """Have every fit watched by a monitor."""

    def watch(monitor):
        for kind in (LogisticNN, OneHiddenMLP):
            monkeypatch.setattr(kind, "_monitors", lambda *args: [monitor])

    return watch


def stopped_by_max_iter(model, n):
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        return clone(model).set_params(max_iter=n).fit(X, Y)


@pytest.mark.parametrize("when", ["ended", "begins"])
@pytest.mark.parametrize("at", [2, 3])
@each_solver
def test_between_iterations(model, solver, at, when, monkeypatch, interrupted):
    model = clone(model).set_params(solver=solver)
    with monkeypatch.context() as patch:
        watch = Interrupting((0, at), when)
        patch.setattr(type(model), "_monitors", lambda *args: [watch])
        model = interrupted(model, X, Y)
    # An iteration counts also where the interrupt comes while its end is told.
    assert model.n_iter_ == at
    expected = stopped_by_max_iter(clone(model), model.n_iter_)
    assert model.loss_ == model.loss_curve_[-1] == min(model.loss_curve_)
    assert model.loss_curve_ == expected.loss_curve_
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("when", ["ended", "begins"])
@each_solver
def test_at_the_start(model, solver, when, watched_by, interrupted):
    watched_by(Interrupting((0, 0), when))
    model = interrupted(clone(model).set_params(solver=solver), X, Y)
    assert model.n_iter_ == 0
    assert model.loss_ == model.loss_curve_[0]
    if isinstance(model, LogisticNN):
        assert_array_equal(model.coef_, 0.0)


@pytest.mark.parametrize("evaluation", [1, 2, 3])
@each_solver
def test_within_an_evaluation(model, solver, evaluation, on_evaluation, interrupted):
    calls = []

    def press(objective):
        calls.append(None)
        if len(calls) == evaluation:
            raise KeyboardInterrupt

    on_evaluation(press)
    model = interrupted(clone(model).set_params(solver=solver), X, Y)
    assert model.n_iter_ < evaluation
    # The first evaluation of all: the start is what there is.
    assert evaluation > 1 or model.n_iter_ == 0
    assert model.loss_ <= model.loss_curve_[0]


def test_in_a_fit_that_had_gone_before(watched_by, interrupted):
    # The record is that of the interrupted fit, not of the one before.
    model = clone(NETWORK).fit(X, Y)
    assert model.converged_
    watched_by(Interrupting((0, 2), "begins"))
    assert interrupted(model, X, Y).n_iter_ == 2


def test_a_fit_goes_on_after_an_interrupt(watched_by, monkeypatch, interrupted):
    model = clone(NETWORK).set_params(warm_start=True)
    with monkeypatch.context() as patch:
        patch.setattr(OneHiddenMLP, "_monitors", lambda *args: [Interrupting((0, 3))])
        reached = interrupted(model, X, Y).loss_
    assert model.fit(X, Y).converged_
    assert model.loss_curve_[0] == pytest.approx(reached, rel=1e-10)


@pytest.mark.parametrize("at", [0, 1, 4])
def test_with_early_stopping(at, watched_by, interrupted):
    watched_by(Interrupting((0, at), "begins"))
    model = interrupted(clone(NETWORK).set_params(early_stopping=True), X, Y)
    curve = model.validation_loss_curve_
    assert len(curve) == model.n_iter_ + 1 == at + 1
    assert model.init_losses_ == [min(curve)]
    assert model.loss_ == model.loss_curve_[int(np.argmin(curve))]


def test_during_the_validation_loss(monkeypatch, interrupted):
    watch, calls = EarlyStopping.ended, []

    def broken_off(self, iterate, theta):
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return watch(self, iterate, theta)

    monkeypatch.setattr(EarlyStopping, "ended", broken_off)
    model = interrupted(clone(NETWORK).set_params(early_stopping=True), X, Y)
    assert len(model.validation_loss_curve_) == model.n_iter_ + 1 == 4
    assert model.init_losses_ == [min(model.validation_loss_curve_)]


# Many rows: the fit begins with a sample of them --------------------------------------

MANY, MANY_Y = make_classification(12_000, 6, random_state=0)


@pytest.fixture
def broken_off(monkeypatch):
    """Raise at a call of a method of J; return the numbers of rows of the calls."""

    def at(method, call):
        compute, rows = getattr(LinearObjective, method), []

        def spied(self, *args):
            rows.append(self.blocks.n_rows)
            if len(rows) == call:
                raise KeyboardInterrupt
            return compute(self, *args)

        monkeypatch.setattr(LinearObjective, method, spied)
        return rows

    return at


IN_THE_SAMPLE = [
    ("value_and_grad", 1),  # the sample's own optimum, in which the fit starts
    ("value_and_grad", 3),
    ("hessian", 2),
]


@pytest.mark.parametrize(("method", "call"), IN_THE_SAMPLE)
def test_in_the_sample(method, call, broken_off):
    rows = broken_off(method, call)
    with pytest.warns(ConvergenceWarning, match="was interrupted") as caught:
        model = LogisticNN().fit(MANY, MANY_Y)
    assert len(caught) == 1
    assert max(rows[:call]) < len(MANY)
    assert model.n_iter_ == 0
    assert not model.converged_
    assert_array_equal(model.coef_, 0.0)
    assert model.loss_curve_ == [pytest.approx(np.log(2))]


def test_in_the_sample_after_a_fit_in_other_units(broken_off):
    """Zero is better than the last fit, and then the best that is known."""
    model = LogisticNN(warm_start=True).fit(MANY, MANY_Y)
    broken_off("value_and_grad", 2)
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        model.fit(1e3 * MANY, MANY_Y)
    assert model.loss_ == pytest.approx(np.log(2))


def test_in_the_sample_of_a_fit_that_goes_on(broken_off):
    model = LogisticNN(warm_start=True).fit(MANY, MANY_Y)
    before = model.predict_proba(MANY)
    rows = broken_off("hessian", 1)  # the coordinates that whiten it
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        model.fit(MANY, MANY_Y)
    assert rows[0] < len(MANY)
    assert_allclose(model.predict_proba(MANY), before)


# Restarts -----------------------------------------------------------------------------


@pytest.mark.parametrize("iteration", [0, 1, 5])
@pytest.mark.parametrize("start", [0, 1, 3])
def test_inside_restarts(start, iteration, watched_by, interrupted):
    model = clone(NETWORK).set_params(n_init=4)
    whole = clone(model).fit(X, Y)
    watched_by(Interrupting((start, iteration)))
    model = interrupted(model, X, Y)
    # The starts that have ended are kept, and so is what the interrupted one reached.
    assert model.init_losses_.shape == (start + 1,)
    assert_array_equal(model.init_losses_[:start], whole.init_losses_[:start])
    assert model.loss_ == model.init_losses_.min()


@pytest.mark.parametrize("n_jobs", [2])
def test_inside_restarts_in_threads(n_jobs, monkeypatch):
    # A monitor that interrupts in a worker thread; the other starts end on their own.
    lock, begun = threading.Lock(), []

    class OneOfThem(SilentMonitor):
        def __init__(self):
            with lock:
                begun.append(self)
                self.number = len(begun)

        def ended(self, iterate, theta):
            if self.number == 2 and iterate.n_iter == 2:
                raise KeyboardInterrupt
            return False

    monkeypatch.setattr(OneHiddenMLP, "_monitors", lambda *args: [OneOfThem()])
    model = clone(NETWORK).set_params(n_init=3, n_jobs=n_jobs)
    with joblib.parallel_config("threading"):
        with pytest.warns(ConvergenceWarning, match="was interrupted") as caught:
            model.fit(X, Y)
        assert len(caught) == 1
    assert not model.converged_
    assert model.loss_ == model.init_losses_.min()
