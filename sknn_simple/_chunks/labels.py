"""Labels and weights of chunks: counts of each chunk, and their totals."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, Self

import numpy as np

from sknn_simple._compat import check_sample_weight
from sknn_simple._input.class_weights import (
    checked_product,
    class_factors,
    class_totals,
    mean_weights,
)
from sknn_simple._input.kinds import check_kind
from sknn_simple._input.validation import (
    check_two_classes,
    check_weights,
    labels_or_indicator,
    present_labels,
    renamed,
)
from sknn_simple._training.subsampling import systematic_draw


class Aside(NamedTuple):
    """A share of the rows of every chunk that is set aside for validation."""

    fraction: float
    seed: int

    def rows(self, labels: np.ndarray, number: int) -> np.ndarray:
        """Return the mask of the rows of a chunk that are set aside.

        The rows are shuffled within their label and taken at equal intervals, so that
        each label has its share.
        """
        generator = np.random.default_rng([self.seed, number])
        codes = np.zeros(len(labels))
        if labels.ndim == 1:
            codes = np.unique(labels, return_inverse=True)[1]
        order = np.lexsort([generator.random(len(labels)), codes])
        share = np.full(len(labels), self.fraction)
        mask = np.zeros(len(labels), bool)
        mask[order[systematic_draw(share, generator.random())]] = True
        return mask


class ChunkLabels(NamedTuple):
    """What the labels and the weights of a chunk are."""

    n_rows: int
    # The distinct labels; for an indicator matrix its column numbers.
    classes: np.ndarray
    multilabel: bool
    # The largest weight. The weights in `sums` are relative to it.
    largest: float
    # Of each class, or of a label's two values: the weight of all rows, that of the
    # rows that are set aside, and the number of rows of positive weight.
    sums: np.ndarray


def read_labels(
    y: Any, weight: Any, number: int, aside: Aside | None, suffix: str
) -> ChunkLabels:
    """Check and count the labels and the weights of chunk `number`."""
    labels, weights = checked_labels(y, weight, number, suffix)
    multilabel = labels.ndim == 2
    if multilabel:
        classes, codes = np.arange(labels.shape[1]), labels
    else:
        classes, codes = np.unique(labels, return_inverse=True)
    largest = float(weights.max(initial=0.0))
    relative = weights / largest if largest > 0.0 else weights
    apart = np.zeros_like(relative)
    if aside is not None and len(labels):
        apart = relative * aside.rows(labels, number)
    counted = (relative > 0.0).astype(np.float64)
    sums = [class_totals(codes, w, len(classes)) for w in (relative, apart, counted)]
    return ChunkLabels(len(labels), classes, multilabel, largest, np.array(sums))


def checked_labels(
    y: Any, weight: Any, number: int, suffix: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels or the indicator matrix, and the weights, of chunk `number`."""
    with naming_the_chunk(number, f"y{suffix}"):
        check_kind("y", y)
        if hasattr(y, "toarray"):
            y = y.toarray()
        if len(y) == 0:
            return np.asarray(y), np.empty(0)
        y = np.asarray(present_labels(y))
        # `fit` warns once of labels that are a column, not each pass of each chunk.
        # Twice the rows: scikit-learn warns of more classes than half of the rows, of
        # which a chunk has only a part.
        labels = labels_or_indicator(np.concatenate([y, y]), warn=False)[: len(y)]
    if weight is None:
        return labels, np.ones(len(labels))
    with naming_the_chunk(number, f"sample_weight{suffix}"):
        weights = check_sample_weight(np.asarray(weight), labels, dtype=np.float64)
        check_weights(weights)
    return labels, weights


