"""Labels as codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._validation import _encode_integers

INTEGERS = [np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint64]


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data())
def test_integer_labels_are_encoded_as_by_sorting(dtype, data):
    y = data.draw(hnp.arrays(dtype, st.integers(1, 40)))
    assert_encoded_as_by_sorting(y)


@pytest.mark.parametrize("dtype", INTEGERS[1:])
@pytest.mark.parametrize("end", ["min", "max"])
@given(data=st.data())
def test_integer_labels_at_the_ends_of_their_range(dtype, end, data):
    offsets = data.draw(st.lists(st.integers(0, 5), min_size=1))
    limit = getattr(np.iinfo(dtype), end)
    steps = np.array(offsets, dtype)
    assert_encoded_as_by_sorting(limit + steps if end == "min" else limit - steps)


def assert_encoded_as_by_sorting(y):
    classes, codes = _encode_integers(y)
    expected_classes, expected_codes = np.unique(y, return_inverse=True)
    assert classes.dtype == y.dtype
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_array_equal(codes, expected_codes)


def test_labels_that_are_codes_already_are_only_read():
    y = np.arange(150) % 3
    y.flags.writeable = False
    X = np.random.default_rng(0).standard_normal((150, 2))
    assert _encode_integers(y)[1] is y
    model = OneHiddenMLP(3, max_iter=5, tol=1.0, random_state=0, n_init=2)
    assert model.fit(X, y).converged_
    assert LogisticNN().fit(X, y).converged_
