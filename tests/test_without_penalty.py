"""alpha=0: one answer if there is one, and a warning if there is none."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from models import each_solver, labels
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior

FREE = LogisticNN(alpha=0, tol=1e-8)
SEPARABLE = "with alpha=0 has no optimum, because the classes can be separated"


def overlapping(n_classes=3, n=200, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    scores = (X / X.std(axis=0)) @ rng.standard_normal((p, n_classes))
    return X, (scores + 2 * rng.gumbel(size=scores.shape)).argmax(axis=1)


def with_dependent_columns(X):
    """A duplicate, a sum, and two dummies that add up to 1."""
    dummy = (X[:, 0] > 0.0).astype(float)
    return np.column_stack([X, X[:, 1], X[:, 2] + X[:, 3], dummy, 1.0 - dummy])


# Dependent columns --------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_solver
def test_dependent_columns_have_the_weights_of_minimum_norm(
    solver, n_classes, container
):
    X, y = overlapping(n_classes)
    data = with_dependent_columns(X)
    model = clone(FREE).set_params(solver=solver).fit(container(data), y)
    scaled = model.coef_ * model.scale_
    Z = (data - data.mean(axis=0)) / model.scale_
    size, V = np.linalg.svd(Z, full_matrices=False)[1:]
    V = V[size > 1e-8 * size[0]]
    assert_allclose(scaled @ V.T @ V, scaled, atol=1e-8)
    fewer = clone(FREE).fit(np.column_stack([X, data[:, -1]]), y)
    assert_allclose(model.loss_, fewer.loss_, rtol=1e-9)
    raw = fewer.decision_function(np.column_stack([X, data[:, -1]]))
    assert_allclose(model.decision_function(data), raw, atol=1e-4)


@each_solver
def test_new_rows_do_not_depend_on_order_and_units(solver):
    X, y = overlapping()
    data = with_dependent_columns(X)
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(len(y)), rng.permutation(data.shape[1])
    scale = 10.0 ** rng.uniform(-3, 3, data.shape[1])
    new = rng.standard_normal(data.shape) * data.std(axis=0)
    expected = clone(FREE).set_params(solver=solver).fit(data, y).predict_proba(new)
    other = clone(FREE).set_params(solver=solver)
    other.fit((data * scale)[rows][:, columns], y[rows])
    found = other.predict_proba((new * scale)[:, columns])
    assert_allclose(found, expected, atol=1e-4)


# Separable classes --------------------------------------------------------------------


def quasi_separated():
    """A category that only one class has; the other column overlaps."""
    rng = np.random.default_rng(0)
    category = np.r_[np.zeros(50), np.ones(10)]
    return np.column_stack([rng.standard_normal(60), category]), np.r_[
        np.arange(50) % 2, np.ones(10, int)
    ]


CASES = {
    "apart": (np.arange(20.0)[:, None], np.arange(20) > 9, "'x0'"),
    "apart but for a tie": (np.r_[0.0, 1, 2, 2, 3][:, None], [0, 0, 0, 1, 1], "column"),
    "a category": (*quasi_separated(), "'x1'"),
    "iris": (*load_iris(return_X_y=True), ""),
    "a label": (
        np.arange(20.0)[:, None],
        np.column_stack([np.arange(20) > 9, np.arange(20) % 2]).astype(int),
        "'x0'",
    ),
}


@pytest.mark.parametrize("case", CASES)
@each_solver
def test_separable_classes_end_with_one_warning(solver, case):
    X, y, columns = CASES[case]
    with pytest.warns(ConvergenceWarning, match=SEPARABLE) as caught:
        model = LogisticNN(alpha=0, solver=solver).fit(X, y)
    assert len(caught) == 1
    assert str(caught[0].message).endswith(".")
    assert columns in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not model.converged_
    assert np.isfinite(model.predict_proba(X)).all()
    LogisticNN(alpha=1e-3).fit(X, y)  # silent


def test_a_label_with_one_value_is_separated_by_no_column():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 2)), np.arange(60) % 2
    with pytest.warns(ConvergenceWarning, match=SEPARABLE) as caught:
        LogisticNN(alpha=0).fit(X, np.column_stack([y, np.ones(60, int)]))
    assert "columns" not in str(caught[0].message)


def test_the_warning_names_columns_of_a_frame():
    pandas = pytest.importorskip("pandas")
    X, y = quasi_separated()
    frame = pandas.DataFrame(X, columns=["age", "region_north"])
    with pytest.warns(
        ConvergenceWarning, match="each of which separates them: 'region_north'"
    ):
        LogisticNN(alpha=0).fit(frame, y)


@pytest.mark.parametrize("kind", ["dense", "sparse", "one of two labels"])
@pytest.mark.parametrize("seed", range(5))
def test_a_column_that_is_not_the_cause_is_not_named(seed, kind):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((150, 4))
    y = (X[:, 2] > 0.3).astype(int)
    if kind == "sparse":
        X = sparse.csr_array(X)
    elif kind == "one of two labels":
        y = np.column_stack([rng.permutation(y), y])
    for estimator in (LogisticNN(alpha=0), OneHiddenMLP(3, alpha=0, random_state=0)):
        with pytest.warns(ConvergenceWarning) as caught:
            estimator.fit(X, y)
        text = str(caught[-1].message)
        assert text.endswith("each of which separates them: 'x2'.")


def warning_of(model, X, y):
    with pytest.warns(ConvergenceWarning, match=SEPARABLE) as caught:
        model.fit(X, y)
    return str(caught[0].message)


def test_a_column_that_separates_groups_of_classes_is_named():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    X = rng.standard_normal((200, 3))
    X[:, 1] = rng.uniform(size=200) + 2.0 * (y > 1)
    text = warning_of(LogisticNN(alpha=0), X, y)
    assert text.endswith("each of which separates them: 'x1'.")


def test_without_an_intercept_no_column_is_named():
    """The second column would need a threshold of 7."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    first = rng.uniform(0.1, 1.0, 200) * np.where(y, 1.0, -1.0)
    X = np.column_stack([first, rng.uniform(5.0, 6.0, 200) + 2.0 * y])
    assert "column" not in warning_of(LogisticNN(alpha=0, fit_intercept=False), X, y)
    assert "'x0', 'x1'." in warning_of(LogisticNN(alpha=0), X, y)


