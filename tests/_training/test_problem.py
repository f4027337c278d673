"""The problem that is minimised: J over θ is J of the raw parameters.

J of raw parameters is written out here once more, on raw features in float64.
"""

import numpy as np
import pytest
from scipy import sparse

from formulas import mean_loss, raw_outputs
from sknn_simple._data.row_blocks import DEFAULT_SIZES, Workspace
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork
from sknn_simple._model.objective import Objective
from sknn_simple._optim.problem import PreconditionedProblem
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.heuristics import FEATURE_STEP
from sknn_simple._training.problem import build_problem
from sknn_simple._training.spec import TrainSpec

N_ROWS, ALPHA = 60, 2.5
# Columns in units from 1e-3 to 1e3; the last two are sparse.
UNITS = np.array([1e-3, 1.0, 1e3, 1.0, 5.0])
P = len(UNITS)

NETWORKS = {
    "linear": lambda K: LinearNetwork(P, K),
    "no intercept": lambda K: LinearNetwork(P, K, has_bias=False),
    "hidden": lambda K: OneHiddenNetwork(P, 4, K, ACTIVATIONS["tanh"]),
    "skip": lambda K: OneHiddenNetwork(P, 4, K, ACTIVATIONS["relu"], True),
}
# Means of the columns, in units of their deviation.
OFFSETS = {"near": 0.5, "far": 50.0, "remote": 1e6}
TARGETS = {"two classes": (2, False), "classes": (3, False), "labels": (3, True)}
SIZES = {"small": DEFAULT_SIZES, "large": DEFAULT_SIZES._replace(kept_bytes=0)}

every_network = pytest.mark.parametrize("network", NETWORKS)
every_container = pytest.mark.parametrize(
    "container", [np.asarray, sparse.csr_array], ids=["dense", "sparse"]
)
every_size = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
every_offset = pytest.mark.parametrize("offset", OFFSETS.values(), ids=OFFSETS)
standardized_or_not = pytest.mark.parametrize("standardize", [True, False])


def features(offset=0.5, constant=False, seed=0):
    """Return dense features in float64 that float32 holds exactly."""
    X = np.random.default_rng(seed).standard_normal((N_ROWS, P))
    X[:, 3:] *= np.random.default_rng(seed).uniform(size=(N_ROWS, 2)) < 0.3
    if offset != OFFSETS["near"]:
        X += offset
    else:
        X[:, :3] += offset
    X *= UNITS
    if constant:
        X[:, 1] = -7.25
    return X.astype(np.float32).astype(np.float64)


def training_set(X, target="two classes", seed=0):
    n_classes, multilabel = TARGETS[target]
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 2.0, N_ROWS)
    data = TrainingSet(
        X,
        rng.integers(n_classes, size=N_ROWS),
        weight / weight.sum(),
        float(weight.sum()),
        np.arange(n_classes),
        multilabel,
    )
    if data.out_activation == "logistic":
        y = rng.integers(2, size=(N_ROWS, data.n_outputs)).astype(float)
        data = data._replace(y=y)
    return data


def problem_of(data, network, standardize=True, sizes=DEFAULT_SIZES, alpha=ALPHA):
    made = NETWORKS[network](data.n_outputs)
    spec = TrainSpec(
        made,
        alpha,
        standardize,
        np.zeros(made.layout.size),
        "auto",
        StoppingCriteria(1e-4, 100),
        block_sizes=sizes,
    )
    return build_problem(spec, data, Workers(1))


def start(problem, seed=0):
    return 0.5 * np.random.default_rng(seed).standard_normal(problem.objective.size)


def dense(X):
    X = X.toarray() if sparse.issparse(X) else X
    return X.astype(np.float64)


