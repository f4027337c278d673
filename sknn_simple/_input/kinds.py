"""The kinds of objects that can hold rows, labels or weights."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
from scipy import sparse

_WANTED = {
    "X": "an array, a dataframe or a sparse matrix with a row per sample",
    "y": "an array with a label per sample, or a matrix with a column per label",
    "sample_weight": "an array with a number per sample",
    "groups": "an array with a group per sample",
}


def check_kind(name: str, value: Any) -> None:
    """Raise TypeError that names the parameter and the kind of a wrong object.

    NumPy would make an array of one object of it. A masked array with masked values
    raises ValueError, because NumPy would use the values behind the mask.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{name} is a masked array with {np.ma.count_masked(value)} masked values, "
            "which are missing: remove their rows, or fill them with its method "
            "filled()."
        )
    if _is_array_like(value):
        return
    raise TypeError(
        f"{name} must be {_WANTED[name.removesuffix('_val')]}; got {_kind(value)}."
        f"{_advice(value)}"
    )


def _is_array_like(value: Any) -> bool:
    """Return whether NumPy makes an array with rows of an object."""
    if sparse.issparse(value):
        return True
    if _is_delayed(value):
        return False
    if isinstance(value, str | bytes | bytearray | Mapping | Set | type):
        return False
    if getattr(value, "shape", None) == ():
        return False
    if getattr(getattr(value, "dtype", None), "names", None):  # a structured array
        return False
    kind = type(value)
    is_array = hasattr(kind, "__array__") or hasattr(kind, "__array_namespace__")
    return is_array or (hasattr(kind, "__len__") and hasattr(kind, "__getitem__"))


def _is_delayed(value: Any) -> bool:
    """Return whether a value is lazy and no array; it has every attribute."""
    kind = type(value)
    return hasattr(kind, "__dask_graph__") and not hasattr(kind, "__array__")


def _kind(value: Any) -> str:
    """Return the name of an object's class, and of its package."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return "a structured array" if value.dtype.names else f"the scalar {value}"
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    name = kind.__qualname__
    return f"an object of type {name if package == 'builtins' else f'{package}.{name}'}"


def _advice(value: Any) -> str:
    """Return a sentence on what to pass instead, if there is something to say."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        return " numpy.lib.recfunctions.structured_to_unstructured makes a plain array."
    if isinstance(value, Mapping):
        return " Make a dataframe of it, or an array."
    if isinstance(value, Set):
        return " A set has no order: make a list that follows the samples."
    if _is_delayed(value):
        return " sknn_simple.dask fits Dask arrays and dataframes."
    for method in ("collect", "compute", "read"):  # polars, Dask, files
        if hasattr(value, method) and not isinstance(value, type):
            return f" Call its method {method}() first, and make an array."
    is_text = isinstance(value, str | bytes | type)
    return " Make a list of it." if isinstance(value, Iterable) and not is_text else ""
