"""Columns with exactly two values are found, and half the distance of these values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy import sparse

from sknn_simple._data.row_blocks import BlockSizes, RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._data.two_valued import half_distances

EVERY = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
# Blocks of at most 16 rows, and a share for every multiply-add.
SMALL = BlockSizes(values_per_column=0, block_bytes=1, min_rows=16, share_work=1.0)


@pytest.fixture(scope="module", params=[1000, 3], ids=["all", "few"])
def found(request):
    """Return a function that looks at all rows and values at once, or at a few."""
    few = request.param
    sizes = SMALL._replace(sample_rows=few)

    def run(X, n_threads=1):
        n = X.shape[0]
        weight = np.full(n, 1.0 / n)
        blocks = RowBlocks(X, np.zeros(n), weight, row_bytes=8, work=1e9, sizes=sizes)
        with Workers(n_threads) as workers:
            return half_distances(blocks, workers)

    return run


def by_unique(X):
    return [np.ptp(x) / 2.0 if len(np.unique(x)) == 2 else 0.0 for x in X.T]


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_two_values_wherever_they_are(found, container, dtype, n_threads):
    rng = np.random.default_rng(0)
    rare = np.zeros((100, 1))
    rare[57] = 3.0
    binary = rng.integers(0, 2, (100, 1)).astype(float)
    third = binary.copy()
    third[91] = 0.5
    columns = [rare, -rare, binary, 2.0 - 5.0 * binary, 0.1 + 0.2 * binary, third]
    columns += [np.full((100, 1), 7.0), np.zeros((100, 1)), rng.normal(size=(100, 1))]
    X = np.hstack([*columns, third - 1.0, 1.0 + rare, np.where(rare, -0.0, 0.0)])
    X = X.astype(dtype)
    expected = by_unique(X.astype(float))
    assert np.count_nonzero(expected) == 6
    assert_array_equal(found(container(X), n_threads), expected)
    # All columns of one kind.
    assert_array_equal(found(container(X[:, :3]), n_threads), expected[:3])
    assert_array_equal(found(container(X[:, 8:9]), n_threads), expected[8:9])


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 40), st.integers(1, 4)),
        elements=st.integers(-1, 2).map(float),
    )
)
def test_any_few_values(found, X):
    expected = by_unique(X)
    assert_array_equal(found(X), expected)
    assert_array_equal(found(sparse.csr_array(X)), expected)


def test_stored_zeros_are_zeros(found):
    X = sparse.csr_array(np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 2.0]]))
    assert_array_equal(found(X), [1.0, 0.0])
    X.data[[0, 1]] = 0.0
    assert_array_equal(found(X), [0.0, 1.0])
