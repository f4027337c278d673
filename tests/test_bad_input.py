"""One clear error for bad input; a finite, silent model for input that is only odd."""

import sys
import warnings

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sknn_simple import LogisticNN, OneHiddenMLP

SOLVERS = ["lbfgs", "newton-cg", "newton-cholesky", "trust-ncg", "trust-krylov"]
ACTIVATIONS = ["identity", "logistic", "tanh", "relu", "softplus", "silu", "gelu"]

MODELS = [LogisticNN(), OneHiddenMLP(4, "tanh", random_state=0)]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def data(n_classes=3, n=60, p=5):
    return make_classification(
        n, p, n_informative=4, n_redundant=0, n_classes=n_classes, random_state=0
    )


X, Y = data()


@pytest.fixture
def no_work(monkeypatch):
    """Training must not begin."""

    def train(*args, **kwargs):
        raise AssertionError("work began before the input was checked")

    for kind in (LogisticNN, OneHiddenMLP):
        monkeypatch.setattr(kind, "_train", train)


def assert_refused(model, match, *args, error=ValueError, **kwargs):
    """`fit` raises, before any work, and leaves a fitted model as it was."""
    fitted = clone(model).set_params(**FITTED[type(model)].get_params())
    vars(fitted).update(vars(FITTED[type(model)]))
    fitted.set_params(**model.get_params())
    before = dict(vars(fitted))
    state = joblib.hash(before)
    for estimator in (clone(model), fitted):
        with pytest.raises(error, match=match):
            estimator.fit(*args, **kwargs)
    assert vars(fitted).keys() == before.keys()
    for name, value in vars(fitted).items():
        assert value is before[name], name
    assert joblib.hash(vars(fitted)) == state
    unfitted = clone(model)
    with pytest.raises(error):
        unfitted.fit(*args, **kwargs)
    assert vars(unfitted).keys() == set(unfitted.get_params())
    with pytest.raises(NotFittedError):
        unfitted.predict(X)


FITTED = {type(model): clone(model).fit(X, Y) for model in MODELS}


def with_value(array, value, at=(3, 1)):
    array = np.array(array, dtype=float)
    array[at[: array.ndim]] = value
    return array


# Data ---------------------------------------------------------------------------

BAD_DATA = {
    "NaN in X": (with_value(X, np.nan), Y, "Input X contains NaN"),
    "infinity in X": (with_value(X, np.inf), Y, "Input X contains infinity"),
    "-infinity in X": (with_value(X, -np.inf), Y, "Input X contains infinity"),
    "NaN in sparse X": (
        sparse.csr_array(with_value(X, np.nan)),
        Y,
        "Input X contains NaN",
    ),
    "infinity in sparse X": (
        sparse.csc_array(with_value(X, np.inf)),
        Y,
        "Input X contains infinity",
    ),
    "NaN in y": (X, with_value(Y, np.nan), "Input y contains NaN"),
    "infinity in y": (X, with_value(Y, np.inf), "Input y contains infinity"),
    "None in y": (X, [None, *Y[1:]], "Input y contains None: the label of sample 0 is"),
    "no rows": (X[:0], Y[:0], r"Found array with 0 sample\(s\)"),
    "no columns": (X[:, :0], Y, r"Found array with 0 feature\(s\)"),
    "no columns, sparse": (sparse.csr_array((60, 0)), Y, r"0 feature\(s\)"),
    "one class": (X, np.full(60, 7), r"2 classes.* one class only: .*7"),
    "one class of text": (X, np.full(60, "a"), r"2 classes.* one class only: .*a"),
    "labels that cannot be sorted": (
        X,
        np.array(["a", *Y[1:]], dtype=object),
        "y cannot be used as labels: ",
    ),
    "continuous y": (X, Y + 0.25, "Unknown label type: continuous"),
    "short y": (X, Y[:-3], r"inconsistent numbers of samples: \[60, 57\]"),
    "short X": (X[:-3], Y, r"inconsistent numbers of samples: \[57, 60\]"),
    "no y": (X, None, "requires y to be passed, but the target y is None"),
    "y of several classes per column": (
        X,
        np.column_stack([Y, Y]),
        "multiclass-multioutput",
    ),
    "text in X": (np.where(X > 0.0, "up", "down"), Y, "could not convert string"),
    "X of one dimension": (X[:, 0], Y, "Expected 2D array, got 1D array"),
    "X of three dimensions": (X[:, :, None], Y, "dim 3"),
    "complex X": (X + 1j, Y, "Complex data not supported"),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", BAD_DATA)
@each_model
def test_bad_data(model, case):
    bad_X, bad_y, match = BAD_DATA[case]
    assert_refused(model, match, bad_X, bad_y)


@pytest.mark.usefixtures("no_work")
@each_model
def test_columns_of_text_in_a_frame(model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde")).assign(c="high")
    assert_refused(model, "could not convert string to float: 'high'", frame, Y)
    missing = pd.DataFrame(X, columns=list("abcde")).assign(c=np.nan)
    assert_refused(model, "Input X contains NaN", missing, Y)


# A label that is missing --------------------------------------------------------------

WITHOUT = "Input y contains (None|NaN|NaT|<NA>): the label of sample 3 is missing"
NAMES = {
    "integers": [0, 1, 2],
    "floats": [0.0, 1.0, 2.0],
    "booleans": [False, True],
    "words": ["a", "b", "c"],
}


def named(names, missing=None):
    """Return Y by other names, with the label of sample 3 missing."""
    labels = [names[code % len(names)] for code in Y]
    labels[3] = missing
    return labels


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("missing", [None, np.nan, np.float64(np.nan), "pandas.NA"])
@pytest.mark.parametrize("names", NAMES.values(), ids=list(NAMES))
@each_model
def test_a_missing_label(model, names, missing):
    if missing == "pandas.NA":
        missing = pytest.importorskip("pandas").NA
    labels = named(names, missing)
    column = np.array(labels, dtype=object)
    for y in (labels, column, column[:, None]):
        assert_refused(model, WITHOUT, X, y)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "missing", [np.float32(np.nan), np.datetime64("NaT"), np.timedelta64("NaT"), "NaT"]
)
@each_model
def test_a_missing_label_among_objects(model, missing):
    if missing == "NaT":
        missing = pytest.importorskip("pandas").NaT
    labels = np.array(named(NAMES["words"], missing), dtype=object)
    assert_refused(model, WITHOUT, X, labels)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("Int64", "integers"),
        ("UInt8", "integers"),
        ("Float32", "floats"),
        ("boolean", "booleans"),
        ("string", "words"),
        ("datetime64[ns]", "integers"),
        *[(dtype, kind) for dtype in ("category", "object") for kind in NAMES],
    ],
)
@each_model
def test_a_missing_label_in_pandas(model, dtype, kind):
    pd = pytest.importorskip("pandas")
    series = pd.Series(named(NAMES[kind]), dtype=dtype)
    for y in (series, series.to_frame(), series.to_numpy()):
        assert_refused(model, WITHOUT, X, y)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("dtype", ["Int64", "boolean", "object"])
