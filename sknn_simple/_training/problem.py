"""What is minimised: the recipe, the data in blocks, and the columns' coordinates.

A point has these names on its way from the solver to the fitted attributes:

=============  ======================================================================
x              the solver's coordinates, of a `Change`: ``Scene.columns``, scales
               renewed on the way, or a whitened Hessian. The Hessian is near 1 there.
θ              parameters for features as they are seen, of ``Scene.objective``;
               ``change.to_original(x)``.
fitted         parameters for raw features, ``Scene.raw.to_original(θ)``; the same as θ
               where the features are seen as they are.
=============  ======================================================================

A `View` says how features are seen: centred, scaled or rounded, so that products with
them lose no digits and the path does not depend on the unit of a column.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, View
from sknn_simple._data.moments import column_moments
from sknn_simple._data.row_blocks import RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.objective import LinearObjective, Network, Objective
from sknn_simple._optim.journey import Limits
from sknn_simple._optim.scaling import Columns, ColumnScaling, Weights

# Columns whose deviation is below this, or above its inverse, are trained in float64.
FLOAT32_SMALL = 1e-25
# From this many deviations on a mean is subtracted before products.
FLOAT32_OFFSET = 4.0
FLOAT64_OFFSET = 1e5
# Standardised features of a hidden layer are rounded to multiples of this, 1.5e-8 of a
# standard deviation: far below what any measurement means, and far enough above
# float64's rounding that one value in ten million, not every one, depends on the unit.
# A draft's are rounded to float32 besides.
FEATURE_STEP = 2.0**-26
# From this many deviations on float32 weights would cost probabilities four digits.
FLOAT32_REMOTE = 1e3


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
        A key of ``SOLVERS``, or "auto".
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

    def solver_or(self, default: str) -> str:
        """Return the solver that is asked for, `default` for "auto"."""
        return default if self.solver == "auto" else self.solver


class Scene(NamedTuple):
    """Data cut into blocks, with the objective over them.

    Attributes
    ----------
    data : TrainingSet
        The rows.
    objective : Objective
        J, of parameters for features as they are seen.
    view : View or None
        How they are seen; None for as they are.
    raw : ColumnScaling
        From these parameters to those for raw features.
    columns : ColumnScaling
        Coordinates in which the diagonal of the Hessian is near 1 at the start.
    variance : ndarray of shape (n_features,)
        Of the features in these coordinates; without a bias their mean square.
    dtype : dtype
        Of the fitted parameters: that of X, but float64 where float32 weights would
        lose too much on raw features.
    """

    data: TrainingSet
    objective: Objective
    view: View | None
    raw: ColumnScaling
    columns: ColumnScaling
    variance: np.ndarray
    dtype: np.dtype

    def moments(self, data: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of the columns of other rows, as they are seen."""
        blocks = cut(self.objective.network, data)
        moments = column_moments(blocks, self.objective.workers)
        return moments if self.view is None else self.view.moments(*moments)


def set_scene(recipe: Recipe, data: TrainingSet, workers: Workers) -> Scene:
    """Measure the columns and build J.

    The coordinates divide a column by √(c σ² + alpha/S d²), where c is the objective's
    ``input_curvature`` and d what the penalty multiplies the weight by; without a bias
    σ² + μ² takes the place of σ². 0 takes the place of the quotient for a constant
    column, so that its weight stays 0.
    """
    network = recipe.network
    blocks = cut(network, data)
    mean, deviation = column_moments(blocks, workers)
    if data.X.dtype == np.float32 and _beyond_float32(deviation):
        return set_scene(recipe, data._replace(X=data.X.astype(np.float64)), workers)
    dtype = _parameter_dtype(data.X.dtype, mean, deviation)
    view = _view(recipe, data.X, mean, deviation)
    raw = Columns(np.zeros_like(mean), np.ones_like(mean))
    if view is not None:
        blocks.see(view, ones=network.takes_ones)
        raw = Columns(view.center.astype(np.float64), view.scale.astype(np.float64))
        mean, deviation = view.moments(mean, deviation)
    units = deviation if recipe.standardize else np.ones_like(deviation)
    strength = np.sqrt(recipe.alpha / data.total_weight)
    objective = recipe.objective(
        network,
        LOSSES[data.out_activation],
        blocks,
        strength * _penalised(network, units),
        workers,
    )
    groups = _places(network, network.input_weights)
    curvature = objective.input_curvature
    center, scale = equalising(network, mean, deviation, curvature, strength * units)
    if network.has_bias or recipe.standardize:
        # A bias does all that such a weight could; held at 0 it adds no rounding.
        scale[deviation == 0.0] = 0.0
    return Scene(
        data,
        objective,
        view,
        ColumnScaling(raw, groups),
        ColumnScaling(
            Columns(center, scale), groups, _hidden(network), _others(network, strength)
        ),
        (_spread(network, mean, deviation) * scale) ** 2,
        dtype,
    )


