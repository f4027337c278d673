"""DaskLogisticNN has the optimum of LogisticNN, whatever the rows, weights and penalty.

Most fits use Dask's local scheduler, which starts in no time.
"""

import dask
import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from chunked import (
    COUNTED,
    LARGE,
    LINEAR,
    TARGETS,
    X,
    Y,
    assert_same_optimum,
    chunked,
    counting,
    csr_chunks,
    each_target,
    plain,
)
from models import SOLVERS, each_solver, fit, ignores_max_iter
from sknn_simple._training.heuristics import BIAS_ROWS, Thresholds

pytestmark = pytest.mark.timeout(120)
WEIGHT = np.random.default_rng(0).gamma(1.0, size=len(Y))
ROWS = (100, 37, 213, 1, 99)


def assert_same_fit(model, X, y, sample_weight=None, rows=ROWS, **tolerance):
    """Fit both estimators to the same rows, and compare them."""
    weight = sample_weight
    expected = fit(plain(model), X, y, sample_weight)
    if weight is not None:
        weight = chunked(weight, rows)
    model = fit(model, chunked(X, rows), chunked(y, rows), weight)
    assert_same_optimum(model, expected, **tolerance)
    return model, expected


@each_target
@each_solver
def test_every_solver_and_target(solver, target):
    assert_same_fit(clone(LINEAR).set_params(solver=solver), *TARGETS[target])


@each_solver
def test_more_rows_than_the_sample(solver):
    assert_same_fit(clone(LINEAR).set_params(solver=solver), *LARGE, rows=9000)


@pytest.mark.parametrize("alpha", [1.0, "auto"])
def test_columns_that_the_sample_lacks_take_few_passes(alpha):
    """Ten of 30 columns are 0 in all but some six of 60,000 rows."""
    rng = np.random.default_rng(0)
    usual, rare = rng.normal(size=(60_000, 20)), rng.random((60_000, 10)) < 1e-4
    raw = usual[:, :5].sum(axis=1) + 3.0 * rare.sum(axis=1)
    y = (raw + rng.logistic(size=60_000) > 0.0).astype(int)
    table = np.column_stack([usual, rare])
    model = clone(LINEAR).set_params(alpha=alpha, tol=1e-5)
    lazy = counting(chunked(table, 5000))
    model = fit(model, lazy, chunked(y, 5000))
    # Twelve chunks; with a first phase by the sample's Hessian it would be 12 and 16.
    assert len(COUNTED) / 12 <= (10 if alpha == 1.0 else 15)
    expected = fit(plain(model), table, y)
    # The search ends if alpha would change by less than 3 %.
    assert_allclose(model.alpha_, expected.alpha_, rtol=0.06)
    if alpha == 1.0:
        assert_same_optimum(model, expected, rtol=1e-3, loss_rtol=1e-6)


