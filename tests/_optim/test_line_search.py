"""Points on a line against the conditions that they are to satisfy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline

from sknn_simple._optim.line_search import (
    ARMIJO,
    CURVATURE,
    Line,
    Point,
    _cubic_minimum,
    _next_length,
)


def line_of(f, slope, start=0.0):
    """The function of one variable as a line along which it falls."""
    x, direction = np.array([start]), np.array([1.0])
    return Line(
        lambda x: f(x[0]),
        lambda x: np.array([slope(x[0])]),
        x,
        direction,
        f(start),
        np.array([slope(start)]),
    )


FUNCTIONS = {
    "parabola": (lambda t: (t - 3.0) ** 2, lambda t: 2.0 * (t - 3.0)),
    "near": (lambda t: (t - 1e-3) ** 2, lambda t: 2.0 * (t - 1e-3)),
    "far": (lambda t: (t - 200.0) ** 2, lambda t: 2.0 * (t - 200.0)),
    "quartic": (lambda t: t**4 - 4.0 * t, lambda t: 4.0 * t**3 - 4.0),
    "wall": (
        lambda t: -t if t < 0.3 else np.inf,
        lambda t: -1.0 if t < 0.3 else np.nan,
    ),
}


def is_wolfe(line, point):
    slope = line.start.slope
    armijo = point.value <= line.start.value + ARMIJO * point.length * slope
    return armijo and abs(point.slope) <= CURVATURE * abs(slope)


@pytest.mark.parametrize("name", ["parabola", "near", "far", "quartic"])
def test_a_point_satisfies_both_conditions(name):
    line = line_of(*FUNCTIONS[name])
    point = line.search(line.at(1.0))
    assert point is not None
    assert is_wolfe(line, point)


@given(
    minimum=st.floats(1e-4, 1e3),
    sharpness=st.floats(1e-3, 1e3),
    ripple=st.floats(0.0, 0.5),
)
@settings(max_examples=200)
def test_a_point_satisfies_armijo_whatever_the_function(minimum, sharpness, ripple):
    def f(t):
        return sharpness * ((t - minimum) ** 2 + ripple * np.cos(5.0 * t))

    def slope(t):
        return sharpness * (2.0 * (t - minimum) - 5.0 * ripple * np.sin(5.0 * t))

    line = line_of(f, slope)
    first = line.at(1.0)
    point = line.search(first)
    assert point is not None
    assert line.satisfies_armijo(point)
    assert point.value < line.start.value


def test_a_good_first_point_costs_nothing():
    calls = []
    line = line_of(lambda t: calls.append(t) or (t - 1.0) ** 2, FUNCTIONS["near"][1])
    first = line.at(1.0)
    calls.clear()
    good = first._replace(slope=0.0)
    assert line.search(good) is good
    assert not calls


def test_a_step_to_a_value_that_is_not_finite_is_shortened():
    line = line_of(*FUNCTIONS["wall"])
    point = line.search(line.at(1.0))
    assert point is not None
    assert 0.0 < point.length < 0.3


@pytest.mark.parametrize("method", ["search", "backtrack"])
def test_where_the_gradient_is_not_finite_the_step_gets_shorter(method):
    line = line_of(lambda t: -t, lambda t: -1.0 if t < 0.3 else np.nan)
    point = getattr(line, method)(line.at(1.0))
    assert 0.0 < point.length < 0.3
    assert np.isfinite(point.slope)


def test_at_a_kink_armijo_is_enough():
    """The slope jumps from -1 to 2: nowhere is it small."""

    def f(t):
        return abs(t - 0.4) + max(0.0, t - 0.4)

    line = line_of(f, lambda t: 2.0 if t > 0.4 else -1.0)
    point = line.search(line.at(1.0))
    assert point is not None
    assert line.satisfies_armijo(point)
    assert point.length == pytest.approx(0.4, abs=0.2)


@pytest.mark.parametrize("method", ["search", "backtrack"])
def test_no_step_is_found_if_f_does_not_fall(method):
    line = line_of(lambda t: 0.0 if t == 0.0 else 1.0, lambda t: -1.0)
    assert getattr(line, method)(line.at(1.0)) is None


def test_backtracking_takes_the_first_step_that_satisfies_armijo():
    line = line_of(lambda t: (16.0 * t - 1.0) ** 2, lambda t: 32.0 * (16.0 * t - 1.0))
    found = line.backtrack(line.at(1.0))
    assert found is not None
    assert found.length == 1.0 / 16.0
    assert found.value <= 1.0 - ARMIJO * 32.0 / 16.0


@pytest.mark.parametrize("reverse", [False, True])
def test_the_cubic_is_that_of_both_values_and_slopes(reverse):
    cubic = CubicHermiteSpline([0.0, 2.0], [1.0, 0.5], [-3.0, 2.0])
    slope = cubic.derivative()
    low, high = (
        Point(t, np.empty(0), float(cubic(t)), np.empty(0), float(slope(t)))
        for t in ((2.0, 0.0) if reverse else (0.0, 2.0))
    )
    part = _cubic_minimum(low, high)
    length = low.length + part * (high.length - low.length)
    assert 0.0 < length < 2.0
    assert float(slope(length)) == pytest.approx(0.0, abs=1e-12)
    assert float(slope.derivative()(length)) > 0.0
    # Neither end is nearer than a tenth.
    assert 0.2 <= _next_length(low, high) <= 1.8


def test_a_straight_line_has_no_minimum():
    low, high = (Point(t, np.empty(0), -t, np.empty(0), -1.0) for t in (0.0, 1.0))
    assert np.isnan(_cubic_minimum(low, high))
    assert _next_length(low, high) == 0.5
