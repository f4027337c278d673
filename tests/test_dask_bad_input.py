"""What cannot be fitted gets one clear error, and leaves a fitted model untouched."""

import subprocess
import sys
from textwrap import dedent

import dask
import dask.array as da
import dask.bag as db
import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from checks import with_value
from chunked import (
    LINEAR,
    NETWORK,
    X,
    Y,
    chunked,
    dd,
    each_dask_class,
    framed,
    needs_frames,
    series,
)
from sknn_simple import LogisticNN

pytestmark = pytest.mark.timeout(120)
LABELS = np.eye(3, dtype=int)[Y]
ONES = np.ones(len(Y))
LATE = (444, 2)
FITTED = {type(model): clone(model).fit(X, Y) for model in (LINEAR, NETWORK)}


def chunks_of(*arrays):
    """Return a Dask array of unknown shapes, whose chunks are these arrays."""
    shape = (np.nan, *arrays[0].shape[1:])
    return da.concatenate(
        [da.from_delayed(dask.delayed(a), shape, arrays[0].dtype) for a in arrays],
        allow_unknown_chunksizes=True,
    )


# The second chunk has fewer columns than the first one says.
WIDE_AND_NARROW = da.from_delayed(dask.delayed(X[:400]), (400, 5), float)
WIDE_AND_NARROW = da.concatenate(
    [WIDE_AND_NARROW, da.from_delayed(dask.delayed(X[400:, :3]), (50, 5), float)]
)


def of_matches(value):
    """Return the matches as names of tests: those of lazy values are no constants."""
    return value if isinstance(value, str) else ""


def with_column(values):
    frame = pd.DataFrame(X, columns=list("abcde")).assign(other=values)
    return dd.from_pandas(frame, chunksize=100)


def assert_refused(model, match, *args, error=ValueError, **kwargs):
    """Require the error of an unfitted and of a fitted model, which do not change."""
    unfitted, fitted = clone(model), clone(model)
    learned = vars(FITTED[type(model)]).items()
    vars(fitted).update({k: v for k, v in learned if k not in model.get_params()})
    for each in (unfitted, fitted):
        state = joblib.hash(vars(each))
        with pytest.raises(error, match=match) as raised:
            each.fit(*args, **kwargs)
        assert type(raised.value) is error
        assert joblib.hash(vars(each)) == state
    with pytest.raises(NotFittedError):
        unfitted.predict(chunked(X))


# Kinds and shapes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (chunked(X).rechunk({1: 2}), ValueError, r"X is cut by columns.*\.rechunk"),
        (db.from_sequence([[1.0]] * 9), TypeError, "X must be a Dask array.*got Bag"),
        (dask.delayed(X), TypeError, "X must be a Dask array.*got Delayed"),
        (chunked(Y), ValueError, "X must have 2 dimensions.*got 1"),
        (chunked(np.ones((450, 2, 2))), ValueError, "X must have 2 dimensions.*got 3"),
        (chunked(np.ones((450, 0))), ValueError, "X has no columns"),
        (
            da.from_delayed(dask.delayed(X), (np.nan, np.nan), float),
            ValueError,
            r"columns of X is unknown: call X\.compute_chunk_sizes\(\)",
        ),
        (chunked(X[:0]), ValueError, "y has 450 rows, but X has 0"),
        (WIDE_AND_NARROW, ValueError, "X, chunk 1: it has 3 columns, not 5"),
        (chunked(X[:, :1].astype(complex)), ValueError, "X, chunk .: Complex data"),
    ],
    ids=of_matches,
)
@each_dask_class
def test_x_is_no_table_in_chunks_of_rows(model, data, error, match):
    assert_refused(model, match, data, chunked(Y), error=error)