def penalty_by_hand(data, network, raw, standardize):
    """alpha/(2S) Σ w², of standardised features' weights if the penalty is on those."""
    X, w = dense(data.X), data.weight[:, None]
    mean = (w * X).sum(axis=0)
    deviation = np.sqrt((w * (X - mean) ** 2).sum(axis=0))
    deviation[np.ptp(X, axis=0) == 0.0] = 0.0
    two = np.array([len(np.unique(x)) == 2 for x in X.T])
    unit = np.where(two, np.ptp(X, axis=0) / 2.0, deviation)
    unit = unit if standardize else np.ones(P)
    on_features = {weights for weights, _ in network.input_weights}
    squares = 0.0
    for name, array in network.layout.views(raw.astype(np.float64)).items():
        if name in on_features:
            squares += ((unit[:, None] * array) ** 2).sum()
        elif name in network.layout.shapes and name.endswith("coef"):
            squares += (array**2).sum()
    return ALPHA / (2.0 * data.total_weight) * squares


def by_hand(problem, raw, standardize):
    data, network = problem.data, problem.objective.network
    z = raw_outputs(network, raw.astype(np.float64), dense(data.X))
    loss = mean_loss(data.out_activation, z, data.y, data.weight)
    return loss + penalty_by_hand(data, network, raw, standardize)


def accuracy(problem, offset):
    """Return the relative error that rounded numbers may leave in J.

    Raw parameters lose one digit for each power of ten of mean/deviation, and so do
    products of features that are not centred before.
    """
    X = problem.data.X
    of_parameters = np.finfo(problem.dtype).eps * max(1.0, offset)
    centred = not sparse.issparse(X) and problem.explicit is not None
    of_products = np.finfo(X.dtype).eps * (1.0 if centred else max(1.0, offset))
    rounding = FEATURE_STEP if problem.transform.rounds else 0.0
    return 10.0 * float(max(of_parameters, of_products)) + rounding


# J and the raw parameters -------------------------------------------------------------


@every_network
@every_container
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_size
@every_offset
@standardized_or_not
@pytest.mark.parametrize("constant", [False, True], ids=["varying", "constant"])
def test_objective_is_that_of_the_raw_parameters(
    network, container, dtype, sizes, offset, standardize, constant
):
    X = container(features(offset, constant).astype(dtype))
    problem = problem_of(training_set(X), network, standardize, sizes)
    theta = start(problem)
    raw = problem.to_raw(theta)
    found = problem.objective.value(theta)
    rel = accuracy(problem, offset)
    assert found == pytest.approx(by_hand(problem, raw, standardize), rel=rel)
    value, _ = problem.objective.value_and_grad(theta)
    assert value == pytest.approx(found, rel=10.0 * float(np.finfo(dtype).eps))


@every_network
@every_container
@pytest.mark.parametrize("target", TARGETS)
@standardized_or_not
def test_objective_of_every_target(network, container, target, standardize):
    data = training_set(container(features()), target)
    problem = problem_of(data, network, standardize)
    theta = start(problem)
    expected = by_hand(problem, problem.to_raw(theta), standardize)
    rel = accuracy(problem, OFFSETS["near"])
    assert problem.objective.value(theta) == pytest.approx(expected, rel=rel)


@every_network
@every_container
@every_size
def test_gradient_is_that_of_the_raw_parameters(network, container, sizes):
    """J is lowered by the same steps, written in θ or in raw parameters."""
    data = training_set(container(features()), "classes")
    problem = problem_of(data, network, sizes=sizes)
    theta, step = start(problem), 1e-5
    _, gradient = problem.objective.value_and_grad(theta)
    for v in np.eye(problem.objective.size):
        ahead, behind = (
            by_hand(problem, problem.to_raw(theta + sign * step * v), True)
            for sign in (1.0, -1.0)
        )
        expected = (ahead - behind) / (2.0 * step)
        assert gradient @ v == pytest.approx(expected, rel=1e-6, abs=1e-7)


