"""Named views of one flat vector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknn_simple._model.layout import Layout

SHAPES = st.dictionaries(
    st.sampled_from(["coef", "intercept", "skip", "W₁", "b₁", "b₂"]),
    st.lists(st.integers(0, 4), min_size=0, max_size=3).map(tuple),
    max_size=5,
)


@given(SHAPES)
def test_views_cover_the_vector_once_and_in_order(shapes):
    layout = Layout(shapes)
    flat = np.arange(layout.size, dtype=float)
    views = layout.views(flat)
    assert list(views) == list(shapes)
    assert [view.shape for view in views.values()] == list(shapes.values())
    in_order = [view.ravel() for view in views.values()]
    np.testing.assert_array_equal(np.concatenate([[], *in_order]), flat)
    for name, view in views.items():
        np.testing.assert_array_equal(flat[layout.slices[name]], view.ravel())


@given(SHAPES)
def test_pack_undoes_views(shapes):
    layout = Layout(shapes)
    flat = np.random.default_rng(0).standard_normal(layout.size)
    packed = layout.pack(layout.views(flat))
    np.testing.assert_array_equal(packed, flat)
    assert not np.shares_memory(packed, flat)


def test_writing_into_a_view_writes_the_vector():
    layout = Layout({"coef": (2, 3), "intercept": (3,)})
    flat = np.zeros(layout.size)
    layout.views(flat)["coef"][1, 2] = 5.0
    layout.views(flat)["intercept"] += 1.0
    assert flat.tolist() == [0, 0, 0, 0, 0, 5, 1, 1, 1]


def test_views_keep_the_precision_of_the_vector():
    views = Layout({"a": (2,)}).views(np.zeros(2, np.float32))
    assert views["a"].dtype == np.float32


def test_pack_is_double_precision_and_broadcasts():
    flat = Layout({"a": (2, 2), "b": (1,)}).pack(
        {"a": np.array([[1], [2]], np.float32), "b": np.array(3)}
    )
    assert flat.dtype == np.float64
    assert flat.tolist() == [1, 1, 2, 2, 3]


def test_pack_names_the_array_that_is_missing():
    with pytest.raises(KeyError, match="intercept"):
        Layout({"coef": (1,), "intercept": (1,)}).pack({"coef": np.zeros(1)})


def test_later_changes_of_the_mapping_do_not_change_the_layout():
    shapes = {"a": (2,)}
    layout = Layout(shapes)
    shapes["b"] = (3,)
    assert list(layout.shapes) == ["a"]
