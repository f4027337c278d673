"""Checks of the arguments of Posterior and of its methods."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sknn_simple._input.kinds import check_kind
from sknn_simple._input.names import listed
from sknn_simple._input.validation import is_missing
from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._training.spec import TrainSpec


def check_model(model: Any) -> None:
    """Raise an error if `model` is not a fitted network of this package."""
    if not isinstance(model, LogisticNN | OneHiddenMLP):
        advice = ""
        if hasattr(model, "steps"):
            advice = (
                " Pass its last step and what the others make of X: "
                "Posterior(pipeline[-1], pipeline[:-1].transform(X), y)."
            )
        elif hasattr(model, "best_estimator_"):
            advice = " Pass the model that it found, best_estimator_."
        raise TypeError(
            "model must be a fitted LogisticNN or OneHiddenMLP; got "
            f"{model if isinstance(model, type) else type(model).__name__}.{advice}"
        )
    check_is_fitted(model)
    for name in ("alpha_", "scale_"):
        if not hasattr(model, name):
            raise ValueError(
                f"model has no {name}: its attributes were set by hand, or an earlier "
                "version stored it. Fit it again."
            )


def check_parameters(
    model: Any, spec: TrainSpec, parameters: dict[str, np.ndarray]
) -> None:
    """Raise ValueError if the model changed after `fit`, or has no intervals."""
    for name, shape in spec.network.layout.shapes.items():
        if name not in parameters or parameters[name].shape != shape:
            raise ValueError(
                "The parameters of model were changed after fit: they need "
                f"{model._attribute_of[name]} of shape {shape}. Fit it again."
            )
    has_bias = "intercept" in spec.network.layout.shapes
    if not has_bias and np.any(parameters.get("intercept", 0.0)):
        raise ValueError(
            "The parameters of model were changed after fit: fit_intercept is False, "
            "but intercept_ is not 0. Fit it again."
        )
    if not model.standardize and np.any(model.scale_ != 1.0):
        raise ValueError(
            "The parameters of model were changed after fit: standardize is False, but "
            "scale_ holds units. Fit it again."
        )
    if not spec.network.is_linear and spec.alpha == 0.0:
        raise ValueError(
            "alpha=0 leaves weights of a hidden layer undetermined, so intervals do "
            "not exist. Fit OneHiddenMLP with alpha='auto' or a number above 0."
        )


def group_codes(groups: Any, n_rows: int, kept: np.ndarray | None) -> np.ndarray | None:
    """Return groups as numbers from 0, (n,), of rows with a positive weight."""
    if groups is None:
        return None
    check_kind("groups", groups)
    if isinstance(groups, list | tuple):  # a text array would turn NaN into "nan"
        groups = np.asarray(groups, object)
    try:
        groups = column_or_1d(groups)
    except ValueError:
        raise ValueError(
            f"groups must be one-dimensional; its shape is {np.shape(groups)}."
        ) from None
    if len(groups) != n_rows:
        raise ValueError(
            f"groups must have one entry per row, {n_rows}; it has {len(groups)}."
        )
    missing = is_missing(groups)
    if missing.any():
        row = missing.nonzero()[0][0]
        raise ValueError(f"The group of row {row} is missing; got {groups[row]}.")
    if kept is not None:
        groups = groups[kept]
    try:
        names, codes = np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"groups must be all numbers or all strings, to be sorted: {error}."
        ) from None
    if len(names) < 2:
        raise ValueError(
            "groups must hold at least 2 groups; all rows are in "
            f"{names.tolist()[0]!r}."
        )
    return codes


def check_reference(reference: Any, classes: np.ndarray, multilabel: bool) -> None:
    """Raise ValueError if `reference` is neither None nor a class."""
    if reference is None:
        return
    if multilabel:
        raise ValueError(
            f"reference must be None for a multilabel target; got {reference!r}."
        )
    known = classes.tolist()
    if np.ndim(reference) or reference not in known:
        raise ValueError(
            f"reference must be one of the classes {known}; got {reference!r}."
        )


def column_numbers(names: Sequence[str], features: Any) -> np.ndarray:
    """Return the numbers of columns that are given by name, number or mask."""
    given = np.atleast_1d(np.asarray(features))
    if given.dtype == bool and given.shape == (len(names),):
        given = np.flatnonzero(given)
    numbers = []
    for each in given.tolist():
        if isinstance(each, str) and each in names:
            numbers.append(list(names).index(each))
        elif type(each) is int and -len(names) <= each < len(names):
            numbers.append(each % len(names))
        else:
            raise ValueError(
                f"features must name columns of the model: {listed(names)}, or their "
                f"numbers; got {each!r}."
            )
    if not numbers:
        raise ValueError("features must name at least one column.")
    return np.unique(numbers)
