"""With warm_start=True a fit starts from the last one."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine

from models import (
    SKIPPING,
    SOLVERS,
    classes,
    each_class,
    each_comparable_model,
    each_solver,
    ignores_max_iter,
    independent_classes,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@pytest.mark.parametrize("standardize", [True, False])
@each_solver
def test_warm_start_at_the_optimum_stays(solver, standardize):
    X, y = load_wine(return_X_y=True)
    model = LogisticNN(solver=solver, standardize=standardize, warm_start=True)
    model.fit(X, y)
    before = model.coef_.copy()
    model.fit(X, y)
    assert model.n_iter_ == 0
    assert model.converged_
    assert len(model.loss_curve_) == 1
    assert_allclose(model.coef_, before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_warm_start_goes_on_where_the_last_fit_ended(activation, standardize, skip):
    X, y = classes()
    model = OneHiddenMLP(
        5,
        activation,
        standardize=standardize,
        skip_connections=skip,
        warm_start=True,
        max_iter=5,
        random_state=0,
    )
    reached = model.fit(X, y).loss_
    for _ in range(3):
        model.fit(X, y)
        assert_allclose(model.loss_curve_[0], reached, rtol=1e-10)
        assert model.loss_ < reached
        reached = model.loss_


@pytest.mark.parametrize("n_samples", [150, 4200])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("unit", [1e-6, 1e-2, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_warm_start_in_other_units_ends_at_the_same_optimum(
    n_samples, alpha, unit, solver
):
    """The last fit is then worse than none: all outputs are saturated."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 5))
    y = (X @ rng.normal(size=5) + rng.logistic(size=n_samples) > 0.0).astype(int)
    model = LogisticNN(alpha, solver=solver, warm_start=True).fit(X, y)
    expected = model.loss_
    model.fit(X * unit, y)
    assert model.converged_
    assert_allclose(model.loss_, expected, rtol=1e-6)


