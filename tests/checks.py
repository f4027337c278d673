"""What a refused fit and a sound model have in common."""

import io
from contextlib import redirect_stdout

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hooks import Recorder
from models import LINEAR, NETWORK, independent_classes, parameters

X, Y = independent_classes(3)
# The same classes as an indicator matrix.
LABELS = np.eye(3, dtype=int)[Y]
FITTED = {type(model): clone(model).fit(X, Y) for model in (LINEAR, NETWORK)}


def with_value(array, value, at=(3, 1)):
    """Return a copy with one other value, in row 3 and column 1."""
    array = np.array(array, dtype=float)
    array[at[: array.ndim]] = value
    return array


def assert_refused(model, match, *args, error=ValueError, **kwargs):
    """Require that `fit` raises before any work, and changes nothing.

    Work would print a line with verbose=1, and call callbacks (scikit-learn ≥ 1.9).
    """
    unfitted = clone(model)
    _assert_refused(unfitted, match, error, args, kwargs)
    with pytest.raises(NotFittedError):
        unfitted.predict(X)
    fitted = clone(model)
    learned = vars(FITTED[type(model)]).items()
    vars(fitted).update({k: v for k, v in learned if k not in model.get_params()})
    _assert_refused(fitted, match, error, args, kwargs)


def _assert_refused(model, match, error, args, kwargs):
    recorder = Recorder()
    if hasattr(model, "set_callbacks"):
        model.set_callbacks(recorder)
    if model.verbose == 0:
        model.set_params(verbose=1)
    before = dict(vars(model))
    state = joblib.hash(before)
    with (
        redirect_stdout(io.StringIO()) as printed,
        pytest.raises(error, match=match),
    ):
        model.fit(*args, **kwargs)
    assert printed.getvalue() == ""
    assert recorder.events == []
    assert vars(model).keys() == before.keys()
    for name, value in vars(model).items():
        assert value is before[name], name
    assert joblib.hash(vars(model)) == state


def assert_sound(model, X, y):
    """Require finite results, probabilities that sum to 1, and no rise of J."""
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.grad_norm_)
    assert model.loss_ <= model.loss_curve_[0]
    assert model.loss_ == model.loss_curve_[-1]
    for array in parameters(model):
        assert np.isfinite(array).all()
    p, log_p = model.predict_proba(X), model.predict_log_proba(X)
    for output in (p, log_p, model.decision_function(X)):
        assert np.isfinite(output).all()
    if np.ndim(y) == 1:
        assert_allclose(p.sum(axis=1), 1.0, rtol=1e-5)
    assert np.all((p >= 0.0) & (p <= 1.0))
    assert np.all(log_p <= 0.0)


def assert_chosen(alpha, tried, losses):
    """Require the alpha nearest to the minimum of a parabola over log α.

    The parabola goes through the lowest loss and both neighbours, and may choose the
    middle between two values.
    """
    best = int(np.argmin(losses))
    expected = tried[best]
    if 0 < best < len(losses) - 1:
        logs = np.log(tried[best - 1 : best + 2])
        square, slope, _ = np.polyfit(logs, losses[best - 1 : best + 2], 2)
        choices = np.array([logs[1], logs[:2].mean(), logs[1:].mean()])
        distance = np.abs(choices + slope / (2.0 * square))
        expected = np.exp(choices[np.argmin(distance)])
    assert_allclose(alpha, expected, rtol=1e-12)


def assert_search_is_consistent(model, n_splits=3):
    """Require what is true of the table of every search."""
    table = model.cv_results_
    splits = [f"split{k}_log_loss" for k in range(n_splits)]
    assert list(table) == ["alpha", "mean_log_loss", "std_log_loss", *splits]
    losses = np.array([table[name] for name in splits])
    assert losses.shape == (n_splits, len(table["alpha"]))
    assert np.isfinite(losses).all()
    assert (losses > 0.0).all()
    assert_allclose(table["mean_log_loss"], losses.mean(axis=0), rtol=1e-12)
    assert_allclose(table["std_log_loss"], losses.std(axis=0), rtol=1e-9, atol=1e-12)
    assert (np.diff(table["alpha"]) < 0.0).all()
    assert_chosen(model.alpha_, table["alpha"], table["mean_log_loss"])


def assert_same_search(one, other):
    assert one.cv_results_.keys() == other.cv_results_.keys()
    for name, column in one.cv_results_.items():
        assert_array_equal(column, other.cv_results_[name], err_msg=name)
    assert one.alpha_ == other.alpha_
