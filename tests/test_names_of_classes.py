"""The names of classes, and what holds them, do not change the model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from models import (
    EXACT_LINEAR,
    assert_same_bits,
    classes,
    each_comparable_model,
    fit,
    ignores_max_iter,
)

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


TWO_LABELS = {
    "strings": np.array(["no", "yes"]),
    "objects": np.array(["no", "yes"], dtype=object),
    "booleans": np.array([False, True]),
    "negative": np.array([-1, 1]),
    "far": np.array([-1000, 7]),
    "floats": np.array([1.0, 2.0]),
    "small floats": np.array([0.0, 1.0], dtype=np.float32),
    "unsigned": np.array([3, 250], dtype=np.uint8),
}


@each_comparable_model
@pytest.mark.parametrize("name", TWO_LABELS)
def test_labels_of_any_type(model, name):
    X, y = classes(2)
    labels = TWO_LABELS[name]
    expected = fit(model, X, y)
    for target in (labels[y], labels[y].tolist()):
        other = fit(model, X, target)
        assert_same_bits(other, expected)
        assert_array_equal(other.classes_, labels)
        assert_array_equal(other.predict(X), labels[expected.predict(X)])
        assert other.score(X, labels[y]) == expected.score(X, y)
    assert fit(model, X, labels[y]).predict(X).dtype == labels.dtype


@each_comparable_model
@pytest.mark.parametrize(
    "labels", [["a", "b", "c"], [-5, 0, 5], [1.0, 2.0, 3.0]], ids=str
)
def test_labels_of_three_classes(model, labels):
    X, y = classes(3)
    labels = np.asarray(labels)
    expected, other = fit(model, X, y), fit(model, X, labels[y])
    assert_same_bits(other, expected)
    assert_array_equal(other.predict(X), labels[expected.predict(X)])


@each_comparable_model
@pytest.mark.parametrize(
    ("dtype", "names"),
    [
        ("category", ["no", "yes"]),
        ("string", ["no", "yes"]),
        ("object", ["no", "yes"]),
        ("boolean", [False, True]),
        ("Int64", [3, 8]),
        ("UInt8", [3, 8]),
        ("Float32", [1.0, 2.0]),
    ],
)
def test_labels_in_pandas(model, dtype, names):
    pd = pytest.importorskip("pandas")
    X, y = classes(2)
    target = pd.Series([names[code] for code in y], dtype=dtype)
    expected, other = fit(model, X, y), fit(model, X, target)
    assert_same_bits(other, expected)
    assert list(other.classes_) == names
    assert [names[c] for c in expected.predict(X)] == other.predict(X).tolist()
    peer = LogisticRegression().fit(X, target)
    assert other.classes_.dtype == peer.classes_.dtype


@each_comparable_model
@pytest.mark.parametrize("kind", ["Categorical", "String", "Boolean"])
def test_labels_in_polars(model, kind):
    pl = pytest.importorskip("polars")
    X, y = classes(2)
    names = [False, True] if kind == "Boolean" else ["no", "yes"]
    target = pl.Series([names[code] for code in y], dtype=getattr(pl, kind))
    expected, other = fit(model, X, y), fit(model, X, target)
    assert_same_bits(other, expected)
    assert list(other.classes_) == names


def test_swapping_two_classes_mirrors_the_probabilities():
    X, y = classes(2)
    one, other = fit(EXACT_LINEAR, X, y), fit(EXACT_LINEAR, X, 1 - y)
    assert_allclose(other.predict_proba(X), one.predict_proba(X)[:, ::-1], atol=1e-9)