def test_warm_start_recovers_from_a_few_saturated_outputs():
    """Better than none, and yet far off: one row of many is very wrong."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = (X[:, 0] + 0.1 * rng.logistic(size=600) > 0.0).astype(int)
    model = LogisticNN(1.0, solver="newton-cholesky", warm_start=True).fit(X, y)
    model.coef_, model.intercept_ = np.array([[1e3, 0.0, 0.0]]), np.array([0.0])
    y[np.argmax(X[:, 0])] = 0
    expected = LogisticNN(1.0).fit(X, y)
    model.fit(X, y)
    assert model.converged_
    assert_allclose(model.coef_, expected.coef_, rtol=1e-4)


def test_warm_start_goes_on_with_another_alpha():
    X, y = load_breast_cancer(return_X_y=True)
    model = LogisticNN(1.0, warm_start=True, tol=1e-8, solver="lbfgs").fit(X, y)
    cold = LogisticNN(1.1, tol=1e-8, solver="lbfgs").fit(X, y)
    warm = model.set_params(alpha=1.1).fit(X, y)
    assert warm.loss_curve_[0] < 0.9 * cold.loss_curve_[0]
    assert_allclose(warm.predict_proba(X), cold.predict_proba(X), atol=1e-5)


@each_comparable_model
def test_warm_start_refuses_another_shape_and_names_it(model):
    X, y = classes()
    model = clone(model).set_params(warm_start=True).fit(X, y)
    before = joblib.hash(model.__dict__)
    with pytest.raises(ValueError, match=r"same classes: \[0, 1, 2\]; got \[0, 1\]"):
        model.fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"shape \(6, \d+\).* require \(5, \d+\)"):
        model.fit(X[:, :5], y)
    if isinstance(model, OneHiddenMLP):
        model.set_params(hidden_layer_size=9)
        with pytest.raises(ValueError, match=r"coefs_\[0\] has shape \(6, 6\)"):
            model.fit(X, y)
        model.set_params(hidden_layer_size=6)
    else:
        model.set_params(fit_intercept=False).fit(X, y)
        model.set_params(fit_intercept=True)
        return
    assert joblib.hash(model.__dict__) == before


@each_comparable_model
def test_warm_start_refuses_another_kind_of_target(model):
    X, y = classes()
    model = clone(model).set_params(warm_start=True).fit(X, y)
    indicator = np.eye(3, dtype=int)[y]
    with pytest.raises(ValueError, match=r"warm_start.*one label per sample again"):
        model.fit(X, indicator)


@pytest.mark.parametrize("skip", [True, False])
def test_warm_start_refuses_other_connections(skip):
    X, y = independent_classes()
    model = clone(SKIPPING).set_params(skip_connections=not skip, warm_start=True)
    model.fit(X, y).set_params(skip_connections=skip)
    has, now = ("has no", "with") if skip else ("has", "without")
    with pytest.raises(
        ValueError, match=f"which {has} skip_coef_; .* network {now} it"
    ):
        model.fit(X, y)


@each_class
def test_warm_start_refuses_other_names_of_columns(model):
    pd = pytest.importorskip("pandas")
    X, y = independent_classes()
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = clone(model).set_params(warm_start=True).fit(frame, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="column 0 was 'a' and is now 'e'"):
        model.fit(frame[list("edcba")], y)
    with pytest.raises(ValueError, match="column 2 was 'c' and is now 'x'"):
        model.fit(frame.rename(columns={"c": "x"}), y)
    assert vars(model) == before
    model.fit(X, y)  # without names there is nothing to compare


@each_class
def test_the_last_model_must_satisfy_the_constraints(model):
    X, y = independent_classes(2)
    model = clone(model).set_params(warm_start=True).fit(X, y)
    opposite = -int(np.sign(LogisticNN().fit(X, y).coef_[0, 0]))
    model.set_params(monotonic_cst=[opposite, 0, 0, 0, 0], max_iter=0)
    with pytest.raises(ValueError, match=r"max_iter=0 with .*monotonic_cst=\["):
        model.fit(X, y)
    model.set_params(max_iter=1000).fit(X, y)
    model.set_params(max_iter=0).fit(X, y)


X, Y = independent_classes()
CHANGES = {
    "alpha": lambda model: (model.set_params(alpha=1.2), X, Y),
    "class_weight": lambda model: (model.set_params(class_weight="balanced"), X, Y),
    "standardize": lambda model: (model.set_params(standardize=False), X, Y),
    "solver": lambda model: (model.set_params(solver="newton-cg"), X, Y),
    "data": lambda model: (model, *(part[:50] for part in (X, Y))),
    "float32": lambda model: (model, X.astype(np.float32), Y),
    "sparse": lambda model: (model, sparse.csr_array(X), Y),
}


@pytest.mark.parametrize("change", CHANGES)
@each_class
def test_warm_start_begins_at_the_last_model_after_a_change(model, change):
    model = clone(model).set_params(alpha=1.0, warm_start=True).fit(X, Y)
    changed, features, target = CHANGES[change](model)
    changed.fit(features, target)
    assert changed.converged_
    # It began at the last model: J of its outputs under what holds now.
    cold = clone(changed).fit(features, target)
    assert changed.loss_curve_[0] < cold.loss_curve_[0]
    # And it ended at the optimum of what holds now.
    if isinstance(model, LogisticNN):
        assert_allclose(changed.loss_, cold.loss_, rtol=1e-5)
        assert_allclose(
            changed.decision_function(X), cold.decision_function(X), atol=0.02
        )


@each_class
def test_without_iterations_alpha_is_that_of_the_last_fit(model):
    X, y = classes()
    model = clone(model).set_params(alpha="auto", warm_start=True)
    rows = {"X_val": X[::3], "y_val": y[::3]}
    alpha = model.fit(X, y, **rows).alpha_
    expected = model.predict_proba(X)
    model.set_params(max_iter=0).fit(X, y, **rows)
    assert model.alpha_ == alpha
    assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("seed", range(8))
def test_without_iterations_biases_of_several_classes_keep_their_bits(seed):
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(60, 3)), random.integers(0, 3, 60)
    model = LogisticNN(alpha=0.3, warm_start=True).fit(X, y)
    expected = model.intercept_
    model.set_params(max_iter=0).fit(X, y)
    assert_array_equal(model.intercept_, expected)
