"""Whatever solver, start and preconditioner the shape chooses, the optimum is the same.

Fits of LogisticNN with its defaults, which plan by shape.
"""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from models import column_units, expects_separation
from sknn_simple import LogisticNN


def objective(model, X, y):
    """J of two or more classes, from probabilities and weights."""
    probability = model.predict_proba(X)[np.arange(len(y)), y]
    unit = column_units(X) if model.standardize else 1.0
    squares = ((model.coef_ * unit) ** 2).sum()
    return (-np.log(probability).sum() + 0.5 * model.alpha * squares) / len(y)


def labels(X, y):
    return X, np.eye(y.max() + 1, dtype=int)[y]


def as_sparse(X, y):
    return sparse.csr_array(X), y


def as_float32(X, y):
    return X.astype(np.float32), y


def with_constant_columns(X, y):
    return np.hstack([X, np.full((len(y), 2), 7.0)]), y


def few_dense_rows(X, y):
    return X[:200].toarray(), y[:200]


def unchanged(X, y):
    return X, y


RAW, NO_BIAS = {"standardize": False}, {"fit_intercept": False}
CASES = {
    "ten classes": ("digits", unchanged, {}),
    "ten classes, sparse": ("digits", as_sparse, {}),
    "ten classes, raw": ("digits", unchanged, RAW),
    "ten classes, without intercept": ("digits", unchanged, NO_BIAS),
    "labels": ("digits", labels, {}),
    "two classes": ("many_columns", unchanged, {}),
    "two classes, float32": ("many_columns", as_float32, {}),
    "more columns than rows": ("words", few_dense_rows, {}),
    "constant columns": ("many_columns", with_constant_columns, RAW),
    "words": ("words", unchanged, {}),
    "words, raw": ("words", unchanged, RAW),
    "words, raw, without intercept": ("words", unchanged, {**RAW, **NO_BIAS}),
    "words, labels": ("words", labels, {}),
    "words, float32": ("words", as_float32, {}),
    "rare columns": ("rare_columns", unchanged, {}),
    "rare columns, sparse": ("rare_columns", as_sparse, {}),
    "rare columns, raw": ("rare_columns", unchanged, RAW),
}


@pytest.mark.parametrize(("name", "change", "settings"), CASES.values(), ids=CASES)
def test_the_default_fit_ends_at_the_optimum(name, change, settings, request):
    X, y = change(*request.getfixturevalue(name))
    model = LogisticNN(alpha=1.0).set_params(**settings).fit(X, y)
    assert model.converged_
    in_row_space = X.shape[0] < X.shape[1]
    assert in_row_space or model.solver_ == "lbfgs"
    assert np.all(np.diff(model.loss_curve_) <= 0.0)
    exact = clone(model).set_params(solver="newton-cg", tol=1e-7)
    exact.fit(X.astype(np.float64), y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)
    assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=1e-3)


def test_weights_are_repetitions_although_other_rows_are_drawn(rare_columns):
    X, y = rare_columns
    times = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = LogisticNN(alpha=1.0).fit(X, y, sample_weight=times)
    repeated = LogisticNN(alpha=1.0).fit(
        np.repeat(X, times, axis=0), np.repeat(y, times)
    )
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-7)
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)


def test_several_classes_with_rare_columns(rare_columns):
    X, raw = rare_columns[0], rare_columns[0][:, :14].sum(axis=1)
    y = np.searchsorted(np.quantile(raw, [0.25, 0.5, 0.75]), raw)
    model = LogisticNN(10.0).fit(X, y)
    exact = LogisticNN(10.0, solver="newton-cholesky", tol=1e-8).fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)
    assert_array_equal(clone(model).fit(X, y).coef_, model.coef_)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_far_out_of_little_weight(container):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20))
    X[:, 0] = 0.0
    X[7 :: 20_000 // 9, 0] = 1.0
    y = (X[:, 1] + rng.logistic(size=20_000) > 0.0).astype(int)
    weight = np.full(20_000, 1e3)
    weight[11] = 1e-300
    X[11, 1:] = 1e90
    X = container(X)
    model = LogisticNN(alpha=1.0).fit(X, y, sample_weight=weight)
    assert model.converged_
    exact = LogisticNN(solver="newton-cholesky", alpha=1.0).fit(
        X, y, sample_weight=weight
    )
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e300, 1e306])
def test_weights_of_any_size_on_many_rows(size):
    X, y = make_classification(12_000, 20, random_state=0)
    model = LogisticNN(0.0).fit(X, y, sample_weight=np.full(len(y), size))
    assert model.converged_
    assert_allclose(model.coef_, LogisticNN(0.0).fit(X, y).coef_, rtol=1e-3)