@needs_frames
@each_dask_class
def test_frames_without_numbers(model):
    y = chunked(Y)
    assert_refused(model, "X must have columns; got a series", series(Y), y)
    match = "X has columns that do not hold numbers.*'other': 'str"
    assert_refused(model, match, with_column("word"), y)
    match = "X has columns that do not hold numbers.*'other': 'datetime"
    assert_refused(model, match, with_column(pd.Timestamp(0)), y)
    match = "X, chunk 4: could not convert string to float: 'word'"
    words = np.where(np.arange(len(Y)) < 449, "1.0", "word")
    assert_refused(model, match, with_column(pd.Categorical(words)), y)


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        (None, ValueError, "y is missing: X needs labels"),
        (chunked(Y[:-1]), ValueError, "y has 449 rows, but X has 450"),
        (Y[:-1], ValueError, "y has 449 rows, but X has 450"),
        (3.0, TypeError, "y must be an array.*type float"),
        ("words", TypeError, "y must be an array.*type str"),
        ({1: 2}, TypeError, "y must be an array.*type dict"),
        (dask.delayed(Y), TypeError, "y must be a Dask array.*got Delayed"),
        (db.from_sequence(Y), TypeError, "y must be a Dask array.*got Bag"),
        (["a", "b", float("nan")] * 150, ValueError, "y contains NaN"),
        (
            chunked(with_value(Y, np.nan, LATE)),
            ValueError,
            "y, chunk 4: .*contains NaN",
        ),
        (chunked(np.ones(450)), ValueError, "at least 2 classes; got one class only"),
        (chunked(with_value(Y, 0.5, LATE)), ValueError, "y, chunk 4: Unknown label"),
        (chunked(with_value(LABELS, 2, LATE)), ValueError, "y, chunk 4: y must hold"),
        (
            chunks_of(LABELS[:400], LABELS[400:, :2]),
            ValueError,
            "an indicator .*3 labels in some of its chunks and an .*2 labels in others",
        ),
        (
            chunks_of(LABELS[:400], Y[400:]),
            ValueError,
            "y holds numbers in some of its chunks and an indicator matrix of 3 labels",
        ),
        (
            chunks_of(Y[:400], Y[400:].astype(str)),
            ValueError,
            "y holds text in some of its chunks and numbers in others",
        ),
    ],
    ids=of_matches,
)
def test_y_is_no_target(y, error, match):
    unknown = isinstance(y, da.Array) and np.isnan(y.shape[0])
    data = chunks_of(X[:400], X[400:]) if unknown else chunked(X)
    assert_refused(LINEAR, match, data, y, error=error)


@pytest.mark.parametrize(
    ("weight", "error", "match"),
    [
        (chunked(ONES[:-1]), ValueError, "sample_weight has 449 rows, but X has 450"),
        (ONES[:-1], ValueError, "sample_weight has 449 rows, but X has 450"),
        (
            chunked(with_value(ONES, -1.0, LATE)),
            ValueError,
            "sample_weight, chunk 4: .*not be negative; its smallest value is -1",
        ),
        (
            chunked(with_value(ONES, np.nan, LATE)),
            ValueError,
            "sample_weight, chunk 4: .*contains NaN",
        ),
        (chunked(0.0 * ONES), ValueError, "sample_weight must not be zero for every"),
        (0.0, ValueError, "sample_weight must not be zero for every"),
        (chunked(ONES[:, None]), ValueError, "sample_weight, chunk .: .*1D array"),
        ("none", TypeError, "sample_weight must be an array.*type str"),
    ],
    ids=of_matches,
)
@each_dask_class
def test_weights_are_none(model, weight, error, match):
    assert_refused(model, match, chunked(X), chunked(Y), weight, error=error)


def test_a_missing_label_among_objects():
    late = Y.astype(object)
    late[444] = None
    assert_refused(
        LINEAR, "y, chunk 4: Input y contains None", chunked(X), chunked(late)
    )


@needs_frames
@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (list("edcba"), r"X, chunk 1: its columns are \['e',.*'e'\], in this order"),
        (list("abcdf"), r"X, chunk 1: its columns are .*'f'\], but .*'e'\]\. Give all"),
    ],
)
@each_dask_class
def test_partitions_have_other_columns(model, columns, match):
    def part(names):
        return pd.DataFrame(X[:225], columns=list("abcde"))[names]

    def named(names):
        return part(list("abcde")).set_axis(names, axis=1)

    other = part(columns) if "f" not in columns else named(columns)
    parts = [dask.delayed(each) for each in (part(list("abcde")), other)]
    frame = dd.from_delayed(parts, part(list("abcde"))[:0], verify_meta=False)
    y = dd.from_delayed([dask.delayed(pd.Series(Y[:225]))] * 2)
    assert_refused(model, match, frame, y)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
@each_dask_class
def test_a_value_of_a_late_chunk(model, value):
    data = chunked(with_value(X, value, LATE))
    assert_refused(model, "X, chunk 4: .*(NaN|infinity|1e.200)", data, chunked(Y))


def test_masked_values():
    masked = chunked(X).map_blocks(lambda x: np.ma.masked_equal(x, X[LATE]))
    match = "X, chunk 4: X is a masked array with 1 masked values"
    assert_refused(LINEAR, match, masked, chunked(Y))


def test_a_text_in_a_late_chunk():
    table = X.astype(object)
    table[LATE] = "word"
    match = "X, chunk 4: could not convert string to float: 'word'"
    assert_refused(LINEAR, match, chunked(table), chunked(Y))


