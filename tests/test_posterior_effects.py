"""Marginal effects are those of the mean probability, and so are their intervals."""

import tracemalloc
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone

from models import fit, ignores_max_iter, labels, noisy_classes
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior

LINEAR = LogisticNN(alpha=0.5)
NETWORKS = [
    OneHiddenMLP(3, name, alpha=0.5, skip_connections=skip, random_state=0)
    for name, skip in [("tanh", False), ("softplus", True), ("gelu", False)]
]
each_model = pytest.mark.parametrize("model", [LINEAR, *NETWORKS], ids=str)


def data(target):
    """Rows with a two-valued column, 2 and 5."""
    X, y = labels(120, 4, 2) if target == "multilabel" else noisy_classes(target)
    X[:, 1] = np.where(X[:, 1] > np.median(X[:, 1]), 5.0, 2.0)
    return X, y


def effects(model, X, step=1e-5):
    """By central differences, (p, C)."""
    found = []
    for j in range(X.shape[1]):
        low, high = X.copy(), X.copy()
        if j == 1:
            low[:, j], high[:, j], width = 2.0, 5.0, 1.0
        else:
            low[:, j] -= step
            high[:, j] += step
            width = 2.0 * step
        found.append(
            (model.predict_proba(high) - model.predict_proba(low)).mean(0) / width
        )
    return np.array(found)


