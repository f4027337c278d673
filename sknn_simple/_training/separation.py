"""Whether a fit without a penalty has no minimum, because classes can be separated.

If some direction d of θ raises the raw output of the observed class against those of
the other classes, or leaves it as it is, in every row, J falls along d for ever (Albert
and Anderson 1984):

- If θ itself classifies every row correctly, so does t θ for t > 1, with a lower J. For
  a hidden layer it is enough to multiply the output layer.
- If some rows are separated and others are not, the loss of the separated rows falls
  like exp(-z), so that each Newton step moves them by about 1. Towards a minimum the
  steps soon shrink quadratically.

References
----------
Albert, A., Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
logistic regression models. Biometrika 71(1), 1-10.
"""

import numpy as np

from sknn_simple._data.moments import dense_row
from sknn_simple._data.row_blocks import Block
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.losses import by_output
from sknn_simple._model.objective import Objective
from sknn_simple._optim.newton_cholesky import newton_steps
from sknn_simple._training.heuristics import (
    HESSIAN_PARAMS,
    LARGE_OUTPUT,
    SHRUNK,
    UNSHRUNK_STEPS,
)
from sknn_simple._training.problem import TrainingProblem


def separating_columns(
    problem: TrainingProblem, theta: np.ndarray, free: np.ndarray, *, by_steps: bool
) -> tuple[int, ...] | None:
    """Return the columns that separate classes alone; None if J has a minimum.

    `free` (size,) are the parameters that no bound holds at 0. For hidden layers, many
    parameters, or without `by_steps`, only the first condition is tested.
    """
    J = problem.objective
    lowest = np.min(J.each(_lowest_margins, theta), axis=0)
    may_step = by_steps and J.network.is_linear and J.size <= HESSIAN_PARAMS
    separated = np.any(lowest > 0.0)  # of labels, one is enough
    if not (separated or (may_step and _steps_last(problem.linear, theta, free))):
        return None
    weights = J.views(free)[J.network.input_weights[0][0]]
    return tuple(c for c in columns_alone(problem) if weights[c].any())


def columns_alone(problem: TrainingProblem) -> tuple[int, ...]:
    """Return the columns each of which separates classes without the others.

    All values of some classes are then above those of the others, but for ties. Columns
    that separate the classes only together are not returned: a column that has a weight
    in the direction d need not be a cause.
    """
    network = problem.objective.network
    if problem.whole is not None:
        return ()  # coordinates of the row space
    if network.is_linear and not network.has_bias:
        return ()  # the threshold must be 0
    lows, highs = zip(*problem.objective.each(_ranges), strict=True)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    sides = 2 if problem.data.y.ndim == 2 else len(low)
    pairs = zip(*(a.reshape(-1, sides, a.shape[1]) for a in (low, high)), strict=True)
    return tuple(np.flatnonzero(np.any([_apart(*p) for p in pairs], axis=0)).tolist())


def _ranges(J: Objective) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each column in each class.

    Both are (n_classes, p), or for labels (2 n_labels, p): for 0 and 1 of each label.
    """
    n_groups = J.network.n_outputs * J.blocks.y.ndim
    low = np.full((n_groups, J.blocks.n_features), np.inf)
    high = -low
    for block in J.blocks.blocks:
        X = J.blocks.features(block, J.workspace)
        for group, rows in enumerate(_members(block, n_groups).T):
            if rows.any():
                part = X[rows]
                np.minimum(low[group], dense_row(part.min(axis=0)), out=low[group])
                np.maximum(high[group], dense_row(part.max(axis=0)), out=high[group])
    return low, high


def _members(block: Block, n_groups: int) -> np.ndarray:
    """Return which rows are in each class, or have 0 and 1 of each label."""
    if block.y.ndim == 1:
        return block.y[:, None] == np.arange(n_groups)
    is_one = np.stack([block.y == 0.0, block.y == 1.0], axis=2)
    counts = by_output(block.loss_weight) > 0.0
    return (is_one & counts[:, :, None]).reshape(len(block.y), n_groups)


def _apart(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mask of the columns in which some classes are above the others.

    Both are (n_classes, p); a class without rows has the bounds ∞ and -∞.
    """
    present = low[:, 0] < np.inf
    if np.count_nonzero(present) < 2:
        return np.zeros(low.shape[1], bool)
    order = np.lexsort((high[present], low[present]), axis=0)
    low, high = (np.take_along_axis(a[present], order, axis=0) for a in (low, high))
    reached = np.maximum.accumulate(high, axis=0)
    apart = (reached[:-1] <= low[1:]).any(axis=0)
    return apart & (low[0] < reached[-1])


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


def _steps_last(J: LinearObjective, theta: np.ndarray, free: np.ndarray) -> bool:
    """Return whether several Newton steps do not shrink.

    They begin on the way to θ, where no raw output is larger than ``LARGE_OUTPUT``:
    further out the curvature of separated rows is lost in rounding.
    """
    largest = max(J.each(_largest_change, theta))
    theta = theta * min(1.0, LARGE_OUTPUT / max(largest, 1.0))
    for _ in range(UNSHRUNK_STEPS):
        gradient = J.value_and_grad(theta)[1][free]
        hessian = J.curvature(theta).matrix()[np.ix_(free, free)]
        step = np.zeros_like(theta)
        step[free] = next(newton_steps(hessian, gradient), 0.0)
        if max(J.each(_largest_change, step)) <= SHRUNK:
            return False
        theta = theta + step
    return True


def _largest_change(J: Objective, step: np.ndarray) -> float:
    """Return the largest change of a raw output, without the shift of all classes.

    J does not depend on this shift. If columns are dependent but for rounding of their
    values, rounding of the gradient over the tiny curvature makes it large.
    """
    params, largest = J.params(step), 0.0
    for block in J.blocks.blocks:
        X = J.blocks.features(block, J.workspace)
        change = J.network.forward(params, X, J.workspace)
        if J.loss.shift_invariant:
            change -= change.mean(axis=1, keepdims=True)
        largest = max(largest, float(np.abs(change).max()))
    return largest
