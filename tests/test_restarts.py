"""Several random starts: which one wins, whatever runs them, and with what threads."""

import pickle
import threading
import time

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_simple import OneHiddenMLP, _mlp
from sknn_simple._training.restarts import StartTraining, train_each

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODEL = OneHiddenMLP(5, "tanh", alpha=0.01, max_iter=30, random_state=0)


def data(n_classes=2, n=100):
    return make_classification(
        n, 6, n_informative=4, n_classes=n_classes, flip_y=0.2, random_state=0
    )


def arrays(model):
    return [*model.coefs_, *model.intercepts_]


def assert_same_bits(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    assert one.loss_curve_ == other.loss_curve_
    assert one.grad_norm_ == other.grad_norm_
    assert_array_equal(one.init_losses_, other.init_losses_)
    for name in ("n_iter_", "converged_", "solver_"):
        assert getattr(one, name) == getattr(other, name)


def test_lowest_objective_wins():
    X, y = data()
    model = clone(MODEL).set_params(n_init=6).fit(X, y)
    assert isinstance(model.init_losses_, np.ndarray)
    assert model.init_losses_.shape == (6,)
    assert len(np.unique(model.init_losses_)) == 6
    assert model.loss_ == model.init_losses_.min() == model.loss_curve_[-1]
    # The lowest is not the first, and its parameters are the ones kept.
    assert model.init_losses_.argmin() > 0
    each = np.mean(
        np.logaddexp(0.0, np.where(y == 1, -1, 1) * model.decision_function(X))
    )
    squares = sum(float((w**2).sum()) for w in scaled(model, X))
    assert_allclose(each + 0.01 / (2 * len(y)) * squares, model.loss_, rtol=1e-9)


def scaled(model, X):
    return [model.coefs_[0] * X.std(axis=0)[:, None], model.coefs_[1]]


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


def variants():
    X, y = data()
    yield "two classes", X, y, {}
    yield "three classes", *data(3), {}
    labels = make_multilabel_classification(100, 6, n_classes=3, random_state=0)
    yield "labels", *labels, {}
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


# Threads ------------------------------------------------------------------------------


def blas_threads():
    return {
        pool["filepath"]: pool["num_threads"]
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }


class Allowed(StartTraining):
    """Notes how many threads a start may use."""

    def _train(self, recipe, start, monitors):
        from sknn_simple._data.threads import single_blas_thread

        with single_blas_thread() as allowed:
            inside = max(blas_threads().values(), default=1)
        fit = super()._train(recipe, start, monitors)
        values = [float(allowed), float(inside), float(threading.active_count())]
        return fit._replace(result=fit.result._replace(values=values))


@pytest.mark.filterwarnings("error")
def test_no_start_in_a_thread_warns():
    """scikit-learn resets the filters of the process there: none would be silenced."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    y = X[:, 0] * X[:, 1] > 0.0
    for seed in range(5):
        model = OneHiddenMLP(4, n_init=6, n_jobs=2, random_state=seed)
        with joblib.parallel_config("threading"):
            model.fit(X, y)
        alone = clone(model).set_params(n_jobs=1).fit(X, y)
        np.testing.assert_array_equal(model.init_losses_, alone.init_losses_)


@pytest.mark.parametrize("listening", [False, True])
def test_the_raw_data_travel_only_to_callbacks(listening, monkeypatch):
    """Workers train on the checked data; as it was passed, hooks alone are given it."""
    X, y = data()
    sizes = []

    def pickled(training, starts, n_jobs, untrained):
        sizes.append(len(pickle.dumps(training)))
        return train_each(training, starts, 1, untrained)

    monkeypatch.setattr(_mlp, "train_each", pickled)
    model = clone(MODEL).set_params(n_init=2, n_jobs=2)
    if listening:
        callback = pytest.importorskip("sklearn.callback")
        model.set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    model.fit(pytest.importorskip("pandas").DataFrame(X), y)
    [size] = sizes
    assert (size > 2 * X.nbytes) == listening


@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_workers_share_the_cores(n_jobs, monkeypatch):
    X, y = data()
    monkeypatch.setattr(_mlp, "StartTraining", Allowed)
    model = clone(MODEL).set_params(n_init=4, n_jobs=n_jobs)
    with threadpool_limits(4):
        available = max(blas_threads().values(), default=1)
        model.fit(X, y)
    allowed, inside, _ = model.loss_curve_
    assert inside == 1  # during a solve the BLAS itself has one thread
    if n_jobs == 1:
        assert allowed == available
    else:
        assert allowed * n_jobs <= max(joblib.cpu_count(), n_jobs)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_user_limits_the_threads_of_workers(backend, monkeypatch):
    X, y = data()
    monkeypatch.setattr(_mlp, "StartTraining", Allowed)
    model = clone(MODEL).set_params(n_init=2, n_jobs=2)
    with (
        joblib.parallel_config(
            backend, **({"inner_max_num_threads": 1} if backend == "loky" else {})
        ),
        threadpool_limits(1),
    ):
        model.fit(X, y)
    assert model.loss_curve_[0] == 1


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_threads_and_limits_are_as_before(backend):
    X, y = data()
    model = clone(MODEL).set_params(n_init=3, n_jobs=2)
    with joblib.parallel_config(backend):
        model.fit(X, y)  # the backend may keep what it has started
        threads, limits = threading.active_count(), blas_threads()
        for _ in range(3):
            model.fit(X, y)
    # A pool of threads ends a moment after its work.
    deadline = time.monotonic() + 10.0
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    assert blas_threads() == limits


def test_errors_of_workers_are_raised():
    X, y = data()
    model = clone(MODEL).set_params(n_init=3, n_jobs=2).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="X"):
        model.fit(np.full_like(X, np.nan), y)
    assert vars(model) == before


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
def test_first_weights_are_within_glorots_range(activation):
    starts = []

    class Drawing(OneHiddenMLP):
        def _draw(self, network, seed):
            start = super()._draw(network, seed)
            starts.append(network.layout.views(start))
            return start

    X, y = make_classification(60, 5, random_state=0)
    Drawing(95, activation, random_state=0, tol=1e-1, skip_connections=True).fit(X, y)
    (start,) = starts
    for layer, fans in (("hidden", 100), ("output", 96)):
        limit = np.sqrt(6.0 / fans)
        for name in (f"{layer}_coef", f"{layer}_intercept"):
            assert np.abs(start[name]).max() <= limit
        assert np.abs(start[f"{layer}_coef"]).max() > 0.9 * limit
    assert_array_equal(start["skip_coef"], 0.0)
