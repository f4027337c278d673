"""The Hessian of the linear network: written down, by output and by row."""

import numpy as np
import pytest
from scipy import sparse

from formulas import SMALL, TARGETS, draw_targets
from sknn_simple._data.features import FeatureTransform
from sknn_simple._data.row_blocks import DEFAULT_SIZES, RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.networks import LinearNetwork

N_ROWS = 33
CENTER, SCALE = np.array([0.3, -2.0, 1.0]), np.array([2.0, 0.5, 1.5])
# How features are stored, and whether their transform is folded into θ.
FORMS = ["dense", "folded", "sparse folded"]


class Case:
    """A loss, data and a point θ that acts on transformed features."""

    def __init__(self, target, has_bias, n_rows=N_ROWS, scale=SCALE):
        name, self.n_outputs = TARGETS[target]
        self.loss = LOSSES[name]
        n_features = len(scale)
        self.network = LinearNetwork(n_features, self.n_outputs, has_bias)
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((n_rows, n_features))
        self.X[rng.uniform(size=self.X.shape) < 0.4] = 0.0
        center = np.resize(CENTER, n_features) * has_bias
        self.transform = FeatureTransform(center, scale)
        self.y = draw_targets(rng, name, n_rows, self.n_outputs)
        self.weight = rng.uniform(0.1, 1.0, n_rows)
        self.weight /= self.weight.sum()
        self.size = self.network.layout.size
        self.penalty_root = rng.uniform(0.1, 1.0, self.size)
        self.theta, self.v = rng.standard_normal((2, self.size))
        self.theta *= np.sqrt(3.0 / n_features)

    @property
    def columns(self):
        """Transformed features, with a column of ones if there is a bias, (n, q)."""
        ones = np.ones((len(self.X), int(self.network.has_bias)))
        return np.hstack([self.transform(self.X), ones])

    @property
    def output_curvature(self):
        """Return wᵢ ∂²ℓ/∂zᵢₖ², (n_rows, K), from products with unit vectors."""
        theta = self.theta.reshape(-1, self.n_outputs)
        probability = np.asarray(self.columns @ theta, order="F")
        self.loss.probabilities(probability)
        found = np.empty_like(probability)
        for k, unit in enumerate(np.eye(self.n_outputs)):
            v = np.tile(unit, (len(self.X), 1))
            self.loss.curvature_product(probability, self.weight, v)
            found[:, k] = v @ unit
        return found

    def objective(self, form="dense", X=None, sizes=DEFAULT_SIZES, workers=None):
        X = self.X if X is None else X
        X = sparse.csr_array(X) if form.startswith("sparse") else X
        folded = form.endswith("folded")
        blocks = RowBlocks(
            X,
            self.y,
            self.weight,
            row_bytes=8,
            work=1e9,
            transform=None if folded else self.transform,
            order="F",
            sizes=sizes,
        )
        return LinearObjective(
            self.network,
            self.loss,
            blocks,
            self.penalty_root,
            workers or Workers(1),
            self.transform if folded else None,
        )

    def curvature(self, form="dense", **options):
        return self.objective(form, **options).curvature(self.theta)


@pytest.fixture
def case(target, has_bias):
    return Case(target, has_bias)


def every(function):
    function = pytest.mark.parametrize("form", FORMS)(function)
    return every_target(function)


def every_target(function):
    bias = pytest.mark.parametrize("has_bias", [True, False], ids=["bias", "no bias"])
    return pytest.mark.parametrize("target", TARGETS)(bias(function))


cut_too = pytest.mark.parametrize("sizes", [DEFAULT_SIZES, SMALL], ids=["whole", "cut"])


def written_down(curvature):
    """Everything that can be asked of the second derivatives but products."""
    return {
        "matrix": curvature.matrix(),
        "blocks": curvature.diagonal_blocks(),
        "most of the blocks": curvature.diagonal_blocks(0.8),
        "by row": curvature.by_row(),
    }


# The matrix ---------------------------------------------------------------------------


@every
@cut_too
def test_matrix_is_what_product_multiplies_by(case, form, sizes):
    curvature = case.curvature(form, sizes=sizes)
    hessian = curvature.matrix()
    products = np.array([curvature.product(unit) for unit in np.eye(case.size)]).T
    np.testing.assert_allclose(hessian, products, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-13, atol=1e-15)


