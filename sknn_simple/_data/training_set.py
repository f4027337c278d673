"""The rows that a network is trained on."""

from typing import Any, NamedTuple, Self

import numpy as np


def out_activation(n_classes: int, multilabel: bool) -> str:
    """Return the inverse link: "logistic" for two classes and labels, or "softmax"."""
    return "logistic" if multilabel or n_classes == 2 else "softmax"


class TrainingSet(NamedTuple):
    """What a network is trained on.

    Attributes
    ----------
    X : ndarray or CSR of shape (n_samples, n_features)
        float64 or float32; rows of weight 0 are left out.
    y : ndarray
        For the logistic loss (n_samples, n_outputs) of zeros and ones, for softmax
        (n_samples,) of class codes.
    weight : ndarray of shape (n_samples,)
        sample_weight × class_weight, divided by their sum.
    total_weight : float
        That sum, S.
    classes : ndarray of shape (n_classes,)
        The labels, sorted; for a multilabel target the column numbers.
    multilabel : bool
        Whether y was an indicator matrix.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    total_weight: float
    classes: np.ndarray
    multilabel: bool

    @property
    def n_outputs(self) -> int:
        """One logit for two classes, else one output per class or label."""
        return (
            1
            if self.out_activation == "logistic" and not self.multilabel
            else len(self.classes)
        )

    @property
    def out_activation(self) -> str:
        """The inverse link, a key of ``LOSSES``."""
        return out_activation(len(self.classes), self.multilabel)

    def rows(self, kept: np.ndarray, probability: np.ndarray | None = None) -> Self:
        """Return some of the rows, their weights divided by their own sum.

        Where each was drawn with a probability of its own, it stands for so many more.
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
        )
