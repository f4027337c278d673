"""J: its formula, its derivatives, and every way of cutting and storing the data."""

import numpy as np
import pytest
from scipy import sparse

from formulas import SMALL, TARGETS, draw_targets, mean_loss, raw_outputs
from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.row_blocks import DEFAULT_SIZES, RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork
from sknn_simple._model.objective import Objective

N_ROWS, N_FEATURES, N_HIDDEN = 33, 3, 4
KINK_MARGIN = 1e-3
CUT = pytest.mark.parametrize("sizes", [DEFAULT_SIZES, SMALL], ids=["whole", "cut"])

NETWORKS = {
    "linear": (None, True),
    "linear without intercept": (None, False),
    **{name: (name, False) for name in ACTIVATIONS},
    **{f"{name} with skip connections": (name, True) for name in ACTIVATIONS},
}
# How features are stored, and which part of their transform is folded into θ.
FORMS = ["dense", "folded", "sparse", "sparse folded"]


class Case:
    """A network, a loss, data and a point θ that is not near a kink of relu.

    θ acts on transformed features, of which `transformed` is a copy.
    """

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
        center = np.array([0.25, -0.5, 0.125]) * self.network.has_bias
        self.transform = FeatureTransform(center, np.array([1.5, 0.75, 0.5]))
        self.transformed = self.transform(self.X)
        self.y = draw_targets(rng, self.name, N_ROWS, self.n_outputs)
        self.weight = rng.uniform(0.1, 1.0, N_ROWS)
        self.weight /= self.weight.sum()
        self.size = self.network.layout.size
        biases = [n for n in self.network.layout.shapes if n.endswith("intercept")]
        self.penalty_root = rng.uniform(0.1, 1.0, self.size)
        for name in biases:
            self.penalty_root[self.network.layout.slices[name]] = 0.0
        self.theta = rng.standard_normal(self.size)
        while self._nearest_kink() < KINK_MARGIN:
            self.theta = rng.standard_normal(self.size)
        self.v, self.u = rng.standard_normal((2, self.size))

    def _nearest_kink(self):
        if self.linear:
            return np.inf
        arrays = self.network.layout.views(self.theta)
        Y = self.transformed @ arrays["hidden_coef"] + arrays["hidden_intercept"]
        return np.abs(Y).min()

    def objective(
        self,
        form="dense",
        X=None,
        y=None,
        weight=None,
        sizes=DEFAULT_SIZES,
        workers=None,
    ):
        X = self.X if X is None else X
        X = sparse.csr_array(X) if form.startswith("sparse") else X
        explicit, folded = self._parts(form)
        blocks = RowBlocks(
            X,
            self.y if y is None else y,
            self.weight if weight is None else weight,
            row_bytes=8,
            work=1e9,
            transform=explicit,
            sizes=sizes,
        )
        kind = LinearObjective if self.linear else Objective
        return kind(
            self.network,
            self.loss,
            blocks,
            self.penalty_root,
            workers or Workers(1),
            folded,
        )

    def _parts(self, form):
        """Return the transform that the blocks apply, and the one that is folded."""
        if form.endswith("folded"):
            return None, self.transform
        if form == "dense":
            return self.transform, None
        shift = self.transform.sparse_shift
        return self.transform, FeatureTransform(shift, np.ones(N_FEATURES))


@pytest.fixture
def case(network, target):
    return Case(network, target)


def parametrize(networks):
    def mark(function):
        function = pytest.mark.parametrize("target", TARGETS)(function)
        return pytest.mark.parametrize("network", networks)(function)

    return mark


everything = parametrize(NETWORKS)
every_form = pytest.mark.parametrize("form", FORMS)
# For what does not depend on the activation.
each_kind = parametrize(
    ["linear", "linear without intercept", "tanh", "silu with skip connections"]
)


def evaluate(objective, case):
    """Everything that can be asked of J at θ, as one dict of arrays."""
    value, gradient = objective.value_and_grad(case.theta)
    return {
        "value": value,
        "value alone": objective.value(case.theta),
        "gradient": gradient,
        "product": objective.curvature(case.theta).product(case.v),
    }


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


# The formula and its derivatives ------------------------------------------------------


