"""Which solver and which phases a fit is planned to have."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_classification

from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._optim.problem import PreconditionedProblem
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.heuristics import FLOAT32_TOL
from sknn_simple._training.plan import plan_solve
from sknn_simple._training.preconditioners import (
    BlockPreconditioner,
    DiagonalPreconditioner,
)

FIRST_ORDER = [name for name, row in SOLVERS.items() if row.first_order]
SECOND_ORDER = [name for name in SOLVERS if name not in FIRST_ORDER]
CONVEX_ONLY = [name for name, row in SOLVERS.items() if row.needs_matrix]


@pytest.fixture
def plan(problem_of):
    """Return a function from spec and data to plan and problem."""

    def make(spec, data):
        problem = problem_of(spec, data)
        start = np.zeros(problem.objective.size)
        return plan_solve(problem, start), problem

    return make


def ends(plan):
    return [phase.criteria.max_iter for phase in plan.phases]


def dtypes(plan):
    return [phase.objective().blocks.dtype for phase in plan.phases]


def assert_one_plain_phase(plan, problem, spec):
    """J itself, by the diagonal, to the accuracy that is asked for."""
    [phase] = plan.phases
    assert phase.objective() is problem.objective
    assert phase.criteria == spec.criteria
    assert phase.continue_after == {"max_iter"}
    assert phase.precondition(np.zeros(problem.objective.size)) is problem.diagonal


# A hidden layer -----------------------------------------------------------------------

ALWAYS_FLOAT32 = {"float32_work": 0.0}


@pytest.fixture
def cancer(breast_cancer, training_set):
    return training_set(*breast_cancer)


@pytest.mark.parametrize("solver", ["auto", *FIRST_ORDER])
@pytest.mark.parametrize(("tol", "min_decrease"), [(1e-2, 1e-2), (1e-8, 0.0)])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_a_large_fit_starts_in_float32(
    solver, tol, min_decrease, container, cancer, hidden_spec, plan
):
    data = cancer._replace(X=container(cancer.X))
    spec = hidden_spec(
        data,
        solver=solver,
        tol=tol,
        min_decrease=min_decrease,
        thresholds=ALWAYS_FLOAT32,
    )
    made, problem = plan(spec, data)
    assert made.solver in FIRST_ORDER
    rough, last = made.phases
    assert dtypes(made) == [np.float32, np.float64]
    assert {"gradient", "no_decrease"} < rough.continue_after
    assert last.continue_after == {"max_iter"}
    assert last.objective() is problem.objective
    assert last.criteria == spec.criteria
    # It ends before the errors of float32 matter, and no later than asked for.
    least = FLOAT32_TOL
    asked = spec.criteria.max_iter
    expected = StoppingCriteria(max(tol, least), asked, max(min_decrease, least))
    assert rough.criteria == expected
    theta = np.zeros(problem.objective.size)
    for phase in made.phases:
        assert phase.precondition(theta) is problem.diagonal


def test_the_float32_objective_is_j_rounded(cancer, hidden_spec, start_of, plan):
    spec = hidden_spec(cancer, thresholds=ALWAYS_FLOAT32)
    made, problem = plan(spec, cancer)
    theta = start_of(spec)
    value, gradient = made.phases[0].objective().value_and_grad(theta)
    expected, exact = problem.objective.value_and_grad(theta)
    assert value != expected
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient, exact, atol=1e-6)
    np.testing.assert_array_equal(
        made.phases[0].objective().penalty_root, problem.objective.penalty_root
    )


def test_work_decides_on_the_float32_phase(cancer, hidden_spec, plan):
    n_rows, size = cancer.X.shape[0], hidden_spec(cancer).network.layout.size
    for least, expected in ((n_rows * size, 2), (n_rows * size + 1, 1)):
        spec = hidden_spec(cancer, thresholds={"float32_work": least})
        assert len(plan(spec, cancer)[0].phases) == expected


def test_the_default_layer_starts_in_float32_and_a_small_one_does_not(
    cancer, hidden_spec, plan
):
    assert len(plan(hidden_spec(cancer, n_hidden=100), cancer)[0].phases) == 2
    assert len(plan(hidden_spec(cancer, n_hidden=5), cancer)[0].phases) == 1


@pytest.mark.parametrize("settings", [{"standardize": False}, {"solver": "trust-ncg"}])
def test_no_float32_phase_where_it_gains_nothing(settings, cancer, hidden_spec, plan):
    """Features that are not rounded; solvers that ask for products of the Hessian."""
    spec = hidden_spec(cancer, thresholds=ALWAYS_FLOAT32, **settings)
    made, problem = plan(spec, cancer)
    assert_one_plain_phase(made, problem, spec)


def test_no_float32_phase_of_float32_data(cancer, hidden_spec, plan):
    data = cancer._replace(X=cancer.X.astype(np.float32))
    spec = hidden_spec(data, thresholds=ALWAYS_FLOAT32)
    made, _ = plan(spec, data)
    assert dtypes(made) == [np.float32, np.float64]
    first, last = made.phases
    assert first.criteria.tol == pytest.approx(np.sqrt(np.finfo(np.float32).eps))
    assert {"gradient", "no_decrease"} < first.continue_after
    assert last.criteria == spec.criteria


def test_no_float32_phase_if_a_row_has_next_to_no_weight(cancer, hidden_spec, plan):
    """Such a row may lie so far out that its squares leave the range of float32."""
    weight = cancer.weight.copy()
    weight[0] = 1e-30
    spec = hidden_spec(cancer, thresholds=ALWAYS_FLOAT32)
    data = cancer._replace(weight=weight / weight.sum())
    made, problem = plan(spec, data)
    assert_one_plain_phase(made, problem, spec)


def test_a_bounded_hidden_layer_may_start_in_float32(cancer, hidden_spec, plan):
    signs = np.ones(hidden_spec(cancer).network.layout.size)
    spec = hidden_spec(cancer, signs=signs, thresholds=ALWAYS_FLOAT32)
    made, _ = plan(spec, cancer)
    assert made.solver == "lbfgs"
    assert len(made.phases) == 2


# A linear network ---------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_solver_that_is_asked_for(solver, digits, training_set, linear_spec, plan):
    data = training_set(*digits)
    assert plan(linear_spec(data, solver=solver), data)[0].solver == solver


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_solver_that_is_asked_for_with_a_subsample(
    solver, two_classes, training_set, linear_spec, plan
):
    data = training_set(*two_classes)
    spec = linear_spec(data, solver=solver, thresholds={"subsample_work": 0})
    made, _ = plan(spec, data)
    assert made.solver == solver
    assert made.subsample is not None


@pytest.mark.parametrize("thresholds", [{}, {"subsample_work": 0}])
def test_bounds_leave_one_plain_phase(
    thresholds, two_classes, training_set, linear_spec, plan
):
    data = training_set(*two_classes)
    signs = np.append(np.ones(15), 0.0)
    spec = linear_spec(data, signs=signs, thresholds=thresholds)
    made, problem = plan(spec, data)
    assert made.solver == "lbfgs"
    assert made.subsample is None
    assert_one_plain_phase(made, problem, spec)


@pytest.mark.parametrize("solver", SECOND_ORDER)
def test_second_derivatives_need_no_blocks(
    solver, digits, training_set, linear_spec, plan
):
    data = training_set(*digits)
    spec = linear_spec(data, solver=solver)
    made, problem = plan(spec, data)
    assert_one_plain_phase(made, problem, spec)


@pytest.mark.parametrize(
    ("max_iter", "first", "expected"),
    [
        (100, 8, [8, 16, 32, 64, 100]),
        (64, 8, [8, 16, 32, 64]),
        (8, 8, [8]),
        (5, 8, [5]),
        (10, 3, [3, 6, 10]),
    ],
)
def test_blocks_are_renewed_at_intervals_that_double(
    max_iter, first, expected, digits, training_set, linear_spec, plan
):
    data = training_set(*digits)
    spec = linear_spec(data, max_iter=max_iter, thresholds={"first_renewal": first})
    made, problem = plan(spec, data)
    assert made.solver == "lbfgs"
    assert ends(made) == expected
    theta = np.zeros(problem.objective.size)
    assert made.phases[0].precondition(theta) is problem.diagonal
    for phase in made.phases:
        assert phase.continue_after == {"max_iter"}
        assert phase.objective() is problem.objective
        assert phase.criteria == spec.criteria.until(phase.criteria.max_iter)
    for phase in made.phases[1:]:
        assert isinstance(phase.precondition(theta), BlockPreconditioner)


def test_blocks_are_those_at_the_point_that_was_reached(
    many_columns, training_set, linear_spec, plan
):
    """With one output the Hessian there becomes the identity."""
    data = training_set(*many_columns)
    made, problem = plan(linear_spec(data), data)
    theta = 0.1 * np.random.default_rng(0).standard_normal(problem.objective.size)
    T = made.phases[1].precondition(theta)
    assert isinstance(T, BlockPreconditioner)
    over_u = PreconditionedProblem(problem.objective, T, theta)
    units = np.eye(theta.size)
    hessian = np.array([over_u.hessian_product(over_u.start, e) for e in units])
    np.testing.assert_allclose(hessian, np.eye(len(hessian)), atol=1e-4)


@pytest.mark.parametrize(
    "thresholds",
    [
        {"block_columns": 63},
        {"block_bytes": 8 * 10 * 64**2 - 1},
        {"block_part": 63.9 / 600},
    ],
    ids=str,
)
def test_the_diagonal_is_renewed_if_blocks_are_too_large(
    thresholds, digits, training_set, linear_spec, plan
):
    data = training_set(*digits)
    spec = linear_spec(data, thresholds=thresholds)
    made, problem = plan(spec, data)
    assert made.solver == "lbfgs"
    assert_diagonal_is_renewed(made, problem, spec)


def assert_diagonal_is_renewed(made, problem, spec):
    ended_by_newton = made.phases[2:]
    assert ends(made)[:2] == [8, 100 if ended_by_newton else spec.criteria.max_iter]
    zeros = np.zeros(problem.objective.size)
    first, second = (phase.precondition(zeros) for phase in made.phases[:2])
    assert first is problem.diagonal
    assert isinstance(second, DiagonalPreconditioner)
    # At zeros every row has the curvature that the first map assumes.
    varying = problem.transform.scale > 0.0
    views = spec.network.layout.views
    was, now = (views(made.scale)["coef"][varying] for made in (first, second))
    np.testing.assert_allclose(now, was, rtol=1e-4)


@pytest.mark.parametrize("max_iter", [1, 6])
def test_a_short_fit_does_not_renew_the_diagonal(
    max_iter, digits, training_set, linear_spec, plan
):
    data = training_set(*digits)
    spec = linear_spec(data, thresholds={"block_columns": 0}, max_iter=max_iter)
    made, problem = plan(spec, data)
    assert_one_plain_phase(made, problem, spec)


def test_no_blocks_if_newtons_method_would_be_quicker(
    digits, training_set, linear_spec, plan
):
    """So few parameters take L-BFGS, if it is asked for, next to no time."""
    data = training_set(*digits)
    size = linear_spec(data).network.layout.size
    thresholds = {"newton_params_multi": size}
    assert plan(linear_spec(data, thresholds=thresholds), data)[0].solver not in (
        FIRST_ORDER
    )
    spec = linear_spec(data, solver="lbfgs", thresholds=thresholds)
    made, problem = plan(spec, data)
    assert made.solver == "lbfgs"
    assert_one_plain_phase(made, problem, spec)


@pytest.mark.parametrize(("tol", "solver"), [(1e-4, "lbfgs"), (1e-8, "newton-cg")])
def test_no_dense_matrices_of_many_sparse_columns(
    tol, solver, training_set, linear_spec, plan
):
    """Rows enough for a subsample and for blocks, but products with X cost far less."""
    X = sparse.random(15_000, 450, 0.01, format="csr", random_state=0)
    y = X @ np.random.default_rng(0).normal(size=450) > 0.1
    data = training_set(X, y.astype(int))
    spec = linear_spec(data, tol=tol)
    made, problem = plan(spec, data)
    assert made.solver == solver
    assert made.subsample is None
    if solver == "lbfgs":
        assert_diagonal_is_renewed(made, problem, spec)
    else:
        assert_one_plain_phase(made, problem, spec)


# A subsample --------------------------------------------------------------------------

ALWAYS_SUBSAMPLE = {"subsample_work": 0}


@pytest.mark.parametrize(
    ("solver", "expected"), [("auto", "lbfgs"), *((n, n) for n in SOLVERS)]
)
def test_a_subsample_preconditions_all_rows(
    solver, expected, two_classes, training_set, linear_spec, plan
):
    """The Hessian of all rows is then the identity but for the noise of sampling."""
    data = training_set(*two_classes)
    spec = linear_spec(data, solver=solver, thresholds=ALWAYS_SUBSAMPLE)
    made, problem = plan(spec, data)
    assert made.solver == expected
    assert made.subsample is not None
    [phase] = made.phases
    assert phase.objective() is problem.objective
    assert phase.criteria == spec.criteria
    zeros = np.zeros(problem.objective.size)
    T = phase.precondition(zeros)
    if solver in CONVEX_ONLY:  # the exact Hessian needs no preconditioner
        assert T is problem.diagonal
        return
    assert isinstance(T, BlockPreconditioner)
    over_u = PreconditionedProblem(problem.objective, T, zeros)
    units = np.eye(zeros.size)
    hessian = np.array([over_u.hessian_product(over_u.start, e) for e in units])
    noise = 4.0 * np.sqrt(problem.objective.size / made.subsample.n_rows)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), 1.0, atol=noise)


def test_a_subsample_that_does_not_represent_a_column_gives_a_start_only(
    rare_columns, training_set, linear_spec, plan
):
    data = training_set(*rare_columns)
    # Ten rows drawn by leverage do not hold every class either.
    thresholds = {**ALWAYS_SUBSAMPLE, "subsample_leverage": 0.01, "newton_params": 0}
    spec = linear_spec(data, thresholds=thresholds)
    made, problem = plan(spec, data)
    assert made.subsample is not None
    assert not made.subsample.represents
    assert made.solver == "lbfgs"  # blocks are of all rows
    assert ends(made)[:3] == [8, 16, 32]
    zeros = np.zeros(problem.objective.size)
    assert made.phases[0].precondition(zeros) is problem.diagonal


def test_a_tight_tol_takes_the_exact_hessian(
    two_classes, training_set, linear_spec, plan
):
    """L-BFGS, whose line search asks J, ends before; Newton's method asks less of J."""
    data = training_set(*two_classes)
    for tol, solver in ((1e-9, "lbfgs"), (1e-13, "newton-cholesky")):
        spec = linear_spec(data, tol=tol, thresholds=ALWAYS_SUBSAMPLE)
        made, problem = plan(spec, data)
        assert made.solver == solver
        assert made.subsample is not None
        [phase] = made.phases
        T = phase.precondition(np.zeros(problem.objective.size))
        assert (T is problem.diagonal) == (solver == "newton-cholesky")


