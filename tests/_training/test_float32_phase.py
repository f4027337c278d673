"""The phase in float32 that large fits of a hidden layer start with."""

import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from sknn_simple import OneHiddenMLP

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


@pytest.fixture
def dtypes(on_evaluation):
    """Note the dtype of the products of every evaluation."""
    seen: list[np.dtype] = []
    on_evaluation(lambda objective: seen.append(objective.blocks.dtype))
    return seen


def network(**settings):
    return OneHiddenMLP(random_state=0, alpha=1.0).set_params(**settings)


def objective(model, X, y):
    """J, from probabilities and weights."""
    probability = model.predict_proba(X)[np.arange(len(y)), y]
    squares = ((model.coefs_[0] * X.std(axis=0)[:, None]) ** 2).sum()
    squares += (model.coefs_[1] ** 2).sum()
    if model.skip_connections:
        squares += ((model.skip_coef_ * X.std(axis=0)[:, None]) ** 2).sum()
    return (-np.log(probability).sum() + 0.5 * model.alpha * squares) / len(y)


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "tanh"},
        {"activation": "relu"},
        {"activation": "tanh", "tol": 1e-6, "alpha": 1.0},
        {"skip_connections": True, "n_init": 2},
        {"solver": "lbfgs", "monotonic_cst": [1] * 30},
    ],
    ids=str,
)
def test_a_fit_ends_where_j_itself_says(settings, container, breast_cancer, dtypes):
    X, y = breast_cancer
    model = network(**settings).fit(container(X), y)
    assert set(dtypes) == {FLOAT32, FLOAT64}
    assert dtypes[0] == FLOAT32
    assert dtypes[-1] == FLOAT64
    assert model.converged_
    assert model.coefs_[0].dtype == FLOAT64
    assert np.all(np.diff(model.loss_curve_) < 1e-6)
    assert model.loss_ == pytest.approx(objective(model, X, y), rel=1e-9)


def test_early_stopping_may_end_it(breast_cancer, dtypes):
    """The rows set aside are watched in float64 all the same."""
    X, y = breast_cancer
    model = network(early_stopping=True).fit(X, y)
    assert set(dtypes) == {FLOAT32}
    best = int(np.argmin(model.validation_loss_curve_))
    assert model.converged_
    assert model.loss_ == model.loss_curve_[best]


@pytest.mark.parametrize("form", ["repeated", "CSR", "threads"])
def test_the_same_data_in_another_form_end_alike(form, breast_cancer):
    """If there is but one valley, and J itself is minimised to the end."""
    X, y = breast_cancer
    model = network(activation="tanh", alpha=100.0, tol=1e-9)
    times = np.random.default_rng(0).integers(1, 3, len(y))
    expected = model.fit(X, y, sample_weight=times).predict_proba(X)
    loss = model.loss_
    if form == "repeated":
        model.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    elif form == "CSR":
        model.fit(sparse.csr_array(X), y, sample_weight=times)
    else:
        with threadpool_limits(1):
            model.fit(X, y, sample_weight=times)
        assert model.loss_ == loss
    assert model.loss_ == pytest.approx(loss, rel=1e-9)
    assert_allclose(model.predict_proba(X), expected, atol=1e-5)


def test_it_leads_to_as_low_a_loss(breast_cancer, training_set, hidden_spec, fit):
    """Over starts: each may end in another valley, but none that is worse."""
    data = training_set(*breast_cancer)
    losses = []
    for work in (0.0, np.inf):
        thresholds = {"float32_work": work}
        spec = hidden_spec(
            data, n_hidden=20, tol=1e-4, min_decrease=1e-4, thresholds=thresholds
        )
        size = spec.network.layout.size
        starts = np.random.default_rng(0).uniform(-0.3, 0.3, (8, size))
        losses.append([fit(spec, data, start).loss for start in starts])
    first, second = np.array(losses)
    assert not np.array_equal(first, second)
    assert_allclose(first, second, rtol=2e-2)
    assert_allclose(np.median(first), np.median(second), rtol=5e-3)


def test_it_is_left_out_if_a_start_has_too_large_weights(breast_cancer, dtypes):
    """They would cost float32 too many digits."""
    X, y = breast_cancer
    model = network(activation="tanh", warm_start=True).fit(X, y)
    model.coefs_[1] *= 1e5
    dtypes.clear()
    model.fit(X, y)
    assert set(dtypes) == {FLOAT64}
    assert model.converged_


@pytest.mark.parametrize("weight", [1e-300, 1e-80, 1e-19, 1e80])
def test_extreme_weights_warn_of_nothing(weight, breast_cancer):
    """A row of little weight may lie 1e40 deviations out."""
    X, y = breast_cancer
    X, weights = X.copy(), np.ones(len(y))
    weights[0] = weight
    X[0, 0] = 1e45
    model = network(activation="tanh", tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X, y, sample_weight=weights).converged_


def test_every_iteration_has_its_line(breast_cancer, capsys):
    X, y = breast_cancer
    model = network(activation="tanh", tol=1e-6, alpha=10.0, verbose=1).fit(X, y)
    lines = [
        line.split()
        for line in capsys.readouterr().out.splitlines()
        if line.split()[0].isdigit()
    ]
    assert [int(line[0]) for line in lines] == list(range(model.n_iter_ + 1))
    values = [float(line[1]) for line in lines]
    assert_allclose(values, model.loss_curve_, rtol=1e-5)
    assert float(lines[-1][2]) == pytest.approx(model.grad_norm_, rel=1e-2)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_give_the_same_bits(backend, breast_cancer):
    X, y = breast_cancer
    model = network(activation="tanh", n_init=3, tol=1e-2)
    expected = clone(model).fit(X, y).coefs_[0]
    with joblib.parallel_config(backend, n_jobs=2):
        assert_array_equal(clone(model).fit(X, y).coefs_[0], expected)