@pytest.mark.parametrize("target", [2, 3, "multilabel"])
@each_model
def test_effects_are_finite_differences(model, target):
    X, y = data(target)
    model = fit(model, X, y)
    expected = effects(model, X)
    if target == 2:
        expected = expected[:, 1:]
    frame = Posterior(model, X, y).marginal_effects()
    assert_allclose(frame["effect"], expected.ravel(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("target", [2, 3, "multilabel"])
@each_model
def test_errors_are_those_of_the_delta_method(model, target):
    X, y = data(target)
    model = fit(model, X, y)
    posterior = Posterior(model, X, y)
    arrays = model._parameters()

    def moved(name, index, by):
        arrays[name][index] += by
        found = effects(model, X, 1e-4)
        arrays[name][index] -= by
        return found[:, 1:] if target == 2 else found

    if isinstance(model, LogisticNN):
        # As `parameter_names`: output after output.
        order = [
            place
            for k in range(len(model.coef_))
            for place in [*(("coef", (j, k)) for j in range(4)), ("intercept", k)]
        ]
    else:
        layout = model._network_of(4, model._parameters()).layout.shapes
        order = [(name, i) for name, shape in layout.items() for i in np.ndindex(shape)]
    step = 1e-4
    J = [(moved(*place, step) - moved(*place, -step)) / (2 * step) for place in order]
    J = np.reshape(J, (len(order), -1))
    expected = np.sqrt(np.einsum("pe,pq,qe->e", J, posterior.covariance, J))
    frame = posterior.marginal_effects()
    assert_allclose(frame["std_error"], expected, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("covariance", ["model", "robust"])
def test_constant_columns_do_not_change_the_effects_of_others(covariance):
    """The sums over rows are other ones if there are more classes than columns."""
    X, y = noisy_classes(3)
    X = X[:, :2]
    few, many = (
        Posterior(fit(LINEAR, X, y), X, y, covariance=covariance).marginal_effects()
        for X in (X, np.hstack([X, np.ones_like(X)]))
    )
    for name in ("effect", "std_error"):
        assert_allclose(many[name][: len(few)], few[name], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The gradient of J:UserWarning")
@ignores_max_iter
def test_effects_do_not_depend_on_the_order_of_many_columns():
    """The gradients of 700 columns by 7021 parameters do not fit into one block."""
    X, y = noisy_classes(2, 20, 700)
    model = OneHiddenMLP(10, "tanh", alpha=1.0, max_iter=3, random_state=0).fit(X, y)
    reverse = deepcopy(model)
    reverse.coefs_[0] = model.coefs_[0][::-1]
    found = Posterior(model, X, y).marginal_effects()
    expected = Posterior(reverse, X[:, ::-1], y).marginal_effects()
    for name in ("effect", "std_error"):
        assert_allclose(found[name], expected[name][::-1], rtol=1e-6)


def test_effects_of_a_linear_network_need_less_memory_than_the_covariance():
    X, y = noisy_classes(2, 50, 1000)
    posterior = Posterior(fit(LINEAR, X, y), X, y)
    tracemalloc.start()
    posterior.marginal_effects()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1000**2 / 2


def test_effects_of_the_classes_sum_to_zero():
    X, y = data(3)
    frame = Posterior(fit(LINEAR, X, y), X, y).marginal_effects()
    assert_allclose(frame.groupby("name")["effect"].sum(), 0.0, atol=1e-12)


def test_other_rows():
    X, y = data(2)
    model = fit(LINEAR, X, y)
    posterior = Posterior(model, X, y)
    some = X[:7]
    assert_allclose(
        posterior.marginal_effects(some)["effect"],
        effects(model, some)[:, 1],
        rtol=1e-5,
    )


def test_effects_count_frequencies_and_no_class_weights():
    X, y = data(2)
    weight = np.arange(len(y)) % 3 + 1.0
    model = fit(LogisticNN(alpha=0.5, class_weight={0: 1, 1: 4}), X, y, weight)
    found = Posterior(model, X, y, weight).marginal_effects()["effect"]
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    assert_allclose(found, effects(model, X[rows])[:, 1], rtol=1e-5)


def test_the_frame():
    X, y = data(3)
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(X, columns=names)
    posterior = Posterior(fit(LINEAR, frame, y), frame, y)
    found = posterior.marginal_effects(confidence_level=0.9)
    assert found.columns.tolist() == [
        "name",
        "class",
        "effect",
        "std_error",
        "z",
        "p_value",
        "lower",
        "upper",
    ]
    assert found["name"].tolist() == np.repeat(names, 3).tolist()
    wider = posterior.marginal_effects()
    assert np.all(wider["lower"] < found["lower"])
    assert_allclose(found["z"], found["effect"] / found["std_error"])
    half = 1.6448536269514722 * found["std_error"]
    assert_allclose(found["upper"], found["effect"] + half)


def test_a_constant_column_has_no_effect():
    X, y = data(2)
    X[:, 0] = 7.0
    frame = Posterior(fit(LINEAR, X, y), X, y).marginal_effects()
    assert frame["effect"][0] == 0.0
    assert np.isnan(frame["z"][0])
    assert np.isfinite(frame["z"][1:]).all()


@pytest.mark.filterwarnings("ignore:The gradient of J:UserWarning")
def test_errors_of_relu_are_the_deviation_over_samples():
    """Rows that cross a kink change the mean derivative: φ″ = 0 leaves them out."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(1000, 2))
    probability = expit(2.0 * np.abs(X[:, 0]) - 1.5 + X[:, 1])
    effect, error = [], []
    for seed in range(30):
        y = (generator.random(1000) < probability).astype(int)
        model = fit(OneHiddenMLP(6, alpha=1.0, random_state=seed), X, y)
        frame = Posterior(model, X, y).marginal_effects()
        effect.append(frame["effect"])
        error.append(frame["std_error"])
    # A deviation over 30 samples has an error of 13 %.
    ratio = np.mean(error, axis=0) / np.std(effect, axis=0, ddof=1)
    assert (ratio > 0.65).all()
    assert (ratio < 1.4).all()


@pytest.mark.parametrize(
    "model",
    [LINEAR, OneHiddenMLP(3, "tanh", alpha=0.5, random_state=0)],
    ids=["linear", "network"],
)
def test_no_interval_without_a_free_weight(model):
    """A column that is constant, and one whose weights a bound holds at 0."""
    X, y = noisy_classes(2)
    X[:, 2] = 3.0
    up = np.corrcoef(X[:, 3], y)[0, 1] > 0.0
    signs = np.array([0, 0, 0, -1 if up else 1])
    model = fit(clone(model).set_params(monotonic_cst=signs, tol=1e-8), X, y)
    frame = Posterior(model, X, y).marginal_effects()
    assert frame["effect"][2] == 0.0
    held = np.flatnonzero(frame["effect"] == 0.0)
    assert_array_equal(frame["std_error"].isna(), np.isin(np.arange(4), held))
    assert frame["lower"].isna().sum() == len(held)


@pytest.mark.filterwarnings("ignore:The gradient of J:UserWarning")
@pytest.mark.parametrize("skips", [False, True])
def test_weights_of_a_unit_without_an_output_do_not_count(skips):
    """A bound holds the only weight from a unit: the weights into it do nothing."""
    X, y = noisy_classes(2)
    model = OneHiddenMLP(4, alpha=1.0, skip_connections=skips, random_state=0)
    model = fit(model.set_params(monotonic_cst=[0, 0, 0, 1]), X, y)
    model.coefs_[0][3] = [0.0, 0.3, 0.0, 0.0]
    model.coefs_[1][1] = 0.0
    if skips:
        model.skip_coef_[3] = 0.0
    frame = Posterior(model, X, y).marginal_effects()
    assert frame["effect"][3] == 0.0
    assert frame["std_error"].isna().tolist() == [False, False, False, True]
    if skips:  # a weight of its own
        model.skip_coef_[3] = 0.1
        assert Posterior(model, X, y).marginal_effects()["std_error"][3] > 0.0