@every_network
@every_container
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_offset
@standardized_or_not
def test_to_raw_and_from_raw_are_inverse(
    network, container, dtype, offset, standardize
):
    problem = problem_of(
        training_set(container(features(offset).astype(dtype))), network, standardize
    )
    theta = start(problem)
    raw = problem.to_raw(theta)
    # A bias is a difference of numbers as large as `offset` times a weight.
    digits = 10.0 * float(np.finfo(problem.dtype).eps) * max(1.0, offset)
    np.testing.assert_allclose(problem.from_raw(raw), theta, rtol=digits, atol=digits)
    size = np.abs(raw).max()
    found = problem.to_raw(problem.from_raw(raw))
    np.testing.assert_allclose(found, raw, rtol=digits, atol=digits * size)


@every_network
@every_container
def test_a_constant_column_moves_into_the_bias(network, container):
    """Its raw weight becomes 0, and without a bias nothing is left of it."""
    data = training_set(container(features(constant=True)))
    problem = problem_of(data, network)
    model, rng = problem.objective.network, np.random.default_rng(3)
    raw = rng.standard_normal(problem.objective.size)
    found = problem.to_raw(problem.from_raw(raw))
    for name, _ in model.input_weights:
        if name in model.layout.shapes:
            assert (model.layout.views(found)[name][1] == 0.0).all()
    if model.has_bias:
        expected = raw_outputs(model, raw, dense(data.X))
        outputs = raw_outputs(model, found, dense(data.X))
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-6)


# What is done to the features ---------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "container", "sizes", "offset", "applied", "folded"),
    [
        ("linear", np.asarray, "small", "near", True, False),
        ("linear", np.asarray, "large", "near", False, True),
        ("linear", np.asarray, "large", "remote", True, False),
        ("linear", sparse.csr_array, "small", "near", False, True),
        ("linear", sparse.csr_array, "large", "remote", False, True),
        ("hidden", np.asarray, "small", "near", True, False),
        ("hidden", np.asarray, "large", "near", True, False),
        ("hidden", sparse.csr_array, "small", "near", True, True),
    ],
)
def test_which_part_of_the_transform_is_applied(
    network, container, sizes, offset, applied, folded
):
    """Large features of a linear network are read as they are, if that is exact."""
    X = container(features(OFFSETS[offset]))
    problem = problem_of(training_set(X), network, sizes=SIZES[sizes])
    assert (problem.explicit is not None) == applied
    assert (problem.objective.folded is not None) == folded
    if not applied:
        [block] = problem.objective.blocks.blocks
        assert block.X is X or np.shares_memory(block.X, X)


@every_container
@every_size
@every_offset
def test_transformed_columns_are_centred_and_of_unit_variance(container, sizes, offset):
    data = training_set(container(features(offset)))
    problem = problem_of(data, "linear", sizes=sizes)
    X = problem.transform.dense(data.X)
    mean = data.weight @ X
    np.testing.assert_allclose(mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(data.weight @ (X - mean) ** 2, 1.0, rtol=1e-8)


@every_container
def test_without_a_bias_the_mean_square_is_one(container):
    data = training_set(container(features(OFFSETS["far"])))
    problem = problem_of(data, "no intercept")
    X = problem.transform.dense(data.X)
    assert (problem.transform.center == 0.0).all()
    np.testing.assert_allclose(data.weight @ X**2, 1.0, rtol=1e-12)


@pytest.mark.parametrize("network", ["hidden", "skip"])
@every_container
@every_size
def test_a_hidden_layer_gets_the_same_bits_in_any_unit(network, container, sizes):
    """The path through many valleys must not depend on feet or metres."""
    X = features(OFFSETS["near"])
    offset = 0.0 if container is sparse.csr_array else 5.0
    found = []
    for columns in (X, X / 0.3048 + offset):
        problem = problem_of(training_set(container(columns)), network, sizes=sizes)
        # The penalty's factors are computed from the deviations as they are.
        problem.objective.penalty_root = np.zeros(problem.objective.size)
        found.append(problem.objective.value_and_grad(start(problem)))
    assert found[0][0] == found[1][0]
    if container is np.asarray:
        np.testing.assert_array_equal(found[0][1], found[1][1])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12, atol=1e-15)