def equalising(
    network: Network,
    mean: np.ndarray,
    deviation: np.ndarray,
    curvature: float,
    penalty: np.ndarray,
) -> Columns:
    """Return the columns in which the diagonal of J's Hessian is near 1.

    They are divided by √(c σ² + penalty²), where c is the curvature in the raw outputs
    that μ and σ have been weighted by.
    """
    size = np.hypot(np.sqrt(curvature) * _spread(network, mean, deviation), penalty)
    # Only a bias can take up the mean of a column.
    center = mean if network.has_bias else np.zeros_like(mean)
    return Columns(center, _inverse(size))


def _spread(network: Network, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return what a weight multiplies, beside what a bias does."""
    return deviation if network.has_bias else np.hypot(deviation, mean)


def _view(
    recipe: Recipe, X: Features, mean: np.ndarray, deviation: np.ndarray
) -> View | None:
    """Return how the features should be seen, None for as they are."""
    if not recipe.network.has_bias:
        return None
    convex = issubclass(recipe.objective, LinearObjective)
    if recipe.standardize and not convex and X.dtype == np.float64:
        scale = _inverse(deviation)
        if sparse.issparse(X):
            return View(np.zeros_like(mean), scale, FEATURE_STEP, mean)
        return View(mean, scale, FEATURE_STEP)
    if _far_from_zero(X, mean, deviation):
        return View(mean.astype(X.dtype), np.ones(mean.size, X.dtype))
    return None


def _beyond_float32(deviation: np.ndarray) -> bool:
    """Return whether weights for such columns could leave float32's range."""
    size = deviation[deviation > 0.0]
    return bool(np.any((size < FLOAT32_SMALL) | (size > 1.0 / FLOAT32_SMALL)))


def _parameter_dtype(
    dtype: np.dtype, mean: np.ndarray, deviation: np.ndarray
) -> np.dtype:
    varying = deviation > 0.0
    remote = np.any(np.abs(mean[varying]) / FLOAT32_REMOTE > deviation[varying])
    return np.dtype(np.float64) if remote else dtype


def _far_from_zero(X: Features, mean: np.ndarray, deviation: np.ndarray) -> bool:
    """Return whether products would lose too many digits to the columns' means."""
    if sparse.issparse(X):
        return False
    limit = FLOAT32_OFFSET if X.dtype == np.float32 else FLOAT64_OFFSET
    varying = deviation > 0.0
    return bool(np.any(np.abs(mean[varying]) / limit > deviation[varying]))


def cut(
    network: Network,
    data: TrainingSet,
    view: View | None = None,
    dtype: np.dtype | None = None,
) -> RowBlocks:
    """Return the rows in blocks that suit the network, on demand seen in a dtype."""
    X = data.X
    # Not all that a row touches gets smaller, but blocks by its true bytes and by half
    # of them took as long, within a tenth.
    smaller = 1.0 if dtype is None else dtype.itemsize / X.dtype.itemsize
    blocks = RowBlocks(
        X,
        data.y,
        data.weight,
        row_bytes=smaller * network.row_bytes(X),
        work=network.work(X),
        sum_bytes=8.0 * network.layout.size,
    )
    if view is not None:
        # A draft is evaluated often, and what it is a draft of seldom.
        is_draft = dtype is not None
        blocks.see(view, dtype, ones=network.takes_ones, partly=is_draft)
    return blocks


def _penalised(network: Network, units: np.ndarray) -> np.ndarray:
    """Return d of ``Objective`` as a flat vector."""
    inputs = _input_weights(network)
    return network.layout.pack(
        {
            name: units[:, None] if name in inputs else float(name.endswith("coef"))
            for name in network.layout.shapes
        }
    )


def _others(network: Network, strength: float) -> np.ndarray:
    """Return the scale of parameters that are not weights on inputs.

    1/√(1 + alpha/S) for the weights of hidden units, as if what these give varied by 1;
    it is 0.2 to 0.7 at the start, and to divide by that saves nothing. Biases are left
    alone.
    """
    inputs = _input_weights(network)
    return network.layout.pack(
        {
            name: 1.0 / np.hypot(1.0, strength)
            if name.endswith("coef") and name not in inputs
            else 1.0
            for name in network.layout.shapes
        }
    )


def _input_weights(network: Network) -> set[str]:
    return {weights for weights, _ in network.input_weights}


def _hidden(network: Network) -> list[tuple[Weights, np.ndarray]]:
    """Return where the weights on hidden units lie, and what to centre these at."""
    return [
        (weights, np.full(weights.n_rows, network.hidden_mean))
        for weights in _places(network, network.hidden_weights)
    ]


def _places(network: Network, named: tuple[tuple[str, str], ...]) -> list[Weights]:
    """Return where weights and their biases lie, those that the network has."""
    layout = network.layout
    return [
        Weights(
            layout.slices[weights],
            layout.slices.get(biases),
            layout.shapes[weights][1],
        )
        for weights, biases in named
        if weights in layout.shapes
    ]


def _inverse(size: np.ndarray) -> np.ndarray:
    """Return 1/size, and 0 where that is not finite."""
    with np.errstate(over="ignore", divide="ignore"):
        inverse = 1.0 / size
    return np.where(np.isfinite(inverse), inverse, 0.0)
