"""Row blocks: data cut into pieces that fit the cache, and ordered sums over them.

The arrays of one *block* stay in a core's cache between the forward and the backward
pass. Consecutive blocks form *shares*, and threads work on shares. A share adds its
blocks in order, and the sums of shares are added in order. Blocks and shares depend on
the shape of the problem, never on the number of threads: the sums are bit-identical for
any number of threads, and the memory of an evaluation does not grow with the rows.
"""

import threading
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sknn_simple._data.features import (
    Features,
    FeatureTransform,
    Order,
    with_values,
)
from sknn_simple._data.threads import Workers


class BlockSizes(NamedTuple):
    """Sizes of blocks and shares, and of what a pass over the columns takes."""

    # The arrays of a block should fit a core's second-level cache, 1 to 2 MiB on
    # current processors.
    block_bytes: float = 2**21
    # Each block of a sparse matrix adds an array of all columns to its share's sum.
    # This is cheap if the block has this number of values per column.
    values_per_column: int = 32
    # With fewer than 256 rows the overhead of a dozen calls per block dominates.
    min_rows: int = 256
    max_rows: int = 2**14
    # Limits the useful number of threads.
    max_shares: int = 16
    # The sums of all shares together.
    share_bytes: float = 2**26
    # Multiply-adds of a share. Starting work in a thread costs about 50 µs. With
    # smaller shares a second thread costs more time than it saves. With shares ten
    # times as large it saves a third.
    share_work: float = 1e7
    # Larger transformed features are not kept: each evaluation transforms them again.
    kept_bytes: float = 2**25
    # A first look at the columns takes about this number of evenly spaced rows.
    sample_rows: int = 1000
    # The buffer of differences from a shift. A quarter of it would fit the second-level
    # cache, but two threads then wait longer for Python's lock (1.0 to 1.3 of the
    # time).
    difference_bytes: int = 2**22


DEFAULT_SIZES = BlockSizes()


class Block(NamedTuple):
    """Consecutive rows: features (m, p), targets, weights (m,), and row numbers."""

    X: Features
    y: np.ndarray
    weight: np.ndarray
    rows: slice
    # The weights of the loss: (m, K) if those of the K labels differ, else `weight`.
    loss_weight: np.ndarray


