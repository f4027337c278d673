"""How a network is trained on given data: its objective, coordinates and solver.

The coordinates are a change of variables: they decide how long the way to the optimum
is, and never where it lies.
"""

from functools import partial
from typing import cast

import numpy as np
from scipy import sparse

from sknn_simple._nn.blocks import Workers
from sknn_simple._nn.moments import column_moments
from sknn_simple._nn.objective import LinearObjective, Objective
from sknn_simple._optim.constraints import reflected, sign_bounds
from sknn_simple._optim.journey import Limits
from sknn_simple._optim.problem import Problem
from sknn_simple._optim.scaling import Change, ColumnScaling, ScaledProblem, Whitening
from sknn_simple._optim.solvers import SOLVERS, Draft, Renewal, minimise
from sknn_simple._scene import Recipe, Scene, cut
from sknn_simple._training_set import TrainingSet

# Measured with benchmarks/shape.py. Up to so many parameters Newton's method with the
# exact Hessian is the quickest for a linear network: with one output and with several,
# where L-BFGS may have blocks of the Hessian, and where it may not.
NEWTON_CHOLESKY_SIZE = 150
NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS = 60
NEWTON_CHOLESKY_SIZE_MANY_COLUMNS = 400
# Where rows are many, so few: its cost grows with the square of the parameters, that
# of L-BFGS, which then is the alternative, does not.
NEWTON_CHOLESKY_SIZE_MANY_ROWS = 32
# Up to this many parameters the Hessian of a sample of rows pays as a preconditioner.
WHITENING_SIZE = 1500
# The sample: at least this many rows, and so many per parameter. With m rows for each
# of them the Hessian's eigenvalues are about 1 ± 2/√m in the coordinates of the
# sample's.
SAMPLE_ROWS = 1000
SAMPLE_ROWS_PER_PARAMETER = 8
# Of many rows it takes one in so many, or one in as many as there are parameters: its
# optimum then takes about as long as an evaluation over all of them.
SAMPLE_STEP = 50
# Sampling pays where the sample is at most this part of the rows.
SAMPLE_PART = 0.25
# Below so many rows times parameters it takes longer, 1 ms, than it saves.
SAMPLE_WORK = 6e4
# Fewer observations of a class say too little about its weights.
SAMPLE_CLASS_ROWS = 10
# The sample represents a column if it has its variance within this factor.
SAMPLE_VARIANCE = 4.0
# The sample's own optimum need not be accurate: it is a start.
SAMPLE_LIMITS = Limits(tol=1e-3, max_iter=50)
# Newton's method finds it sooner up to so many parameters of several outputs.
SAMPLE_NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS = 120
# Rounding of J ends the line search of L-BFGS not far below this, and where a sample's
# Hessian is whitened below that.
LBFGS_TOL = 1e-7
WHITENED_LBFGS_TOL = 1e-10
# Where the blocks of the Hessian are worth forming: up to this many columns, and at
# most as many as this part of the rows.
BLOCK_COLUMNS = 1000
BLOCK_PART = 0.5
# And of sparse data up to this many: 20,000 x 1000 with 100 values in a row took 0.5 s
# with them and takes 0.05 s without.
SPARSE_COLUMNS = 200
# And all together no larger than this: with their factors, and those before, five times
# as much is held at a time.
BLOCKS_BYTES = 2**26
# After how many iterations they are first formed. At 0 they are multiples of one
# matrix, and too unlike those at the optimum.
BLOCK_ITERATIONS = 8
# The rows that they are formed from hold this part of an output's curvature; of classes
# that are nearly told apart they are few.
BLOCK_CURVATURE = 0.999
# Where their mean diagonal, 1 at the start, is below this, they are rounding.
NO_CURVATURE = 1e-14
# And below this, without a penalty, the classes can be told apart: J has no optimum,
# and a Hessian, which goes to 0 with it, is of no use for the way there.
VANISHING = 0.03
# A ridge, relative to the Hessian's mean diagonal, for directions that it leaves open.
RIDGE = 1e-6

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


def choose_approach(
    recipe: Recipe, scene: Scene, start: np.ndarray, fresh: bool, workers: Workers
) -> tuple[str, Change, np.ndarray]:
    """Return the solver, the coordinates, and where to start.

    Parameters
    ----------
    recipe : Recipe
        What is asked for.
    scene : Scene
        The objective and its columns.
    start : ndarray of shape (size,)
        Where to start if nothing better is found, in the objective's parameters.
    fresh : bool
        Whether a better start may be looked for; not when a fit goes on.
    workers : Workers
        Threads.
    """
    bounded = bool(recipe.signs.any())
    if not isinstance(scene.objective, LinearObjective) or bounded:
        solver = "lbfgs" if recipe.solver == "auto" else recipe.solver
        return solver, scene.columns, start
    if (sample := _sample(scene.data, scene.objective.size)) is not None:
        return _approach_by_sample(recipe, scene, sample, start, fresh, workers)
    return _solver(recipe, scene), scene.columns, start


