"""The objective J of a data set, and the map from θ to parameters for raw features.

θ acts on transformed features: centred and divided by their deviation or, without a
bias, divided by their root mean square. J, the penalty, solvers and observers use θ.
Fitted attributes act on raw features. In a fit only ``TrainingProblem.to_raw`` and
``from_raw`` convert between the two.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, FeatureTransform
from sknn_simple._data.moments import SMALLEST_DEVIATION, column_moments
from sknn_simple._data.row_blocks import RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._data.two_valued import half_distances
from sknn_simple._model.input_map import InputMap, layer_slices
from sknn_simple._model.linear_objective import LinearObjective, is_linear
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.networks import Network
from sknn_simple._model.objective import Objective
from sknn_simple._optim.bounds import Bounds, sign_bounds
from sknn_simple._training.heuristics import (
    FEATURE_STEP,
    FLOAT32_LARGE,
    FLOAT32_SMALL,
    LARGEST_OFFSET,
    ProblemShape,
)
from sknn_simple._training.preconditioners import (
    DiagonalPreconditioner,
    diagonal_preconditioner,
)
from sknn_simple._training.spec import TrainSpec


class Columns(NamedTuple):
    """What the transform depends on: of each column, (n_features,)."""

    mean: np.ndarray
    # Exactly 0 if all values are equal but for rounding.
    deviation: np.ndarray
    # Half the distance of the values of a column with only two; 0 for others.
    half: np.ndarray


# From the part of the transform that is applied to the rows, the part that is folded
# into θ, the root of the penalty and, if it differs, the precision to J.
MakeObjective = Callable[..., Objective]


class TrainingProblem(NamedTuple):
    """The objective over the training rows, and what belongs to it."""

    spec: TrainSpec
    data: TrainingSet
    make: MakeObjective
    objective: Objective
    # From raw features to those that θ acts on.
    transform: FeatureTransform
    # (n_features,): the unit of each column in which the penalty measures weights; 1 if
    # it is on raw weights, and for constant columns.
    unit: np.ndarray
    # The part of `transform` that is applied to X; the objective folds the rest into θ.
    explicit: FeatureTransform | None
    # `to_raw` and `from_raw`: from θ to parameters for raw features, and back.
    input_map: Any
    # Makes the diagonal of the Hessian near 1 at the start.
    diagonal: DiagonalPreconditioner
    # Of the fitted parameters: float64 if float32 would lose too many digits.
    dtype: np.dtype
    # From the signs of the spec; None without any.
    bounds: Bounds | None
    # Per parameter, its factor in the penalty alpha/(2S) Σ (unit · θ)²; 0 for biases.
    penalty_unit: np.ndarray
    # Without a bias columns cannot be centred: the largest ratio of a column's root
    # mean square and its deviation. Along the differences of such columns the gradient
    # is smaller by this factor. 1 with a bias.
    offset: float
    # The problem over all columns, if this one is in the space of the rows.
    whole: "TrainingProblem | None" = None

    def with_alpha(self, alpha: float) -> "TrainingProblem":
        """Return the same problem with another strength of the penalty."""
        root = np.sqrt(alpha / self.data.total_weight) * self.penalty_unit
        J = self.objective.over(self.objective.blocks, root)
        return self._replace(
            spec=self.spec._replace(alpha=alpha),
            objective=J,
            diagonal=_diagonal(J),
            whole=self.whole and self.whole.with_alpha(alpha),
        )

    def in_precision(self, dtype: np.dtype) -> Objective:
        """Return J with features in another precision."""
        J = self.objective
        return self.make(self.explicit, J.folded, J.penalty_root, dtype)

    @property
    def alpha(self) -> float:
        return self.spec.alpha

    @property
    def linear(self) -> LinearObjective:
        """The objective of a linear network; the caller knows that it is one."""
        J = self.objective
        assert is_linear(J)
        return J

    @property
    def shape(self) -> ProblemShape:
        return ProblemShape(
            self.data.n_rows,
            self.data.X.shape[1],
            self.data.n_outputs,
            self.objective.size,
            sparse.issparse(self.data.X),
        )

    def to_raw(self, theta: np.ndarray) -> np.ndarray:
        """Return θ as parameters for raw features."""
        return self.input_map.to_raw(theta).astype(self.dtype, copy=False)

    def from_raw(self, raw: np.ndarray) -> np.ndarray:
        """Return parameters for raw features as θ."""
        return self.input_map.from_raw(raw)


def build_problem(
    spec: TrainSpec,
    data: TrainingSet,
    workers: Workers,
    precision: np.dtype | None = None,
    columns: Columns | None = None,
) -> TrainingProblem:
    """Measure the columns, unless they are known, and build J over transformed rows.

    Columns are divided by their standard deviation, also if the penalty measures their
    weights in another unit: the Hessian's diagonal is then near 1. Without a bias they
    cannot be centred, and are divided by their root mean square. A constant column
    becomes 0: its weight would act as a second bias. `precision` is the dtype that the
    features had before they were converted, if any. Known `columns` are of float64.
    """
    if columns is None:
        blocks = make_row_blocks(spec, data)
        mean, deviation = column_moments(blocks, workers, precision)
        half = np.zeros_like(mean)
        if spec.standardize:
            half = half_distances(blocks, workers)
        columns = Columns(mean, deviation, half)
    if needs_float64(data.X, columns):
        wider = data._replace(X=data.X.astype(np.float64))
        return build_problem(spec, wider, workers, data.X.dtype)

    make = partial(objective_over, spec, data, workers)
    return problem_over(spec, data, columns, make)


def objective_over(
    spec: TrainSpec,
    data: TrainingSet,
    workers: Workers,
    explicit: FeatureTransform | None,
    folded: FeatureTransform | None,
    root: np.ndarray,
    dtype: np.dtype | None = None,
) -> Objective:
    """Return J over rows; `dtype` of their products is by default ``precision_of``."""
    kind = LinearObjective if spec.network.is_linear else Objective
    dtype = dtype or precision_of(spec, data.X)
    loss = LOSSES[data.out_activation]
    blocks = make_row_blocks(spec, data, explicit, dtype)
    return kind(spec.network, loss, blocks, root, workers, folded)


def precision_of(spec: TrainSpec, X: Features) -> np.dtype:
    """Return the dtype of transformed features, and so of products.

    A linear network has products in float64, also of float32 data: rounding of 1e-7 in
    the gradient leads Newton's method a million times too far where J is constant, as
    along dependent columns, and ends a fit before the minimum where J is flat, as with
    one huge value.
    """
    return np.dtype(np.float64) if spec.network.is_linear else X.dtype


def problem_over(
    spec: TrainSpec, data: TrainingSet, columns: Columns, make: MakeObjective
) -> TrainingProblem:
    """Choose the transform and the units of the columns; `make` makes J.

    X of `data` may be a sample of the rows that the columns and J are of.
    """
    network, dtype = spec.network, data.X.dtype
    precision = precision_of(spec, data.X)
    mean, deviation, half = columns
    two_valued = (half > 0.0) & (deviation > 0.0)
    unit = np.where(two_valued & spec.standardize, half, deviation)
    in_deviations = _rounded_ratio(unit, deviation)
    transform = _transform(spec, precision, mean, deviation, unit / in_deviations)
    far = _is_remote(columns, LARGEST_OFFSET)
    explicit, folded = _split(spec, data, transform, far)
    penalty_unit = _penalty_unit(spec, unit, in_deviations, transform)
    root = np.sqrt(spec.alpha / data.total_weight) * penalty_unit
    objective = make(explicit, folded, root)
    return TrainingProblem(
        spec,
        data,
        make,
        objective,
        transform,
        np.where((unit > 0.0) & spec.standardize, unit, 1.0),
        explicit,
        _input_map(network, data.X, transform),
        _diagonal(objective),
        np.dtype(np.float64) if _is_remote(columns, FLOAT32_LARGE) else dtype,
        sign_bounds(spec.signs),
        penalty_unit,
        1.0 if network.has_bias else _largest_offset(columns),
    )


def _diagonal(J: Objective) -> DiagonalPreconditioner:
    is_linear = J.network.is_linear
    curvature = J.loss.start_curvature(J.network.n_outputs) if is_linear else 1.0
    return diagonal_preconditioner(J.network, J.penalty_root, curvature)


def make_row_blocks(
    spec: TrainSpec,
    data: TrainingSet,
    transform: FeatureTransform | None = None,
    dtype: np.dtype | None = None,
) -> RowBlocks:
    """Cut rows into blocks of a size and a memory order that suit the network."""
    network, X = spec.network, data.X
    narrower = 1.0 if dtype is None else dtype.itemsize / X.dtype.itemsize
    return RowBlocks(
        X,
        data.y,
        data.weight,
        loss_weight=data.loss_weight,
        row_bytes=narrower * network.row_bytes(X),
        work=network.work(X),
        transform=transform,
        dtype=dtype,
        # Products along the rows, as in a Hessian, are faster with contiguous columns.
        order="F" if network.is_linear else "C",
        sizes=spec.block_sizes,
    )


def _rounded_ratio(unit: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return unit/σ, rounded to 20 binary digits; 1 for constant columns.

    Columns are divided by the unit over this ratio, which is close to σ, and the ratio
    is their factor in the penalty. Rounding makes both the same in every unit of a
    column.
    """
    ratio = np.divide(unit, deviation, out=np.ones_like(unit), where=deviation > 0.0)
    mantissa, exponent = np.frexp(ratio)
    return np.ldexp(np.round(mantissa * 2.0**20), exponent - 20)