class Workspace(threading.local):
    """Buffers of one thread, which all evaluations reuse; a copy has none."""

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Workspace, ()

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return an uninitialised C-contiguous array, the same memory at each call."""
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size or buffer.dtype != dtype:
            buffer = self._buffers[name] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)


class RowBlocks:
    """Data cut into blocks and shares, and ordered sums over them.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
        Features. Without a transform the blocks are views of it.
    y, weight : ndarray of shape (n_rows, ...) and (n_rows,)
        Targets, and weights that sum to 1.
    row_bytes : float, optional
        Memory in bytes that an evaluation uses per row of a block; by default that of
        the features in float64.
    work : float, default=1.0
        Multiply-adds of an evaluation, over all rows.
    loss_weight : ndarray of shape (n_rows, n_labels), optional
        Weights of the loss of each label; by default `weight` for all of them.
    transform : FeatureTransform, optional
        Applied to the features: once, if the result is small enough to be kept in this
        `order`, else block by block at each evaluation.
    dtype : dtype, optional
        Of the transformed features; by default that of X.
    """

    def __init__(
        self,
        X: Features,
        y: np.ndarray,
        weight: np.ndarray,
        *,
        row_bytes: float | None = None,
        work: float = 1.0,
        loss_weight: np.ndarray | None = None,
        transform: FeatureTransform | None = None,
        dtype: np.dtype | None = None,
        order: Order = "C",
        sizes: BlockSizes = DEFAULT_SIZES,
    ) -> None:
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype if dtype is None else dtype
        self.y, self.weight = y, weight
        self.loss_weight = weight if loss_weight is None else loss_weight
        self._X, self._transform, self.sizes = X, transform, sizes
        self._n_shares = self._worth_shares(work)
        least = sizes._replace(min_rows=_min_rows(X, sizes))
        row_bytes = row_bytes or 8.0 * self.n_features
        edges = block_edges(self.n_rows, row_bytes, self._n_shares, least)
        is_small = X.size * self.dtype.itemsize <= sizes.kept_bytes
        if is_small and (transform is not None or X.dtype != self.dtype):
            self._X = self._kept(order, edges)
            self._transform = None
        self.blocks = [
            Block(
                _rows(self._X, rows),
                y[rows],
                weight[rows],
                rows,
                self.loss_weight[rows],
            )
            for rows in (slice(*edge) for edge in edges)
        ]

    def _kept(self, order: Order, edges: list[tuple[int, int]]) -> Features:
        """Return all transformed features, computed block by block."""
        X = self._X
        if sparse.issparse(X):
            values = np.empty(X.nnz, self.dtype)
            for edge in edges:
                stored = slice(*X.indptr[list(edge)])
                values[stored] = self._transformed(_rows(X, slice(*edge))).data
            return with_values(X, values)
        kept = np.empty(X.shape, self.dtype, order)
        for start, stop in edges:
            kept[start:stop] = self._transformed(X[start:stop])
        return kept

    def _transformed(self, X: Features) -> Features:
        """Return some rows, transformed in the wider of both precisions."""
        X = _converted(X, np.result_type(X.dtype, self.dtype))
        if self._transform is not None:
            X = self._transform(X)
        return _converted(X, self.dtype)

    def features(self, block: Block, workspace: Workspace) -> Features:
        """Return a block's features, transformed."""
        X = block.X
        if self._transform is None and X.dtype == self.dtype:
            return X
        if sparse.issparse(X):
            return self._transformed(X)
        if self._transform is not None:
            wider = np.result_type(X.dtype, self.dtype)
            out = workspace.array("transformed", X.shape, wider)
            X = self._transform(X, out=out)
            if wider == self.dtype:
                return X
        converted = workspace.array("converted", X.shape, self.dtype)
        np.copyto(converted, X, casting="same_kind")
        return converted

    @property
    def some_rows(self) -> slice:
        """Evenly spaced rows, for a first look at the columns."""
        return slice(None, None, max(1, self.n_rows // self.sizes.sample_rows))

    def chosen_features(self, rows: np.ndarray | slice) -> Features:
        """Return some rows, transformed: a copy if `rows` are numbers."""
        return self._transformed(self._X[rows])

    def sum(
        self,
        term: Callable[[Block, np.ndarray], float],
        shape: tuple[int, ...],
        workers: Workers,
        work: float | None = None,
    ) -> tuple[float, np.ndarray]:
        """Return the sums of a scalar and of a float64 array over all blocks, in order.

        ``term(block, total)`` adds the block's array to `total`, of the given shape,
        and returns the block's scalar. `work` is the multiply-adds over all rows,
        if they differ from those of an evaluation.
        """
        if len(self.blocks) == 1:  # fits of small tables take 0.95 of the time
            total = np.zeros(shape)
            return term(self.blocks[0], total), total
        affordable = self.sizes.share_bytes // (8 * prod(shape) + 1)
        worth = self._n_shares if work is None else self._worth_shares(work)
        shares = self._shares(min(worth, affordable))
        numbers = [0.0] * len(shares)
        totals: list[np.ndarray] = [np.empty(0)] * len(shares)

        def add_share(index: int) -> None:
            total = np.zeros(shape)
            number = 0.0
            for block in shares[index]:
                number += term(block, total)
            numbers[index], totals[index] = number, total

        workers.run(add_share, len(shares))
        total = totals[0]
        for other in totals[1:]:
            total += other
        return sum(numbers), total

    def for_each(self, action: Callable[[Block], None], workers: Workers) -> None:
        """Call `action` once per block; blocks must not write to the same place."""
        shares = self._shares(self._n_shares)

        def run_share(index: int) -> None:
            for block in shares[index]:
                action(block)

        workers.run(run_share, len(shares))

    def _shares(self, most: float) -> list[list[Block]]:
        n_shares = _power_of_two_up_to(min(most, len(self.blocks)))
        edges = [len(self.blocks) * i // n_shares for i in range(n_shares + 1)]
        return [self.blocks[start:stop] for start, stop in pairwise(edges)]

    def _worth_shares(self, work: float) -> int:
        """Return the number of shares that pays for this number of multiply-adds."""
        sizes = self.sizes
        return _power_of_two_up_to(min(sizes.max_shares, work / sizes.share_work))


def block_edges(
    n_rows: int, row_bytes: float, n_shares: int = 1, sizes: BlockSizes = DEFAULT_SIZES
) -> list[tuple[int, int]]:
    """Return the (start, stop) of row blocks of nearly equal length.

    Their number is a multiple of the number of shares, so that all threads have the
    same number of blocks.
    """
    rows = int(min(max(sizes.block_bytes / row_bytes, sizes.min_rows), sizes.max_rows))
    n_blocks = -(-n_rows // rows)
    shared_by = _power_of_two_up_to(min(n_shares, n_blocks))
    n_blocks = min(shared_by * -(-n_blocks // shared_by), n_rows)
    edges = [n_rows * i // n_blocks for i in range(n_blocks + 1)]
    return list(pairwise(edges))


def _min_rows(X: Features, sizes: BlockSizes) -> int:
    """Return the smallest number of rows of a block."""
    if not sparse.issparse(X):
        return sizes.min_rows
    values_per_row = max(1.0, X.nnz / X.shape[0])
    enough = sizes.values_per_column * X.shape[1] / values_per_row
    return max(sizes.min_rows, int(enough))


def _power_of_two_up_to(count: float) -> int:
    """Return the largest power of two up to `count`, at least 1.

    The number of threads is usually a power of two, and all then get equal shares.
    """
    return 1 << max(0, int(count).bit_length() - 1)


def _converted(X: Features, dtype: np.dtype) -> Features:
    """Return X in a precision: X itself, or new values.

    SciPy's ``astype`` would copy the indices, too.
    """
    if sparse.issparse(X) and X.dtype != dtype:
        return with_values(X, X.data.astype(dtype))
    return X.astype(dtype, copy=False)


def _rows(X: Features, rows: slice) -> Features:
    """Return rows of X as a view, because slicing a CSR matrix copies them."""
    if not sparse.issparse(X):
        return X[rows]
    start, stop = rows.start, rows.stop
    if (start, stop) == (0, X.shape[0]):
        return X
    first, last = X.indptr[start], X.indptr[stop]
    block = sparse.csr_array((stop - start, X.shape[1]), dtype=X.dtype)
    block.data = X.data[first:last]
    block.indices = X.indices[first:last]
    block.indptr = X.indptr[start : stop + 1] - first
    return block