def better_start(
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


def _solver(recipe: Recipe, scene: Scene, many_rows: bool = False) -> str:
    if recipe.solver != "auto":
        return recipe.solver
    if scene.objective.size <= _newton_cholesky_size(recipe, scene, many_rows):
        return "newton-cholesky"
    return "lbfgs" if recipe.limits.tol >= LBFGS_TOL else "newton-cg"


def _newton_cholesky_size(recipe: Recipe, scene: Scene, many_rows: bool) -> int:
    rough = recipe.limits.tol >= LBFGS_TOL
    if many_rows and rough:
        return NEWTON_CHOLESKY_SIZE_MANY_ROWS
    if not (rough and _blocks_are_cheap(scene)):
        return NEWTON_CHOLESKY_SIZE_MANY_COLUMNS
    if scene.objective.network.n_outputs > 1:
        return NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS
    return NEWTON_CHOLESKY_SIZE


def _blocks_are_cheap(scene: Scene) -> bool:
    """Return whether the blocks are cheap to form, to apply and to hold."""
    n_rows, n_columns = scene.data.X.shape
    if _many_sparse_columns(scene.data):
        return False
    n_bytes = 8 * n_columns**2 * scene.objective.network.n_outputs
    few = n_columns <= min(BLOCK_COLUMNS, BLOCK_PART * n_rows)
    return few and n_bytes <= BLOCKS_BYTES


def _many_sparse_columns(data: TrainingSet) -> bool:
    """Return whether products with X cost far less than dense matrices of p²."""
    return sparse.issparse(data.X) and data.X.shape[1] > SPARSE_COLUMNS


def _blocks_pay(recipe: Recipe, scene: Scene) -> bool:
    """Return whether the Hessian is too large, and its diagonal blocks are not."""
    many_rows = _sample_size(scene.data, scene.objective.size) > 0
    limit = _newton_cholesky_size(recipe, scene, many_rows)
    return scene.objective.size > limit and _blocks_are_cheap(scene)


def renewal(
    recipe: Recipe, scene: Scene, solver: str, change: Change
) -> Renewal | None:
    """Return how coordinates are renewed on the way, None where that does not pay.

    One block of the Hessian per output undoes the correlation of the columns, weighted
    as the output weights the rows there; what the outputs share remains.
    """
    objective, columns = scene.objective, scene.columns
    if not isinstance(objective, LinearObjective) or recipe.signs.any():
        return None
    if not SOLVERS[solver].first_order or change is not columns:
        return None
    if not _blocks_pay(recipe, scene):
        return None
    softmax = scene.data.out_activation == "softmax"

    def renew(problem: Problem, x: np.ndarray) -> tuple[Problem, np.ndarray]:
        theta = cast(ScaledProblem, problem).change.to_original(x)
        blocks = objective.hessian_blocks(theta, *columns.columns, part=BLOCK_CURVATURE)
        diagonal = np.arange(blocks.shape[1])
        mean = blocks[:, diagonal, diagonal].mean(axis=1)
        if mean.max() < VANISHING and not objective.decay.any():
            return problem, x
        ridge = np.where(mean > NO_CURVATURE, RIDGE * mean, 1.0)
        blocks[:, diagonal, diagonal] += ridge[:, None]
        whitening = Whitening(columns, blocks, zero_sum=softmax)
        return ScaledProblem(objective, whitening), whitening.to_scaled(theta)

    return Renewal(BLOCK_ITERATIONS, renew)


def draft(
    recipe: Recipe,
    scene: Scene,
    solver: str,
    change: Change,
    start: np.ndarray,
    workers: Workers,
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
    objective = recipe.objective(
        recipe.network, scene.objective.loss, blocks, scene.objective.decay, workers
    )
    tol, max_iter, min_decrease = recipe.limits
    limits = Limits(max(tol, DRAFT_TOL), max_iter, max(min_decrease, DRAFT_TOL))
    problem = ScaledProblem(objective, change)
    return Draft(problem, limits, options)


def _sample(data: TrainingSet, size: int) -> TrainingSet | None:
    """Return rows spread evenly over the data, None where sampling does not pay."""
    wanted = _sample_size(data, size)
    if not wanted:
        return None
    sample = data.rows(np.arange(wanted) * data.X.shape[0] // wanted)
    enough = np.all(_class_rows(sample) >= SAMPLE_CLASS_ROWS)
    return sample if enough else None


def _sample_size(data: TrainingSet, size: int) -> int:
    """Return how many rows a sample takes, 0 where sampling does not pay."""
    if size > WHITENING_SIZE or _many_sparse_columns(data):
        return 0
    n_rows = data.X.shape[0]
    wanted = max(
        SAMPLE_ROWS,
        SAMPLE_ROWS_PER_PARAMETER * size,
        n_rows // max(SAMPLE_STEP, size),
    )
    pays = n_rows * size >= SAMPLE_WORK and wanted <= SAMPLE_PART * n_rows
    return wanted if pays else 0


def _class_rows(data: TrainingSet) -> np.ndarray:
    """Return how many rows each class has, or each label with and without it."""
    if data.y.ndim == 1:
        return np.bincount(data.y, minlength=len(data.classes))
    positive = data.y.sum(axis=0)
    return np.append(positive, len(data.y) - positive)


def _is_small(objective: Objective) -> bool:
    """Return whether few iterations with the exact Hessian are quicker than many."""
    if objective.network.n_outputs > 1:
        return objective.size <= SAMPLE_NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS
    return objective.size <= NEWTON_CHOLESKY_SIZE_MANY_COLUMNS


def _optimum_of_sample(
    objective: LinearObjective, columns: ColumnScaling, start: np.ndarray
) -> np.ndarray:
    """Return the sample's optimum, roughly."""
    rough = minimise(
        ScaledProblem(objective, columns),
        columns.to_scaled(start),
        solver="newton-cholesky" if _is_small(objective) else "lbfgs",
        limits=SAMPLE_LIMITS,
    )
    if rough.outcome == "interrupted":
        raise KeyboardInterrupt
    return columns.to_original(rough.x)


def _approach_by_sample(
    recipe: Recipe,
    scene: Scene,
    sample: TrainingSet,
    start: np.ndarray,
    fresh: bool,
    workers: Workers,
) -> tuple[str, Change, np.ndarray]:
    """Start from a sample's optimum, in coordinates that whiten its Hessian there.

    The Hessian of the whole data is then the identity but for sampling noise, and
    L-BFGS needs four to ten passes over the rows. A small ridge stands for directions
    of which the sample says nothing. Where it misrepresents a column grossly (one-hot
    columns of a rare category), only the start is taken from it.
    """
    columns, decay = scene.columns, scene.objective.decay
    blocks = cut(recipe.network, sample, scene.view)
    of_sample = partial(
        LinearObjective, recipe.network, scene.objective.loss, blocks, workers=workers
    )
    if fresh:
        # As of a table of so many rows: where they can be told apart, the optimum is
        # so much nearer.
        ratio = np.sqrt(scene.data.X.shape[0] / sample.X.shape[0])
        start = _optimum_of_sample(of_sample(decay=ratio * decay), columns, start)
    solver = _solver_of_many_rows(recipe, scene)
    if "hessian" in SOLVERS[solver].derivatives:
        return solver, columns, start
    if not _represents(sample, recipe, scene, workers):
        return _solver(recipe, scene, many_rows=True), columns, start
    hessian = of_sample(decay=decay).hessian(start, *columns.columns)
    curvature = float(hessian.diagonal().mean())
    if curvature < NO_CURVATURE:
        return solver, columns, start
    hessian[np.diag_indices_from(hessian)] += RIDGE * curvature
    return solver, Whitening(columns, hessian[None]), start


def _solver_of_many_rows(recipe: Recipe, scene: Scene) -> str:
    """Return the solver in coordinates that whiten a sample's Hessian."""
    if recipe.solver != "auto":
        return recipe.solver
    exact = recipe.limits.tol < WHITENED_LBFGS_TOL
    return "newton-cholesky" if exact and _is_small(scene.objective) else "lbfgs"


def _represents(
    sample: TrainingSet, recipe: Recipe, scene: Scene, workers: Workers
) -> bool:
    """Return whether a sample's columns vary about as much as those of all rows."""
    center, scale = scene.columns.columns
    mean, deviation = column_moments(cut(recipe.network, sample), workers)
    if scene.view is not None:
        mean, deviation = scene.view.moments(mean, deviation)
    varying = scene.variance > 0.0
    variance = (deviation * scale) ** 2 + ((mean - center) * scale) ** 2
    odds = variance[varying] / scene.variance[varying]
    return bool(np.all((odds < SAMPLE_VARIANCE) & (odds > 1.0 / SAMPLE_VARIANCE)))
