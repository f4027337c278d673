"""The methods of the losses: against each other, their formulas and at extremes."""

import math

import numpy as np
import pytest

from formulas import draw_targets, mean_loss
from sknn_simple._model.losses import LOSSES

LARGEST = np.finfo(float).max


def fresh(raw):
    """Return a copy in Fortran order, which losses need."""
    return raw.copy(order="F")


class Case:
    """A loss with raw outputs, targets and weights that sum to 1."""

    def __init__(self, name, n_outputs, size=3.0, n_rows=40, seed=0):
        rng = np.random.default_rng(seed)
        self.loss = LOSSES[name]
        self.name, self.n_outputs = name, n_outputs
        self.raw = fresh(size * rng.standard_normal((n_rows, n_outputs)))
        self.y = draw_targets(rng, name, n_rows, n_outputs)
        self.weight = rng.uniform(0.1, 1.0, n_rows)
        self.weight /= self.weight.sum()

    def value(self, raw):
        return self.loss.value(fresh(raw), self.y, self.weight)

    def gradient(self, raw):
        raw = fresh(raw)
        self.loss.value_and_gradient(raw, self.y, self.weight)
        return raw

    def probabilities(self, raw):
        raw = fresh(raw)
        self.loss.probabilities(raw)
        return raw

    def log_probabilities(self, raw):
        return self.loss.log_probabilities(fresh(raw))

    def curvature_product(self, raw, v):
        v = v.copy()
        self.loss.curvature_product(self.probabilities(raw), self.weight, v)
        return v


OUTPUTS = {"logistic": (1, 3), "softmax": (2, 4)}
CASES = [(name, k) for name in LOSSES for k in OUTPUTS[name]]
EVERY = pytest.mark.parametrize(("name", "n_outputs"), CASES)


def definition(case, raw):
    return mean_loss(case.name, raw, case.y, case.weight)


def complex_step_gradient(case, raw, step=1e-30):
    """Im f(z + ih) / h: no difference is taken, so only the last bits are rounded."""
    gradient = np.empty_like(raw)
    for index in np.ndindex(raw.shape):
        shifted = raw.astype(complex)
        shifted[index] += 1j * step
        gradient[index] = definition(case, shifted).imag / step
    return gradient


def test_weights_by_label_are_as_many_losses():
    rng = np.random.default_rng(1)
    case, v = Case("logistic", 3), rng.standard_normal((40, 3))
    columns = rng.uniform(0.1, 1.0, (40, 3))

    def everything(raw, y, weight, v):
        loss, gradient, probability = case.loss, fresh(raw), fresh(raw)
        value = loss.value_and_gradient(gradient, y, weight)
        assert value == pytest.approx(loss.value(fresh(raw), y, weight), rel=1e-14)
        loss.probabilities(probability)
        product = v.copy()
        loss.curvature_product(probability, weight, product)
        diagonal, root = loss.covariance_factors(probability, weight)
        assert root is None
        return value, gradient, product, diagonal

    value, *arrays = everything(case.raw, case.y, columns, v)
    alone = [
        everything(
            case.raw[:, k : k + 1], case.y[:, k : k + 1], columns[:, k], v[:, k : k + 1]
        )
        for k in range(3)
    ]
    assert value == pytest.approx(sum(each[0] for each in alone), rel=1e-14)
    for together, *each in zip(arrays, *(one[1:] for one in alone), strict=True):
        np.testing.assert_allclose(together, np.hstack(each), rtol=1e-14)


@EVERY
def test_value_is_the_definition(name, n_outputs):
    case = Case(name, n_outputs)
    assert case.value(case.raw) == pytest.approx(definition(case, case.raw), rel=1e-14)