@everything
@every_form
def test_value_is_the_formula(case, form):
    """J = Σᵢ wᵢ ℓ(yᵢ, zᵢ) + ½ Σⱼ (ρⱼ θⱼ)², with z of the transformed features."""
    penalty = 0.5 * ((case.penalty_root * case.theta) ** 2).sum()
    raw = raw_outputs(case.network, case.theta, case.transformed)
    expected = mean_loss(case.name, raw, case.y, case.weight) + penalty
    value, _ = case.objective(form).value_and_grad(case.theta)
    assert value == pytest.approx(expected, rel=1e-13)


@each_kind
@every_form
@CUT
def test_value_alone_is_the_value(case, form, sizes):
    objective = case.objective(form, sizes=sizes)
    value, _ = objective.value_and_grad(case.theta)
    assert objective.value(case.theta) == pytest.approx(value, rel=1e-15)
    loss, _ = objective.loss_and_gradient(case.theta)
    limited = objective.loss_value(case.theta, 1e3)
    assert limited == pytest.approx(loss, rel=1e-15)


@everything
@every_form
def test_gradient_is_the_derivative_of_the_value(case, form):
    objective = case.objective(form)
    expected = differences(objective.value, case.theta, 1e-5)
    _, gradient = objective.value_and_grad(case.theta)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@everything
@every_form
def test_product_is_the_derivative_of_the_gradient(case, form):
    objective = case.objective(form)
    jacobian = differences(lambda x: objective.value_and_grad(x)[1], case.theta, 1e-5)
    found = objective.curvature(case.theta).product(case.v)
    np.testing.assert_allclose(found, jacobian @ case.v, rtol=1e-6, atol=1e-7)


@everything
@every_form
def test_product_is_linear_and_symmetric(case, form):
    H = case.objective(form).curvature(case.theta)
    Hu, Hv = H.product(case.u), H.product(case.v)
    combined = H.product(2.0 * case.u - case.v)
    np.testing.assert_allclose(combined, 2.0 * Hu - Hv, rtol=1e-11, atol=1e-12)
    assert case.u @ Hv == pytest.approx(case.v @ Hu, rel=1e-11)
    np.testing.assert_array_equal(H.product(0.0 * case.v), 0.0)


# Storing and cutting the data ---------------------------------------------------------


@each_kind
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("form", ["sparse", "sparse folded"])
@CUT
def test_sparse_is_dense(case, container, index_dtype, form, sizes):
    X = container(case.X)
    X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
    found = evaluate(case.objective(form, X, sizes=sizes), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-11, atol=1e-13)


@each_kind
@pytest.mark.parametrize("form", ["dense", "folded"])
def test_memory_order_changes_nothing(case, form):
    found = evaluate(case.objective(form, np.asfortranarray(case.X)), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-12, atol=1e-14)


@each_kind
@every_form
@pytest.mark.parametrize("kept_bytes", [0, 2**25], ids=["again", "kept"])
@CUT
def test_every_form_is_the_same_function(case, form, kept_bytes, sizes):
    sizes = sizes._replace(kept_bytes=kept_bytes)
    found = evaluate(case.objective(form, sizes=sizes), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-11, atol=1e-13)


@everything
@every_form
def test_single_precision_is_close_to_double(case, form):
    found = evaluate(case.objective(form, case.X.astype(np.float32)), case)
    assert_close(found, evaluate(case.objective(), case), rtol=1e-4, atol=2e-5)
    assert all(np.asarray(array).dtype == np.float64 for array in found.values())


@each_kind
@every_form
def test_blocks_are_the_whole(case, form):
    whole, cut = case.objective(form), case.objective(form, sizes=SMALL)
    assert len(whole.blocks.blocks) == 1
    # 9 would be enough for 33 rows; each of 4 shares takes as many.
    assert len(cut.blocks.blocks) == 12
    found, expected = evaluate(cut, case), evaluate(whole, case)
    assert_close(found, expected, rtol=1e-11, atol=1e-13)


@everything
@every_form
def test_same_bits_on_any_number_of_threads(case, form):
    results = []
    for n_threads in (1, 2, 3):
        with Workers(n_threads) as workers:
            objective = case.objective(form, workers=workers, sizes=SMALL)
            results.append(evaluate(objective, case))
    for other in results[1:]:
        for name, expected in results[0].items():
            np.testing.assert_array_equal(other[name], expected, err_msg=name)


