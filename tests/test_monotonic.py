"""Monotonic constraints hold for every input, and cost nothing they need not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.exceptions import ConvergenceWarning

from models import (
    ACTIVATIONS,
    SOLVERS,
    ignores_max_iter,
    while_fitting,
)
from sknn_simple import LogisticNN, OneHiddenMLP

pytestmark = ignores_max_iter

MONOTONE = [name for name, row in ACTIVATIONS.items() if row.monotone]
OTHERS = [name for name in ACTIVATIONS if name not in MONOTONE]

LINEAR = LogisticNN()
NETWORK = OneHiddenMLP(5, "tanh", alpha=0.01, max_iter=60, random_state=0)
SKIPPING = clone(NETWORK).set_params(skip_connections=True)
MODELS = [LINEAR, NETWORK, SKIPPING]
each_model = pytest.mark.parametrize("model", MODELS, ids=["linear", "hidden", "skip"])

P = 5


def data(n=150, seed=0):
    """Two classes to which no column is related monotonically."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, P)) * [1, 10, 0.1, 1, 100] + [0, 5, 0, -3, 1000]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    raw = 2 * np.sin(2 * Z[:, 0]) - Z[:, 1] + Z[:, 2] ** 2 - 1 + 0.5 * Z[:, 3]
    return X, (rng.uniform(size=n) < expit(raw)).astype(int)


def outputs_along(model, X, column, reach):
    """Raw outputs (rows, steps) as one column goes from far below to far above."""
    center, width = X[:, column].mean(), X[:, column].std()
    path = center + width * np.concatenate(
        [-np.geomspace(reach, 0.01, 40), [0.0], np.geomspace(0.01, reach, 40)]
    )
    moved = np.repeat(X, len(path), axis=0)
    moved[:, column] = np.tile(path, len(X))
    return model.decision_function(moved).reshape(len(X), len(path))


def assert_monotone(model, X, signs, reach=1e6):
    rng = np.random.default_rng(1)
    # Rows of the data, and others far outside them.
    remote = X.mean(axis=0) + X.std(axis=0) * rng.normal(size=(20, X.shape[1])) * 1e3
    for rows in (X[:20], remote):
        for column, sign in enumerate(signs):
            raw = outputs_along(model, rows, column, reach)
            steps = np.diff(raw, axis=1) * sign
            rounding = 1e-12 * (1.0 + np.abs(raw).max())
            assert (steps >= -rounding).all(), column


SIGNS = [
    [1, 0, 0, 0, 0],
    [-1, 0, 0, 0, 0],
    [0, 1, 1, -1, 0],
    [1, 1, 1, 1, 1],
    [-1, -1, -1, -1, -1],
    [1, -1, 1, -1, 1],
]


@pytest.mark.parametrize("signs", SIGNS, ids=str)
@each_model
def test_constraints_hold_far_outside_the_data(model, signs):
    X, y = data()
    model = clone(model).set_params(monotonic_cst=signs).fit(X, y)
    assert_monotone(model, X, signs)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", MONOTONE)
def test_constraints_hold_for_every_monotone_activation(activation, skip):
    X, y = data()
    signs = [1, -1, 1, 0, 0]
    model = clone(NETWORK).set_params(
        activation=activation, skip_connections=skip, monotonic_cst=signs
    )
    model.fit(X, y)
    assert_monotone(model, X, signs)
    assert model.loss_ < model.loss_curve_[0]
    for column, sign in enumerate(signs):
        assert (model.coefs_[0][column] * model.coefs_[1][:, 0] * sign >= 0).all()
        if skip:
            assert (model.skip_coef_[column] * sign >= 0).all()


@each_model
def test_without_a_constraint_the_data_are_not_monotone(model):
    # What the tests above would find if constraints were ignored.
    X, y = data()
    model = clone(model).fit(X, y)
    broken = 0
    for sign in (1, -1):
        try:
            assert_monotone(model, X, [sign] * P, reach=3.0)
        except AssertionError:
            broken += 1
    assert broken == 2


