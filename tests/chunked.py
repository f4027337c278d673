"""Rows in Dask's chunks, and comparisons with the plain estimators.

Small tables: the sample for the start is then all of the rows. LARGE has more rows than
the sample.
"""

from importlib import import_module
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification

from models import independent_classes, labels, parameters
from sknn_simple.dask import DaskLogisticNN, DaskOneHiddenMLP


def _dataframes() -> Any:
    try:
        return import_module("dask.dataframe")
    except ImportError:  # of pyarrow, for which NumPy may be too old
        return None


dd = _dataframes()
needs_frames = pytest.mark.skipif(dd is None, reason="dask.dataframe is missing")

LINEAR = DaskLogisticNN(alpha=1.0, tol=1e-8)
# Rough, because each evaluation is a pass over the chunks.
NETWORK = DaskOneHiddenMLP(4, "tanh", alpha=1.0, tol=1e-2, random_state=0)

TARGETS = {
    "two classes": independent_classes(2, 450, 5, flip_y=0.1),
    "several classes": independent_classes(3, 450, 5, flip_y=0.1),
    "labels": labels(450, 5, 3),
}
each_target = pytest.mark.parametrize("target", TARGETS)
each_dask_class = pytest.mark.parametrize(
    "model", [LINEAR, NETWORK], ids=lambda model: type(model).__name__
)
X, Y = TARGETS["several classes"]
LARGE = make_classification(40_000, 6, n_informative=4, flip_y=0.1, random_state=1)


def chunked(array, rows=100):
    """Return a Dask array in chunks of some rows, or of these numbers of rows."""
    array = np.asarray(array)
    rows = rows if isinstance(rows, int) else tuple(rows)
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def csr_chunks(X, rows=100):
    """Return a Dask array whose chunks are CSR matrices."""
    return chunked(X, rows).map_blocks(sparse.csr_array, dtype=X.dtype)


# The length of every chunk that was computed; see `counting`.
COUNTED = []


def counting(lazy):
    """Return rows whose chunks, if they are computed in this process, are counted."""
    COUNTED.clear()
    if isinstance(lazy, da.Array):
        return lazy.map_blocks(_counted, dtype=lazy.dtype, meta=lazy._meta)
    return lazy.map_partitions(_counted, meta=lazy._meta)


def _counted(chunk):
    COUNTED.append(len(chunk))
    return chunk


def framed(X, rows=100, columns=None, index=None):
    """Return a Dask dataframe in partitions of some rows."""
    columns = columns or [f"x{i}" for i in range(X.shape[1])]
    return dd.from_pandas(pd.DataFrame(X, index, columns), chunksize=rows, sort=False)


def series(y, rows=100, index=None):
    """Return a Dask series in partitions of some rows."""
    return dd.from_pandas(pd.Series(y, index), chunksize=rows, sort=False)


def plain(model):
    """Return an unfitted plain estimator with the same parameters."""
    names = model.get_params(deep=False).keys() - {"client", "persist"}
    kind = DASK_OF[type(model)]
    return kind(**{name: getattr(model, name) for name in names})


DASK_OF = {kind: kind.__bases__[1] for kind in (DaskLogisticNN, DaskOneHiddenMLP)}


def assert_same_optimum(model, other, rtol=1e-5, loss_rtol=1e-6):
    """Require the J and the parameters of the plain estimator."""
    assert_allclose(model.loss_, other.loss_, rtol=loss_rtol)
    for one, two in zip(parameters(model), parameters(other), strict=True):
        assert one.dtype == two.dtype
        assert_allclose(one, two, rtol=rtol, atol=rtol * max(1.0, np.abs(two).max()))
    assert_array_equal(model.classes_, other.classes_)
    assert_allclose(model.scale_, other.scale_, rtol=1e-6)
    assert model.converged_ == other.converged_
    assert model.n_features_in_ == other.n_features_in_
