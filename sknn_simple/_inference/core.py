"""The posterior of a fitted network: its parts, computed once."""

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._inference.gaussian import Gaussian, RootGaussian, gauss_newton
from sknn_simple._inference.linear import (
    LARGE_GRADIENT,
    gaussian_with_penalty,
    gaussian_without_penalty,
    gram_matrix,
)
from sknn_simple._inference.outputs import HiddenOutputs, LinearOutputs, Outputs, Rows
from sknn_simple._inference.sandwich import sandwich
from sknn_simple._inference.sizes import is_smaller_by_rows, usable_bytes
from sknn_simple._model.losses import LOSSES, by_output
from sknn_simple._training.problem import TrainingProblem, build_problem
from sknn_simple._training.separation import separating_columns
from sknn_simple._training.spec import TrainSpec


class SeparationError(Exception):
    """J has no minimum, because classes are separable and there is no penalty."""

    def __init__(self, columns: tuple[int, ...]) -> None:
        super().__init__()
        self.columns = columns


class Inference(NamedTuple):
    """The rows, θ, and the Gaussian around it."""

    rows: Rows
    outputs: Outputs
    alpha: float
    # (P,): the precision of the prior, as J penalises.
    penalty: np.ndarray
    # (P,), bool: neither held at a bound nor the weight of a constant column.
    free: np.ndarray
    held: np.ndarray
    # (q, d), for linear networks: combinations of columns that are 0 in every row.
    null: np.ndarray
    # That of the model, and that of the intervals, a sandwich if covariance="robust".
    gaussian: Gaussian
    interval_gaussian: Gaussian
    # How many rows or groups the sandwich sums; 0 if it is not robust.
    n_terms: int
    log_likelihood: float
    # The root mean square of the gradient, in standard errors.
    gradient: float

    @property
    def n_rows(self) -> float:
        """The number of rows, as their frequencies count them."""
        return float(self.rows.frequency.sum())

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return -2.0 * self.log_likelihood

    @property
    def log_evidence(self) -> float:
        """log p(y | α), with a flat prior on the biases of a linear network.

        -∞ if α is 0: a flat prior on weights has no density.
        """
        if self.alpha == 0.0:
            return -np.inf
        outputs, prior = self.outputs, _prior(self.outputs, self.penalty)
        joint = self.log_likelihood - 0.5 * float(self.penalty @ outputs.theta**2)
        volume = float(np.log(prior[self.free & (prior > 0.0)]).sum())
        volume -= self.gaussian.log_determinant
        n_flat = int(np.sum(self.free & (prior == 0.0)))
        if outputs.network.is_linear and outputs.network.has_bias:
            n_flat -= outputs.loss.shift_invariant  # an equal shift of all biases
        return joint + 0.5 * volume + 0.5 * n_flat * float(np.log(2.0 * np.pi))


def infer(
    spec: TrainSpec,
    data: TrainingSet,
    parameters: dict[str, np.ndarray],
    robust: bool,
    groups: np.ndarray | None,
) -> Inference:
    """Return the posterior at the fitted parameters.

    Raises MemoryError if it is too large, and SeparationError if J has no minimum.
    """
    network, rows = spec.network, _rows(data)
    sizes = data.n_rows, network.n_outputs, network.layout.size
    has_row_form = not network.is_linear and not robust
    by_rows = is_smaller_by_rows(*sizes, has_row_form, usable_bytes())
    # Underflow to 0 is expected; silence it even if the user set np.seterr(under=…).
    with np.errstate(under="ignore"):
        with limit_blas_threads as n_threads, Workers(n_threads) as workers:
            problem = build_problem(spec, data, workers)
            outputs = _outputs(spec, data, problem, parameters)
            penalty = spec.alpha / data.mean_weight * problem.penalty_unit**2
            held = (spec.signs != 0.0) & (outputs.theta == 0.0)
            free = ~held & ~_of_constant_columns(outputs)
            log_likelihood, gradient = _likelihood(outputs, rows)
            gradient = np.where(free, gradient + penalty * outputs.theta, 0.0)
            linear = None
            if isinstance(outputs, LinearOutputs):
                linear = _linear(outputs, rows, problem, penalty, free, gradient)
        # The BLAS may use all threads again: large products need them.
        gaussian, null = linear or _hidden(outputs, rows, penalty, free, by_rows)
        intervals = sandwich(gaussian, outputs, rows, groups) if robust else gaussian
    n_groups = data.n_rows if groups is None else int(groups.max()) + 1
    return Inference(
        rows,
        outputs,
        spec.alpha,
        penalty,
        free,
        held,
        null,
        gaussian,
        intervals,
        n_groups if robust else 0,
        log_likelihood,
        _in_standard_errors(gradient, gaussian),
    )


