"""fit refuses sample weights and class weights that it cannot use."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from checks import LABELS, X, Y, assert_refused, with_value
from models import each_class

each_y_of_labels = pytest.mark.parametrize(
    "y", [LABELS, sparse.csr_array(LABELS)], ids=["dense", "csr"]
)

BAD_WEIGHTS = {
    "NaN": (with_value(np.ones(60), np.nan), "Input sample_weight contains NaN"),
    "infinity": (
        with_value(np.ones(60), np.inf),
        "Input sample_weight contains infinity",
    ),
    "negative": (
        with_value(np.ones(60), -0.5),
        r"sample_weight must not be negative; its smallest value is -0\.5",
    ),
    "all zero": (np.zeros(60), "sample_weight must not be zero for every sample"),
    "too short": (np.ones(57), r"sample_weight.*\(57,\).*\(60,\)"),
    "two columns": (np.ones((60, 2)), "1D|one-dimensional"),
    "text": (["heavy"] * 60, "could not convert string to float"),
}


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("case", BAD_WEIGHTS)
@each_class
def test_weights_that_cannot_be_used_are_refused(model, case, container):
    weight, match = BAD_WEIGHTS[case]
    assert_refused(model, match, container(X), Y, sample_weight=weight)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e-20, 1e20, 1e300, 1e306])
@each_class
def test_weights_of_any_size_make_the_same_model(model, size):
    # J divides by the sum of the weights; only alpha/S is left of their size.
    model = clone(model).set_params(alpha=0.0, tol=0.05)
    one = clone(model).fit(X, Y)
    other = clone(model).fit(X, Y, sample_weight=np.full(60, size))
    assert_allclose(other.loss_, one.loss_, rtol=1e-3)
    assert np.isfinite(other.predict_log_proba(X)).all()


@each_class
def test_products_of_weights_beyond_float64_are_refused(model):
    model = clone(model).set_params(class_weight={0: 1e200, 1: 1.0, 2: 1.0})
    weight = np.full(60, 1e200)
    assert_refused(
        model, "class_weight=.* range of float64", X, Y, sample_weight=weight
    )


@each_class
def test_rows_whose_weight_vanishes_next_to_others_are_left_out(model):
    weight = np.full(60, 1e10)
    weight[:3] = 1e-320
    model = clone(model).fit(X, Y, sample_weight=weight)
    rest = clone(model).fit(X[3:], Y[3:], sample_weight=weight[3:])
    assert_array_equal(model.predict_proba(X), rest.predict_proba(X))


@each_y_of_labels
@pytest.mark.parametrize("case", BAD_WEIGHTS)
@each_class
def test_weights_are_checked_with_labels_of_every_kind(model, case, y):
    # Labels do not exclude each other: rows of one kind are enough.
    weight, match = BAD_WEIGHTS[case]
    assert_refused(model, match, X, y, sample_weight=weight)


@each_y_of_labels
@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ({}, "must be None, 'balanced' or a list with a dict for each label"),
        ({0: 1.0}, "must be None, 'balanced' or a list with a dict for each label"),
        ([1.0, 2.0, 3.0], "must be None, 'balanced' or a list with a dict"),
        ([{0: 1.0}] * 2, "class_weight has 2 dicts, but y has 3 labels"),
        ([{0: 1.0}, {1: -1.0}, {}], r"class_weight.*\{1: -1\.0\}"),
        ([{0: 1.0}, {"yes": 2.0}, {}], r"class_weight.*\['yes'\]"),
        ([{0: 0, 1: 0}] * 3, "class_weight=.* positive weight"),
        ([{0: 1e308, 1: 1e308}] * 3, "class_weight=.* range of float64"),
    ],
    ids=str,
)
@each_class
def test_class_weights_for_labels_that_cannot_be_used_are_refused(
    model, class_weight, match, y
):
    model = clone(model).set_params(class_weight=class_weight)
    assert_refused(model, match, X, y, sample_weight=np.full(60, 10.0))


# Class weights ------------------------------------------------------------------------

BAD_CLASS_WEIGHTS = {
    "unknown class": ({0: 1.0, 9: 2.0}, r"class_weight.* \[9\].*\[0, 1, 2\]"),
    "unknown label": ({"a": 1.0}, r"class_weight.* \['a'\]"),
    "negative": ({0: -1.0}, r"class_weight.*\{0: -1\.0\}"),
    "NaN": ({1: np.nan}, r"class_weight.*nan"),
    "infinite": ({1: np.inf}, r"class_weight.*inf"),
    "all zero": ({0: 0, 1: 0, 2: 0}, "class_weight=.* positive weight"),
    "not a number": ({0: "heavy"}, "class_weight"),
    "a word": ("balance", "'class_weight' parameter.*Did you mean 'balanced'"),
    "a list": ([{0: 1}, {0: 1}], "class_weight as a list .* multilabel"),
}


@pytest.mark.parametrize("case", BAD_CLASS_WEIGHTS)
@each_class
def test_class_weights_that_cannot_be_used_are_refused(model, case):
    class_weight, match = BAD_CLASS_WEIGHTS[case]
    model = clone(model).set_params(class_weight=class_weight)
    assert_refused(model, match, X, Y)


def of_numpy(class_weight):
    return {np.int64(label): np.float64(w) for label, w in class_weight.items()}


PRINTED = {
    "float class": ({}, np.full(60, 7.0), r"one class only: 7\.0\."),
    "text class": ({}, np.full(60, "a"), r"one class only: 'a'\."),
    "boolean class": ({}, np.full(60, True), r"one class only: True\."),
    "unknown class": ({"class_weight": of_numpy({9: 1})}, Y, r"not have: \[9\]\."),
    "negative": ({"class_weight": of_numpy({0: -1})}, Y, r"got \{0: -1\.0\}"),
    "all zero": (
        {"class_weight": of_numpy({0: 0, 1: 0, 2: 0})},
        Y,
        r"class_weight=\{0: 0\.0, 1: 0\.0, 2: 0\.0\} leaves",
    ),
    "weight of a label": (
        {"class_weight": of_numpy({0: 1})},
        np.eye(3)[Y],
        r"Got class_weight=\{0: 1\.0\}\.",
    ),
    "solver": (
        {"solver": np.str_("newton-cg"), "monotonic_cst": np.ones(5, int)},
        Y > 0,
        "solver='newton-cg' cannot",
    ),
}


@pytest.mark.parametrize("case", PRINTED)
@each_class
def test_messages_print_values_of_numpy_as_those_of_python(model, case):
    params, y, match = PRINTED[case]
    assert_refused(clone(model).set_params(**params), match, X, y)


@each_class
def test_weights_that_vanish_next_to_alpha_are_refused(model):
    """alpha divided by their sum, which is what J has, would be infinite."""
    model = clone(model).set_params(alpha=np.float64(2.0))
    match = "alpha=2 divided by the sum of the sample weights, 6e-311, leaves"
    assert_refused(model, match, X, Y, sample_weight=np.full(60, 1e-312))