@EVERY
def test_the_loss_of_a_row_may_have_a_limit(name, n_outputs):
    case = Case(name, n_outputs, size=10.0)

    def alone(i, k):  # of one row, and one label
        y = case.y[i : i + 1] if name == "softmax" else case.y[i : i + 1, k]
        return case.loss.value(fresh(case.raw[i : i + 1, k]), y, np.ones(1))

    whole = slice(None)
    labels = (
        [whole] if name == "softmax" else [slice(k, k + 1) for k in range(n_outputs)]
    )
    losses = np.array([[alone(i, k) for k in labels] for i in range(len(case.raw))])
    assert losses.min() < 1.0 < losses.max()
    value = case.loss.value(fresh(case.raw), case.y, case.weight, 1.0)
    expected = case.weight @ np.minimum(losses, 1.0).sum(axis=1)
    assert value == pytest.approx(expected, rel=1e-12)


@EVERY
@pytest.mark.parametrize("largest", [np.inf, 3.0])
def test_other_classes_share_a_part_of_the_weight(name, n_outputs, largest):
    case, part = Case(name, n_outputs), 0.1
    n_others = max(n_outputs - 1, 1) if name == "softmax" else 1

    def losses(shift):
        n_classes = n_outputs if name == "softmax" else 2
        y = (case.y + shift) % n_classes
        return case.loss.losses(fresh(case.raw), y)

    own = np.fmin(losses(0), largest)
    others = np.mean([losses(k) for k in range(1, n_others + 1)], axis=0)
    other = np.fmin(others, largest)
    both = ((1.0 - part) * own + part * other).reshape(len(own), -1)
    found = case.loss.value(fresh(case.raw), case.y, case.weight, largest, part)
    assert found == pytest.approx(case.weight @ both.sum(axis=1), rel=1e-12)


@EVERY
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_overflow_count_as_the_limit(name, n_outputs, value):
    case = Case(name, n_outputs)
    raw = case.raw.copy()
    raw[3] = value if name == "softmax" else (1.0 - 2.0 * case.y[3]) * abs(value)
    others = np.arange(len(raw)) != 3
    with np.errstate(invalid="ignore"):
        found = case.loss.value(fresh(raw), case.y, case.weight, 7.0)
    rest = case.loss.value(fresh(raw[others]), case.y[others], case.weight[others], 7.0)
    limits = 7.0 if name == "softmax" else 7.0 * n_outputs
    assert found == pytest.approx(rest + case.weight[3] * limits, rel=1e-12)


@EVERY
def test_gradient_is_the_derivative_of_the_value(name, n_outputs):
    case = Case(name, n_outputs)
    np.testing.assert_allclose(
        case.gradient(case.raw),
        complex_step_gradient(case, case.raw),
        rtol=1e-12,
        atol=1e-17,
    )


@EVERY
@pytest.mark.parametrize("size", [0.0, 3.0, 300.0, 1e300])
def test_value_and_value_and_gradient_agree(name, n_outputs, size):
    case = Case(name, n_outputs, size)
    found = case.loss.value_and_gradient(fresh(case.raw), case.y, case.weight)
    assert isinstance(found, float)
    assert found == pytest.approx(case.value(case.raw), rel=1e-15)


@EVERY
@pytest.mark.parametrize("size", [0.0, 3.0, 30.0, 1e300])
def test_gradient_is_probability_minus_target(name, n_outputs, size):
    case = Case(name, n_outputs, size)
    target = np.eye(n_outputs)[case.y] if name == "softmax" else case.y
    expected = case.weight[:, None] * (case.probabilities(case.raw) - target)
    np.testing.assert_allclose(case.gradient(case.raw), expected, atol=1e-16)


@EVERY
def test_gradient_of_a_certain_row_keeps_its_digits(name, n_outputs):
    """If the observed outcome is nearly certain, p - y cancels; ℓ′ must not."""
    case = Case(name, n_outputs, n_rows=2)
    case.raw[...] = 0.0
    if name == "softmax":
        case.y[...] = 0
        case.raw[:, 0] = 60.0
        others = case.gradient(case.raw)[:, 1]
    else:
        case.y[...] = [[1.0], [0.0]]
        case.raw[...] = [[60.0], [-60.0]]
        others = np.abs(case.gradient(case.raw)[:, 0])
    np.testing.assert_allclose(others, case.weight * math.exp(-60.0), rtol=1e-12)


