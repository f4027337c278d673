"""A subsample of the rows: its optimum is the start, its Hessian the preconditioner.

References
----------
Drineas, P., Mahoney, M. W., Muthukrishnan, S. (2006). Sampling algorithms for l2
regression and applications. SODA, 1127-1136.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sknn_simple._data.features import with_values
from sknn_simple._data.moments import column_moments
from sknn_simple._data.row_blocks import Block
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._optim.history import History
from sknn_simple._optim.minimize import minimize
from sknn_simple._training.heuristics import (
    CLASS_ROWS,
    START_CRITERIA,
    VARIANCE,
    select_solver,
    subsample_size,
)
from sknn_simple._training.problem import TrainingProblem, make_row_blocks


class Subsample(NamedTuple):
    """J over some of the rows.

    It `represents` all rows if every column has about the same variance in it, so that
    its Hessian resembles that of all rows.
    """

    objective: LinearObjective
    n_rows: int
    represents: bool


def draw_subsample(problem: TrainingProblem) -> Subsample | None:
    """Return a subsample; None if that does not pay.

    Evenly spaced rows usually represent the data. They may not represent a column that
    is 0 in nearly all rows, such as a rare category. In that case rows are drawn with
    probability proportional to their leverage.
    """
    wanted = subsample_size(problem.shape, problem.spec.thresholds)
    if not wanted:
        return None
    n_rows = problem.data.X.shape[0]
    rows = problem.data.rows(np.arange(wanted) * n_rows // wanted)
    if not _has_enough_of_each_class(rows):
        return None
    represents = resembles(rows, problem)
    if not represents:
        by_leverage = _draw_by_leverage(wanted, problem)
        enough = _has_enough_of_each_class(by_leverage)
        represents = enough and resembles(by_leverage, problem)
        rows = by_leverage if represents else rows
    J = problem.linear
    blocks = make_row_blocks(problem.spec, rows, problem.explicit, J.blocks.dtype)
    return Subsample(J.over(blocks), rows.X.shape[0], represents)


def subsample_optimum(
    problem: TrainingProblem, subsample: Subsample, theta: np.ndarray
) -> np.ndarray:
    """Return the approximate optimum of a subsample.

    It is penalised as a data set of its size: on separable data that optimum is closer
    to zero.
    """
    J = subsample.objective
    ratio = np.sqrt(problem.data.X.shape[0] / subsample.n_rows)
    shape = problem.shape._replace(n_rows=subsample.n_rows)
    theta, outcome = minimize(
        J.over(J.blocks, ratio * J.penalty_root),
        theta,
        problem.diagonal,
        START_CRITERIA,
        History(),
        solver=select_solver(shape, START_CRITERIA.tol, problem.spec.thresholds),
    )
    if outcome == "interrupted":
        raise KeyboardInterrupt
    return theta


def _draw_by_leverage(wanted: int, problem: TrainingProblem) -> TrainingSet:
    """Return rows drawn in proportion to 1 + c Σⱼ zᵢⱼ², and weighted by the inverse.

    With z the standardised features this is n times a row's statistical leverage if the
    columns are uncorrelated. The subsample's Hessian is then close to that of all rows
    in every direction (Drineas, Mahoney and Muthukrishnan 2006). The draw is systematic
    and therefore reproducible.
    """
    J, thresholds = problem.linear, problem.spec.thresholds
    most = thresholds.subsample_part * problem.data.X.shape[0]
    wanted = int(min(thresholds.subsample_leverage * wanted, most))
    curvature = J.loss.start_curvature(J.network.n_outputs)
    probability = _capped(1.0 + curvature * _row_squares(J), wanted)
    kept = systematic_draw(probability)
    return problem.data.rows(kept, probability[kept])


def systematic_draw(probability: np.ndarray, start: float = 0.5) -> np.ndarray:
    """Return the numbers of drawn rows: where the cumulative sum passes an integer.

    `start` from 0 to 1 is where the sum begins. If it is random, each row has its
    probability.
    """
    passed = np.floor(np.cumsum(probability) + start)
    return np.flatnonzero(np.diff(passed, prepend=0.0))


def _row_squares(J: LinearObjective) -> np.ndarray:
    """Return Σⱼ zᵢⱼ² of every row, (n_rows,); sparse rows sum stored values only."""
    squares = np.empty(J.blocks.n_rows)

    def fill(block: Block) -> None:
        X = J.blocks.features(block, J.workspace)
        if sparse.issparse(X) and J.folded is not None:
            values = X.data * J.folded.scale[X.indices]
            squares[block.rows] = with_values(X, values * values).sum(axis=1)
        else:
            Z = J.dense(X)
            np.einsum("ij,ij->i", Z, Z, out=squares[block.rows])

    J.blocks.for_each(fill, J.workers)
    return squares


def _capped(share: np.ndarray, wanted: int) -> np.ndarray:
    """Return probabilities in proportion to the shares, at most 1, with a given sum.

    If the k largest probabilities are 1, the others sum to wanted - k. The smallest k
    is taken at which none of them exceeds 1.
    """
    descending = np.sort(share)[::-1]
    rest = np.cumsum(descending[::-1])[::-1]
    k = np.arange(wanted)
    n_capped = int(np.argmax(descending[:wanted] * (wanted - k) <= rest[:wanted]))
    return np.minimum(share * ((wanted - n_capped) / rest[n_capped]), 1.0)


def _has_enough_of_each_class(data: TrainingSet) -> bool:
    """Return whether each class, or each value of each label, has enough rows."""
    if data.y.ndim == 1:
        rows = np.bincount(data.y, minlength=len(data.classes))
    else:
        positive = data.y.sum(axis=0)
        rows = np.append(positive, len(data.y) - positive)
    return bool(np.all(rows >= CLASS_ROWS))


def resembles(rows: TrainingSet, problem: TrainingProblem) -> bool:
    """Return whether the columns of some rows have about the variance of all rows."""
    blocks = make_row_blocks(problem.spec, rows)
    moments = column_moments(blocks, problem.objective.workers)
    mean, deviation = problem.transform.moments(*moments)
    variance = (deviation**2 + mean**2)[problem.transform.scale > 0.0]
    return bool(np.all((variance < VARIANCE) & (variance > 1.0 / VARIANCE)))
