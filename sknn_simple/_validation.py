"""From what a user passes to ``fit`` to checked arrays: features, codes and weights."""

import sys
from datetime import datetime
from numbers import Number, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from sknn_simple._compat import check_sample_weight
from sknn_simple._data.training_set import TrainingSet

# The smallest float64 that has all its digits.
_SMALLEST = float(np.finfo(np.float64).tiny)


def validate_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return X as a finite float array or CSR; ``reset`` records its columns.

    Arrays of any array library that can be converted are taken as NumPy arrays, also
    where scikit-learn's array API dispatch is switched on: training is NumPy's work.
    """
    with config_context(array_api_dispatch=False):
        return _canonical(
            validate_data(
                estimator,
                _as_numpy(X),
                reset=reset,
                accept_sparse="csr",
                dtype=_precision(X),
            )
        )


def _as_numpy(array: Any) -> Any:
    """Return an array of another library as NumPy's, in its own precision."""
    foreign = hasattr(array, "__array_namespace__")
    return np.asarray(array) if foreign and not sparse.issparse(array) else array


def _precision(X: Any) -> Any:
    """Return the dtypes to accept; scikit-learn does not see those of polars frames."""
    foreign_frame = hasattr(X, "to_numpy") and not hasattr(X, "iloc")
    if foreign_frame and np.asarray(X[:1]).dtype == np.float32:
        return np.float32
    return (np.float64, np.float32)


def _canonical(X: Any) -> Any:
    """Return CSR with one entry per position; several would count as several values."""
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def validate_training_set(
    estimator: Any, X: Any, y: Any, sample_weight: Any, class_weight: Any
) -> TrainingSet:
    """Check everything passed to ``fit``.

    Raises
    ------
    ValueError
        With the name of what is wrong: X not finite or empty, y missing, not finite,
        continuous or of one class only, lengths that differ, weights that are negative
        or all zero, class weights for classes that do not exist.
    """
    y = _as_numpy(y)
    _check_none_missing(y)
    with config_context(array_api_dispatch=False):
        X, y = validate_data(
            estimator,
            _as_numpy(X),
            y,
            accept_sparse="csr",
            dtype=_precision(X),
            multi_output=True,
        )
    if isinstance(class_weight, dict):
        class_weight = {_plain(k): _plain(w) for k, w in class_weight.items()}
    X = _canonical(X)
    classes, codes = _encode(y)
    multilabel = codes.ndim == 2
    weight = _weights(X, codes, classes, sample_weight, class_weight)
    largest = float(weight.max())
    # Nor is there use for what is not 0 but vanishes beside the others.
    kept = weight > largest * _SMALLEST * len(weight)
    if not kept.all():
        X, codes, weight = X[kept], codes[kept], weight[kept]
        if not multilabel:
            _check_two_classes(classes[np.unique(codes)])
    if len(classes) == 2 and not multilabel:
        codes = codes[:, None].astype(np.float64)
    # Divided by the largest first: the sum of huge weights may overflow.
    weight /= largest
    share = float(weight.sum())
    weight /= share
    with np.errstate(over="ignore"):
        total = np.float64(share) * largest
    return TrainingSet(X, codes, weight, float(total), classes, multilabel)


def _check_none_missing(y: Any) -> None:
    """Refuse y where a label is None, NaN, NaT or pandas.NA.

    scikit-learn refuses some of these with a TypeError, and reads NaN in a list of
    words as the word "nan".
    """
    if y is None or sparse.issparse(y):
        return
    # A list becomes objects: as NumPy's text it would hold that word.
    labels = np.atleast_1d(np.asarray(y, None if hasattr(y, "__array__") else object))
    if labels.dtype.kind in "iub":
        return
    missing = _missing(labels) if labels.dtype == object else labels != labels
    if missing.any():
        label = labels[missing][0]
        raise ValueError(
            f"Input y contains {'NaN' if isinstance(label, Real) else label}: the "
            f"label of sample {missing.nonzero()[0][0]} is missing."
        )


def _missing(labels: np.ndarray) -> np.ndarray:
    # Whoever has a pandas.NA has imported pandas.
    na = getattr(sys.modules.get("pandas"), "NA", None)

    def is_missing(label: Any) -> bool:
        if label is None or label is na:
            return True
        # pandas.NaT is a datetime.
        return isinstance(label, Number | np.generic | datetime) and label != label

    return np.vectorize(is_missing, otypes=[bool])(labels)


