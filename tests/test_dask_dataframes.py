"""Dask dataframes, chunks of unknown sizes, and labels of every kind."""

import warnings
from enum import Enum

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

from chunked import (
    COUNTED,
    LINEAR,
    NETWORK,
    X,
    Y,
    assert_same_optimum,
    chunked,
    counting,
    csr_chunks,
    dd,
    each_dask_class,
    framed,
    needs_frames,
    plain,
    series,
)
from models import fit, outputs

pytestmark = [pytest.mark.timeout(120), needs_frames]
COLUMNS = [f"x{i}" for i in range(X.shape[1])]
INDEX = pd.Index([f"row {i}" for i in range(len(Y))], name="key")
WORDS = np.array(["low", "middle", "high"])[Y]


@pytest.fixture(scope="module")
def expected():
    return fit(plain(LINEAR), X, Y)


# Fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [None, INDEX], ids=["known", "unknown"])
def test_divisions(index, expected):
    data, y = framed(X, index=index), series(Y, index=index)
    assert data.known_divisions == (index is None)
    model = fit(LINEAR, data, y)
    assert_same_optimum(model, expected)
    assert model.feature_names_in_.tolist() == COLUMNS


def test_divisions_that_differ(expected):
    assert_same_optimum(fit(LINEAR, framed(X, 100), series(Y, 90)), expected)
    pieces = dd.from_pandas(pd.Series(Y), npartitions=5)
    data = framed(X, 100)
    assert pieces.npartitions == data.npartitions
    assert pieces.divisions != data.divisions
    assert_same_optimum(fit(LINEAR, data, pieces), expected)


def test_an_index_of_other_rows_is_refused():
    match = "y has an index from 0 to .*, but that of X is from 0 to"
    with pytest.raises(ValueError, match=match):
        LINEAR.fit(framed(X, 100), series(Y, 100).partitions[:1])


def test_a_column_of_the_frame_is_y(expected):
    frame = framed(np.column_stack([X, Y]), columns=[*COLUMNS, "y"])
    weight = np.linspace(1.0, 2.0, len(Y))
    frame = frame.assign(weight=series(weight))
    model = fit(LINEAR, frame[COLUMNS], frame.y.astype(int))
    assert_same_optimum(model, expected)
    model = fit(LINEAR, frame[COLUMNS], frame.y.astype(int), frame.weight)
    assert_same_optimum(model, fit(plain(LINEAR), X, Y, weight))


# Dask 2026.8's own.
@pytest.mark.filterwarnings(
    "ignore:The inplace keyword in DataFrame:DeprecationWarning"
)
@pytest.mark.parametrize("write", ["to_parquet", "to_csv"])
def test_a_file_is_read_in_chunks(write, tmp_path, expected):
    frame = framed(X).assign(y=series(Y))
    if write == "to_csv":
        frame.to_csv(str(tmp_path / "*.csv"), index=False)
        frame = dd.read_csv(str(tmp_path / "*.csv"))
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path)
        frame = dd.read_parquet(tmp_path)
    assert_same_optimum(fit(LINEAR, frame[COLUMNS], frame.y), expected)
    some = frame[frame.x0 > 0.0]
    rows = X[:, 0] > 0.0
    model = fit(LINEAR, some[COLUMNS], some.y)
    assert_same_optimum(model, fit(plain(LINEAR), X[rows], Y[rows]))


def test_arrays_and_frames_together(expected):
    assert_same_optimum(fit(LINEAR, framed(X), chunked(Y)), expected)
    assert_same_optimum(fit(LINEAR, chunked(X), series(Y)), expected)
    assert_same_optimum(fit(LINEAR, framed(X).values, series(Y).values), expected)


