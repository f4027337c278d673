"""Validation of X, y and weights, and their conversion to arrays."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.utils.multiclass import check_classification_targets, is_multilabel
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from sknn_simple._compat import check_sample_weight
from sknn_simple._data.moments import check_values
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._input.class_weights import (
    class_factors,
    class_totals,
    mean_weights,
    times_class_weight,
)
from sknn_simple._input.kinds import check_kind


def validate_features(estimator: Any, X: Any) -> Any:
    """Return X for a fitted estimator, as a finite float array or CSR.

    Arrays of other libraries become NumPy arrays, which training needs, even if
    scikit-learn's array API dispatch is on.
    """
    check_kind("X", X)
    return canonical(_validate_data(estimator, X, reset=False))


def _validate_data(
    estimator: Any, X: Any, y: Any = "no_validation", **settings: Any
) -> Any:
    settings = {"accept_sparse": "csr", "dtype": _accepted_dtypes(X), **settings}
    # The sum that scikit-learn tests for NaN may overflow.
    quiet = np.errstate(over="ignore", invalid="ignore")
    with config_context(array_api_dispatch=False), quiet:
        try:
            return validate_data(estimator, _as_numpy(X), y, **settings)
        except TypeError as error:  # NumPy's, for an object that is no number
            if "feature name" in str(error):
                raise
            raise TypeError(f"X cannot be converted to numbers: {error}") from None


def _as_numpy(array: Any) -> Any:
    """Return an array of another library as a NumPy array of the same precision."""
    foreign = hasattr(array, "__array_namespace__")
    return np.asarray(array) if foreign and not sparse.issparse(array) else array


def _accepted_dtypes(X: Any) -> Any:
    """Return the dtypes to accept; scikit-learn cannot read those of polars frames."""
    foreign_frame = hasattr(X, "to_numpy") and not hasattr(X, "iloc")
    if foreign_frame and np.asarray(X[:1]).dtype == np.float32:
        return np.float32
    return (np.float64, np.float32)


def canonical(X: Any) -> Any:
    """Return CSR with one entry per position: the sum, if there are several."""
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def validate_training_set(
    estimator: Any, X: Any, y: Any, sample_weight: Any, class_weight: Any
) -> TrainingSet:
    """Check all data passed to ``fit``.

    A ValueError names what is wrong: X is not finite or empty; y is missing, not
    finite, continuous or has one class only; lengths differ; weights are negative or
    all zero; a class weight is invalid or misspelt.
    """
    check_kind("X", X)
    if y is not None:  # for which scikit-learn has a better message
        check_kind("y", y)
    y = present_labels(y)
    X, y = _validate_data(estimator, X, y, multi_output=True)
    X = canonical(X)
    classes, codes = _encode(y)
    return _weighted_rows(X, codes, sample_weight, classes, class_weight)


def _weighted_rows(
    X: Any, codes: np.ndarray, weight: Any, classes: np.ndarray, class_weight: Any
) -> TrainingSet:
    """Return checked rows with their weights and those of their classes."""
    weight, factors = _sample_weight(X, weight, "sample_weight"), None
    if class_weight is not None:
        totals = class_totals(codes, weight, len(classes))
        factors = class_factors(totals, classes, class_weight)
    of_samples, mean = _mean_weights(codes, weight, len(classes), factors)
    if factors is not None:
        weight = times_class_weight(weight, codes, factors, class_weight)
    data = TrainingSet.from_weighted_rows(X, codes, weight, classes)
    return data._replace(
        class_weight=factors, mean_sample_weight=of_samples, mean_weight=mean
    )


def present_labels(y: Any) -> Any:
    """Return labels with a dtype that scikit-learn keeps; a sparse matrix as it is.

    It converts pandas' nullable integers to float64, in which different ones may be
    equal, and booleans to 0.0 and 1.0. NumPy cuts members of a text enumeration short
    if they are in a list, and its text of variable width is no text for scikit-learn.

    Raises ValueError if a label is missing.
    """
    y = _as_numpy(y)
    check_no_label_is_missing(y)
    if isinstance(y, list | tuple) and any(isinstance(label, Enum) for label in y):
        y = np.asarray(y, object)
    elif hasattr(y, "to_numpy"):
        y = np.asarray(y)
    if not isinstance(y, np.ndarray):
        return y
    return plain_labels(y.astype(object) if y.dtype.kind == "T" else y)


def check_no_label_is_missing(y: Any) -> None:
    """Raise ValueError if a label is None, NaN, NaT or pandas.NA.

    scikit-learn raises a TypeError for some of these, and converts NaN in a list of
    words to the word "nan".
    """
    if y is None or sparse.issparse(y):
        return
    # A list becomes an array of objects, because text would turn NaN into "nan".
    labels = np.atleast_1d(np.asarray(y, None if hasattr(y, "__array__") else object))
    if labels.dtype.kind in "iub":
        return
    missing = is_missing(labels)
    if missing.any():
        label = labels[missing][0]
        raise ValueError(
            f"Input y contains {'NaN' if isinstance(label, Real) else label}: the "
            f"label of sample {missing.nonzero()[0][0]} is missing."
        )


def is_missing(labels: np.ndarray) -> np.ndarray:
    """Return which labels are None, pandas.NA, or unequal to themselves as NaN is."""
    try:
        # == compares each object with None; an object without a truth value raises.
        return (labels != labels) | np.asarray(labels == np.array(None), dtype=bool)
    except (TypeError, ValueError):
        return np.vectorize(_is_missing_label, otypes=[bool])(labels)


def _is_missing_label(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA is neither true nor false
        return True
    except ValueError:  # an array, for which scikit-learn has a better message
        return False


def _encode(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and class numbers or the indicator matrix as codes."""
    labels = labels_or_indicator(y)
    if labels.ndim == 2:
        return np.arange(labels.shape[1]), labels
    classes, codes = np.unique(labels, return_inverse=True)
    check_two_classes(classes)
    return classes, codes


