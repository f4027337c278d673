"""Phases hand θ on and share one history: a fit is one path, whatever it is made of."""

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._optim.stopping import OUTCOMES
from sknn_simple._training.early_stopping import validation_objective
from sknn_simple._training.plan import plan_solve
from sknn_simple._training.train import descend

FIRST_BLOCKS = 3
CASES = ["blocks", "one output", "labels", "subsample", "float32"]
each_case = pytest.mark.parametrize("case", CASES, indirect=True)


NEVER_RENEWED = {"first_renewal": 10**9}


class Case(NamedTuple):
    """Data, a spec that leads to several phases, and one that leads to a single one."""

    data: Any
    spec: Any
    single: Any
    problem: Any

    def start(self):
        return np.zeros(self.problem.objective.size)


@pytest.fixture(name="case")
def make_case(request, training_set, linear_spec, hidden_spec, problem_of):
    name = request.param
    blocks = {"first_renewal": FIRST_BLOCKS, "newton_params": 0}
    if name == "float32":
        data = training_set(*request.getfixturevalue("breast_cancer"))
        make, settings = hidden_spec, {"alpha": 100.0, "tol": 1e-7}
        several, one = {"float32_work": 0.0}, {"float32_work": np.inf}
    elif name == "subsample":
        # The subsample misses columns: a start, and blocks of all rows.
        data = training_set(*request.getfixturevalue("rare_columns"))
        make, settings = linear_spec, {"tol": 1e-7}
        several = {**blocks, "subsample_work": 0, "subsample_leverage": 0.01}
        one = {"subsample_part": 0.0, "newton_params": 0, **NEVER_RENEWED}
    else:
        X, y = request.getfixturevalue(
            "many_columns" if name == "one output" else "digits"
        )
        data = training_set(X, np.eye(10, dtype=int)[y] if name == "labels" else y)
        make, settings = linear_spec, {"tol": 1e-7}
        several, one = blocks, NEVER_RENEWED
    spec = make(data, thresholds=several, solver="lbfgs", **settings)
    single = make(data, thresholds=one, solver="lbfgs", **settings)
    return Case(data, spec, single, problem_of(spec, data))


@pytest.fixture
def boundary(case, fit):
    """The number of iterations after which the second phase begins."""
    if case.spec.network.is_linear:
        return FIRST_BLOCKS
    [rough, _] = plan_solve(case.problem, case.start()).phases
    spec = case.spec._replace(criteria=rough.criteria)
    return len(fit(spec, case.data).loss_curve) - 1


def value(case, theta):
    return case.problem.objective.value(theta)


def assert_followed(trained, observer, case):
    """The record is that of the observer, and the parameters are its last iterate."""
    assert re.fullmatch("E(BE)*B?S", observer.events)
    assert observer.outcomes == [trained.outcome]
    numbers = [iterate.n_iter for iterate in observer.iterates]
    assert numbers == list(range(len(trained.loss_curve)))
    told = [iterate.value for iterate in observer.iterates]
    # The last value of a phase in float32 is replaced by J itself.
    rel = 1e-12 if case.spec.network.is_linear else 1e-6
    np.testing.assert_allclose(trained.loss_curve, told, rtol=rel)
    assert trained.loss == trained.loss_curve[-1]
    last = case.problem.to_raw(observer.iterates[-1].theta)
    np.testing.assert_allclose(trained.parameters, last, rtol=1e-9, atol=1e-9)


# One path -----------------------------------------------------------------------------


@each_case
def test_the_optimum_is_that_of_a_single_phase(case, fit):
    several, one = fit(case.spec, case.data), fit(case.single, case.data)
    assert len(plan_solve(case.problem, case.start()).phases) > 1
    in_one_phase = case.problem._replace(spec=case.single)
    assert len(plan_solve(in_one_phase, case.start()).phases) == 1
    assert OUTCOMES[several.outcome].converged
    assert several.loss == pytest.approx(one.loss, rel=1e-8)
    found, expected = (case.problem.from_raw(t.parameters) for t in (several, one))
    np.testing.assert_allclose(found, expected, atol=2e-3)


@each_case
def test_an_observer_follows_one_path(case, fit, recorder, boundary):
    observer = recorder()
    trained = fit(case.spec, case.data, observer=observer)
    assert trained.outcome == "gradient"
    assert len(trained.loss_curve) - 1 > boundary
    assert_followed(trained, observer, case)
    for iterate in observer.iterates:
        # Also where each phase has a preconditioner and a precision of its own.
        assert iterate.value == pytest.approx(value(case, iterate.theta), rel=1e-6)
    assert observer.events.endswith("ES")  # no iteration begins in vain


@each_case
def test_j_does_not_rise(case, fit):
    curve = fit(case.spec, case.data).loss_curve
    rounding = 0.0 if case.spec.network.is_linear else 1e-6
    assert (np.diff(curve) <= rounding).all()