@each_model
def test_a_missing_label_of_several_in_pandas(model, dtype):
    frame = pytest.importorskip("pandas").DataFrame(LABELS).astype(dtype)
    frame.iloc[3, 1] = None
    assert_refused(model, WITHOUT, X, frame)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("kind", NAMES)
@each_model
def test_a_missing_label_in_polars(model, kind):
    series = pytest.importorskip("polars").Series("y", named(NAMES[kind]))
    for y in (series, series.to_frame()):
        assert_refused(model, WITHOUT, X, y)


def test_missing_labels_import_no_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match=WITHOUT):
        LogisticNN().fit(X, named(NAMES["words"]))


BAD_WEIGHTS = {
    "NaN": (with_value(np.ones(60), np.nan), "Input sample_weight contains NaN"),
    "infinity": (
        with_value(np.ones(60), np.inf),
        "Input sample_weight contains infinity",
    ),
    "negative": (
        with_value(np.ones(60), -0.5),
        r"sample_weight must not be negative; its smallest value is -0\.5",
    ),
    "all zero": (np.zeros(60), "sample_weight must not be zero for every sample"),
    "too short": (np.ones(57), r"sample_weight.*\(57,\).*\(60,\)"),
    "two columns": (np.ones((60, 2)), "1D|one-dimensional"),
    "text": (["heavy"] * 60, "could not convert string to float"),
    "one class left": ((Y == 1).astype(float), "2 classes with a positive weight"),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", BAD_WEIGHTS)
@each_model
def test_bad_weights(model, case):
    weight, match = BAD_WEIGHTS[case]
    assert_refused(model, match, X, Y, sample_weight=weight)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e-20, 1e20, 1e300, 1e306])
@each_model
def test_size_of_weights_with_the_same_alpha_over_size(model, size):
    # J divides by the sum of the weights; only alpha/S is left of their size.
    model = clone(model).set_params(alpha=0.0, tol=0.05)
    one = clone(model).fit(X, Y)
    other = clone(model).fit(X, Y, sample_weight=np.full(60, size))
    assert_allclose(other.loss_, one.loss_, rtol=1e-3)
    assert np.isfinite(other.predict_log_proba(X)).all()


@pytest.mark.usefixtures("no_work")
@each_model
def test_weights_beyond_the_range_of_float64(model):
    model = clone(model).set_params(class_weight={0: 1e200, 1: 1.0, 2: 1.0})
    weight = np.full(60, 1e200)
    assert_refused(
        model, "class_weight=.* range of float64", X, Y, sample_weight=weight
    )


