"""fit and prediction name the parameter and the kind of an object that they refuse."""

import io
import types
from collections import OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from checks import FITTED, LABELS, X, Y, assert_refused
from models import assert_same_bits, each_class, fit, ignores_max_iter

# Every parameter that holds rows, labels or weights, with a right value.
WEIGHT = np.ones(60)
VALUES = {
    "X": X,
    "y": Y,
    "sample_weight": WEIGHT,
    "X_val": X,
    "y_val": Y,
    "sample_weight_val": WEIGHT,
}
each_parameter = pytest.mark.parametrize("name", VALUES)

# What makes a wrong object of right values, and what the message says of it.
WRONG_KINDS = {
    "generator": (lambda a: (row for row in a), "type generator. Make a list of it"),
    "iterator": (iter, "iterator. Make a list"),
    "map": (lambda a: map(float, a), "type map. Make a list"),
    "values": (lambda a: dict(enumerate(a)).values(), "type dict_values. Make a list"),
    "dict": (lambda a: {"a": a}, "type dict. Make a dataframe of it"),
    "ordered dict": (lambda a: OrderedDict(a=a), "type collections.OrderedDict. Make"),
    "set": (lambda a: {1, 2}, "type set. A set has no order"),
    "frozenset": (lambda a: frozenset(range(60)), "type frozenset. A set has no order"),
    "text": (lambda a: "rows.csv", "type str"),
    "bytes": (lambda a: b"rows", "type bytes"),
    "path": (lambda a: Path("rows.csv"), "type pathlib.(Posix|Windows)Path"),
    "file": (lambda a: io.StringIO("1,2"), r"StringIO. Call its method read\(\)"),
    "lazy frame": (
        lambda a: types.SimpleNamespace(collect=lambda: a),
        r"type types.SimpleNamespace. Call its method collect\(\)",
    ),
    "delayed": (
        lambda a: types.SimpleNamespace(compute=lambda: a),
        r"Call its method compute\(\)",
    ),
    "class": (lambda a: np.ndarray, "type type"),
    "function": (lambda a: len, "type builtin_function_or_method"),
    "scalar": (lambda a: np.array(3.0), "the scalar 3.0"),
    "structured array": (
        lambda a: np.zeros(60, dtype="f8,f8"),
        "a structured array. .*structured_to_unstructured",
    ),
}


def with_other(name, value):
    """The arguments of `fit` with one other value."""
    needed = {"X", "y", name}
    if name.endswith("_val"):
        needed |= {"X_val", "y_val"}
    return {**{key: VALUES[key] for key in sorted(needed)}, name: value}


def choosing(model):
    """The model with a use for validation rows, and few iterations."""
    return clone(model).set_params(alpha="auto", max_iter=3)


@pytest.mark.parametrize("kind", WRONG_KINDS)
@each_parameter
@each_class
def test_a_wrong_kind_of_object_is_refused_by_name(model, name, kind):
    make, what = WRONG_KINDS[kind]
    match = f"^{name} must be an array.*; got .*{what}"
    arguments = with_other(name, make(VALUES[name]))
    assert_refused(choosing(model), match, error=TypeError, **arguments)


@pytest.mark.parametrize("kind", WRONG_KINDS)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@each_class
def test_prediction_refuses_a_wrong_kind_of_object(model, method, kind):
    make, what = WRONG_KINDS[kind]
    with pytest.raises(TypeError, match=f"^X must be an array.*; got .*{what}"):
        getattr(FITTED[type(model)], method)(make(X))


@pytest.mark.parametrize("name", ["X", "X_val"])
@each_class
def test_rows_that_are_no_arrays_are_refused_by_name(model, name):
    arguments = with_other(name, [{"a": 1.0}] * 60)
    match = f"{name}.* cannot be converted to numbers: .* not 'dict'"
    assert_refused(choosing(model), match, error=TypeError, **arguments)


@each_class
def test_column_names_of_two_types_are_refused_as_such(model):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X)
    frame.columns = ["a", *range(1, X.shape[1])]
    assert_refused(
        model, "^Feature names are only supported", frame, Y, error=TypeError
    )


