"""What to train: the network, the penalty, the solver and when to stop."""

from typing import NamedTuple

import numpy as np

from sknn_simple._data.moments import column_moments
from sknn_simple._data.row_blocks import DEFAULT_SIZES, BlockSizes, RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.networks import Network
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.heuristics import (
    COARSE_TOL,
    LARGEST_LOSS,
    MAX_HESSIAN_BYTES,
    Thresholds,
)


class TrainSpec(NamedTuple):
    """What to minimise, and how."""

    network: Network
    # With `by_evidence` that of the round, at first that of the first one.
    alpha: float
    # Whether the penalty is on the weights of standardised features.
    standardize: bool
    # (size,): 1 for parameters that must be ≥ 0, -1 for ≤ 0, 0 for free ones.
    signs: np.ndarray
    # A key of ``SOLVERS``, or "auto".
    solver: str
    criteria: StoppingCriteria
    # Whether alpha is chosen by the evidence; for linear networks.
    by_evidence: bool = False
    # Early stopping ends the fit after this number of iterations without improvement.
    patience: int | None = None
    # Label smoothing of held-out rows: the other classes share this part of a weight.
    smoothing: float = 0.0
    # A larger log-loss of a held-out row counts as this.
    largest_loss: float = LARGEST_LOSS
    # The unit of alpha in a search: 1, or that of raw columns (see ``column_scale``).
    alpha_unit: float = 1.0
    thresholds: Thresholds = Thresholds()
    block_sizes: BlockSizes = DEFAULT_SIZES

    @property
    def iterates(self) -> bool:
        """Whether there are iterations; without any, the start is evaluated."""
        return self.criteria.max_iter > 0

    def finer(self, factor: float) -> "TrainSpec":
        """Return a spec with `tol` divided by a factor."""
        criteria = self.criteria._replace(tol=self.criteria.tol / factor)
        return self._replace(criteria=criteria)

    def coarse(self) -> "TrainSpec":
        """Return a spec for fits whose losses are only compared."""
        criteria = self.criteria.no_finer_than(COARSE_TOL)
        return self._replace(criteria=criteria._replace(near_minimum=False))

    @property
    def is_bounded(self) -> bool:
        """Whether the sign of a parameter is fixed."""
        return bool(self.signs.any())


def column_scale(data: TrainingSet) -> float:
    """Return the median of the standard deviations of the columns that vary.

    A few columns in other units, or negligible ones, hardly change it.
    """
    if data.chunks is not None:
        deviation = data.chunks.columns.deviation
    else:
        blocks = RowBlocks(data.X, data.y, data.weight)
        _, deviation = column_moments(blocks, Workers(1))
    varying = deviation[deviation > 0.0]
    scale = np.median(varying) if varying.size else 1.0
    # Rounded, so that it does not depend on the order of the rows.
    return float(f"{scale:.6g}")


def check_solver(solver: str, size: int, bounded: bool) -> None:
    """Raise ValueError if a solver cannot handle bounds or this number of parameters.

    The message names the solvers that can. "auto" always chooses one of them.
    """
    if solver == "auto":
        return
    if bounded and not SOLVERS[solver].bounds:
        able = [name for name, row in SOLVERS.items() if row.bounds]
        raise ValueError(
            f"solver='{solver}' cannot keep weights within bounds, which monotonic_cst "
            f"needs. Use solver='auto' or one of {able}."
        )
    hessian_bytes = 8 * size * size
    if SOLVERS[solver].needs_matrix and hessian_bytes > MAX_HESSIAN_BYTES:
        able = [n for n, row in SOLVERS.items() if not row.needs_matrix]
        raise ValueError(
            f"solver='{solver}' needs the Hessian of {size} parameters, "
            f"{hessian_bytes / 2**30:.1f} GiB; the limit is "
            f"{MAX_HESSIAN_BYTES / 2**30:.1f} GiB. Use solver='auto' or one of {able}."
        )
