"""The names of classes, and what holds them, do not change the model."""

from enum import Enum

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from models import (
    EXACT_LINEAR,
    assert_same_bits,
    classes,
    each_comparable_model,
    fit,
    ignores_max_iter,
)
from sknn_simple import Posterior

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


Answer = Enum("Answer", {"NO": "no", "YES": "yes"}, type=str)
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
    ("dtype", "names", "kind"),
    [
        ("category", ["no", "yes"], "O"),
        ("string", ["no", "yes"], "O"),
        ("object", ["no", "yes"], "O"),
        ("boolean", [False, True], "b"),
        ("Int64", [3, 8], "i"),
        ("Int64", [2**60, 2**60 + 1], "i"),  # equal as float64
        ("UInt8", [3, 8], "ui"),
        ("Float32", [1.0, 2.0], "f"),
    ],
)
def test_labels_in_pandas(model, dtype, names, kind):
    pd = pytest.importorskip("pandas")
    X, y = classes(2)
    target = pd.Series([names[code] for code in y], dtype=dtype)
    expected, other = fit(model, X, y), fit(model, X, target)
    assert_same_bits(other, expected)
    assert list(other.classes_) == names
    assert [names[c] for c in expected.predict(X)] == other.predict(X).tolist()
    assert other.classes_.dtype.kind in kind
    assert other.score(X, target) == expected.score(X, y)


@pytest.mark.parametrize("kind", ["nullable", "enumeration", "variable width"])
@each_comparable_model
def test_labels_that_scikit_learn_would_change(model, kind):
    """In y, in y_val and in a posterior."""
    X, y = classes(2)
    if kind == "nullable":
        pd = pytest.importorskip("pandas")
        target = pd.array(2**60 + y, dtype="Int64")
    elif kind == "enumeration":
        target = [(Answer.NO, Answer.YES)[code] for code in y]
    else:
        dtypes = pytest.importorskip("numpy.dtypes")
        if not hasattr(dtypes, "StringDType"):
            pytest.skip("NumPy before 2.0")
        target = np.array(["no", "yes"])[y].astype(dtypes.StringDType())
    model = clone(model).set_params(alpha="auto")
    rows = {"X_val": X, "y_val": y}
    expected, other = (
        fit(model, X, y, **rows),
        fit(model, X, target, X_val=X, y_val=target),
    )
    assert_same_bits(other, expected)
    assert other.score(X, target) == expected.score(X, y)
    model.set_params(alpha=1.0, monotonic_cst=None)
    expected, other = fit(model, X, y), fit(model, X, target)
    if expected.converged_:
        of_codes = Posterior(expected, X, y).std_errors
        assert_array_equal(Posterior(other, X, target).std_errors, of_codes)


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
