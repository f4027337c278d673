"""Validation rows that the user gives: X_val, y_val and sample_weight_val of fit."""

import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from checks import LABELS, X, Y, assert_refused, with_value
from models import (
    LINEAR,
    assert_same_bits,
    classes,
    each_class,
    each_network_solver,
    labels,
)
from sknn_simple import OneHiddenMLP
from sknn_simple._input.validation import validate_training_set
from sknn_simple._training.early_stopping import split

TARGETS = ["two classes", "three classes", "labels"]
each_target = pytest.mark.parametrize("target", TARGETS)

# Without a penalty and with many units on noisy data: the network overfits.
MODEL = OneHiddenMLP(10, "tanh", alpha=0.0, early_stopping=True, random_state=0)


def data(target="two classes", n=150):
    if target == "labels":
        return labels(n, n_labels=2)
    n_classes = TARGETS.index(target) + 2
    return classes(n_classes, n, flip_y=0.3, class_sep=0.5)


def halves(target="two classes", n=150):
    """Training and validation rows."""
    features, y = data(target, n)
    X, X_val, y, y_val = train_test_split(features, y, random_state=0)
    return X, y, {"X_val": X_val, "y_val": y_val}


def fit(X, y, weight=None, *, val, **params):
    return clone(MODEL).set_params(**params).fit(X, y, weight, **val)


def loss_by_hand(model, X_val, y_val, sample_weight_val=None):
    """The weighted log-loss of a model, from its probabilities."""
    probability = model.predict_proba(X_val)
    if np.ndim(y_val) == 2:
        each = -np.log(np.where(y_val == 1, probability, 1.0 - probability))
        return np.average(each.sum(axis=1), weights=sample_weight_val)
    return log_loss(
        y_val, probability, sample_weight=sample_weight_val, labels=model.classes_
    )


# What is watched ----------------------------------------------------------------------


@each_network_solver
@each_target
def test_the_rows_that_a_split_would_set_aside_give_the_same_fit(target, solver):
    # The sum is a power of two: neither way to compute the shares rounds twice.
    X, y = data(target, 128)
    weight = np.tile([1.0, 0.25, 0.5, 0.25], 32)
    params = {"solver": solver, "n_init": 2, "validation_fraction": 0.25}
    aside = clone(MODEL).set_params(**params).fit(X, y, sample_weight=weight)
    checked = validate_training_set(MODEL, X, y, weight, None)
    generator = check_random_state(0)
    rest, val = (
        [np.flatnonzero((row == X).all(axis=1))[0] for row in rows.X]
        for rows in split(checked, 0.25, generator)
    )
    # The split takes the first draws, the initial weights the next ones.
    given = fit(
        X[rest],
        y[rest],
        weight[rest],
        val={"X_val": X[val], "y_val": y[val], "sample_weight_val": weight[val]},
        random_state=generator,
        **params,
    )
    assert_same_bits(given, aside, X)
    assert given.loss_ == aside.loss_


@each_target
def test_the_iterate_with_the_lowest_loss_is_kept(target):
    X, y, val = halves(target)
    val["sample_weight_val"] = np.linspace(0.5, 2.0, len(val["y_val"]))
    model = fit(X, y, val=val)
    best = int(np.argmin(model.validation_loss_curve_))
    assert best < model.n_iter_
    assert_allclose(
        loss_by_hand(model, **val), model.validation_loss_curve_[best], rtol=1e-9
    )
    assert model.loss_ == model.loss_curve_[best]


