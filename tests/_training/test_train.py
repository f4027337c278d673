"""One fit from one start: where it begins, what it returns, and on which threads."""

import pickle
import threading

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_simple._data.row_blocks import DEFAULT_SIZES
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.heuristics import LARGEST_LOSS
from sknn_simple._training.train import Problems, train

BOUNDED = [name for name, row in SOLVERS.items() if row.bounds]


@pytest.fixture
def data(training_set):
    """A small problem in raw units."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4)) * [1.0, 1e3, 1e-3, 1.0] + [0.0, 5e3, 0.0, 2.0]
    y = (X[:, 0] + X[:, 3] + rng.logistic(size=120) > 2.0).astype(int)
    return training_set(X, y)


@pytest.fixture(params=["linear", "hidden"])
def spec(request, data, linear_spec, hidden_spec):
    if request.param == "linear":
        return linear_spec(data, tol=1e-8)
    return hidden_spec(data, n_hidden=3, tol=1e-8, alpha=10.0)


# Where it begins ----------------------------------------------------------------------


def test_a_start_is_given_before_preconditioning(
    data, spec, fit, recorder, start_of, problem_of
):
    observer, start = recorder(0), start_of(spec)
    fit(spec, data, start, observer)
    expected = problem_of(spec, data).diagonal.to_theta(start)
    np.testing.assert_allclose(observer.iterates[0].theta, expected, atol=1e-12)


def test_a_warm_start_is_given_as_raw_parameters(data, spec, fit, recorder, problem_of):
    first = fit(spec._replace(criteria=spec.criteria.until(3)), data)
    observer = recorder()
    again = fit(spec, data, first.parameters, observer, warm_start=True)
    expected = problem_of(spec, data).from_raw(first.parameters)
    np.testing.assert_allclose(observer.iterates[0].theta, expected, rtol=1e-9)
    assert again.loss_curve[0] == pytest.approx(first.loss, rel=1e-10)
    assert again.outcome == "gradient"


def test_a_warm_start_at_the_optimum_takes_no_iteration(data, spec, fit):
    loose = spec._replace(criteria=spec.criteria._replace(tol=1e-6))
    first = fit(spec, data)
    again = fit(loose, data, first.parameters, warm_start=True)
    assert again.loss_curve == pytest.approx([first.loss], rel=1e-12)
    np.testing.assert_allclose(again.parameters, first.parameters, rtol=1e-9)


def test_a_linear_network_starts_at_zero_if_that_is_better(
    data, linear_spec, fit, recorder
):
    """The last fit may be of data in other units, which saturates all outputs."""
    spec, observer = linear_spec(data), recorder()
    far = np.full(5, 1e6)
    trained = fit(spec, data, far, observer, warm_start=True)
    np.testing.assert_array_equal(observer.iterates[0].theta, 0.0)
    assert trained.loss == pytest.approx(fit(spec, data).loss, rel=1e-8)


def test_a_hidden_layer_goes_on_from_where_it_is(
    data, hidden_spec, fit, recorder, problem_of
):
    """It has many minima: zero is no better start, and all its units are alike."""
    spec, observer = hidden_spec(data, n_hidden=3), recorder(0)
    size = spec.network.layout.size
    raw = 10.0 * np.random.default_rng(0).standard_normal(size)
    fit(spec, data, raw, observer, warm_start=True)
    expected = problem_of(spec, data).from_raw(raw)
    np.testing.assert_allclose(observer.iterates[0].theta, expected, rtol=1e-9)


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("solver", BOUNDED)
def test_every_start_is_within_the_bounds(
    data, solver, warm_start, hidden_spec, fit, recorder, start_of
):
    layout = hidden_spec(data, n_hidden=3).network.layout
    signs = layout.pack(
        {
            "hidden_coef": [[1], [-1], [0], [1]],
            "hidden_intercept": 0,
            "output_coef": [[1], [-1], [1]],
            "output_intercept": 0,
        }
    )
    spec = hidden_spec(data, n_hidden=3, signs=signs, solver=solver)
    observer = recorder()
    fit(spec, data, start_of(spec), observer, warm_start=warm_start)
    for iterate in observer.iterates:
        assert (iterate.theta * signs >= 0.0).all()


# What it returns ----------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_every_solver_ends_at_the_same_optimum(data, solver, linear_spec, fit):
    trained = fit(linear_spec(data, tol=1e-8, solver=solver), data)
    assert trained.outcome == "gradient"
    assert solver in ("auto", trained.solver)
    expected = fit(linear_spec(data, tol=1e-11, solver="newton-cholesky"), data)
    np.testing.assert_allclose(trained.parameters, expected.parameters, rtol=1e-4)


def test_the_result_is_measured_at_the_parameters(data, spec, fit, problem_of):
    trained, problem = fit(spec, data), problem_of(spec, data)
    theta = problem.from_raw(trained.parameters)
    assert trained.loss == trained.loss_curve[-1]
    assert trained.loss == pytest.approx(problem.objective.value(theta), rel=1e-10)
    assert trained.score == trained.loss
    assert trained.validation_curve is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_have_the_dtype_of_the_features(dtype, data, spec, fit):
    X = data.X - data.X.mean(axis=0)
    data = data._replace(X=X.astype(dtype))
    assert fit(spec, data).parameters.dtype == dtype


def test_the_score_is_the_lowest_validation_loss(data, spec, fit):
    spec = spec._replace(patience=5)
    rows, aside = data.rows(np.arange(80)), data.rows(np.arange(80, 120))
    trained = fit(spec, rows, validation=aside)
    assert trained.score == min(trained.validation_curve)
    best = trained.validation_curve.index(trained.score)
    assert trained.loss == trained.loss_curve[best]


def test_spec_and_result_travel_to_other_processes(data, spec, fit):
    """Restarts may run there."""
    trained = fit(*pickle.loads(pickle.dumps((spec, data))))
    again = pickle.loads(pickle.dumps(trained))
    np.testing.assert_array_equal(again.parameters, fit(spec, data).parameters)
    assert again.loss_curve == trained.loss_curve


def test_the_callers_arrays_are_left_alone(data, spec, fit, start_of):
    X, y, start = data.X.copy(), data.y.copy(), start_of(spec)
    before = start.copy()
    fit(spec, data, start)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, y)
    np.testing.assert_array_equal(start, before)


# Who follows it -----------------------------------------------------------------------


def test_observers_are_made_of_problem_and_early_stopping(
    data, spec, start_of, recorder, problem_of
):
    made = []

    def observers(problem, stopping):
        made.append((problem, stopping))
        return [recorder()]

    trained = train(spec, data, None, start_of(spec), observers)
    [(problem, stopping)] = made
    assert stopping is None
    raw = problem.to_raw(problem.from_raw(trained.parameters))
    np.testing.assert_allclose(raw, trained.parameters, rtol=1e-9)


def test_observers_are_told_after_early_stopping(data, spec, start_of, recorder):
    """A table of progress prints the validation loss of the same iterate."""
    lengths = []

    def observers(problem, stopping):
        class Reading(recorder):
            def on_iteration_end(self, iterate):
                lengths.append((iterate.n_iter, len(stopping.curve)))
                return super().on_iteration_end(iterate)

        return [Reading()]

    spec = spec._replace(patience=3)
    halves = data.rows(np.arange(60)), data.rows(np.arange(60, 120))
    trained = train(spec, *halves, start_of(spec), observers)
    assert lengths == [(n, n + 1) for n in range(len(trained.loss_curve))]


def test_all_observers_are_told_the_end_of_an_error(data, spec, start_of, recorder):
    first, second = recorder(1, ZeroDivisionError()), recorder()
    with pytest.raises(ZeroDivisionError):
        train(spec, data, None, start_of(spec), lambda *_: (first, second))
    assert first.outcomes == second.outcomes == ["interrupted"]


# Threads ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["blocks", "subsample", "float32", "sparse"])
def test_the_same_bits_on_any_number_of_threads(
    form, request, training_set, linear_spec, hidden_spec, fit
):
    # Shares of little work, so that small data have several.
    sizes = DEFAULT_SIZES._replace(share_work=1e4, min_rows=16, block_bytes=2**14)
    name = {
        "blocks": "digits",
        "subsample": "rare_columns",
        "float32": "breast_cancer",
        "sparse": "words",
    }[form]
    data = training_set(*request.getfixturevalue(name))
    thresholds = {"subsample_work": 0, "float32_work": 0, "first_renewal": 3}
    make = hidden_spec if form == "float32" else linear_spec
    spec = make(data, thresholds=thresholds, sizes=sizes, tol=1e-3)
    fits = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fits.append(fit(spec, data))
    assert len(fits[0].loss_curve) > 2
    for trained in fits[1:]:
        np.testing.assert_array_equal(trained.parameters, fits[0].parameters)
        assert trained.loss_curve == fits[0].loss_curve


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ZeroDivisionError])
def test_threads_and_limits_are_as_before(error, data, spec, fit, recorder):
    threads = threading.active_count()
    with threadpool_limits(2):
        limits = threadpool_info()
        if error is ZeroDivisionError:
            with pytest.raises(ZeroDivisionError):
                fit(spec, data, observer=recorder(1, error()))
        else:
            fit(spec, data, observer=recorder(1, error and error()))
        assert threadpool_info() == limits
    assert threading.active_count() <= threads


@pytest.mark.parametrize("under", ["raise", "warn", "ignore"])
def test_underflow_is_silent_and_the_users_choice_comes_back(under, data, fit, spec):
    saturated = np.linspace(-1e4, 1e4, spec.network.layout.size)
    with np.errstate(under=under):
        fit(spec, data, saturated, warm_start=True)
        assert np.geterr()["under"] == under


def test_sparse_and_dense_features_end_alike(data, spec, fit):
    X = data.X * (data.X > 1.0)
    dense = fit(spec, data._replace(X=X))
    other = fit(spec, data._replace(X=sparse.csr_array(X)))
    assert other.loss == pytest.approx(dense.loss, rel=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [30.0, 1e4, 3e38])
def test_a_held_out_row_counts_at_most_the_largest_loss(value, dtype, data, fit, spec):
    """Also if its features, or its outputs, overflow in float32."""
    rows = data._replace(X=data.X.astype(dtype))
    others, far = rows.rows(np.arange(1, 10)), rows.rows(np.arange(10))
    far.X[0] = -value * np.sign(far.X[0])
    rest, found = (fit(spec, rows, validation=v).held_out_loss for v in (others, far))
    alone = 10.0 * found - 9.0 * rest
    assert 1.0 < alone <= 1.00001 * LARGEST_LOSS
    # Units of tanh saturate: their outputs have a limit.
    assert not spec.network.is_linear or alone == pytest.approx(LARGEST_LOSS)


def test_problems_are_built_again_in_another_process(training_set, hidden_spec):
    X = np.random.default_rng(0).normal(size=(10, 40))
    data = training_set(X, np.arange(10) % 2)
    spec, problems = hidden_spec(data), Problems()
    blocks = problems.of(spec, data).objective.blocks
    assert problems.of(spec, data).objective.blocks is blocks
    again = pickle.loads(pickle.dumps(problems))
    assert again.of(spec, data).objective.blocks is not blocks
