"""Prediction, one block of rows at a time."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sknn_simple._data.row_blocks import Workspace, block_edges
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import n_outputs, out_activation
from sknn_simple._input.validation import present_labels, validate_features
from sknn_simple._model.losses import LOSSES, Loss
from sknn_simple._model.networks import Network


class PredictionMixin(ClassifierMixin, metaclass=ABCMeta):
    """The prediction methods of a fitted classifier.

    They depend on the fitted attributes alone, also if these were set by hand.
    """

    classes_: np.ndarray
    _multilabel: bool = False

    # The attributes without which nothing can be predicted.
    _model_attributes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _parameters(self) -> dict[str, np.ndarray]:
        """Return the fitted parameters, by their names in the network."""

    @abstractmethod
    def _network_of(self, n_features: int, params: dict[str, np.ndarray]) -> Network:
        """Return the network of the fitted parameters."""

    def _checked_network(self, X: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """Return the network for X, and its parameters by their names in it.

        Raises
        ------
        ValueError
            If attributes that were set by hand do not fit to each other or to X, or are
            not finite.
        """
        params = self._parameters()
        network = self._network_of(X.shape[1], params)
        for name, shape in network.layout.shapes.items():
            if params[name].shape != shape:
                raise ValueError(
                    f"{self._attribute_of[name]} has shape {params[name].shape}, but X "
                    f"with {X.shape[1]} columns and the other fitted attributes of "
                    f"this {type(self).__name__} require {shape}."
                )
            if not np.isfinite(params[name]).all():
                raise ValueError(
                    f"{self._attribute_of[name]} of this {type(self).__name__} has "
                    "values that are not finite."
                )
        return network, params

    # From the network's named arrays to fitted attributes, for error messages.
    _attribute_of: ClassVar[dict[str, str]]

    def __sklearn_is_fitted__(self) -> bool:
        return all(hasattr(self, name) for name in self._model_attributes)

    @property
    def _n_raw_outputs(self) -> int:
        return n_outputs(len(self.classes_), self._multilabel)

    def _raw_outputs(self, X: Any) -> np.ndarray:
        """Return Z, (n_samples, n_outputs) in float64."""
        network, params = self._checked_network(X)
        out = np.empty((X.shape[0], network.n_outputs))
        return map_rows(X, network, partial(network.forward, params), out)

    def _with_loss(
        self, X: Any, link: Callable[[Loss, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return ``link(loss, raw outputs)`` in the precision of X."""
        X = self._validated(X)
        # Underflow to 0 is expected; silence it even after np.seterr(under="warn").
        with np.errstate(under="ignore"):
            raw = self._raw_outputs(X)
            if raw.shape[1] == 1 and not self._multilabel:  # both logits
                raw = np.hstack([-raw, raw])
            loss = LOSSES[out_activation(len(self.classes_), self._multilabel)]
            return _in_precision(link(loss, raw), X.dtype)

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_features(self, X)

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
        raw = _in_precision(self._raw_outputs(X), X.dtype)
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
        classes = np.asarray(self.classes_)
        if self._multilabel:
            return (raw > 0.0).astype(np.int64)
        if raw.shape[1] == 1:
            return classes[(raw[:, 0] > 0.0).astype(np.intp)]
        return classes[raw.argmax(axis=1)]

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
        # The metrics of scikit-learn refuse numbers of dtype object, which fit takes,
        # and count NaN among words as a class.
        return super().score(X, present_labels(y), sample_weight)

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
        return self._with_loss(X, lambda loss, raw: loss.probabilities(raw))

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

    Threads share the blocks, as in a fit, so that the bits do not depend on their
    number. Apart from `out`, each takes memory for the hidden units of one block. The
    entries of `out` are finite: if products overflow, rows are made shorter. A row with
    NaN or infinity, which scikit-learn's ``assume_finite`` lets pass, becomes NaN,
    unless all of its entries are finite.
    """
    workspace = Workspace()
    edges = block_edges(X.shape[0], network.row_bytes(X))

    def fill(index: int) -> None:
        rows = slice(*edges[index])
        part = out[rows]
        part[...] = work_on(X[rows], workspace)
        most = _largest(out.dtype)
        if not (part.min() >= -most and part.max() <= most):
            huge = ~(np.abs(part) <= most).all(axis=1)
            chosen = X[rows][huge]
            size = _largest_entries(chosen)
            shorter = np.nan_to_num(work_on(_shorter(chosen, size), workspace), nan=0.0)
            part[huge] = np.where(np.isfinite(size), shorter.clip(-most, most), np.nan)

    with (
        np.errstate(under="ignore", over="ignore", invalid="ignore"),
        limit_blas_threads as n_threads,
        Workers(n_threads) as workers,
    ):
        workers.run(fill, len(edges))
    return out


def shortened(X: Any) -> Any:
    """Return rows of float64 with the longest ones shorter, as ``map_rows`` does."""
    return _shorter(X, _largest_entries(X))


def _largest_entries(X: Any) -> np.ndarray:
    """Return the size of the largest entry of each row, (n_samples, 1)."""
    size = np.abs(X).max(axis=1)
    size = size.toarray() if sparse.issparse(size) else size
    return size.reshape(-1, 1)


def _shorter(X: Any, size: np.ndarray) -> Any:
    """Return rows of the same direction whose products do not overflow.

    Their entries are at most the fourth root of the largest number: 1e77 in float64.
    """
    factor = np.minimum(1.0, np.finfo(X.dtype).max ** 0.25 / size).astype(X.dtype)
    return X.multiply(factor).tocsr() if sparse.issparse(X) else X * factor


def _largest(dtype: np.dtype) -> float:
    """Return a size of numbers whose differences stay in the range of a dtype."""
    return float(np.finfo(dtype).max) / 4.0


def _in_precision(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values as float32 or float64; those beyond float32 as the largest one."""
    if values.dtype == dtype:
        return values
    most = _largest(dtype)
    return values.clip(-most, most).astype(dtype)