@each_model
def test_the_constraint_is_on_the_probability_of_the_second_class(model):
    X, y = data()
    names = np.array(["no", "yes"])
    for sign in (1, -1):
        model = clone(model).set_params(monotonic_cst=[sign, 0, 0, 0, 0])
        model.fit(X, names[y])
        assert model.classes_.tolist() == ["no", "yes"]
        rows = np.tile(X[0], (50, 1))
        rows[:, 0] = np.linspace(-5.0, 5.0, 50)
        assert (sign * np.diff(model.predict_proba(rows)[:, 1]) >= -1e-12).all()


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0.0},
        {"alpha": 100.0},
        {"standardize": False},
        {"class_weight": "balanced"},
        {"solver": "lbfgs"},
        {"warm_start": True},
    ],
    ids=str,
)
@each_model
def test_constraints_hold_with_every_option(model, options):
    X, y = data()
    signs = [1, 1, -1, 0, -1]
    model = clone(model).set_params(monotonic_cst=signs, **options).fit(X, y)
    assert_monotone(model, X, signs)
    if model.warm_start:
        # The last fit held other signs: its weights lie on the wrong side of bounds.
        signs = [-1, -1, 1, 0, 1]
        model.set_params(monotonic_cst=signs).fit(X, y)
        assert_monotone(model, X, signs)


@pytest.mark.parametrize("options", [{"n_init": 3}, {"early_stopping": True}], ids=str)
def test_constraints_hold_with_the_options_of_networks(options):
    X, y = data()
    signs = [1, -1, 0, 1, 0]
    model = clone(SKIPPING).set_params(monotonic_cst=signs, **options).fit(X, y)
    assert_monotone(model, X, signs)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@each_model
def test_sparse_data_work(model, container):
    X, y = data()
    X[:, :3] *= np.abs(X[:, :3]) > 0.05
    signs = [1, -1, 1, 0, 0]
    model = clone(model).set_params(monotonic_cst=signs).fit(container(X), y)
    assert_monotone(model, X, signs)


@each_model
def test_single_precision_works(model):
    X, y = data()
    X = X.astype(np.float32)
    signs = [1, -1, 1, 0, 0]
    model = clone(model).set_params(monotonic_cst=signs).fit(X, y)
    assert_monotone(model, X.astype(np.float64), signs)


@each_model
def test_constraints_may_be_given_by_column_name(model):
    pandas = pytest.importorskip("pandas")
    X, y = data()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    by_name = clone(model).set_params(monotonic_cst={"d": -1, "a": 1}).fit(frame, y)
    by_array = clone(model).set_params(monotonic_cst=[1, 0, 0, -1, 0]).fit(frame, y)
    assert_array_equal(by_name.predict_proba(frame), by_array.predict_proba(frame))
    with pytest.raises(ValueError, match=r"monotonic_cst.*z"):
        clone(model).set_params(monotonic_cst={"z": 1}).fit(frame, y)


@pytest.mark.parametrize("signs", [None, [0] * P, np.zeros(P, dtype=int)], ids=str)
@each_model
def test_no_constraint_changes_nothing(model, signs):
    X, y = data()
    free = clone(model).fit(X, y)
    same = clone(model).set_params(monotonic_cst=signs).fit(X, y)
    assert same.solver_ == free.solver_
    assert same.loss_curve_ == free.loss_curve_
    # ... and asks for nothing that only constraints need.
    clone(model).set_params(monotonic_cst=signs, solver="newton-cg").fit(X, y)


# What a constraint costs --------------------------------------------------------------


def test_optimum_of_the_linear_model_is_the_constrained_one():
    # J is convex: the optimum with signs is that without the columns held at zero.
    X, y = data()
    signs = np.array([-1, 1, 0, 1, 0])
    model = LogisticNN(monotonic_cst=signs, tol=1e-8).fit(X, y)
    held = model.coef_[0] == 0.0
    assert held.any()
    rest = LogisticNN(tol=1e-8).fit(X[:, ~held], y)
    assert_allclose(model.coef_[0][~held], rest.coef_[0], rtol=1e-5)
    assert_allclose(model.loss_, rest.loss_, rtol=1e-10)
    # To release a weight that is held would lower J only where its sign forbids.
    residual = model.predict_proba(X)[:, 1] - y
    assert (signs[held] * (X[:, held].T @ residual) >= 0).all()
    assert model.converged_


@each_model
def test_signs_that_agree_with_the_data_cost_nothing(model):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (X @ [2.0, -1.0] + rng.logistic(size=200) > 0).astype(int)
    model = clone(model).set_params(alpha=1.0, max_iter=500)
    free = clone(model).fit(X, y)
    held = clone(model).set_params(monotonic_cst=[1, -1]).fit(X, y)
    tolerance = 1e-6 if isinstance(model, LogisticNN) else 0.02
    assert held.loss_ <= free.loss_ * (1 + tolerance)