@every
def test_matrix_is_the_derivative_of_the_gradient(case, form):
    objective, step = case.objective(form), 1e-5
    expected = [
        objective.value_and_grad(case.theta + e)[1]
        - objective.value_and_grad(case.theta - e)[1]
        for e in step * np.eye(case.size)
    ]
    found = case.curvature(form).matrix()
    np.testing.assert_allclose(
        found, np.array(expected) / (2.0 * step), rtol=1e-7, atol=1e-8
    )


@every
def test_a_column_with_scale_zero_has_the_penalty_alone(target, has_bias, form):
    case = Case(target, has_bias, scale=np.array([2.0, 0.0, 1.5]))
    rows = slice(case.n_outputs, 2 * case.n_outputs)
    hessian = case.curvature(form).matrix()
    expected = np.diag(case.penalty_root**2)[rows]
    np.testing.assert_array_equal(hessian[rows], expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", TARGETS)
def test_matrix_keeps_its_digits_far_from_zero(target, form):
    """Products of raw features would lose (mean/deviation)², here all 16 digits."""
    near, far = (Case(target, True, scale=np.ones(3)) for _ in range(2))
    # Numbers whose sums with the shift are exact.
    near.X = np.round(near.X * 2.0**20) / 2.0**20
    near.transform = FeatureTransform(np.zeros(3), np.ones(3))
    shift = np.full(3, 2.0**27)
    far.X = near.X + shift
    far.transform = FeatureTransform(shift, np.ones(3))
    # Raw outputs lose mean/deviation if the transform is folded.
    tolerance = 1e-6 if form.endswith("folded") else 1e-14
    found, expected = (written_down(c.curvature(form)) for c in (far, near))
    for name in ("matrix", "blocks"):
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance)


@every_target
def test_curvature_at_zero_is_that_of_the_loss(case):
    """On features of unit variance; preconditioners are made from it."""
    mean = case.weight @ case.X * case.network.has_bias
    spread = np.sqrt(case.weight @ (case.X - mean) ** 2)
    case.transform = FeatureTransform(mean, 1.0 / spread)
    case.theta[:], case.penalty_root[:] = 0.0, 0.0
    found = np.diag(case.curvature().matrix())[: 3 * case.n_outputs]
    expected = case.loss.start_curvature(case.n_outputs)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# The biases ---------------------------------------------------------------------------


def of_biases(curvature, v):
    return {
        "bias block": curvature.bias_block(),
        "bias product": curvature.bias_product(v),
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", TARGETS)
@cut_too
def test_the_rows_of_the_biases_are_those_of_the_matrix(target, form, sizes):
    case = Case(target, True)
    curvature = case.curvature(form, sizes=sizes)
    rows = curvature.matrix()[-case.n_outputs :]
    found = of_biases(curvature, case.v)
    block, product = rows[:, -case.n_outputs :], rows @ case.v
    np.testing.assert_allclose(found["bias block"], block, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found["bias product"], product, rtol=1e-11, atol=1e-12)
    for v in np.eye(case.size):
        found = curvature.bias_product(v)
        np.testing.assert_allclose(found, rows @ v, rtol=1e-11, atol=1e-12)


def test_the_block_of_the_biases_is_exact_if_classes_are_nearly_certain():
    """The curvature of softmax is then p (1 - p) = p Σ pⱼ over the other classes."""
    case = Case("softmax", True)
    case.theta[:], case.penalty_root[:] = 0.0, 0.0
    case.theta[-4:] = [60.0, 0.0, -1.0, -2.0]
    others = np.exp(case.theta[-3:] - 60.0)
    expected = np.diag(np.append(others.sum(), others))
    expected[0, 1:] = expected[1:, 0] = -others
    found = case.curvature().bias_block()
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-50)


# By output and by row -----------------------------------------------------------------


@every
@cut_too
def test_diagonal_blocks_are_those_of_the_matrix(case, form, sizes):
    curvature = case.curvature(form, sizes=sizes)
    q = case.size // case.n_outputs
    hessian = curvature.matrix().reshape(q, case.n_outputs, q, case.n_outputs)
    blocks = curvature.diagonal_blocks()
    assert blocks.shape == (case.n_outputs, q, q)
    for k, block in enumerate(blocks):
        np.testing.assert_allclose(block, hessian[:, k, :, k], rtol=1e-11, atol=1e-14)