def _transform(
    spec: TrainSpec,
    dtype: np.dtype,
    mean: np.ndarray,
    deviation: np.ndarray,
    rounded: np.ndarray,
) -> FeatureTransform:
    network = spec.network
    center = mean if network.has_bias else np.zeros_like(mean)
    spread = rounded if network.has_bias else np.hypot(deviation, mean)
    if spec.standardize:
        spread = np.where(deviation == 0.0, 0.0, spread)
    spread = np.where(spread < SMALLEST_DEVIATION, 0.0, spread)
    rounds = spec.standardize and not network.is_linear and dtype == np.float64
    # Rounded to the precision of the products, so that `to_raw` and `from_raw` use the
    # numbers that are applied to the features.
    center, scale = (
        array.astype(dtype).astype(np.float64) for array in (center, _inverse(spread))
    )
    return FeatureTransform(center, scale, FEATURE_STEP if rounds else None)


def _split(
    spec: TrainSpec, data: TrainingSet, transform: FeatureTransform, far: bool
) -> tuple[FeatureTransform | None, FeatureTransform | None]:
    """Return the part of the transform that is applied and the part folded into θ.

    Small features are transformed once. Large features of a linear network are not
    transformed, because a pass over them costs as much as an evaluation.
    """
    X = data.X
    if sparse.issparse(X):
        if spec.network.is_linear:
            return None, transform
        shift = transform.sparse_shift
        return transform, FeatureTransform(shift, np.ones_like(shift))
    size = data.n_rows * X.shape[1] * precision_of(spec, X).itemsize
    is_small = size <= spec.block_sizes.kept_bytes
    if not spec.network.is_linear or is_small or far:
        return transform, None
    return None, transform