@each_model
def test_weights_that_vanish_beside_the_others(model):
    weight = np.full(60, 1e10)
    weight[:3] = 1e-320
    model = clone(model).fit(X, Y, sample_weight=weight)
    rest = clone(model).fit(X[3:], Y[3:], sample_weight=weight[3:])
    assert_array_equal(model.predict_proba(X), rest.predict_proba(X))


# The same for sparse data and for labels ----------------------------------------------

SPARSE_DATA = {
    f"{name}, {container.__name__}": (container(bad_X), bad_y, match)
    for name, (bad_X, bad_y, match) in BAD_DATA.items()
    if not sparse.issparse(bad_X) and bad_X.ndim == 2 and bad_X.dtype.kind != "U"
    for container in (sparse.csr_array, sparse.csc_matrix)
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", SPARSE_DATA)
@each_model
def test_bad_data_beside_or_in_sparse_features(model, case):
    bad_X, bad_y, match = SPARSE_DATA[case]
    assert_refused(model, match, bad_X, bad_y)


LABELS = np.eye(3, dtype=int)[Y]
BAD_LABELS = {
    "NaN": (with_value(LABELS, np.nan), "Input y contains NaN"),
    "infinity": (with_value(LABELS, np.inf), "Input y contains infinity"),
    "None": (np.array([[0, None, 1]] * 60), "Input y contains None: the label of"),
    "three values": (with_value(LABELS, 2), "y .*multiclass-multioutput"),
    "two other values": (2 * LABELS - 1, "y .* must hold 0 and 1 only; got -1"),
    "another value than 1": (3 * LABELS, "y .* must hold 0 and 1 only; got 3"),
    "words": (np.where(LABELS == 1, "yes", "no"), "y .*multiclass-multioutput"),
    "fractions": (LABELS + 0.25, "Unknown label type: continuous-multioutput"),
    "short": (LABELS[:-3], r"inconsistent numbers of samples: \[60, 57\]"),
    "no labels": (LABELS[:, :0], "0 feature"),
    "three dimensions": (LABELS[:, :, None], "dim 3"),
    "lists of labels": ([[0, 1], [1]] * 30, "inhomogeneous"),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", BAD_LABELS)
@each_model
def test_bad_labels(model, case):
    bad_y, match = BAD_LABELS[case]
    assert_refused(model, match, X, bad_y)
    if isinstance(bad_y, np.ndarray) and bad_y.ndim == 2 and bad_y.dtype.kind in "if":
        assert_refused(model, match, X, sparse.csr_array(bad_y))
        assert_refused(model, match, sparse.csr_array(X), sparse.csc_matrix(bad_y))


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("y", [LABELS, sparse.csr_array(LABELS)], ids=["dense", "csr"])
@pytest.mark.parametrize("case", [*BAD_DATA, *BAD_WEIGHTS])
@each_model
def test_bad_data_and_weights_beside_labels(model, case, y):
    if case in BAD_WEIGHTS:
        weight, match = BAD_WEIGHTS[case]
        if case != "one class left":  # labels are not exclusive: one row is enough
            assert_refused(model, match, X, y, sample_weight=weight)
    elif BAD_DATA[case][1] is Y:
        bad_X, _, match = BAD_DATA[case]
        assert_refused(model, match, bad_X, y)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("class_weight", [{}, {0: 1.0}, {"a": 2.0}, {0: np.nan}])
@each_model
def test_weights_of_classes_for_labels(model, class_weight):
    model = clone(model).set_params(class_weight=class_weight)
    for y in (LABELS, sparse.csr_array(LABELS)):
        match = "class_weight must be None or 'balanced' for a multilabel y"
        assert_refused(model, match, X, y)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", BAD_WEIGHTS)
@each_model
def test_bad_weights_of_sparse_rows(model, case):
    weight, match = BAD_WEIGHTS[case]
    assert_refused(model, match, sparse.csr_array(X), Y, sample_weight=weight)


# Class weights ------------------------------------------------------------------------

BAD_CLASS_WEIGHTS = {
    "unknown class": ({0: 1.0, 9: 2.0}, r"class_weight.* \[9\].*\[0, 1, 2\]"),
    "unknown label": ({"a": 1.0}, r"class_weight.* \['a'\]"),
    "negative": ({0: -1.0}, r"class_weight.*\{0: -1\.0\}"),
    "NaN": ({1: np.nan}, r"class_weight.*nan"),
    "infinite": ({1: np.inf}, r"class_weight.*inf"),
    "all zero": ({0: 0, 1: 0, 2: 0}, "class_weight=.* positive weight"),
    "one class left": ({0: 0, 1: 0}, "2 classes with a positive weight"),
    "not a number": ({0: "heavy"}, "class_weight"),
    "a word": ("balance", "'class_weight' parameter.*Did you mean 'balanced'"),
    "a list": ([1, 2, 3], "'class_weight' parameter"),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", BAD_CLASS_WEIGHTS)
@each_model
def test_bad_class_weight(model, case):
    class_weight, match = BAD_CLASS_WEIGHTS[case]
    model = clone(model).set_params(class_weight=class_weight)
    assert_refused(model, match, X, Y)


# Messages -----------------------------------------------------------------------------


def of_numpy(class_weight):
    return {np.int64(label): np.float64(w) for label, w in class_weight.items()}


PRINTED = {
    "float class": ({}, np.full(60, 7.0), r"one class only: 7\.0\."),
    "text class": ({}, np.full(60, "a"), r"one class only: 'a'\."),
    "boolean class": ({}, np.full(60, True), r"one class only: True\."),
    "unknown class": ({"class_weight": of_numpy({9: 1})}, Y, r"not have: \[9\]\."),
    "negative": ({"class_weight": of_numpy({0: -1})}, Y, r"got \{0: -1\.0\}"),
    "all zero": (
        {"class_weight": of_numpy({0: 0, 1: 0, 2: 0})},
        Y,
        r"class_weight=\{0: 0\.0, 1: 0\.0, 2: 0\.0\} leaves",
    ),
    "weight of a label": (
        {"class_weight": of_numpy({0: 1})},
        np.eye(3)[Y],
        r"Got class_weight=\{0: 1\.0\}\.",
    ),
    "solver": (
        {"solver": np.str_("newton-cg"), "monotonic_cst": np.ones(5, int)},
        Y > 0,
        "solver='newton-cg' cannot",
    ),
}


@pytest.mark.parametrize("case", PRINTED)
@each_model
def test_messages_print_values_of_numpy_as_those_of_python(model, case):
    params, y, match = PRINTED[case]
    assert_refused(clone(model).set_params(**params), match, X, y)


@pytest.mark.usefixtures("no_work")
@each_model
def test_weights_that_vanish_beside_alpha(model):
    """alpha divided by their sum, which is what J has, would be infinite."""
    model = clone(model).set_params(alpha=np.float64(2.0))
    match = "alpha=2 divided by the sum of the sample weights, 6e-311, leaves"
    assert_refused(model, match, X, Y, sample_weight=np.full(60, 1e-312))


# Parameters ---------------------------------------------------------------------------

BAD_PARAMETERS = [
    ("alpha", -1.0),
    ("alpha", -1e-300),
    ("alpha", np.nan),
    ("alpha", np.inf),
    ("alpha", None),
    ("alpha", "1"),
    ("standardize", 2),
    ("standardize", "yes"),
    ("max_iter", 0),
    ("max_iter", -5),
    ("max_iter", 10.0),
    ("max_iter", None),
    ("tol", -1e-4),
    ("tol", np.nan),
    ("tol", np.inf),
    ("tol", "small"),
    ("warm_start", "no"),
    ("verbose", -1),
    ("verbose", "loud"),
    ("solver", "sgd"),
    ("solver", None),
    ("fit_intercept", "no"),
    ("fit_intercept", None),
    ("hidden_layer_size", 0),
    ("hidden_layer_size", -3),
    ("hidden_layer_size", 2.5),
    ("hidden_layer_size", (10,)),
    ("hidden_layer_size", "10"),
    ("activation", "step"),
    ("activation", None),
    ("activation", np.tanh),
    ("skip_connections", "no"),
    ("skip_connections", 3),
    ("random_state", -1),
    ("random_state", "seed"),
    ("random_state", 1.5),
    ("n_init", 0),
    ("n_init", 1.5),
    ("n_jobs", "all"),
    ("early_stopping", "yes"),
    ("validation_fraction", 0.0),
    ("validation_fraction", 1.0),
    ("validation_fraction", "tenth"),
    ("n_iter_no_change", 0),
    ("monotonic_cst", 1),
    ("monotonic_cst", "up"),
]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
@each_model
def test_parameter_out_of_range(model, name, value):
    if name not in model.get_params():
        return
    model = clone(model).set_params(**{name: value})
    shown = str(value) if isinstance(value, float) else repr(value)
    match = f"The '{name}' parameter of {type(model).__name__} must be"
    assert_refused(model, match, X, Y)
    with pytest.raises(ValueError, match=match) as caught:
        model.fit(X, Y)
    assert shown in str(caught.value)


MISSPELT = [
    (LogisticNN, "solver", "l-bfgs", "lbfgs"),
    (LogisticNN, "solver", "LBFGS", "lbfgs"),
    (LogisticNN, "solver", "L-BFGS-B", "lbfgs"),
    (LogisticNN, "solver", "newton_cg", "newton-cg"),
    (LogisticNN, "solver", "cholesky", "newton-cholesky"),
    (LogisticNN, "class_weight", "Balanced", "balanced"),
    (OneHiddenMLP, "solver", "lbgfs", "lbfgs"),
    (OneHiddenMLP, "activation", "ReLU", "relu"),
    (OneHiddenMLP, "activation", "logistc", "logistic"),
    (OneHiddenMLP, "activation", "Sigmoid", "sigmoid"),
    (OneHiddenMLP, "activation", "swish", None),
]


@pytest.mark.parametrize(("kind", "name", "value", "meant"), MISSPELT)
def test_misspelt_option(kind, name, value, meant):
    with pytest.raises(ValueError, match=f"'{name}' parameter") as caught:
        kind(**{name: value}).fit(X, Y)
    message = str(caught.value)
    assert repr(value) in message
    if meant is not None:
        assert message.endswith(f"Did you mean {meant!r}?")


def test_solver_of_the_other_classifier():
    with pytest.raises(ValueError, match="'solver' parameter of OneHiddenMLP"):
        OneHiddenMLP(solver="newton-cholesky").fit(X, Y)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("signs", "y", "match"),
    [
        ([1, 0, 0, 0], Y > 0, "monotonic_cst"),
        ([1, 0, 0, 0, 2], Y > 0, "monotonic_cst"),
        ({"a": 1}, Y > 0, "monotonic_cst"),
        ([1, 0, 0, 0, 0], Y, "monotonic_cst needs a target of two classes"),
    ],
)
@each_model
def test_bad_monotonic_cst(model, signs, y, match):
    assert_refused(clone(model).set_params(monotonic_cst=signs), match, X, y)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("solver", SOLVERS[1:])
@each_model
def test_solver_that_cannot_keep_a_constraint(model, solver):
    if solver == "newton-cholesky" and not isinstance(model, LogisticNN):
        return
    model = clone(model).set_params(solver=solver, monotonic_cst=[1, 0, 0, 0, 0])
    assert_refused(model, f"(?s)monotonic_cst.*{solver}|{solver}.*bounds", X, Y > 0)


def test_too_few_rows_to_set_any_aside():
    model = OneHiddenMLP(4, early_stopping=True, random_state=0)
    assert_refused(model, "early_stopping=True.*validation_fraction=0.1", X[:9], Y[:9])


# The same where callbacks listen ------------------------------------------------------


class Listener:
    """A callback that notes that it was called."""

    def __init__(self):
        self.called = []

    def setup(self, estimator, context):
        self.called.append("setup")

    def teardown(self, estimator, context):
        self.called.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.called.append("begin")

    def on_fit_task_end(self, estimator, context):
        self.called.append("end")


def assert_refused_unheard(model, match, *args, **kwargs):
    """`fit` raises, calls no hook, and leaves the model and its callbacks."""
    listener = Listener()
    model = clone(model).set_callbacks(listener)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=match):
        model.fit(*args, **kwargs)
    assert listener.called == []
    assert vars(model) == before


needs_callbacks = pytest.mark.skipif(
    not hasattr(LogisticNN, "set_callbacks"), reason="scikit-learn < 1.9"
)


@needs_callbacks
@pytest.mark.parametrize("case", [*BAD_DATA, *SPARSE_DATA, *BAD_LABELS])
@each_model
def test_bad_data_reach_no_callback(model, case):
    if case in BAD_LABELS:
        bad_y, match = BAD_LABELS[case]
        assert_refused_unheard(model, match, X, bad_y)
    else:
        bad_X, bad_y, match = {**BAD_DATA, **SPARSE_DATA}[case]
        assert_refused_unheard(model, match, bad_X, bad_y)


@needs_callbacks
@pytest.mark.parametrize("case", BAD_WEIGHTS)
@each_model
def test_bad_weights_reach_no_callback(model, case):
    weight, match = BAD_WEIGHTS[case]
    assert_refused_unheard(model, match, X, Y, sample_weight=weight)


@needs_callbacks
@pytest.mark.parametrize("case", BAD_CLASS_WEIGHTS)
@each_model
def test_bad_class_weights_reach_no_callback(model, case):
    class_weight, match = BAD_CLASS_WEIGHTS[case]
    model = clone(model).set_params(class_weight=class_weight)
    assert_refused_unheard(model, match, X, Y)


@needs_callbacks
@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
@each_model
def test_bad_parameters_reach_no_callback(model, name, value):
    if name in model.get_params():
        model = clone(model).set_params(**{name: value})
        assert_refused_unheard(model, f"The '{name}' parameter", X, Y)


@needs_callbacks
@pytest.mark.parametrize("params", [{"solver": "newton-cg"}, {"alpha": 1.0}])
@each_model
def test_constraints_that_cannot_be_kept_reach_no_callback(model, params):
    model = clone(model).set_params(monotonic_cst=[1, 0, 0, 0, 0], **params)
    y = Y > 0 if "solver" in params else Y
    assert_refused_unheard(model, "monotonic_cst", X, y)


@needs_callbacks
def test_too_few_rows_to_set_aside_reach_no_callback():
    model = OneHiddenMLP(4, early_stopping=True, random_state=0)
    assert_refused_unheard(model, "early_stopping=True", X[:9], Y[:9])


# Prediction ---------------------------------------------------------------------------

METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
]


