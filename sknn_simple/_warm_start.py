"""The parameters from which a warm start continues."""

from typing import Any

import numpy as np

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.networks import Network


def previous_parameters(
    estimator: Any, network: Network, data: TrainingSet
) -> np.ndarray | None:
    """Return the fitted attributes as parameters of a network.

    Returns None without ``warm_start``, and for an estimator without fitted attributes.

    Raises
    ------
    ValueError
        If the attributes are incomplete or do not fit to the network or to the classes.
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
    _check_shapes(estimator._attribute_of, arrays, network)
    return network.layout.pack(arrays)


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


def _check_shapes(
    attribute_of: dict[str, str], arrays: dict[str, np.ndarray], network: Network
) -> None:
    shapes = network.layout.shapes
    for name in arrays.keys() - shapes.keys():
        if name.endswith("coef"):
            raise ValueError(
                "warm_start=True continues from the last fit, which has "
                f"{attribute_of[name]}; the parameters now require a network without "
                "it."
            )
    for name, shape in shapes.items():
        if name not in arrays:
            raise ValueError(
                "warm_start=True continues from the last fit, which has no "
                f"{attribute_of[name]}; the parameters now require a network with it."
            )
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
