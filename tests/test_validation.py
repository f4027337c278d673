"""Labels as codes."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._validation import validate_training_set

INTEGERS = [np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint64]


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data())
def test_integer_labels_are_encoded_as_by_sorting(dtype, data):
    y = data.draw(hnp.arrays(dtype, st.integers(2, 40)))
    assert_encoded_as_by_sorting(y)


@pytest.mark.parametrize("dtype", INTEGERS[1:])
@pytest.mark.parametrize("end", ["min", "max"])
@given(data=st.data())
def test_integer_labels_at_the_ends_of_their_range(dtype, end, data):
    offsets = data.draw(st.lists(st.integers(0, 5), min_size=2))
    limit = getattr(np.iinfo(dtype), end)
    steps = np.array(offsets, dtype)
    assert_encoded_as_by_sorting(limit + steps if end == "min" else limit - steps)


def assert_encoded_as_by_sorting(y):
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        encoded = validate_training_set(LogisticNN(), np.eye(len(y)), y, None, None)
    assert encoded.classes.dtype == y.dtype
    np.testing.assert_array_equal(encoded.classes, classes)
    expected = codes[:, None] if len(classes) == 2 else codes
    np.testing.assert_array_equal(encoded.y, expected)


@pytest.mark.parametrize("n_classes", [19, 20, 21, 39])
def test_integers_are_warned_of_as_other_numbers_are(n_classes):
    # scikit-learn > 1.6.0 warns if there are more classes than half of the rows.
    y = np.arange(40) % n_classes
    messages = []
    for labels in (y, y.astype(float)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            validate_training_set(LogisticNN(), np.eye(40), labels, None, None)
        messages.append([str(warning.message) for warning in caught])
    assert messages[0] == messages[1]


def test_labels_are_only_read():
    y = np.arange(150) % 3
    y.flags.writeable = False
    X = np.random.default_rng(0).standard_normal((150, 2))
    model = OneHiddenMLP(3, max_iter=5, tol=1.0, random_state=0, n_init=2)
    assert model.fit(X, y).converged_
    assert LogisticNN().fit(X, y).converged_