# Any plan -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "p", "n_classes", "solver"),
    [
        (100, 40, 2, "newton-cholesky"),
        (1200, 450, 2, "lbfgs"),
        (500, 450, 2, "lbfgs"),
        (600, 30, 4, "lbfgs"),
        (20_000, 20, 2, "lbfgs"),
    ],
)
def test_the_default_solver_by_shape(
    n, p, n_classes, solver, training_set, linear_spec, plan
):
    X, y = make_classification(
        n, p, n_informative=9, n_classes=n_classes, random_state=0
    )
    data = training_set(X, y)
    assert plan(linear_spec(data), data)[0].solver == solver
    # Rounding of J ends L-BFGS before so small a gradient.
    assert plan(linear_spec(data, tol=1e-11), data)[0].solver != "lbfgs"


@pytest.mark.parametrize("thresholds", [{}, ALWAYS_SUBSAMPLE, ALWAYS_FLOAT32])
@pytest.mark.parametrize("hidden", [False, True])
def test_planning_minimises_nothing(
    thresholds,
    hidden,
    two_classes,
    training_set,
    linear_spec,
    hidden_spec,
    plan,
    on_evaluation,
):
    evaluated = []
    on_evaluation(evaluated.append)
    data = training_set(*two_classes)
    spec = (hidden_spec if hidden else linear_spec)(data, thresholds=thresholds)
    plan(spec, data)
    assert not evaluated