@pytest.mark.parametrize("method", METHODS)
@each_model
def test_bad_data_at_prediction(model, method):
    if not hasattr(model, method):
        return
    with pytest.raises(NotFittedError, match=type(model).__name__):
        getattr(clone(model), method)(X)
    fitted = FITTED[type(model)]
    state = joblib.hash(vars(fitted))
    predict = getattr(fitted, method)
    for bad, match in (
        (X[:, :3], "X has 3 features, but .* is expecting 5 features"),
        (np.hstack([X, X]), "X has 10 features, but .* is expecting 5 features"),
        (sparse.csr_array(X[:, :3]), "X has 3 features, but .* is expecting 5"),
        (with_value(X, np.nan), "Input X contains NaN"),
        (with_value(X, np.inf), "Input X contains infinity"),
        (X[:0], r"Found array with 0 sample\(s\)"),
        (X[0], "Expected 2D array, got 1D array"),
        (np.where(X > 0.0, "up", "down"), "could not convert string"),
    ):
        with pytest.raises(ValueError, match=match):
            predict(bad)
    assert joblib.hash(vars(fitted)) == state


@pytest.mark.parametrize("method", METHODS)
@each_model
def test_wrong_column_names_at_prediction(model, method):
    pd = pytest.importorskip("pandas")
    if not hasattr(model, method):
        return
    frame = pd.DataFrame(X, columns=list("abcde"))
    predict = getattr(clone(model).fit(frame, Y), method)
    expected = predict(frame)
    with pytest.raises(ValueError, match="unseen at fit time:\n- z"):
        predict(frame.rename(columns={"b": "z"}))
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- b"):
        predict(frame.drop(columns="b"))
    with pytest.raises(ValueError, match="must be in the same order"):
        predict(frame[list("bacde")])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert_allclose(predict(X), expected)


