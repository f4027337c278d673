"""Row blocks, ordered sums over shares, and the buffers of a thread."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.row_blocks import (
    DEFAULT_SIZES,
    BlockSizes,
    RowBlocks,
    Workspace,
    block_edges,
)
from sknn_simple._data.threads import Workers

THREADS = [1, 2, 3]
# Blocks of at most 4 rows, and a share for every multiply-add.
SMALL = BlockSizes(values_per_column=0, block_bytes=1, min_rows=4, share_work=1.0)
KEPT = pytest.mark.parametrize("kept_bytes", [0, 2**25], ids=["again", "kept"])


def row_blocks(X, work=1e9, sizes=SMALL, **kwargs):
    y, weight = np.arange(X.shape[0]), np.linspace(0.0, 1.0, X.shape[0])
    return RowBlocks(X, y, weight, row_bytes=8, work=work, sizes=sizes, **kwargs)


def sparse_features(n_rows, n_columns=5):
    rng = np.random.default_rng(0)
    shape = n_rows, n_columns
    return rng.standard_normal(shape) * rng.integers(0, 2, shape)


def n_shares(data, **kwargs):
    """Return how many arrays a sum over the blocks is made of."""
    totals = []

    def term(block, total):
        totals.append(total)  # kept alive, so that no two have the same identity
        return 0.0

    data.sum(term, kwargs.pop("shape", (1,)), Workers(1), **kwargs)
    return len({id(total) for total in totals})


# block_edges --------------------------------------------------------------------------


@given(st.integers(1, 10**7), st.floats(1e-3, 1e9))
def test_edges_cover_every_row_once(n_rows, row_bytes):
    edges = block_edges(n_rows, row_bytes)
    assert edges[0][0] == 0
    assert edges[-1][1] == n_rows
    assert all(stop == start for (_, stop), (start, _) in pairwise(edges))
    lengths = [stop - start for start, stop in edges]
    assert min(lengths) >= 1
    assert max(lengths) <= min(lengths) + 1
    assert max(lengths) <= DEFAULT_SIZES.max_rows


@given(st.integers(10**4, 10**6), st.floats(1e-3, 1e9))
def test_blocks_fit_the_cache_unless_rows_are_long(n_rows, row_bytes):
    start, stop = block_edges(n_rows, row_bytes)[0]
    rows = stop - start
    fits = rows * row_bytes <= DEFAULT_SIZES.block_bytes
    assert fits or rows <= DEFAULT_SIZES.min_rows


@pytest.mark.parametrize("n_shares", [2, 4, 16])
@pytest.mark.parametrize("n_rows", [5, 20_000, 100_001, 1_000_000])
def test_shares_take_as_many_blocks_each(n_rows, n_shares):
    edges = block_edges(n_rows, 500.0, n_shares)
    assert len(edges) % n_shares == 0 or len(edges) < n_shares
    assert edges[-1][1] == n_rows
    assert min(stop - start for start, stop in edges) >= 1


@given(st.integers(1, 200))
def test_no_share_has_more_blocks_than_another(n_rows):
    """Also if there are fewer blocks than shares would be worth a thread."""
    data = row_blocks(np.zeros((n_rows, 1)))
    n_blocks = []

    def term(block, total):
        if not total.any():
            n_blocks.append(0)
        n_blocks[-1] += 1
        total += 1.0
        return 0.0

    data.sum(term, (1,), Workers(1))
    assert sum(n_blocks) == len(data.blocks)
    assert len(set(n_blocks)) == 1


# Shares -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "expected"), [(0.0, 1), (1.9, 1), (2.0, 2), (3.9, 2), (7.0, 4), (1e9, 16)]
)
def test_shares_are_a_power_of_two(work, expected):
    """Of an evaluation, or of a sum whose work is given."""
    X = np.zeros((400, 1))
    assert n_shares(row_blocks(X, work=work)) == expected
    assert n_shares(row_blocks(X), work=work) == expected


def test_shares_are_no_more_than_the_most():
    sizes = SMALL._replace(max_shares=4)
    assert n_shares(row_blocks(np.zeros((400, 1)), sizes=sizes)) == 4


def test_large_totals_get_fewer_shares():
    """Every share holds a total of its own: memory, not only work, limits them."""
    sizes = SMALL._replace(share_bytes=8 * 100)
    data = row_blocks(np.zeros((200, 1)), sizes=sizes)
    assert n_shares(data, shape=(1,)) == SMALL.max_shares
    assert 2 <= n_shares(data, shape=(25,)) <= 4
    assert n_shares(data, shape=(101,)) == 1


@pytest.mark.parametrize("work", [0.0, 1.0, 7.9])
def test_little_work_is_one_share(work):
    sizes = SMALL._replace(share_work=4.0)
    data, threads = row_blocks(np.zeros((99, 1)), work=work, sizes=sizes), set()
    with Workers(3) as workers:
        data.for_each(lambda block: threads.add(threading.get_ident()), workers)
    assert threads == {threading.get_ident()}


# Blocks -------------------------------------------------------------------------------


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("n_rows", [1, 3, 4, 23])
def test_sparse_blocks_are_views_of_the_rows(container, index_dtype, n_rows):
    dense = sparse_features(n_rows)
    X = container(dense)
    X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
    for block in row_blocks(X).blocks:
        assert sparse.issparse(block.X)
        np.testing.assert_array_equal(block.X.toarray(), dense[block.rows])
        assert block.X.indices.dtype == index_dtype
        assert np.shares_memory(block.X.data, X.data) or block.X.nnz == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_dense_blocks_are_views_of_the_rows(order):
    X = np.asarray(np.random.default_rng(0).standard_normal((23, 5)), order=order)
    data = row_blocks(X)
    assert len(data.blocks) == 8
    for block in data.blocks:
        np.testing.assert_array_equal(block.X, X[block.rows])
        np.testing.assert_array_equal(block.y, np.arange(23)[block.rows])
        np.testing.assert_array_equal(block.weight, np.linspace(0, 1, 23)[block.rows])
        assert np.shares_memory(block.X, X)


# Sums ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("n_rows", [1, 4, 5, 99, 300])
def test_sum_is_the_sum_over_all_blocks(n_rows, n_threads):
    X = np.random.default_rng(0).standard_normal((n_rows, 3))

    def term(block, total):
        total += block.X.sum(axis=0)
        return float(block.y.sum())

    with Workers(n_threads) as workers:
        number, total = row_blocks(X).sum(term, (3,), workers)
    assert number == n_rows * (n_rows - 1) / 2
    np.testing.assert_allclose(total, X.sum(axis=0), rtol=1e-12, atol=1e-13)
    assert total.dtype == np.float64


def test_sum_has_the_same_bits_on_any_number_of_threads():
    # Sizes so different that any other order of the additions shows.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((501, 7)) * 10.0 ** rng.integers(-12, 12, (501, 7))
    data = row_blocks(X)

    def term(block, total):
        total += block.X.sum(axis=0)
        return float(block.X.sum())

    sums = []
    for n_threads in [*THREADS, 16, 40]:
        with Workers(n_threads) as workers:
            sums.append(data.sum(term, (7,), workers))
    for number, total in sums[1:]:
        assert number == sums[0][0]
        np.testing.assert_array_equal(total, sums[0][1])


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3), (2, 3, 4)])
def test_sum_of_any_shape(shape):
    def term(block, total):
        total += 1.0
        return 1.0

    data = row_blocks(np.zeros((23, 1)))
    number, total = data.sum(term, shape, Workers(1))
    assert number == len(data.blocks)
    np.testing.assert_array_equal(total, np.full(shape, number))


@pytest.mark.parametrize("n_threads", THREADS)
def test_for_each_visits_every_row_once(n_threads):
    visits = np.zeros(99, dtype=int)

    def visit(block):
        visits[block.rows] += 1

    with Workers(n_threads) as workers:
        row_blocks(np.zeros((99, 1))).for_each(visit, workers)
    assert (visits == 1).all()


# Transformed features -----------------------------------------------------------------


def transform_of(X):
    return FeatureTransform(X.mean(axis=0), 1.0 / X.std(axis=0), 2.0**-26)


def dense(X):
    return X.toarray() if sparse.issparse(X) else X


@KEPT
@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("transforms", [True, False])
@pytest.mark.parametrize(
    ("stored", "dtype"),
    [(np.float64, None), (np.float64, np.float32), (np.float32, np.float64)],
)
def test_transformed_features(container, stored, dtype, transforms, kept_bytes):
    """Kept or computed at each evaluation: the same bits, those of a converted copy."""
    X = container(sparse_features(23).astype(stored))
    wide = X.astype(np.float64)
    transform = transform_of(dense(wide)) if transforms else None
    wanted = dense(transform(wide) if transform else wide).astype(dtype or np.float64)
    data = row_blocks(
        X,
        transform=transform,
        dtype=dtype and np.dtype(dtype),
        sizes=SMALL._replace(kept_bytes=kept_bytes),
    )
    assert data.dtype == wanted.dtype
    workspace = Workspace()
    for _ in range(2):
        for block in data.blocks:
            found = data.features(block, workspace)
            assert found.dtype == wanted.dtype
            assert sparse.issparse(found) == sparse.issparse(X)
            np.testing.assert_array_equal(dense(found), wanted[block.rows])
    for rows in (np.array([3, 20]), slice(2, 9), slice(None)):
        chosen = data.chosen_features(rows)
        assert chosen.dtype == wanted.dtype
        np.testing.assert_array_equal(dense(chosen), wanted[rows])


@KEPT
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_the_given_features_are_left_alone(container, kept_bytes):
    X = container(sparse_features(23))
    before = dense(X).copy()
    sizes = SMALL._replace(kept_bytes=kept_bytes)
    data = row_blocks(X, transform=transform_of(before), sizes=sizes)
    chosen = data.chosen_features(np.array([3, 20]))
    chosen *= 2.0
    for block in data.blocks:
        data.features(block, Workspace())
    np.testing.assert_array_equal(dense(X), before)


@pytest.mark.parametrize("order", ["C", "F"])
def test_kept_features_have_the_order_that_is_asked_for(order):
    X = sparse_features(23)
    data = row_blocks(X, transform=transform_of(X), order=order)
    assert data.chosen_features(slice(None)).flags[f"{order}_CONTIGUOUS"]


@pytest.mark.parametrize(("dtype", "kept"), [(np.float32, True), (np.float64, False)])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_features_are_kept_by_the_size_of_the_copy(dtype, kept, container):
    X = container(np.random.default_rng(0).standard_normal((20, 3)))
    data = row_blocks(
        X,
        transform=FeatureTransform(np.zeros(3), np.full(3, 2.0)),
        dtype=np.dtype(dtype),
        sizes=SMALL._replace(kept_bytes=4 * 60),
    )
    again = data.features(data.blocks[0], Workspace())
    assert (again is data.blocks[0].X) == kept


# Workspace --------------------------------------------------------------------------


def test_workspace_gives_the_same_memory_again():
    work = Workspace()
    first = work.array("a", (4, 3), np.dtype(float))
    assert first.shape == (4, 3)
    assert first.flags.c_contiguous
    assert work.array("a", (4, 3), np.dtype(float)).ctypes.data == first.ctypes.data
    smaller = work.array("a", (2, 3), np.dtype(float))
    assert smaller.shape == (2, 3)
    assert np.shares_memory(smaller, first)


def test_workspace_keeps_names_apart():
    work = Workspace()
    a, b = (work.array(name, (4,), np.dtype(float)) for name in "ab")
    assert not np.shares_memory(a, b)


def test_workspace_follows_size_and_precision():
    work = Workspace()
    work.array("a", (4,), np.dtype(np.float64))
    assert work.array("a", (5, 2), np.dtype(np.float64)).shape == (5, 2)
    assert work.array("a", (4,), np.dtype(np.float32)).dtype == np.float32
    assert work.array("a", (0, 3), np.dtype(np.float32)).shape == (0, 3)


def test_workspace_gives_every_thread_its_own_memory():
    work, others = Workspace(), []
    mine = work.array("a", (4,), np.dtype(float))
    thread = threading.Thread(
        target=lambda: others.append(work.array("a", (4,), np.dtype(float)))
    )
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, others[0])