@each_case
def test_the_outcome_is_measured_at_the_parameters(case, fit):
    trained = fit(case.spec, case.data)
    theta = case.problem.from_raw(trained.parameters)
    J, gradient = case.problem.objective.value_and_grad(theta)
    assert trained.loss == pytest.approx(J, rel=1e-10)
    tol = case.spec.criteria.tol
    assert trained.grad_norm <= tol * min(1.0, J)
    if not case.spec.network.is_linear:  # the last preconditioner is the diagonal
        norm = np.abs(case.problem.diagonal.pull_back(gradient)).max()
        assert trained.grad_norm == pytest.approx(norm, rel=1e-3)


@pytest.mark.parametrize("case", ["float32"], indirect=True)
def test_j_itself_has_the_last_word(case, fit, on_evaluation):
    dtypes = []
    on_evaluation(lambda objective: dtypes.append(objective.blocks.dtype))
    fit(case.spec, case.data)
    exact = dtypes.index(np.float64)
    assert 0 < exact < len(dtypes)
    assert set(dtypes[:exact]) == {np.dtype(np.float32)}
    assert set(dtypes[exact:]) == {np.dtype(np.float64)}


@each_case
def test_same_call_same_bits(case, fit):
    first, second = (fit(case.spec, case.data) for _ in range(2))
    np.testing.assert_array_equal(first.parameters, second.parameters)
    assert first.loss_curve == second.loss_curve


# Its end ------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("after", [-2, -1, 0, 1, 2])
def test_max_iter_counts_over_all_phases(case, after, fit, recorder, boundary):
    max_iter = boundary + after
    observer = recorder()
    criteria = case.spec.criteria.until(max_iter)
    spec = case.spec._replace(criteria=criteria)
    trained = fit(spec, case.data, observer=observer)
    assert trained.outcome == "max_iter"
    assert_followed(trained, observer, case)
    assert trained.loss == pytest.approx(value(case, observer.iterates[-1].theta))
    # It is the beginning of the longer fit.
    longer = fit(case.spec, case.data).loss_curve[: max_iter + 1]
    np.testing.assert_allclose(trained.loss_curve, longer, rtol=1e-6)


@each_case
@pytest.mark.parametrize("after", [None, -1, 0, 1, 2])
def test_a_request_to_stop_ends_the_fit_in_any_phase(
    case, after, fit, recorder, boundary
):
    stop_at = 0 if after is None else boundary + after
    observer = recorder(stop_at)
    trained = fit(case.spec, case.data, observer=observer)
    assert trained.outcome == "observer"
    assert len(trained.loss_curve) - 1 == stop_at
    assert_followed(trained, observer, case)


@each_case
@pytest.mark.parametrize("after", [None, -1, 0, 1, 2])
def test_an_interrupt_of_an_observer_keeps_the_iterate(
    case, after, fit, recorder, boundary
):
    at = 0 if after is None else boundary + after
    observer = recorder(at, KeyboardInterrupt())
    trained = fit(case.spec, case.data, observer=observer)
    assert trained.outcome == "interrupted"
    assert len(trained.loss_curve) - 1 == at
    assert_followed(trained, observer, case)


@each_case
@pytest.mark.parametrize("after", [None, -1, 0, 1])
def test_errors_of_an_observer_are_raised_in_any_phase(
    case, after, fit, recorder, boundary
):
    """And the observers are told that training has not converged."""
    at = 0 if after is None else boundary + after
    observer = recorder(at, ZeroDivisionError("of the observer"))
    with pytest.raises(ZeroDivisionError, match="of the observer"):
        fit(case.spec, case.data, observer=observer)
    assert observer.outcomes == ["interrupted"]


# Interrupts ---------------------------------------------------------------------------


class Pressing:
    """Called before every evaluation; interrupts that of a number, from 0."""

    def __init__(self, at=None):
        self.reset(at)

    def reset(self, at=None):
        self.at, self.count = at, 0

    def __call__(self, *_):
        self.count += 1
        if self.count - 1 == self.at:
            raise KeyboardInterrupt

    def aim(self, part, run, spec):
        """Choose a call of `run(spec)`, between those of the start and the last."""
        counts = []
        for max_iter in (0, spec.criteria.max_iter):
            self.reset()
            run(spec._replace(criteria=spec.criteria.until(max_iter)))
            counts.append(self.count)
        begun, total = counts
        self.reset(begun + int(part * (total - 1 - begun)))


