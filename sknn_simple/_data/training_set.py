"""Checked rows, targets and weights."""

from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import entr

# The smallest float64 of full precision. A smaller weight, relative to the sum of all,
# would lose digits.
SMALLEST_WEIGHT = float(np.finfo(np.float64).tiny)


def out_activation(n_classes: int, multilabel: bool) -> str:
    """Return the inverse link: "logistic" for two classes and labels, or "softmax"."""
    return "logistic" if multilabel or n_classes == 2 else "softmax"


def n_outputs(n_classes: int, multilabel: bool) -> int:
    """Return the number of raw outputs: of two classes 1, else 1 per class or label."""
    return 1 if n_classes == 2 and not multilabel else n_classes


class TrainingSet(NamedTuple):
    """The rows that a network is trained on."""

    # Array or CSR (n_samples, n_features), float64 or float32; no row has weight 0.
    X: Any
    # For the logistic loss (n_samples, n_outputs) of zeros and ones, for softmax
    # (n_samples,) of class codes.
    y: np.ndarray
    # (n_samples,): sample_weight × class_weight, divided by their sum S. Class weights
    # of a multilabel target do not count here, but in `loss_weight`.
    weight: np.ndarray
    # S.
    total_weight: float
    # The labels, sorted; for a multilabel target the column numbers.
    classes: np.ndarray
    # Whether y was an indicator matrix.
    multilabel: bool
    # The factor of each class, or of each label's two values (n_labels, 2); None
    # without class weights.
    class_weight: np.ndarray | None = None
    # The mean of the positive sample weights, at most 1. If it is 1, weights count
    # rows: 2 is as two equal rows. If it is less, only their ratios matter.
    mean_sample_weight: float = 1.0
    # The same times the mean factor of the classes, at most 1.
    mean_weight: float = 1.0
    # Whether the rows are distinct and in the order of ``in_canonical_order``.
    in_order: bool = False
    # Whether each row that was passed to fit is among these; None if all are.
    kept: np.ndarray | None = None
    # A constant column that takes the place of the intercept, and its value.
    own_intercept: tuple[int, float] | None = None
    # All rows, a ``ChunkedRows``, if X, y and weight are a sample of them.
    chunks: Any = None

    @classmethod
    def from_weighted_rows(
        cls, X: Any, codes: np.ndarray, weight: np.ndarray, classes: np.ndarray
    ) -> Self:
        """Return the rows whose weight is not negligible, and weights that sum to 1.

        `codes` are class numbers (n_samples,) or an indicator matrix (n_samples,
        n_labels). The weights are finite, not negative, and at least one is positive.
        """
        largest = float(weight.max())
        # Dividing first avoids overflow of the sum.
        weight = weight / largest
        kept = weight > SMALLEST_WEIGHT * len(weight)
        all_kept = bool(kept.all())
        if not all_kept:
            X, codes, weight = X[kept], codes[kept], weight[kept]
        multilabel = codes.ndim == 2
        if len(classes) == 2 and not multilabel:
            codes = codes[:, None].astype(np.float64)
        share = float(weight.sum())
        with np.errstate(over="ignore"):
            total = float(np.float64(share) * largest)
        return cls(
            X,
            codes,
            weight / share,
            total,
            classes,
            multilabel,
            kept=None if all_kept else kept,
        )

    @property
    def n_rows(self) -> int:
        """The number of all rows."""
        return len(self.weight) if self.chunks is None else self.chunks.n_rows

    @property
    def counted_rows(self) -> float:
        """S divided by the mean weight if that is below 1.

        A choice of alpha counts this many observations, because weights may sum to 1.
        """
        return self.total_weight / self.mean_weight

    @property
    def loss_weight(self) -> np.ndarray:
        """`weight`; (n_samples, n_labels) if the labels have weights of their own."""
        if not self.multilabel or self.class_weight is None:
            return self.weight
        of_zero, of_one = self.class_weight.T
        return self.weight[:, None] * np.where(self.y > 0.0, of_one, of_zero)

    @property
    def n_outputs(self) -> int:
        return n_outputs(len(self.classes), self.multilabel)

    @property
    def out_activation(self) -> str:
        """The inverse link, a key of ``LOSSES``."""
        return out_activation(len(self.classes), self.multilabel)

    def shares(self) -> np.ndarray:
        """Return the positive shares of classes, or of both values of all labels."""
        if self.y.ndim == 1:
            shares = np.bincount(self.y, self.weight)
        else:
            of_one = np.clip(self.weight @ self.y, 0.0, 1.0)
            shares = np.concatenate([of_one, 1.0 - of_one])
        return shares[shares > 1e-12]  # smaller ones are rounding

    def loss_of_shares(self) -> float:
        """Return the log-loss of a model that knows the shares of the classes only."""
        return float(entr(self.shares()).sum())

    def sample_weight(self) -> np.ndarray:
        """Return the weights as passed to fit; relative if their sum is not finite."""
        total = self.total_weight if np.isfinite(self.total_weight) else 1.0
        return self.frequency() * (total * len(self.weight) / self.n_rows)

    def frequency(self) -> np.ndarray:
        """Return `weight` without the weights of the classes."""
        if self.multilabel or self.class_weight is None:
            return self.weight
        return self.weight / self.class_weight[self.codes()]

    def codes(self) -> np.ndarray:
        """Return the number of each row's class, if y is no indicator matrix."""
        return self.y.reshape(-1).astype(np.intp)

    def labels(self) -> np.ndarray:
        """Return y as passed to fit: labels (n_samples,) or an indicator matrix."""
        if self.multilabel:
            return self.y
        return self.classes[self.codes()]

    def present(self, rows: Any) -> np.ndarray:
        """Return where rows that were passed to fit are in this set.

        `rows` are row numbers or a mask. Rows of weight 0 are left out.
        """
        n_rows = len(self.weight) if self.kept is None else len(self.kept)
        rows = np.arange(n_rows)[rows]
        if self.kept is None:
            return rows
        return (np.cumsum(self.kept) - 1)[rows[self.kept[rows]]]

    def without_rows(self) -> Self:
        """Return a set without rows, with the classes: small, to be pickled."""
        none = slice(0, 0)
        return self._replace(
            X=self.X[none], y=self.y[none], weight=self.weight[none], chunks=None
        )

    def in_memory(self) -> Self:
        """Return the rows of X alone: a data set of their size."""
        share = self.X.shape[0] / self.n_rows
        return self._replace(total_weight=share * self.total_weight, chunks=None)

    def rows(self, kept: np.ndarray, probability: np.ndarray | None = None) -> Self:
        """Return some of the rows, their weights divided by their own sum.

        If rows were drawn with unequal probabilities, weights are divided by them.
        """
        weight = self.weight[kept]
        if probability is not None:
            weight = weight / probability
        total = float(weight.sum())
        return self._replace(
            X=self.X[kept],
            y=self.y[kept],
            weight=weight / total,
            total_weight=self.total_weight * total,
            in_order=False,
            chunks=None,
        )
