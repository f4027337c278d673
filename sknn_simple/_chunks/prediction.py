"""Predictions for Dask collections: lazy, chunk by chunk."""

from typing import Any

import numpy as np

from sknn_simple._chunks.collections import (
    aligned_chunks,
    dtype_of,
    is_dataframe,
    meta_of,
)
from sknn_simple._chunks.engine import Engine, Lazy
from sknn_simple._chunks.labels import naming_the_chunk
from sknn_simple._validation import present_labels


def predict_lazily(local: Any, method: str, X: Any, names: list[Any]) -> Any:
    """Return what a method of a fitted estimator returns, as a Dask collection.

    An array becomes an array with the chunks of X, a dataframe a dataframe or a series
    with its index. `names` are those of the columns, if there are several.
    """
    empty = meta_of(X)
    some = _values(local, method, _one_row(empty))
    if is_dataframe(X):
        meta = _framed(some, empty, method, names)
        return X.map_partitions(_predict_frame, local, method, names, meta=meta)
    has_columns = some.ndim == 2
    columns = ((some.shape[1],),) if has_columns else ()
    return X.map_blocks(
        _predict_array,
        local,
        method,
        dtype=some.dtype,
        chunks=(X.chunks[0], *columns),
        drop_axis=None if has_columns else 1,
        meta=some[:0],
    )


def count_right(
    engine: Engine, local: Any, X: Any, y: Any, sample_weight: Any
) -> list[Lazy]:
    """Return the lazy (right, all) weights of the rows of each chunk."""
    return [
        engine.call(_count_right, local, *chunk, number)
        for number, chunk in enumerate(aligned_chunks(X, y, sample_weight))
    ]


def _count_right(
    local: Any, X: Any, y: Any, weight: Any, number: int
) -> tuple[float, float]:
    weights = np.ones(X.shape[0]) if weight is None else np.asarray(weight, float)
    total = float(weights.sum())
    if total == 0.0:
        return 0.0, 0.0
    with naming_the_chunk(number, "y"):
        y = present_labels(y.toarray() if hasattr(y, "toarray") else y)
    return float(local.score(X, y, sample_weight=weights)) * total, total


def _one_row(empty: Any) -> Any:
    """Return a row of zeros with the columns and the precision of X."""
    row = np.zeros((1, empty.shape[1]), dtype_of(empty))
    is_frame = hasattr(empty, "columns")
    return type(empty)(row, columns=empty.columns) if is_frame else row


def _predict_array(X: Any, local: Any, method: str) -> np.ndarray:
    rows = X if X.shape[0] else _one_row(X)
    return _values(local, method, rows)[: X.shape[0]]


def _predict_frame(X: Any, local: Any, method: str, names: list[Any]) -> Any:
    row = X if len(X) else _one_row(X)
    return _framed(_values(local, method, row), X, method, names)


def _values(local: Any, method: str, X: Any) -> np.ndarray:
    """Return an array, also if `transform` is set to return dataframes."""
    return np.asarray(getattr(local, method)(X))


def _framed(values: np.ndarray, X: Any, method: str, names: list[Any]) -> Any:
    """Return values as a series, or as a dataframe with named columns.

    If X has no rows, the values are cut last: pandas tells text by its rows.
    """
    import pandas as pd

    frame: Any
    if values.ndim == 1:
        frame = pd.Series(values, name=method)
    else:
        frame = pd.DataFrame(values, columns=names)
    return frame.iloc[: len(X)].set_axis(X.index)
