"""Row blocks, ordered sums over lanes, worker threads and their buffers."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sknn_simple._data import features as view_module
from sknn_simple._data import row_blocks as module
from sknn_simple._data.features import View
from sknn_simple._data.row_blocks import RowBlocks, Workspace, block_edges
from sknn_simple._data.threads import Workers

THREADS = [1, 2, 3]
PATIENCE = 10.0  # seconds after which a test that waits for a thread gives up


@pytest.fixture
def many_lanes(monkeypatch):
    """Cut small data into blocks of 4 rows and as many lanes as are allowed."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    monkeypatch.setattr(module, "SHARED_BLOCK_BYTES", 1)
    monkeypatch.setattr(module, "MIN_BLOCK_ROWS", 4)
    monkeypatch.setattr(module, "LANE_WORK", 1.0)


def row_blocks(X, **kwargs):
    y, weight = np.arange(X.shape[0]), np.linspace(0.0, 1.0, X.shape[0])
    return RowBlocks(X, y, weight, **{"row_bytes": 8, "work": 1e9, **kwargs})


# block_edges ------------------------------------------------------------------------


@given(st.integers(1, 10**7), st.floats(1e-3, 1e9))
def test_edges_cover_every_row_once(n_rows, row_bytes):
    edges = block_edges(n_rows, row_bytes)
    assert edges[0][0] == 0
    assert edges[-1][1] == n_rows
    assert all(stop == start for (_, stop), (start, _) in pairwise(edges))
    lengths = [stop - start for start, stop in edges]
    assert min(lengths) >= 1
    assert max(lengths) <= min(lengths) + 1
    assert max(lengths) <= module.MAX_BLOCK_ROWS


@given(st.integers(10**4, 10**6), st.floats(1e-3, 1e9))
def test_blocks_fit_the_cache_unless_rows_are_long(n_rows, row_bytes):
    start, stop = block_edges(n_rows, row_bytes)[0]
    rows = stop - start
    assert rows * row_bytes <= module.BLOCK_BYTES or rows <= module.MIN_BLOCK_ROWS


@pytest.mark.parametrize("n_lanes", [2, 4, 16])
@pytest.mark.parametrize("n_rows", [5, 20_000, 100_001, 1_000_000])
def test_lanes_take_as_many_blocks_each(n_rows, n_lanes):
    edges = block_edges(n_rows, 500.0, n_lanes=n_lanes)
    assert len(edges) % n_lanes == 0 or len(edges) < n_lanes
    assert edges[-1][1] == n_rows
    assert min(stop - start for start, stop in edges) >= 1


