"""J: its formula, its derivatives, and every way of cutting and storing the data."""

import numpy as np
import pytest
from scipy import sparse

from sknn_simple._data import row_blocks as blocks_module
from sknn_simple._data.row_blocks import RowBlocks, Workspace
from sknn_simple._data.threads import Workers
from sknn_simple._model import objective as objective_module
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork
from sknn_simple._model.objective import LinearObjective, Objective
from sknn_simple._optim.scaling import (
    Columns,
    ColumnScaling,
    ScaledProblem,
    Weights,
)

N_ROWS, N_FEATURES, N_HIDDEN = 33, 3, 4
KINK_MARGIN = 1e-3

# One and several outputs of every loss.
TARGETS = {"two classes": ("logistic", 1), "labels": ("logistic", 3)} | {
    name: (name, 4) for name in LOSSES if name != "logistic"
}
NETWORKS = {
    "linear": (None, True),
    "linear without intercept": (None, False),
    **{name: (name, False) for name in ACTIVATIONS},
    **{f"{name} with skip connections": (name, True) for name in ACTIVATIONS},
}


class Case:
    """A network, a loss, data and a point θ that is not near a kink of relu."""

    def __init__(self, network, target):
        self.name, self.n_outputs = TARGETS[target]
        self.loss = LOSSES[self.name]
        activation, flag = NETWORKS[network]
        self.linear = activation is None
        if activation is None:
            self.network = LinearNetwork(N_FEATURES, self.n_outputs, flag)
        else:
            self.network = OneHiddenNetwork(
                N_FEATURES, N_HIDDEN, self.n_outputs, ACTIVATIONS[activation], flag
            )
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((N_ROWS, N_FEATURES))
        self.X[rng.uniform(size=self.X.shape) < 0.4] = 0.0
        if self.name == "softmax":
            self.y = rng.integers(self.n_outputs, size=N_ROWS)
        else:
            self.y = rng.integers(2, size=(N_ROWS, self.n_outputs)).astype(float)
        self.weight = rng.uniform(0.1, 1.0, N_ROWS)
        self.weight /= self.weight.sum()
        self.size = self.network.layout.size
        biases = [n for n in self.network.layout.shapes if n.endswith("intercept")]
        self.decay = rng.uniform(0.1, 1.0, self.size)
        for name in biases:
            self.decay[self.network.layout.slices[name]] = 0.0
        self.theta = rng.standard_normal(self.size)
        while self._nearest_kink() < KINK_MARGIN:
            self.theta = rng.standard_normal(self.size)
        self.v, self.u = rng.standard_normal((2, self.size))

    def _nearest_kink(self):
        if self.linear:
            return np.inf
        arrays = self.network.layout.views(self.theta)
        return np.abs(self.X @ arrays["hidden_coef"] + arrays["hidden_intercept"]).min()

    def objective(self, X=None, workers=None, **changes):
        X = self.X if X is None else X
        data = {"y": self.y, "weight": self.weight, **changes}
        blocks = RowBlocks(X, data["y"], data["weight"], row_bytes=8, work=1e9)
        kind = LinearObjective if self.linear else Objective
        workers = workers or Workers(1)
        return kind(self.network, self.loss, blocks, self.decay, workers)

    def groups(self):
        layout = self.network.layout
        return [
            Weights(
                layout.slices[weights],
                layout.slices.get(biases),
                layout.shapes[weights][1],
            )
            for weights, biases in self.network.input_weights
            if weights in layout.shapes
        ]


@pytest.fixture
def case(network, target):
    return Case(network, target)


def parametrize(networks):
    def mark(function):
        function = pytest.mark.parametrize("target", TARGETS)(function)
        return pytest.mark.parametrize("network", networks)(function)

    return mark


everything = parametrize(NETWORKS)
every_linear = parametrize(
    [n for n, (activation, _) in NETWORKS.items() if not activation]
)
# Where the activation makes no difference to what is tested.
each_kind = parametrize(
    ["linear", "linear without intercept", "tanh", "silu with skip connections"]
)


