"""Dask collections of rows as lists of chunks that belong together."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sknn_simple._chunks.engine import Lazy
from sknn_simple._input.kinds import check_kind
from sknn_simple._input.validation import present_labels


class Chunk(NamedTuple):
    """Lazy features, labels and weights of the same rows."""

    X: Lazy
    y: Lazy
    # None without weights.
    weight: Lazy = None


def is_collection(value: Any) -> bool:
    """Return whether a value is lazy and Dask's; Dask may be missing.

    Objects of other packages that are arrays, such as xarray's, are not.
    """
    # The type decides, because an object of type Delayed has every attribute.
    kind = type(value)
    is_lazy = hasattr(kind, "__dask_graph__")
    return is_lazy and (hasattr(kind, "to_delayed") or not hasattr(kind, "__array__"))


def is_dataframe(X: Any) -> bool:
    """Return whether a value is a Dask dataframe or series."""
    return is_collection(X) and hasattr(type(X), "known_divisions")


def is_array(X: Any) -> bool:
    """Return whether a value is a Dask array."""
    return is_collection(X) and hasattr(type(X), "rechunk")


def checked_collection(X: Any, name: str = "X") -> Any:
    """Return a collection with rows in chunks; raise if that is not what it is."""
    if not (is_array(X) or is_dataframe(X)):
        raise TypeError(
            f"{name} must be a Dask array or dataframe; got {type(X).__name__}."
        )
    if is_dataframe(X):
        if X.ndim != 2:
            raise ValueError(
                f"{name} must have columns; got a series. Use its method to_frame()."
            )
        _check_columns(X, name)
    elif X.ndim != 2:
        raise ValueError(
            f"{name} must have 2 dimensions, rows and columns; got {X.ndim}."
        )
    elif X.numblocks[1] > 1:
        raise ValueError(
            f"{name} is cut by columns into {X.numblocks[1]} parts, but each chunk "
            f"must hold whole rows: use {name}.rechunk({{1: -1}})."
        )
    if is_array(X) and np.isnan(X.shape[1]):
        raise ValueError(
            f"The number of columns of {name} is unknown: call "
            f"{name}.compute_chunk_sizes() first."
        )
    if X.shape[1] == 0:
        raise ValueError(f"{name} has no columns.")
    return X


def _check_columns(X: Any, name: str) -> None:
    """Raise ValueError if columns of a dataframe hold text or dates."""
    kinds = X.dtypes.astype(str)
    refused = kinds[kinds.str.startswith(("str", "datetime", "timedelta"))]
    if refused.size:
        raise ValueError(
            f"{name} has columns that do not hold numbers: {refused.to_dict()}. Encode "
            "them as numbers, or leave them out."
        )


def meta_of(X: Any) -> Any:
    """Return an empty array or dataframe with the columns and dtypes of X."""
    if is_dataframe(X):
        return X._meta
    return np.empty((0, int(X.shape[1])), X.dtype)


def dtype_of(X: Any) -> np.dtype:
    """Return float32 if it holds the values of all columns, else float64.

    As scikit-learn chooses for rows in memory: small integers fit, booleans do not.
    """
    dtypes = list(X.dtypes) if hasattr(X, "dtypes") else [X.dtype]
    are_plain = all(
        isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in dtypes
    )
    fit = are_plain and np.result_type(*dtypes) == np.float32
    return np.dtype(np.float32 if fit else np.float64)


def aligned_chunks(X: Any, y: Any, weight: Any, suffix: str = "") -> list[Chunk]:
    """Return the chunks of X, a checked collection, with labels and weights.

    Labels and weights in other chunks are cut as X is. `suffix` follows the names of
    the arguments in messages.

    The graphs of arrays are optimised together: what several of them need, such as a
    chunk of a file, is then read once. Dataframes read only the columns that they need;
    further optimisation would join partitions of few columns, and those of y would no
    longer be those of X.
    """
    import dask

    collections = [X, _aligned(X, y, f"y{suffix}")]
    if weight is not None:
        collections.append(_aligned(X, weight, f"sample_weight{suffix}"))
    arrays = iter(dask.optimize(*filter(is_array, collections)))
    lists: list[Any] = []
    for each in collections:
        if is_array(each):
            lists.append(next(arrays).to_delayed(optimize_graph=False).ravel())
        else:
            lists.append(each.simplify().to_delayed(optimize_graph=False))
    return [Chunk(*row) for row in zip(*lists, strict=True)]


def _aligned(X: Any, other: Any, name: str) -> Any:
    """Return labels or weights as a collection in the chunks of X."""
    if not is_collection(other):
        other = _from_memory(X, other, name)
    if not (is_array(other) or is_dataframe(other)):
        raise TypeError(
            f"{name} must be a Dask array or series, or in memory; got "
            f"{type(other).__name__}."
        )
    both_known = all(getattr(each, "known_divisions", False) for each in (X, other))
    if both_known and other.divisions != X.divisions:
        return _repartitioned(X, other, name)
    if is_array(other) and other.ndim > 1 and other.numblocks[1] > 1:
        other = other.rechunk({1: -1})
    rows, other_rows = _rows_of(X), _rows_of(other)
    if not np.isnan([*rows, *other_rows]).any():
        _check_length(X, sum(other_rows), name)
        return other.rechunk({0: rows})
    if len(rows) != len(other_rows):
        raise ValueError(
            f"{name} has {len(other_rows)} chunks, but {_features_of(name)} has "
            f"{len(rows)}, and the number of rows of some of them is unknown, so that "
            "they cannot be aligned. Give both the same chunks, or call "
            "compute_chunk_sizes() of the arrays first."
        )
    return other


def _rows_of(collection: Any) -> tuple[Any, ...]:
    """Return the number of rows of each chunk; NaN where it is unknown."""
    if is_dataframe(collection):
        return (np.nan,) * collection.npartitions
    return collection.chunks[0]


def _repartitioned(X: Any, other: Any, name: str) -> Any:
    ends, of_X = ([each.divisions[i] for i in (0, -1)] for each in (other, X))
    if ends != of_X:
        raise ValueError(
            f"{name} has an index from {ends[0]} to {ends[1]}, but that of "
            f"{_features_of(name)} is from {of_X[0]} to {of_X[1]}: they are not of the "
            "same rows."
        )
    return other.repartition(divisions=X.divisions)


def _check_length(X: Any, n_others: int, name: str) -> None:
    n_rows = sum(_rows_of(X))
    if n_others != n_rows:
        raise ValueError(
            f"{name} has {n_others} rows, but {_features_of(name)} has {n_rows}."
        )


def _features_of(name: str) -> str:
    """Return the name of the features that belong to labels or weights."""
    return "X_val" if name.endswith("_val") else "X"


def _from_memory(X: Any, other: Any, name: str) -> Any:
    """Return labels or weights in memory as an array in the chunks of X."""
    import dask.array as da

    rows, features = _rows_of(X), _features_of(name)
    is_weight = name.startswith("sample_weight")
    if not (is_weight and isinstance(other, Real)):
        check_kind(name, other)
    if not is_weight:
        other = present_labels(other)
    if np.isnan(rows).any():
        raise TypeError(
            f"{name} is in memory, but the number of rows in the chunks of {features} "
            f"is unknown: make {name} a Dask collection with the chunks of {features}."
        )
    array = other.toarray() if sparse.issparse(other) else np.asarray(other)
    if array.ndim == 0:  # one weight for all rows
        array = np.full(int(sum(rows)), float(array))
    _check_length(X, len(array), name)
    return da.from_array(array, chunks=(rows, *array.shape[1:]), name=False)