@each_model
def test_bad_data_for_score(model):
    fitted = FITTED[type(model)]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.score(X, Y[:-1])


# Failures during the work -------------------------------------------------------------


@each_model
@pytest.mark.parametrize("failure", [MemoryError, RuntimeError, SystemExit])
def test_a_fit_that_breaks_off_leaves_the_model_as_it_was(model, failure, monkeypatch):
    frame = pytest.importorskip("pandas").DataFrame(X[:, :3], columns=list("abc"))
    fitted = clone(model).fit(X, Y)
    before = dict(vars(fitted))
    state = joblib.hash(before)

    def broken(*args, **kwargs):
        raise failure("on purpose")

    monkeypatch.setattr(type(model), "_train", broken)
    with pytest.raises(failure, match="on purpose"):
        fitted.fit(frame, Y > 0)
    assert vars(fitted).keys() == before.keys()
    assert joblib.hash(vars(fitted)) == state


# Odd columns --------------------------------------------------------------------------


def assert_sound(model, X, y):
    """Everything finite, probabilities sum to one, J not above its start."""
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.grad_norm_)
    assert model.loss_ <= model.loss_curve_[0]
    assert model.loss_ == model.loss_curve_[-1]
    arrays = (
        [model.coef_, model.intercept_]
        if isinstance(model, LogisticNN)
        else [*model.coefs_, *model.intercepts_]
    )
    for array in arrays:
        assert np.isfinite(array).all()
    p, log_p = model.predict_proba(X), model.predict_log_proba(X)
    for output in (p, log_p, model.decision_function(X)):
        assert np.isfinite(output).all()
    if np.ndim(y) == 1:
        assert_allclose(p.sum(axis=1), 1.0, rtol=1e-5)
    assert np.all((p >= 0.0) & (p <= 1.0))
    assert np.all(log_p <= 0.0)