@pytest.mark.parametrize("bend", [-1.0, 1.0], ids=["concave", "convex"])
@pytest.mark.parametrize("column", [0, 1], ids=["constrained", "free"])
@pytest.mark.parametrize("activation", ["relu", "softplus", "tanh"])
def test_the_output_may_bend_either_way(activation, column, bend):
    """Also if the activation is convex, and in columns that are free."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2))
    x, other = X[:, column], X[:, 1 - column]
    rising, valley = np.exp(1.5 * bend * x), np.abs(3.0 * x)
    raw = other + bend * (rising if column == 0 else valley)
    y = (raw - np.median(raw) + 0.3 * rng.logistic(size=600) > 0.0).astype(int)
    model = OneHiddenMLP(20, activation, alpha=0.1, random_state=0)
    free = clone(model).fit(X, y)
    held = clone(model).set_params(monotonic_cst=[1, 0]).fit(X, y)
    assert held.loss_ <= 1.05 * free.loss_ + 0.005


# The way there ------------------------------------------------------------------------


@each_model
def test_auto_chooses_a_solver_with_bounds_and_starts_within_them(model):
    def stop(n_iter):
        raise KeyboardInterrupt

    X, y = data()
    signs = np.array([1, -1, 0, 0, 1])
    model = clone(model).set_params(monotonic_cst=signs, solver="auto")
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        while_fitting(model, X, y, does=stop)
    assert SOLVERS[model.solver_].bounds
    assert model.n_iter_ == 0
    assert_monotone(model, X, signs)
    if isinstance(model, OneHiddenMLP):
        # Mirrored, not cut off: no unit is dead at the start.
        weights = np.concatenate([array.ravel() for array in model.coefs_])
        assert (weights != 0.0).mean() > 0.9


def test_a_constraint_holds_on_many_rows():
    # Without the constraint LogisticNN would start from a sample of the rows.
    X, y = make_classification(8000, 6, random_state=0)
    signs = [1, 1, 1, -1, -1, -1]
    model = LogisticNN(monotonic_cst=signs).fit(X, y)
    assert model.converged_
    assert_monotone(model, X, signs)


@pytest.mark.parametrize("activation", OTHERS)
def test_an_activation_that_decreases_is_refused_by_name(activation):
    X, y = data()
    model = clone(NETWORK).set_params(activation=activation, monotonic_cst=[1] * P)
    with pytest.raises(ValueError, match=f"activation='{activation}'") as caught:
        model.fit(X, y)
    for name in MONOTONE:
        assert repr(name) in str(caught.value)
    assert not hasattr(model, "coefs_")
    # Without a constraint it is welcome.
    model.set_params(monotonic_cst=[0] * P).fit(X, y)


@pytest.mark.parametrize("kind", ["classes", "labels"])
@each_model
def test_a_constraint_needs_two_classes(model, kind):
    X, _ = data()
    y = np.arange(len(X)) % 3
    y = y if kind == "classes" else np.eye(3, dtype=int)[y]
    model = clone(model).set_params(monotonic_cst=[1] * P)
    with pytest.raises(ValueError, match=f"target of two classes.* 3 {kind}"):
        model.fit(X, y)


def test_constraints_hold_on_raw_breast_cancer_data():
    X, y = load_breast_cancer(return_X_y=True)
    signs = [-1] * X.shape[1]  # every measure speaks for malignant, the class 0
    for model in (LogisticNN(), OneHiddenMLP(10, "tanh", random_state=0)):
        model.set_params(monotonic_cst=signs).fit(X, y)
        assert model.converged_
        assert model.score(X, y) > 0.95
        assert_monotone(model, X, signs, reach=100.0)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    signs=st.lists(st.sampled_from([-1, 0, 1]), min_size=P, max_size=P),
    activation=st.sampled_from([None, *MONOTONE]),
    skip=st.booleans(),
    standardize=st.booleans(),
    alpha=st.sampled_from([0.0, 0.1, 10.0]),
)
def test_every_constraint_holds(seed, signs, activation, skip, standardize, alpha):
    X, y = data(40, seed)
    if activation is None:
        model = LogisticNN(max_iter=20)
    else:
        model = OneHiddenMLP(
            3, activation, skip_connections=skip, max_iter=20, random_state=seed
        )
    model.set_params(monotonic_cst=signs, standardize=standardize, alpha=alpha)
    assert_monotone(model.fit(X, y), X, signs)
