"""Extreme penalties, separable classes, and fits that end too early."""

import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from checks import X, Y, assert_sound
from models import (
    LINEAR,
    NETWORK,
    each_activation,
    each_class,
    each_solver,
    expects_separation,
    while_fitting,
    with_every_solver,
)
from sknn_simple import LogisticNN, OneHiddenMLP


@pytest.mark.parametrize("alpha", [0, 1e-300, 1e-12, 1e12, 1e300])
@pytest.mark.parametrize("standardize", [True, False])
@each_class
def test_any_penalty_makes_a_sound_model(model, standardize, alpha):
    y = Y.copy()
    y[::4] = (y[::4] + 1) % 3
    model = clone(model).set_params(alpha=alpha, standardize=standardize, tol=1e-3)
    assert_sound(model.fit(X, y), X, y)
    if alpha >= 1e12:
        prior = np.bincount(y) / len(y)
        assert_allclose(model.predict_proba(X), np.tile(prior, (60, 1)), atol=1e-2)


# Separable classes --------------------------------------------------------------------


def separable(n_classes):
    """Return one column that separates the classes, and one that does not."""
    y = np.arange(30) % n_classes
    noise = np.linspace(-1.0, 1.0, 30)
    return np.column_stack([3.0 * y + 0.1 * noise, noise]), y


@expects_separation
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_solver
def test_separable_classes_without_penalty_are_separated(
    solver, n_classes, standardize
):
    # J has no minimum: weights grow until its gradient is within tol.
    features, y = separable(n_classes)
    model = LogisticNN(0, solver=solver, standardize=standardize).fit(features, y)
    assert_sound(model, features, y)
    assert model.score(features, y) == 1.0
    assert model.predict_proba(features).max(axis=1).min() > 0.99


@expects_separation
@each_activation
@pytest.mark.parametrize("n_classes", [2, 3])
def test_networks_separate_classes_without_penalty(n_classes, activation):
    features, y = separable(n_classes)
    model = OneHiddenMLP(5, activation, alpha=0, random_state=0).fit(features, y)
    assert_sound(model, features, y)
    assert model.score(features, y) == 1.0


@expects_separation
@each_solver
def test_more_columns_than_rows_are_separated_without_penalty(solver):
    wide = np.random.default_rng(0).normal(size=(20, 50))
    y = np.arange(20) % 2
    model = LogisticNN(0, solver=solver).fit(wide, y)
    assert_sound(model, wide, y)
    assert model.score(wide, y) == 1.0


# Fits that end too early --------------------------------------------------------------

WITH_EVERY_SOLVER = [(LINEAR, "auto"), (NETWORK, "auto")]
WITH_EVERY_SOLVER += with_every_solver(LINEAR, NETWORK)


@pytest.mark.parametrize("max_iter", [1, 2])
@pytest.mark.parametrize(("model", "solver"), WITH_EVERY_SOLVER, ids=str)
def test_one_warning_says_what_to_do_if_max_iter_is_too_small(model, solver, max_iter):
    model = clone(model).set_params(solver=solver, max_iter=max_iter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    [warning] = caught
    assert warning.category is ConvergenceWarning
    assert warning.filename == __file__
    message = str(warning.message)
    assert message.startswith(f"{type(model).__name__} ")
    assert f"max_iter={max_iter}" in message
    assert f"{max_iter} iteration" in message
    assert f"{model.grad_norm_:.2g}" in message
    assert f"tol={model.tol:g}" in message
    assert "Raise max_iter" in message
    assert "tol" in message.split("Raise max_iter")[1]
    assert not model.converged_
    assert model.n_iter_ == max_iter


@each_class
@pytest.mark.parametrize("alpha", [1.0, "auto"])
def test_the_warning_names_alpha_only_if_one_was_given(model, alpha):
    model = clone(model).set_params(alpha=alpha, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="Raise max_iter") as caught:
        model.fit(X, Y)
    message = str(caught[-1].message)
    assert ("a larger alpha, or alpha='auto'" in message) == (alpha == 1.0)
    # The search of LogisticNN has not ended, and its alpha is named.
    searches = alpha == "auto" and isinstance(model, LogisticNN)
    assert (f"another alpha than {model.alpha_:.3g}." in message) == searches
    assert message.count("alpha") == 2 * (alpha == 1.0 or searches)


@each_class
def test_ctrl_c_keeps_the_best_iterate_and_warns(model):
    def press(n_iter):
        if n_iter == 3:
            raise KeyboardInterrupt

    model = clone(model).set_params(solver="lbfgs")
    with pytest.warns(ConvergenceWarning, match="interrupted") as caught:
        while_fitting(model, X, Y, press)
    assert len(caught) == 1
    assert model.n_iter_ == 3
    assert not model.converged_
    assert_sound(model, X, Y)
    assert model.loss_ < model.loss_curve_[0]


@each_class
@pytest.mark.parametrize("failure", [MemoryError, RuntimeError, SystemExit])
def test_a_fit_that_fails_leaves_the_model_as_it_was(model, failure):
    frame = pytest.importorskip("pandas").DataFrame(X[:, :3], columns=list("abc"))
    fitted = clone(model).fit(X, Y)
    before = dict(vars(fitted))
    state = joblib.hash(before)

    def fail(n_iter):
        raise failure("on purpose")

    with pytest.raises(failure, match="on purpose"):
        while_fitting(fitted, frame, Y > 0, fail)
    assert vars(fitted).keys() == before.keys()
    assert joblib.hash(vars(fitted)) == state