def odd_columns():
    n = len(X)
    sign = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    one = np.zeros(n)
    one[3] = 1.0
    for size in (1e-200, 1e-150, 1e-20, 1e20, 1e150, 1e200):
        yield f"one column of {size}", np.column_stack([X, size * X[:, 0]])
        yield f"all columns of {size}", size * X
        yield f"a constant of {size}", np.column_stack([X, np.full(n, size)])
        yield f"a constant of {-size}", np.column_stack([X, np.full(n, -size)])
        yield f"one entry of {size}", np.column_stack([X, size * one])
        yield f"signs of {size}", np.column_stack([X, size * sign])
    yield "zeros", np.column_stack([X, np.zeros(n)])
    yield "only zeros", np.zeros((n, 3))
    yield "only constants", np.full((n, 2), 0.1)
    yield "a duplicate", np.column_stack([X, X[:, 0]])
    yield "all duplicates", np.hstack([X, X, X])
    yield "nearly a duplicate", np.column_stack([X, X[:, 0] + 1e-9 * X[:, 1]])
    yield "far from zero", X + 1e8
    yield "very far from zero", X + 1e15
    yield "the smallest numbers", np.column_stack([X, 5e-324 * (sign > 0)])
    # scikit-learn adds X up to see whether it is finite: the sum may not overflow.
    yield "the largest numbers", np.column_stack([X, 1e305 * sign])
    yield "more columns than rows", np.tile(X[:7], 4)[:, :20].repeat(9, 0)[:n]


