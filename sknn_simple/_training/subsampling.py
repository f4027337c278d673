"""A sample of the rows: its optimum as a start, its Hessian as coordinates."""

import numpy as np

from sknn_simple._data.features import HUGE
from sknn_simple._data.moments import row_squares
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.objective import LinearObjective
from sknn_simple._optim.journey import Limits
from sknn_simple._optim.scaling import (
    ColumnScaling,
    ScaledProblem,
    Whitening,
    whitened,
)
from sknn_simple._optim.solvers import minimise
from sknn_simple._training.heuristics import SAMPLE_PART, is_small, sample_size
from sknn_simple._training.problem import Scene, cut

# Fewer observations of a class say too little about its weights.
CLASS_ROWS = 10
# The sample represents a column if it has its variance within this factor.
VARIANCE = 4.0
# The sample's own optimum need not be accurate: it is a start.
LIMITS = Limits(tol=3e-3, max_iter=50)
# A draw by leverage takes so many times the rows of a sample spread evenly, because few
# of them are alike. Of 32,561 x 108, mostly one-hot, it then takes half as long to the
# optimum, and with 8 times as many no less.
LEVERAGE_FACTOR = 4
# Probabilities are capped at 1 and the others raised for it, so often at most, until
# their sum is right within this part of it.
_CAP_ROUNDS, _CAP_ACCURACY = 20, 1e-3


def draw_sample(scene: Scene) -> tuple[TrainingSet, bool] | None:
    """Return a sample and whether it represents all columns; None where none pays.

    Rows spread evenly over the data will mostly do. Where a column differs from 0 in a
    few rows only, as of a rare category, they may miss it; rows are then drawn the more
    surely the more there is in them of the columns' variance.
    """
    wanted = sample_size(scene.data, scene.objective.size)
    if not wanted:
        return None
    n_rows = scene.data.X.shape[0]
    sample = scene.data.rows(np.arange(wanted) * n_rows // wanted)
    if not _has_every_class(sample):
        return None
    if _represents(sample, scene):
        return sample, True
    by_leverage = _draw_by_leverage(wanted, scene)
    if _has_every_class(by_leverage) and _represents(by_leverage, scene):
        return by_leverage, True
    return sample, False


def optimum_of_sample(
    objective: LinearObjective, columns: ColumnScaling, start: np.ndarray
) -> np.ndarray:
    """Return the sample's optimum, roughly."""
    rough = minimise(
        ScaledProblem(objective, columns),
        columns.to_scaled(start),
        solver="newton-cholesky" if is_small(objective) else "lbfgs",
        limits=LIMITS,
    )
    if rough.outcome == "interrupted":
        raise KeyboardInterrupt
    return columns.to_original(rough.x)


def whitened_by_sample(
    objective: LinearObjective, columns: ColumnScaling, theta: np.ndarray
) -> Whitening | None:
    """Return coordinates that whiten the sample's Hessian at θ, None if it has none."""
    return whitened(columns, objective.hessian(theta, *columns.columns)[None])


def _draw_by_leverage(wanted: int, scene: Scene) -> TrainingSet:
    """Return rows drawn in proportion to 1 + Σⱼ zᵢⱼ², and weighted by the inverse.

    With z the standardised features this is n times a row's statistical leverage where
    columns are uncorrelated: its share in the variance, summed over all directions. The
    sample's Hessian then is near that of all rows in every direction (Drineas, Mahoney
    and Muthukrishnan 2006), not in most. The draw is systematic: a row is taken
    wherever the sum of the probabilities so far passes a whole number, so the sample is
    the same each time.

    References
    ----------
    Drineas, P., Mahoney, M. W., Muthukrishnan, S. (2006). Sampling algorithms for l2
    regression and applications. SODA, 1127-1136.
    """
    blocks = cut(scene.objective.network, scene.data, scene.view)
    wanted = min(LEVERAGE_FACTOR * wanted, int(SAMPLE_PART * blocks.n_rows))
    center, scale = scene.columns.columns
    share = 1.0 + scene.objective.input_curvature * row_squares(
        blocks, center, scale, scene.objective.workers
    )
    # Rows may lie so far out that their sum would overflow.
    probability = _capped(np.minimum(share, HUGE), wanted)
    passed = np.floor(np.cumsum(probability) + 0.5)
    kept = np.flatnonzero(np.diff(passed, prepend=0.0))
    return scene.data.rows(kept, probability[kept])


def _capped(share: np.ndarray, wanted: int) -> np.ndarray:
    """Return probabilities in proportion to the shares, at most 1, with a given sum."""
    probability = np.minimum(share * (wanted / share.sum()), 1.0)
    for _ in range(_CAP_ROUNDS):
        free = probability < 1.0
        missing = wanted - float(len(share) - free.sum())
        factor = missing / float(probability[free].sum())
        if factor <= 1.0 + _CAP_ACCURACY:
            break
        probability[free] = np.minimum(factor * probability[free], 1.0)
    return probability


def _has_every_class(data: TrainingSet) -> bool:
    """Return whether each class, or each label with and without it, has rows enough."""
    if data.y.ndim == 1:
        rows = np.bincount(data.y, minlength=len(data.classes))
    else:
        positive = data.y.sum(axis=0)
        rows = np.append(positive, len(data.y) - positive)
    return bool(np.all(rows >= CLASS_ROWS))


def _represents(sample: TrainingSet, scene: Scene) -> bool:
    """Return whether a sample's columns vary about as much as those of all rows."""
    center, scale = scene.columns.columns
    mean, deviation = scene.moments(sample)
    varying = scene.variance > 0.0
    variance = (deviation * scale) ** 2 + ((mean - center) * scale) ** 2
    odds = variance[varying] / scene.variance[varying]
    return bool(np.all((odds < VARIANCE) & (odds > 1.0 / VARIANCE)))