def labels_or_indicator(y: Any, *, warn: bool = True) -> np.ndarray:
    """Return labels (n_samples,), or an indicator matrix (n_samples, n_labels).

    Labels that are a column give a DataConversionWarning, unless `warn` is False.
    """
    y = plain_labels(y.toarray() if sparse.issparse(y) else y)
    if _is_multilabel(y):
        return _indicator(y)
    return y if y.ndim == 1 else column_or_1d(y, warn=warn)


def plain_labels(y: np.ndarray) -> np.ndarray:
    """Return numbers and booleans of dtype object in their own dtype.

    scikit-learn's checks of targets and its metrics refuse them as objects.
    """
    if y.dtype != object:
        return y
    kinds = set(map(type, y.flat))
    if all(issubclass(kind, str) for kind in kinds):
        return y
    try:
        plain = np.array(y.tolist())
        if plain.dtype.kind in "biuf" and np.array_equal(plain, y):
            return plain
    except ValueError:  # lists of several lengths
        pass
    names = ", ".join(sorted({kind.__name__ for kind in kinds}))
    raise ValueError(
        "y of dtype object cannot be used as labels: it must hold text only, or numbers"
        f" (integers of at most 64 bits) and booleans; it holds {names}. "
        "y.astype(str) makes text of them."
    )


def _is_multilabel(y: np.ndarray) -> bool:
    """Return whether y is an indicator matrix; raise if it is not classification."""
    if _are_few_integers(y):
        return False
    try:
        if is_multilabel(y):
            return True
        check_classification_targets(y)
    except TypeError as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"y cannot be used as labels: {reason}.") from None
    if y.ndim == 2 and y.shape[1] > 1:
        raise ValueError(
            "y must hold one label per sample or be a multilabel indicator matrix; "
            "got a multiclass-multioutput target."
        )
    return False


def _are_few_integers(y: np.ndarray) -> bool:
    """Return whether y holds integers from a range of at most half the number of rows.

    ``check_classification_targets``, which warns if there are more classes, takes a
    sixth of a fit of iris, and is not needed for such a y.
    """
    if y.ndim != 1 or y.dtype.kind not in "iub":
        return False
    return 2 * (int(y.max()) - int(y.min()) + 1) <= len(y)


def _indicator(y: np.ndarray) -> np.ndarray:
    """Return y as float64; raise if it holds any other values than 0 and 1."""
    indicator = np.asarray(y, dtype=np.float64)
    others = indicator[(indicator != 0.0) & (indicator != 1.0)]
    if others.size:
        raise ValueError(
            "y as a multilabel indicator matrix must hold 0 and 1 only; got "
            f"{others[0]:g}."
        )
    return indicator


def check_two_classes(classes: np.ndarray) -> None:
    if len(classes) < 2:
        raise ValueError(
            "y must hold samples of at least 2 classes; got one class only: "
            f"{classes.tolist()[0]!r}."
        )


def _mean_weights(
    codes: np.ndarray, weight: np.ndarray, n_classes: int, factors: np.ndarray | None
) -> tuple[float, float]:
    """Return the mean sample weight, and that with class weights; both at most 1."""
    largest = float(weight.max())
    relative = weight / largest
    if factors is None:  # as if of one class: a pass over the codes is saved
        totals, counts = relative.sum()[None], np.array([np.count_nonzero(relative)])
    else:
        totals = class_totals(codes, relative, n_classes)
        counts = class_totals(codes, (relative > 0.0).astype(np.float64), n_classes)
    return mean_weights(totals, counts, largest, factors)