@pytest.fixture
def cut_finely(monkeypatch):
    """Call to cut the next data into blocks of at most 4 rows, and lanes of few."""

    def cut():
        monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1)
        monkeypatch.setattr(blocks_module, "SHARED_BLOCK_BYTES", 1)
        monkeypatch.setattr(blocks_module, "MIN_BLOCK_ROWS", 4)
        monkeypatch.setattr(blocks_module, "BLOCK_VALUES_PER_COLUMN", 0)
        monkeypatch.setattr(blocks_module, "MAX_LANES", 4)
        monkeypatch.setattr(blocks_module, "LANE_WORK", 1.0)
        monkeypatch.setattr(objective_module, "BLOCK_WORK", 0.0)

    return cut


def evaluate(objective, case):
    """Everything that can be asked of J at θ, as one dict of arrays."""
    value, gradient = objective.value_and_grad(case.theta)
    found = {
        "value": value,
        "gradient": gradient,
        "hessp": objective.hessp(case.theta, case.v),
    }
    if case.linear:
        center, scale = np.array([0.5, -1.0, 0.0]), np.array([2.0, 0.5, 1.0])
        found["hessian"] = objective.hessian(case.theta, center, scale)
        found["blocks"] = objective.hessian_blocks(case.theta, center, scale)
    return found


def assert_close(found, expected, **tolerances):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(
            found[name], expected[name], err_msg=name, **tolerances
        )


def differences(f, x, step):
    """Central differences of f along every axis, one row per axis."""
    axes = step * np.eye(x.size)
    return np.array([(f(x + e) - f(x - e)) / (2.0 * step) for e in axes])


# The formula and its derivatives ----------------------------------------------------


def raw_outputs(case):
    a = case.network.layout.views(case.theta)
    if case.linear:
        return case.X @ a["coef"] + a.get("intercept", 0.0)
    A = case.X @ a["hidden_coef"] + a["hidden_intercept"]
    case.network.activation.value(A)
    skip = case.X @ a["skip_coef"] if "skip_coef" in a else 0.0
    return A @ a["output_coef"] + a["output_intercept"] + skip


def mean_loss(case, raw):
    if case.name == "softmax":
        observed = raw[np.arange(N_ROWS), case.y]
        return case.weight @ (np.log(np.exp(raw).sum(axis=1)) - observed)
    return (case.weight @ (np.log(1.0 + np.exp(raw)) - case.y * raw)).sum()


@everything
def test_value_is_the_formula(case):
    """J = Σᵢ wᵢ ℓ(yᵢ, zᵢ) + ½ Σⱼ (decayⱼ θⱼ)²."""
    penalty = 0.5 * ((case.decay * case.theta) ** 2).sum()
    expected = mean_loss(case, raw_outputs(case)) + penalty
    value, _ = case.objective().value_and_grad(case.theta)
    assert value == pytest.approx(expected, rel=1e-13)


@each_kind
@pytest.mark.parametrize("finely", [False, True], ids=["whole", "cut"])
def test_value_alone_is_the_value(case, cut_finely, finely):
    if finely:
        cut_finely()
    value, _ = case.objective().value_and_grad(case.theta)
    assert case.objective().value(case.theta) == pytest.approx(value, rel=1e-15)


@everything
def test_gradient_is_the_derivative_of_the_value(case):
    objective = case.objective()
    expected = differences(lambda x: objective.value_and_grad(x)[0], case.theta, 1e-5)
    _, gradient = objective.value_and_grad(case.theta)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@everything
def test_hessp_is_the_derivative_of_the_gradient(case):
    objective = case.objective()
    jacobian = differences(lambda x: objective.value_and_grad(x)[1], case.theta, 1e-5)
    found = objective.hessp(case.theta, case.v)
    np.testing.assert_allclose(found, jacobian @ case.v, rtol=1e-6, atol=1e-7)


