"""Training one network from one start: the middle of ``fit``, free of the estimators.

A ``Recipe`` says what to minimise and how; ``train`` follows it once through: row
blocks, the columns' moments, the objective, the change of variables, the solver. All of
it can be pickled, so that restarts may run in other processes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sknn_simple._monitors import EarlyStopping, Monitor, Monitors
from sknn_simple._nn.blocks import RowBlocks, Workers
from sknn_simple._nn.losses import LOSSES
from sknn_simple._nn.moments import column_moments
from sknn_simple._nn.objective import Network, Objective
from sknn_simple._optim.constraints import reflected, sign_bounds
from sknn_simple._optim.scaling import (
    Change,
    Columns,
    ColumnScaling,
    InputWeights,
    ScaledProblem,
)
from sknn_simple._optim.solvers import Limits, Result, minimise
from sknn_simple._optim.threads import single_blas_thread
from sknn_simple._training_set import TrainingSet


class Recipe(NamedTuple):
    """What to minimise, and how.

    Attributes
    ----------
    network : Network
        The network.
    objective : type
        The class of J.
    alpha : float
        Strength of the penalty.
    standardize : bool
        Whether the penalty sees standardised features.
    signs : ndarray of shape (size,)
        1 and -1 for parameters that must not be negative or positive, else 0.
    solver : str
        A key of ``SOLVERS``.
    limits : Limits
        When to stop.
    patience : int or None
        Iterations without improvement on the validation set after which to stop.
    """

    network: Network
    objective: type[Objective]
    alpha: float
    standardize: bool
    signs: np.ndarray
    solver: str
    limits: Limits
    patience: int | None = None


class Trained(NamedTuple):
    """The outcome of training.

    Attributes
    ----------
    theta : ndarray of shape (size,)
        Parameters for raw features.
    result : Result
        How the minimisation ended.
    validation_curve : list of float or None
        The log-loss on the validation set at the start and after each iteration.
    """

    theta: np.ndarray
    result: Result
    validation_curve: list[float] | None

    @property
    def score(self) -> float:
        """What restarts are compared by: validation loss if there is one, else J."""
        return min(self.validation_curve or [self.result.value])


def train(
    recipe: Recipe,
    data: TrainingSet,
    validation: TrainingSet | None,
    start: np.ndarray,
    monitors: Sequence[Monitor] = (),
    *,
    start_is_raw: bool = False,
) -> Trained:
    """Minimise J from one start.

    Parameters
    ----------
    recipe : Recipe
        What to minimise, and how.
    data, validation : TrainingSet
        The rows to train on, and those to watch, if any.
    start : ndarray of shape (size,)
        Parameters for standardised features.
    monitors : sequence of Monitor
        Told about every iteration.
    start_is_raw : bool, default=False
        Whether `start` holds parameters for raw features instead.

    Returns
    -------
    Trained
    """
    with single_blas_thread() as n_threads, Workers(n_threads) as workers:
        blocks = _cut(recipe.network, data)
        mean, deviation = column_moments(blocks, workers)
        objective = _objective(recipe, data, blocks, deviation, workers)
        change = _change_of_variables(recipe, data, objective, mean, deviation)
        if not start_is_raw:
            start = _standardised(recipe.network, mean, deviation).to_original(start)
        bounds = sign_bounds(recipe.signs)
        stopping = _early_stopping(recipe, validation, workers)
        watching = [*monitors, stopping] if stopping else monitors
        result = minimise(
            ScaledProblem(objective, change),
            reflected(change.to_scaled(start), bounds),
            solver=recipe.solver,
            limits=recipe.limits,
            bounds=bounds,
            observer=Monitors(watching, change.to_original),
        )
    if stopping is None or stopping.best is None:
        return Trained(change.to_original(result.x), result, None)
    return Trained(
        stopping.best_theta, _best_of(result, stopping), list(stopping.curve)
    )


def _cut(network: Network, data: TrainingSet) -> RowBlocks:
    return RowBlocks(
        data.X,
        data.y,
        data.weight,
        row_bytes=network.row_bytes(data.X),
        work=network.work(data.X),
    )


def _objective(
    recipe: Recipe,
    data: TrainingSet,
    blocks: RowBlocks,
    deviation: np.ndarray,
    workers: Workers,
) -> Objective:
    decay = np.sqrt(recipe.alpha / data.total_weight) * _penalised(recipe, deviation)
    return recipe.objective(
        recipe.network, LOSSES[data.out_activation], blocks, decay, workers
    )


def _penalised(recipe: Recipe, deviation: np.ndarray) -> np.ndarray:
    """Return d of ``Objective``: what the penalty multiplies each parameter by."""
    network = recipe.network
    inputs = {weights for weights, _ in network.input_weights}
    units = deviation if recipe.standardize else np.ones_like(deviation)
    return network.layout.pack(
        {
            name: units[:, None] if name in inputs else float(name.endswith("coef"))
            for name in network.layout.shapes
        }
    )


def _groups(network: Network) -> list[InputWeights]:
    """Return where the weights on the inputs lie, for the change of variables."""
    layout = network.layout
    return [
        InputWeights(
            layout.slices[weights],
            layout.slices.get(biases),
            layout.shapes[weights][1],
        )
        for weights, biases in network.input_weights
        if weights in layout.shapes
    ]


def _inverse(size: np.ndarray) -> np.ndarray:
    """Return 1/size, and 0 where that is not finite."""
    with np.errstate(over="ignore", divide="ignore"):
        inverse = 1.0 / size
    return np.where(np.isfinite(inverse), inverse, 0.0)


def _center(network: Network, mean: np.ndarray) -> np.ndarray:
    """Return what a bias can take up: the mean, or nothing where there is no bias."""
    return mean if network.has_bias else np.zeros_like(mean)


def _standardised(
    network: Network, mean: np.ndarray, deviation: np.ndarray
) -> ColumnScaling:
    """Return the change of variables from standardised to raw features."""
    columns = Columns(_center(network, mean), _inverse(deviation))
    return ColumnScaling(columns, _groups(network))


def _change_of_variables(
    recipe: Recipe,
    data: TrainingSet,
    objective: Objective,
    mean: np.ndarray,
    deviation: np.ndarray,
) -> Change:
    """Return coordinates in which the diagonal of the Hessian is near 1.

    A column is divided by √(c σ² + alpha/S d²), where c is the objective's
    ``input_curvature``; 0 takes the place of the quotient for a constant column whose
    weight the penalty does not see, so that it stays 0.
    """
    units = deviation if recipe.standardize else np.ones_like(deviation)
    size = np.hypot(
        np.sqrt(objective.input_curvature) * deviation,
        np.sqrt(recipe.alpha / data.total_weight) * units,
    )
    columns = Columns(_center(recipe.network, mean), _inverse(size))
    return ColumnScaling(columns, _groups(recipe.network))


def _early_stopping(
    recipe: Recipe, validation: TrainingSet | None, workers: Workers
) -> EarlyStopping | None:
    if validation is None or recipe.patience is None:
        return None
    objective = recipe.objective(
        recipe.network,
        LOSSES[validation.out_activation],
        _cut(recipe.network, validation),
        np.zeros(recipe.network.layout.size),
        workers,
    )
    return EarlyStopping(objective.value, recipe.patience)


def _best_of(result: Result, stopping: EarlyStopping) -> Result:
    """Return the result with the iterate of lowest validation loss as the last one."""
    best = stopping.best
    assert best is not None
    outcome = result.outcome
    if stopping.triggered and outcome == "observer":
        outcome = "early_stopping"
    return result._replace(
        x=best.x, value=best.value, grad_norm=best.grad_norm, outcome=outcome
    )