@pytest.mark.parametrize("empty", ["X", "y"])
def test_chunks_of_unknown_length_differ(empty):
    pieces = {"X": [X[:400], X[400:]], "y": [Y[:400], Y[400:]]}
    pieces[empty][1] = pieces[empty][1][:0]
    match = r"y, chunk 1: it has \d+ rows, but X has \d+"
    assert_refused(LINEAR, match, chunks_of(*pieces["X"]), chunks_of(*pieces["y"]))


def test_numbers_of_chunks_differ_and_lengths_are_unknown():
    match = "y has 15 chunks, but X has 2.*compute_chunk_sizes"
    assert_refused(LINEAR, match, chunks_of(X[:400], X[400:]), chunked(Y, 30))
    match = "y is in memory, but the number of rows.* is unknown"
    data = chunks_of(X[:400], X[400:])
    assert_refused(LINEAR, match, data, Y, error=TypeError)


def test_a_hessian_that_is_too_large():
    # In the space of 60 rows it would be small, but chunks are not moved there.
    wide = da.ones((60, 20_000), chunks=(30, -1))
    model = clone(LINEAR).set_params(solver="newton-cholesky")
    match = "newton-cholesky.*20001"
    assert_refused(model, match, wide, np.arange(60) % 2)


@each_dask_class
def test_all_chunks_are_empty(model):
    nothing = chunks_of(X[:0], X[:0]), chunks_of(Y[:0], Y[:0])
    assert_refused(model, "X has no rows: all of its chunks are empty", *nothing)


# Validation rows ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"y_val": None}, "y_val is missing"),
        ({"X_val": chunked(X[:200, :3])}, "X has 3 features, but .* 5 features"),
        ({"y_val": chunked(Y[:199])}, "y_val has 199 rows, but X_val has 200"),
        ({"y_val": chunked(Y[:200] + 1)}, r"y_val holds \[3\], which y does not have"),
        (
            {"y_val": chunked(LABELS[:200])},
            "y_val holds an indicator .*3 labels, but y holds numbers",
        ),
        (
            {"y_val": chunked(np.array(["a", "b", "c"])[Y[:200]])},
            "y_val holds text, but y holds numbers",
        ),
        (
            {"X_val": chunked(with_value(X[:200], np.nan, (150, 0)))},
            "X_val, chunk 1: .*contains NaN",
        ),
        (
            {"sample_weight_val": chunked(with_value(ONES[:200], -1.0, (150,)))},
            "sample_weight_val, chunk 1: .*negative",
        ),
        (
            {"sample_weight_val": chunked(0.0 * ONES[:200])},
            "sample_weight_val must not",
        ),
    ],
    ids=of_matches,
)
def test_validation_rows(changed, match):
    rows = {"X_val": chunked(X[:200]), "y_val": chunked(Y[:200]), **changed}
    model = clone(LINEAR).set_params(alpha="auto")
    assert_refused(model, match, chunked(X), chunked(Y), **rows)


def test_validation_rows_of_other_labels():
    model = clone(LINEAR).set_params(alpha="auto")
    rows = {"X_val": chunked(X[:200]), "y_val": chunked(LABELS[:200, :2])}
    match = "y_val holds an indicator .* 2 labels, but y holds an indicator .* 3 labels"
    assert_refused(model, match, chunked(X), chunked(LABELS), **rows)


def test_validation_rows_without_use():
    rows = {"X_val": chunked(X[:200]), "y_val": chunked(Y[:200])}
    match = "X_val is given, but .* does not use it"
    assert_refused(LINEAR, match, chunked(X), chunked(Y), **rows)


# Parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"client": "tcp://127.0.0.1"}, {"client": 3}, {"persist": "yes"}, {"persist": 1}],
    ids=str,
)
@each_dask_class
def test_parameters_for_the_cluster(model, settings):
    [(name, value)] = settings.items()
    model = clone(model).set_params(**settings)
    with pytest.raises(ValueError, match=f"'{name}' parameter.*{value!r}"):
        model.fit(chunked(X), chunked(Y))


@pytest.mark.parametrize(
    "settings",
    [{"alpha": -1.0}, {"class_weight": {7: 1.0}}, {"monotonic_cst": [1]}],
    ids=str,
)
@each_dask_class
def test_other_parameters(model, settings):
    [name] = settings
    model = clone(model).set_params(**settings)
    y = chunked(Y == 0)
    assert_refused(model, name, chunked(X), y, error=_error_of(name))


VAL = {"X_val": X[:200], "y_val": Y[:200]}


