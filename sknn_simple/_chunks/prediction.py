"""Predictions for Dask collections: lazy, chunk by chunk."""

from typing import Any

import numpy as np

from sknn_simple._chunks.collections import dtype_of, is_dataframe, meta_of
from sknn_simple._chunks.labels import naming_the_chunk
from sknn_simple._input.validation import present_labels


def predict_lazily(local: Any, method: str, X: Any, names: list[Any]) -> Any:
    """Return what a method of a fitted estimator returns, as a Dask collection.

    An array becomes an array with the chunks of X, a dataframe a dataframe or a series
    with its index. `names` are those of the columns, if there are several.
    """
    meta = _predict(meta_of(X), local, method, names)
    if is_dataframe(X):
        return X.map_partitions(_predict, local, method, names, meta=meta)
    columns = meta.shape[1:]
    return X.map_blocks(
        _predict,
        local,
        method,
        names,
        chunks=(X.chunks[0], *columns),
        drop_axis=None if columns else 1,
        meta=meta,
    )


def _predict(X: Any, local: Any, method: str, names: list[Any]) -> Any:
    """Return the values of a chunk: of an array an array, of a frame pandas' own.

    Estimators refuse a chunk without rows. A row of zeros takes its place, and its
    values are cut last, because pandas tells text by its rows.
    """
    columns, rows = getattr(X, "columns", None), X
    if not X.shape[0]:
        rows = np.zeros((1, X.shape[1]), dtype_of(X))
        rows = rows if columns is None else type(X)(rows, columns=columns)
    # An array, also if `transform` is set to return dataframes.
    values = np.asarray(getattr(local, method)(rows))
    if columns is None:
        return values[: X.shape[0]]
    import pandas as pd

    of_rows = pd.DataFrame(values, columns=names if values.ndim == 2 else [method])
    of_rows = of_rows.iloc[: len(X)].set_axis(X.index)
    return of_rows if values.ndim == 2 else of_rows[method]


def count_right(
    local: Any, X: Any, y: Any, weight: Any, number: int
) -> tuple[float, float]:
    """Return the weights of the rows of a chunk that are right, and of all rows."""
    weights = np.ones(X.shape[0]) if weight is None else np.asarray(weight, float)
    total = float(weights.sum())
    if total == 0.0:
        return 0.0, 0.0
    with naming_the_chunk(number, "y"):
        y = present_labels(y.toarray() if hasattr(y, "toarray") else y)
    return float(local.score(X, y, sample_weight=weights)) * total, total
