"""alpha="auto" of LogisticNN: the alpha with the largest evidence."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from checks import assert_sound
from models import (
    assert_same_bits,
    classes,
    each_solver,
    fit,
    independent_classes,
    labels,
)
from sknn_simple import LogisticNN, Posterior
from sknn_simple._optim.minimize import SOLVERS

AUTO = LogisticNN("auto")
EXACT = LogisticNN("auto", tol=1e-9)
X, Y = independent_classes(2, 150, 6, flip_y=0.2)


def assert_same_choice(one, other, rtol=0.0):
    """Require equal alphas and evidence; a record of both exists."""
    assert_allclose(other.alpha_, one.alpha_, rtol=rtol)
    assert_allclose(other.log_evidence_, one.log_evidence_, rtol=max(1e-5, rtol / 50))
    assert_allclose(other.n_effective_, one.n_effective_, rtol=max(1e-3, rtol))


# The evidence, written out ------------------------------------------------------------


def evidence(model, X, y, factor=1.0):
    """Return log p(y | factor · alpha), γ and Σ w² at its mode, and log|H + alpha R|.

    The loss is that of the model plus a quadratic form, whose matrix is the Hessian for
    weights of standardised columns and biases.
    """
    alpha = factor * model.alpha_
    scale = X.std(axis=0) if model.standardize else np.ones(X.shape[1])
    center = X.mean(axis=0) if model.fit_intercept else 0.0
    varying = X.std(axis=0) > 0.0
    unit = np.where(varying, scale, 1.0)
    Z = np.hstack([(X - center) / unit, np.ones((len(X), 1))])[
        :, np.append(varying, True)
    ]
    if not model.fit_intercept:
        Z = Z[:, :-1]
    w = (model.coef_ * unit)[:, varying]
    raw = model.decision_function(X).reshape(len(X), -1)
    K = raw.shape[1]
    if K > 1 and np.ndim(y) == 1:
        P = softmax(raw, axis=1)
        loss = -np.log(P[np.arange(len(y)), np.searchsorted(model.classes_, y)]).sum()
        C = np.einsum("ik,kl->ikl", P, np.eye(K)) - np.einsum("ik,il->ikl", P, P)
    else:
        P = expit(raw)
        target = np.reshape(y, raw.shape)
        loss = np.logaddexp(0.0, -(2 * target - 1) * raw).sum()
        C = np.einsum("ik,kl->ikl", P * (1 - P), np.eye(K))
    q = Z.shape[1]
    H = np.einsum("ip,ikl,iq->kplq", Z, C, Z).reshape(K * q, K * q)
    is_weight = np.tile(np.arange(q) < w.shape[1], K)
    A = H + alpha * np.diag(is_weight)
    # From the mode for the alpha of the model, where the gradient is -alpha w.
    w = np.hstack([w, np.zeros((K, q - w.shape[1]))]).ravel()
    step = np.linalg.pinv(A, rcond=1e-11, hermitian=True) @ ((model.alpha_ - alpha) * w)
    loss += 0.5 * step @ H @ step - model.alpha_ * w @ step
    w = w + is_weight * step
    values = np.linalg.eigvalsh(A)
    d = int(is_weight.sum())
    shift = model.fit_intercept and K > 1 and np.ndim(y) == 1
    if shift:  # J is constant along an equal shift of all biases
        assert abs(values[0]) < 1e-8 * values[-1]
        values = values[1:]
    n_biases = len(A) - d - shift
    log_det = np.log(values).sum()
    square = (w**2).sum()
    inverse = np.linalg.pinv(A, rcond=1e-11, hermitian=True)
    gamma = d - alpha * np.trace(inverse[np.ix_(is_weight, is_weight)])
    log_p = -loss - 0.5 * alpha * square + 0.5 * d * np.log(alpha)
    log_p += 0.5 * n_biases * np.log(2.0 * np.pi) - 0.5 * log_det
    return log_p, gamma, square, log_det


CONSTANT = np.insert(X, 2, 5.0, axis=1)
CASES = {
    "two classes": (AUTO, X, Y),
    "iris": (AUTO, *load_iris(return_X_y=True)),
    "wine": (AUTO, *load_wine(return_X_y=True)),
    "breast cancer": (AUTO, *load_breast_cancer(return_X_y=True)),
    "labels": (AUTO, *labels(150)),
    "noise": (AUTO, X, np.random.default_rng(3).integers(0, 2, len(X))),
    "constant column": (AUTO, CONSTANT, Y),
    "raw columns": (LogisticNN("auto", standardize=False), X * [1, 2, 5, 1, 1, 3], Y),
    "no intercept": (
        LogisticNN("auto", standardize=False, fit_intercept=False),
        *classes(3),
    ),
}


def share(model, y):
    """Return c, the share of κ."""
    n_rows, n_classes = len(y), 2 if y.ndim == 2 else len(model.classes_)
    per_row = min(model.coef_.size, n_rows) / (n_rows + 2.0 * n_classes + 16.0)
    return 0.4 + 0.6 * per_row


def growth(model, X, y, step=0.05):
    """Return κ, the derivative of log|H + alpha R| by log alpha with alpha R fixed."""
    sides = []
    for factor in (np.exp(-step), np.exp(step)):
        other = clone(model).set_params(alpha=factor * model.alpha_, tol=1e-9)
        sides.append(evidence(other.fit(X, y), X, y, 1.0 / factor)[3])
    return (sides[1] - sides[0]) / (2.0 * step)


def of_prior(model, X):
    """The term of the prior of alpha, in the unit of the columns."""
    unit = 1.0 if model.standardize else np.median(X.std(axis=0)) ** 2
    return unit / (unit + model.alpha_)


@pytest.mark.parametrize("name", CASES)
def test_alpha_solves_its_equation(name):
    model, X, y = CASES[name]
    model = fit(model, X, y)
    assert model.converged_
    assert float(f"{model.alpha_:.1e}") == model.alpha_
    exact = clone(model).set_params(alpha=model.alpha_, tol=1e-9).fit(X, y)
    log_p, gamma, square, _ = evidence(exact, X, y)
    assert_allclose(model.log_evidence_, log_p, rtol=1e-5, atol=1e-4)
    assert_allclose(model.n_effective_, gamma, rtol=1e-3)
    # Within the accuracy of the search.
    found = gamma - share(model, y) * growth(model, X, y) + of_prior(model, X)
    assert_allclose(model.alpha_ * square, found, rtol=0.1)


def test_the_model_is_that_of_its_alpha():
    for model, X, y in CASES.values():
        auto = fit(clone(model).set_params(tol=1e-9), X, y)
        given = fit(clone(auto).set_params(alpha=auto.alpha_), X, y)
        assert_allclose(auto.loss_, given.loss_, rtol=1e-9)
        assert_allclose(auto.predict_proba(X), given.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("signal", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("monotonic", [False, True])
def test_the_search_ends_at_a_solution(seed, signal, monotonic, capsys):
    rng = np.random.default_rng(seed)
    n, p = 40 + 60 * seed, 4 + 5 * seed
    X = rng.normal(size=(n, p)) * np.exp(rng.normal(size=p))
    y = (X @ rng.normal(size=p) * signal + rng.logistic(size=n) > 0.0).astype(int)
    signs = rng.integers(-1, 2, p) if monotonic else None
    model = LogisticNN("auto", monotonic_cst=signs, verbose=1).fit(X, y)
    assert model.converged_
    printed = capsys.readouterr().out.splitlines()
    # Of at most two searches.
    assert sum(line.startswith("alpha=") for line in printed) < 24
    square = (model.coef_**2 @ X.var(axis=0)).item()
    if 1e-4 < model.alpha_ < 99 * n and not monotonic:
        found = model.n_effective_ - share(model, y) * growth(model, X, y)
        found += of_prior(model, X)
        assert_allclose(model.alpha_ * square, found, rtol=0.1)


@pytest.mark.parametrize(("n_classes", "n_columns"), [(20, 5), (50, 10)])
def test_many_classes_of_few_rows_are_not_left_without_a_penalty(n_classes, n_columns):
    rng = np.random.default_rng(5)
    centres = 1.5 * rng.normal(size=(n_classes, n_columns))
    y, y_test = np.arange(5 * n_classes) % n_classes, np.arange(2000) % n_classes
    X, X_test = (centres[c] + rng.normal(size=(len(c), n_columns)) for c in (y, y_test))
    models = [LogisticNN(alpha).fit(X, y) for alpha in ("auto", 0.03, 0.1, 0.3, 1.0)]
    auto, *fixed = (log_loss(y_test, model.predict_proba(X_test)) for model in models)
    assert auto < 1.2 * min(fixed)


# The choice does not depend on … ------------------------------------------------------


@each_solver
@pytest.mark.parametrize("name", CASES)
def test_solvers_agree(solver, name):
    model, X, y = CASES[name]
    one = fit(model, X, y)
    other = clone(model).set_params(solver=solver).fit(X, y)
    assert other.converged_
    assert_same_choice(one, other)
    assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=2e-4)


each_target = pytest.mark.parametrize(
    "data", [classes(3), (X, Y), labels()], ids=["three", "two", "labels"]
)


@each_target
def test_the_order_of_rows_does_not_matter(data):
    X, y = data
    order = np.random.default_rng(0).permutation(len(y))
    one, other = fit(EXACT, X, y), fit(EXACT, X[order], y[order])
    assert_same_choice(one, other)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-6)


@each_target
def test_units_and_origins_do_not_matter(data):
    X, y = data
    p = X.shape[1]
    Z = (X + np.arange(p)) * 10.0 ** np.resize([-6, 0, 6, 3], p)
    one, other = fit(EXACT, X, y), fit(EXACT, Z, y)
    assert_same_choice(one, other)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), atol=1e-6)


@each_target
def test_sparse_is_dense(data):
    X, y = np.where(np.abs(data[0]) < 0.4, 0.0, data[0]), data[1]
    one, other = fit(EXACT, X, y), fit(EXACT, sparse.csr_array(X), y)
    assert_same_choice(one, other)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-6)


@each_target
def test_float32_chooses_nearly_the_same(data):
    X, y = data
    one, other = fit(EXACT, X, y), fit(EXACT, X.astype(np.float32), y)
    assert other.coef_.dtype == np.float32
    assert_same_choice(one, other, rtol=0.03)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=3e-3)


@each_target
def test_weights_are_repeated_rows(data):
    X, y = data
    times = np.random.default_rng(0).integers(0, 4, len(y))
    kept = times > 0
    weighted = fit(EXACT, X, y, sample_weight=times)
    repeated = fit(EXACT, np.repeat(X, times, axis=0), np.repeat(y, times, axis=0))
    removed = fit(EXACT, X[kept], y[kept], sample_weight=times[kept])
    assert_same_choice(weighted, repeated)
    expected = weighted.predict_proba(X)
    assert_allclose(repeated.predict_proba(X), expected, atol=1e-6)
    assert_same_bits(weighted, removed, X)
    assert weighted.alpha_ == removed.alpha_


@each_target
def test_small_weights_count_as_one_row_each(data):
    X, y = data
    one = fit(EXACT, X, y)
    for unit in (0.5, 1.0 / len(y), 1e-9, 1e-200):
        other = fit(EXACT, X, y, sample_weight=np.full(len(y), unit))
        assert_allclose(other.alpha_, unit * one.alpha_, rtol=1e-9)
        assert_allclose(other.log_evidence_, one.log_evidence_, rtol=1e-6)
        assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-6)


@each_target
def test_a_warm_start_ends_at_the_same_model(data):
    X, y = data
    cold = fit(EXACT, X, y)
    warm = clone(EXACT).set_params(warm_start=True).fit(X, y)
    for _ in range(2):
        warm.fit(X, y)
        # The search ends if alpha would change by less than 3 %.
        assert_same_choice(cold, warm, rtol=0.06)
        assert warm.n_iter_ <= cold.n_iter_
        assert len(warm.loss_curve_) == warm.n_iter_ + 1
        assert_allclose(warm.predict_proba(X), cold.predict_proba(X), atol=5e-3)


@each_target
@pytest.mark.parametrize("unit", [0.5, 0.1, 1e-5, 1e-9])
def test_a_warm_start_with_weights_in_another_unit_stays(data, unit):
    X, y = data
    for first, second in ((1.0, unit), (unit, 1.0)):
        model = clone(EXACT).set_params(warm_start=True)
        model.fit(X, y, np.full(len(y), first))
        alpha, before = model.alpha_ / first, model.predict_proba(X)
        model.fit(X, y, np.full(len(y), second))
        assert_allclose(model.alpha_ / second, alpha, rtol=0.06)
        assert_allclose(model.predict_proba(X), before, atol=5e-3)


@each_target
@pytest.mark.parametrize("alpha", [1e-200, 1e-8, 1e8, 1e200])
def test_a_warm_start_leaves_an_extreme_alpha(data, alpha):
    X, y = data
    model = clone(EXACT).set_params(alpha=alpha, warm_start=True)
    with warnings.catch_warnings():
        # A vanishing penalty may not suffice for a minimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert_same_choice(fit(EXACT, X, y), model.set_params(alpha="auto").fit(X, y), 0.06)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_number_of_threads_does_not_change_a_bit(solver, container, large):
    X, y = container(large[0][:12_000]), large[1][:12_000]
    fits = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fits.append(fit(LogisticNN("auto", solver=solver, tol=1e-3), X, y))
    for other in fits[1:]:
        assert_same_bits(other, fits[0])
        for name in ("alpha_", "log_evidence_", "n_effective_"):
            assert getattr(other, name) == getattr(fits[0], name)


def test_boosting_with_weights_that_sum_to_one():
    X, y = load_wine(return_X_y=True)
    model = AdaBoostClassifier(AUTO, n_estimators=3).fit(X, y)
    first = fit(AUTO, X, y)
    assert_allclose(model.estimators_[0].alpha_, first.alpha_ / len(y), rtol=1e-9)
    assert model.score(X, y) > 0.97


def test_balanced_classes():
    model = LogisticNN("auto", class_weight="balanced", tol=1e-9)
    by_row = fit(EXACT, X, Y, sample_weight=len(Y) / (2.0 * np.bincount(Y))[Y])
    assert_same_choice(fit(model, X, Y), by_row)


# Unusual data -------------------------------------------------------------------------


@each_solver
def test_without_signal_coefficients_are_nearly_zero(solver):
    rng = np.random.default_rng(5)
    for n_classes in (2, 3):
        X, y = rng.normal(size=(300, 5)), np.resize(np.arange(n_classes), 300)
        model = LogisticNN("auto", solver=solver).fit(X, y)
        assert model.converged_
        assert_sound(model, X, y)
        weak = LogisticNN(0.0 if n_classes == 2 else 1e-3, solver=solver).fit(X, y)
        assert np.linalg.norm(model.coef_) < 0.7 * np.linalg.norm(weak.coef_)
        assert model.alpha_ > 20.0


@each_solver
@pytest.mark.parametrize("n_classes", [2, 3])
def test_separable_classes_have_finite_coefficients(solver, n_classes):
    rng = np.random.default_rng(0)
    y = np.resize(np.arange(n_classes), 120)
    X = rng.normal(size=(120, 3)) + 12.0 * y[:, None]
    model = LogisticNN("auto", solver=solver).fit(X, y)
    assert model.converged_
    assert_sound(model, X, y)
    assert np.abs(model.coef_).max() < 10.0
    assert model.score(X, y) == 1.0


@pytest.mark.parametrize("X", [np.ones((20, 1)), np.zeros((20, 3))])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_constant_columns_only(X, fit_intercept, solver):
    y = np.resize([0, 1, 1], 20)
    model = LogisticNN("auto", fit_intercept=fit_intercept, solver=solver).fit(X, y)
    assert model.converged_
    assert model.alpha_ == 1.0
    assert model.n_effective_ == 0.0
    own = not fit_intercept and X.all()  # the column of ones is the intercept
    assert bool(model.coef_.any()) == own
    p = np.bincount(y) / 20 if fit_intercept or own else [0.5, 0.5]
    assert_allclose(model.predict_proba(X)[0], p, atol=1e-5)


def test_two_rows():
    model = fit(AUTO, [[0.0, 1.0], [1.0, 1.0]], ["a", "b"])
    assert model.converged_
    assert np.isfinite([model.alpha_, model.log_evidence_, *model.coef_[0]]).all()


def test_more_columns_than_rows():
    X, y = classes(2, 40, 300)
    model = fit(AUTO, X, y)
    assert model.converged_
    assert 0.0 < model.n_effective_ < 40.0


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("shape", [(200, 300), (240, 250)])
def test_with_more_weights_than_rows_the_evidence_is_largest(n_classes, shape):
    X, y = classes(n_classes, *shape)
    chosen = fit(EXACT, X, y)
    for factor in (0.5, 0.8, 1.25, 2.0):
        model = LogisticNN(factor * chosen.alpha_, tol=1e-9).fit(X, y)
        assert Posterior(model, X, y).log_evidence <= chosen.log_evidence_ + 0.2


def test_sparse_text_with_more_columns_than_the_hessian_is_formed_for():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    rate = 1.0 / np.arange(5, 1205) * np.exp(0.7 * rng.normal(size=(2, 1200)))
    X = sparse.csr_array(rng.poisson(20.0 * rate[y]), dtype=np.float64)
    model = fit(AUTO, X, y)
    assert model.converged_
    assert 0.0 < model.n_effective_ < 600.0
    assert_allclose(model.alpha_, fit(AUTO, X[::-1], y[::-1]).alpha_, rtol=0)
    solved = LogisticNN("auto", solver="newton-cg").fit(X, y)
    assert_same_choice(model, solved)


# Bounds -------------------------------------------------------------------------------


def test_bounds_hold_and_held_weights_do_not_count():
    signs = -np.sign(fit(AUTO, X, Y).coef_[0]).astype(int)
    signs[:2] *= -1
    model = LogisticNN("auto", monotonic_cst=signs).fit(X, Y)
    assert model.converged_
    assert (model.coef_[0] * signs >= 0.0).all()
    free = model.coef_[0] != 0.0
    assert not free.all()
    without = fit(EXACT, X[:, free], Y)
    assert_same_choice(model, without)
    assert_allclose(
        model.predict_proba(X), without.predict_proba(X[:, free]), atol=1e-4
    )


@pytest.mark.parametrize("size", [1e3, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_a_value_far_from_all_others_does_not_hide_the_signal(seed, size):
    """The evidence has another maximum, where the model is nearly constant."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2300, 5))
    y = (2.0 * X[:, 2] + rng.logistic(size=2300) > 0.0).astype(int)
    X[0, 2], y[0] = size, 1
    model = LogisticNN().fit(X[:300], y[:300])
    assert model.converged_
    assert model.loss_ == model.loss_curve_[-1]
    assert log_loss(y[300:], model.predict_proba(X[300:])) < 0.55
    # What the first search finds is kept if the second finds no more.
    noise = rng.integers(0, 2, 300)
    model = LogisticNN(warm_start=True).fit(X[:300], noise)
    assert model.alpha_ == model.fit(X[:300], noise).alpha_