@given(st.integers(1, 200))
def test_no_lane_has_more_blocks_than_another(n_rows):
    """Also where there are fewer blocks than lanes would be worth their handover."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BLOCK_BYTES", "SHARED_BLOCK_BYTES", "LANE_WORK"):
            patch.setattr(module, name, 1)
        patch.setattr(module, "MIN_BLOCK_ROWS", 4)
        data = row_blocks(np.zeros((n_rows, 1)))
    lanes = data._lanes(data._n_lanes)
    assert len({len(lane) for lane in lanes}) == 1


# RowBlocks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "n_lanes"), [(0.0, 1), (1.9, 1), (2.0, 2), (3.9, 2), (7.0, 4), (1e9, 16)]
)
def test_lanes_are_a_power_of_two(many_lanes, work, n_lanes):
    assert row_blocks(np.zeros((400, 1)), work=work)._n_lanes == n_lanes


@pytest.mark.parametrize("n_columns", [10, 1000, 100_000])
def test_blocks_of_sparse_data_have_values_enough_for_their_columns(n_columns):
    """Adding up arrays of all columns should cost little beside the products."""
    columns = np.random.default_rng(0).integers(n_columns, size=80_000)
    X = sparse.csr_array(
        (np.ones(80_000), columns, np.arange(0, 80_001, 2)), (40_000, n_columns)
    )
    data = row_blocks(X, row_bytes=1e4)
    values = min(block.X.nnz for block in data.blocks)
    longest = max(block.X.shape[0] for block in data.blocks)
    assert longest <= module.MAX_BLOCK_ROWS
    enough = values >= 0.5 * module.BLOCK_VALUES_PER_COLUMN * n_columns
    assert enough or longest > 0.5 * module.MAX_BLOCK_ROWS


@pytest.mark.parametrize("sum_bytes", [0.0, 1e6, 1e7, 1e12])
def test_blocks_are_large_beside_the_sum_that_they_are_added_to(sum_bytes):
    data = row_blocks(np.zeros((40_000, 1)), row_bytes=1e4, sum_bytes=sum_bytes)
    rows = min(block.X.shape[0] for block in data.blocks)
    longest = max(block.X.shape[0] for block in data.blocks)
    assert longest <= module.MAX_BLOCK_ROWS
    wanted = min(module.SUM_FACTOR * sum_bytes, module.LARGE_BLOCK_BYTES)
    assert 1e4 * rows >= 0.5 * wanted
    assert 1e4 * longest <= max(module.LARGE_BLOCK_BYTES, module.SHARED_BLOCK_BYTES)


@pytest.mark.parametrize("n_rows", [1000, 3000, 10_000])
def test_a_large_sum_takes_no_lane_away(n_rows):
    """Threads work on lanes: with fewer of them, some would have nothing to do."""
    X = np.zeros((n_rows, 1))
    small = row_blocks(X, row_bytes=1e4, work=1e10)
    large = row_blocks(X, row_bytes=1e4, work=1e10, sum_bytes=1e7)
    assert large._n_lanes == small._n_lanes


@pytest.mark.parametrize(("dtype", "kept"), [(np.float32, True), (np.float64, False)])
@pytest.mark.parametrize("sparse_too", [False, True])
def test_features_are_kept_by_the_size_of_the_copy(
    dtype, kept, sparse_too, monkeypatch
):
    X = np.random.default_rng(0).standard_normal((20, 3))
    monkeypatch.setattr(module, "KEPT_BYTES", 4 * X.size)
    data = row_blocks(sparse.csr_array(X) if sparse_too else X)
    data.see(View(np.zeros(3), np.full(3, 2.0)), np.dtype(dtype))
    again = data.features(data.blocks[0], module.Workspace())
    assert (again is data.blocks[0].X) == kept


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("n_rows", [1, 3, 4, 23])
def test_sparse_blocks_are_the_rows(many_lanes, container, index_dtype, n_rows):
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((n_rows, 5)) * rng.integers(0, 2, (n_rows, 5))
    X = container(dense)
    X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
    for block in row_blocks(X).blocks:
        assert sparse.issparse(block.X)
        np.testing.assert_array_equal(block.X.toarray(), dense[block.rows])
        assert block.X.indices.dtype == index_dtype
        assert np.shares_memory(block.X.data, X.data) or block.X.nnz == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_dense_blocks_are_views_of_the_rows(many_lanes, order):
    X = np.asarray(np.random.default_rng(0).standard_normal((23, 5)), order=order)
    data = row_blocks(X)
    assert len(data.blocks) == 8
    for block in data.blocks:
        np.testing.assert_array_equal(block.X, X[block.rows])
        np.testing.assert_array_equal(block.y, np.arange(23)[block.rows])
        np.testing.assert_array_equal(block.weight, np.linspace(0, 1, 23)[block.rows])
        assert np.shares_memory(block.X, X)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("n_rows", [1, 4, 5, 99, 300])
def test_sum_is_the_sum_over_all_blocks(many_lanes, n_rows, n_threads):
    X = np.random.default_rng(0).standard_normal((n_rows, 3))

    def term(block, total):
        total += block.X.sum(axis=0)
        return float(block.y.sum())

    with Workers(n_threads) as workers:
        number, total = row_blocks(X).sum(term, (3,), workers)
    assert number == n_rows * (n_rows - 1) / 2
    np.testing.assert_allclose(total, X.sum(axis=0), rtol=1e-12, atol=1e-13)
    assert total.dtype == np.float64


def test_sum_has_the_same_bits_on_any_number_of_threads(many_lanes):
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
def test_sum_of_any_shape(many_lanes, shape):
    def term(block, total):
        total += 1.0
        return 1.0

    data = row_blocks(np.zeros((23, 1)))
    number, total = data.sum(term, shape, Workers(1))
    assert number == len(data.blocks)
    np.testing.assert_array_equal(total, np.full(shape, number))


def test_large_totals_get_fewer_lanes(many_lanes, monkeypatch):
    """Every lane holds a total of its own: memory, not only work, limits them."""

    def n_lanes(size):
        totals = set()

        def term(block, total):
            totals.add(id(total))
            alive.append(total)
            return 0.0

        alive = []
        row_blocks(np.zeros((200, 1))).sum(term, (size,), Workers(1))
        return len(totals)

    monkeypatch.setattr(module, "LANE_BYTES", 8 * 100)
    assert n_lanes(1) == module.MAX_LANES
    assert 2 <= n_lanes(25) <= 4
    assert n_lanes(101) == 1


@pytest.mark.parametrize("work", [0.0, 1.0, 7.9])
def test_little_work_is_one_lane(many_lanes, monkeypatch, work):
    monkeypatch.setattr(module, "LANE_WORK", 4.0)
    data, threads = row_blocks(np.zeros((99, 1)), work=work), set()
    with Workers(3) as workers:
        data.for_each(lambda block: threads.add(threading.get_ident()), workers)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("n_threads", THREADS)
def test_for_each_visits_every_row_once(many_lanes, n_threads):
    visits = np.zeros(99, dtype=int)

    def visit(block):
        visits[block.rows] += 1

    with Workers(n_threads) as workers:
        row_blocks(np.zeros((99, 1))).for_each(visit, workers)
    assert (visits == 1).all()


# Workers ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("n_threads", THREADS)
def test_run_calls_every_index_once(n_threads, count):
    seen = []
    with Workers(n_threads) as workers:
        workers.run(seen.append, count)
        workers.run(seen.append, count)
    assert sorted(seen) == sorted([*range(count), *range(count)])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_run_works_on_as_many_threads_as_allowed(n_threads):
    together = threading.Barrier(n_threads, timeout=PATIENCE)

    def meet(_):
        together.wait()

    with Workers(n_threads) as workers:
        # Passes only where n_threads calls are in progress at the same time.
        workers.run(meet, n_threads)


def test_one_thread_means_the_calling_thread():
    threads = []
    with Workers(1) as workers:
        workers.run(lambda _: threads.append(threading.get_ident()), 5)
    assert set(threads) == {threading.get_ident()}


@pytest.mark.parametrize("n_threads", THREADS)
def test_no_thread_is_left_after_exit(n_threads):
    before = set(threading.enumerate())
    with Workers(n_threads) as workers:
        workers.run(lambda _: None, 10)
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("n_threads", THREADS)
def test_no_thread_is_left_after_an_error(n_threads):
    def fail(_):
        raise ZeroDivisionError

    def use():
        with Workers(n_threads) as workers:
            workers.run(fail, 10)

    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        use()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("failing", [0, 3, 9])
@pytest.mark.parametrize("n_threads", THREADS)
def test_an_error_in_any_call_is_raised(n_threads, failing):
    def work(index):
        if index == failing:
            raise ZeroDivisionError(index)

    with Workers(n_threads) as workers:
        with pytest.raises(ZeroDivisionError, match=str(failing)):
            workers.run(work, 10)
        # and the workers can be used again
        seen = []
        workers.run(seen.append, 10)
        assert sorted(seen) == list(range(10))


def test_an_interrupt_of_the_caller_waits_for_the_helpers():
    """Work that goes on after `run` would write into arrays that others now own."""
    caller, busy, finished = threading.current_thread(), threading.Event(), []

    def work(index):
        if threading.current_thread() is caller:
            assert busy.wait(PATIENCE)
            raise KeyboardInterrupt
        busy.set()
        threading.Event().wait(0.05)
        finished.append(index)

    with Workers(2) as workers:
        with pytest.raises(KeyboardInterrupt):
            workers.run(work, 50)
        assert len(finished) == 1  # the call in progress, and none after it


def test_an_error_in_one_helper_waits_for_the_others():
    caller, failed, busy = (
        threading.current_thread(),
        threading.Event(),
        threading.Event(),
    )
    first, release, finished = threading.Lock(), threading.Event(), []

    def work(index):
        if threading.current_thread() is caller:
            assert failed.wait(PATIENCE)
        elif first.acquire(blocking=False):
            assert busy.wait(PATIENCE)
            failed.set()
            raise ZeroDivisionError
        else:
            busy.set()
            release.wait(0.1)
            finished.append(index)

    with Workers(3) as workers:
        with pytest.raises(ZeroDivisionError):
            workers.run(work, 3)
        still_working = not finished
        release.set()
    assert not still_working


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


@pytest.mark.parametrize(
    ("sparse_too", "ones"), [(False, False), (False, True), (True, False)]
)
def test_features_seen_in_another_dtype(many_lanes, sparse_too, ones, monkeypatch):
    """Kept or computed at each evaluation: the same bits, those of a rounded copy."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((23, 5)) * rng.integers(0, 2, (23, 5))
    center = np.zeros(5) if sparse_too else X.mean(axis=0)
    view = View(center, 1.0 / X.std(axis=0), 2.0**-26)
    wanted = view(X.copy()).astype(np.float32)
    X = sparse.csr_array(X) if sparse_too else X
    for kept in (0, module.KEPT_BYTES):
        monkeypatch.setattr(module, "KEPT_BYTES", kept)
        data = row_blocks(X)
        data.see(view, np.dtype(np.float32), ones=ones)
        if ones and kept:
            wanted = np.hstack([wanted, np.ones((23, 1), np.float32)])
        assert data.dtype == np.float32
        workspace = module.Workspace()
        for block in data.blocks:
            seen = data.features(block, workspace)
            assert seen.dtype == np.float32
            seen = seen.toarray() if sparse_too else seen
            np.testing.assert_array_equal(seen, wanted[block.rows])
        chosen = data.chosen_features(np.array([3, 20]))
        assert chosen.dtype == np.float32
        chosen = chosen.toarray() if sparse_too else chosen
        np.testing.assert_array_equal(chosen, wanted[[3, 20], :5])


