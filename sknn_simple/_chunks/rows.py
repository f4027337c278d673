"""The rows of chunks, read where they are, their columns measured and sampled.

There are two passes: over labels and weights, and over features.
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from sknn_simple._chunks.collections import Chunk
from sknn_simple._chunks.engine import Engine, Lazy, at_aligned_addresses
from sknn_simple._chunks.labels import (
    Aside,
    ChunkLabels,
    LabelTotals,
    checked_labels,
    naming_the_chunk,
    read_labels,
)
from sknn_simple._chunks.training import ChunkedRows
from sknn_simple._data.moments import ROUNDING, column_moments
from sknn_simple._data.row_blocks import RowBlocks
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import SMALLEST_WEIGHT, TrainingSet
from sknn_simple._data.two_valued import two_values
from sknn_simple._input.kinds import check_kind
from sknn_simple._input.validation import canonical
from sknn_simple._training.heuristics import (
    ARRAY_BYTES,
    CLASS_ROWS,
    GROUP_WORK,
    SEARCH_ROWS,
    Thresholds,
)
from sknn_simple._training.problem import Columns, needs_float64
from sknn_simple._training.subsampling import systematic_draw


class Table(NamedTuple):
    """What the features of all chunks are to have in common."""

    n_features: int
    dtype: np.dtype
    is_sparse: bool = False
    # The names of the columns, an index of pandas, if X is a dataframe. Dask would look
    # for lazy values among those of a tuple, in each task.
    columns: Any = None
    # Follows the names of the arguments in messages.
    suffix: str = ""
    # The dtype of the features before they were converted, if they were.
    precision: np.dtype | None = None

    @property
    def row_bytes(self) -> int:
        return self.n_features * self.dtype.itemsize

    def without_rows(
        self, classes: np.ndarray, multilabel: bool = False
    ) -> TrainingSet:
        """Return a set without rows, for checks before any chunk is read."""
        X, none = np.empty((0, self.n_features), self.dtype), np.empty(0)
        return TrainingSet(X, none, none, 1.0, classes, multilabel)

    def features(self, X: Any) -> Any:
        """Return the checked features of a chunk, as an array or as CSR."""
        check_kind("X", X)
        self._check_names(X)
        X = check_array(
            X,
            accept_sparse="csr",
            dtype=self.dtype,
            ensure_min_samples=0,
            input_name="X",
        )
        if X.shape[1] != self.n_features:
            raise ValueError(f"it has {X.shape[1]} columns, not {self.n_features}.")
        return at_aligned_addresses(canonical(X))

    def _check_names(self, X: Any) -> None:
        """Raise ValueError if a chunk has other columns than the dataframe."""
        if self.columns is None or self.columns.equals(X.columns):
            return
        same = set(X.columns) == set(self.columns)
        raise ValueError(
            f"its columns are {list(X.columns)}, but those of the dataframe are "
            f"{list(self.columns)}{', in this order' if same else ''}. Give all "
            "partitions the same columns: frame.map_partitions(lambda part, names: "
            "part[names], list(frame.columns))."
        )


class Reader(NamedTuple):
    """Makes training rows of a chunk of X, y and weights."""

    table: Table
    target: LabelTotals

    def __call__(self, X: Any, y: Any, weight: Any, number: int) -> TrainingSet:
        """Return the rows of chunk `number`; weights of all chunks sum to 1."""
        target, suffix = self.target, self.table.suffix
        with naming_the_chunk(number, f"X{suffix}"):
            X = self.table.features(X)
        labels, weight = checked_labels(y, weight, number, suffix)
        with naming_the_chunk(number, f"y{suffix}"):
            if X.shape[0] != len(labels):
                raise ValueError(
                    f"it has {len(labels)} rows, but X{suffix} has {X.shape[0]}."
                )
            codes = self._codes(labels)
        weight = weight / target.largest
        if target.class_weight is not None and codes.ndim == 1:
            weight = weight * target.class_weight[codes]
        kept = weight > SMALLEST_WEIGHT * max(sum(target.n_rows), 1)
        if target.aside is not None and len(labels):
            kept &= target.aside.rows(labels, number) == target.is_aside
        if not kept.all():
            X, codes, weight = X[kept], codes[kept], weight[kept]
        if len(target.classes) == 2 and not target.multilabel:
            codes = codes.reshape(-1, 1).astype(np.float64)
        return TrainingSet(
            X,
            codes,
            weight / target.weight_sum,
            target.total_weight,
            target.classes,
            target.multilabel,
            target.class_weight,
            mean_weight=target.mean_weight,
        )

    def _codes(self, labels: np.ndarray) -> np.ndarray:
        """Return class numbers, or the indicator matrix."""
        classes = self.target.classes
        if labels.ndim == 2:
            return labels
        if not len(labels):
            return np.empty(0, np.intp)
        codes = np.searchsorted(classes, labels)
        unknown = classes[np.minimum(codes, len(classes) - 1)] != labels
        if unknown.any():
            raise ValueError(
                f"it holds the label {labels[unknown][0]!r}, which is not among the "
                f"classes {classes.tolist()}."
            )
        return codes


class ChunkColumns(NamedTuple):
    """The measures of the columns of one chunk, and some of its rows."""

    n_rows: int
    # The sum of the weights.
    weight_sum: float
    # (4, n_features): mean, deviation, and the lowest and the highest value of columns
    # with at most two values; NaN for others.
    measures: np.ndarray
    sample: TrainingSet


def shares(wanted: float, n_rows: int, counts: np.ndarray, least: int) -> np.ndarray:
    """Return the share of each class that gives a sample of about `wanted` rows.

    `counts` are the rows of each class, or of each label's two values. A class is rare
    if its share of the sample would be less than twice as many rows as `least`, of
    which it then gets about this number. If many classes are rare, their own rows are,
    besides their share, at most half of those wanted.
    """
    fraction = wanted / n_rows
    is_rare = fraction * counts < 2 * least
    own_rows = min(least, wanted / (2 * max(np.count_nonzero(is_rare), 1)))
    own = np.clip(own_rows / np.maximum(counts, 1.0), fraction, 1.0)
    return np.where(is_rare, own, fraction)


def measure_columns(
    rows: Sequence[TrainingSet],
    shares: np.ndarray,
    precision: np.dtype | None,
    numbers: Sequence[int],
) -> list[ChunkColumns]:
    """Measure the columns of chunks that have rows, and draw some of their rows.

    `precision` is the dtype of the features before they were converted, if they were,
    and `numbers` are those of the chunks.
    """
    with np.errstate(all="ignore"), limit_blas_threads:
        return [
            _measure(each, shares, precision, number)
            for each, number in zip(rows, numbers, strict=True)
            if each.n_rows
        ]


def _measure(
    rows: TrainingSet, shares: np.ndarray, precision: np.dtype | None, number: int
) -> ChunkColumns:
    rows, workers = at_aligned_addresses(rows), Workers(1)
    weight_sum = float(rows.weight.sum())
    blocks = RowBlocks(rows.X, rows.y, rows.weight / weight_sum)
    with naming_the_chunk(number, "X"):
        moments = column_moments(blocks, workers, precision)
    measures = np.array([*moments, *two_values(blocks, workers)])
    sample = _sample(rows, shares, number)
    return ChunkColumns(rows.n_rows, weight_sum, measures, sample)


def _sample(rows: TrainingSet, shares: np.ndarray, number: int) -> TrainingSet:
    """Return some rows, which stand for those that are not drawn.

    The rows of a rare class may be in one chunk, or one in each: the draw of each chunk
    has a start of its own.
    """
    if rows.multilabel:  # the share of the rarest value of each row
        share = np.where(rows.y > 0.0, shares[:, 1], shares[:, 0]).max(axis=1)
    else:
        share = shares[rows.codes()]
    kept = systematic_draw(share, np.random.default_rng(number).random())
    weight = rows.weight[kept] / share[kept]
    return rows._replace(X=rows.X[kept], y=rows.y[kept], weight=weight)


def merged_columns(chunks: Sequence[ChunkColumns], dtype: np.dtype) -> Columns:
    """Return the measures of the columns over all chunks.

    The variance is the mean of the variances of the chunks, plus the variance of their
    means (Chan, Golub and LeVeque 1983, as in ``moments``).
    """
    share = np.array([chunk.weight_sum for chunk in chunks])
    share = share / share.sum()
    measures = np.stack([chunk.measures for chunk in chunks], axis=1)
    means, deviations, lows, highs = measures
    mean = means[0] + share @ (means - means[0])
    deviation = np.sqrt(share @ (deviations**2 + (means - mean) ** 2))
    # The mean of a constant column is its value.
    lowest, highest = means.min(axis=0), means.max(axis=0)
    constant = ~deviations.any(axis=0)
    constant &= highest - lowest <= ROUNDING[dtype] * np.abs(lowest)
    mean[constant], deviation[constant] = lowest[constant], 0.0
    # A column has two values if each value of each chunk is one of the two.
    low, high = lows.min(axis=0), highs.max(axis=0)
    ends = np.concatenate([lows, highs])
    has_two = ((ends == low) | (ends == high)).all(axis=0)
    return Columns(mean, deviation, np.where(has_two, (high - low) / 2.0, 0.0))


def merged_sample(chunks: Sequence[ChunkColumns]) -> TrainingSet:
    """Return the sampled rows of all chunks; their weights sum to 1."""
    samples = [chunk.sample for chunk in chunks]
    is_sparse = any(sparse.issparse(sample.X) for sample in samples)
    stack: Any = partial(sparse.vstack, format="csr") if is_sparse else np.concatenate
    weight = np.concatenate([sample.weight for sample in samples])
    return samples[0]._replace(
        X=stack([sample.X for sample in samples]),
        y=np.concatenate([sample.y for sample in samples]),
        weight=weight / weight.sum(),
    )


class Source(NamedTuple):
    """Collections that were cut into chunks, and what computes them."""

    engine: Engine
    chunks: list[Chunk]
    table: Table
    # Whether workers keep the rows, or each pass reads them.
    persist: bool

    def count_labels(self, aside: Aside | None = None) -> list[ChunkLabels]:
        """Check and count the labels of every chunk: a pass over y and the weights."""
        call, suffix = self.engine.call, self.table.suffix
        return self.engine.collect(
            [
                call(read_labels, chunk.y, chunk.weight, number, aside, suffix)
                for number, chunk in enumerate(self.chunks)
            ]
        )

    def check_memory(self, n_rows: int) -> None:
        """Raise MemoryError if the workers are to keep the rows, and cannot."""
        client: Any = self.engine.client
        if client is None or not self.persist:
            return
        import dask

        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [worker["memory_limit"] for worker in workers]
        # A worker without a limit has 0; sparse rows have an unknown size.
        if not limits or not all(limits) or self.table.is_sparse:
            return
        share = dask.config.get("distributed.worker.memory.target", 0.6) or 1.0
        needed = n_rows * (self.table.row_bytes + 16)
        if needed > share * sum(limits):
            raise MemoryError(
                f"The rows take {needed:,} bytes, and the {len(limits)} workers can "
                f"keep {int(share * sum(limits)):,} of their {sum(limits):,} bytes. Set"
                " persist=False, so that every pass reads the rows again, or add "
                "workers."
            )

    def training_rows(
        self, target: LabelTotals, n_params: int
    ) -> tuple[TrainingSet, TrainingSet | None]:
        """Return the training rows, and those that are set aside, if any.

        They are samples, with all rows behind them: one pass over X.
        """
        groups, table = self._groups(target, n_params), self.table
        targets = [target]
        if target.aside is not None:
            targets.append(target.of_rows_aside())
        rows, *apart = self._read([Reader(table, each) for each in targets], groups)
        sampled = self.engine.send(self._shares(target, n_params))
        tasks = [
            self.engine.call(measure_columns, part, sampled, table.precision, numbers)
            for part, numbers in zip(rows, groups, strict=True)
        ]
        measured = list(chain.from_iterable(self.engine.collect(tasks)))
        columns = merged_columns(measured, table.precision or table.dtype)
        data = merged_sample(measured)
        if needs_float64(data.X, columns):
            wider = table._replace(dtype=np.dtype(np.float64), precision=table.dtype)
            return self._replace(table=wider).training_rows(target, n_params)
        # Rows of weight 0 do not count.
        n_kept = sum(chunk.n_rows for chunk in measured)
        data = data._replace(chunks=ChunkedRows(self.engine, rows, n_kept, columns))
        if not apart:
            return data, None
        return data, self._held_out(data, apart[0], targets[1])

    def validation_rows(
        self, data: TrainingSet, target: LabelTotals, n_params: int
    ) -> TrainingSet:
        """Return validation rows, all of which are elsewhere."""
        reader = Reader(self.table._replace(dtype=data.X.dtype), target)
        [rows] = self._read([reader], self._groups(target, n_params))
        return self._held_out(data, rows, target)

    def _held_out(
        self, data: TrainingSet, rows: list[Lazy], target: LabelTotals
    ) -> TrainingSet:
        return data.without_rows()._replace(
            total_weight=target.total_weight,
            mean_weight=target.mean_weight,
            chunks=ChunkedRows(self.engine, rows, sum(target.n_rows)),
        )

    def _shares(self, target: LabelTotals, n_params: int) -> np.ndarray:
        """Return the share of each class in a sample as large as of rows in memory."""
        n_rows = target.n_counted
        step = max(Thresholds().subsample_step, n_params)
        wanted = min(n_rows / step, ARRAY_BYTES / self.table.row_bytes)
        wanted = min(n_rows, max(SEARCH_ROWS, wanted))
        return shares(wanted, n_rows, target.counts, 2 * CLASS_ROWS)

    def _groups(self, target: LabelTotals, n_params: int) -> list[list[int]]:
        """Return the numbers of the chunks, joined to groups."""
        groups: list[list[int]] = []
        work = max(self.table.row_bytes / ARRAY_BYTES, n_params / GROUP_WORK)
        size = np.inf
        for number, n_rows in enumerate(target.n_rows):
            if size + n_rows * work > 1.0:
                groups.append([])
                size = 0.0
            groups[-1].append(number)
            size += n_rows * work
        return groups

    def _read(self, readers: list[Reader], groups: list[list[int]]) -> list[list[Lazy]]:
        """Return, per reader, the groups as lazy sequences of rows."""
        rows = []
        for reader in map(self.engine.send, readers):
            for numbers in groups:
                chunks = chain.from_iterable(self.chunks[number] for number in numbers)
                rows.append(self.engine.call(_read, reader, numbers, *chunks))
        if self.persist:  # at once, because all readers need the same chunks
            rows = self.engine.persist(rows)
        starts = range(0, len(rows), len(groups))
        return [rows[start : start + len(groups)] for start in starts]


def _read(reader: Reader, numbers: list[int], *parts: Any) -> list[TrainingSet]:
    """Return the rows of chunks from their features, labels and weights."""
    chunks = zip(parts[::3], parts[1::3], parts[2::3], numbers, strict=True)
    return [reader(*chunk) for chunk in chunks]
