"""The rows of a chunk, read where they are, and the measures of its columns."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from sknn_simple._chunks.labels import (
    LabelTotals,
    checked_labels,
    naming_the_chunk,
)
from sknn_simple._data.moments import ROUNDING, column_moments
from sknn_simple._data.row_blocks import RowBlocks
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import SMALLEST_WEIGHT, TrainingSet
from sknn_simple._data.two_valued import two_values
from sknn_simple._kinds import check_kind
from sknn_simple._training.problem import Columns
from sknn_simple._training.subsampling import systematic_draw
from sknn_simple._validation import canonical


def at_aligned_addresses(value: Any) -> Any:
    """Return arrays at aligned addresses, copied if they are not; others as they are.

    What Dask sends lies anywhere in a message. NumPy multiplies arrays that are not
    aligned in another order, with other bits.
    """
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, TrainingSet):
        X, y, weight = map(at_aligned_addresses, (value.X, value.y, value.weight))
        return value._replace(X=X, y=y, weight=weight)
    if sparse.issparse(value) and not value.data.flags.aligned:
        return value.copy()
    return value


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
    # Whether the rows that are set aside are read, or the others.
    reads_aside: bool = False

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
            kept &= target.aside.rows(labels, number) == self.reads_aside
        if not kept.all():
            X, codes, weight = X[kept], codes[kept], weight[kept]
        return self._rows(X, codes, weight / target.weight_sum)

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

    def _rows(self, X: Any, codes: np.ndarray, weight: np.ndarray) -> TrainingSet:
        target = self.target
        if len(target.classes) == 2 and not target.multilabel:
            codes = codes.reshape(-1, 1).astype(np.float64)
        return TrainingSet(
            X,
            codes,
            weight,
            target.total_weight,
            target.classes,
            target.multilabel,
            target.class_weight,
            mean_weight=target.mean_weight,
        )


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
    measured = []
    with np.errstate(all="ignore"), limit_blas_threads:
        for each, number in zip(rows, numbers, strict=True):
            if each.n_rows:
                with naming_the_chunk(number, "X"):
                    each = at_aligned_addresses(each)
                    sample = _sample(each, shares, number)
                    measured.append(_measure(each, sample, precision))
    return measured


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


def _measure(
    rows: TrainingSet, sample: TrainingSet, precision: np.dtype | None
) -> ChunkColumns:
    weight_sum, workers = float(rows.weight.sum()), Workers(1)
    blocks = RowBlocks(rows.X, rows.y, rows.weight / weight_sum)
    moments = column_moments(blocks, workers, precision)
    measures = np.array([*moments, *two_values(blocks, workers)])
    return ChunkColumns(rows.n_rows, weight_sum, measures, sample)


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