def test_all_rows_of_X_are_trained_on_from_the_weights_of_a_fit_without_validation():
    X, y, val = halves()
    model = fit(X, y, val=val)
    plain = clone(MODEL).set_params(early_stopping=False, max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain.fit(X, y)
    assert model.loss_curve_[:5] == plain.loss_curve_[:5]
    other = fit(X, y, val=val, validation_fraction=0.5)
    assert_same_bits(model, other, X)


def test_weights_are_repeated_rows():
    X, y, val = halves()
    X_val, y_val = val.values()
    times = np.arange(len(y_val)) % 3
    weighted = fit(X, y, val={**val, "sample_weight_val": times})
    repeated = fit(
        X, y, val={"X_val": X_val.repeat(times, axis=0), "y_val": y_val.repeat(times)}
    )
    assert_allclose(
        weighted.validation_loss_curve_, repeated.validation_loss_curve_, rtol=1e-12
    )
    assert_array_equal(weighted.coefs_[0], repeated.coefs_[0])
    plain = fit(X, y, val=val)
    assert plain.validation_loss_curve_[0] != weighted.validation_loss_curve_[0]


@pytest.mark.parametrize("class_weight", [{0: 1.0, 1: 3.0}, "balanced"])
def test_class_weights_are_those_of_the_training_rows(class_weight):
    X, y, val = halves()
    kept = (y == 0) | (np.arange(len(y)) % 2 == 0)
    X, y, y_val = X[kept], y[kept], val["y_val"]
    by_class = fit(X, y, val=val, class_weight=class_weight)
    factors = np.array([1.0, 3.0])
    if class_weight == "balanced":
        factors = len(y) / (2.0 * np.bincount(y))
    weighted = {**val, "sample_weight_val": factors[y_val]}
    by_row = fit(X, y, factors[y], val=weighted)
    one, other = by_class.validation_loss_curve_, by_row.validation_loss_curve_
    assert_allclose(one[:8], other[:8], rtol=1e-9)
    unweighted = fit(X, y, factors[y], val=val)
    assert abs(unweighted.validation_loss_curve_[0] / other[0] - 1.0) > 1e-6


def test_balanced_weights_of_labels_are_those_of_the_training_rows():
    X, y, val = halves("labels")
    weigh = [len(y) / (2.0 * np.bincount(column)) for column in y.T]
    model = fit(X, y, val=val, class_weight="balanced")
    y_val, probability = val["y_val"], model.predict_proba(val["X_val"])
    each = -np.log(np.where(y_val == 1, probability, 1.0 - probability))
    by_hand = np.column_stack([weigh[k][y_val[:, k]] for k in range(2)])
    assert_allclose(
        (by_hand * each).sum(axis=1).mean(),
        min(model.validation_loss_curve_),
        rtol=1e-9,
    )


def test_a_class_without_training_weight_does_not_count_in_balanced_validation():
    X, y, val = halves("three classes")
    weight = (y != 2).astype(float)
    model = fit(X, y, weight, val=val, class_weight="balanced")
    kept = val["y_val"] != 2
    other = fit(
        X,
        y,
        weight,
        val={name: rows[kept] for name, rows in val.items()},
        class_weight="balanced",
    )
    assert_same_bits(model, other, X)


def test_some_of_the_classes_are_enough():
    X, y, val = halves("three classes")
    kept = val["y_val"] == 2
    val = {name: rows[kept] for name, rows in val.items()}
    model = fit(X, y, val=val)
    assert len(model.classes_) == 3
    assert_allclose(
        loss_by_hand(model, **val), min(model.validation_loss_curve_), rtol=1e-9
    )


NAMES = {
    "words": np.array(["no", "yes", "perhaps"]),
    "objects": np.array(["no", "yes", "perhaps"], dtype=object),
    "floats": np.array([-1.0, 0.0, 7.0]),
    "dates": np.array(["2026-01-03", "2026-01-02", "2026-01-01"], "datetime64[D]"),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=list(NAMES))
def test_labels_of_any_kind_mean_the_same(names):
    X, y, val = halves("three classes")
    model = fit(X, names[y], val={**val, "y_val": names[val["y_val"]]})
    codes = np.unique(names, return_inverse=True)[1]
    other = fit(X, codes[y], val={**val, "y_val": codes[val["y_val"]]})
    assert_same_bits(model, other)
    lists = {"X_val": val["X_val"].tolist(), "y_val": names[val["y_val"]].tolist()}
    if names.dtype.kind != "M":
        assert_same_bits(model, fit(X, names[y].tolist(), val=lists))


# Kinds of input -----------------------------------------------------------------------

CONTAINERS = [np.asarray, sparse.csr_array, sparse.csc_matrix]


@pytest.mark.parametrize("of_val", CONTAINERS)
@pytest.mark.parametrize("of_training", CONTAINERS)
def test_sparse_rows_are_dense_rows(of_training, of_val):
    X, y, val = halves()
    X, X_val = X * (np.abs(X) > 0.5), val["X_val"] * (np.abs(val["X_val"]) > 0.5)
    dense = fit(of_training(X), y, val={**val, "X_val": X_val})
    other = fit(of_training(X), y, val={**val, "X_val": of_val(X_val)})
    assert_same_bits(other, dense, X)
    assert_allclose(
        loss_by_hand(other, X_val, val["y_val"]),
        min(other.validation_loss_curve_),
        rtol=1e-7,
    )


def test_labels_may_be_sparse():
    X, y, val = halves("labels")
    dense = fit(X, y, val=val)
    other = fit(
        X, sparse.csr_array(y), val={**val, "y_val": sparse.csc_matrix(val["y_val"])}
    )
    assert_same_bits(other, dense, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_get_the_precision_of_the_training_rows(dtype):
    X, y, val = halves()
    X = X.astype(dtype)
    as_given = fit(X, y, val=val)
    converted = fit(X, y, val={**val, "X_val": val["X_val"].astype(dtype)})
    assert as_given.coefs_[0].dtype == dtype
    assert_same_bits(as_given, converted, X)


def test_frames_are_arrays():
    pd = pytest.importorskip("pandas")
    X, y, val = halves()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    other = pd.DataFrame(val["X_val"], columns=list("abcdef"))
    model = fit(frame, y, val={"X_val": other, "y_val": pd.Series(val["y_val"])})
    val = {"X_val": other.to_numpy(), "y_val": val["y_val"]}
    assert_same_bits(model, fit(frame.to_numpy(), y, val=val))


def test_polars_frames_of_single_precision_are_arrays():
    pl = pytest.importorskip("polars")
    X, y, val = halves()
    X, X_val = X.astype(np.float32), val["X_val"].astype(np.float32)
    frame, other = (pl.DataFrame(rows, schema=list("abcdef")) for rows in (X, X_val))
    model = fit(frame, y, val={"X_val": other, "y_val": pl.Series(val["y_val"])})
    val = {"X_val": other.to_numpy(), "y_val": val["y_val"]}
    assert_same_bits(model, fit(frame.to_numpy(), y, val=val))


# With other features ------------------------------------------------------------------


def test_restarts_are_compared_on_the_given_rows_on_any_number_of_jobs():
    X, y, val = halves()
    alone, together = (fit(X, y, val=val, n_init=4, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert_same_bits(alone, together, X)
    assert len(np.unique(alone.init_losses_)) == 4
    assert_allclose(loss_by_hand(alone, **val), alone.init_losses_.min(), rtol=1e-9)


def test_a_warm_start_goes_on_from_the_best_iterate():
    X, y, val = halves()
    model = fit(X, y, val=val, warm_start=True)
    best = min(model.validation_loss_curve_)
    model.fit(X, y, **val)
    assert_allclose(model.validation_loss_curve_[0], best, rtol=1e-10)


def requesting(model):
    return clone(model).set_fit_request(
        sample_weight=False, X_val=True, y_val=True, sample_weight_val=True
    )


def test_a_pipeline_transforms_the_rows():
    X, y, val = halves()
    val["sample_weight_val"] = np.linspace(0.5, 2.0, len(val["y_val"]))
    with sklearn.config_context(enable_metadata_routing=True):
        steps = [("scale", StandardScaler()), ("net", requesting(MODEL))]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(X, y, **val)
    scaler = StandardScaler().fit(X)
    scaled = {**val, "X_val": scaler.transform(val["X_val"])}
    alone = fit(scaler.transform(X), y, val=scaled)
    assert_same_bits(pipeline["net"], alone)


def test_searches_and_cross_validation_pass_the_rows():
    X, y, val = halves(n=240)
    with sklearn.config_context(enable_metadata_routing=True):
        model = requesting(MODEL)
        grid = {"hidden_layer_size": [2, 5]}
        search = GridSearchCV(model, grid, cv=3).fit(X, y, **val)
        scores = cross_validate(
            model, X, y, cv=3, params=dict(val), return_estimator=True
        )
    best = search.best_estimator_
    assert_same_bits(best, fit(X, y, val=val, **search.best_params_))
    # Rows that are not as many as those of X are not split: every fold has all of them.
    for fold in scores["estimator"]:
        assert_allclose(
            loss_by_hand(fold, **val), min(fold.validation_loss_curve_), rtol=1e-9
        )


def test_rows_that_were_not_requested_are_an_error():
    X, y, val = halves()
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(Exception, match="X_val"),
    ):
        Pipeline([("net", clone(MODEL))]).fit(X, y, **val)


# What is refused ----------------------------------------------------------------------

WATCHING = OneHiddenMLP(4, "tanh", early_stopping=True, random_state=0)
X_VAL, Y_VAL = X[:20], Y[:20]
ONES = np.ones(20)

BAD_SETS = {
    "no X_val": (None, Y_VAL, None, "^y_val is given without X_val"),
    "no y_val": (X_VAL, None, None, "^X_val is given without y_val"),
    "weights only": (None, None, ONES, "^sample_weight_val is given without X_val"),
    "columns": (X_VAL[:, :4], Y_VAL, None, "^X_val has 4 features, .* expecting 5"),
    "sparse columns": (
        sparse.csr_array(X_VAL[:, :4]),
        Y_VAL,
        None,
        "^X_val has 4 features, .* expecting 5",
    ),
    "NaN": (with_value(X_VAL, np.nan), Y_VAL, None, "^Input X_val contains NaN"),
    "infinity": (
        sparse.csc_array(with_value(X_VAL, np.inf)),
        Y_VAL,
        None,
        "^Input X_val contains infinity",
    ),
    "huge": (
        with_value(X_VAL, -1e200),
        Y_VAL,
        None,
        r"^Column \d of X_val has the value -1e\+200.*above 1e\+100",
    ),
    "no rows": (X_VAL[:0], Y_VAL[:0], None, r"^X_val: Found array with 0 sample\(s\)"),
    "one dimension": (X_VAL[0], Y_VAL, None, "^X_val: Expected 2D array, got 1D"),
    "text": (
        np.where(X_VAL > 0.0, "up", "down"),
        Y_VAL,
        None,
        "^X_val: could not convert string",
    ),
    "short y_val": (X_VAL, Y_VAL[:-3], None, r"^y_val: .* samples: \[20, 17\]"),
    "unknown label": (
        X_VAL,
        with_value(Y_VAL, 9),
        None,
        r"^y_val holds the label 9\.0, which .* of y are \[0, 1, 2\]",
    ),
    "between labels": (X_VAL, Y_VAL + 0.5, None, r"^y_val holds the label \d\.5,"),
    "words": (X_VAL, Y_VAL.astype(str), None, r"^y_val holds the label '\d',"),
    "NaN in y_val": (
        X_VAL,
        with_value(Y_VAL, np.nan),
        None,
        "^Input y_val contains NaN: the label of sample 3",
    ),
    "labels": (X_VAL, LABELS[:20], None, r"^y_val should be a 1d array.*\(20, 3\)"),
    "short weights": (X_VAL, Y_VAL, ONES[:17], r"^sample_weight_val.*\(17,\).*\(20,\)"),
    "negative weight": (
        X_VAL,
        Y_VAL,
        with_value(ONES, -0.5),
        r"^sample_weight_val must not be negative; its smallest value is -0\.5",
    ),
    "no weight": (X_VAL, Y_VAL, 0 * ONES, "^sample_weight_val must not be zero"),
    "NaN weight": (
        X_VAL,
        Y_VAL,
        with_value(ONES, np.nan),
        "^Input sample_weight_val contains NaN",
    ),
    "weight of text": (
        X_VAL,
        Y_VAL,
        ["heavy"] * 20,
        "^sample_weight_val: could not convert string",
    ),
    "weights of two columns": (
        X_VAL,
        Y_VAL,
        np.ones((20, 2)),
        "^sample_weight_val: .*1D",
    ),
}


def refused(match, X, y, X_val, y_val, weight=None, model=WATCHING):
    assert_refused(
        model, match, X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight
    )


@pytest.mark.parametrize("case", BAD_SETS)
def test_validation_rows_that_cannot_be_used_are_refused(case):
    X_val, y_val, weight, match = BAD_SETS[case]
    refused(match, X, Y, X_val, y_val, weight)
    refused(match, sparse.csr_array(X), Y, X_val, y_val, weight)


BAD_LABELS = {
    "another number": (LABELS[:20, :2], r"^y_val must have .* 3 labels .*\(20, 2\)"),
    "classes": (Y_VAL, r"^y_val must have a column for each .*\(20,\)"),
    "another value": (2 * LABELS[:20], "^y_val as a multilabel .* 0 and 1 only; got 2"),
    "words": (np.where(LABELS[:20], "yes", "no"), "^y_val: could not convert string"),
    "NaN": (with_value(LABELS[:20], np.nan), "^Input y_val contains NaN"),
    "short": (LABELS[:17], r"^y_val: .* samples: \[20, 17\]"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_validation_labels_that_cannot_be_used_are_refused(case):
    y_val, match = BAD_LABELS[case]
    refused(match, X, LABELS, X_VAL, y_val)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (list("abcdX"), "^X_val: The feature names should match(.|\n)*- X\n"),
        (list("bacde"), "^X_val: The feature names .*(.|\n)*order"),
        (list("abcd"), "^X_val: The feature names .*(.|\n)*missing:\n- e"),
    ],
)
def test_other_feature_names_are_refused(columns, match):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    other = pd.DataFrame(X_VAL[:, : len(columns)], columns=columns)
    refused(match, frame, Y, other, Y_VAL)


def test_values_beyond_single_precision_are_refused():
    match = "^Input X_val contains infinity or a value too large for dtype.*float32"
    refused(match, X.astype(np.float32), Y, with_value(X_VAL, 1e50), Y_VAL)


@each_class
def test_rows_without_a_use_are_refused(model):
    advice = (
        "alpha='auto'" if isinstance(model, type(LINEAR)) else "early_stopping=True"
    )
    match = f"^X_val is given, but {type(model).__name__} .* not use it: .*{advice}"
    model = clone(model).set_params(alpha=1.0)
    refused(match, X, Y, X_VAL, Y_VAL, model=model)


def test_class_weights_that_leave_no_validation_row_are_refused():
    model = clone(WATCHING).set_params(class_weight={0: 0.0})
    kept = Y == 0
    match = r"^X_val: class_weight=\{0: 0\.0\} leaves no sample with a positive weight"
    refused(match, X, Y, X[kept], Y[kept], model=model)
    heavy = clone(WATCHING).set_params(class_weight={0: 1e200})
    match = r"^X_val: class_weight=\{0: 1e\+200\} times sample_weight leaves the range"
    refused(match, X, Y, X[kept], Y[kept], np.full(kept.sum(), 1e200), model=heavy)