@every
@pytest.mark.parametrize("n_rows", [N_ROWS, 5000])
@pytest.mark.parametrize("kept_bytes", [0, 2**25], ids=["again", "kept"])
def test_diagonal_blocks_of_the_heaviest_rows(
    target, has_bias, form, n_rows, kept_bytes
):
    """The rows left out hold less than the rest of the curvature."""
    case, part = Case(target, has_bias, n_rows), 0.8
    sizes = DEFAULT_SIZES._replace(kept_bytes=kept_bytes)
    found = case.curvature(form, sizes=sizes).diagonal_blocks(part)
    columns = case.columns
    penalty = case.penalty_root.reshape(-1, case.n_outputs) ** 2
    for k, curvature in enumerate(case.output_curvature.T):
        order = np.argsort(-curvature)
        enough = np.searchsorted(np.cumsum(curvature[order]), part * curvature.sum())
        heavy = order[: enough + 1]
        expected = (columns[heavy].T * curvature[heavy]) @ columns[heavy]
        expected += np.diag(penalty[:, k])
        np.testing.assert_allclose(found[k], expected, rtol=1e-10, atol=1e-13)


@every
@cut_too
def test_by_row_is_the_curvature_of_every_row_and_output(case, form, sizes):
    found = case.curvature(form, sizes=sizes).by_row()
    np.testing.assert_allclose(found, case.output_curvature, rtol=1e-11, atol=1e-16)


@every_target
def test_by_row_is_not_negative_if_outputs_are_saturated(case):
    case.theta *= 1e3
    assert (case.curvature().by_row() >= 0.0).all()


# Storing and cutting the data ---------------------------------------------------------


@every
@cut_too
@pytest.mark.parametrize("kept_bytes", [0, 2**25], ids=["again", "kept"])
def test_every_form_is_the_same_function(case, form, sizes, kept_bytes):
    sizes = sizes._replace(kept_bytes=kept_bytes)
    found = written_down(case.curvature(form, sizes=sizes))
    for name, expected in written_down(case.curvature()).items():
        np.testing.assert_allclose(
            found[name], expected, rtol=1e-11, atol=1e-13, err_msg=name
        )


@every
def test_single_precision_is_close_to_double(case, form):
    found = written_down(case.curvature(form, X=case.X.astype(np.float32)))
    del found["most of the blocks"]  # rows of equal weight may change places
    expected = written_down(case.curvature())
    for name, array in found.items():
        assert array.dtype == np.float64
        np.testing.assert_allclose(
            array, expected[name], rtol=1e-4, atol=1e-5, err_msg=name
        )


@every
def test_same_bits_on_any_number_of_threads(case, form):
    assert_same_bits(case, form, SMALL)


@pytest.mark.parametrize("form", FORMS)
def test_blocks_large_enough_for_threads_have_the_same_bits(form):
    case = Case("softmax", True, n_rows=1200, scale=np.ones(300))
    assert_same_bits(case, form, DEFAULT_SIZES)


def assert_same_bits(case, form, sizes):
    results = []
    for n_threads in (1, 2, 3):
        with Workers(n_threads) as workers:
            curvature = case.curvature(form, sizes=sizes, workers=workers)
            found = written_down(curvature) | {"product": curvature.product(case.v)}
            if case.network.has_bias:
                found |= of_biases(curvature, case.v)
        results.append(found)
    for other in results[1:]:
        for name, expected in results[0].items():
            np.testing.assert_array_equal(other[name], expected, err_msg=name)


# Conduct ------------------------------------------------------------------------------


@every
def test_curvature_stays_that_of_its_point(case, form):
    """Whatever J is evaluated at afterwards, and if the caller's array changes."""
    objective, theta = case.objective(form), case.theta.copy()
    curvature = objective.curvature(theta)
    expected = written_down(curvature) | {"product": curvature.product(case.v)}
    theta[...] = case.v
    objective.value_and_grad(theta)
    written_down(objective.curvature(theta))
    found = written_down(curvature) | {"product": curvature.product(case.v)}
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
