"""Several random starts of OneHiddenMLP: which one wins, whatever runs them."""

import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification

from models import assert_same_bits, classes, ignores_max_iter, labels
from sknn_simple import OneHiddenMLP
from sknn_simple._model.networks import OneHiddenNetwork

pytestmark = ignores_max_iter

MODEL = OneHiddenMLP(5, "tanh", alpha=0.01, max_iter=30, random_state=0)


def data(n_classes=2, n=100):
    return classes(n_classes, n, flip_y=0.2)


# Which one wins -----------------------------------------------------------------------


def test_lowest_objective_wins():
    X, y = data()
    model = clone(MODEL).set_params(n_init=6).fit(X, y)
    assert isinstance(model.init_losses_, np.ndarray)
    assert model.init_losses_.shape == (6,)
    assert len(np.unique(model.init_losses_)) == 6
    assert model.loss_ == model.init_losses_.min() == model.loss_curve_[-1]
    # The lowest is not the first, and its parameters are the ones kept.
    assert model.init_losses_.argmin() > 0
    sign = np.where(y == 1, -1, 1)
    center, scale = X.mean(axis=0), X.std(axis=0)
    # J is that of features rounded to 2⁻²⁶ standard deviations.
    rounded = center + scale * np.ldexp(
        np.rint(np.ldexp((X - center) / scale, 26)), -26
    )
    each = np.mean(np.logaddexp(0.0, sign * model.decision_function(rounded)))
    weights = [model.coefs_[0] * scale[:, None], model.coefs_[1]]
    squares = sum(float((w**2).sum()) for w in weights)
    assert_allclose(each + 0.01 / (2 * len(y)) * squares, model.loss_, rtol=1e-9)


def test_a_single_start_is_the_first_of_many():
    X, y = data()
    one = clone(MODEL).fit(X, y)
    many = clone(MODEL).set_params(n_init=4).fit(X, y)
    assert one.init_losses_.shape == (1,)
    assert one.init_losses_[0] == one.loss_ == many.init_losses_[0]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_each_start_has_its_own_seed(early_stopping):
    X, y = data()
    model = clone(MODEL).set_params(early_stopping=early_stopping)
    fewer = clone(model).set_params(n_init=3).fit(X, y)
    more = clone(model).set_params(n_init=5).fit(X, y)
    assert_array_equal(fewer.init_losses_, more.init_losses_[:3])
    other = clone(model).set_params(n_init=3, random_state=1).fit(X, y)
    assert not np.isin(other.init_losses_, more.init_losses_).any()


def test_a_generator_is_used_up():
    X, y = data()
    generator = np.random.RandomState(0)
    model = clone(MODEL).set_params(random_state=generator, n_init=2)
    first = model.fit(X, y).init_losses_
    assert not np.isin(model.fit(X, y).init_losses_, first).any()
    by_number = clone(MODEL).set_params(n_init=2).fit(X, y)
    assert_array_equal(by_number.init_losses_, first)


def test_warm_start_has_one_start():
    X, y = data()
    model = clone(MODEL).set_params(n_init=4, warm_start=True).fit(X, y)
    assert model.init_losses_.shape == (4,)
    reached = model.loss_
    model.fit(X, y)
    assert model.init_losses_.shape == (1,)
    assert_allclose(model.loss_curve_[0], reached, rtol=1e-10)


def test_every_start_of_a_convex_objective_ends_at_the_same_value():
    X, y = data()
    model = OneHiddenMLP(
        1, "identity", skip_connections=True, alpha=1e4, tol=1e-9, n_init=4
    )
    losses = model.set_params(random_state=0).fit(X, y).init_losses_
    assert_allclose(losses, losses[0], rtol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "logistic", "sigmoid"])
def test_first_weights_are_within_glorots_range(activation, monkeypatch):
    starts, draw = [], OneHiddenNetwork.draw

    def drawing(network, seed):
        start = draw(network, seed)
        starts.append(network.layout.views(start))
        return start

    monkeypatch.setattr(OneHiddenNetwork, "draw", drawing)
    X, y = make_classification(60, 5, random_state=0)
    OneHiddenMLP(
        95, activation, alpha=1.0, random_state=0, tol=1e-1, skip_connections=True
    ).fit(X, y)
    (start,) = starts
    for layer, fans in (("hidden", 100), ("output", 96)):
        limit = np.sqrt(6.0 / fans)
        for name in (f"{layer}_coef", f"{layer}_intercept"):
            assert np.abs(start[name]).max() <= limit
        assert np.abs(start[f"{layer}_coef"]).max() > 0.9 * limit
    assert_array_equal(start["skip_coef"], 0.0)


