"""Signs of parameters as bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknn_simple._optim.constraints import reflected, sign_bounds

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
