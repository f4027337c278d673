"""The number of threads changes no bit, and fits in several threads disturb nothing."""

import threading

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from models import SOLVERS, assert_same_bits, fit, ignores_max_iter
from sknn_simple import LogisticNN, OneHiddenMLP

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


LARGE = [
    *(LogisticNN(solver=solver, max_iter=10) for solver in SOLVERS),
    OneHiddenMLP(50, alpha=1.0, max_iter=5, random_state=0),
    OneHiddenMLP(50, "tanh", alpha=1.0, solver="newton-cg", max_iter=2, random_state=0),
]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("model", LARGE, ids=lambda m: f"{type(m).__name__} {m.solver}")
def test_number_of_threads_does_not_change_a_bit(model, container, large):
    X, y = container(large[0]), large[1]
    fits = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fits.append(fit(model, X, y))
    for other in fits[1:]:
        assert_same_bits(other, fits[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_of_many_blocks_is_the_formula_over_all_rows(dtype, large):
    # J of data in many blocks is the formula over all rows at once.
    X, y = large[0].astype(dtype), large[1]
    model = LogisticNN(1.0, solver="lbfgs").fit(X, y)
    raw = X.astype(float) @ model.coef_.T.astype(float) + model.intercept_
    raw -= raw.max(axis=1, keepdims=True)
    log_p = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    penalty = ((model.coef_ * X.std(axis=0)) ** 2).sum() / (2 * len(y))
    J = penalty - log_p[np.arange(len(y)), y].mean()
    assert_allclose(model.loss_, J, rtol=1e-9 if dtype == np.float64 else 1e-5)
    atol = 1e-9 if dtype == np.float64 else 1e-3
    assert_allclose(model.predict_log_proba(X), log_p, rtol=1e-4, atol=atol)


def test_limits_of_threads_are_restored(large):
    with threadpool_limits(2):
        before = threadpool_info()
        LogisticNN(max_iter=1).fit(*large)
        assert threadpool_info() == before
        with pytest.raises(ValueError, match="sample_weight"):
            LogisticNN().fit(*large, sample_weight=-np.ones(len(large[1])))
        assert threadpool_info() == before


@pytest.mark.parametrize("model", LARGE, ids=lambda m: f"{type(m).__name__} {m.solver}")
def test_a_fit_in_another_thread_has_the_same_bits(model, large):
    # threadpoolctl >= 3.7 lets one thread of the process set OpenBLAS's threads, and
    # ignores the others.
    expected, other = fit(model, *large), clone(model)
    with threadpool_limits(2):
        thread = threading.Thread(target=other.fit, args=large)
        thread.start()
        thread.join()
    assert_same_bits(other, expected)


def test_limits_of_threads_are_restored_by_whichever_fit_ends_last(large):
    with threadpool_limits(2):
        before = threadpool_info()
        models = [LogisticNN(solver="lbfgs", max_iter=n) for n in (1, 3, 9, 27)]
        threads = [threading.Thread(target=m.fit, args=large) for m in models]
        for thread in threads:
            thread.start()
        LogisticNN(max_iter=1).fit(*large)
        for thread in threads:
            thread.join()
        assert threadpool_info() == before


def test_fits_in_two_threads_at_once(large):
    X, y = large
    models = [
        LogisticNN(solver="lbfgs", max_iter=15),
        OneHiddenMLP(20, alpha=1.0, max_iter=6, random_state=0),
        LogisticNN(solver="newton-cholesky", max_iter=3),
        OneHiddenMLP(20, "tanh", alpha=1.0, max_iter=6, random_state=1),
    ]
    expected = [fit(model, X, y) for model in models]
    together = [clone(model) for model in models]
    failures = []

    def work(model):
        try:
            model.fit(X, y)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(m,)) for m in together]
    with threadpool_limits(2):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    for one, other in zip(expected, together, strict=True):
        assert_same_bits(other, one, X[:100])


def test_predictions_in_threads_at_once(large):
    X, y = large
    model = OneHiddenMLP(20, alpha=1.0, max_iter=3, random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    for result in joblib.Parallel(4, backend="threading")(
        joblib.delayed(model.predict_proba)(X) for _ in range(8)
    ):
        assert_array_equal(result, expected)