@each_target
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky"])
def test_float32(solver, target):
    X, y = TARGETS[target]
    model = clone(LINEAR).set_params(solver=solver)
    model, _ = assert_same_fit(model, X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32


@each_target
def test_sparse_chunks_are_dense_chunks(target):
    X, y = TARGETS[target]
    X = np.where(np.abs(X) < 0.7, 0.0, X)
    expected = fit(plain(LINEAR), X, y)
    model = fit(LINEAR, csr_chunks(X, ROWS), chunked(y, ROWS))
    assert_same_optimum(model, expected)


@pytest.mark.parametrize("first", [0, 1])
def test_chunks_that_are_dense_and_chunks_that_are_sparse(first):
    parts = [X[:200], sparse.csr_array(X[200:400])]
    lazy = [
        da.from_delayed(dask.delayed(part), part.shape, float, meta=np.empty((0, 5)))
        for part in (parts[first], parts[1 - first])
    ]
    y = np.concatenate([(Y[:200], Y[200:400])[i] for i in (first, 1 - first)])
    model = fit(LINEAR, da.concatenate(lazy), chunked(y, 200))
    assert_same_optimum(model, fit(plain(LINEAR), X[:400], Y[:400]))


@pytest.mark.parametrize(
    "settings",
    [
        {"fit_intercept": False},
        {"standardize": False},
        {"fit_intercept": False, "standardize": False},
        {"alpha": 1e-3},
        {"alpha": 1e3},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
@each_target
def test_settings(settings, target):
    X, y = TARGETS[target]
    model = clone(LINEAR).set_params(**settings)
    assert_same_fit(model, X, y)
    assert_same_fit(model, X, y, WEIGHT)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_monotonic_constraints(fit_intercept):
    model = clone(LINEAR).set_params(
        monotonic_cst=[-1, 0, 1, 0, -1], fit_intercept=fit_intercept, tol=1e-7
    )
    model, expected = assert_same_fit(
        model, *TARGETS["two classes"], sample_weight=WEIGHT
    )
    assert_array_equal(model.coef_ == 0.0, expected.coef_ == 0.0)
    assert (model.coef_ == 0.0).any()


def test_weights_of_classes_and_labels():
    each = {0: 1.0, 1: 5.0, 2: 0.5}
    assert_same_fit(clone(LINEAR).set_params(class_weight=each), X, Y, WEIGHT)
    per_label = [{0: 1, 1: 5}, {0: 1, 1: 2}, {0: 3, 1: 1}]
    model = clone(LINEAR).set_params(class_weight=per_label)
    assert_same_fit(model, *TARGETS["labels"], sample_weight=WEIGHT)


def test_small_weights_of_classes_in_the_choice_of_alpha():
    X, y = TARGETS["two classes"]
    model = clone(LINEAR).set_params(alpha="auto", class_weight={0: 0.3, 1: 0.05})
    expected = fit(plain(model), X, y, WEIGHT)
    model = fit(model, chunked(X), chunked(y), chunked(WEIGHT))
    # The search ends if alpha would change by less than 3 %.
    assert_allclose(model.alpha_, expected.alpha_, rtol=0.06)


def test_a_class_of_weight_0():
    model = clone(LINEAR).set_params(class_weight={0: 1.0, 1: 0.0, 2: 1.0})
    expected = fit(plain(model), X, Y)
    model = fit(model, chunked(X), chunked(Y))
    # The bias of the class has no lower bound.
    assert_allclose(model.loss_, expected.loss_, rtol=1e-5)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)


def test_weights_are_repeated_rows():
    times = np.random.default_rng(0).integers(0, 4, len(Y))
    repeated = np.repeat(X, times, axis=0), np.repeat(Y, times)
    expected = fit(LINEAR, *map(chunked, repeated))
    model = fit(LINEAR, chunked(X), chunked(Y), chunked(times))
    assert_same_optimum(model, expected)


def test_chunks_whose_rows_all_have_weight_0():
    weight = WEIGHT.copy()
    weight[100:250] = 0.0
    assert_same_fit(LINEAR, X, Y, weight)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_weights_of_any_size(scale):
    weight = scale * WEIGHT
    assert_same_fit(clone(LINEAR).set_params(alpha=scale), X, Y, weight)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_far_from_0(dtype):
    far = X.copy()
    far[:, 0] += 1e4
    far[:, 1] = 1e-3 * far[:, 1] + 300.0
    model, expected = assert_same_fit(LINEAR, far.astype(dtype), Y)
    assert model.coef_.dtype == expected.coef_.dtype


def test_float32_that_needs_float64():
    small = (1e-30 * X).astype(np.float32)
    model, expected = assert_same_fit(LINEAR, small, Y)
    assert model.coef_.dtype == expected.coef_.dtype


def test_constant_and_two_valued_columns():
    generator = np.random.default_rng(0)
    constant = np.full(len(Y), 3.0)
    shifting = np.where(np.arange(len(Y)) < 100, 0.3, 0.1 + 0.2)
    two = np.where(generator.random(len(Y)) < 0.2, 7.0, -1.0)
    # Each chunk has one value of it, or two, but all have three.
    three = np.select([np.arange(len(Y)) < 100, two > 0.0], [5.0, 6.0], 7.0)
    late = (np.arange(len(Y)) > 400).astype(float)
    table = np.column_stack([X, constant, shifting, two, three, late])
    model, expected = assert_same_fit(LINEAR, table, Y)
    assert_allclose(model.scale_, expected.scale_, rtol=1e-12)
    assert model.scale_[7] == 4.0
    assert model.scale_[9] == 0.5
    assert_array_equal(model.coef_[:, 5:7], 0.0)
    on_csr = fit(LINEAR, csr_chunks(table), chunked(Y))
    assert_allclose(on_csr.scale_, expected.scale_, rtol=1e-12)
    assert_same_optimum(on_csr, expected)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("target", ["two classes", "labels"])
def test_an_own_constant_column(target, standardize):
    X, y = TARGETS[target]
    table = np.column_stack([X[:, :2], np.full(len(y), 2.5), X[:, 2:]])
    model = clone(LINEAR).set_params(fit_intercept=False, standardize=standardize)
    model, _ = assert_same_fit(model, table, y)
    assert_array_equal(model.intercept_, 0.0)
    on_csr = fit(model, csr_chunks(table), chunked(y))
    assert_same_optimum(on_csr, model)


# Without a penalty --------------------------------------------------------------------


@each_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_penalty(target, dtype):
    X, y = TARGETS[target]
    model = clone(LINEAR).set_params(alpha=0.0)
    assert_same_fit(model, X.astype(dtype), y, rtol=1e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_separable_classes(whole):
    # One column separates all rows, or the first of them from others.
    table, y = X.copy(), np.arange(len(X)) % 2
    table[:, 2] = y if whole else np.arange(len(X)) >= 50
    if not whole:
        y = np.where(table[:, 2] == 0.0, 1, y)
    model = clone(LINEAR).set_params(alpha=0.0)
    with pytest.warns(ConvergenceWarning, match="no optimum.*'x2'") as caught:
        model.fit(chunked(table), chunked(y))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not model.converged_


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_collinear_columns_have_the_minimum_norm(solver):
    table = np.column_stack([X, X[:, 0] + X[:, 1], 2.0 * X[:, 2]])
    model = clone(LINEAR).set_params(alpha=0.0, solver=solver)
    assert_same_fit(model, table, Y, rtol=1e-4)


def test_more_columns_than_rows():
    generator = np.random.default_rng(0)
    wide, y = generator.normal(size=(60, 90)), np.arange(60) % 2
    assert_same_fit(LINEAR, wide, y, rows=25)
    signs = np.where(np.arange(90) < 10, 1, 0)
    model = clone(LINEAR).set_params(monotonic_cst=signs, tol=1e-7)
    assert_same_fit(model, wide, y, rows=25, rtol=1e-4)


# alpha="auto" -------------------------------------------------------------------------


def assert_same_alpha(model, expected):
    assert_allclose(model.alpha_, expected.alpha_, rtol=0.05)
    assert_allclose(model.n_effective_, expected.n_effective_, rtol=0.02)
    assert_allclose(model.log_evidence_, expected.log_evidence_, rtol=1e-3)


@each_target
@pytest.mark.parametrize("weighted", [False, True])
def test_the_evidence_chooses_alpha(target, weighted):
    data, y = TARGETS[target]
    model = clone(LINEAR).set_params(alpha="auto", tol=1e-6)
    weight = WEIGHT if weighted else None
    expected = fit(plain(model), data, y, weight)
    weight = chunked(WEIGHT) if weighted else None
    assert_same_alpha(fit(model, chunked(data), chunked(y), weight), expected)


def test_the_evidence_of_more_rows_than_the_sample():
    model = clone(LINEAR).set_params(alpha="auto", tol=1e-6)
    expected = fit(plain(model), *LARGE)
    model = fit(model, chunked(LARGE[0], 9000), chunked(LARGE[1], 9000))
    assert_same_alpha(model, expected)
    assert model.converged_


def test_the_evidence_of_many_parameters_is_exact():
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(600, 120))
    y = np.argmax(wide[:, :3] + generator.gumbel(size=(600, 3)), axis=1)
    model = clone(LINEAR).set_params(alpha="auto", tol=1e-5)
    expected = fit(plain(model), wide, y)
    model = fit(model, chunked(wide, 150), chunked(y, 150))
    # Two random probes estimate log|H|: with an error of about 5, as measured.
    assert_allclose(model.alpha_, expected.alpha_, rtol=0.2)
    assert abs(model.log_evidence_ - expected.log_evidence_) < 10.0


@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_evidence_of_many_classes(is_sparse):
    """Both estimate traces, from the same random probes."""
    n_classes, n_columns = BIAS_ROWS + 1, 75
    assert n_columns * n_classes > Thresholds().subsample_params
    rng = np.random.default_rng(0)
    y = np.arange(450) % n_classes
    data = rng.normal(size=(n_classes, n_columns))[y] + rng.normal(
        size=(450, n_columns)
    )
    data = np.where(np.abs(data) < 0.7, 0.0, data)
    model = clone(LINEAR).set_params(alpha="auto", tol=1e-5)
    expected = fit(plain(model), data, y, WEIGHT)
    cut = csr_chunks if is_sparse else chunked
    model = fit(model, cut(data, 250), chunked(y, 250), chunked(WEIGHT, 250))
    assert_same_alpha(model, expected)
    assert_allclose(model.log_evidence_, expected.log_evidence_, rtol=1e-6)


@pytest.mark.parametrize("form", ["array", "csr", "lazy"])
@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.01])
@pytest.mark.parametrize("class_weight", [None, {0: 1.0, 1: 3.0}], ids=str)
def test_validation_rows_choose_alpha(far, form, scale, class_weight):
    model = clone(LINEAR).set_params(alpha="auto", class_weight=class_weight, tol=1e-5)
    rows = {
        "X_val": X[300:].copy(),
        "y_val": Y[300:],
        "sample_weight_val": scale * WEIGHT[300:],
    }
    if far:  # the losses of these rows have a limit
        rows["X_val"][::10] *= 1e6
    expected = fit(plain(model), X[:300], Y[:300], **rows)
    if form == "lazy":
        rows = {name: chunked(value, 40) for name, value in rows.items()}
    elif form == "csr":
        rows["X_val"] = sparse.csr_array(rows["X_val"])
    model = fit(model, chunked(X[:300]), chunked(Y[:300]), **rows)
    assert_allclose(model.alpha_, expected.alpha_)
    tried, others = model.cv_results_, expected.cv_results_
    assert_allclose(tried["alpha"], others["alpha"])
    assert_allclose(tried["mean_log_loss"], others["mean_log_loss"], rtol=1e-4)