@everything
def test_hessp_is_linear_and_symmetric(case):
    objective = case.objective()
    Hu, Hv = (objective.hessp(case.theta, x) for x in (case.u, case.v))
    combined = objective.hessp(case.theta, 2.0 * case.u - case.v)
    np.testing.assert_allclose(combined, 2.0 * Hu - Hv, rtol=1e-11, atol=1e-12)
    assert case.u @ Hv == pytest.approx(case.v @ Hu, rel=1e-11)
    np.testing.assert_array_equal(objective.hessp(case.theta, 0.0 * case.v), 0.0)


@every_linear
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_hessian_is_what_hessp_multiplies_by(case, container):
    """In centred, scaled coordinates; the last column is left out by its scale of 0."""
    center, scale = np.array([0.3, -2.0, 1.0]), np.array([2.0, 0.5, 0.0])
    if not case.network.has_bias:
        center[:] = 0.0
    change = ColumnScaling(Columns(center, scale), case.groups())
    problem = ScaledProblem(case.objective(container(case.X)), change)
    u = change.to_scaled(case.theta)
    hessian = problem.hessian(u)
    columns = [problem.hessp(u, unit) for unit in np.eye(case.size)]
    np.testing.assert_allclose(hessian, np.array(columns).T, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-13, atol=1e-15)


