"""Which rows are drawn, and what is taken from them."""

import numpy as np
import pytest
from scipy import sparse

from sknn_simple._data.row_blocks import DEFAULT_SIZES
from sknn_simple._training.heuristics import CLASS_ROWS
from sknn_simple._training.subsampling import (
    draw_subsample,
    subsample_optimum,
)

ALWAYS = {"subsample_work": 0}


@pytest.fixture
def draw(linear_spec, problem_of):
    """Return a function from data to a subsample and its problem."""

    def make(data, **fields):
        fields["thresholds"] = {**ALWAYS, **fields.get("thresholds", {})}
        problem = problem_of(linear_spec(data, **fields), data)
        return draw_subsample(problem), problem

    return make


def rows_of(subsample):
    """Return the transformed features of a subsample, dense."""
    X = subsample.objective.blocks.chosen_features(slice(None))
    return subsample.objective.dense(X)


def all_rows(problem):
    J = problem.objective
    return J.dense(J.blocks.chosen_features(slice(None)))


# Which rows ---------------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_are_spread_evenly(container, two_classes, training_set, draw):
    X, y = two_classes
    subsample, problem = draw(training_set(container(X), y))
    assert subsample.represents
    assert subsample.n_rows == len(rows_of(subsample)) == 1000
    np.testing.assert_allclose(rows_of(subsample), all_rows(problem)[::5], atol=1e-12)
    np.testing.assert_array_equal(subsample.objective.blocks.y, problem.data.y[::5])


def test_weights_of_the_drawn_rows_sum_to_one(two_classes, training_set, draw):
    X, y = two_classes
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    subsample, _ = draw(training_set(X, y, weight))
    found = subsample.objective.blocks.weight
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found, weight[::5] / weight[::5].sum())


def test_the_objective_is_penalised_and_transformed_as_that_of_all_rows(
    two_classes, training_set, draw
):
    subsample, problem = draw(training_set(*two_classes))
    J = problem.objective
    np.testing.assert_array_equal(subsample.objective.penalty_root, J.penalty_root)
    assert subsample.objective.folded is J.folded


def test_no_subsample_if_it_does_not_pay(two_classes, training_set, draw):
    data = training_set(*two_classes)
    for thresholds in ({"subsample_params": 15}, {"subsample_part": 0.19}):
        assert draw(data, thresholds=thresholds)[0] is None