# Whatever runs them -------------------------------------------------------------------


def variants():
    X, y = data()
    yield "two classes", X, y, {}
    yield "three classes", *data(3), {}
    yield "labels", *labels(100, 6, 3), {}
    yield "sparse", sparse.csr_array(X * (X > 0)), y, {}
    yield "float32", X.astype(np.float32), y, {}
    yield "early stopping", X, y, {"early_stopping": True}
    yield "trust-ncg", X, y, {"solver": "trust-ncg"}
    yield "monotonic", X, y, {"monotonic_cst": [1, 0, 0, 0, 0, -1]}


@pytest.mark.parametrize("case", list(variants()), ids=lambda case: case[0])
def test_number_of_jobs_does_not_change_a_bit(case):
    _, X, y, params = case
    model = clone(MODEL).set_params(n_init=3, **params)
    serial = clone(model).fit(X, y)
    assert_same_bits(clone(model).set_params(n_jobs=1).fit(X, y), serial)
    assert_same_bits(clone(model).set_params(n_jobs=2).fit(X, y), serial)


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_backend_does_not_change_a_bit(backend, n_jobs):
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = clone(MODEL).set_params(n_init=4)
    serial = clone(model).fit(X, y, weight)
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        assert_same_bits(clone(model).fit(X, y, weight), serial)


def test_data_that_joblib_maps_to_memory():
    X, y = data(n=300)
    model = clone(MODEL).set_params(n_init=2)
    serial = clone(model).fit(X, y)
    with joblib.parallel_config("loky", n_jobs=2, max_nbytes=1000):
        assert_same_bits(clone(model).fit(X, y), serial)


def test_restarts_inside_parallel_fits():
    X, y = data()
    model = clone(MODEL).set_params(n_init=3, n_jobs=2)
    expected = clone(model).fit(X, y)
    found = joblib.Parallel(n_jobs=2)(
        joblib.delayed(clone(model).fit)(X, y) for _ in range(2)
    )
    for each in found:
        assert_same_bits(each, expected)


@pytest.mark.filterwarnings("error")
def test_no_start_in_a_thread_warns():
    """scikit-learn resets the filters of the process there: none would be silenced."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    y = X[:, 0] * X[:, 1] > 0.0
    for seed in range(5):
        model = OneHiddenMLP(4, alpha=1.0, n_init=6, n_jobs=2, random_state=seed)
        with joblib.parallel_config("threading"):
            model.fit(X, y)
        alone = clone(model).set_params(n_jobs=1).fit(X, y)
        assert_array_equal(model.init_losses_, alone.init_losses_)


class Travelling(np.ndarray):
    """Counts how often it is sent to another process."""

    sent = 0

    def __reduce_ex__(self, protocol):
        Travelling.sent += 1
        return np.asarray(self).__reduce_ex__(protocol)


@pytest.mark.parametrize("listening", [False, True])
def test_the_raw_data_travel_only_to_callbacks(listening):
    """Workers train on the checked data; as it was passed, hooks alone are given it."""
    X, y = data()
    model = clone(MODEL).set_params(n_init=2, n_jobs=2)
    if listening:
        callback = pytest.importorskip("sklearn.callback")
        model.set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    Travelling.sent = 0
    model.fit(X.view(Travelling), y)
    assert (Travelling.sent > 0) == listening


def test_errors_of_workers_leave_the_model_as_it_was():
    X, y = data()
    model = clone(MODEL).set_params(n_init=3, n_jobs=2).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="X"):
        model.fit(np.full_like(X, np.nan), y)
    assert vars(model) == before


class Weighed(OneHiddenMLP):
    """Notes the size of what makes fitted attributes, which workers receive."""

    def _train(self, spec, data, validation, previous, task):
        self.n_bytes = len(pickle.dumps((task.predictor, task.record)))
        return super()._train(spec, data, validation, previous, task)


def test_workers_receive_the_data_once():
    X, y = data(n=2000)
    model = Weighed(2, max_iter=1, random_state=0).fit(X, y)
    assert model.n_bytes < 0.1 * X.nbytes
