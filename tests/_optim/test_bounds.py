"""Signs of parameters as bounds, and the gradient within them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknn_simple._optim.bounds import projected_gradient, reflected, sign_bounds

SIGNS = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=8)


@given(SIGNS)
def test_bounds_hold_the_signs_and_nothing_else(signs):
    bounds = sign_bounds(np.array(signs))
    if not any(signs):
        assert bounds is None
        return
    assert bounds is not None
    low, high = bounds
    interval = {1.0: (0.0, np.inf), -1.0: (-np.inf, 0.0), 0.0: (-np.inf, np.inf)}
    assert list(zip(low, high, strict=True)) == [interval[sign] for sign in signs]


@given(SIGNS, st.integers(0, 100))
def test_reflected_lies_within_the_bounds_and_keeps_sizes(signs, seed):
    x = np.random.default_rng(seed).standard_normal(len(signs))
    bounds = sign_bounds(np.array(signs))
    found = reflected(x, bounds)
    np.testing.assert_array_equal(np.abs(found), np.abs(x))
    if bounds is not None:
        low, high = bounds
        assert ((low <= found) & (found <= high)).all()
        within = (low <= x) & (x <= high)
        np.testing.assert_array_equal(found[within], x[within])


@pytest.mark.parametrize("signs", [[0.0, 0.0], [1.0, -1.0]])
def test_reflected_leaves_its_argument_alone(signs):
    x = np.array([-1.0, 2.0])
    reflected(x, sign_bounds(np.array(signs)))
    assert x.tolist() == [-1.0, 2.0]


def test_without_bounds_the_gradient_is_the_projected_gradient():
    gradient = np.array([1.0, -2.0])
    assert projected_gradient(np.zeros(2), gradient, None) is gradient


@pytest.mark.parametrize(
    ("x", "gradient", "projected"),
    [
        (0.0, 1.0, 0.0),  # at the lower bound, a step down the slope would leave
        (0.0, -1.0, -1.0),  # at the lower bound, the slope leads inside
        (1.0, -1.0, 0.0),
        (1.0, 1.0, 1.0),
        (0.5, 1.0, 1.0),  # inside
        (0.5, -1.0, -1.0),
    ],
)
def test_projected_gradient_leaves_out_what_bounds_forbid(x, gradient, projected):
    bounds = (np.array([0.0]), np.array([1.0]))
    found = projected_gradient(np.array([x]), np.array([gradient]), bounds)
    assert found.tolist() == [projected]


@given(SIGNS, st.integers(0, 100))
def test_a_small_step_against_the_projected_gradient_stays_within_the_bounds(
    signs, seed
):
    rng = np.random.default_rng(seed)
    bounds = sign_bounds(np.array(signs))
    x = reflected(rng.standard_normal(len(signs)), bounds)
    x[rng.uniform(size=len(x)) < 0.5] = 0.0
    gradient = rng.standard_normal(len(signs))
    projected = projected_gradient(x, gradient, bounds)
    assert gradient @ projected >= 0.0
    after = x - 1e-12 * projected
    np.testing.assert_array_equal(reflected(after, bounds), after)


def test_projected_gradient_with_infinite_bounds_is_the_gradient():
    gradient = np.array([1.0, -2.0])
    bounds = (np.full(2, -np.inf), np.full(2, np.inf))
    np.testing.assert_array_equal(
        projected_gradient(np.array([3.0, 4.0]), gradient, bounds), gradient
    )


def test_projected_gradient_leaves_its_arguments_alone():
    x, gradient = np.array([0.0, 0.5]), np.array([1.0, 1.0])
    projected_gradient(x, gradient, (np.zeros(2), np.ones(2)))
    assert gradient.tolist() == [1.0, 1.0]
    assert x.tolist() == [0.0, 0.5]