@each_class
def test_a_lazy_frame_is_refused(model):
    polars = pytest.importorskip("polars")
    lazy = polars.DataFrame(X).lazy()
    match = r"X must be .* got an object of type polars.LazyFrame. Call .* collect\(\)"
    assert_refused(model, match, lazy, Y, error=TypeError)


@ignores_max_iter
@pytest.mark.parametrize("make", [deque, memoryview, lambda a: tuple(a.tolist())])
@each_parameter
@each_class
def test_sequences_of_every_kind_are_taken(model, name, make):
    other = fit(choosing(model), **with_other(name, make(VALUES[name])))
    assert_same_bits(other, fit(choosing(model), **with_other(name, VALUES[name])))


# Masked arrays ------------------------------------------------------------------------


@each_parameter
@each_class
def test_masked_values_are_refused_by_name(model, name):
    masked = np.ma.masked_where(np.arange(VALUES[name].size) < 3, VALUES[name].ravel())
    masked = masked.reshape(VALUES[name].shape)
    match = f"^{name} is a masked array with 3 masked values"
    assert_refused(choosing(model), match, **with_other(name, masked))


@each_class
def test_masked_labels_of_an_indicator_are_refused(model):
    masked = np.ma.masked_where(np.eye(60, 3) > 0, LABELS)
    assert_refused(model, "^y is a masked array with 3 masked values", X, masked)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@each_class
def test_prediction_refuses_masked_values(model, method):
    with pytest.raises(ValueError, match=r"^X is a masked array"):
        getattr(FITTED[type(model)], method)(np.ma.masked_greater(X, 1.0))


@ignores_max_iter
@each_parameter
@each_class
def test_a_masked_array_without_masked_values_is_an_array(model, name):
    masked = np.ma.masked_greater(VALUES[name], 1e9)
    other = fit(choosing(model), **with_other(name, masked))
    assert_same_bits(other, fit(choosing(model), **with_other(name, VALUES[name])))


# Labels of dtype object ---------------------------------------------------------------

OBJECTS = {
    "integers": (Y, "i"),
    "booleans": (Y > 0, "b"),
    "whole floats": (Y.astype(float), "f"),
    "negative integers": (-3 * Y, "i"),
    "indicator": (LABELS, "i"),
    "boolean indicator": (LABELS > 0, "i"),
}


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("container", ["array", "pandas", "column"])
@each_class
def test_numbers_of_dtype_object_are_the_same_labels(model, kind, container):
    plain, code = OBJECTS[kind]
    y = plain.astype(object)
    if container == "pandas":
        pd = pytest.importorskip("pandas")
        y = pd.Series(y) if y.ndim == 1 else pd.DataFrame(y)
    elif container == "column" and y.ndim == 1:
        table = np.column_stack([X.astype(object), y])  # of mixed columns
        y = table[:, -1]
    one, other = fit(model, X, plain), fit(model, X, y)
    assert other.classes_.dtype.kind == code
    assert_array_equal(other.classes_, one.classes_)
    assert_array_equal(other.predict(X), one.predict(X))
    assert other.score(X, y) == one.score(X, plain)


@each_class
def test_objects_are_labels_of_validation_rows_and_class_weights(model):
    y = Y.astype(object)
    model = choosing(model).set_params(class_weight={0: 1, 1: 2, 2: 3}, max_iter=1000)
    other = fit(model, X, y, X_val=X, y_val=y)
    assert_same_bits(other, fit(model, X, Y, X_val=X, y_val=Y))


@pytest.mark.parametrize(
    ("labels", "kinds"),
    [
        ([1, "a"], "int, str"),
        (["a", 1], "int, str"),
        ([True, "a"], "bool, str"),
        ([(1,), (2,)], "tuple"),
        ([2**70, 2**70 + 1], "int"),
    ],
)
@each_class
def test_other_objects_are_refused_with_what_to_do(model, labels, kinds):
    y = np.empty(60, dtype=object)
    y[:] = labels * 30
    match = (
        r"y of dtype object .*\(integers of at most 64 bits\) .* "
        rf"it holds {kinds}\. y\.astype\(str\) makes text"
    )
    assert_refused(model, match, X, y)
    with pytest.raises(ValueError, match=match):
        FITTED[type(model)].score(X, y)
