"""The thresholds of training, and every choice of "auto", from the problem's shape.

Those of `_data`, `_optim` and `_inference` are next to their code. The thresholds of
solvers were measured with benchmarks/shape.py. Where a line names no measurement, the
number follows from rounding, or was chosen by reasoning.
"""

from math import log
from sys import maxsize
from typing import NamedTuple

import numpy as np

from sknn_simple._optim.stopping import StoppingCriteria


class ProblemShape(NamedTuple):
    """What the choices depend on: the shape of X, of the raw outputs and of θ."""

    n_rows: int
    n_columns: int
    n_outputs: int
    n_params: int
    is_sparse: bool


# The size of large arrays that are made for a while: dense blocks of columns, groups of
# chunks, and the sample of their rows, which is trained on in this process. It is far
# above the caches, and far below the memory.
ARRAY_BYTES = 2**26


# Up to this number of parameters a Newton step takes a tenth of a second, and a
# subsample's Hessian pays as a preconditioner.
HESSIAN_PARAMS = 1500


class Thresholds(NamedTuple):
    """The tuned numbers of a fit."""

    # Up to this number of parameters newton-cholesky is the fastest solver of a linear
    # network. The first two hold if L-BFGS can use blocks of the Hessian (one output,
    # several outputs), the third if it cannot.
    newton_params: int = 150
    newton_params_multi: int = 60
    newton_params_without_blocks: int = 400
    # A little below these values of tol, rounding of J ends the line search of L-BFGS:
    # without a preconditioner, and with a subsample's Hessian.
    lbfgs_tol: float = 1e-7
    preconditioned_lbfgs_tol: float = 1e-10
    # Sparse data with more columns: products with X cost far less than dense matrices
    # of p². 20,000 × 1000 with 100 values per row took 0.05 s and 0.5 s.
    sparse_columns: int = 200
    subsample_params: int = HESSIAN_PARAMS
    # A subsample has at least this number of rows, in all and per parameter: with m
    # rows per parameter the eigenvalues of the preconditioned Hessian are about
    # 1 ± 2/√m. For large data it has n_rows / max(step, n_params) rows, so that its
    # optimum takes about the time of one evaluation of J.
    subsample_rows: int = 1000
    subsample_rows_per_param: int = 8
    subsample_step: int = 50
    # A subsample pays if it has at most this fraction of the rows, and if all rows ×
    # parameters are at least this number. A fit with one takes 1.2 of the time at half
    # of this number, and 0.7 at one and a half times of it.
    subsample_part: float = 0.25
    subsample_work: float = 1.1e5
    # Drawing by leverage takes this multiple of the rows. On 32,561 × 108, nearly all
    # one-hot, the optimum then takes half of the time; 8 times the rows gain no more.
    subsample_leverage: float = 4.0
    # Blocks of the Hessian pay up to this number of columns, up to this fraction of
    # the number of rows, and up to this size of all blocks. Peak memory is about five
    # times this size: blocks, factors, inverses, and the previous set.
    block_columns: int = 1000
    block_part: float = 0.5
    block_bytes: int = ARRAY_BYTES
    # A preconditioner is first renewed after this number of iterations. At θ = 0 all
    # rows have the same curvature, which differs from the curvature at the optimum. If
    # it is the Hessian of a good sample of chunks, four to ten are enough.
    first_renewal: int = 8
    # If blocks do not pay, newton-cholesky takes over from L-BFGS after this number of
    # iterations, up to this number of parameters, at which an iteration takes 0.5 s. A
    # weak penalty on nearly separable rows takes L-BFGS more than 1000.
    newton_after: int = 100
    newton_after_params: int = 3000
    # Rows × parameters from which a float32 phase pays for a hidden layer: default fits
    # of 100 units take 0.5 to 0.7 of the time.
    float32_work: float = 1e6
    # Up to this number of parameters the evidence uses all eigenvalues of the Hessian.
    evidence_params: int = 300