def test_y_in_memory_or_in_other_chunks(expected):
    weight = np.linspace(1.0, 2.0, len(Y))
    assert_same_optimum(fit(LINEAR, chunked(X), Y), expected)
    assert_same_optimum(fit(LINEAR, chunked(X), Y.tolist()), expected)
    assert_same_optimum(fit(LINEAR, chunked(X), pd.Series(Y)), expected)
    assert_same_optimum(fit(LINEAR, chunked(X), chunked(Y, 77)), expected)
    assert_same_optimum(fit(LINEAR, chunked(X), Y, 1.0), expected)
    model = fit(LINEAR, chunked(X), chunked(Y, 77), weight)
    assert_same_optimum(model, fit(plain(LINEAR), X, Y, weight))


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_empty_chunks(kind):
    # Comparisons leave chunks without rows, and of unknown size.
    order = np.argsort(X[:, 0], kind="stable")
    data, y = X[order], Y[order]
    rows = data[:, 0] > 0.0
    if kind == "array":
        lazy, lazy_y = chunked(data, 50), chunked(y, 50)
        kept = lazy[:, 0] > 0.0
        lazy, lazy_y = lazy[kept], lazy_y[kept]
    else:
        frame = framed(data, 50).assign(y=series(y, 50))
        frame = frame[frame.x0 > 0.0]
        lazy, lazy_y = frame[COLUMNS], frame.y
    model = fit(LINEAR, lazy, lazy_y)
    expected = fit(plain(LINEAR), data[rows], y[rows])
    assert_same_optimum(model, expected)
    assert_array_equal(model.predict(lazy).compute(), expected.predict(data[rows]))
    assert_allclose(model.score(lazy, lazy_y), expected.score(data[rows], y[rows]))