# Warm starts --------------------------------------------------------------------------


def test_a_warm_start_continues():
    model = clone(LINEAR).set_params(warm_start=True)
    model.fit(chunked(X), chunked(Y))
    reached = model.loss_
    model.fit(chunked(X), chunked(Y))
    assert_allclose(model.loss_curve_[0], reached, rtol=1e-9)
    assert model.n_iter_ <= 1
    assert_same_optimum(model, fit(plain(LINEAR), X, Y))


@ignores_max_iter
def test_no_iteration_evaluates_the_last_fit():
    model = clone(LINEAR).set_params(warm_start=True).fit(chunked(X), chunked(Y))
    coef, loss = model.coef_.copy(), model.loss_
    model.set_params(max_iter=0).fit(chunked(X), chunked(Y))
    assert_array_equal(model.coef_, coef)
    assert_allclose(model.loss_, loss, rtol=1e-12)
    half = model.fit(chunked(X[::2]), chunked(Y[::2])).loss_
    expected = fit(plain(LINEAR), X, Y).set_params(warm_start=True, max_iter=0)
    assert_allclose(half, expected.fit(X[::2], Y[::2]).loss_, rtol=1e-6)


def test_a_warm_start_from_other_units():
    model = clone(LINEAR).set_params(warm_start=True).fit(chunked(X), chunked(Y))
    model.fit(chunked(1e4 * X), chunked(Y))
    assert_same_optimum(model, fit(plain(LINEAR), 1e4 * X, Y))
