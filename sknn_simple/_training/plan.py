"""How a network is trained on given data: its objective, coordinates and solver.

The coordinates are a change of variables: they decide how long the way to the optimum
is, and never where it lies.
"""

from typing import NamedTuple

import numpy as np

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.objective import LinearObjective
from sknn_simple._optim.constraints import reflected, sign_bounds
from sknn_simple._optim.journey import Limits
from sknn_simple._optim.scaling import Change, DirectProblem, ScaledProblem
from sknn_simple._optim.solvers import SOLVERS, Draft, Renewal
from sknn_simple._training.heuristics import (
    LBFGS_TOL,
    is_small,
    is_soon_standardised,
    newton_cholesky_size,
)
from sknn_simple._training.problem import Recipe, Scene, cut
from sknn_simple._training.renewal import renewal
from sknn_simple._training.subsampling import (
    draw_sample,
    optimum_of_sample,
    whitened_by_sample,
)

# Rounding of J ends the line search of L-BFGS not far below this where a sample's
# Hessian is whitened.
WHITENED_LBFGS_TOL = 1e-10
# Rows times parameters from which a draft in float32 pays for hidden layers: default
# fits of 100 units take 0.5 to 0.7 of the time. Below, a fifth would be saved; but on
# few rows the path in float64 is mostly the same for the same data in another form,
# such as rows repeated for weights.
DRAFT_WORK = 1e6
# In float32 J has errors of about 1e-7 of itself, and so has its gradient.
DRAFT_TOL = 1e-5
# Larger weights of units at the start would cost it digits, and rows of a smaller
# weight in J may be so many deviations out that their squares leave its range.
DRAFT_WEIGHT = 1e3
DRAFT_ROW_WEIGHT = 1e-20


class Approach(NamedTuple):
    """How to get to the minimum.

    Attributes
    ----------
    solver : str
        A key of ``SOLVERS``.
    change : Change
        The coordinates.
    problem : ScaledProblem
        J in these coordinates.
    start : ndarray of shape (size,)
        Where to start, in the objective's parameters.
    limits : Limits
        When to stop.
    renewal : Renewal or None
        How the coordinates are renewed on the way.
    draft : Draft or None
        What to minimise first.
    """

    solver: str
    change: Change
    problem: ScaledProblem
    start: np.ndarray
    limits: Limits
    renewal: Renewal | None = None
    draft: Draft | None = None


def choose_approach(
    recipe: Recipe, scene: Scene, start: np.ndarray, fresh: bool
) -> Approach:
    """Choose solver and coordinates, and look for a better start.

    Parameters
    ----------
    recipe : Recipe
        What is asked for.
    scene : Scene
        The objective and its columns.
    start : ndarray of shape (size,)
        Where to start if nothing better is found, in the objective's parameters.
    fresh : bool
        Whether a better start may be looked for; where a fit goes on, only if that is
        worse than none.

    Returns
    -------
    Approach
        After an interrupt (KeyboardInterrupt) with limits that end at the start.
    """
    columns = scene.columns
    try:
        if not fresh:
            start, fresh = _better_start(recipe, scene, start)
        solver, change, start = _way(recipe, scene, start, fresh)
    except KeyboardInterrupt:
        problem = _problem_in(scene, columns)
        limits = recipe.limits.until(0)
        return Approach(recipe.solver_or("lbfgs"), columns, problem, start, limits)
    return Approach(
        solver,
        change,
        _problem_in(scene, change),
        start,
        recipe.limits,
        renewal(recipe, scene, solver, change),
        _draft(recipe, scene, solver, change, start),
    )