def _encode(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes and, as codes, their numbers or the indicator matrix."""
    if sparse.issparse(y):
        y = y.toarray()
    if y.ndim == 1 and y.dtype.kind in "iub":
        classes, codes = _encode_integers(y)
        # scikit-learn warns of more classes; of fewer it has nothing to say, and not to
        # ask it is a tenth of a small fit.
        if 2 * len(classes) <= len(y):
            _check_two_classes(classes)
            return classes, codes
    try:
        kind = type_of_target(y, input_name="y")
    except TypeError as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"y cannot be used as labels: {reason}.") from None
    if kind == "multilabel-indicator":
        return np.arange(y.shape[1]), _indicator(y)
    if kind not in ("binary", "multiclass"):
        check_classification_targets(y)
        raise ValueError(
            f"y must hold one label per sample or be a multilabel indicator matrix; "
            f"got a {kind} target."
        )
    labels = column_or_1d(y, warn=True)
    classes, codes = np.unique(labels, return_inverse=True)
    _check_two_classes(classes)
    return classes, codes


def _encode_integers(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return np.unique's classes and inverse, without sorting where a count will do."""
    low, high = int(y.min()), int(y.max())
    if high - low >= len(y) or high > np.iinfo(np.intp).max:
        return np.unique(y, return_inverse=True)
    offset = y.astype(np.intp, copy=False)
    if low != 0:
        offset = offset - low
    values = np.flatnonzero(np.bincount(offset))
    classes = (values + low).astype(y.dtype)
    if len(values) == high - low + 1:
        return classes, offset
    codes = np.empty(high - low + 1, dtype=np.intp)
    codes[values] = np.arange(len(values))
    return classes, codes[offset]


def _indicator(y: np.ndarray) -> np.ndarray:
    """Return zeros and ones; scikit-learn lets any two values pass as them."""
    indicator = np.asarray(y, dtype=np.float64)
    strange = indicator[(indicator != 0.0) & (indicator != 1.0)]
    if strange.size:
        raise ValueError(
            "y as a multilabel indicator matrix must hold 0 and 1 only; got "
            f"{strange[0]:g}."
        )
    return indicator


def _check_two_classes(classes: np.ndarray) -> None:
    if len(classes) < 2:
        raise ValueError(
            "y must hold samples of at least 2 classes with a positive weight; got one "
            f"class only: {_plain(classes[0])!r}."
        )


def _plain(value: Any) -> Any:
    """Return Python's own of a NumPy scalar, whose repr tells its type."""
    return value.item() if isinstance(value, np.generic) else value


def _weights(
    X: Any,
    codes: np.ndarray,
    classes: np.ndarray,
    sample_weight: Any,
    class_weight: Any,
) -> np.ndarray:
    """Return sample_weight × class_weight, (n_samples,) in float64."""
    if sample_weight is None and class_weight is None:
        return np.ones(X.shape[0])
    weight = check_sample_weight(sample_weight, X, dtype=np.float64, copy=True)
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    if (weight < 0.0).any():
        raise ValueError(
            f"sample_weight must not be negative; its smallest value is {weight.min()}."
        )
    if class_weight is None:
        return weight
    with np.errstate(over="ignore", invalid="ignore"):
        if codes.ndim == 1:
            weight *= _class_weights(codes, classes, weight, class_weight)[codes]
        else:
            weight *= _label_weights(codes, weight, class_weight)
    if not np.isfinite(weight).all():
        raise ValueError(
            f"class_weight={class_weight!r} times sample_weight leaves the range of "
            "float64: use weights of like size."
        )
    if not weight.any():
        raise ValueError(
            f"class_weight={class_weight!r} leaves no sample with a positive weight."
        )
    return weight


def _label_weights(
    indicator: np.ndarray, weight: np.ndarray, class_weight: Any
) -> np.ndarray:
    """Return the product over labels of their balanced weights, (n_samples,)."""
    if class_weight != "balanced":
        raise ValueError(
            "class_weight must be None or 'balanced' for a multilabel y, whose samples "
            f"belong to no single class. Got class_weight={class_weight!r}."
        )
    product = np.ones(len(indicator))
    for column in indicator.T.astype(np.intp):
        product *= _class_weights(column, np.arange(2), weight, class_weight)[column]
    return product


def _class_weights(
    codes: np.ndarray, classes: np.ndarray, weight: np.ndarray, class_weight: Any
) -> np.ndarray:
    """Return one weight per class.

    "balanced" is S / (n_classes · weight of the class), with the samples' own weights
    counted, so that weighting a row by 2 stays the same as writing it twice.
    """
    if isinstance(class_weight, str):
        counts = np.bincount(codes, weight, len(classes))
        present = counts > 0.0
        balanced = np.zeros(len(classes))
        balanced[present] = counts.sum() / (present.sum() * counts[present])
        return balanced
    known = set(classes.tolist())
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise ValueError(
            f"class_weight names classes that y does not have: {unknown}. The classes "
            f"of y are {classes.tolist()}."
        )
    negative = {
        label: value
        for label, value in class_weight.items()
        if not (isinstance(value, Real) and 0.0 <= float(value) < np.inf)
    }
    if negative:
        raise ValueError(
            f"class_weight must hold finite numbers that are not negative; got "
            f"{negative}."
        )
    return compute_class_weight(class_weight, classes=classes, y=classes)
