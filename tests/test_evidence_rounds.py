"""What the rounds of alpha="auto" record and print, and fits that end early."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from checks import assert_refused, assert_sound
from hooks import stopping_at
from models import (
    assert_same_bits,
    each_solver,
    fit,
    independent_classes,
    needs_callbacks,
    while_fitting,
)
from sknn_simple import LogisticNN

AUTO = LogisticNN("auto")
X, Y = independent_classes(2, 150, 6, flip_y=0.2)


# The record ---------------------------------------------------------------------------


@each_solver
def test_the_record_is_of_all_rounds(solver):
    model = LogisticNN("auto", solver=solver).fit(X, Y)
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert model.loss_ == model.loss_curve_[-1]
    raw = model.decision_function(X)
    penalty = 0.5 * model.alpha_ * (model.coef_**2 @ X.var(axis=0)).item()
    J = (np.logaddexp(0.0, -(2 * Y - 1) * raw).sum() + penalty) / len(Y)
    assert_allclose(model.loss_, J, rtol=1e-9)


def test_a_given_alpha_has_no_evidence():
    model = LogisticNN(0.3).fit(X, Y)
    assert model.alpha_ == 0.3
    assert not hasattr(model, "log_evidence_")
    model.set_params(alpha="auto").fit(X, Y)
    assert model.log_evidence_ < 0.0
    assert 0.0 < model.n_effective_ < 6.0
    model.set_params(alpha=2).fit(X, Y)
    assert model.alpha_ == 2
    assert not hasattr(model, "log_evidence_")
    assert not hasattr(model, "n_effective_")


def test_fitted_numbers_are_plain_and_survive_pickle():
    model = fit(AUTO, X, Y)
    for name in ("alpha_", "log_evidence_", "n_effective_"):
        assert type(getattr(model, name)) is float
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_bits(loaded, model, X)
    assert vars(loaded).keys() == vars(model).keys()
    assert clone(model).alpha == "auto"


def test_a_grid_may_hold_auto_and_numbers():
    grid = GridSearchCV(LogisticNN(), {"alpha": ["auto", 1.0]}, cv=3).fit(X, Y)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    alone = fit(LogisticNN(grid.best_params_["alpha"]), X, Y)
    assert_same_bits(grid.best_estimator_, alone, X)


@pytest.mark.parametrize(
    ("alpha", "end"),
    [
        ("automatic", "Got 'automatic' instead. Did you mean 'auto'?"),
        ("Auto", "Did you mean 'auto'?"),
        (-1, "Got -1 instead."),
        (np.nan, "Got nan instead."),
        (None, "Got None instead. Use alpha=0 for no penalty."),
    ],
)
def test_another_alpha_is_refused(alpha, end):
    match = r"'alpha' parameter of LogisticNN must be .*\{'auto'\}"
    assert_refused(LogisticNN(alpha), match, X[:, :5], Y)
    with pytest.raises(ValueError, match=match) as caught:
        LogisticNN(alpha).fit(X, Y)
    assert str(caught.value).endswith(end)


@pytest.mark.parametrize("weight", [1e308, 1e-305])
def test_weights_that_leave_the_range_are_refused(weight):
    match = "alpha='auto' cannot be used with sample weights whose sum is"
    weights = np.full(len(Y), weight)
    assert_refused(AUTO, match, X[:, :5], Y, sample_weight=weights)


# verbose, callbacks and Ctrl-C --------------------------------------------------------


@each_solver
def test_verbose_prints_the_alphas(solver, capsys):
    model = LogisticNN("auto", solver=solver, verbose=1).fit(X, Y)
    title, header, first, *lines = capsys.readouterr().out.splitlines()
    assert (title, first) == ("LogisticNN", "alpha=1")
    assert header.split()[0] == "iteration"
    chosen, end = lines[-2:]
    assert chosen == f"alpha={model.alpha_:g} is chosen"
    assert end.endswith(f" after {model.n_iter_} iterations")
    alphas = [line for line in lines[:-2] if line.startswith("alpha=")]
    assert f"alpha={model.alpha_:g}" in alphas
    rows = [line.split() for line in lines[:-2] if not line.startswith("alpha=")]
    assert [int(row[0]) for row in rows] == list(range(model.n_iter_ + 1))


@each_solver
@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_max_iter_counts_all_rounds(solver, max_iter):
    model = LogisticNN("auto", solver=solver, max_iter=max_iter)
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        model.fit(X, Y)
    assert len(caught) == 1
    assert model.n_iter_ == max_iter
    assert not model.converged_
    assert_sound(model, X, Y)
    assert np.isfinite([model.alpha_, model.log_evidence_, model.n_effective_]).all()


def assert_is_a_model_of_its_alpha(model, y=Y):
    """J of the parameters at alpha_ is the last value that was recorded."""
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert np.isfinite(model.log_evidence_)
    raw = model.decision_function(X)
    penalty = 0.5 * model.alpha_ * (model.coef_**2 @ X.var(axis=0)).item()
    J = (np.logaddexp(0.0, -(2 * y - 1) * raw).sum() + penalty) / len(y)
    assert_allclose(model.loss_, J, rtol=1e-9)


@each_solver
def test_ctrl_c_in_an_iteration_keeps_the_model(solver):
    whole = LogisticNN("auto", solver=solver).fit(X, Y)
    for at in range(whole.n_iter_ + 1):
        model = LogisticNN("auto", solver=solver)

        def press(n_iter, at=at):
            if n_iter == at:
                raise KeyboardInterrupt

        with pytest.warns(ConvergenceWarning, match="was interrupted") as caught:
            while_fitting(model, X, Y, press)
        assert len(caught) == 1
        assert model.n_iter_ == at
        assert_is_a_model_of_its_alpha(model)


@each_solver
def test_ctrl_c_between_two_rounds_keeps_the_model(solver, on_evaluation):
    """It is raised in each evaluation of J in turn; only the first has no model."""
    count = [0, -1]

    def press(_):
        count[0] += 1
        if count[0] == count[1]:
            raise KeyboardInterrupt

    on_evaluation(press)
    model = LogisticNN("auto", solver=solver, tol=1e-3).fit(X, Y)
    total, alphas = count[0], set()
    for at in range(1, total + 1):
        count[:] = 0, at
        model = LogisticNN("auto", solver=solver, tol=1e-3)
        if at == 1:
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, Y)
            continue
        with pytest.warns(ConvergenceWarning, match="was interrupted") as caught:
            model.fit(X, Y)
        assert len(caught) == 1
        assert_is_a_model_of_its_alpha(model)
        alphas.add(model.alpha_)
    assert len(alphas) > 2


@needs_callbacks
@each_solver
def test_a_callback_that_stops_keeps_the_model(solver):
    whole = LogisticNN("auto", solver=solver).fit(X, Y)
    for at in range(whole.n_iter_):
        model = LogisticNN("auto", solver=solver).set_callbacks(
            stopping_at("iteration", at)
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, Y)
        assert model.n_iter_ == at + 1
        assert model.converged_ == (at + 1 == whole.n_iter_)
        assert_is_a_model_of_its_alpha(model)
        assert len(caught) == (at + 1 < whole.n_iter_)
        for warning in caught:
            assert "a callback asked to stop" in str(warning.message)


@each_solver
def test_a_search_that_max_iter_ends_says_so(solver):
    whole = LogisticNN("auto", solver=solver).fit(X, Y)
    for max_iter in range(1, whole.n_iter_):
        model = LogisticNN("auto", solver=solver, max_iter=max_iter)
        with pytest.warns(ConvergenceWarning, match="search for alpha") as caught:
            model.fit(X, Y)
        [warning] = caught
        text = str(warning.message)
        assert f"it reached max_iter={max_iter}" in text
        assert f"another alpha than {model.alpha_:.3g}. Raise max_iter" in text
        # It names the gradient only if that is too large.
        assert ("tol" in text) == (model.grad_norm_ > model.tol * min(1, model.loss_))
        assert_is_a_model_of_its_alpha(model)


# A second search, from the weakest penalty --------------------------------------------


@each_solver
def test_an_end_in_the_second_search_keeps_the_model_of_the_first(solver):
    """It had the weakest penalty, whose evidence is far less."""
    noise = np.random.RandomState(0).randint(0, 2, size=len(Y))
    whole = LogisticNN("auto", solver=solver).fit(X, noise)
    alphas = whole.evidence_path_["alpha"]
    assert alphas[1:].min() < 1e-3 < whole.alpha_
    n_rounds = set()
    for at in range(1, whole.n_iter_):
        model = LogisticNN("auto", solver=solver, max_iter=at)
        with pytest.warns(ConvergenceWarning, match="search for alpha did not end"):
            model.fit(X, noise)
        path = model.evidence_path_
        if path["alpha"].min() < 1e-3:
            assert model.alpha_ == whole.alpha_
            assert_allclose(model.log_evidence_, path["log_evidence"].max(), rtol=1e-6)
        assert model.n_iter_ == at
        assert_is_a_model_of_its_alpha(model, noise)
        n_rounds.add(len(path["alpha"]))
    assert len(n_rounds) > 3


def test_the_second_search_ends_on_columns_that_are_nearly_the_same():
    """L-BFGS took all iterations for it, with a preconditioner of the first search."""
    rng = np.random.RandomState(0)
    tails = rng.standard_cauchy(size=(60, 20))
    columns = np.hstack([tails, tails[:, :5] + 1e-3 * rng.standard_normal((60, 5))])
    model = fit(AUTO, columns, rng.randint(0, 7, size=60))
    assert model.converged_
    assert model.evidence_path_["alpha"].min() < 1e-3 < model.alpha_