@pytest.mark.parametrize("unit", [1e-90, 1e90])
def test_the_plan_is_the_same_in_any_unit(unit):
    X, y = make_classification(12_000, 20, random_state=0)
    other = X * np.append(unit, np.ones(19))
    one, two = LogisticNN(alpha=1.0).fit(X, y), LogisticNN(alpha=1.0).fit(other, y)
    assert two.solver_ == one.solver_
    assert_allclose(two.loss_curve_, one.loss_curve_, rtol=1e-6)
    # And from a last fit in the other unit, at which J is out of all range.
    two.set_params(warm_start=True).fit(X, y)
    assert_allclose(two.loss_, one.loss_, rtol=1e-6)
    one.set_params(warm_start=True).fit(other, y)
    assert one.converged_


@pytest.mark.parametrize(("tol", "solver"), [(1e-4, "lbfgs"), (1e-8, "newton-cg")])
def test_no_dense_matrix_is_formed_of_many_sparse_columns(tol, solver):
    X = sparse.random(33_000, 1000, 0.003, format="csr", random_state=0)
    y = X @ np.random.default_rng(0).normal(size=1000) > 0.1
    exact = LogisticNN(solver="trust-ncg", tol=1e-8, alpha=1.0).fit(X, y)
    model = LogisticNN(tol=tol, alpha=1.0)
    tracemalloc.start()
    model.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * X.shape[1] ** 2  # bytes of a Hessian
    assert model.converged_
    assert model.solver_ == solver
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


@pytest.mark.parametrize(
    ("n", "p", "tol"),
    [
        (100, 40, 1e-8),
        (600, 250, 1e-8),
        (300, 250, 1e-8),
        (12_000, 20, 1e-8),
        (12_000, 20, 1e-13),
    ],
)
def test_a_tight_tol_is_reached_on_every_shape(n, p, tol):
    """The plan has a solver that can: rounding of J ends L-BFGS before."""
    X, y = make_classification(n, p, n_informative=9, random_state=0)
    assert LogisticNN(tol=tol, alpha=1.0).fit(X, y).converged_


@pytest.mark.parametrize("tol", [1e-8, 1e-12])
def test_a_tight_tol_is_reached_with_rare_columns(tol, rare_columns):
    assert LogisticNN(tol=tol, alpha=1.0).fit(*rare_columns).converged_


# Little curvature, or none ------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("alpha", [1e-2, 1e-3])
def test_nearly_separable_classes_converge(alpha, standardize, digits):
    """A penalty so small that J's curvature changes a thousandfold on the way."""
    settings = {"alpha": alpha, "standardize": standardize}
    model = LogisticNN(solver="lbfgs", **settings).fit(*digits)
    exact = LogisticNN(solver="newton-cholesky", **settings).fit(*digits)
    assert model.converged_
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


@expects_separation
def test_separable_classes_without_a_penalty_end(digits):
    """J goes to 0, and its Hessian with it."""
    model = LogisticNN(alpha=0.0).fit(*digits)
    assert model.solver_ == "lbfgs"
    assert model.n_iter_ < model.max_iter


@expects_separation
@pytest.mark.parametrize("unit", [1.0, 1e3])
def test_separable_classes_of_many_rows_without_a_penalty_end(unit):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15_000, 15))
    y = (X @ rng.normal(size=15) > 0.0).astype(int)
    model = LogisticNN(alpha=0.0, warm_start=True).fit(X, y)
    model.coef_ *= 1e3
    model.fit(unit * X, y)
    assert model.n_iter_ < model.max_iter
    assert model.loss_ < 1e-5
    assert model.score(unit * X, y) == 1.0


@pytest.mark.parametrize("n_classes", [2, 5])
def test_correlated_columns_without_a_penalty_converge(n_classes):
    n, p = 3000, 400 // n_classes
    X, y = make_classification(
        n, p, n_informative=12, n_classes=n_classes, flip_y=0.1, random_state=0
    )
    mix = np.eye(p) + 0.5 * np.random.default_rng(0).normal(size=(p, p))
    X = (X @ mix) * np.logspace(-2, 2, p)
    model = LogisticNN(alpha=0.0, solver="lbfgs").fit(X, y)
    exact = LogisticNN(alpha=0.0, solver="newton-cholesky").fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-7)


