"""Fewer rows than columns: the same optimum, found in the space of the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from checks import assert_chosen
from models import SOLVERS, assert_same_bits, each_solver
from sknn_simple import LogisticNN

N, P = 40, 150
FORMS = {
    "dense": np.asarray,
    "csr": sparse.csr_array,
    "float32": lambda X: X.astype(np.float32),
}
each_form = pytest.mark.parametrize("form", FORMS)


def wide(n_classes=3, n=N, p=P, noise=1.0, seed=0):
    """Columns of ten factors and noise, in very different units."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, 10))
    X = factors @ rng.standard_normal((10, p)) + noise * rng.standard_normal((n, p))
    scores = factors @ rng.standard_normal((10, n_classes)) + rng.gumbel(
        size=(n, n_classes)
    )
    return X, scores.argmax(axis=1)


def objective(model, X, y, alpha):
    """J by hand, in standard deviations."""
    raw = X @ model.coef_.T + model.intercept_
    raw = np.hstack([np.zeros_like(raw), raw]) if raw.shape[1] == 1 else raw
    loss = -log_softmax(raw, axis=1)[np.arange(len(y)), y].mean()
    scaled = model.coef_ * X.std(axis=0)
    return loss + alpha / (2 * len(y)) * (scaled**2).sum()


@each_form
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
@each_solver
def test_the_optimum_is_that_of_all_columns(solver, alpha, n_classes, form):
    X, y = wide(n_classes)
    model = LogisticNN(alpha, solver=solver, tol=1e-7).fit(FORMS[form](X), y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    peer = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000).fit(Z, y)
    rough = form == "float32"
    atol = 5e-3 if rough else 1e-4
    assert_allclose(model.coef_ * X.std(axis=0), peer.coef_, atol=atol)
    assert_allclose(
        objective(model, X, y, alpha), model.loss_, rtol=1e-4 if rough else 1e-8
    )


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_penalty_and_intercept_are_those_of_the_parameters(fit_intercept, standardize):
    X, y = wide()
    model = LogisticNN(
        1.0, fit_intercept=fit_intercept, standardize=standardize, tol=1e-8
    )
    few = clone(model).fit(X, y)
    # Bounds are kept in the space of the columns; they are too wide to matter here.
    gradient_is_zero(few, X, y, fit_intercept, standardize)


def gradient_is_zero(model, X, y, fit_intercept, standardize):
    raw = X @ model.coef_.T + model.intercept_
    error = (np.exp(log_softmax(raw, axis=1)) - np.eye(3)[y]) / len(y)
    unit = X.std(axis=0) if standardize else np.ones(X.shape[1])
    gradient = error.T @ X + unit**2 * model.coef_ / len(y)
    assert np.abs(gradient / X.std(axis=0)).max() < 1e-6
    if fit_intercept:
        assert np.abs(error.sum(axis=0)).max() < 1e-6


@pytest.mark.parametrize(("n", "p"), [(100, 2000), (50, 20_000), (400, 500)])
@pytest.mark.parametrize("noise", [1e-2, 1e-4])
def test_weak_penalties_of_collinear_columns_converge(noise, n, p):
    X, y = wide(5, n, p, noise)
    model = LogisticNN(1e-4).fit(X, y)  # a ConvergenceWarning would be an error
    assert model.converged_
    # Newton's method ends what L-BFGS has not ended by then.
    assert model.n_iter_ <= 100 or model.solver_ == "newton-cholesky"
    exact = LogisticNN(1e-4, tol=1e-9, solver="newton-cholesky").fit(X, y)
    assert model.loss_ <= exact.loss_ * (1.0 + 1e-5)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@each_solver
def test_coarse_fits_of_weights_and_of_repeated_rows_agree(solver, form):
    X, y = wide(n=30, p=60)
    times = np.random.default_rng(0).integers(0, 5, 30)
    order = np.random.default_rng(1).permutation(times.sum())
    model = LogisticNN(1.0, solver=solver, tol=1e-2)
    weighted = clone(model).fit(form(X), y, sample_weight=times)
    repeated = clone(model)
    repeated.fit(form(np.repeat(X, times, 0)[order]), np.repeat(y, times)[order])
    assert_same_bits(weighted, repeated, X)


@each_solver
def test_alpha_from_the_data_is_the_same_in_any_order(solver):
    X, y = wide()
    order = np.random.default_rng(0).permutation(N)
    scale = 10.0 ** np.random.default_rng(1).uniform(-3, 3, P)
    model = LogisticNN(solver=solver).fit(X, y)
    other = LogisticNN(solver=solver).fit((X * scale)[order], y[order])
    assert other.alpha_ == model.alpha_
    assert_allclose(other.coef_ * scale, model.coef_, rtol=1e-2, atol=1e-4)
    assert_allclose(other.log_evidence_, model.log_evidence_, rtol=1e-6)


def test_weights_are_repeated_rows():
    X, y = wide(n=30, p=60)
    times = np.random.default_rng(0).integers(0, 5, 30)  # more rows than columns
    assert times.sum() > 60
    weighted = LogisticNN(tol=1e-8).fit(X, y, sample_weight=times)
    repeated = LogisticNN(tol=1e-8).fit(np.repeat(X, times, 0), np.repeat(y, times))
    assert weighted.alpha_ == repeated.alpha_
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


def test_many_copies_of_few_rows_have_the_same_alpha():
    X, y = wide(2, n=20, p=60)
    weighted = LogisticNN().fit(X, y, sample_weight=np.full(20, 81))
    repeated = LogisticNN().fit(np.repeat(X, 81, axis=0), np.repeat(y, 81))
    assert weighted.alpha_ == repeated.alpha_
    assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)
    assert_allclose(weighted.n_effective_, repeated.n_effective_, rtol=1e-9)
    assert weighted.n_effective_ < 20


@pytest.mark.parametrize("size", [1e2, 1e4, 1e8])
def test_raw_units_of_any_size_keep_all_columns(size):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 50))
    y = (X[:, 1] > 0.0).astype(int)
    X[:, 0] *= size
    model = LogisticNN(1.0, standardize=False, tol=1e-8).fit(X, y)
    error = model.predict_proba(X)[:, 1] - y
    gradient = (error @ X + model.coef_[0]) / len(y)
    assert np.abs(gradient / X.std(axis=0)).max() < 1e-6


def test_a_warm_start_continues():
    X, y = wide()
    for solver in SOLVERS:
        model = LogisticNN(1.0, solver=solver, tol=1e-7, warm_start=True).fit(X, y)
        coef = model.coef_.copy()
        assert model.fit(X, y).n_iter_ <= 1
        assert_allclose(model.coef_, coef, atol=1e-6)


def test_validation_rows_choose_alpha():
    X, y = wide(n=80)
    model = LogisticNN().fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    tried, losses = (model.cv_results_[k] for k in ("alpha", "mean_log_loss"))
    assert_chosen(model.alpha_, tried, losses)
    assert losses.min() < np.log(3)


# Without a penalty --------------------------------------------------------------------


@each_solver
def test_without_a_penalty_weights_lie_in_the_space_of_the_rows(solver):
    X, y = wide()
    with pytest.warns(UserWarning, match="separate"):
        model = LogisticNN(0.0, solver=solver).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    weights = model.coef_ * X.std(axis=0)
    _, size, V = np.linalg.svd(Z, full_matrices=False)
    V = V[size > 1e-8 * size[0]]
    assert_allclose(weights @ V.T @ V, weights, atol=1e-8 * np.abs(weights).max())
