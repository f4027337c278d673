"""fit refuses features and targets that it cannot use, with one clear error."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from checks import FITTED, LABELS, X, Y, assert_refused, with_value
from models import each_class
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._input.validation import validate_training_set

# Features and classes -----------------------------------------------------------------

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
        "y of dtype object cannot be used as labels: .* it holds int64, str",
    ),
    "arrays in y": (X, np.frompyfunc(np.ones, 1, 1)(Y + 1), "it holds ndarray"),
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


@pytest.mark.parametrize("case", BAD_DATA)
@each_class
def test_features_and_classes_that_cannot_be_used_are_refused(model, case):
    bad_X, bad_y, match = BAD_DATA[case]
    assert_refused(model, match, bad_X, bad_y)


@each_class
def test_a_frame_with_a_column_of_text_is_refused(model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde")).assign(c="high")
    assert_refused(model, "could not convert string to float: 'high'", frame, Y)
    missing = pd.DataFrame(X, columns=list("abcde")).assign(c=np.nan)
    assert_refused(model, "Input X contains NaN", missing, Y)


SPARSE_DATA = {
    f"{name}, {container.__name__}": (container(bad_X), bad_y, match)
    for name, (bad_X, bad_y, match) in BAD_DATA.items()
    if not sparse.issparse(bad_X) and bad_X.ndim == 2 and bad_X.dtype.kind != "U"
    for container in (sparse.csr_array, sparse.csc_matrix)
}


@pytest.mark.parametrize("case", SPARSE_DATA)
@each_class
def test_sparse_features_are_checked_like_dense_ones(model, case):
    bad_X, bad_y, match = SPARSE_DATA[case]
    assert_refused(model, match, bad_X, bad_y)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@each_class
def test_what_assume_finite_lets_pass_is_refused(model, container, standardize):
    model = clone(model).set_params(alpha="auto", standardize=standardize)
    for value, found in ((np.nan, "contains NaN, in column 1"), (np.inf, "value inf")):
        bad = container(with_value(X, value))
        weight = with_value(np.ones(60), value)
        with config_context(assume_finite=True):
            with pytest.raises(ValueError, match=f"X .*{found}"):
                model.fit(bad, Y)
            with pytest.raises(ValueError, match=f"X_val .*{found}"):
                model.fit(container(X), Y, X_val=bad, y_val=Y)
            with pytest.raises(ValueError, match="sample_weight contains NaN or inf"):
                model.fit(container(X), Y, weight)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e101])
def test_rows_that_are_set_aside_are_checked_as_the_others(value):
    model = OneHiddenMLP(3, early_stopping=True, random_state=0)
    for row in range(60):
        bad = with_value(X, value, (row, 1))
        with (
            config_context(assume_finite=True),
            pytest.raises(ValueError, match=r"\b[Cc]olumn 1\b"),
        ):
            model.fit(bad, Y)


# Labels -------------------------------------------------------------------------------

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


@pytest.mark.parametrize("case", BAD_LABELS)
@each_class
def test_labels_that_cannot_be_used_are_refused(model, case):
    bad_y, match = BAD_LABELS[case]
    assert_refused(model, match, X, bad_y)
    if isinstance(bad_y, np.ndarray) and bad_y.ndim == 2 and bad_y.dtype.kind in "if":
        assert_refused(model, match, X, sparse.csr_array(bad_y))
        assert_refused(model, match, sparse.csr_array(X), sparse.csc_matrix(bad_y))


@pytest.mark.parametrize("y", [LABELS, sparse.csr_array(LABELS)], ids=["dense", "csr"])
@pytest.mark.parametrize("case", [case for case in BAD_DATA if BAD_DATA[case][1] is Y])
@each_class
def test_features_are_checked_with_labels_of_every_kind(model, case, y):
    bad_X, _, match = BAD_DATA[case]
    assert_refused(model, match, bad_X, y)


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


@pytest.mark.parametrize("missing", [None, np.nan, np.float64(np.nan), "pandas.NA"])
@pytest.mark.parametrize("names", NAMES.values(), ids=list(NAMES))
@each_class
def test_a_missing_label_is_refused_with_its_row(model, names, missing):
    if missing == "pandas.NA":
        missing = pytest.importorskip("pandas").NA
    labels = named(names, missing)
    column = np.array(labels, dtype=object)
    for y in (labels, column, column[:, None]):
        assert_refused(model, WITHOUT, X, y)
        with pytest.raises(ValueError, match=WITHOUT):
            FITTED[type(model)].score(X, y)


@pytest.mark.parametrize(
    "missing", [np.float32(np.nan), np.datetime64("NaT"), np.timedelta64("NaT"), "NaT"]
)
@each_class
def test_a_missing_label_among_objects_is_refused(model, missing):
    if missing == "NaT":
        missing = pytest.importorskip("pandas").NaT
    labels = np.array(named(NAMES["words"], missing), dtype=object)
    assert_refused(model, WITHOUT, X, labels)


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
@each_class
def test_a_missing_label_in_pandas_is_refused(model, dtype, kind):
    pd = pytest.importorskip("pandas")
    series = pd.Series(named(NAMES[kind]), dtype=dtype)
    for y in (series, series.to_frame(), series.to_numpy()):
        assert_refused(model, WITHOUT, X, y)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "object"])
@each_class
def test_a_missing_label_in_a_frame_of_labels_is_refused(model, dtype):
    frame = pytest.importorskip("pandas").DataFrame(LABELS).astype(dtype)
    frame.iloc[3, 1] = None
    assert_refused(model, WITHOUT, X, frame)


@pytest.mark.parametrize("kind", NAMES)
@each_class
def test_a_missing_label_in_polars_is_refused(model, kind):
    series = pytest.importorskip("polars").Series("y", named(NAMES[kind]))
    for y in (series, series.to_frame()):
        assert_refused(model, WITHOUT, X, y)


def test_a_missing_label_is_found_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match=WITHOUT):
        LogisticNN().fit(X, named(NAMES["words"]))


# Classes as codes ---------------------------------------------------------------------

INTEGERS = [np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint64]


@pytest.mark.parametrize("dtype", INTEGERS)
@settings(max_examples=40)
@given(data=st.data())
def test_integer_labels_are_encoded_as_by_sorting(dtype, data):
    y = data.draw(hnp.arrays(dtype, st.integers(2, 40)))
    assert_encoded_as_by_sorting(y)


@pytest.mark.parametrize("dtype", INTEGERS[1:])
@pytest.mark.parametrize("end", ["min", "max"])
@settings(max_examples=25)
@given(data=st.data())
def test_integer_labels_at_the_ends_of_their_range_are_encoded_as_by_sorting(
    dtype, end, data
):
    offsets = data.draw(st.lists(st.integers(0, 5), min_size=2))
    limit = getattr(np.iinfo(dtype), end)
    steps = np.array(offsets, dtype)
    assert_encoded_as_by_sorting(limit + steps if end == "min" else limit - steps)


def assert_encoded_as_by_sorting(y):
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        encoded = validate_training_set(LogisticNN(), np.eye(len(y)), y, None, None)
    assert encoded.classes.dtype == y.dtype
    np.testing.assert_array_equal(encoded.classes, classes)
    expected = codes[:, None] if len(classes) == 2 else codes
    np.testing.assert_array_equal(encoded.y, expected)


@pytest.mark.parametrize("n_classes", [19, 20, 21, 39, 40])
@pytest.mark.parametrize("dtype", [int, float, str])
def test_many_classes_are_warned_of_as_by_scikit_learn(dtype, n_classes):
    # Versions differ: 1.6.0 never warns, 1.9 also if no class has two rows.
    y = (np.arange(40) % n_classes).astype(dtype)
    messages = []
    for classifier in (LogisticNN(alpha=1.0), LogisticRegression()):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            classifier.fit(np.eye(40), y)
        messages.append([str(w.message) for w in caught if w.category is UserWarning])
    assert messages[0] == messages[1]


def test_labels_are_only_read():
    y = np.arange(150) % 3
    y.flags.writeable = False
    X = np.random.default_rng(0).standard_normal((150, 2))
    model = OneHiddenMLP(3, max_iter=5, tol=1.0, random_state=0, n_init=2)
    assert model.fit(X, y).converged_
    assert LogisticNN().fit(X, y).converged_
