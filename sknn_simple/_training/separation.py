"""Whether a fit without a penalty has no minimum, because classes can be separated.

If some direction d of θ raises the raw output of the observed class against those of
the other classes, or leaves it as it is, in every row, J falls along d for ever (Albert
and Anderson 1984):

- If θ itself classifies every row correctly, so does t θ for t > 1, with a lower J. For
  a hidden layer it is enough to multiply the output layer.
- If some rows are separated and others are not, the loss of the separated rows falls
  like exp(-z), so that each Newton step moves them by about 1. Towards a minimum the
  steps shrink quadratically.

References
----------
Albert, A., Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
logistic regression models. Biometrika 71(1), 1-10.
"""

import numpy as np

from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.objective import Objective
from sknn_simple._optim.newton_cholesky import newton_steps
from sknn_simple._training.heuristics import (
    MAX_NAMED,
    NEWTON_PARAMS,
    SHRUNK,
    TAKES_PART,
    UNSHRUNK_STEPS,
)
from sknn_simple._training.problem import TrainingProblem


def separating_columns(
    problem: TrainingProblem, theta: np.ndarray, *, by_steps: bool
) -> tuple[int, ...] | None:
    """Return the columns that separate the classes; None if J has a minimum.

    The tuple is empty if many columns together separate them: none can be named.
    Of linear networks with many parameters, and without `by_steps`, only the first
    condition is tested.
    """
    lowest = np.min(problem.objective.each(_lowest_margins, theta), axis=0)
    separated = np.any(lowest > 0.0)  # of labels, one is enough
    J = problem.objective
    by_steps = by_steps and J.network.is_linear and J.size <= NEWTON_PARAMS
    direction = _lasting_step(problem.linear, theta) if by_steps else None
    if direction is None:
        return () if separated else None
    weights = J.views(direction)["coef"]
    if len(weights) != problem.unit.size:
        return ()  # coordinates of the row space
    size = np.abs(weights).max(axis=1)
    # Also compared with the biases: of a label with one value only they grow alone.
    columns = np.flatnonzero(size > TAKES_PART * np.abs(direction).max())
    some = len(columns) == 1 or len(columns) < np.count_nonzero(problem.transform.scale)
    return tuple(columns.tolist()) if some and len(columns) <= MAX_NAMED else ()


def _lowest_margins(J: Objective, theta: np.ndarray) -> np.ndarray:
    """Return the smallest margin of all rows, (1,) or (n_labels,)."""
    params = J.params(theta)
    lowest = np.full(J.network.n_outputs if J.blocks.y.ndim == 2 else 1, np.inf)
    for block in J.blocks.blocks:
        X = J.blocks.features(block, J.workspace)
        raw = J.network.forward(params, X, J.workspace)
        margins = _margins(raw, block.y)
        if block.loss_weight.ndim == 2:
            margins[block.loss_weight == 0.0] = np.inf
        lowest = np.minimum(lowest, margins.min(axis=0))
    return lowest


def _margins(raw: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return by how much the observed class leads, (n_rows, 1 or n_labels)."""
    if y.ndim == 2:
        return raw * (2.0 * y - 1.0)
    rows = np.arange(len(raw))
    observed = raw[rows, y].copy()
    others = raw.copy()
    others[rows, y] = -np.inf
    return (observed - others.max(axis=1))[:, None]


def _lasting_step(J: LinearObjective, theta: np.ndarray) -> np.ndarray | None:
    """Return a Newton step that several others did not shrink, or None."""
    step = None
    for _ in range(UNSHRUNK_STEPS):
        gradient = J.value_and_grad(theta)[1]
        step = next(newton_steps(J.curvature(theta).matrix(), gradient), None)
        if step is None or max(J.each(_largest_output, step)) <= SHRUNK:
            return None
        theta = theta + step
    return step


def _largest_output(J: Objective, theta: np.ndarray) -> float:
    params = J.params(theta)
    return max(
        float(np.abs(J.network.forward(params, X, J.workspace)).max())
        for X in (J.blocks.features(block, J.workspace) for block in J.blocks.blocks)
    )