def _input_map(network: Network, X: Features, transform: FeatureTransform) -> InputMap:
    center, scale = transform.center, transform.scale
    if transform.rounds and sparse.issparse(X):
        # Sparse features were shifted by the rounded centre.
        varying = scale != 0.0
        shift = transform.sparse_shift
        center = np.divide(shift, scale, out=center.copy(), where=varying)
    layers = layer_slices(network.layout, network.input_weights)
    return InputMap(network.layout.size, layers, center, scale)


def _penalty_unit(
    spec: TrainSpec,
    unit: np.ndarray,
    in_deviations: np.ndarray,
    transform: FeatureTransform,
) -> np.ndarray:
    """Return the factor of every parameter in the penalty, (size,)."""
    network, layout = spec.network, spec.network.layout
    if not spec.standardize:
        of_columns = transform.scale
    elif not network.has_bias:
        of_columns = unit * transform.scale
    else:
        # The same number in every unit of a column, not up to rounding.
        of_columns = np.where(transform.scale > 0.0, in_deviations, 0.0)
    factors = {name: float(name.endswith("coef")) for name in layout.shapes}
    of_inputs = {weights: of_columns[:, None] for weights, _ in network.input_weights}
    return layout.pack({**factors, **of_inputs})


def needs_float64(X: Features, columns: Columns) -> bool:
    """Return whether columns in float32 need float64.

    Weights could leave the range of float32, and products of sparse columns, which are
    not centred, could lose too many digits.
    """
    if X.dtype != np.float32:
        return False
    size = columns.deviation[columns.deviation > 0.0]
    beyond = np.any((size < FLOAT32_SMALL) | (size > 1.0 / FLOAT32_SMALL))
    remote = sparse.issparse(X) and _is_remote(columns, FLOAT32_LARGE)
    return bool(beyond or remote)


def _largest_offset(columns: Columns) -> float:
    varying = columns.deviation > 0.0
    mean, deviation = columns.mean[varying], columns.deviation[varying]
    offset = np.hypot(mean, deviation) / deviation
    return float(offset[offset <= LARGEST_OFFSET].max(initial=1.0))


def _is_remote(columns: Columns, limit: float) -> bool:
    """Return whether |mean| / deviation of a column is larger than a limit."""
    varying = columns.deviation > 0.0
    size = np.abs(columns.mean[varying]) / limit
    return bool(np.any(size > columns.deviation[varying]))


def _inverse(size: np.ndarray) -> np.ndarray:
    """Return 1/size, and 0 if that is not finite."""
    with np.errstate(over="ignore", divide="ignore"):
        inverse = 1.0 / size
    return np.where(np.isfinite(inverse), inverse, 0.0)