@EVERY
@pytest.mark.parametrize("size", [0.0, 3.0, 300.0])
def test_log_probabilities_are_the_logarithm(name, n_outputs, size):
    case = Case(name, n_outputs, size)
    found = case.log_probabilities(case.raw)
    assert (found <= 0.0).all()
    # Relative to p: exp multiplies an error of log p by p.
    np.testing.assert_allclose(np.exp(found), case.probabilities(case.raw), rtol=1e-12)


@EVERY
def test_probabilities_are_probabilities(name, n_outputs):
    p = Case(name, n_outputs, 50.0).probabilities(Case(name, n_outputs, 50.0).raw)
    assert (p >= 0.0).all()
    assert (p <= 1.0).all()
    if name == "softmax":
        np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-15)


@EVERY
def test_curvature_product_is_the_derivative_of_the_gradient(name, n_outputs):
    case = Case(name, n_outputs)
    v = np.random.default_rng(1).standard_normal(case.raw.shape)
    step = 1e-5
    change = case.gradient(case.raw + step * v) - case.gradient(case.raw - step * v)
    np.testing.assert_allclose(
        case.curvature_product(case.raw, v),
        change / (2.0 * step),
        rtol=1e-7,
        atol=1e-11,
    )


@EVERY
@pytest.mark.parametrize("size", [0.0, 3.0, 1e300])
def test_covariance_factors_are_the_curvature(name, n_outputs, size):
    """A product with diag(d) - r rᵀ, row by row, is that of `curvature_product`."""
    case = Case(name, n_outputs, size)
    v = np.random.default_rng(1).standard_normal(case.raw.shape)
    p = case.probabilities(case.raw)
    diagonal, root = case.loss.covariance_factors(p, case.weight)
    expected = diagonal * v
    if root is not None:
        expected -= root * (root * v).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        case.curvature_product(case.raw, v), expected, atol=1e-16
    )


@EVERY
def test_curvature_is_symmetric_and_positive_semidefinite(name, n_outputs):
    case = Case(name, n_outputs)
    columns = [
        case.curvature_product(case.raw, np.tile(unit, (len(case.raw), 1)))
        for unit in np.eye(n_outputs)
    ]
    curvature = np.stack(columns, axis=2)
    np.testing.assert_allclose(curvature, curvature.transpose(0, 2, 1), atol=1e-17)
    assert np.linalg.eigvalsh(curvature).min() >= -1e-16


def test_softmax_does_not_depend_on_a_shift_of_all_outputs():
    case = Case("softmax", 4)
    ones = np.ones_like(case.raw)
    assert case.value(case.raw + 100.0) == pytest.approx(case.value(case.raw))
    np.testing.assert_allclose(case.gradient(case.raw).sum(axis=1), 0.0, atol=1e-16)
    np.testing.assert_allclose(case.curvature_product(case.raw, ones), 0.0, atol=1e-16)


@pytest.mark.parametrize("split", [0.0, 0.5], ids=["(0, z)", "(-z/2, z/2)"])
@pytest.mark.parametrize("size", [3.0, 300.0])
def test_bernoulli_is_softmax_of_two_classes(split, size):
    one = Case("logistic", 1, size)
    two = Case("softmax", 2)
    two.y, two.weight = one.y[:, 0].astype(int), one.weight
    raw = np.hstack([-split * one.raw, (1.0 - split) * one.raw])

    assert two.value(raw) == pytest.approx(one.value(one.raw), rel=1e-14)
    np.testing.assert_allclose(
        two.gradient(raw)[:, [1]], one.gradient(one.raw), rtol=1e-12, atol=1e-17
    )
    np.testing.assert_allclose(
        two.probabilities(raw)[:, [1]], one.probabilities(one.raw), rtol=1e-12
    )
    np.testing.assert_allclose(
        two.log_probabilities(raw)[:, [1]],
        one.log_probabilities(one.raw),
        rtol=1e-12,
        atol=1e-15,
    )


