"""The parameters from which a warm start continues."""

from typing import Any

import numpy as np

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.networks import Network
from sknn_simple._training.spec import TrainSpec


def previous_parameters(
    estimator: Any, spec: TrainSpec, data: TrainingSet, names: np.ndarray | None
) -> np.ndarray | None:
    """Return the fitted attributes as parameters of a network.

    `names` are the ``feature_names_in_`` of the last fit. Returns None without
    ``warm_start``, and for an estimator without fitted attributes.

    Raises
    ------
    ValueError
        If the attributes are incomplete, or do not fit to the network, to the classes,
        to the names of the columns, or, without iterations, to ``monotonic_cst``.
    """
    needed = estimator._model_attributes
    present = [name for name in needed if hasattr(estimator, name)]
    if not (estimator.warm_start and present):
        return None
    for name in needed:
        if name not in present:
            raise ValueError(
                f"warm_start=True continues from {', '.join(present)}, but "
                f"{name} is missing. Set it too, or delete the others."
            )
    _check_classes(estimator, data)
    arrays = estimator._parameters()
    _check_shapes(estimator._attribute_of, arrays, spec.network)
    _check_names(names, getattr(estimator, "feature_names_in_", None))
    parameters = spec.network.layout.pack(arrays)
    if not spec.iterates and (spec.signs * parameters < 0.0).any():
        raise ValueError(
            "max_iter=0 with warm_start=True keeps the weights of the last fit, but "
            f"not all of them have the signs that monotonic_cst="
            f"{estimator.monotonic_cst} needs. Use max_iter > 0."
        )
    return parameters


def continues_converged_fit(estimator: Any) -> bool:
    """Return whether a warm start begins where the last fit converged."""
    return estimator.warm_start and getattr(estimator, "converged_", False)


def _check_classes(estimator: Any, data: TrainingSet) -> None:
    # Attributes that were set by hand do not say whether y was an indicator matrix.
    multilabel = vars(estimator).get("_multilabel", data.multilabel)
    classes = np.asarray(estimator.classes_)
    if multilabel != data.multilabel:
        kinds = {True: "a multilabel indicator matrix", False: "one label per sample"}
        raise ValueError(
            "warm_start=True continues from the last fit, so y must be "
            f"{kinds[multilabel]} again; got {kinds[data.multilabel]}."
        )
    if not np.array_equal(classes, data.classes):
        raise ValueError(
            "warm_start=True continues from the last fit, so y must have the same "
            f"classes: {classes.tolist()}; got {data.classes.tolist()}."
        )


def _check_names(before: np.ndarray | None, now: np.ndarray | None) -> None:
    """Raise ValueError if columns have other names, or the same in another order."""
    if before is None or now is None or np.array_equal(before, now):
        return
    place = np.flatnonzero(before != now)[0]
    raise ValueError(
        "warm_start=True continues from the last fit, so X must have the same columns "
        f"in the same order; column {place} was {before[place]!r} and is now "
        f"{now[place]!r}."
    )


def _check_shapes(
    attribute_of: dict[str, str], arrays: dict[str, np.ndarray], network: Network
) -> None:
    shapes = network.layout.shapes
    for name in arrays.keys() ^ shapes.keys():
        if name.endswith("coef"):
            had, now = ("", "without") if name in arrays else ("no ", "with")
            raise ValueError(
                f"warm_start=True continues from the last fit, which has {had}"
                f"{attribute_of[name]}; the parameters now require a network {now} it."
            )
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f"warm_start=True continues from the last fit, whose "
                f"{attribute_of[name]} has shape {arrays[name].shape}; X, y and the "
                f"parameters now require {shape}."
            )
        if not np.isfinite(arrays[name]).all():
            raise ValueError(
                f"warm_start=True continues from the last fit, whose "
                f"{attribute_of[name]} has values that are not finite."
            )