def test_bounds_that_forbid_a_separation_leave_an_optimum():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = np.column_stack([rng.uniform(5.0, 6.0, 200) + 2.0 * y, rng.normal(size=200)])
    model = LogisticNN(alpha=0, monotonic_cst=[-1, 0]).fit(X, y)
    assert model.converged_
    without = LogisticNN(alpha=0).fit(X[:, 1:], y)
    assert_allclose(model.coef_, [[0.0, without.coef_[0, 0]]], atol=1e-4)


def test_a_separation_that_bounds_allow_is_found():
    """Fit and Posterior agree: they make the same test, and name the columns alike."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = (X[:, 0] + rng.normal(size=100) > 0.0).astype(int)
    X[:, 2] = (y == 1) & (X[:, 1] > 0.5)  # never 1 in the first class
    with pytest.warns(ConvergenceWarning, match=rf"{SEPARABLE}.*'x2'\.$"):
        model = LogisticNN(alpha=0, monotonic_cst=[0, 0, 1]).fit(X, y)
    assert not model.converged_
    with pytest.raises(ValueError, match=r"by each of these columns: 'x2'\)"):
        Posterior(model, X, y)


def test_ten_of_many_columns_are_named():
    y = np.arange(60) % 2
    X = np.random.default_rng(0).normal(size=(60, 30)) + 20.0 * y[:, None]
    text = warning_of(LogisticNN(alpha=0), X, y)
    assert text.count("'x") == 10
    assert text.endswith(" and 20 more.")


def test_columns_that_separate_only_together_are_not_named():
    X = np.random.default_rng(0).standard_normal((80, 3))
    with pytest.warns(ConvergenceWarning, match=SEPARABLE) as caught:
        LogisticNN(alpha=0).fit(X, X[:, 0] + X[:, 1] > 0.0)
    assert "column" not in str(caught[0].message)


def test_a_network_that_classifies_every_row_has_no_optimum_either():
    X = np.arange(20.0)[:, None]
    with pytest.warns(ConvergenceWarning, match=SEPARABLE):
        OneHiddenMLP(3, "tanh", alpha=0, random_state=0).fit(X, X[:, 0] > 9)


@each_solver
@pytest.mark.parametrize("seed", range(3))
def test_classes_that_overlap_are_fitted_in_silence(seed, solver):
    X, y = overlapping(seed=seed)
    model = clone(FREE).set_params(solver=solver).fit(X, y)
    assert model.converged_


@each_solver
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_columns_dependent_but_for_rounding_are_no_separation(seed, dtype, solver):
    """The equal shift of all classes along their difference has almost no curvature."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 3))
    y = np.digitize(X[:, 0] + rng.logistic(size=300), [-1.0, 1.0])
    X = np.column_stack([X, X[:, 0] + 3.0, X[:, 1] + X[:, 2] + 30.0])
    X = X.astype(np.float32).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticNN(alpha=0, solver=solver).fit(X, y)
    assert model.converged_