def test_labels_are_independent():
    case = Case("logistic", 3)
    values, gradients = 0.0, []
    for k in range(3):
        raw = case.raw[:, [k]].copy()
        values += case.loss.value_and_gradient(raw, case.y[:, [k]], case.weight)
        gradients.append(raw)
    assert case.value(case.raw) == pytest.approx(values, rel=1e-14)
    np.testing.assert_array_equal(case.gradient(case.raw), np.hstack(gradients))


def test_raw_outputs_in_another_order_are_refused():
    case = Case("softmax", 3)
    with pytest.raises(ValueError, match="Fortran order"):
        case.loss.value(np.ascontiguousarray(case.raw), case.y, case.weight)


@EVERY
def test_weights_are_repeated_rows(name, n_outputs):
    case, repeated = Case(name, n_outputs), Case(name, n_outputs)
    counts = np.random.default_rng(1).integers(0, 4, len(case.raw))
    case.weight = counts / counts.sum()
    repeated.raw = np.repeat(case.raw, counts, axis=0)
    repeated.y = np.repeat(case.y, counts, axis=0)
    repeated.weight = np.full(counts.sum(), 1.0 / counts.sum())

    assert case.value(case.raw) == pytest.approx(repeated.value(repeated.raw))
    np.testing.assert_allclose(
        np.repeat(case.gradient(case.raw) / counts.clip(1)[:, None], counts, axis=0),
        repeated.gradient(repeated.raw),
        rtol=1e-13,
        atol=1e-16,
    )


@EVERY
def test_every_method_is_finite_and_silent_at_1e300(name, n_outputs):
    case = Case(name, n_outputs, 1e300)
    assert np.isfinite(case.value(case.raw))
    assert np.isfinite(case.gradient(case.raw)).all()
    assert np.isfinite(case.probabilities(case.raw)).all()
    assert np.isfinite(case.log_probabilities(case.raw)).all()
    assert np.isfinite(case.curvature_product(case.raw, case.raw / 1e300)).all()


@pytest.mark.parametrize("size", [1e308, LARGEST])
def test_bernoulli_at_the_largest_raw_outputs(size):
    loss, weight = LOSSES["logistic"], np.array([0.5, 0.5])
    raw, wrong, right = (
        np.array([[size], [-size]]),
        np.eye(2)[:, [1]],
        np.eye(2)[:, [0]],
    )
    assert loss.value(raw.copy(), wrong, weight) == size
    assert loss.value(raw.copy(), right, weight) == 0.0
    gradient = raw.copy()
    assert loss.value_and_gradient(gradient, wrong, weight) == size
    assert gradient.tolist() == [[0.5], [-0.5]]
    assert loss.log_probabilities(raw.copy()).tolist() == [[0.0], [-size]]


@pytest.mark.parametrize("size", [1e308, LARGEST])
def test_softmax_at_the_largest_raw_outputs(size):
    """The difference of the outputs overflows, but p is still 1 and 0."""
    loss, weight, y = LOSSES["softmax"], np.array([1.0]), np.array([0])
    raw = np.array([[size, -size, 0.0]])

    assert loss.value(fresh(raw), y, weight) == 0.0
    gradient = fresh(raw)
    assert loss.value_and_gradient(gradient, y, weight) == 0.0
    assert gradient.tolist() == [[0.0, 0.0, 0.0]]
    probability = raw.copy()
    loss.probabilities(probability)
    assert probability.tolist() == [[1.0, 0.0, 0.0]]
    log_probability = loss.log_probabilities(raw.copy())
    assert log_probability[0, [0, 2]].tolist() == [0.0, -size]


@EVERY
def test_start_curvature_is_the_curvature_at_equal_outputs(name, n_outputs):
    case = Case(name, n_outputs, 0.0)
    p = case.probabilities(case.raw)
    diagonal, root = case.loss.covariance_factors(p, case.weight)
    curvature = diagonal if root is None else diagonal - root**2
    expected = case.weight[:, None] * case.loss.start_curvature(n_outputs)
    np.testing.assert_allclose(curvature, np.broadcast_to(expected, curvature.shape))