@pytest.mark.parametrize("ones", [False, True])
def test_as_many_blocks_are_kept_as_fit(many_lanes, ones, monkeypatch):
    X = np.random.default_rng(0).standard_normal((40, 5))
    view = View(X.mean(axis=0), 1.0 / X.std(axis=0))
    monkeypatch.setattr(module, "KEPT_BYTES", 8 * 5 * 25)
    whole, partly = row_blocks(X), row_blocks(X)
    whole.see(view, ones=ones)
    partly.see(view, ones=ones, partly=True)
    assert not any(block.is_seen for block in whole.blocks)
    kept = [block.is_seen for block in partly.blocks]
    assert kept == sorted(kept, reverse=True)
    assert 20 < sum(len(block.y) for block in partly.blocks if block.is_seen) <= 25
    for block in partly.blocks:
        seen = partly.features(block, module.Workspace())
        assert seen.shape == (len(block.y), 5 + (ones and block.is_seen))
        np.testing.assert_array_equal(seen[:, :5], view(X[block.rows]))


@pytest.mark.parametrize(("n", "p"), [(1, 3), (40, 3), (41, 7), (5, 2000), (0, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_short_rows_are_scaled_several_at_a_time(n, p, order, monkeypatch):
    monkeypatch.setattr(view_module, "_MANY", 1)
    monkeypatch.setattr(view_module, "_ROW", 16)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)).astype(float, order=order)
    mean, scale = rng.standard_normal(p), rng.uniform(0.5, 2.0, p)
    out = np.empty((n, p))
    view_module.scaled_difference(X, mean, scale, out=out)
    np.testing.assert_array_equal(out, (X - mean) * scale)
