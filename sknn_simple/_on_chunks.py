"""What both classifiers for Dask collections have in common."""

import copy
import inspect
from collections.abc import Callable
from contextlib import suppress
from numbers import Integral
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from scipy import sparse
from sklearn.utils.validation import (
    check_is_fitted,
    check_random_state,
    column_or_1d,
    validate_data,
)

from sknn_simple._base import BaseNN
from sknn_simple._chunks.collections import (
    aligned_chunks,
    checked_collection,
    dtype_of,
    is_collection,
    is_dataframe,
    meta_of,
)
from sknn_simple._chunks.engine import Engine
from sknn_simple._chunks.labels import Aside, LabelTotals, target_of
from sknn_simple._chunks.prediction import count_right, predict_lazily
from sknn_simple._chunks.rows import Source, Table
from sknn_simple._compat import HasMethods, clone_parametrized
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._input.validation import as_kind_of, validate_validation_set

Method = TypeVar("Method", bound=Callable[..., Any])

# What the docstrings of predictions say in addition to those of the plain estimator.
LAZY = """Notes
-----
X may also be a Dask array or dataframe. The result is then lazy: a Dask array in the
chunks of X, or a Dask dataframe or series with its index. The columns of a dataframe
have the names of the classes or, of ``transform``, of the hidden units.
"""


def documented_by(plain: Callable[..., Any]) -> Callable[[Method], Method]:
    """Give a method the docstring of the plain estimator's, and say what is lazy."""

    def documented(method: Method) -> Method:
        method.__doc__ = f"{inspect.getdoc(plain)}\n\n{LAZY}"
        return method

    return documented