def _outputs(
    spec: TrainSpec,
    data: TrainingSet,
    problem: TrainingProblem,
    parameters: dict[str, np.ndarray],
) -> Outputs:
    make = LinearOutputs if spec.network.is_linear else HiddenOutputs
    loss = LOSSES[data.out_activation]
    return make(spec.network, loss, problem.transform, parameters, data.own_intercept)


def _rows(data: TrainingSet) -> Rows:
    weight = data.counted_rows * data.loss_weight
    frequency = data.total_weight / data.mean_sample_weight * data.frequency()
    return Rows(data.X, data.y, data.classes, weight, frequency, data.multilabel)


def _prior(outputs: Outputs, penalty: np.ndarray) -> np.ndarray:
    """Return the precision of the prior, (P,): 1 for the biases of a hidden layer."""
    if outputs.network.is_linear:
        return penalty
    return np.where(penalty > 0.0, penalty, 1.0)


def _in_standard_errors(gradient: np.ndarray, gaussian: Gaussian) -> float:
    """Return the root mean square of g over the effective parameters, √(gᵀ C g / γ)."""
    squared = float(gradient @ gaussian.apply(gradient[:, None])[:, 0])
    return float(np.sqrt(max(squared, 0.0) / max(gaussian.n_effective, 1.0)))


def _linear(
    outputs: LinearOutputs,
    rows: Rows,
    problem: TrainingProblem,
    prior: np.ndarray,
    free: np.ndarray,
    gradient: np.ndarray,
) -> tuple[RootGaussian, np.ndarray]:
    """Return the Gaussian of a linear network, and the dependences of its columns."""
    curvature = problem.linear.curvature(outputs.theta)
    hessian = problem.data.counted_rows * curvature.matrix()
    if problem.alpha > 0.0:
        return gaussian_with_penalty(outputs, hessian, prior, free), np.zeros((0, 0))
    gram = gram_matrix(outputs, rows.X, rows.weight)
    # All outputs of a column are free, or none.
    free_rows = free[:: outputs.n_outputs]
    found = gaussian_without_penalty(outputs, hessian, gram, free_rows)
    # Far from a minimum Newton steps tell nothing.
    near = _in_standard_errors(gradient, found.gaussian) <= LARGE_GRADIENT
    columns = separating_columns(problem, outputs.theta, free, by_steps=near)
    if columns is not None or found.is_flat:
        raise SeparationError(columns or ())
    return found.gaussian, found.null


def _hidden(
    outputs: Outputs, rows: Rows, penalty: np.ndarray, free: np.ndarray, by_rows: bool
) -> tuple[Gaussian, np.ndarray]:
    """Return the same of a network with a hidden layer, which has a prior on all."""
    assert isinstance(outputs, HiddenOutputs)
    prior = _prior(outputs, penalty)
    gaussian = gauss_newton(outputs, rows.X, rows.weight, prior, free, by_rows)
    return gaussian, np.zeros((0, 0))


def _likelihood(outputs: Outputs, rows: Rows) -> tuple[float, np.ndarray]:
    """Return the log-likelihood, and minus its gradient."""
    value, gradient = 0.0, np.zeros(outputs.size)
    for block in outputs.blocks(rows.X):
        codes, weight = rows.codes[block.rows], rows.weight[block.rows]
        delta = block.raw.copy(order="F")
        value -= outputs.loss.value_and_gradient(delta, codes, weight)
        gradient += outputs.gradient(block.X, delta)
    return value, gradient


def _of_constant_columns(outputs: Outputs) -> np.ndarray:
    layout = outputs.network.layout
    is_constant = (outputs.transform.scale == 0.0)[:, None]
    inputs = {weights for weights, _ in outputs.network.input_weights}
    return (
        layout.pack({n: is_constant if n in inputs else 0.0 for n in layout.shapes})
        > 0.0
    )


def null_log_likelihood(rows: Rows, n_outputs: int, has_bias: bool) -> float:
    """Return the log-likelihood of a network without features."""
    weight = rows.weight
    if rows.codes.ndim == 1:
        ones = np.bincount(rows.codes, weight, minlength=n_outputs)[:, None]
        return _entropy(ones) if has_bias else -float(weight.sum() * np.log(n_outputs))
    weight = np.broadcast_to(by_output(weight), rows.codes.shape)
    if not has_bias:
        return -float(weight.sum() * np.log(2.0))
    of_one = rows.codes > 0.0
    return _entropy(np.array([(weight * y).sum(axis=0) for y in (of_one, ~of_one)]))


def _entropy(counts: np.ndarray) -> float:
    """Return Σ n log(n / N), over the rows of each column."""
    return float(xlogy(counts, counts / counts.sum(axis=0)).sum())
