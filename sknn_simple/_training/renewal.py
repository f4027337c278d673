"""Coordinates that are renewed on the way, because the curvature there has changed."""

from functools import partial
from typing import cast

import numpy as np

from sknn_simple._model.objective import LinearObjective
from sknn_simple._optim.problem import Problem
from sknn_simple._optim.scaling import (
    NO_CURVATURE,
    RIDGE,
    Change,
    ColumnScaling,
    ScaledProblem,
    renewed_unit,
    whitened,
)
from sknn_simple._optim.solvers import SOLVERS, Renewal
from sknn_simple._training.heuristics import (
    blocks_are_cheap,
    newton_cholesky_size,
    sample_size,
)
from sknn_simple._training.problem import Recipe, Scene, equalising

# After how many iterations blocks are first formed. At 0 the curvature is the same in
# every row, and too unlike that at the optimum.
FIRST_BLOCKS = 8
# And scales renewed, once: L-BFGS then begins anew, which costs more than a second
# renewal gains. 22 fits of 14 sets took 0.86 times as long for it in the geometric
# mean, 0.43 to 1.25 times.
RESCALING = 6
# The rows that blocks are formed from hold this part of an output's curvature; of
# classes that are nearly told apart they are few.
BLOCK_CURVATURE = 0.999
# Where the mean curvature, 1 at the start, is below this and there is no penalty, the
# classes can be told apart: J has no optimum, and a Hessian, which goes to 0 with it,
# is of no use for the way there.
VANISHING = 0.03


def renewal(
    recipe: Recipe, scene: Scene, solver: str, change: Change
) -> Renewal | None:
    """Return how coordinates are renewed on the way, None where that does not pay.

    They are those in which the Hessian's diagonal, or where that is affordable its
    block of each output, is the identity at the iterate: a block undoes the correlation
    of the columns, weighted as the output weights the rows there, and the diagonal
    their sizes so weighted. What the outputs share remains.
    """
    objective = scene.objective
    if not isinstance(objective, LinearObjective) or recipe.signs.any():
        return None
    if not SOLVERS[solver].first_order or change is not scene.columns:
        return None
    many_rows = sample_size(scene.data, objective.size) > 0
    if objective.size <= newton_cholesky_size(recipe, scene, many_rows):
        return None
    by_blocks = blocks_are_cheap(scene)
    coordinates = (
        partial(_by_blocks, scene, objective)
        if by_blocks
        else partial(_rescaled, scene, objective)
    )

    def renew(problem: Problem, x: np.ndarray) -> tuple[Problem, np.ndarray]:
        theta = cast(ScaledProblem, problem).change.to_original(x)
        renewed = coordinates(theta)
        if renewed is None:
            return problem, x
        return ScaledProblem(objective, renewed), renewed.to_scaled(theta)

    first = FIRST_BLOCKS if by_blocks else RESCALING
    return Renewal(first, renew, again=by_blocks)


def _least_curvature(objective: LinearObjective) -> float:
    """Return the part of the curvature at the start that is still of use."""
    return NO_CURVATURE if objective.decay.any() else VANISHING


def _by_blocks(
    scene: Scene, objective: LinearObjective, theta: np.ndarray
) -> Change | None:
    """Return coordinates that whiten the block of each output at θ."""
    columns = scene.columns
    if scene.data.n_outputs == 1:  # threads share its rows
        blocks = objective.hessian(theta, *columns.columns)[None]
    else:
        blocks = objective.hessian_blocks(theta, *columns.columns, part=BLOCK_CURVATURE)
    softmax = scene.data.out_activation == "softmax"
    least = _least_curvature(objective)
    return whitened(columns, blocks, zero_sum=softmax, least=least)


def _rescaled(
    scene: Scene, objective: LinearObjective, theta: np.ndarray
) -> Change | None:
    """Return coordinates in which the Hessian's diagonal at θ is near 1.

    As `Scene.columns`, which they are at the start, with every row weighted by its
    curvature, ∂²ℓ/∂z² in the mean over the outputs.
    """
    by_row = objective.curvature(theta).mean(axis=1)
    total = float(by_row.sum())
    relative = total / objective.input_curvature
    if relative < _least_curvature(objective):
        return None
    network = objective.network
    mean, deviation = scene.moments(scene.data._replace(weight=by_row / total))
    first = scene.columns.columns.scale
    held = first == 0.0
    # The curvature may vanish in all rows where a column varies.
    least = np.sqrt(RIDGE * relative) / np.where(held, 1.0, first)
    penalty = np.hypot(network.layout.views(objective.decay)["coef"][:, 0], least)
    columns = equalising(network, mean, deviation, total, penalty)
    columns.scale[held] = 0.0
    others = np.ones(objective.size)
    if network.has_bias:
        network.layout.views(others)["intercept"][...] = 1.0 / np.sqrt(total)
    unit = renewed_unit(relative)
    return ColumnScaling(columns, scene.columns.groups, others=others, unit=unit)