@each_case
@pytest.mark.parametrize("part", [0.0, 0.35, 0.7, 1.0])
def test_ctrl_c_during_an_evaluation_keeps_the_last_iterate(
    case, part, fit, recorder, on_evaluation
):
    press, observer = Pressing(), recorder()
    on_evaluation(press)
    press.aim(part, lambda spec: fit(spec, case.data), case.spec)
    trained = fit(case.spec, case.data, observer=observer)
    assert press.count - 1 == press.at  # nothing is evaluated after it
    assert trained.outcome == "interrupted"
    assert_followed(trained, observer, case)
    last = value(case, observer.iterates[-1].theta)
    assert trained.loss == pytest.approx(last, rel=1e-6)


@each_case
def test_ctrl_c_before_the_start_has_a_value_is_raised(
    case, fit, recorder, on_evaluation
):
    on_evaluation(Pressing(0))
    observer = recorder()
    with pytest.raises(KeyboardInterrupt):
        fit(case.spec, case.data, observer=observer)
    assert "E" not in observer.events


class WithoutCurvature(LinearObjective):
    """J, but Ctrl-C comes as its second derivatives are asked for."""

    def curvature(self, theta):
        raise KeyboardInterrupt


@pytest.mark.parametrize("case", ["blocks", "one output", "labels"], indirect=True)
def test_ctrl_c_while_a_preconditioner_is_renewed_keeps_the_iterate(case, recorder):
    J = case.problem.linear
    J = WithoutCurvature(
        J.network, J.loss, J.blocks, J.penalty_root, J.workers, J.folded
    )
    problem = case.problem._replace(objective=J)
    theta, observer = case.start(), recorder()
    plan = plan_solve(problem, theta)
    trained = descend(problem, plan, theta, None, lambda *_: [observer])
    assert trained.outcome == "interrupted"
    assert len(trained.loss_curve) - 1 == FIRST_BLOCKS
    assert_followed(trained, observer, case)


@pytest.mark.parametrize("case", ["float32"], indirect=True)
def test_ctrl_c_as_j_takes_over_from_float32_keeps_the_iterate(
    case, fit, recorder, on_evaluation, boundary
):
    def press(objective):
        if objective.blocks.dtype == np.float64:
            raise KeyboardInterrupt

    on_evaluation(press)
    observer = recorder()
    trained = fit(case.spec, case.data, observer=observer)
    assert trained.outcome == "interrupted"
    assert len(trained.loss_curve) - 1 == boundary
    assert_followed(trained, observer, case)
    assert trained.grad_norm == observer.iterates[-1].grad_norm


# Early stopping -----------------------------------------------------------------------


@pytest.fixture
def halves(case):
    rows = np.arange(case.data.X.shape[0])
    return case.data.rows(rows[::2]), case.data.rows(rows[1::2])


def assert_best_by_validation(trained, spec, halves, problem_of):
    curve = trained.validation_curve
    assert len(curve) == len(trained.loss_curve)
    best = int(np.argmin(curve))
    assert trained.loss == trained.loss_curve[best]
    assert trained.score == curve[best]
    problem = problem_of(spec, halves[0])
    J = problem.objective.value(problem.from_raw(trained.parameters))
    assert trained.loss == pytest.approx(J, rel=1e-6)


@each_case
@pytest.mark.parametrize("patience", [1, 3, 1000])
def test_early_stopping_watches_all_phases(case, patience, halves, fit, problem_of):
    spec, (rows, validation) = case.spec._replace(patience=patience), halves
    trained = fit(spec, rows, validation=validation)
    assert_best_by_validation(trained, spec, halves, problem_of)
    since_best = len(trained.loss_curve) - 1 - int(np.argmin(trained.validation_curve))
    assert (trained.outcome == "early_stopping") == (since_best == patience)


class Followed:
    """Validation rows that have a function called before every loss over them."""

    def __init__(self, rows, before):
        self.rows, self.before = rows, before

    def objective(self, problem, _):
        J = validation_objective(problem, self.rows)

        def value(theta):
            self.before()
            return J.value(theta)

        return SimpleNamespace(value=value)


def followed(rows, before):
    return rows._replace(chunks=Followed(rows, before))


@each_case
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("during", ["evaluation", "validation"])
def test_ctrl_c_leaves_curves_of_equal_length(
    case, part, during, halves, fit, problem_of, on_evaluation
):
    """Also if the last iterate has no validation loss yet."""
    spec, (rows, validation) = case.spec._replace(patience=1000), halves
    press = Pressing()
    if during == "evaluation":
        on_evaluation(press)
    else:
        validation = followed(validation, press)
    press.aim(part, lambda spec: fit(spec, rows, validation=validation), spec)
    trained = fit(spec, rows, validation=validation)
    assert trained.outcome == "interrupted"
    assert_best_by_validation(trained, spec, halves, problem_of)


@each_case
def test_ctrl_c_before_the_start_has_a_validation_loss_is_raised(case, halves, fit):
    spec, (rows, validation) = case.spec._replace(patience=5), halves
    with pytest.raises(KeyboardInterrupt):
        fit(spec, rows, validation=followed(validation, Pressing(0)))