ODD = dict(odd_columns())


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_model
def test_odd_columns_make_a_sound_model_in_silence(model, n_classes, standardize, case):
    y = np.minimum(Y, n_classes - 1)
    model = clone(model).set_params(standardize=standardize)
    assert_sound(model.fit(ODD[case], y), ODD[case], y)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("solver", SOLVERS)
def test_odd_columns_with_every_solver(solver, case):
    model = LogisticNN(solver=solver).fit(ODD[case], Y)
    assert_sound(model, ODD[case], Y)
    assert_allclose(model.loss_, LogisticNN().fit(ODD[case], Y).loss_, rtol=1e-6)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("alpha", [1e-8, 1.0])
@pytest.mark.parametrize("standardize", [True, False])
def test_odd_columns_without_intercept(standardize, alpha, case):
    model = LogisticNN(alpha, standardize=standardize, fit_intercept=False)
    assert_sound(model.fit(ODD[case], Y), ODD[case], Y)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_odd_columns_with_every_activation(activation, case):
    # Small networks may need more iterations than this; that is not the question.
    model = OneHiddenMLP(3, activation, skip_connections=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=40).fit(ODD[case], Y)
    assert_sound(model, ODD[case], Y)


# A sparse column cannot be centred: 1e15 deviations from zero nothing of it is left.
@pytest.mark.parametrize("case", [case for case in ODD if case != "very far from zero"])
@each_model
def test_odd_columns_in_sparse_input(model, case):
    if case == "very far from zero":
        pytest.skip("sparse rows cannot be centred: their products lose all digits")
    S = sparse.csr_array(ODD[case])
    assert_sound(clone(model).fit(S, Y), S, Y)


@each_model
def test_huge_columns_are_scaled_like_any_other(model):
    expected = clone(model).fit(X, Y)
    for exponent in (-600, -500, 500, 600):
        scaled = np.ldexp(X, exponent)
        other = clone(model).fit(scaled, Y)
        assert_allclose(other.loss_, expected.loss_, rtol=1e-6)
        assert_array_equal(other.predict(scaled), expected.predict(X))


@pytest.mark.parametrize("alpha", [0, 1e-300, 1e-12, 1e12, 1e300])
@pytest.mark.parametrize("standardize", [True, False])
@each_model
def test_extreme_penalties(model, standardize, alpha):
    y = Y.copy()
    y[::4] = (y[::4] + 1) % 3
    model = clone(model).set_params(alpha=alpha, standardize=standardize, tol=1e-3)
    assert_sound(model.fit(X, y), X, y)
    if alpha >= 1e12:
        prior = np.bincount(y) / len(y)
        assert_allclose(model.predict_proba(X), np.tile(prior, (60, 1)), atol=1e-2)


# Separable data -----------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", SOLVERS)
def test_separable_data_without_penalty(solver, n_classes, standardize):
    # J has no minimum: weights grow until its gradient is within tol. No warning.
    y = np.arange(30) % n_classes
    separable = np.column_stack([3.0 * y, np.linspace(-1.0, 1.0, 30)])
    separable[:, 0] += 0.1 * separable[:, 1]
    model = LogisticNN(0, solver=solver, standardize=standardize).fit(separable, y)
    assert model.converged_
    assert_sound(model, separable, y)
    assert model.score(separable, y) == 1.0
    assert model.predict_proba(separable).max(axis=1).min() > 0.99


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_separable_data_without_penalty_in_networks(n_classes, activation):
    y = np.arange(30) % n_classes
    separable = np.column_stack([3.0 * y, np.linspace(-1.0, 1.0, 30)])
    model = OneHiddenMLP(5, activation, alpha=0, random_state=0).fit(separable, y)
    assert model.converged_
    assert_sound(model, separable, y)
    assert model.score(separable, y) == 1.0


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_columns_than_rows_without_penalty(solver):
    wide = np.random.default_rng(0).normal(size=(20, 50))
    y = np.arange(20) % 2
    model = LogisticNN(0, solver=solver).fit(wide, y)
    assert model.converged_
    assert_sound(model, wide, y)
    assert model.score(wide, y) == 1.0


# Not converged ------------------------------------------------------------------------