@pytest.mark.parametrize("largest", [1.0, 1e4])
@pytest.mark.parametrize(
    "free", [LogisticNN(alpha=0), clone(FREE).set_params(solver="lbfgs")]
)
@pytest.mark.parametrize("n", [12, 30])
def test_separation_is_found_where_linear_programming_finds_it(n, free, largest):
    from scipy.optimize import linprog

    rng = np.random.default_rng(n)
    found, expected = [], []
    for _ in range(40):
        X = rng.integers(-2, 3, (n, 3)).astype(float)
        y = (X[:, 0] + rng.normal(size=n) > 0).astype(int)
        X[0, 0] *= largest
        if y.min() == y.max():
            continue
        signed = np.column_stack([X, np.ones(n)]) * np.where(y, 1.0, -1.0)[:, None]
        best = linprog(
            -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(n), bounds=(-1, 1)
        )
        expected.append(best.fun < -1e-9)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clone(free).fit(X, y)
        found.append(bool(caught))
    assert found == expected
    assert len(set(expected)) == 2 or n > 12


@each_solver
def test_labels_that_overlap_are_silent(solver):
    X, y = labels(n=400)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(y.shape) < 0.3, 1 - y, y)
    assert clone(FREE).set_params(solver=solver).fit(X, y).converged_


# What is not one of these -------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e7])
def test_columns_of_other_sizes_are_not_dependent(size):
    X, y = overlapping(2)
    scaled = X / X.std(axis=0) * np.array([1.0, size, 1.0, 1.0])
    model = clone(FREE).set_params(standardize=False).fit(scaled, y)
    expected = clone(FREE).fit(X, y)
    assert_allclose(model.loss_, expected.loss_, rtol=1e-8)
    assert_allclose(model.predict_proba(scaled), expected.predict_proba(X), atol=1e-4)


def test_nearly_dependent_columns_keep_their_weights():
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((3, 300))
    X, y = np.column_stack([a, a + 3e-7 * b, c]), (b + c > rng.standard_normal(300))
    model = LogisticNN(alpha=0).fit(X, y)
    own = -model.predict_log_proba(X)[np.arange(300), y.astype(int)].mean()
    assert_allclose(own, model.loss_, rtol=1e-6)


@pytest.mark.parametrize("params", [{"max_iter": 3}, {"tol": 0.5}], ids=str)
def test_a_fit_that_ends_early_does_not_speak_of_separation(params):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 1))
    y = (X[:, 0] > 0.0).astype(int)
    y[np.argsort(np.abs(X[:, 0]))[:6]] ^= 1  # six rows near the border overlap
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        LogisticNN(alpha=0, solver="newton-cholesky", **params).fit(X, y)
    assert not any("separated" in str(each.message) for each in caught)


def test_columns_are_not_named_in_the_space_of_the_rows():
    A, B = np.repeat([1.0, 1, -1, -1], 8), np.repeat([1.0, -1, 1, -1], 8)
    X = np.column_stack([A] * 5 + [B] * 2)
    y = np.where(B > 0, 1, np.arange(32) % 2)
    with pytest.warns(ConvergenceWarning, match=r"another alpha > 0\.$"):
        LogisticNN(alpha=0).fit(X, y)


def test_values_of_labels_without_weight_do_not_count():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = (X[:, :2] + rng.standard_normal((200, 2)) > 0).astype(int)
    weight = [{0: 1.0, 1: 0.0}, {}]
    for model in (LogisticNN(), OneHiddenMLP(3, random_state=0)):
        model.set_params(alpha=0, class_weight=weight)
        with pytest.warns(ConvergenceWarning, match=SEPARABLE):
            model.fit(X, y)