def test_raw_parameters_take_the_center_as_it_was_rounded():
    """An empty sparse row has the same outputs in both, to the last digits."""
    problem = problem_of(training_set(sparse.csr_array(features())), "hidden")
    model, theta, empty = problem.objective.network, start(problem), np.zeros((1, P))
    found, expected = (
        model.forward(params, empty, Workspace())
        for params in (
            model.layout.views(problem.to_raw(theta)),
            problem.objective.params(theta),
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("network", "dtype", "standardize", "rounds"),
    [
        ("hidden", np.float64, True, True),
        ("hidden", np.float64, False, False),
        ("hidden", np.float32, True, False),
        ("linear", np.float64, True, False),
    ],
)
def test_only_standardised_features_of_a_hidden_layer_are_rounded(
    network, dtype, standardize, rounds
):
    problem = problem_of(training_set(features().astype(dtype)), network, standardize)
    assert problem.transform.rounds == rounds


# Precision ----------------------------------------------------------------------------


@every_network
@pytest.mark.parametrize(
    ("dtype", "offset", "expected"),
    [
        (np.float64, "remote", np.float64),
        (np.float32, "near", np.float32),
        (np.float32, "far", np.float32),
        (np.float32, "remote", np.float64),
    ],
)
def test_raw_parameters_have_the_precision_that_they_need(
    network, dtype, offset, expected
):
    X = features(OFFSETS[offset]).astype(dtype)
    problem = problem_of(training_set(X), network)
    assert problem.dtype == expected
    assert problem.to_raw(start(problem)).dtype == expected
    assert problem.data.X.dtype == dtype


@every_container
@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_columns_out_of_the_reach_of_float32_are_trained_in_float64(container, unit):
    X = features().astype(np.float32)
    X[:, 2] *= np.float32(unit / UNITS[2])
    problem = problem_of(training_set(container(X)), "linear")
    assert problem.data.X.dtype == problem.dtype == np.float64
    theta = start(problem)
    expected = by_hand(problem, problem.to_raw(theta), True)
    assert problem.objective.value(theta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unit", [1e-130, 1e90])
@every_container
def test_columns_of_extreme_units(container, unit):
    """The digits of J do not depend on the size of a column."""
    X, scaled = features(), features()
    scaled[:, 1] *= unit
    values = []
    for columns in (X, scaled):
        problem = problem_of(training_set(container(columns)), "linear")
        values.append(problem.objective.value(start(problem)))
    assert values[1] == pytest.approx(values[0], rel=1e-12)


# The preconditioner at the start ------------------------------------------------------


@pytest.mark.parametrize("network", ["linear", "no intercept"])
@every_container
@every_size
@pytest.mark.parametrize("alpha", [0.0, ALPHA, 1e4])
@pytest.mark.parametrize("target", TARGETS)
def test_diagonal_of_the_preconditioned_hessian_is_one(
    network, container, sizes, alpha, target
):
    """Of weights at θ = 0; biases have the curvature of the loss."""
    data = training_set(container(features()), target)
    problem = problem_of(data, network, sizes=sizes, alpha=alpha)
    J, zeros = problem.objective, np.zeros(problem.objective.size)
    preconditioned = PreconditionedProblem(J, problem.diagonal, zeros)
    hessian = preconditioned.hessian(zeros)
    weights = np.diag(hessian)[: P * data.n_outputs]
    np.testing.assert_allclose(weights, 1.0, rtol=1e-9)


def test_the_kind_of_objective():
    assert type(problem_of(training_set(features()), "linear").objective) is (
        LinearObjective
    )
    assert type(problem_of(training_set(features()), "hidden").objective) is Objective


def test_shape_is_what_heuristics_depend_on():
    data = training_set(sparse.csr_array(features()), "classes")
    shape = problem_of(data, "linear").shape
    assert shape == (N_ROWS, P, 3, 3 * (P + 1), True)