def _better_start(
    recipe: Recipe, scene: Scene, start: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return the better of the last fit and none, and whether that is none.

    The last fit may be of data in other units; all outputs are then saturated, and a
    way back from there is long. The linear network's J has one minimum, so nothing is
    lost.
    """
    objective, columns = scene.objective, scene.columns
    if not isinstance(objective, LinearObjective):
        return start, False
    first = reflected(columns.to_scaled(start), sign_bounds(recipe.signs))
    zeros = np.zeros(objective.size)
    with np.errstate(over="ignore", invalid="ignore"):
        better = objective.value(columns.to_original(first)) <= objective.value(zeros)
    return (start, False) if better else (zeros, True)


def _way(
    recipe: Recipe, scene: Scene, start: np.ndarray, fresh: bool
) -> tuple[str, Change, np.ndarray]:
    """Return the solver, the coordinates, and where to start."""
    objective, bounded = scene.objective, bool(recipe.signs.any())
    if not isinstance(objective, LinearObjective) or bounded:
        return recipe.solver_or("lbfgs"), scene.columns, start
    if (drawn := draw_sample(scene)) is not None:
        return _way_by_sample(recipe, scene, objective, *drawn, start, fresh)
    return _solver(recipe, scene), scene.columns, start


def _way_by_sample(
    recipe: Recipe,
    scene: Scene,
    objective: LinearObjective,
    sample: TrainingSet,
    represents: bool,
    start: np.ndarray,
    fresh: bool,
) -> tuple[str, Change, np.ndarray]:
    """Start from a sample's optimum, in coordinates that whiten its Hessian there.

    The Hessian of the whole data is then the identity but for sampling noise, and
    L-BFGS needs four to ten passes over the rows. Where the sample misrepresents a
    column grossly, only the start is taken from it.
    """
    columns = scene.columns
    blocks = cut(recipe.network, sample, scene.view)
    if fresh:
        # As of a table of so many rows: where they can be told apart, the optimum is
        # so much nearer.
        ratio = np.sqrt(scene.data.X.shape[0] / sample.X.shape[0])
        of_many = objective.over(blocks, ratio * objective.decay)
        start = optimum_of_sample(of_many, columns, start)
    solver = _solver_of_many_rows(recipe, scene)
    if "hessian" in SOLVERS[solver].derivatives:
        return solver, columns, start
    if not represents:
        return _solver(recipe, scene, many_rows=True), columns, start
    whitened = whitened_by_sample(objective.over(blocks), columns, start)
    return solver, whitened or columns, start


def _solver(recipe: Recipe, scene: Scene, many_rows: bool = False) -> str:
    if scene.objective.size <= newton_cholesky_size(recipe, scene, many_rows):
        return recipe.solver_or("newton-cholesky")
    return recipe.solver_or("lbfgs" if recipe.limits.tol >= LBFGS_TOL else "newton-cg")


def _solver_of_many_rows(recipe: Recipe, scene: Scene) -> str:
    """Return the solver in coordinates that whiten a sample's Hessian."""
    exact = recipe.limits.tol < WHITENED_LBFGS_TOL
    by_hessian = exact and is_small(scene.objective)
    return recipe.solver_or("newton-cholesky" if by_hessian else "lbfgs")


def _problem_in(scene: Scene, change: Change) -> ScaledProblem:
    """Return J in the coordinates of a change of variables."""
    objective = scene.objective
    if (
        isinstance(objective, LinearObjective)
        and change is scene.columns
        and is_soon_standardised(scene)
    ):
        direct = objective.of_standardised(*change.columns)
        return DirectProblem(objective, change, direct)
    return ScaledProblem(objective, change)


def _draft(
    recipe: Recipe, scene: Scene, solver: str, change: Change, start: np.ndarray
) -> Draft | None:
    """Return J of a hidden layer with products in float32, None where that is no use.

    J itself is then minimised from where they have led, and mostly there is nothing
    left to do.
    """
    options = SOLVERS[solver].draft_options
    if scene.view is None or not scene.view.rounds or options is None:
        return None
    data = scene.data
    small = data.X.shape[0] * scene.objective.size < DRAFT_WORK
    remote = data.weight.min() < DRAFT_ROW_WEIGHT
    if small or remote or np.abs(start).max() > DRAFT_WEIGHT:
        return None
    blocks = cut(recipe.network, data, scene.view, np.dtype(np.float32))
    tol, max_iter, min_decrease = recipe.limits
    limits = Limits(max(tol, DRAFT_TOL), max_iter, max(min_decrease, DRAFT_TOL))
    problem = ScaledProblem(scene.objective.over(blocks), change)
    return Draft(problem, limits, options)