def test_rows_without_curvature():
    """Every second row is certain."""
    rng = np.random.default_rng(0)
    X = 1e-2 * rng.normal(size=(2400, 1300))
    X[:, 1] = rng.normal(size=2400)
    y = (3.0 * X[:, 1] + rng.logistic(size=2400) > 0.0).astype(int)
    y[::2] = 1
    X[::2, 1] = 40.0
    model = LogisticNN(0.1, standardize=False).fit(X, y)
    exact = LogisticNN(0.1, standardize=False, solver="newton-cg", tol=1e-8).fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


def test_a_penalty_out_of_all_proportion_does_not_count_as_curvature():
    """With weights of rows from 1e-300 to 1e300 J goes to 0, and its curvature too."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 160))
    y = (X[:, 0] > 0.0).astype(int)
    weight = 10.0 ** rng.uniform(-300.0, 300.0, 3000)
    model = LogisticNN(100.0).fit(X, y, sample_weight=weight)
    assert model.loss_ < 1e-6


def test_an_output_without_curvature():
    """All probabilities of a label are 0 or 1 on the way: its block is 0."""
    X, _ = make_classification(400, 80, n_informative=20, random_state=0)
    rng = np.random.default_rng(0)
    targets = np.column_stack([X[:, 0] > 0.0, rng.integers(2, size=(400, 2))])
    targets = targets.astype(int)
    model = LogisticNN(1e-300, solver="lbfgs", warm_start=True)
    model.fit(X, targets)
    model.coef_[0] = 0.0
    model.coef_[0, 0] = 1e6
    model.coef_[1:] = 0.0
    model.fit(X, targets)
    assert model.converged_
    assert_allclose(model.predict(X)[:, 0], targets[:, 0])


# Warm starts and records --------------------------------------------------------------


def test_a_warm_start_from_the_optimum_stays_there(digits):
    model = LogisticNN(warm_start=True, alpha=1.0).fit(*digits)
    loss = model.loss_
    model.fit(*digits)
    assert model.n_iter_ <= 2
    assert model.loss_ == pytest.approx(loss, rel=1e-9)


def test_a_warm_start_of_separable_classes_ends_at_the_new_optimum():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20)) @ rng.normal(size=(20, 20))
    y = (X @ rng.normal(size=20) > 0.0).astype(int)
    model = LogisticNN(warm_start=True, alpha=1.0).fit(X, y)
    model.set_params(alpha=0.5).fit(X, y)
    assert model.converged_
    exact = LogisticNN(0.5, solver="newton-cholesky", tol=1e-8).fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_the_loss_is_that_of_the_model_after_a_start_off_the_sum_of_zero(size, digits):
    X, y = digits
    model = LogisticNN(standardize=False, warm_start=True, alpha=1.0).fit(X, y)
    model.coef_ += size * np.random.default_rng(0).random(64) / X.std(axis=0).clip(1.0)
    model.fit(X, y)
    assert model.loss_ == pytest.approx(objective(model, X, y), rel=1e-9)
    assert model.loss_curve_[-1] == model.loss_


def test_going_on_from_weights_whose_classes_do_not_sum_to_zero(digits):
    """Raising all outputs alike changes no probability; the penalty undoes it."""
    X, y = digits
    model = LogisticNN(warm_start=True, alpha=1.0).fit(X, y)
    loss = model.loss_
    model.coef_ += np.linspace(0.0, 1.0, X.shape[1]) / X.std(axis=0).clip(1.0)
    model.fit(X, y)
    assert model.loss_curve_[0] > 1.5 * loss
    assert_allclose(model.loss_, loss, rtol=1e-7)
    weights = model.coef_ * X.std(axis=0)
    assert_allclose(weights.sum(axis=0), 0.0, atol=1e-4 * abs(weights).max())


def test_the_record_goes_on_as_preconditioners_are_renewed(digits):
    X, y = digits
    model = LogisticNN(alpha=1.0).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert np.all(np.diff(model.loss_curve_) < 0.0)
    for max_iter in (2, model.n_iter_ - 3):
        short = LogisticNN(max_iter=max_iter, alpha=1.0)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            short.fit(X, y)
        assert short.n_iter_ == max_iter
        assert short.loss_curve_ == model.loss_curve_[: max_iter + 1]
        assert short.loss_ == pytest.approx(objective(short, X, y), rel=1e-10)
