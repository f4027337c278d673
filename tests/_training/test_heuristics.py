"""Every choice that depends on the shape of a problem."""

import pytest

from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.heuristics import (
    ProblemShape,
    Thresholds,
    blocks_pay,
    has_many_sparse_columns,
    search_units,
    select_solver,
    subsample_size,
)

# Written out: the measured defaults may change.
THRESHOLDS = Thresholds(
    newton_params=150,
    newton_params_multi=60,
    newton_params_without_blocks=400,
    lbfgs_tol=1e-7,
    sparse_columns=200,
    subsample_params=1500,
    subsample_rows=1000,
    subsample_rows_per_param=8,
    subsample_step=50,
    subsample_part=0.25,
    subsample_work=2.1e5,
    block_columns=1000,
    block_part=0.5,
    block_bytes=2**26,
)
ROUGH, TIGHT = 1e-5, 1e-8


def shape(n_rows=1000, n_columns=20, n_outputs=1, n_params=None, is_sparse=False):
    n_params = (n_columns + 1) * n_outputs if n_params is None else n_params
    return ProblemShape(n_rows, n_columns, n_outputs, n_params, is_sparse)


# The solver of a linear network -------------------------------------------------------


@pytest.mark.parametrize(
    ("n_params", "n_outputs", "expected"),
    [
        (150, 1, "newton-cholesky"),
        (151, 1, "lbfgs"),
        (60, 3, "newton-cholesky"),
        (61, 3, "lbfgs"),
    ],
)
def test_the_exact_hessian_up_to_a_number_of_parameters(n_params, n_outputs, expected):
    found = select_solver(
        shape(n_outputs=n_outputs, n_params=n_params), ROUGH, THRESHOLDS
    )
    assert found == expected


@pytest.mark.parametrize(
    ("n_params", "tol", "expected"),
    [
        (400, TIGHT, "newton-cholesky"),
        (401, TIGHT, "newton-cg"),
        (401, THRESHOLDS.lbfgs_tol, "lbfgs"),
        (400, THRESHOLDS.lbfgs_tol, "lbfgs"),
    ],
)
def test_rounding_ends_lbfgs_before_a_tight_tol(n_params, tol, expected):
    assert select_solver(shape(n_params=n_params), tol, THRESHOLDS) == expected


@pytest.mark.parametrize(
    ("n_params", "expected"), [(400, "newton-cholesky"), (401, "lbfgs")]
)
def test_without_blocks_the_exact_hessian_pays_for_more_parameters(n_params, expected):
    wide = shape(n_rows=100, n_columns=n_params)
    assert not blocks_pay(wide, THRESHOLDS)
    assert (
        select_solver(wide._replace(n_params=n_params), ROUGH, THRESHOLDS) == expected
    )


@pytest.mark.parametrize("n_params", [1, 100, 1000, 10**6])
@pytest.mark.parametrize("n_outputs", [1, 7])
@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-9, 1e-14])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_every_choice_is_a_solver(n_params, n_outputs, tol, is_sparse):
    found = shape(n_outputs=n_outputs, n_params=n_params, is_sparse=is_sparse)
    assert select_solver(found, tol, THRESHOLDS) in SOLVERS


# Blocks of the Hessian ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "pays"),
    [
        (shape(10_000, 1000), True),
        (shape(10_000, 1001), False),
        (shape(200, 100), True),  # at most half as many columns as rows
        (shape(200, 101), False),
        (shape(10_000, 1000, n_outputs=8), True),  # 61 MiB
        (shape(10_000, 1000, n_outputs=9), False),
        (shape(10_000, 200, is_sparse=True), True),
        (shape(10_000, 201, is_sparse=True), False),
    ],
)
def test_blocks_pay(found, pays):
    assert blocks_pay(found, THRESHOLDS) == pays


def test_dense_columns_are_never_many_sparse_ones():
    assert has_many_sparse_columns(shape(n_columns=201, is_sparse=True), THRESHOLDS)
    assert not has_many_sparse_columns(shape(n_columns=200, is_sparse=True), THRESHOLDS)
    assert not has_many_sparse_columns(shape(n_columns=10**6), THRESHOLDS)


# Subsamples ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (shape(20_000, 19), 1000),
        (shape(20_000, 299), 2400),  # eight rows for each parameter
        (shape(10**6, 19), 20_000),  # one row in fifty
        (shape(10**6, 99), 10_000),  # one in as many as there are parameters
        (shape(3999, 99), 0),  # more than a quarter of the rows
        (shape(4000, 99), 1000),
        (shape(10**5, 1499), 12_000),
        (shape(10**5, 1500), 0),  # too many parameters
        (shape(10**5, 0), 0),  # too little work
        (shape(10**5, 200, is_sparse=True), 1608),
        (shape(10**5, 201, is_sparse=True), 0),
    ],
)
def test_subsample_size(found, expected):
    assert subsample_size(found, THRESHOLDS) == expected


def test_subsampling_begins_at_an_amount_of_work():
    assert subsample_size(shape(10_500, 19), THRESHOLDS) == 1000
    assert subsample_size(shape(10_499, 19), THRESHOLDS) == 0


# The search for alpha -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_columns", "n_outputs", "units"),
    [
        (1, 1, 30),
        (10_000, 1, 30),
        (15_000, 1, 20),
        (10**6, 1, 5),
        (10**6, 12, 12),  # one per output
        (10**6, 100, 30),
        (20, 100, 30),
    ],
)
def test_units_of_a_search(n_columns, n_outputs, units):
    assert search_units(n_columns, n_outputs) == units


# Thresholds are arguments -------------------------------------------------------------


def test_thresholds_decide():
    small = THRESHOLDS._replace(
        newton_params=5, block_columns=5, sparse_columns=5, subsample_params=5
    )
    found = shape(10**6, 6, is_sparse=True)
    assert not blocks_pay(shape(n_columns=6), small)
    assert has_many_sparse_columns(found, small)
    assert subsample_size(found, small) == 0
    assert select_solver(shape(n_columns=5), ROUGH, small) == "lbfgs"
