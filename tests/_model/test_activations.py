"""Every activation against its formula, its derivatives and the in-place contract."""

import math

import numpy as np
import pytest

from sknn_simple._model.activations import ACTIVATIONS

EVERY = pytest.mark.parametrize("name", ACTIVATIONS)

# The definitions for one number.
DEFINITIONS = {
    "identity": lambda z: z,
    "logistic": lambda z: math.exp(min(z, 0.0)) / (1.0 + math.exp(-abs(z))),
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "softplus": lambda z: max(z, 0.0) + math.log1p(math.exp(-abs(z))),
    "silu": lambda z: z * DEFINITIONS["logistic"](z),
    "gelu": lambda z: z * math.erfc(-z / math.sqrt(2.0)) / 2.0,
}
DEFINITIONS["sigmoid"] = DEFINITIONS["logistic"]

# The limits of φ, φ′ and φ″ far from 0, left and right; "z" stands for z itself.
LIMITS = {
    "identity": (("z", 1, 0), ("z", 1, 0)),
    "logistic": ((0, 0, 0), (1, 0, 0)),
    "tanh": ((-1, 0, 0), (1, 0, 0)),
    "relu": ((0, 0, 0), ("z", 1, 0)),
    "softplus": ((0, 0, 0), ("z", 1, 0)),
    "silu": ((0, 0, 0), ("z", 1, 0)),
    "gelu": ((0, 0, 0), ("z", 1, 0)),
}
LIMITS["sigmoid"] = LIMITS["logistic"]

# No point is nearer to the kink of relu than a step of the differences below.
GRID = np.linspace(-8.0, 8.0, 160)
EXTREMES = [0.0, 1e-300, 1.0, 50.0, 1e3, 1e300]


def value(name, z):
    z = np.array(z)
    ACTIVATIONS[name].value(z)
    return z


def slope(name, z):
    z = np.array(z)
    d1 = np.full_like(z, np.nan)
    ACTIVATIONS[name].slope(z, d1)
    return d1


def curvature(name, z):
    z = np.array(z)
    d1, d2 = np.full_like(z, np.nan), np.full_like(z, np.nan)
    ACTIVATIONS[name].curvature(z, d1, d2)
    return d2


def central_difference(f, z, step=1e-5):
    """(f(z + h) - f(z - h)) / 2h, with an error near h² = 1e-10."""
    return (f(z + step) - f(z - step)) / (2.0 * step)


@EVERY
def test_value_is_the_definition(name):
    expected = [DEFINITIONS[name](z) for z in GRID]
    np.testing.assert_allclose(value(name, GRID), expected, rtol=1e-13, atol=1e-14)


@EVERY
def test_slope_is_the_derivative_of_the_value(name):
    expected = central_difference(lambda z: value(name, z), GRID)
    np.testing.assert_allclose(slope(name, GRID), expected, rtol=1e-8, atol=1e-9)


@EVERY
def test_curvature_is_the_derivative_of_the_slope(name):
    expected = central_difference(lambda z: slope(name, z), GRID)
    np.testing.assert_allclose(curvature(name, GRID), expected, rtol=1e-8, atol=1e-9)


def test_relu_is_flat_at_its_kink():
    assert slope("relu", [0.0, -0.0]).tolist() == [0.0, 0.0]


def test_sigmoid_is_another_name_of_logistic():
    assert ACTIVATIONS["sigmoid"] is ACTIVATIONS["logistic"]


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(7,), (5, 3), (0, 4)])
def test_all_three_functions_write_the_same_bits_in_place(name, dtype, shape):
    """Evaluations call any of the three; J must not depend on which."""
    activation = ACTIVATIONS[name]
    rng = np.random.default_rng(0)
    z = (3.0 * rng.standard_normal(shape)).astype(dtype)
    z1, z2, z3 = z.copy(), z.copy(), z.copy()
    slope2, slope3, curvature3 = (np.full_like(z, np.nan) for _ in range(3))

    assert activation.value(z1) is None
    assert activation.slope(z2, slope2) is None
    assert activation.curvature(z3, slope3, curvature3) is None

    np.testing.assert_array_equal(z2, z1)
    np.testing.assert_array_equal(z3, z1)
    np.testing.assert_array_equal(slope3, slope2)
    assert np.isfinite(curvature3).all()
    for array in (z1, z2, z3, slope2, slope3, curvature3):
        assert array.dtype == dtype


@EVERY
def test_single_precision_is_close_to_double(name):
    single = GRID.astype(np.float32)
    for function in (value, slope, curvature):
        found = function(name, single)
        expected = function(name, single.astype(np.float64))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("function", [value, slope, curvature])
def test_finite_and_silent_at_extremes(name, dtype, function):
    """Warnings are errors in tests: expected overflow must be silenced."""
    largest = float(np.finfo(dtype).max)
    sizes = np.array([min(z, largest) for z in EXTREMES], dtype=dtype)
    assert np.isfinite(function(name, np.concatenate([sizes, -sizes]))).all()


@EVERY
@pytest.mark.parametrize("size", [1e3, 1e300, np.finfo(float).max])
@pytest.mark.parametrize("side", [0, 1], ids=["left", "right"])
def test_limits_far_from_zero(name, size, side):
    z = np.array([(-size, size)[side]])
    expected = [z[0] if limit == "z" else limit for limit in LIMITS[name][side]]
    found = [f(name, z)[0] for f in (value, slope, curvature)]
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-300)


@EVERY
def test_mean_over_a_standard_normal_input(name):
    """Hidden units are centred at it; the midpoint rule has an error below 1e-7."""
    z = np.linspace(-12.0, 12.0, 24_001)
    density = np.exp(-0.5 * z**2)
    expected = density @ value(name, z) / density.sum()
    np.testing.assert_allclose(ACTIVATIONS[name].mean, expected, atol=1e-6)


@EVERY
def test_monotone_is_true_if_the_value_never_decreases(name):
    """Sign constraints on weights are only valid if φ never decreases."""
    never_decreases = bool(
        (np.diff(value(name, GRID)) >= 0.0).all() and (slope(name, GRID) >= 0.0).all()
    )
    assert ACTIVATIONS[name].monotone is never_decreases


@EVERY
def test_binary_slope_is_true_if_the_slope_is_0_or_1(name):
    """A slope of 0 or 1 is kept as bool; any other slope would be lost."""
    found = slope(name, GRID)
    assert ACTIVATIONS[name].binary_slope is bool(np.isin(found, [0.0, 1.0]).all())
    if ACTIVATIONS[name].binary_slope:
        mask = np.zeros(GRID.shape, bool)
        ACTIVATIONS[name].slope(GRID.copy(), mask)
        np.testing.assert_array_equal(mask, found)