@each_kind
@every_form
@CUT
def test_weights_are_repeated_rows(case, form, sizes):
    counts = np.random.default_rng(1).integers(1, 4, N_ROWS)
    total = counts.sum()
    weighted = case.objective(form, weight=counts / total, sizes=sizes)
    repeated = case.objective(
        form,
        np.repeat(case.X, counts, axis=0),
        y=np.repeat(case.y, counts, axis=0),
        weight=np.full(total, 1.0 / total),
        sizes=sizes,
    )
    found, expected = evaluate(repeated, case), evaluate(weighted, case)
    assert_close(found, expected, rtol=1e-11, atol=1e-13)


@each_kind
@every_form
def test_over_other_rows_is_their_objective(case, form):
    """With the same penalty or another, and what was folded folded as before."""
    rows = np.arange(0, N_ROWS, 2)
    data = {"y": case.y[rows], "weight": case.weight[rows]}
    some = case.objective(form, case.X[rows], **data)
    found = case.objective(form).over(some.blocks)
    assert type(found) is type(some)
    assert_close(evaluate(found, case), evaluate(some, case), rtol=0.0)
    found = case.objective(form).over(some.blocks, 2.0 * case.penalty_root)
    case.penalty_root *= 2.0
    expected = evaluate(case.objective(form, case.X[rows], **data), case)
    assert_close(evaluate(found, case), expected, rtol=0.0)


# Conduct ------------------------------------------------------------------------------


@each_kind
@every_form
def test_arguments_are_left_alone_and_results_are_the_callers(case, form):
    """Buffers are reused between evaluations; what was returned is not one of them."""
    objective = case.objective(form)
    before = [case.theta.copy(), case.v.copy(), case.X.copy()]
    first = evaluate(objective, case)
    kept = {name: np.copy(array) for name, array in first.items()}
    objective.value_and_grad(case.u)
    objective.curvature(case.u).product(case.v)
    assert_close(first, kept, rtol=0.0)
    for found, expected in zip([case.theta, case.v, case.X], before, strict=True):
        np.testing.assert_array_equal(found, expected)


@each_kind
@every_form
def test_curvature_stays_that_of_its_point(case, form):
    """Whatever J is evaluated at afterwards, and if the caller's array changes."""
    objective, theta = case.objective(form), case.theta.copy()
    curvature = objective.curvature(theta)
    expected = curvature.product(case.v)
    theta[...] = case.u
    objective.value_and_grad(theta)
    objective.curvature(theta).product(case.v)
    np.testing.assert_array_equal(curvature.product(case.v), expected)


@each_kind
@every_form
def test_one_objective_can_be_evaluated_from_several_threads_in_turn(case, form):
    """Buffers belong to threads; a fresh pool of threads must find its own."""
    objective = case.objective(form, sizes=SMALL)
    expected = evaluate(objective, case)
    for n_threads in (3, 2):
        with Workers(n_threads) as workers:
            objective.workers = workers
            for k in range(objective.kept_points):  # θ is evaluated again
                objective.value_and_grad((2.0 + k) * case.u)
            found = evaluate(objective, case)
        assert_close(found, expected, rtol=0.0)


class CountedLoss:
    """Counts the evaluations of another loss."""

    def __init__(self, loss):
        self.loss, self.n_evaluations = loss, 0

    def __getattr__(self, name):
        return getattr(self.loss, name)

    def value_and_gradient(self, *args):
        self.n_evaluations += 1
        return self.loss.value_and_gradient(*args)


@parametrize(["linear"])
@every_form
def test_the_last_points_are_evaluated_once_for_all_penalties(case, form):
    objective = case.objective(form)
    objective.loss = counted = CountedLoss(objective.loss)
    value, gradient = objective.value_and_grad(case.theta)
    gradient += 1.0  # the caller's
    other = objective.over(objective.blocks, 2.0 * case.penalty_root)
    found = other.value_and_grad(case.theta)
    assert objective.value(case.theta) == value
    assert counted.n_evaluations == 1
    # Other rows are evaluated.
    rows = np.arange(0, N_ROWS, 2)
    data = {"y": case.y[rows], "weight": case.weight[rows]}
    some = case.objective(form, case.X[rows], **data)
    objective.over(some.blocks).value_and_grad(case.theta)
    assert counted.n_evaluations == 2
    # Points are forgotten after others.
    for k in range(objective.kept_points):
        objective.value((2.0 + k) * case.u)
    assert objective.value(case.theta) == value
    assert counted.n_evaluations == 3 + objective.kept_points
    case.penalty_root *= 2.0
    expected = case.objective(form).value_and_grad(case.theta)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
    np.testing.assert_array_equal(found[1], expected[1])
