"""Row blocks: cutting data into pieces that fit the cache, and reducing over them.

Sums over rows are made of *blocks*, small enough that the arrays of one block stay in
a core's cache between the forward and the backward pass, grouped into *lanes*. A lane
adds its blocks in order; the lanes' sums are added in order. Both are cut by the shape
of the problem and never by the number of threads, so the sums have the same bits on
any number of threads, and the memory of an evaluation does not grow with the rows.
"""

import threading
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, View, n_stored, with_values
from sknn_simple._data.threads import Workers

# A block's arrays should stay in one core's second-level cache, 1 to 2 MiB on current
# processors; larger blocks make the products a little faster.
BLOCK_BYTES = 2**21
# Where threads work on lanes side by side, on each of the dozen steps on a block they
# wait for Python's lock: with half as many blocks a million rows take 42 ms, not 48.
SHARED_BLOCK_BYTES = 2**22
MIN_BLOCK_ROWS = 256
MAX_BLOCK_ROWS = 2**14
# Lanes bound the useful number of threads; each holds a vector of parameters.
MAX_LANES = 16
LANE_BYTES = 2**26
# Multiply-adds of a lane. Handing work to a thread costs about 50 µs, and so does each
# of the dozen steps on a block at which two threads wait for Python's lock: with less
# than this a second thread loses time, with ten times as much it saves a third.
LANE_WORK = 1e7
# Every block of a sparse matrix adds an array of all columns to its lane's sum, three
# passes over it. Where there are this many stored values per column, they are cheap.
BLOCK_VALUES_PER_COLUMN = 32
# A block touches so many times the bytes of the sum that it is added to, as long as
# there is one for each lane and up to a size: evaluations of 784 hidden units and as
# many features, 5 MB, take 0.92 times as long for it.
SUM_FACTOR = 4.0
LARGE_BLOCK_BYTES = 2**24
# Features seen otherwise than they are stored are kept if they have this size at most.
KEPT_BYTES = 2**25


class Block(NamedTuple):
    """Consecutive rows: features (m, p), targets and weights (m,), and their place.

    `is_seen` says that the features are as a view sees them; they may then have a
    column of ones behind them. See `RowBlocks.see`.
    """

    X: Features
    y: np.ndarray
    weight: np.ndarray
    rows: slice
    is_seen: bool = False