@pytest.mark.parametrize("labels", [WORDS, Y - 1.0], ids=["text", "numbers"])
def test_empty_chunks_and_class_weights(labels):
    frame = framed(X).assign(day=series(np.arange(len(Y)) // 100), y=series(labels))
    frame = frame[frame.day != 1]
    rows = np.arange(len(Y)) // 100 != 1
    model = clone(LINEAR).set_params(class_weight="balanced")
    found = fit(model, frame[COLUMNS], frame.y)
    assert_same_optimum(found, fit(plain(model), X[rows], labels[rows]))


@each_dask_class
def test_classes_of_some_chunks_only(model):
    order = np.argsort(Y, kind="stable")
    model = fit(model, chunked(X[order]), chunked(Y[order]))
    assert model.classes_.tolist() == [0, 1, 2]
    late = np.where(np.arange(len(Y)) > 440, 7, Y)
    model = fit(model, chunked(X), chunked(late))
    assert model.classes_.tolist() == [0, 1, 2, 7]


@pytest.mark.parametrize(
    "labels",
    [
        WORDS,
        WORDS.astype(object),
        Y.astype(np.int8),
        Y == 1,
        Y - 1.0,
    ],
    ids=lambda labels: f"{labels.dtype} {len(np.unique(labels))}",
)
def test_labels_of_every_kind(labels):
    expected = fit(plain(LINEAR), X, labels)
    for data, y in (
        (chunked(X), chunked(labels)),
        (chunked(X), labels),
        (framed(X), series(labels)),
    ):
        model = fit(LINEAR, data, y)
        assert_same_optimum(model, expected)
        assert_array_equal(model.predict(data).compute(), expected.predict(X))
        assert model.score(data, y) == expected.score(X, labels)


def test_integers_and_booleans_become_float64(expected):
    table = np.round(3.0 * X).astype(int)
    assert_same_optimum(
        fit(LINEAR, chunked(table), chunked(Y)), fit(plain(LINEAR), table, Y)
    )
    frame = framed(table).assign(x1=framed(table).x1 > 0, x2=framed(X).x2)
    table = np.column_stack([table[:, 0], table[:, 1] > 0, X[:, 2], table[:, 3:]])
    model = fit(LINEAR, frame, series(Y))
    assert_same_optimum(model, fit(plain(LINEAR), table.astype(float), Y))


@pytest.mark.parametrize(
    "types",
    [
        {"x0": "float32"},
        {"x0": "int16", "x1": "float32"},
        {"x0": "int32", "x1": "float32"},
        {"x0": "bool", "x1": "float32"},
        {"x0": "Float32"},
        {"x0": "category"},
        dict.fromkeys(COLUMNS, "float32"),
        {**dict.fromkeys(COLUMNS, "float32"), "x2": "int8"},
    ],
    ids=str,
)
def test_precision_of_mixed_columns(types):
    table = pd.DataFrame(np.round(X, 1), columns=COLUMNS).astype(types)
    frame = dd.from_pandas(table, chunksize=100)
    model, expected = fit(LINEAR, frame, series(Y)), fit(plain(LINEAR), table, Y)
    assert model.coef_.dtype == expected.coef_.dtype
    assert_allclose(model.coef_, expected.coef_, rtol=1e-2, atol=1e-2)
    result = model.predict_proba(frame).compute()
    assert_array_equal(result, model.predict_proba(table))
    assert result.dtypes.tolist() == [model.predict_proba(table).dtype] * 3


# Predictions --------------------------------------------------------------------------


@each_dask_class
@pytest.mark.parametrize("index", [None, INDEX], ids=["known", "unknown"])
def test_predictions_keep_the_index(model, index):
    data = framed(X, index=index)
    model = fit(model, data, series(WORDS, index=index))
    expected = outputs(model, pd.DataFrame(X, columns=COLUMNS))
    names = model.classes_.tolist()
    for method, values in expected.items():
        lazy = getattr(model, method)(data)
        result = lazy.compute()
        assert result.index.equals(data.compute().index)
        assert result.index.name == data.index.name
        assert_array_equal(np.asarray(result), values)
        if method == "predict":
            assert isinstance(lazy, dd.Series)
            assert isinstance(result, pd.Series)
        else:
            assert isinstance(result, pd.DataFrame)
            wanted = names
            if method == "transform":
                wanted = [f"daskonehiddenmlp{i}" for i in range(4)]
            assert lazy.columns.tolist() == result.columns.tolist() == wanted


def test_members_of_an_enumeration_are_labels():
    kind = Enum("Kind", {"LOW": "low", "MIDDLE": "middle", "HIGH": "high"}, type=str)
    names = ["LOW", "MIDDLE", "HIGH"]
    model = fit(LINEAR, chunked(X), [kind[names[code]] for code in Y])
    assert sorted(model.classes_) == ["high", "low", "middle"]


@pytest.mark.parametrize("rows", [100, 0], ids=["rows", "no rows"])
def test_predictions_of_text_are_of_the_dtype_that_is_promised(rows):
    model = fit(LINEAR, framed(X), series(WORDS))
    data = framed(X, len(X)).map_partitions(lambda frame: frame.iloc[:rows])
    predicted = model.predict(data)
    computed = predicted.compute()
    assert len(computed) == rows
    assert computed.dtype == predicted.dtype == pd.Series(WORDS).dtype


# Dask's own call of pandas.
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.set_index")
def test_predictions_of_text_are_written_to_a_file(tmp_path):
    model = fit(LINEAR, framed(X), series(WORDS))
    data = framed(X)
    data.assign(label=model.predict(data)).to_parquet(tmp_path / "labelled")
    found = pd.read_parquet(tmp_path / "labelled")
    assert_array_equal(found["label"], model.predict(data).compute())


def test_decisions_of_two_classes_are_a_series():
    model = fit(LINEAR, framed(X), series(Y == 1))
    lazy = model.decision_function(framed(X))
    assert isinstance(lazy, dd.Series)
    assert lazy.name == lazy.compute().name == "decision_function"


@pytest.mark.parametrize("kind", ["frame", "array", "in memory"])
def test_a_column_of_labels_is_one_warning(kind, expected):
    lazy = {"frame": framed, "array": chunked, "in memory": np.asarray}
    y, model = lazy[kind](Y[:, None]), clone(LINEAR)
    with pytest.warns(DataConversionWarning) as caught:
        model.fit(chunked(X), y)
    with pytest.warns(DataConversionWarning) as of_plain:
        fit(plain(LINEAR), X, Y[:, None])
    assert [str(each.message) for each in caught] == [str(of_plain[0].message)]
    assert_same_optimum(model, expected)
    # y_val gives none, as that of the plain estimator.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(alpha="auto").fit(chunked(X), Y, X_val=chunked(X), y_val=y)


def test_names_of_columns_of_validation_rows_for_rows_in_memory():
    frame, model = framed(X).compute(), clone(LINEAR).set_params(alpha="auto")
    model.fit(frame, Y, X_val=framed(X), y_val=series(Y))
    other = framed(X)[frame.columns[::-1]]
    with pytest.raises(ValueError, match="X_val: The feature names should match"):
        model.fit(frame, Y, X_val=other, y_val=series(Y))


def test_unnamed_columns_of_a_model_with_names_are_one_warning():
    model = clone(LINEAR).fit(framed(X), series(Y))
    with pytest.warns(UserWarning, match="does not have valid feature names") as found:
        model.predict_proba(chunked(X)).compute()
    assert len(found) == 1


def test_labels_are_the_columns_of_an_indicator():
    y = np.eye(3, dtype=int)[Y]
    model = fit(LINEAR, framed(X), framed(y, columns=["a", "b", "c"]))
    assert_same_optimum(model, fit(plain(LINEAR), X, y))
    result = model.predict(framed(X)).compute()
    assert result.columns.tolist() == [0, 1, 2]
    assert_array_equal(result.to_numpy(), model.predict(pd.DataFrame(X, None, COLUMNS)))


@each_dask_class
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_keep_chunks_and_dtypes(model, dtype):
    data = X.astype(dtype)
    model = fit(model, chunked(data), chunked(Y))
    lazy = chunked(data, (100, 37, 213, 100))
    for method, values in outputs(model, data).items():
        result = getattr(model, method)(lazy)
        assert isinstance(result, da.Array)
        assert result.chunks[0] == lazy.chunks[0]
        assert result.shape == values.shape
        assert result.dtype == result.compute().dtype == values.dtype
        assert_allclose(result.compute(), values, rtol=1e-5, atol=1e-6)
        sparse_result = getattr(model, method)(csr_chunks(data))
        assert_allclose(sparse_result.compute(), values, rtol=1e-5, atol=1e-6)


@each_dask_class
def test_predictions_compute_nothing(model):
    model, counted = fit(model, chunked(X), chunked(Y)), COUNTED
    lazy, frame = counting(chunked(X)), counting(framed(X))
    counted.clear()
    for method in outputs(model, X):
        getattr(model, method)(lazy)
    unnamed = fit(model, framed(X), series(Y))
    for method in outputs(model, X):
        getattr(unnamed, method)(frame)
    assert counted == []
    model.predict(lazy).compute()
    assert sorted(counted) == [50, 100, 100, 100, 100]


@each_dask_class
def test_score(model):
    weight = np.linspace(0.0, 2.0, len(Y))
    weight[100:200] = 0.0
    model = fit(model, chunked(X), chunked(Y))
    local = model.to_local()
    for arguments in ((X, Y), (X, Y, weight)):
        expected = local.score(*arguments)
        assert_allclose(model.score(*map(chunked, arguments)), expected)
        assert_allclose(model.score(chunked(X), *arguments[1:]), expected)
        assert_allclose(model.score(*arguments), expected)
    with pytest.raises(ValueError, match="must not be zero for every sample"):
        model.score(chunked(X), chunked(Y), chunked(0.0 * weight))
    labels = np.eye(3, dtype=int)[Y]
    model = fit(model, chunked(X), chunked(labels))
    expected = model.to_local().score(X, labels)
    assert_allclose(model.score(chunked(X), chunked(labels)), expected)
    assert_allclose(model.score(chunked(X), csr_chunks(labels)), expected)


def test_set_output_is_for_rows_in_memory():
    model = clone(NETWORK).set_output(transform="pandas").fit(chunked(X), chunked(Y))
    assert isinstance(model.transform(X), pd.DataFrame)
    assert isinstance(model.transform(chunked(X)), da.Array)
    assert_array_equal(model.transform(chunked(X)).compute(), model.transform(X))
    local = model.to_local().set_output(transform="default")
    assert isinstance(local.transform(X), np.ndarray)
    assert isinstance(model.transform(X), pd.DataFrame)


def test_an_array_without_the_names_of_the_fit_is_one_warning():
    model = fit(clone(LINEAR), framed(X, 100), series(Y, 100))
    data, y = da.from_array(X, chunks=(40, -1)), da.from_array(Y, chunks=40)
    for use in (lambda: model.predict(data).compute(), lambda: model.score(data, y)):
        with pytest.warns(UserWarning, match="Dask.* fitted with") as caught:
            use()
        assert len(caught) == 1