@pytest.mark.parametrize("seed", [1, 4, 7, 8])
def test_the_search_does_not_step_over_the_largest_evidence(seed):
    """Spectra with a weak band on a baseline; the nearly constant model is far off."""
    rng = np.random.default_rng(seed)
    y, waves = rng.integers(0, 2, 1070), np.linspace(0.0, 1.0, 150)
    heights = rng.normal(1.0, 0.3, (1070, 2))
    weak = 0.05 * y + 0.03 * rng.normal(size=1070)
    parts = np.c_[heights, weak, rng.normal(0.0, 0.5, 1070)]
    widths = np.array([[0.01], [0.02], [0.005]])
    bands = np.exp(-((waves - [[0.3], [0.6], [0.45]]) ** 2) / widths)
    X = parts @ np.r_[bands, np.ones((1, 150))] + rng.normal(0.0, 0.01, (1070, 150))
    model = LogisticNN().fit(X[:70], y[:70])
    weaker = LogisticNN(0.1).fit(X[:70], y[:70])
    reached = Posterior(weaker, X[:70], y[:70]).log_evidence
    assert model.log_evidence_ > reached - 0.5
    assert log_loss(y[70:], model.predict_proba(X[70:])) < 0.6


def test_all_weights_held():
    signs = -np.sign(fit(LogisticNN(1e3), X[:, :2], Y).coef_[0]).astype(int)
    model = LogisticNN("auto", monotonic_cst=signs).fit(X[:, :2], Y)
    assert_array_equal(model.coef_, 0.0)
    assert model.n_effective_ == 0.0


def test_few_rows_that_are_nearly_separable_keep_a_penalty():
    """The evidence alone would let alpha go to 0: log-loss 0.80 instead of 0.56."""
    losses = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(510, 2))
        y = (3.0 * X[:, 0] + rng.logistic(size=510) > 0.0).astype(int)
        model = LogisticNN().fit(X[:10], y[:10])
        losses.append(log_loss(y[10:], model.predict_proba(X[10:])))
    assert np.mean(losses) < 0.65
