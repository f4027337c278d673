"""What pays for which shape of data, as measured with benchmarks/shape.py."""

from scipy import sparse

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.objective import Objective
from sknn_simple._training.problem import Recipe, Scene

# Up to so many parameters Newton's method with the exact Hessian is the quickest for a
# linear network: with one output and with several, where L-BFGS may have blocks of the
# Hessian, and where it may not.
NEWTON_CHOLESKY_SIZE = 150
NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS = 60
NEWTON_CHOLESKY_SIZE_MANY_COLUMNS = 400
# Where rows are many, so few: its cost grows with the square of the parameters, that
# of L-BFGS, which then is the alternative, does not.
NEWTON_CHOLESKY_SIZE_MANY_ROWS = 32
# Rounding of J ends the line search of L-BFGS not far below this.
LBFGS_TOL = 1e-7
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
# Newton's method finds its optimum sooner up to so many parameters of several outputs.
SAMPLE_NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS = 120
# Beyond so many columns of sparse data products with X cost far less than dense
# matrices of p²: 20,000 x 1000 with 100 values in a row took 0.5 s with them, 0.05 s
# without.
SPARSE_COLUMNS = 200
# Blocks of the Hessian are worth forming up to this many columns, and at most as many
# as this part of the rows.
BLOCK_COLUMNS = 1000
BLOCK_PART = 0.5
# And all together no larger than this: with their factors, and those before, five times
# as much is held at a time.
BLOCKS_BYTES = 2**26
# Up to so many bytes of features for every output a fit takes less time if they are
# standardised once: on 150 rows 0.86 ms, not 1.13.
STANDARDISED_BYTES = 2**21


def newton_cholesky_size(recipe: Recipe, scene: Scene, many_rows: bool) -> int:
    """Return up to how many parameters the exact Hessian is the quickest way."""
    rough = recipe.limits.tol >= LBFGS_TOL
    if many_rows and rough:
        return NEWTON_CHOLESKY_SIZE_MANY_ROWS
    if not (rough and blocks_are_cheap(scene)):
        return NEWTON_CHOLESKY_SIZE_MANY_COLUMNS
    if scene.objective.network.n_outputs > 1:
        return NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS
    return NEWTON_CHOLESKY_SIZE


def blocks_are_cheap(scene: Scene) -> bool:
    """Return whether blocks of the Hessian are cheap to form, to apply and to hold."""
    n_rows, n_columns = scene.data.X.shape
    if many_sparse_columns(scene.data):
        return False
    n_bytes = 8 * n_columns**2 * scene.objective.network.n_outputs
    few = n_columns <= min(BLOCK_COLUMNS, BLOCK_PART * n_rows)
    return few and n_bytes <= BLOCKS_BYTES


def many_sparse_columns(data: TrainingSet) -> bool:
    """Return whether products with X cost far less than dense matrices of p²."""
    return sparse.issparse(data.X) and data.X.shape[1] > SPARSE_COLUMNS


def sample_size(data: TrainingSet, size: int) -> int:
    """Return how many rows a sample takes, 0 where sampling does not pay."""
    if size > WHITENING_SIZE or many_sparse_columns(data):
        return 0
    n_rows = data.X.shape[0]
    wanted = max(
        SAMPLE_ROWS,
        SAMPLE_ROWS_PER_PARAMETER * size,
        n_rows // max(SAMPLE_STEP, size),
    )
    pays = n_rows * size >= SAMPLE_WORK and wanted <= SAMPLE_PART * n_rows
    return wanted if pays else 0


def is_soon_standardised(scene: Scene) -> bool:
    """Return whether to centre and scale dense features once takes next to no time."""
    n_bytes = 8 * scene.data.X.shape[0] * scene.objective.size
    return not sparse.issparse(scene.data.X) and n_bytes <= STANDARDISED_BYTES


def is_small(objective: Objective) -> bool:
    """Return whether few iterations with the exact Hessian are quicker than many."""
    if objective.network.n_outputs > 1:
        return objective.size <= SAMPLE_NEWTON_CHOLESKY_SIZE_SEVERAL_OUTPUTS
    return objective.size <= NEWTON_CHOLESKY_SIZE_MANY_COLUMNS