class OnChunks(BaseNN):
    """Fits and predicts Dask collections where their rows are."""

    # After this number of seconds without any worker they count as lost.
    # A nanny starts a new process in two or three seconds.
    worker_patience: ClassVar[float] = 20.0

    # The class of ``to_local``.
    _local: ClassVar[type[BaseNN]]

    _frames_of_fit: ClassVar[int] = 1

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "client": [HasMethods(["compute", "gather", "persist"]), None],
        "persist": ["boolean"],
    }

    client: Any
    persist: bool

    def _store(self, arguments: dict[str, Any]) -> None:
        """Store the parameters that ``__init__`` was called with: its local names."""
        parameters = {k: value for k, value in arguments.items() if k != "self"}
        self.__dict__.update(parameters)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network on rows that stay where they are.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or dask dataframe
            Features, in chunks of whole rows; the number of rows may be unknown. Chunks
            are dense arrays or CSR matrices. Rows in memory (arrays, dataframes, sparse
            matrices) are fitted as by the plain estimator.
        y : dask array or series, or array-like, of shape (n_samples,) or \
                (n_samples, n_labels)
            Class labels, or a multilabel indicator matrix. Other chunks than those of X
            are cut again, if the number of rows is known.
        sample_weight : dask array or series, or array-like, of shape (n_samples,), \
                default=None
            Weights of the samples.
        X_val : dask collection, or as for the plain estimator, default=None
            Features of validation rows.
        y_val : dask collection or array-like of shape (n_val,), default=None
            Labels of the validation rows.
        sample_weight_val : dask collection or array-like of shape (n_val,), \
                default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid. What is wrong in a chunk is named
            with the number of the chunk, counted from 0. The estimator is then as it
            was before.
        MemoryError
            If the workers cannot keep the rows, and `persist` is True.
        RuntimeError
            If all workers are lost before the first evaluation of J: there was none for
            the number of seconds that the class attribute `worker_patience` gives.

        Warns
        -----
        ConvergenceWarning
            As the plain estimator. Also if all workers are lost, or the client is
            closed, while J is minimised; the best iterate so far is kept.
        """
        return super().fit(
            X,
            y,
            sample_weight,
            X_val=X_val,
            y_val=y_val,
            sample_weight_val=sample_weight_val,
        )

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, *of_validation: Any
    ) -> tuple[TrainingSet, TrainingSet | None]:
        X_val = of_validation[0]
        if not is_collection(X):
            # An array of a dataframe would have no names to be checked.
            known = (v.compute() if is_dataframe(v) else v for v in of_validation)
            return super()._rows(X, y, sample_weight, *known)
        self._check_folds(X_val)
        source = self._source(X, y, sample_weight)
        if X_val is not None:
            self._check_validation_set_is_used()
        self._network_and_signs(source.table.without_rows(np.arange(2)))
        aside = self._aside(X_val)
        target = target_of(source.count_labels(aside), self.class_weight, aside)
        if np.ndim(y) == 2 and np.shape(y)[1] == 1:
            column_or_1d(np.empty((1, 1)), warn=True)  # warns as the plain estimator
        none = source.table.without_rows(target.classes, target.multilabel)
        network, _ = self._network_and_signs(none)
        n_params = network.layout.size
        source.check_memory(sum(target.n_rows))
        held_out = self._held_out(none, target, *of_validation)
        data, set_aside = source.training_rows(target, n_params)
        self._announce(
            f"{sum(target.n_rows)} rows in {len(target.n_rows)} chunks, of which "
            f"{data.X.shape[0]} are the sample for the start"
        )
        if isinstance(held_out, TrainingSet):
            X = as_kind_of(data.X, held_out.X).astype(data.X.dtype, copy=False)
            set_aside = held_out._replace(X=X)
        elif held_out is not None:
            source, target = held_out
            set_aside = source.validation_rows(data, target, n_params)
        return data, set_aside

    def _held_out(
        self, none: TrainingSet, target: LabelTotals, X_val: Any, *of_rows: Any
    ) -> TrainingSet | tuple[Source, LabelTotals] | None:
        """Check the validation rows, if any, before X is read; count them if lazy."""
        if is_collection(X_val):
            source = self._source(X_val, *of_rows, suffix="_val")
            counted = source.count_labels()
            return source, target_of(counted, self.class_weight, training=target)
        none = none._replace(class_weight=target.class_weight)
        if sparse.issparse(X_val):
            none = none._replace(X=sparse.csr_array(none.X))
        return validate_validation_set(self, none, X_val, *of_rows)

    def _source(self, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> Source:
        X = checked_collection(X, f"X{suffix}")
        if y is None:
            raise ValueError(f"y{suffix} is missing: X{suffix} needs labels.")
        meta = meta_of(X)
        validate_data(self, meta, reset=not suffix, skip_check_array=True)
        chunks = aligned_chunks(X, y, sample_weight, suffix)
        table = Table(
            meta.shape[1],
            dtype_of(X),
            is_sparse=sparse.issparse(getattr(X, "_meta", None)),
            columns=getattr(meta, "columns", None),
            suffix=suffix,
        )
        return Source(self._engine(), chunks, table, self.persist)

    def _engine(self) -> Engine:
        """Return what computes; without a client that of this process, if any."""
        from distributed import default_client

        client = self.client
        if getattr(client, "asynchronous", False):
            raise ValueError(
                "client must not be asynchronous: use Client(asynchronous=False)."
            )
        if client is None:
            with suppress(ValueError):
                client = default_client()
        return Engine(client, self.worker_patience)

    def _aside(self, X_val: Any) -> Aside | None:
        """Return the share of the rows that early stopping sets aside, if any."""
        settings = self.get_params(deep=False)
        if X_val is not None or not settings.get("early_stopping"):
            return None
        generator = check_random_state(settings["random_state"])
        seed = int(generator.randint(np.iinfo(np.int32).max))
        return Aside(settings["validation_fraction"], seed)

    def _check_folds(self, X_val: Any) -> None:
        """Raise ValueError if rows in chunks cannot be cross-validated as asked."""
        cv = getattr(self, "cv", None)
        if cv is None or isinstance(cv, Integral) or hasattr(cv, "split"):
            return
        if self.alpha == "auto" and X_val is None:
            raise ValueError(
                "cv must be a number of folds or a splitter for rows in chunks, because"
                f" a sample of them is split; got splits: {type(cv).__name__}."
            )

    def to_local(self) -> Any:
        """Return the plain estimator with the same parameters and fitted attributes.

        Returns
        -------
        local : LogisticNN or OneHiddenMLP
            A fitted estimator that does not need Dask.
        """
        check_is_fitted(self)
        parameters = self.get_params(deep=False)
        local = self._local()
        for name, value in vars(self).items():
            if name not in ("client", "persist"):
                learned = name not in parameters
                setattr(local, name, copy.copy(value) if learned else value)
        return local

    # Prediction -----------------------------------------------------------------------

    def _predict_anywhere(self, method: str, X: Any) -> Any:
        """Return what a method of the plain estimator returns, lazily for Dask's X."""
        if not is_collection(X):
            return getattr(super(), method)(X)
        local = self._for_the_chunks_of(X)
        own: Any = self
        is_hidden = method == "transform"
        names = own.get_feature_names_out() if is_hidden else own.classes_
        return predict_lazily(local, method, X, list(names))

    def _for_the_chunks_of(self, X: Any) -> Any:
        """Return the plain estimator; of an array, whose names it lacks, warn once."""
        local = self.to_local()
        meta = meta_of(checked_collection(X))
        validate_data(self, meta, reset=False, skip_check_array=True)
        if not is_dataframe(X):
            vars(local).pop("feature_names_in_", None)
        return local

    @documented_by(BaseNN.predict)
    def predict(self, X: Any) -> Any:
        """Return the most probable class of each sample."""
        return self._predict_anywhere("predict", X)

    @documented_by(BaseNN.predict_proba)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class."""
        return self._predict_anywhere("predict_proba", X)

    @documented_by(BaseNN.predict_log_proba)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class."""
        return self._predict_anywhere("predict_log_proba", X)

    @documented_by(BaseNN.decision_function)
    def decision_function(self, X: Any) -> Any:
        """Return the raw outputs of the network."""
        return self._predict_anywhere("decision_function", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of ``predict``, computed chunk by chunk.

        Parameters
        ----------
        X : dask array or dataframe, or as for the plain estimator
            Features.
        y : dask array or series, or array-like
            Class labels, or a multilabel indicator matrix.
        sample_weight : dask array or series, or array-like, default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            The share of samples whose class, or all of whose labels, are right.
        """
        if not is_collection(X):
            return super().score(X, y, sample_weight)
        local = self._for_the_chunks_of(X)
        engine = self._engine()
        parts = [
            engine.call(count_right, local, *chunk, number)
            for number, chunk in enumerate(aligned_chunks(X, y, sample_weight))
        ]
        right, total = np.sum(engine.collect(parts), axis=0)
        if total == 0.0:
            raise ValueError("sample_weight must not be zero for every sample.")
        return float(right / total)

    # Conventions of scikit-learn ------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to store, without the client."""
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy with the same client, which cannot be copied."""
        other = clone_parametrized(copy.copy(self))
        other.client = self.client
        return other