@every_linear
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_hessian_blocks_are_those_of_the_hessian(case, container):
    center, scale = np.array([0.3, -2.0, 1.0]), np.array([2.0, 0.5, 1.0])
    objective = case.objective(container(case.X))
    n_outputs = case.network.n_outputs
    shape = (case.size // n_outputs, n_outputs) * 2
    hessian = objective.hessian(case.theta, center, scale).reshape(shape)
    blocks = objective.hessian_blocks(case.theta, center, scale)
    assert blocks.shape == (n_outputs, shape[0], shape[0])
    for k in range(n_outputs):
        np.testing.assert_allclose(
            blocks[k], hessian[:, k, :, k], rtol=1e-11, atol=1e-14
        )


@every_linear
@pytest.mark.parametrize("kept_bytes", [0, 2**25])
@pytest.mark.parametrize("gathered_rows", [3, 2048])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_hessian_blocks_of_the_heaviest_rows(
    case, kept_bytes, gathered_rows, container, monkeypatch
):
    """Row by row: those left out hold less than the rest of the curvature."""
    monkeypatch.setattr(objective_module, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(objective_module, "GATHERED_ROWS", gathered_rows)
    center, scale = np.array([0.3, -2.0, 1.0]), np.array([2.0, 0.5, 1.0])
    objective = case.objective(container(case.X))
    part = 0.8
    found = objective.hessian_blocks(case.theta, center, scale, part=part)
    features = np.ones((len(case.X), found.shape[1]))
    features[:, :N_FEATURES] = (case.X - center) * scale
    decay = case.decay.reshape(-1, case.network.n_outputs).copy()
    decay[:N_FEATURES] *= scale[:, None]
    for k, curvature in enumerate(output_curvature(case)):
        order = np.argsort(-curvature)
        enough = np.searchsorted(np.cumsum(curvature[order]), part * curvature.sum())
        heavy = order[: enough + 1]
        expected = (features[heavy].T * curvature[heavy]) @ features[heavy]
        expected += np.diag(decay[:, k] ** 2)
        np.testing.assert_allclose(found[k], expected, rtol=1e-10, atol=1e-13)


def output_curvature(case):
    """Return wᵢ ∂²ℓ/∂zₖ² of each output k, (K, n_rows), by Hessian products."""
    columns = []
    for unit in np.eye(case.network.n_outputs):
        probability = case.network.forward(
            case.network.layout.views(case.theta), case.X, Workspace()
        )
        case.loss.probabilities(probability)
        v = np.tile(unit, (len(case.X), 1))
        case.loss.curvature_product(probability, case.weight, v)
        columns.append(v @ unit)
    return columns


@every_linear
@pytest.mark.parametrize("kept_bytes", [0, 2**25])
def test_hessian_after_an_evaluation_and_in_other_coordinates(
    case, kept_bytes, monkeypatch
):
    """What is kept between calls is used for the same θ and coordinates only."""
    monkeypatch.setattr(objective_module, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(objective_module, "KEPT_GRADIENT_BYTES", kept_bytes)
    zero, one = np.zeros(N_FEATURES), np.ones(N_FEATURES)
    objective = case.objective()
    for theta in (case.theta, 2.0 * case.theta):
        for scale in (one, 2.0 * one):
            expected = case.objective().hessian(theta, zero, scale)
            objective.value_and_grad(theta)
            found = [objective.hessian(theta, zero, scale)]
            objective.value_and_grad(-theta)
            found.append(objective.hessian(theta, zero, scale))
            for hessian in found:
                np.testing.assert_allclose(hessian, expected, rtol=1e-11, atol=1e-14)


@parametrize(["linear"])
def test_hessian_keeps_its_digits_far_from_zero(case):
    """Products of raw features would lose (mean/deviation)², here all 16 digits."""
    shift = np.full(N_FEATURES, 2.0**27)
    arrays = case.network.layout.views(case.theta.copy())
    arrays["coef"][...] = np.round(arrays["coef"] * 8.0) / 8.0
    near = case.network.layout.pack(arrays)
    arrays["intercept"][...] -= shift @ arrays["coef"]
    far = case.network.layout.pack(arrays)
    scale = np.ones(N_FEATURES)
    expected = case.objective().hessian(near, np.zeros(N_FEATURES), scale)
    found = case.objective(case.X + shift).hessian(far, shift, scale)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@every_linear
def test_linear_objective_is_the_objective(case):
    general = Objective(
        case.network, case.loss, case.objective().blocks, case.decay, Workers(1)
    )
    found, expected = case.objective(), general
    np.testing.assert_allclose(
        found.hessp(case.theta, case.v), expected.hessp(case.theta, case.v), rtol=1e-12
    )
    value, gradient = expected.value_and_grad(case.theta)
    assert found.value_and_grad(case.theta)[0] == value
    np.testing.assert_array_equal(found.value_and_grad(case.theta)[1], gradient)


@every_linear
def test_input_curvature_is_the_hessian_of_a_standardised_feature_at_zero(case):
    """But for the penalty; what the optimiser's scales are made from."""
    case.decay[:] = 0.0
    mean = case.weight @ case.X
    deviation = np.sqrt(case.weight @ (case.X - mean) ** 2)
    objective = case.objective()
    hessian = objective.hessian(np.zeros(case.size), mean, 1.0 / deviation)
    weights = N_FEATURES * case.n_outputs
    np.testing.assert_allclose(
        np.diag(hessian)[:weights], objective.input_curvature, rtol=1e-12
    )


@every_linear
def test_linear_objective_follows_the_point(case):
    """It keeps the probabilities of the last θ: a new θ must not find the old ones."""
    objective = case.objective()
    points = [case.theta, case.u, case.theta]
    theta = np.empty(case.size)
    for point in points:
        theta[...] = point  # a solver may reuse the memory of its iterate
        expected = case.objective().hessp(point.copy(), case.v)
        np.testing.assert_array_equal(objective.hessp(theta, case.v), expected)


@every_linear
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_of_standardised_is_the_same_in_other_coordinates(case, dtype):
    """Value, gradient, Hessian and products with it, from point to point and back."""
    X = case.X.astype(dtype)
    center = X.mean(axis=0).astype(np.float64) * case.network.has_bias
    scale = np.array([2.0, 0.0, 0.3])
    change = ColumnScaling(Columns(center, scale), case.groups())
    general = ScaledProblem(case.objective(X.astype(np.float64)), change)
    direct = case.objective(X).of_standardised(center, scale)
    assert direct.size == case.size
    rtol = 1e-11 if dtype == np.float64 else 1e-5
    for u in (case.theta, -case.theta, case.u, case.theta):
        for products_first in (True, False):
            if products_first:
                found, expected = direct.hessp(u, case.v), general.hessp(u, case.v)
                np.testing.assert_allclose(found, expected, rtol, atol=1e-13)
            value, gradient = direct.value_and_grad(u)
            expected_value, expected_gradient = general.value_and_grad(u)
            assert value == pytest.approx(expected_value, rel=rtol)
            np.testing.assert_allclose(gradient, expected_gradient, rtol, atol=1e-13)
            found, expected = direct.hessian(u), general.hessian(u)
            np.testing.assert_allclose(found, expected, rtol, atol=1e-13)


# Storing and cutting the data -------------------------------------------------------


@each_kind
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("finely", [False, True], ids=["whole", "cut"])
def test_sparse_is_dense(case, cut_finely, container, index_dtype, finely):
    if finely:
        cut_finely()
    X = container(case.X)
    X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
    found = evaluate(case.objective(X), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-11, atol=1e-13)


@each_kind
def test_memory_order_changes_nothing(case):
    found = evaluate(case.objective(np.asfortranarray(case.X)), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-12, atol=1e-14)


@everything
def test_single_precision_is_close_to_double(case):
    found = evaluate(case.objective(case.X.astype(np.float32)), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-4, atol=2e-5)
    assert all(np.asarray(array).dtype == np.float64 for array in found.values())


@each_kind
def test_blocks_are_the_whole(case, cut_finely):
    whole = case.objective()
    assert len(whole.blocks.blocks) == 1
    expected = evaluate(whole, case)
    cut_finely()
    cut = case.objective()
    # 9 would do for 33 rows; each of 4 lanes takes as many.
    assert len(cut.blocks.blocks) == 12
    assert_close(evaluate(cut, case), expected, rtol=1e-11, atol=1e-13)


@everything
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_same_bits_on_any_number_of_threads(case, cut_finely, container):
    cut_finely()
    results = []
    for n_threads in (1, 2, 3):
        with Workers(n_threads) as workers:
            objective = case.objective(container(case.X), workers)
            results.append(evaluate(objective, case))
    for other in results[1:]:
        for name, expected in results[0].items():
            np.testing.assert_array_equal(other[name], expected, err_msg=name)


@each_kind
def test_weights_are_repeated_rows(case, cut_finely):
    counts = np.random.default_rng(1).integers(1, 4, N_ROWS)
    total = counts.sum()
    expected = evaluate(case.objective(weight=counts / total), case)
    repeated = case.objective(
        np.repeat(case.X, counts, axis=0),
        y=np.repeat(case.y, counts, axis=0),
        weight=np.full(total, 1.0 / total),
    )
    assert_close(evaluate(repeated, case), expected, rtol=1e-11, atol=1e-13)


# Conduct ----------------------------------------------------------------------------


@each_kind
def test_arguments_are_left_alone_and_results_are_the_callers(case):
    """Buffers are reused between evaluations; what was returned is not one of them."""
    objective = case.objective()
    before = [case.theta.copy(), case.v.copy(), case.X.copy()]
    first = evaluate(objective, case)
    kept = {name: np.copy(array) for name, array in first.items()}
    objective.value_and_grad(case.u)
    objective.hessp(case.u, case.v)
    assert_close(first, kept, rtol=0.0)
    for found, expected in zip([case.theta, case.v, case.X], before, strict=True):
        np.testing.assert_array_equal(found, expected)


@each_kind
def test_one_objective_can_be_evaluated_from_several_threads_in_turn(case, cut_finely):
    """Buffers belong to threads; a fresh pool of threads must find its own."""
    cut_finely()
    objective = case.objective()
    expected = evaluate(objective, case)
    for n_threads in (3, 2):
        with Workers(n_threads) as workers:
            objective.workers = workers
            found = evaluate(objective, case)
        assert_close(found, expected, rtol=0.0)