class Workspace(threading.local):
    """Buffers of one thread, kept between evaluations, so that none is allocated."""

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return an uninitialised C-contiguous array, the same memory at each call."""
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size or buffer.dtype != dtype:
            buffer = self._buffers[name] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)


class RowBlocks:
    """Data cut into blocks and lanes, and ordered sums over them.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
        Features. Blocks are views; nothing is copied.
    y : ndarray of shape (n_rows, ...)
        Targets, cut with the rows.
    weight : ndarray of shape (n_rows,)
        Weights divided by their sum.
    row_bytes : float
        Bytes that one row of a block touches during an evaluation.
    work : float
        Multiply-adds of an evaluation, over all rows.
    sum_bytes : float, default=0.0
        Bytes of the array that an evaluation sums over the blocks.
    """

    def __init__(
        self,
        X: Features,
        y: np.ndarray,
        weight: np.ndarray,
        *,
        row_bytes: float,
        work: float,
        sum_bytes: float = 0.0,
    ) -> None:
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype
        self._X, self.y, self.weight = X, y, weight
        self._view: View | None = None
        most = _most_lanes(work)
        worth = min(SUM_FACTOR * sum_bytes, LARGE_BLOCK_BYTES) / row_bytes
        min_rows = max(_min_rows(X), min(worth, self.n_rows / most))
        edges = block_edges(self.n_rows, row_bytes, min_rows, most)
        self._n_lanes = min(most, _power_of_two_up_to(len(edges)))
        self.blocks = [
            Block(
                _rows(X, start, stop),
                y[start:stop],
                weight[start:stop],
                slice(start, stop),
            )
            for start, stop in edges
        ]

    def see(
        self,
        view: View,
        dtype: np.dtype | None = None,
        *,
        ones: bool = False,
        partly: bool = False,
    ) -> None:
        """See the features through `view`, and in another dtype, from now on.

        Where they are small a copy is kept, with `ones` of dense features one with a
        column of ones behind them. Else they are computed block by block at each
        evaluation, into the same memory; to put ones there would take longer than it
        saves. With `partly` the first blocks are kept, as many as are small together.
        """
        self.dtype = self.dtype if dtype is None else dtype
        self._view = view
        room = KEPT_BYTES // self.dtype.itemsize
        if n_stored(self._X) > room and not partly:
            return
        for index, block in enumerate(self.blocks):
            room -= n_stored(block.X)
            if room < 0:
                return
            kept = self._seen(block.X, view, ones)
            self.blocks[index] = block._replace(X=kept, is_seen=True)

    def _seen(self, X: Features, view: View, ones: bool = False) -> Features:
        if sparse.issparse(X):
            return with_values(X, view(X).data.astype(self.dtype, copy=False))
        seen = np.ones((X.shape[0], self.n_features + ones), self.dtype)
        seen[:, : self.n_features] = view(X)
        return seen

    def features(self, block: Block, workspace: Workspace) -> Features:
        """Return a block's X as it is seen."""
        if block.is_seen or self._view is None:
            return block.X
        X = block.X
        if sparse.issparse(X):
            return self._seen(X, self._view)
        seen = self._view(X, out=workspace.array("features", X.shape, X.dtype))
        if X.dtype == self.dtype:
            return seen
        rounded = workspace.array("rounded features", X.shape, self.dtype)
        np.copyto(rounded, seen, casting="same_kind")
        return rounded

    def chosen_features(self, rows: np.ndarray | slice) -> Features:
        """Return rows of X as they are seen: of numbers a copy, of a slice a view."""
        X = self._X[rows]
        if self._view is not None:
            X = self._view(X)
        return X.astype(self.dtype, copy=False)

    def _lanes(self, most: float) -> list[list[Block]]:
        n_lanes = _power_of_two_up_to(min(most, len(self.blocks)))
        if n_lanes == 1:
            return [self.blocks]
        edges = [len(self.blocks) * i // n_lanes for i in range(n_lanes + 1)]
        return [self.blocks[start:stop] for start, stop in pairwise(edges)]

    def sum(
        self,
        term: Callable[[Block, np.ndarray], float],
        shape: tuple[int, ...],
        workers: Workers,
        work: float | None = None,
    ) -> tuple[float, np.ndarray]:
        """Sum a number and an array over all blocks, in a fixed order.

        Parameters
        ----------
        term : callable
            ``term(block, total)`` adds the block's array to `total` and returns the
            block's number.
        shape : tuple of int
            Shape of the array.
        workers : Workers
            The threads to use.
        work : float, optional
            Multiply-adds over all rows, if not those of an evaluation.

        Returns
        -------
        number : float
        total : ndarray of float64 of the given shape
        """
        affordable = LANE_BYTES // (8 * prod(shape) + 1)
        most = self._n_lanes if work is None else _most_lanes(work)
        lanes = self._lanes(min(most, affordable))
        numbers = [0.0] * len(lanes)
        totals: list[np.ndarray] = [np.empty(0)] * len(lanes)

        def run_lane(lane: int) -> None:
            total = np.zeros(shape)
            number = 0.0
            for block in lanes[lane]:
                number += term(block, total)
            numbers[lane], totals[lane] = number, total

        workers.run(run_lane, len(lanes))
        total = totals[0]
        for other in totals[1:]:
            total += other
        return sum(numbers), total

    def for_each(self, action: Callable[[Block], None], workers: Workers) -> None:
        """Call `action` once per block; blocks must not write to the same place."""
        lanes = self._lanes(self._n_lanes)

        def run_lane(lane: int) -> None:
            for block in lanes[lane]:
                action(block)

        workers.run(run_lane, len(lanes))


def block_edges(
    n_rows: int,
    row_bytes: float,
    min_rows: float = MIN_BLOCK_ROWS,
    n_lanes: int = 1,
) -> list[tuple[int, int]]:
    """Return the (start, stop) of row blocks of nearly equal length.

    Their number is a multiple of the lanes that they are shared by, so that no thread
    waits for another with one block more.
    """
    block_bytes = BLOCK_BYTES if n_lanes == 1 else SHARED_BLOCK_BYTES
    rows = int(min(max(block_bytes / row_bytes, min_rows), MAX_BLOCK_ROWS))
    n_blocks = -(-n_rows // rows)
    shared_by = _power_of_two_up_to(min(n_lanes, n_blocks))
    n_blocks = min(shared_by * -(-n_blocks // shared_by), n_rows)
    edges = [n_rows * i // n_blocks for i in range(n_blocks + 1)]
    return list(pairwise(edges))


def _min_rows(X: Features) -> float:
    """Return the fewest rows that are worth a block."""
    if not sparse.issparse(X):
        return MIN_BLOCK_ROWS
    values_per_row = max(1.0, X.nnz / X.shape[0])
    worth = BLOCK_VALUES_PER_COLUMN * X.shape[1] / values_per_row
    return max(MIN_BLOCK_ROWS, worth)


def _most_lanes(work: float) -> int:
    """Return how many lanes so many multiply-adds are worth."""
    return _power_of_two_up_to(min(MAX_LANES, work / LANE_WORK))


def _power_of_two_up_to(count: float) -> int:
    """Return the largest power of two up to a count, at least 1.

    As many lanes are shared evenly by as many threads as processors mostly have.
    """
    return 1 << max(0, int(count).bit_length() - 1)


def _rows(X: Features, start: int, stop: int) -> Features:
    """Return rows of X as a view; slicing a CSR matrix would copy them."""
    if not sparse.issparse(X):
        return X[start:stop]
    if (start, stop) == (0, X.shape[0]):
        return X
    first, last = X.indptr[start], X.indptr[stop]
    block = sparse.csr_array((stop - start, X.shape[1]), dtype=X.dtype)
    block.data = X.data[first:last]
    block.indices = X.indices[first:last]
    block.indptr = X.indptr[start : stop + 1] - first
    return block
