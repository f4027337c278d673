"""Training one network from one start: the middle of ``fit``, free of the estimators.

A ``Recipe`` says what to minimise; ``train`` follows it once through: objective,
coordinates, solver, result. All that it takes and returns can be pickled, so that
restarts may run in other processes.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np

from sknn_simple._data.threads import Workers, single_blas_thread
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.constraints import reflected, sign_bounds
from sknn_simple._optim.journey import Iterate, Result
from sknn_simple._optim.problem import Problem
from sknn_simple._optim.scaling import ScaledProblem
from sknn_simple._optim.solvers import minimise
from sknn_simple._training.monitors import EarlyStopping, Monitor, Monitors
from sknn_simple._training.plan import choose_approach
from sknn_simple._training.problem import Recipe, Scene, cut, set_scene


class Trained(NamedTuple):
    """The outcome of training.

    Attributes
    ----------
    theta : ndarray of shape (size,)
        Parameters for raw features, in float32 where the features are and it serves.
    result : Result
        How the minimisation ended.
    solver : str
        The solver that was used.
    validation_curve : list of float or None
        The log-loss on the validation set at the start and after each iteration.
    """

    theta: np.ndarray
    result: Result
    solver: str
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
        Parameters in the coordinates of ``Scene.columns``.
    monitors : sequence of Monitor
        Told about every iteration.
    start_is_raw : bool, default=False
        Whether `start` holds parameters for raw features instead.

    Returns
    -------
    Trained
    """
    # Fits in threads of one process share what the BLAS is allowed. Exponentials
    # underflow to 0, which is right, also for who asks NumPy to warn.
    with (
        np.errstate(under="ignore"),
        single_blas_thread() as n_threads,
        Workers(max(1, n_threads // single_blas_thread.depth)) as workers,
    ):
        scene = set_scene(recipe, data, workers)
        if start_is_raw:
            start = scene.raw.to_scaled(start)
        else:
            start = scene.columns.to_original(start)
        approach = choose_approach(recipe, scene, start, fresh=not start_is_raw)
        bounds = sign_bounds(recipe.signs)
        stopping = _early_stopping(recipe, scene, validation)

        def to_raw(problem: Problem | None, x: np.ndarray) -> np.ndarray:
            theta = scene.raw.to_original(_original(problem, x))
            return theta.astype(scene.dtype, copy=False)

        watching = [*monitors, stopping] if stopping else monitors
        first = reflected(approach.change.to_scaled(approach.start), bounds)
        result = minimise(
            approach.problem,
            first,
            solver=approach.solver,
            limits=approach.limits,
            bounds=bounds,
            observer=Monitors(watching, to_raw),
            renewal=approach.renewal,
            draft=approach.draft,
        )
        if approach.limits.max_iter == 0:
            result = result._replace(outcome="interrupted")

        if stopping is not None:
            _measure_last(result, stopping, to_raw)
            result = _best_of(result, stopping)
        theta = to_raw(result.problem, result.x)
        start = approach.change.to_original(first)
        result = _without_rounding(scene, result, start)
        # Processes that train other starts send their results, not the data.
        result = result._replace(problem=None)
        curve = stopping.curve if stopping else None
        return Trained(theta, result, approach.solver, curve)


def _original(problem: Problem | None, x: np.ndarray) -> np.ndarray:
    """Return x, in the coordinates of a problem, as parameters of the objective."""
    return cast(ScaledProblem, problem).change.to_original(x)


def _early_stopping(
    recipe: Recipe, scene: Scene, validation: TrainingSet | None
) -> EarlyStopping | None:
    if validation is None or recipe.patience is None:
        return None
    same_precision = validation.X.astype(scene.data.X.dtype, copy=False)
    view = scene.view.exact() if scene.view else None
    blocks = cut(recipe.network, validation._replace(X=same_precision), view)
    objective = scene.objective.over(blocks, np.zeros(scene.objective.size))
    return EarlyStopping(
        lambda theta: objective.value(scene.raw.to_scaled(theta)), recipe.patience
    )


def _without_rounding(scene: Scene, result: Result, start: np.ndarray) -> Result:
    """Return the result with J, at the start and the end, of features before rounding.

    The values between are moved with them, by about 1e-9 of J, or 1e-7 where a draft
    has been stopped: linearly, which keeps their order.
    """
    if scene.view is None or not scene.view.rounds:
        return result
    blocks = cut(scene.objective.network, scene.data, scene.view.exact())
    objective = scene.objective.over(blocks)
    try:
        first = objective.value(start)
        last = objective.value(_original(result.problem, result.x))
    except KeyboardInterrupt:
        return result._replace(outcome="interrupted")
    fall = result.values[0] - result.value
    slope = (first - last) / fall if fall > 0.0 else 1.0
    # Where J has hardly fallen, the quotient is one of rounding.
    slope = slope if 0.5 < slope < 2.0 else 1.0
    values = [last + slope * (value - result.value) for value in result.values]
    return result._replace(value=last, values=values)


def _measure_last(
    result: Result,
    stopping: EarlyStopping,
    to_raw: Callable[[Problem, np.ndarray], np.ndarray],
) -> None:
    """Measure the last iterate if an interrupt fell into its measurement."""
    x, problem = result.x, result.problem
    assert problem is not None
    if len(stopping.curve) < len(result.values):
        last = Iterate(result.n_iter, x, result.value, result.grad_norm, problem)
        stopping.ended(last, lambda: to_raw(problem, x))


def _best_of(result: Result, stopping: EarlyStopping) -> Result:
    """Return the result with the iterate of lowest validation loss as the last one."""
    best = stopping.best
    assert best is not None
    outcome = result.outcome
    if stopping.triggered and outcome == "observer":
        outcome = "early_stopping"
    return result._replace(
        x=best.x,
        value=result.values[best.n_iter],
        grad_norm=best.grad_norm,
        outcome=outcome,
        problem=best.problem,
    )