# Line searches in float32 do not resolve smaller gradients or decreases: √ε.
FLOAT32_TOL = float(np.sqrt(np.finfo(np.float32).eps))
# float32 has seven digits and a range up to 1e38. Columns with a standard deviation
# below this, or above its inverse, are trained in float64, and so are rows with a
# smaller weight in J: their features may overflow when squared.
FLOAT32_SMALL = 1e-25
# If |mean| / deviation of a column is larger, differences are lost in rounding, so the
# mean is subtracted from the features first. Without a bias tol is divided by this
# ratio up to here: newton-cholesky takes more than 100 iterations at 1e7.
LARGEST_OFFSET = 1e6
# If |mean| / deviation or an initial weight is larger, float32 costs probabilities four
# digits.
FLOAT32_LARGE = 1e3
# Features of a hidden layer are rounded to multiples of 1.5e-8 standard deviations. No
# measurement is that accurate, and rounding errors of float64 are so much smaller that
# only one value in ten million still depends on the unit of its column.
FEATURE_STEP = 2.0**-26
# Curvature below this fraction of the curvature at the start is rounding, and so is an
# eigenvalue, relative to the largest one: of the Gram matrix of rows or of standardised
# columns, which are then dependent, and of a correlation. Rounding leaves about 1e-16
# times the number of columns.
NO_CURVATURE = 1e-12
# Below this fraction of the curvature at the start an unpenalised problem is treated as
# separable: J has no minimum, and its vanishing Hessian is useless as a preconditioner.
SEPARABLE_CURVATURE = 0.03
# A ridge, relative to the mean curvature, for directions in which no row varies.
RIDGE = 1e-6
# Blocks are formed from the rows with this fraction of an output's curvature: few rows
# if the classes are nearly separable.
BLOCK_CURVATURE = 0.999
# With fewer rows of a class its weights are too uncertain. A sample of chunks has about
# twice as many rows of a rare class, if there are any: two for each of ten folds.
CLASS_ROWS = 10
# The subsample represents a column if it has the column's variance up to this factor.
VARIANCE = 4.0
# For standardised columns the evidence starts where the prior variance of a raw output,
# the number of columns over alpha, is this, but not below 1, the unit of alpha. 22
# tables take 0.92 of the evaluations, and 20,000 texts with 50,000 words 0.6 of the
# time.
PRIOR_VARIANCE = 20.0
# The alphas of a validation: the first one in units of S of the rows that a fold trains
# on, the factor between two, and the largest number of them. At the first one most
# networks are constant.
PATH_START, PATH_FACTOR, PATH_LENGTH = 0.375, 10.0**0.5, 12
# The accuracy of fits whose loss is only compared, or whose optimum is only a start: of
# the gradient, and of the decrease over ten iterations. With 5e-3 a default fit takes
# 1.15 times the work, for the same log-losses (22 tables, four draws of the test rows);
# with 2e-2 they are 0.8 % higher, with 5e-2 11 % (one draw).
COARSE_TOL = 1e-2
# A start does not depend on the criteria of the fit.
START_CRITERIA = StoppingCriteria(COARSE_TOL, maxsize, min_decrease=COARSE_TOL)
# A larger log-loss of a row counts as this in a search: the true class has at least a
# probability of 0.001. One row far from all others may otherwise decide (spambase: ten
# times the best alpha). Of the probabilities 0.05 to 5e-5 (22 tables, two draws of the
# rows) those up to 0.01 lead to the lowest log-loss, 0.5 % below that without a limit.
LARGEST_LOSS = log(1000.0)
# But it has at least this part of the share of the rarest class. With a limit near the
# loss of the class shares, rare rows may be predicted with any certainty: on noise with
# a share of 0.001 the log-loss was 2.5 times that of the class shares, and is 1.00.
RARE_PART = 0.1
# The fits of a search have at most this number of hidden units: on 22 tables they take
# 0.76 of the time of 100 units, and choose alphas with the same log-loss (0.772, 0.776
# of MLPClassifier's). A network with more than SEARCH_WEIGHTS weights on the columns
# gets fewer, but at least 5, and one per output up to 30. 2,400 texts with 37,000 words
# take 0.36 of the time, for the same alpha.
SEARCH_UNITS, LEAST_UNITS, SEARCH_WEIGHTS = 30, 5, 300_000
# From this number of rows × parameters on, threads share the folds. Two threads take
# 1.8 times as long as one at 3e5, and 0.7 at 4e6.
FOLD_WORK = 2e6
# The path goes on while the lowest loss falls by more than LEAST_FALL of that of the
# class shares, and by more than this number of standard errors or CLEAR_FALL of the
# first one. Eight draws of the folds of 22 tables: 0.91 of the work of a path that ends
# if the loss does not fall, with the same log-loss; 18 generated tables, 0.995 of the
# log-loss. LEAST_FALL of the first loss took mushroom, nearly solved by the first
# alphas, 1.2 times as long; log-losses of 99 tables were the same.
LEAST_FALL, CLEAR_FALL, FALL_ERRORS = 0.01, 0.05, 2.0
# If the loss is less than LITTLE_FALL below that of the class shares, this number of
# alphas without a fall ends the path: parity of three columns is learned after two at
# which it rises. Below the loss of the first alpha, tables with many columns, of which
# this one learns most, took 1.3 times as long, for the same alphas.
LITTLE_FALL, ALPHAS_WITHOUT_FALL = 0.1, 3
# Cross-validation uses at most about this number of distinct rows. The best alpha grows
# with the number of rows, but far less: 3000 of 21,700 rows of adult led to 0.6 of it.
SEARCH_ROWS = 15_000
# alpha if early stopping restrains the network. Of 1e-4 to 3 it has the lowest log-loss
# (22 tables): 0.71 of that with 1e-4, 0.81 of that with 1e-2.
EARLY_STOPPING_ALPHA = 0.5
# The evidence searches from this alpha to this multiple of the number of rows, where
# the weights are nearly 0. On 22 tables it chose 0.03 to 110.
SMALLEST_ALPHA, LARGEST_ALPHA = 1e-4, 100.0
# The share of the growth of log|H| that counts if there are many rows per weight, and
# the number of rows that halves what is added to it for fewer: of two classes, and of
# each further one. Measured in evidence.py.
LEAST_SHARE, FEW_ROWS, CLASS_FEW_ROWS = 0.4, 20, 2
# If the mean squared change of the raw outputs, weighted by their curvature, is less,
# the Hessian changes by two parts in a thousand: it is not formed again.
SAME_OUTPUTS = 4e-6
# The search ends if log(alpha) would change by less, and if traces are estimated. The
# growth is a difference over the first one.
CLOSE, CLOSE_ESTIMATE = 0.03, 0.1
# The largest change of log(alpha) in one round: far away the approximation is wrong.
# 160 tables of 40 to 70 rows of 60 to 1200 collinear columns: log-loss 0.93 of that
# without a limit, 0.95 with a factor of 1000, 0.93 with one of 30. Noise takes 1.45
# times as many rounds, and 1.7 with 30.
LARGEST_STEP = log(100.0)
# A second search follows if the evidence is not larger by this than that of the class
# shares: by a factor of 20, strong evidence for Kass and Raftery (1995). Without it the
# log-loss of 96 tables of collinear columns is 1.02 times as high, and the same for 660
# other tables; real ones of 60 rows take 0.87 of the rounds, those of 600 as many.
LITTLE_EVIDENCE = log(20.0)
# Without the Hessian, traces come from this number of random probes and this number of
# steps of Lanczos' method each. 40 steps and 4 probes choose the same alphas for text
# and digits; one probe chose one that is 17 % larger for digits.
LANCZOS_PROBES, LANCZOS_STEPS = 2, 10
# Up to this number of biases their rows of the Hessian are formed, each by a product.
# Without them each step of Lanczos' method takes half a product more. Time of a search
# without rows, relative to one with them: 1.2 for 18 classes of dense columns, 0.9 for
# 25, 0.3 for 200; 0.9 for 18 classes of text, 0.8 for 25, 0.4 for 60.
BIAS_ROWS = LANCZOS_PROBES * LANCZOS_STEPS
# Linear networks with fewer rows than columns are trained in the space of the rows, up
# to this number of rows: alpha="auto" takes 0.5 to 0.8 of the time for 100 to 1000 rows
# of noise, and alpha=1 up to 1.6. Collinear columns take 0.2 to 0.002 of the time.
# Networks with a hidden layer need twice as many columns as rows: 100 × 200 takes 0.7
# of the time, 100 × 5000 0.02, and 1000 × 1200 would take 1.3.
ROW_SPACE_ROWS = 1000
# With raw units that differ by a larger factor, a Gram matrix of rows loses digits.
ROW_SPACE_SPREAD = 1e3
# A smaller relative change of J, or of a deviance, may be rounding: if classes are
# nearly separable, J of softmax is near 1e-6, with an error of 1e-16.
SAME_VALUE = 1e-9
# Classes are separable if this number of Newton steps each change a raw output by more
# than this; ``separation`` says why. They begin where no raw output is larger than the
# last number. 10,800 fits of tables of 12 to 1000 rows, a quarter with one value of 100
# to 1e6 deviations, got 16 false alarms, and 5 were missed, by linear programming. Five
# steps from the fit itself: 107 and 104 of 3,200. The steps tell only near a minimum,
# or where there is none: after a fit with COARSE_TOL, or a smaller tol. With 0.1 six of
# 600 tables got a false alarm, with 0.01 none.
UNSHRUNK_STEPS, SHRUNK, LARGE_OUTPUT = 20, 0.3, 5.0
# Chunks are joined to groups of about ARRAY_BYTES, or of this number of rows ×
# parameters. A task of Dask costs about 2 ms, and should take ten times as long.
GROUP_WORK = 5e7
# Larger dense Hessians are an error: forming and factorising one takes three arrays of
# its size.
MAX_HESSIAN_BYTES = 2**31