@pytest.mark.parametrize(
    ("settings", "val", "match"),
    [
        ({"monotonic_cst": [1]}, {}, r"monotonic_cst has shape \(1,\)"),
        ({"monotonic_cst": {"a": 1}}, {}, "monotonic_cst"),
        ({"monotonic_cst": [1, 0, 0, 0, 0]}, {}, "monotonic_cst needs .* two classes"),
        (
            {"monotonic_cst": [1, 0, 0, 0, 0], "solver": "newton-cg"},
            {},
            "solver='newton-cg' cannot keep",
        ),
        ({}, VAL, "X_val is given, but .* does not use it"),
        ({"alpha": "auto"}, {"y_val": Y[:200]}, "y_val is given without X_val"),
        ({"alpha": "auto"}, {**VAL, "X_val": X[:200, :2]}, "X_val has 2 features"),
        ({"alpha": "auto"}, {**VAL, "y_val": Y[:199]}, "y_val.*inconsistent numbers"),
    ],
    ids=of_matches,
)
@each_dask_class
def test_no_row_is_read_before_arguments_are_checked(model, settings, val, match):
    def unreadable(chunk):
        raise AssertionError("a chunk was read")

    lazy = chunked(X).map_blocks(unreadable, dtype=float, meta=X[:0])
    model = clone(model).set_params(**settings)
    assert_refused(model, match, lazy, chunked(Y), **val)


def test_no_row_is_read_before_the_activation_is_checked():
    lazy = chunked(X).map_blocks(lambda chunk: 1 / 0, dtype=float, meta=X[:0])
    model = clone(NETWORK).set_params(activation="gelu", monotonic_cst=[1, 0, 0, 0, 0])
    assert_refused(model, "activation that never decreases", lazy, chunked(Y == 0))


def _error_of(name):
    from sklearn.utils._param_validation import InvalidParameterError

    return InvalidParameterError if name == "alpha" else ValueError


class Asynchronous:
    """Stands for ``Client(asynchronous=True)``, which returns coroutines."""

    asynchronous = True

    async def compute(self, *args):
        pass

    gather = persist = compute


def test_an_asynchronous_client():
    model = clone(LINEAR).set_params(client=Asynchronous())
    assert_refused(model, "client must not be asynchronous", chunked(X), chunked(Y))


# Prediction ---------------------------------------------------------------------------


@needs_frames
@each_dask_class
def test_prediction(model):
    unnamed = FITTED[type(model)]
    model = clone(model).fit(framed(X), series(Y))
    for method in ("predict", "predict_proba", "decision_function"):
        predict, predict_unnamed = getattr(model, method), getattr(unnamed, method)
        with pytest.raises(ValueError, match="feature names should match"):
            predict(framed(X, columns=list("abcde")))
        with pytest.raises(ValueError, match=r"X is cut by columns"):
            predict(chunked(X).rechunk({1: 2}))
        with pytest.raises(TypeError, match=r"X must be a Dask array.*got Bag"):
            predict(db.from_sequence([[1.0]]))
        with pytest.raises(ValueError, match=r"X has 3 features, but .* 5 features"):
            predict_unnamed(chunked(X[:, :3]))
    with pytest.raises(TypeError, match=r"y must be an array.*got None"):
        model.score(framed(X), None)
    with pytest.raises(ValueError, match="y has 449 rows, but X has 450"):
        unnamed.score(chunked(X), Y[:-1])
    gap = np.where(np.arange(len(Y)) == 203, None, Y)
    with pytest.raises(ValueError, match=r"y, chunk 2: Input y contains None.* 3 is"):
        unnamed.score(chunked(X), chunked(gap))


@pytest.mark.parametrize(
    "lazy", [dask.delayed(X), db.from_sequence([[1.0]])], ids=["delayed", "bag"]
)
def test_the_plain_estimators_name_those_for_dask(lazy):
    with pytest.raises(TypeError, match=r"X must be.*sknn_simple\.dask fits Dask"):
        LogisticNN().fit(lazy, Y)
    with pytest.raises(TypeError, match=r"y must be.*sknn_simple\.dask fits Dask"):
        LogisticNN().fit(X, lazy)


def test_labels_that_are_cut_by_columns_or_sparse():
    model = clone(LINEAR).fit(chunked(X), chunked(LABELS).rechunk({1: 1}))
    assert model.predict(X).shape == LABELS.shape
    model = clone(LINEAR).fit(chunked(X), sparse.csr_array(LABELS))
    assert model.predict(X).shape == LABELS.shape


# Without the extra --------------------------------------------------------------------


def test_without_the_extra():
    code = """
        import importlib.util
        import sys

        find_spec = importlib.util.find_spec
        for missing in ("dask", "distributed"):
            importlib.util.find_spec = lambda name: (
                None if name == missing else find_spec(name)
            )
            try:
                import sknn_simple.dask
            except ImportError as error:
                assert 'pip install "sknn_simple[dask]"' in str(error), error
            else:
                raise AssertionError(missing)
        assert not {"dask", "distributed"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", dedent(code)], check=True)
