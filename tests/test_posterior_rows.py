"""Averaged probabilities, their intervals, rows left out, leverages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.metrics import log_loss

from models import each_model, fit, labels, noisy_classes
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior

TARGETS = [2, 3, "multilabel"]
each_target = pytest.mark.parametrize("target", TARGETS)


def data(target):
    return labels(90, 4, 2) if target == "multilabel" else noisy_classes(target)


@each_target
@each_model
def test_probabilities_and_intervals(model, target):
    X, y = data(target)
    model = fit(model, X, y)
    posterior = Posterior(model, X, y)
    plain, averaged = model.predict_proba(X), posterior.predict_proba(X)
    lower, upper = posterior.predict_interval(X)
    assert averaged.shape == lower.shape == upper.shape == plain.shape
    assert np.all((lower >= 0.0) & (lower < plain) & (plain < upper) & (upper <= 1.0))
    if target != "multilabel":
        assert_allclose(averaged.sum(axis=1), 1.0)
    if target != 3:
        # Less extreme, on the same side; of a network they may be the same.
        assert np.all(np.abs(averaged - 0.5) < np.abs(plain - 0.5) + 1e-12)
        assert np.all((averaged - 0.5) * (plain - 0.5) > 0.0)
    if isinstance(model, LogisticNN):
        assert np.all(averaged != plain)
    narrow = posterior.predict_interval(X, confidence_level=0.5)
    assert np.all(narrow[0] > lower)
    assert np.all(narrow[1] < upper)


@pytest.mark.parametrize(
    "model",
    [LogisticNN(alpha=1.0), OneHiddenMLP(2, "identity", alpha=1.0, random_state=0)],
)
def test_a_small_probability_of_the_first_class_keeps_its_digits(model):
    generator = np.random.RandomState(0)
    X = generator.normal(size=(4000, 1))
    y = (3.0 * X[:, 0] + generator.logistic(size=4000) > 0.0).astype(int)
    posterior = Posterior(fit(model, X, y), X, y)
    far = np.array([[15.0], [300.0]])
    with np.errstate(under="raise"):
        plain = posterior.model.predict_proba(far)
        lower, upper = posterior.predict_interval(far)
        averaged = posterior.predict_proba(far)
    assert np.all((lower <= plain) & (plain <= upper))
    assert 0.0 < lower[0, 0] < plain[0, 0] < upper[0, 0] < 1e-15
    assert averaged[0, 0] >= plain[0, 0] * (1.0 - 1e-9)


@pytest.mark.parametrize("target", [2, 3])
def test_averages_are_those_of_draws(target):
    X, y = data(target)
    model = fit(LogisticNN(alpha=1.0), X, y)
    posterior = Posterior(model, X, y)
    K, p = model.coef_.shape
    generator = np.random.RandomState(0)
    mean = np.hstack([model.coef_, model.intercept_[:, None]]).ravel()
    drawn = generator.multivariate_normal(mean, posterior.covariance, 4000)
    drawn = drawn.reshape(-1, K, p + 1)
    far = 3.0 * X[:20]
    raw = np.einsum("skp,np->snk", drawn[:, :, :p], far) + drawn[:, None, :, p]
    if target == 2:
        chances = expit(raw)
        expected = np.hstack([1.0 - chances.mean(axis=0), chances.mean(axis=0)])
    else:
        chances = np.exp(raw - raw.max(axis=2, keepdims=True))
        chances /= chances.sum(axis=2, keepdims=True)
        expected = chances.mean(axis=0)
    assert_allclose(posterior.predict_proba(far), expected, atol=0.02)
    lower, upper = posterior.predict_interval(X[:20])
    raw = np.einsum("skp,np->snk", drawn[:, :, :p], X[:20]) + drawn[:, None, :, p]
    chances = expit(raw) if target == 2 else np.exp(raw) / np.exp(raw).sum(2)[..., None]
    limits = np.quantile(chances, [0.025, 0.975], axis=0)
    assert_allclose(lower[:, -1], limits[0][:, -1], atol=0.03)
    assert_allclose(upper[:, -1], limits[1][:, -1], atol=0.03)


def test_two_classes_of_softmax_are_averaged_as_one_logit():
    # The same posterior, once with two equal classes merged.
    X, y = data(2)
    binary = Posterior(fit(LogisticNN(alpha=0, tol=1e-9), X, y), X, y)
    both = np.column_stack([y, 1 - y])
    twice = Posterior(fit(LogisticNN(alpha=0, tol=1e-9), X, both), X, both)
    assert_allclose(twice.predict_proba(X)[:, 0], binary.predict_proba(X)[:, 1])


def exact(model, X, y):
    """The log-losses of refits without each row."""
    refit = clone(model).set_params(alpha=model.alpha_, tol=1e-8)
    found = []
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        log_p = refit.fit(X[kept], y[kept]).predict_log_proba(X[[i]])[0]
        found.append(-log_p[y[i]] if np.ndim(y) == 1 else np.nan)
    return np.array(found)


SETS = {"iris": load_iris, "breast_cancer": load_breast_cancer, "wine": load_wine}


@pytest.mark.parametrize("name", [*SETS, "two noisy", "three noisy"])
def test_leave_one_out_is_close_to_refits(name):
    if name in SETS:
        X, y = SETS[name](return_X_y=True)
        rows = np.random.RandomState(0).choice(len(y), 100, replace=False)
        X, y = X[rows], y[rows]
    else:
        X, y = noisy_classes(2 if name == "two noisy" else 3, 100)
    model = fit(LogisticNN(), X, y)
    found, expected = Posterior(model, X, y).leave_one_out(), exact(model, X, y)
    assert_allclose(found.mean(), expected.mean(), rtol=0.02)
    assert np.corrcoef(found, expected)[0, 1] > 0.99
    assert found.mean() > Posterior(model, X, y).deviance / (2 * len(y))


def test_leave_one_out_is_exact_to_a_thousandth_in_the_units_of_the_fit():
    # A column with an outlier: the units of a refit without it are others.
    X, y = noisy_classes(2, 100)
    X[0, 0] = 40.0
    model = fit(LogisticNN(), X, y)
    found = Posterior(model, X, y).leave_one_out()
    fixed = fit(LogisticNN(alpha=model.alpha_, standardize=False), X / model.scale_, y)
    expected = exact(fixed, X / model.scale_, y)
    assert_allclose(found.mean(), expected.mean(), rtol=1e-3)


def test_leave_one_out_of_a_large_table_takes_one_step():
    X, y = noisy_classes(3, 100)
    refined = Posterior(fit(LogisticNN(), X, y), X, y).leave_one_out()
    # Columns of zeros change the size alone.
    X = np.hstack([X, np.zeros((100, 120))])
    found = Posterior(fit(LogisticNN(), X, y), X, y).leave_one_out()
    assert np.abs(found / refined - 1.0).max() > 0.01  # the second step is missing
    assert_allclose(found, refined, rtol=0.1, atol=0.02)
    assert_allclose(found.mean(), refined.mean(), rtol=0.02)


def test_leave_one_out_of_a_network():
    X, y = noisy_classes(2, 80)
    model = fit(OneHiddenMLP(3, "tanh", alpha=3.0, random_state=0, tol=1e-7), X, y)
    found = Posterior(model, X, y).leave_one_out()
    start = clone(model).set_params(warm_start=True)
    expected = []
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        start.fit(X, y).fit(X[kept], y[kept])
        expected.append(-start.predict_log_proba(X[[i]])[0, y[i]])
    assert_allclose(found.mean(), np.mean(expected), rtol=0.05)
    assert np.corrcoef(found, expected)[0, 1] > 0.95


@pytest.mark.parametrize("model", [LogisticNN(), OneHiddenMLP(random_state=0, alpha=1)])
def test_a_wrong_label_is_the_oddest_row(model):
    X, y = load_iris(return_X_y=True)
    y[[3, 77]] = 2, 0
    losses = Posterior(fit(model, X, y), X, y).leave_one_out()
    assert set(np.argsort(losses)[-2:]) == {3, 77}


@each_target
@each_model
def test_leverages_sum_to_the_effective_parameters(model, target):
    X, y = data(target)
    posterior = Posterior(fit(model, X, y), X, y)
    assert posterior.leverage.shape == (len(X),)
    assert np.all(posterior.leverage > 0.0)
    assert_allclose(posterior.leverage.sum(), posterior.n_effective)


@each_target
def test_rows_of_weight_zero(target):
    X, y = data(target)
    weight = np.ones(len(X))
    weight[[2, 11]] = 0.0
    model = fit(LogisticNN(alpha=1.0), X, y, weight)
    posterior = Posterior(model, X, y, weight)
    losses, kept = posterior.leave_one_out(), weight > 0.0
    expected = Posterior(model, X[kept], y[kept])
    assert_allclose(losses[kept], expected.leave_one_out())
    assert_allclose(posterior.leverage[kept], expected.leverage)
    assert_array_equal(posterior.leverage[~kept], 0.0)
    p = model.predict_proba(X[~kept])
    if target == "multilabel":
        own = np.where(y[~kept] == 1, p, 1.0 - p).prod(axis=1)
    else:
        own = p[[0, 1], y[~kept]]
    assert_allclose(losses[~kept], -np.log(own))


def test_averages_of_a_network_are_not_wider_than_rows_left_out_allow():
    X, y = load_wine(return_X_y=True)
    train = np.arange(len(y)) % 3 > 0
    model = fit(OneHiddenMLP(random_state=0, alpha=0.1), X[train], y[train])
    posterior = Posterior(model, X[train], y[train])
    losses = [
        log_loss(y[~train], each.predict_proba(X[~train]))
        for each in (model, posterior)
    ]
    # With the covariance as it is the second one is 0.4.
    assert losses[1] < losses[0] + 0.02
