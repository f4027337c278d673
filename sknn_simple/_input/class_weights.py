"""Factors of classes: the parameter class_weight."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight


def times_class_weight(
    weight: np.ndarray, codes: np.ndarray, factors: np.ndarray, class_weight: Any
) -> np.ndarray:
    """Return the product of the weights and of the factors of the rows' classes.

    The labels of a multilabel target have factors of their own, so that their rows keep
    their weights. Their factors are only checked.
    """
    if codes.ndim == 1:
        return checked_product(weight, factors[codes], class_weight)
    of_labels = factors[np.arange(codes.shape[1]), codes.astype(np.intp)]
    checked_product(weight[:, None], of_labels, class_weight)
    return weight


def checked_product(
    weight: np.ndarray, factors: np.ndarray, class_weight: Any
) -> np.ndarray:
    """Return weight · factors; raise if it overflows, or is 0 everywhere."""
    with np.errstate(over="ignore", invalid="ignore"):
        product = weight * factors
    if not np.isfinite(product).all():
        raise ValueError(
            f"class_weight={_plain_keys(class_weight)!r} times sample_weight leaves "
            "the range of float64: use weights of similar size."
        )
    if not product.any():
        raise ValueError(
            f"class_weight={_plain_keys(class_weight)!r} leaves no sample with a "
            "positive weight."
        )
    return product


def class_totals(codes: np.ndarray, weight: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the weight of each class, or of a label's two values (n_labels, 2)."""
    if codes.ndim == 1:
        return np.bincount(codes, weight, minlength=n_classes)
    of_one = weight @ codes
    return np.stack([weight.sum() - of_one, of_one], axis=1)


def mean_weights(
    totals: np.ndarray,
    counts: np.ndarray,
    largest: float,
    factors: np.ndarray | None,
) -> tuple[float, float]:
    """Return the mean of the positive sample weights, and that times class weights.

    `totals` and `counts` are the weight, relative to the `largest`, and the number of
    rows of positive weight of each class, from ``class_totals``. Both means are at
    most 1. Rows of a class of weight 0 do not count. The factors of labels leave the
    weights of rows as they are, and do not count either.
    """
    if totals.ndim == 2:  # each label has all rows
        totals, counts, factors = totals[0], counts[0], None
    kept = totals > 0.0 if factors is None else (totals > 0.0) & (factors > 0.0)
    if not kept.any():
        return 1.0, 1.0
    totals, counts = totals[kept], counts[kept]
    of_samples = _rounded(totals.sum() / counts.sum() * largest)
    if factors is None:
        return of_samples, of_samples
    with np.errstate(over="ignore", under="ignore"):
        factor = np.average(factors[kept], weights=totals / totals.max())
    return of_samples, _rounded(of_samples * factor)


def _rounded(mean: float) -> float:
    """Return a mean, at most 1, to 12 digits: balanced weights have exactly 1."""
    return min(1.0, float(f"{mean:.12g}"))


def class_factors(
    totals: np.ndarray, classes: np.ndarray, class_weight: Any
) -> np.ndarray:
    """Return the factor of each class; of a label's two values (n_labels, 2).

    `totals` are the weights of the classes, from ``class_totals``.
    """
    class_weight = _plain_keys(class_weight)
    with np.errstate(over="ignore", invalid="ignore"):
        if class_weight == "balanced":
            rows = np.atleast_2d(totals)
            return np.array([_balanced(row) for row in rows]).reshape(totals.shape)
        if totals.ndim == 1:
            if isinstance(class_weight, list):
                raise ValueError(
                    "class_weight as a list of dicts is for a multilabel y, but y has "
                    f"one label per sample. Got class_weight={class_weight!r}."
                )
            _check_class_weight(classes, class_weight)
            return compute_class_weight(class_weight, classes=classes, y=classes)
        return _label_weights(len(totals), class_weight)


def _label_weights(n_labels: int, class_weight: Any) -> np.ndarray:
    """Return the factors of 0 and of 1 for each label, (n_labels, 2)."""
    is_list = isinstance(class_weight, list)
    if not is_list or not all(isinstance(each, dict) for each in class_weight):
        raise ValueError(
            "class_weight must be None, 'balanced' or a list with a dict for each "
            "label, such as [{0: 1, 1: 5}, {0: 1, 1: 2}], for a multilabel y. Got "
            f"class_weight={class_weight!r}."
        )
    if len(class_weight) != n_labels:
        raise ValueError(
            f"class_weight has {len(class_weight)} dicts, but y has {n_labels} labels."
        )
    values = np.arange(2)
    for each in class_weight:
        _check_class_weight(values, each)
    return np.array(
        [compute_class_weight(each, classes=values, y=values) for each in class_weight]
    )


def _balanced(totals: np.ndarray) -> np.ndarray:
    """Return S / (n_classes · weight of the class), (n_classes,).

    compute_class_weight of scikit-learn 1.6 counts rows. This function sums their
    weights, so that a row of weight 2 is the same as two equal rows.
    """
    shares = np.count_nonzero(totals) * totals
    # A class that no training row has gets 0: it does not count in validation either.
    zeros = np.zeros_like(totals)
    return np.divide(totals.sum(), shares, out=zeros, where=totals > 0.0)


def _check_class_weight(classes: np.ndarray, class_weight: dict[Any, Any]) -> None:
    """Raise ValueError for an invalid weight, or a label that looks misspelt.

    A class that y does not have is no error: a fold may lack a rare class. But if some
    class of y has no weight either, one of the two is misspelt, as in scikit-learn.
    """
    known = set(classes.tolist())
    unknown = [label for label in class_weight if label not in known]
    if unknown and len(class_weight) - len(unknown) < len(known):
        raise ValueError(
            f"class_weight names classes that y does not have: {unknown}. The classes "
            f"of y are {classes.tolist()}, and not all of them have a weight."
        )
    refused = {
        label: value
        for label, value in class_weight.items()
        if not (isinstance(value, Real) and 0.0 <= float(value) < np.inf)
    }
    if refused:
        raise ValueError(
            f"class_weight must hold finite numbers that are not negative; got "
            f"{refused}."
        )


def _plain_keys(class_weight: Any) -> Any:
    """Return a dict, or a list of them, with Python's numbers; else as it is."""
    if isinstance(class_weight, list):
        return [_plain_keys(each) for each in class_weight]
    if not isinstance(class_weight, dict):
        return class_weight
    return {_plain(key): _plain(weight) for key, weight in class_weight.items()}


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's, for error messages without its type."""
    return value.item() if isinstance(value, np.generic) else value
