"""The rounds of alpha by the evidence, without the estimator."""

import numpy as np
import pytest
from scipy import sparse

from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.plan import plan_round
from sknn_simple._training.preconditioners import (
    BlockPreconditioner,
    DiagonalPreconditioner,
)

WITHOUT_HESSIAN = {"evidence_params": 0}


def by_evidence(spec):
    return spec._replace(by_evidence=True)


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize("name", ["breast_cancer", "digits", "many_columns"])
def test_lanczos_chooses_about_the_same_alpha(
    name, solver, request, training_set, linear_spec, fit
):
    data = training_set(*request.getfixturevalue(name))
    exact = fit(by_evidence(linear_spec(data)), data)
    spec = linear_spec(data, solver=solver, thresholds=WITHOUT_HESSIAN)
    found = fit(by_evidence(spec), data)
    assert found.outcome == "gradient"
    np.testing.assert_allclose(found.alpha, exact.alpha, rtol=0.35)
    assert found.evidence is not None
    assert exact.evidence is not None
    exact_n = exact.evidence.n_effective
    np.testing.assert_allclose(found.evidence.n_effective, exact_n, rtol=0.2)


@pytest.mark.parametrize("thresholds", [{}, WITHOUT_HESSIAN])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_minimum_is_that_of_the_chosen_alpha(
    solver, thresholds, digits, training_set, linear_spec, fit
):
    data = training_set(*digits)
    spec = linear_spec(data, solver=solver, thresholds=thresholds)
    found = fit(by_evidence(spec), data)
    expected = fit(spec._replace(alpha=found.alpha), data)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-7)
    assert expected.evidence is None


def test_a_problem_with_another_alpha_is_the_one_built_for_it(
    digits, training_set, linear_spec, problem_of
):
    data = training_set(*digits)
    one = problem_of(linear_spec(data), data).with_alpha(7.0)
    other = problem_of(linear_spec(data, alpha=7.0), data)
    assert one.alpha == other.alpha == 7.0
    theta = np.random.default_rng(0).standard_normal(one.objective.size)
    assert one.objective.value(theta) == other.objective.value(theta)
    np.testing.assert_array_equal(one.diagonal.scale, other.diagonal.scale)
    assert one.linear is one.objective


@pytest.mark.parametrize("seed", [5, 8, 10, 27])
def test_saturated_rows_do_not_prolong_the_search(seed, training_set, linear_spec, fit):
    """Outputs change by several units although the curvature is nearly 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(100, 30))
    y = np.argmax(X @ rng.normal(size=(30, 2)), axis=1)
    data = training_set(X, y, np.full(100, 100.0))
    found = fit(by_evidence(linear_spec(data)), data)
    assert found.outcome == "gradient"
    assert found.evidence is not None
    assert len(found.evidence.path) <= 6


# The plan of a round ------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_round_uses_the_hessian_that_was_formed(
    solver, digits, training_set, linear_spec, problem_of
):
    data = training_set(*digits)
    spec = linear_spec(data)
    problem = problem_of(spec, data)
    J, zeros = problem.objective, np.zeros(problem.objective.size)
    of_loss = problem.linear.curvature(zeros).matrix() - np.diag(J.penalty_root**2)
    [phase] = plan_round(problem, solver, of_loss.copy()).phases
    assert phase.objective() is J
    assert phase.criteria == spec.criteria
    T = phase.precondition(zeros)
    if SOLVERS[solver].needs_matrix:
        assert T is problem.diagonal
        return
    assert isinstance(T, BlockPreconditioner)
    # Apart from the biases' equal shift, which J does not determine, and from weights
    # of constant columns.
    columns = np.array([T.to_theta(unit) for unit in np.eye(J.size)]).T
    hessian = columns.T @ problem.linear.curvature(zeros).matrix() @ columns
    values = np.linalg.eigvalsh(hessian)
    n_zero = 1 + 10 * np.count_nonzero(data.X.std(axis=0) == 0.0)
    np.testing.assert_allclose(values[:n_zero], 0.0, atol=1e-6)
    np.testing.assert_allclose(values[n_zero:], 1.0, atol=2e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_round_without_the_hessian_has_one_phase(
    solver, digits, training_set, linear_spec, problem_of
):
    """Blocks are formed once: θ is near the minimum."""
    X, y = digits
    for container, thresholds, kind in (
        (np.asarray, {}, BlockPreconditioner),
        (sparse.csr_array, {"sparse_columns": 0}, DiagonalPreconditioner),
    ):
        data = training_set(container(X), y)
        spec = linear_spec(data, thresholds=thresholds)
        problem = problem_of(spec, data)
        zeros = np.zeros(problem.objective.size)
        [phase] = plan_round(problem, solver, None).phases
        assert phase.criteria == spec.criteria
        T = phase.precondition(zeros)
        if SOLVERS[solver].first_order:
            assert isinstance(T, kind)
        else:
            assert T is problem.diagonal


def test_a_bounded_round_has_one_plain_phase(
    two_classes, training_set, linear_spec, problem_of
):
    data = training_set(*two_classes)
    spec = linear_spec(data, signs=np.append(np.ones(15), 0.0))
    problem = problem_of(spec, data)
    [phase] = plan_round(problem, "lbfgs", np.eye(16)).phases
    assert phase.precondition(np.zeros(16)) is problem.diagonal
    assert phase.criteria == spec.criteria