def _sample_weight(X: Any, sample_weight: Any, name: str) -> np.ndarray:
    """Return the weights of the rows of X, (n_samples,) in float64."""
    if sample_weight is None:
        return np.ones(X.shape[0])
    if not isinstance(sample_weight, Real):  # one number is the weight of every row
        check_kind(name, sample_weight)
    try:
        weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        named = "sample_weight" in str(error)
        raise type(error)(f"{'' if named else 'sample_weight: '}{error}") from None
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    check_weights(weight)
    return weight


def check_weights(weight: np.ndarray) -> None:
    """Raise ValueError if a weight is negative, NaN or infinite.

    scikit-learn's ``assume_finite`` lets the last two pass.
    """
    least = weight.min()
    if least < 0.0:
        raise ValueError(
            f"sample_weight must not be negative; its smallest value is {least}."
        )
    if not weight.max() < np.inf:
        raise ValueError("Input sample_weight contains NaN or infinity.")


# Validation set -----------------------------------------------------------------------


def validate_validation_set(
    estimator: Any, data: TrainingSet, X_val: Any, y_val: Any, sample_weight_val: Any
) -> TrainingSet | None:
    """Check the validation rows passed to ``fit``; return None if there are none.

    The rows become arrays of the kind and dtype of the training rows `data`. Their
    weights are multiplied by the class weights of the training rows.
    """
    values = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    given = [name for name, value in values.items() if value is not None]
    if not given:
        return None
    for name in ("X_val", "y_val"):
        if name not in given:
            raise ValueError(
                f"{given[0]} is given without {name}: a validation set needs X_val and "
                "y_val."
            )
    check_kind("X_val", X_val)
    check_kind("y_val", y_val)
    # A float64 beyond float32 becomes infinite, which is refused, or 0.
    with renamed("X"), np.errstate(over="ignore", under="ignore"):
        X = _validate_data(estimator, X_val, reset=False, dtype=data.X.dtype)
    X = canonical(X)
    with renamed("y"):
        codes = _known_codes(data.classes, data.multilabel, y_val)
        check_consistent_length(X, codes)
    with renamed("sample_weight"):
        weight = _sample_weight(X, sample_weight_val, "sample_weight_val")
    factors = data.class_weight
    _, mean = _mean_weights(codes, weight, len(data.classes), factors)
    if factors is not None:
        with renamed("X"):
            weight = times_class_weight(weight, codes, factors, estimator.class_weight)
    rows = TrainingSet.from_weighted_rows(
        as_kind_of(data.X, X), codes, weight, data.classes
    )._replace(class_weight=factors, mean_weight=mean)
    check_values("X_val", rows.X)
    return rows


@contextmanager
def renamed(name: str) -> Generator[None]:
    """Make errors in the block, which check `name`, say that it is `name`_val."""
    try:
        yield
    except (TypeError, ValueError) as error:
        message = re.sub(rf"\A(Input )?{name}\b", r"\g<0>_val", str(error))
        if f"{name}_val" not in message:
            message = f"{name}_val: {message}"
        raise type(error)(message) from None


def validate_known_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[TrainingSet, Any, np.ndarray]:
    """Check rows for a fitted estimator; return them with its class weights.

    Also returns X and the codes of all rows, those of weight 0 included. Features are
    in float64.
    """
    check_kind("X", X)
    check_kind("y", y)
    X = canonical(_validate_data(estimator, X, reset=False, dtype=np.float64))
    classes, multilabel = estimator.classes_, estimator._multilabel
    codes = _known_codes(classes, multilabel, y, "y", "the model")
    check_consistent_length(X, codes)
    data = _weighted_rows(X, codes, sample_weight, classes, estimator.class_weight)
    return data, X, codes


def _known_codes(
    classes: np.ndarray,
    multilabel: bool,
    y: Any,
    name: str = "y_val",
    known_by: str = "y",
) -> np.ndarray:
    """Return y as codes of the classes, or its indicator matrix."""
    y = present_labels(y)
    y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y")
    if sparse.issparse(y):
        y = y.toarray()
    if multilabel:
        if y.shape[1:] != classes.shape:
            raise ValueError(
                f"{name} must have a column for each of the {len(classes)} labels "
                f"of {known_by}; its shape is {y.shape}."
            )
        return _indicator(y)
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    # LabelEncoder would convert labels to the dtype of the classes, 1.5 to 1.
    labels = column_or_1d(y).tolist()
    unknown = [label for label in labels if label not in code_of]
    if unknown:
        raise ValueError(
            f"{name} holds the label {unknown[0]!r}, which {known_by} does not have. "
            f"The classes of {known_by} are {classes.tolist()}."
        )
    return np.array([code_of[label] for label in labels], dtype=np.intp)


def as_kind_of(training: Any, X: Any) -> Any:
    """Return X as an array or as CSR, as the training rows are."""
    if sparse.issparse(training) == sparse.issparse(X):
        return X
    return X.toarray() if sparse.issparse(X) else type(training)(X)
