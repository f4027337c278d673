"""Parameters of a linear network on raw columns: order, roots and contrasts.

Public order: output after output, each with its weights, as in a row of ``coef_``, and
then its bias. If a constant column is the intercept, its weight is the bias over its
value, in the place of the column.
"""

from typing import NamedTuple

import numpy as np

from sknn_simple._inference.core import Inference
from sknn_simple._inference.gaussian import RootGaussian
from sknn_simple._inference.outputs import Outputs
from sknn_simple._training.heuristics import ARRAY_BYTES, NO_CURVATURE


def to_raw(outputs: Outputs, root: np.ndarray) -> np.ndarray:
    """Return F R, for raw parameters, in public order.

    Softmax does not determine the mean of the intercepts over the classes. The mean of
    those of a fitted model is 0, so that of the rows is, too.
    """
    raw = np.apply_along_axis(outputs.input_map.to_raw, 0, root)
    network = outputs.network
    if network.is_linear and network.has_bias and outputs.loss.shift_invariant:
        biases = raw[network.layout.slices["intercept"]]
        biases -= biases.mean(axis=0)
    raw = raw[public_order(outputs)]
    if outputs.own_intercept is not None:
        column, value = outputs.own_intercept
        raw[column :: len(outputs.transform.scale)] /= value
    return raw


def public_order(outputs: Outputs) -> np.ndarray:
    """Return the place in θ of every public parameter."""
    places = np.arange(outputs.size)
    if not outputs.network.is_linear:
        return places
    by_output = places.reshape(-1, outputs.n_outputs).T.copy()
    if outputs.own_intercept is not None:
        by_output[:, outputs.own_intercept[0]] = by_output[:, -1]
        by_output = by_output[:, :-1]
    return by_output.reshape(-1)


def undetermined(inference: Inference) -> np.ndarray:
    """Return which public parameters depend on a combination of columns that is 0."""
    outputs, null = inference.outputs, inference.null
    order = public_order(outputs)
    if not null.size:
        return np.zeros(len(order), bool)
    center, scale = outputs.transform.center, outputs.transform.scale
    moves = np.abs(null)
    if outputs.network.has_bias:
        # Relative to the size of its terms, because the columns may be far from 0.
        shift = null[: len(center)] * (center * scale)[:, None]
        size = 1.0 + np.abs(shift).sum(axis=0)
        moves[-1] = np.abs(null[-1] - shift.sum(axis=0)) / size
    # A dependence is a vector of length 1, and its entries are roots of eigenvalues.
    moving = moves.max(axis=1) > np.sqrt(NO_CURVATURE)
    return moving[order // outputs.n_outputs]


def has_free_weight(inference: Inference) -> np.ndarray:
    """Return for each column whether a weight on it is free, (p,).

    Weights of a hidden unit do not count if all weights from it are held at 0.
    """
    network = inference.outputs.network
    free = network.layout.views(inference.free.copy())
    if not network.is_linear:
        free["hidden_coef"] &= free["output_coef"].any(axis=1)
    on_column = [free[w].any(axis=1) for w, _ in network.input_weights if w in free]
    return np.any(on_column, axis=0)


class Contrasts(NamedTuple):
    """Coefficients of a linear network, each with a root of its covariance."""

    # The class or label of each equation; None for two classes.
    labels: list[object]
    # (n_equations, q), and (n_equations, q, r).
    coef: np.ndarray
    root: np.ndarray
    # (q,): whether a bound or a constant column fixes them, or the data leave them
    # open, in all equations.
    fixed: np.ndarray
    open: np.ndarray


def contrasts(inference: Inference, reference: object = None) -> Contrasts:
    """Return the coefficients, of log odds against the reference class, or of labels.

    By default the reference is the first class.
    """
    outputs, classes = inference.outputs, inference.rows.classes
    theta = raw_values(inference).reshape(outputs.n_outputs, -1)
    root = to_raw(outputs, inference.interval_gaussian.root()).reshape(*theta.shape, -1)
    if not inference.rows.multilabel:
        base = 0 if reference is None else list(classes).index(reference)
        theta, root = against(theta, base), against(root, base)
        classes = np.delete(classes, base)
    q = theta.shape[1]
    fixed, open_ = ~inference.free[public_order(outputs)], undetermined(inference)
    return Contrasts(list(classes), theta, root, fixed[:q], open_[:q])


def against(by_output: np.ndarray, base: int) -> np.ndarray:
    """Return the log odds of the other classes against a base, (K - 1, ...).

    One output, of two classes, is the log odds of the second against the first.
    """
    if len(by_output) == 1:
        by_output = np.concatenate([np.zeros_like(by_output), by_output])
    return np.delete(by_output - by_output[base], base, axis=0)


def norms(root: np.ndarray) -> np.ndarray:
    """Return the norms along the last axis; their squares may leave the range."""
    size = np.abs(root).max(axis=-1, initial=0.0)
    divisor = np.where(size > 0.0, size, 1.0)[..., None]
    return size * np.sqrt(np.square(root / divisor).sum(axis=-1))


def raw_values(inference: Inference) -> np.ndarray:
    """Return the public parameters."""
    outputs = inference.outputs
    return to_raw(outputs, outputs.theta[:, None])[:, 0]


def raw_std_errors(inference: Inference) -> np.ndarray:
    """Return the standard error of each public parameter, NaN without an interval."""
    outputs, intervals = inference.outputs, inference.interval_gaussian
    order = public_order(outputs)
    if isinstance(intervals, RootGaussian):
        errors = norms(to_raw(outputs, intervals.root()))
    else:
        # The rows of F are what Fᵀ makes of unit vectors.
        pull, size = outputs.input_map.pull_back, outputs.size
        errors = np.empty(size)
        step = max(1, ARRAY_BYTES // (8 * size))
        for start in range(0, size, step):
            rows = order[start : start + step]
            units = np.zeros((len(rows), size))
            units[np.arange(len(rows)), rows] = 1.0
            J = np.apply_along_axis(pull, 1, units)
            errors[start : start + len(rows)] = np.sqrt(intervals.variance(J))
    errors[without_interval(inference)] = np.nan
    return errors


def raw_covariance(inference: Inference) -> np.ndarray:
    """Return the covariance of the public parameters, NaN without an interval."""
    outputs, intervals = inference.outputs, inference.interval_gaussian
    if isinstance(intervals, RootGaussian):
        root = to_raw(outputs, intervals.root())
        found = root @ root.T
    else:
        half = to_raw(outputs, intervals.apply(np.eye(outputs.size)))
        found = to_raw(outputs, np.ascontiguousarray(half.T))
    missing = without_interval(inference)
    found[missing] = np.nan
    found[:, missing] = np.nan
    return found


def without_interval(inference: Inference) -> np.ndarray:
    """Return which public parameters are fixed, or not determined by the data."""
    fixed = ~inference.free[public_order(inference.outputs)]
    return fixed | undetermined(inference)
