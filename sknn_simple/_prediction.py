"""Prediction, one block of rows at a time."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sknn_simple._data.row_blocks import Workspace, block_edges
from sknn_simple._data.training_set import out_activation
from sknn_simple._model.losses import LOSSES, Loss
from sknn_simple._model.objective import Network
from sknn_simple._validation import plain_labels, validate_features


class PredictionMixin(ClassifierMixin, metaclass=ABCMeta):
    """The prediction methods of a fitted classifier."""

    classes_: np.ndarray
    _multilabel: bool

    @abstractmethod
    def _parameters(self) -> dict[str, np.ndarray]:
        """Return the fitted parameters, by their names in the network."""

    @abstractmethod
    def _fitted_network(self) -> Network:
        """Return the network of the fitted parameters."""

    @property
    def _loss(self) -> Loss:
        return LOSSES[out_activation(len(self.classes_), self._multilabel)]

    def _raw_outputs(self, X: Any) -> np.ndarray:
        """Return Z, (n_samples, n_outputs) in float64."""
        network, params = self._fitted_network(), self._parameters()
        return map_rows(
            X,
            network,
            lambda rows, work: network.forward(params, rows, work),
            np.empty((X.shape[0], network.n_outputs)),
        )

    def _with_loss(
        self, X: Any, link: Callable[[Loss, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return ``link(loss, raw outputs)`` in the precision of X."""
        X = self._validated(X)
        # Underflow to 0 is expected; silence it even after np.seterr(under="warn").
        with np.errstate(under="ignore"):
            return link(self._loss, self._class_outputs(X)).astype(X.dtype, copy=False)

    def _class_outputs(self, X: Any) -> np.ndarray:
        """Return one raw output per class or label: both logits for two classes."""
        raw = self._raw_outputs(X)
        if raw.shape[1] == 1 and not self._multilabel:
            return np.hstack([-raw, raw])
        return raw

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_features(self, X, reset=False)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the raw outputs of the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        raw : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The logit of the second class for two classes; one column per class or
            label otherwise.
        """
        X = self._validated(X)
        raw = self._raw_outputs(X).astype(X.dtype, copy=False)
        return raw[:, 0] if raw.shape[1] == 1 and not self._multilabel else raw

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels; for a multilabel target zeros and ones.
        """
        raw = self._raw_outputs(self._validated(X))
        if self._multilabel:
            return (raw > 0.0).astype(np.int64)
        if raw.shape[1] == 1:
            return self.classes_[(raw[:, 0] > 0.0).astype(np.intp)]
        return self.classes_[raw.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of ``predict``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or a multilabel indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            The share of samples whose class, or all of whose labels, are right.
        """
        # The metrics of scikit-learn refuse numbers of dtype object, which fit takes.
        if isinstance(y, np.ndarray) or hasattr(y, "to_numpy"):
            y = plain_labels(np.asarray(y))
        return super().score(X, y, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of ``classes_``. Rows sum to 1, except for a multilabel target:
            there each column is the probability of its label.
        """

        def probabilities(loss: Loss, raw: np.ndarray) -> np.ndarray:
            loss.probabilities(raw)
            return raw

        return self._with_loss(X, probabilities)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class.

        It is computed from the raw outputs, so it is finite even if the probability
        itself is too small for a float.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes or n_labels)
            In the order of ``classes_``.
        """
        log_probability = self._with_loss(
            X, lambda loss, raw: loss.log_probabilities(raw)
        )
        # If a probability is rounded to 1, its logarithm is 0.
        with np.errstate(under="ignore"):
            log_probability[np.exp(log_probability) == 1.0] = 0.0
        return log_probability


def map_rows(
    X: Any,
    network: Network,
    work_on: Callable[[Any, Workspace], np.ndarray],
    out: np.ndarray,
) -> np.ndarray:
    """Fill `out` with ``work_on(rows, workspace)``, block by block, and return it.

    Apart from `out`, this takes memory for the hidden units of one block only.
    """
    workspace = Workspace()
    with np.errstate(under="ignore"):
        for start, stop in block_edges(X.shape[0], network.row_bytes(X)):
            out[start:stop] = work_on(X[start:stop], workspace)
    return out
