"""From Dask collections to a training set: two passes, over labels and over rows."""

from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._chunks.collections import Chunk
from sknn_simple._chunks.engine import Engine, Lazy
from sknn_simple._chunks.labels import Aside, ChunkLabels, LabelTotals, read_labels
from sknn_simple._chunks.rows import (
    Reader,
    Table,
    measure_columns,
    merged_columns,
    merged_sample,
    shares,
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
        readers = [Reader(table, target)]
        if target.aside is not None:
            readers.append(Reader(table, target.of_rows_aside(), reads_aside=True))
        rows, *apart = self._read(readers, groups)
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
        return data, self._held_out(data, apart[0], readers[1].target)

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
        chunks = [
            list(chain.from_iterable(self.chunks[number] for number in numbers))
            for numbers in groups
        ]
        sets = []
        for reader in map(self.engine.send, readers):
            parts = zip(groups, chunks, strict=True)
            sets.append(
                [self.engine.call(_read, reader, n, *part) for n, part in parts]
            )
        if not self.persist:
            return sets
        # At once, because all readers need the same chunks.
        kept = iter(self.engine.persist(list(chain.from_iterable(sets))))
        return [[next(kept) for _ in rows] for rows in sets]


def _read(reader: Reader, numbers: list[int], *parts: Any) -> list[TrainingSet]:
    """Return the rows of chunks from their features, labels and weights."""
    chunks = zip(parts[::3], parts[1::3], parts[2::3], numbers, strict=True)
    return [reader(*chunk) for chunk in chunks]