@pytest.mark.parametrize("max_iter", [1, 2])
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@each_model
def test_one_warning_says_what_to_do(model, solver, max_iter):
    if not isinstance(model, LogisticNN) and solver == "newton-cholesky":
        return
    model = clone(model).set_params(solver=solver, max_iter=max_iter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    [warning] = caught
    assert warning.category is ConvergenceWarning
    assert warning.filename == __file__
    message = str(warning.message)
    assert message.startswith(f"{type(model).__name__} ")
    assert f"max_iter={max_iter}" in message
    assert f"{max_iter} iteration" in message
    assert f"{model.grad_norm_:.2g}" in message
    assert f"tol={model.tol:g}" in message
    assert "Raise max_iter" in message
    assert "tol" in message.split("Raise max_iter")[1]
    assert not model.converged_
    assert model.n_iter_ == max_iter


@each_model
def test_interrupt_keeps_the_best_iterate_and_warns(model, on_evaluation):
    calls = []

    def press(objective):
        calls.append(None)
        if len(calls) == 6:
            raise KeyboardInterrupt

    on_evaluation(press)
    model = clone(model).set_params(solver="lbfgs")
    with pytest.warns(ConvergenceWarning, match="interrupted") as caught:
        model.fit(X, Y)
    assert len(caught) == 1
    assert 1 <= model.n_iter_ <= 5
    assert not model.converged_
    assert_sound(model, X, Y)
    assert model.loss_ < model.loss_curve_[0]


# Any input at all ---------------------------------------------------------------------

MAGNITUDES = st.sampled_from(
    [0.0, 1e-300, 1e-160, 1e-150, 1e-40, 1e-9, 1e-3, 1.0, 10.0, 1e6, 1e30, 1e150, 1e200]
)


@st.composite
def data_sets(draw):
    """X, y and weights: any shape and type, odd columns, extreme magnitudes."""
    n, p = draw(st.integers(2, 25)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([np.float64, np.float64, np.float32, np.int64]))
    small = st.integers(-3, 3) if dtype == np.int64 else st.floats(-4, 4, width=32)
    features = draw(hnp.arrays(np.float64, (n, p), elements=small))
    if dtype == np.float64:
        features = features * draw(hnp.arrays(float, p, elements=MAGNITUDES))
        features = features + draw(hnp.arrays(float, p, elements=MAGNITUDES))
    if draw(st.booleans()):
        features[:, 0] = features[0, 0]
    if draw(st.booleans()):
        features = np.column_stack([features, features[:, -1]])
    features = features.astype(dtype)
    n_classes = draw(st.integers(2, min(4, n)))
    codes = draw(hnp.arrays(int, n, elements=st.integers(0, n_classes - 1)))
    codes[:2] = [0, 1]
    labels = draw(st.sampled_from([np.arange(4), np.array(list("abcd")), np.eye(4)]))
    y = labels[codes].astype(int) if labels.ndim == 2 else labels[codes]
    weight = draw(
        st.none()
        | hnp.arrays(float, n, elements=st.sampled_from([0.0, 1e-12, 0.5, 1.0, 1e9]))
    )
    if weight is not None:
        weight[:2] = 1.0
    if draw(st.booleans()):
        features = sparse.csr_array(features)
    return features, y, weight


PENALTIES = st.sampled_from([0, 1e-8, 1.0, 1e4])


def assert_sound_fit(model, features, y, weight):
    with warnings.catch_warnings():
        # Whether the iterations suffice is not the question here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, y, sample_weight=weight)
    assert_sound(model, features, y)


slow = settings(suppress_health_check=[HealthCheck.too_slow])


@slow
@given(
    data_sets(),
    PENALTIES,
    st.sampled_from(["auto", *SOLVERS]),
    st.booleans(),
    st.booleans(),
)
def test_any_input_makes_a_sound_logistic_nn(
    data_set, alpha, solver, standardize, fit_intercept
):
    model = LogisticNN(
        alpha,
        solver=solver,
        standardize=standardize,
        fit_intercept=fit_intercept,
        max_iter=100,
    )
    assert_sound_fit(model, *data_set)


@slow
@given(
    data_sets(),
    PENALTIES,
    st.sampled_from(ACTIVATIONS),
    st.sampled_from(["lbfgs", "lbfgs", "newton-cg", "trust-ncg", "trust-krylov"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 6),
)
@example((X, Y, None), 0, "relu", "newton-cg", True, False, 3)
def test_any_input_makes_a_sound_network(
    data_set, alpha, activation, solver, standardize, skip, n_hidden
):
    model = OneHiddenMLP(
        n_hidden,
        activation,
        alpha=alpha,
        solver=solver,
        standardize=standardize,
        skip_connections=skip,
        max_iter=30,
        random_state=0,
    )
    assert_sound_fit(model, *data_set)