@pytest.mark.parametrize("form", ["two classes", "three classes", "label", "no label"])
@pytest.mark.parametrize("enough", [True, False])
def test_every_class_has_rows_enough(form, enough, training_set, draw):
    """Too few rows of a class say too little about its weights."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5000, 15)), rng.integers(2, size=5000)
    rare = np.zeros(5000, dtype=bool)
    rare[np.arange(0, 5 * (CLASS_ROWS - (not enough)), 5)] = True
    if form == "two classes":
        y = rare.astype(int)
    elif form == "three classes":
        y = np.where(rare, 2, y)
    else:
        y = np.column_stack([y, rare if form == "label" else ~rare]).astype(int)
    assert (draw(training_set(X, y))[0] is not None) == enough


# Drawn by leverage --------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("kept_bytes", [2**25, 0], ids=["applied", "folded"])
def test_rows_with_a_rare_column_are_all_drawn(
    container, kept_bytes, rare_columns, training_set, draw
):
    X, y = rare_columns
    data = training_set(container(X), y)
    sizes = DEFAULT_SIZES._replace(kept_bytes=kept_bytes)
    subsample, problem = draw(data, sizes=sizes)
    assert subsample.represents
    most = problem.data.X.shape[0] // 4
    assert 0.98 * most <= subsample.n_rows <= 1.02 * most
    scale, center = problem.transform.scale[:10], problem.transform.center[:10]
    raw = rows_of(subsample)[:, :10] / scale + center
    np.testing.assert_allclose(raw.sum(axis=0), X[:, :10].sum(axis=0), atol=1e-9)


def test_drawn_rows_are_weighted_by_the_inverse_of_their_probability(
    rare_columns, training_set, draw
):
    """In proportion to 1 + ¼ Σⱼ zᵢⱼ², and at most 1."""
    subsample, _ = draw(training_set(*rare_columns))
    share = 1.0 + 0.25 * (rows_of(subsample) ** 2).sum(axis=1)
    weight = subsample.objective.blocks.weight
    assert weight.sum() == pytest.approx(1.0)
    free = weight > weight.min() * (1.0 + 1e-9)
    assert free.any()
    assert not free.all()
    odds = weight[free] * share[free]
    np.testing.assert_allclose(odds, odds[0])
    assert share[~free].min() >= share[free].max() * (1.0 - 1e-9)


def test_a_draw_by_leverage_estimates_j(rare_columns, training_set, draw):
    subsample, problem = draw(training_set(*rare_columns))
    J, size = problem.objective, problem.objective.size
    theta = 0.3 * np.random.default_rng(0).standard_normal(size)
    assert subsample.objective.value(theta) == pytest.approx(J.value(theta), rel=0.05)


def test_the_draw_is_the_same_each_time(rare_columns, training_set, draw):
    data = training_set(*rare_columns)
    first, second = (draw(data)[0] for _ in range(2))
    np.testing.assert_array_equal(rows_of(first), rows_of(second))


def test_evenly_spread_rows_if_those_by_leverage_are_no_better(
    rare_columns, training_set, draw
):
    data = training_set(*rare_columns)
    subsample, _ = draw(data, thresholds={"subsample_leverage": 0.01})
    assert not subsample.represents
    assert subsample.n_rows == 1000
    np.testing.assert_allclose(subsample.objective.blocks.weight, 1e-3)


def test_constant_columns_are_represented(two_classes, training_set, draw):
    X, y = two_classes
    X = np.column_stack([X, np.full(len(y), 7.0)])
    assert draw(training_set(X, y))[0].represents


# Its optimum --------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("newton", [True, False])
def test_the_optimum_is_near_that_of_all_rows(
    n_classes, newton, two_classes, training_set, draw, fit, linear_spec
):
    X, y = two_classes
    y = y + (X[:, 3] > 0.5) if n_classes == 3 else y
    data = training_set(X, y)
    most = 1000 if newton else 0
    subsample, problem = draw(
        data,
        thresholds={
            "newton_params": most,
            "newton_params_multi": most,
        },
    )
    J = problem.objective
    theta = subsample_optimum(problem, subsample, np.zeros(J.size))
    exact = fit(linear_spec(data, solver="newton-cholesky", tol=1e-9), data)
    # Of a maximum likelihood half of this is to be expected.
    assert J.value(theta) - exact.loss < J.size / subsample.n_rows


def test_a_subsample_is_penalised_as_data_of_its_size(training_set, draw):
    """Separable classes: the fewer the rows, the nearer is the optimum to 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 5))
    y = (X @ rng.normal(size=5) > 0.0).astype(int)
    subsample, problem = draw(training_set(X, y), alpha=10.0)
    theta = subsample_optimum(problem, subsample, np.zeros(6))
    J, ratio = subsample.objective, np.sqrt(20_000 / subsample.n_rows)
    penalised = J.over(J.blocks, ratio * J.penalty_root)
    value, gradient = penalised.value_and_grad(theta)
    diagonal = problem.diagonal.pull_back(gradient)
    assert np.abs(diagonal).max() <= 1e-2 * value
    assert np.abs(J.value_and_grad(theta)[1]).max() > 10.0 * np.abs(gradient).max()


def test_ctrl_c_while_the_optimum_is_looked_for_is_raised(
    two_classes, training_set, draw, on_evaluation
):
    """J of all rows has no value yet: there is nothing to keep."""
    subsample, problem = draw(training_set(*two_classes))
    evaluations = []

    def press(objective):
        evaluations.append(objective)
        if len(evaluations) == 2:
            raise KeyboardInterrupt

    on_evaluation(press)
    zeros = np.zeros(problem.objective.size)
    with pytest.raises(KeyboardInterrupt):
        subsample_optimum(problem, subsample, zeros)
    assert len(evaluations) == 2