@contextmanager
def naming_the_chunk(number: int, name: str) -> Generator[None]:
    """Add the number of a chunk to errors in the block."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # A plain type, because not every error can be made from a message.
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}, chunk {number}: {error}") from error


class LabelTotals(NamedTuple):
    """The classes, weights and numbers of rows of all chunks."""

    classes: np.ndarray
    multilabel: bool
    # The factor of each class, or of each label's two values, if there are any.
    class_weight: np.ndarray | None
    # The largest weight, and, relative to it, the sums of the weights times class
    # weights: of the rows to train on, and of those that are set aside.
    largest: float
    weight_sum: float
    weight_sum_aside: float
    mean_weight: float
    n_rows: tuple[int, ...]
    # The number of rows of positive weight of each class, or of a label's two values.
    counts: np.ndarray
    aside: Aside | None
    # Whether the rows are those that are set aside, or the others.
    is_aside: bool = False

    def of_rows_aside(self) -> Self:
        """Return the same for the rows that are set aside."""
        return self._replace(weight_sum=self.weight_sum_aside, is_aside=True)

    @property
    def total_weight(self) -> float:
        """S, of the rows that are not set aside."""
        with np.errstate(over="ignore"):
            return float(np.float64(self.weight_sum) * self.largest)

    @property
    def n_counted(self) -> int:
        """The number of rows of positive weight."""
        if self.multilabel:
            return int(self.counts[0].sum())
        kept = True if self.class_weight is None else self.class_weight > 0.0
        return int(self.counts.sum(where=kept))


def target_of(
    chunks: Sequence[ChunkLabels],
    class_weight: Any,
    aside: Aside | None = None,
    training: LabelTotals | None = None,
) -> LabelTotals:
    """Return what the labels of all chunks say; raise if they cannot be used.

    Those of validation rows are among the classes of `training`, which has the factors.
    """
    suffix = "" if training is None else "_val"
    filled, classes = _filled(chunks, suffix)
    if training is not None:
        _check_known(training, filled[0], classes)
        classes = training.classes
    elif not filled[0].multilabel:
        check_two_classes(classes)
    largest, (totals, apart, counts) = _merged(filled, classes, suffix)
    if aside is not None:
        _check_classes_remain(classes, totals, apart, aside)
    factors = None if training is None else training.class_weight
    if training is None and class_weight is not None:
        factors = class_factors(totals, classes, class_weight)
    if factors is not None:
        with nullcontext() if training is None else renamed("X"):
            checked_product(largest * totals, factors, class_weight)
    return LabelTotals(
        classes,
        filled[0].multilabel,
        factors,
        largest,
        _weight_sum(totals - apart, factors),
        _weight_sum(apart, factors),
        mean_weights(totals, counts, largest, factors)[1],
        tuple(chunk.n_rows for chunk in chunks),
        counts,
        aside,
    )


def _check_known(
    training: LabelTotals, chunk: ChunkLabels, classes: np.ndarray
) -> None:
    """Raise ValueError if labels of validation rows are not like those of training."""
    kind, expected = _kind(chunk), _kind(training)
    if kind != expected:
        raise ValueError(f"y_val holds {kind}, but y holds {expected}.")
    unknown = classes[~np.isin(classes, training.classes)]
    if unknown.size:
        raise ValueError(
            f"y_val holds {unknown.tolist()}, which y does not have. The classes of y "
            f"are {training.classes.tolist()}."
        )


def _weight_sum(totals: np.ndarray, factors: np.ndarray | None) -> float:
    """Return the sum of weights times class weights; labels share their rows."""
    if totals.ndim == 2:
        return float(totals[0].sum())
    return float((totals if factors is None else totals * factors).sum())


def _filled(
    chunks: Sequence[ChunkLabels], suffix: str
) -> tuple[list[ChunkLabels], np.ndarray]:
    """Return the chunks with rows, and the labels of all of them.

    Raises ValueError if the labels are of several kinds.
    """
    filled = [chunk for chunk in chunks if chunk.n_rows]
    if not filled:
        raise ValueError(f"X{suffix} has no rows: all of its chunks are empty.")
    kinds = sorted(set(map(_kind, filled)), reverse=True)
    if len(kinds) > 1:
        raise ValueError(
            f"y{suffix} holds {kinds[0]} in some of its chunks and {kinds[1]} in "
            "others."
        )
    return filled, np.unique(np.concatenate([chunk.classes for chunk in filled]))


def _kind(labels: ChunkLabels | LabelTotals) -> str:
    """Return in words what the labels of all chunks have in common."""
    if labels.multilabel:
        return f"an indicator matrix of {len(labels.classes)} labels"
    return "text" if labels.classes.dtype.kind in "OSTU" else "numbers"


def _merged(
    chunks: list[ChunkLabels], classes: np.ndarray, suffix: str
) -> tuple[float, np.ndarray]:
    """Return the largest weight and the sums over all chunks, relative to it."""
    largest = max(chunk.largest for chunk in chunks)
    if largest == 0.0:
        raise ValueError(f"sample_weight{suffix} must not be zero for every sample.")
    of_classes = chunks[0].sums.shape[2:]
    merged = np.zeros((3, len(classes), *of_classes))
    for chunk in chunks:
        places, unit = np.searchsorted(classes, chunk.classes), chunk.largest / largest
        for total, part, factor in zip(
            merged, chunk.sums, (unit, unit, 1.0), strict=True
        ):
            total[places] += part * factor
    return largest, merged


def _check_classes_remain(
    classes: np.ndarray, totals: np.ndarray, apart: np.ndarray, aside: Aside
) -> None:
    """Raise ValueError if a class has no row to train on, or no row is set aside."""
    refused = f"early_stopping=True with validation_fraction={aside.fraction} "
    advice = "Use another fraction, or pass validation rows as X_val and y_val."
    if not apart.any():
        raise ValueError(f"{refused}sets no row of any chunk aside. {advice}")
    lost = ((totals > 0.0) & (apart >= totals)).reshape(len(classes), -1).any(axis=1)
    if lost.any():
        raise ValueError(
            f"{refused}leaves no row to train on of {classes[lost].tolist()}. {advice}"
        )
