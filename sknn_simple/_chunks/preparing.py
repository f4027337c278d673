"""From Dask collections to a training set: two passes, over labels and over rows."""

from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._chunks.collections import Chunk
from sknn_simple._chunks.engine import Engine, Lazy
from sknn_simple._chunks.labels import Aside, ChunkLabels, LabelTotals, read_labels
from sknn_simple._chunks.rows import (
    Reader,
    draw,
    measure_columns,
    merged_columns,
    merged_sample,
)
from sknn_simple._chunks.training import ChunkedRows
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._training.heuristics import (
    ARRAY_BYTES,
    CLASS_ROWS,
    GROUP_WORK,
    SEARCH_ROWS,
    Thresholds,
)
from sknn_simple._training.problem import needs_float64


class Source(NamedTuple):
    """Collections that were cut into chunks, and how to read them."""

    chunks: list[Chunk]
    n_features: int
    dtype: np.dtype
    is_sparse: bool
    # Whether workers keep the rows, or each pass reads them.
    persist: bool
    # The dtype of the features before they were converted, if they were.
    precision: np.dtype | None = None
    # The names of the columns of a dataframe, an index of pandas.
    columns: Any = None

    def without_rows(
        self, classes: np.ndarray, multilabel: bool = False
    ) -> TrainingSet:
        """Return a set without rows, for checks before any chunk is read."""
        X, none = np.empty((0, self.n_features), self.dtype), np.empty(0)
        return TrainingSet(X, none, none, 1.0, classes, multilabel)


def count_labels(
    engine: Engine, source: Source, aside: Aside | None = None, suffix: str = ""
) -> list[ChunkLabels]:
    """Check and count the labels of every chunk: a pass over y and the weights."""
    return engine.collect(
        [
            engine.call(read_labels, chunk.y, chunk.weight, number, aside, suffix)
            for number, chunk in enumerate(source.chunks)
        ]
    )


def check_memory(client: Any, source: Source, n_rows: int) -> None:
    """Raise MemoryError if the workers are to keep the rows, and cannot."""
    if client is None or not source.persist:
        return
    import dask

    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    limits = [worker["memory_limit"] for worker in workers]
    # A worker without a limit has 0; sparse rows have an unknown size.
    if not limits or not all(limits) or source.is_sparse:
        return
    target = dask.config.get("distributed.worker.memory.target", 0.6)
    share = target if target else 1.0
    needed = n_rows * (source.n_features * source.dtype.itemsize + 16)
    if needed > share * sum(limits):
        raise MemoryError(
            f"The rows take {needed:,} bytes, and the {len(limits)} workers can keep "
            f"{int(share * sum(limits)):,} of their {sum(limits):,} bytes. Set "
            "persist=False, so that every pass reads the rows again, or add workers."
        )


def training_rows(
    engine: Engine,
    source: Source,
    target: LabelTotals,
    n_params: int,
    aside: Aside | None,
) -> tuple[TrainingSet, TrainingSet | None]:
    """Return the training rows, and those that are set aside, if any.

    They are samples, with all rows behind them: one pass over X.
    """
    names = source.columns
    readers = [Reader(target, source.n_features, source.dtype, names, aside)]
    if aside is not None:
        apart = target._replace(weight_sum=target.weight_sum_aside)
        readers.append(readers[0]._replace(target=apart, reads_aside=True))
    groups = _groups(source, target, n_params)
    sets = [_lazy_rows(engine, source, reader, groups) for reader in readers]
    if source.persist:  # at once: both need the same chunks
        kept = engine.persist([*chain.from_iterable(sets)])
        sets = [kept[: len(groups)], kept[len(groups) :]]
    data = _training_set(engine, source, target, sets[0], groups, n_params)
    if data is None:
        wider = source._replace(dtype=np.dtype(np.float64), precision=source.dtype)
        return training_rows(engine, wider, target, n_params, aside)
    if aside is None:
        return data, None
    return data, _set_of_chunks(engine, data, sets[1], readers[1].target)


def validation_rows(
    engine: Engine,
    source: Source,
    data: TrainingSet,
    target: LabelTotals,
    n_params: int,
) -> TrainingSet:
    """Return validation rows, all of which are elsewhere."""
    of_source = source.n_features, data.X.dtype, source.columns
    reader = Reader(target, *of_source, suffix="_val")
    groups = _groups(source, target, n_params)
    rows = _lazy_rows(engine, source, reader, groups)
    if source.persist:
        rows = engine.persist(rows)
    return _set_of_chunks(engine, data, rows, target)


def _set_of_chunks(
    engine: Engine, data: TrainingSet, rows: list[Lazy], target: LabelTotals
) -> TrainingSet:
    return data.without_rows()._replace(
        total_weight=target.total_weight,
        mean_weight=target.mean_weight,
        chunks=ChunkedRows(engine, rows, sum(target.n_rows)),
    )


def _training_set(
    engine: Engine,
    source: Source,
    target: LabelTotals,
    rows: list[Lazy],
    groups: list[list[int]],
    n_params: int,
) -> TrainingSet | None:
    """Return the sample with all rows behind it; None if float32 loses digits."""
    n_rows = target.n_counted
    wanted = _sample_rows(n_rows, n_params, source)
    sampled = draw(wanted, n_rows, target.counts, 2 * CLASS_ROWS)
    sampled = engine.send(sampled)
    tasks = [
        engine.call(measure_columns, part, sampled, source.precision, numbers)
        for part, numbers in zip(rows, groups, strict=True)
    ]
    measured = list(chain.from_iterable(engine.collect(tasks)))
    columns = merged_columns(measured, source.precision or source.dtype)
    sample = merged_sample(measured)
    if needs_float64(sample.X, columns):
        return None
    # Rows of weight 0 do not count.
    n_kept = sum(chunk.n_rows for chunk in measured)
    return sample._replace(chunks=ChunkedRows(engine, rows, n_kept, columns))


def _sample_rows(n_rows: int, n_params: int, source: Source) -> float:
    # As for rows in memory.
    step = max(Thresholds().subsample_step, n_params)
    row_bytes = source.n_features * source.dtype.itemsize
    wanted = min(n_rows / step, ARRAY_BYTES / row_bytes)
    return min(n_rows, max(SEARCH_ROWS, wanted))


def _groups(source: Source, target: LabelTotals, n_params: int) -> list[list[int]]:
    """Return the numbers of the chunks, joined to groups."""
    groups: list[list[int]] = []
    row_bytes = source.n_features * source.dtype.itemsize
    size = np.inf
    for number, n_rows in enumerate(target.n_rows):
        part = n_rows * max(row_bytes / ARRAY_BYTES, n_params / GROUP_WORK)
        if size + part > 1.0:
            groups.append([])
            size = 0.0
        groups[-1].append(number)
        size += part
    return groups


def _lazy_rows(
    engine: Engine, source: Source, reader: Reader, groups: list[list[int]]
) -> list[Lazy]:
    """Return the groups as lazy sequences of rows."""
    reader = engine.send(reader)
    rows = []
    for numbers in groups:
        parts = chain.from_iterable(source.chunks[number] for number in numbers)
        rows.append(engine.call(_read, reader, numbers, *parts))
    return rows


def _read(reader: Reader, numbers: list[int], *parts: Any) -> list[TrainingSet]:
    """Return the rows of chunks from their features, labels and weights."""
    chunks = zip(parts[::3], parts[1::3], parts[2::3], numbers, strict=True)
    return [reader(*chunk) for chunk in chunks]