def alpha_bounds(n_rows: float, unit: float) -> tuple[float, float]:
    """Return the smallest and the largest alpha that the evidence tries."""
    return SMALLEST_ALPHA * unit, LARGEST_ALPHA * unit * n_rows


def first_alpha(n_columns: int, n_rows: float) -> float:
    """Return the first alpha of the evidence for standardised columns."""
    alpha = max(n_columns / PRIOR_VARIANCE, 1.0)
    return min(alpha, LARGEST_ALPHA * n_rows)


def growth_share(n_weights: int, n_rows: float, n_classes: int) -> float:
    """Return the share of the growth of log|H| in the equation for alpha."""
    few = FEW_ROWS + CLASS_FEW_ROWS * (n_classes - 2)
    return LEAST_SHARE + (1.0 - LEAST_SHARE) * min(n_weights, n_rows) / (n_rows + few)


def search_units(n_columns: int, n_outputs: int) -> int:
    """Return the largest number of hidden units in a search for alpha."""
    most = max(SEARCH_WEIGHTS // n_columns, LEAST_UNITS, n_outputs)
    return min(most, SEARCH_UNITS)


def row_space_limit(n_columns: int, *, is_linear: bool = True) -> int:
    """Return the largest number of rows for training in the space of the rows."""
    return min(n_columns - 1 if is_linear else n_columns // 2, ROW_SPACE_ROWS)


def select_solver(shape: ProblemShape, tol: float, thresholds: Thresholds) -> str:
    """Return the solver of a linear network for "auto"."""
    rough = tol >= thresholds.lbfgs_tol
    most = thresholds.newton_params_without_blocks
    if rough and blocks_pay(shape, thresholds):
        several = shape.n_outputs > 1
        most = thresholds.newton_params_multi if several else thresholds.newton_params
    if shape.n_params <= most:
        return "newton-cholesky"
    return "lbfgs" if rough else "newton-cg"


def blocks_pay(shape: ProblemShape, thresholds: Thresholds) -> bool:
    """Return whether it pays to form and apply blocks of the Hessian."""
    if has_many_sparse_columns(shape, thresholds):
        return False
    n_bytes = 8 * shape.n_columns**2 * shape.n_outputs
    most = min(thresholds.block_columns, thresholds.block_part * shape.n_rows)
    return shape.n_columns <= most and n_bytes <= thresholds.block_bytes


def newton_takes_over(shape: ProblemShape, thresholds: Thresholds) -> bool:
    """Return whether newton-cholesky ends what L-BFGS does not end soon."""
    if has_many_sparse_columns(shape, thresholds) or blocks_pay(shape, thresholds):
        return False
    return shape.n_params <= thresholds.newton_after_params


def has_many_sparse_columns(shape: ProblemShape, thresholds: Thresholds) -> bool:
    """Return whether products with X cost far less than dense matrices of p²."""
    return shape.is_sparse and shape.n_columns > thresholds.sparse_columns


def subsample_size(shape: ProblemShape, thresholds: Thresholds) -> int:
    """Return the number of rows of a subsample, 0 if it does not pay."""
    many_params = shape.n_params > thresholds.subsample_params
    if many_params or has_many_sparse_columns(shape, thresholds):
        return 0
    wanted = max(
        thresholds.subsample_rows,
        thresholds.subsample_rows_per_param * shape.n_params,
        shape.n_rows // max(thresholds.subsample_step, shape.n_params),
    )
    large = shape.n_rows * shape.n_params >= thresholds.subsample_work
    pays = large and wanted <= thresholds.subsample_part * shape.n_rows
    return wanted if pays else 0
