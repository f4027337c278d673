"""A row of weight 2 counts as two rows; the weight of a class is that of its rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from models import (
    assert_same_bits,
    classes,
    each_comparable_model,
    fit,
    ignores_max_iter,
    labels,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@each_comparable_model
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weights_are_repeated_rows(model, n_classes, standardize, container):
    X, y = classes(n_classes)
    times = np.random.default_rng(0).integers(0, 4, len(y))
    model = clone(model).set_params(standardize=standardize)
    weighted = fit(model, container(X), y, sample_weight=times)
    repeated = fit(model, container(np.repeat(X, times, axis=0)), np.repeat(y, times))
    kept = times > 0
    removed = fit(model, container(X[kept]), y[kept], sample_weight=times[kept])
    expected = weighted.predict_proba(X)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)
    assert_allclose(repeated.predict_proba(X), expected, rtol=0, atol=1e-7)
    assert_same_bits(weighted, removed, X)


@each_comparable_model
def test_weights_of_a_multilabel_target_are_repeated_rows(model):
    X, y = labels()
    times = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = fit(model, X, y, sample_weight=times)
    repeated = fit(model, np.repeat(X, times, 0), np.repeat(y, times, 0))
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-7)


@each_comparable_model
def test_penalty_grows_with_the_unit_of_weights(model):
    # J divides both terms by S: weights times 3 and alpha times 3 is the same J.
    X, y = classes()
    one = clone(model).set_params(alpha=1.0).fit(X, y)
    three = clone(model).set_params(alpha=3.0)
    three.fit(X, y, sample_weight=np.full(len(y), 3.0))
    assert_allclose(three.loss_, one.loss_, rtol=1e-9)
    assert_allclose(three.predict_proba(X), one.predict_proba(X), atol=1e-7)


@each_comparable_model
def test_unit_weights_are_no_weights(model):
    X, y = classes()
    assert_same_bits(fit(model, X, y), fit(model, X, y, sample_weight=np.ones(len(y))))
    assert_same_bits(fit(model, X, y), fit(model, X, y, sample_weight=[1] * len(y)))


@each_comparable_model
@pytest.mark.parametrize("n_classes", [2, 3])
def test_class_weights_are_sample_weights(model, n_classes):
    X, y = classes(n_classes)
    labels = np.array(["zero", "one", "two"])[y]
    s = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    weights = {"zero": 0.5, "one": 2.0, "two": 3.0}
    weights = {k: v for k, v in weights.items() if k in labels}
    by_class = clone(model).set_params(class_weight=weights)
    by_class.fit(X, labels, sample_weight=s)
    by_row = fit(model, X, labels, sample_weight=s * [weights[k] for k in labels])
    assert_same_bits(by_class, by_row, X)


CHOOSING = [LogisticNN(tol=1e-9), OneHiddenMLP(5, "tanh", cv=3, random_state=0)]


@pytest.mark.parametrize("weights", [{0: 0.3, 1: 0.05}, {0: 2.0, 1: 5.0}, {0: 0.1}])
@pytest.mark.parametrize("mean", [1.0, 0.1])
@pytest.mark.parametrize("model", CHOOSING, ids=lambda m: type(m).__name__)
def test_class_weights_are_sample_weights_in_the_choice_of_alpha(model, mean, weights):
    X, y = classes(2, 150)
    s = np.full(len(y), mean)
    by_class = clone(model).set_params(class_weight=weights).fit(X, y, sample_weight=s)
    by_row = fit(model, X, y, sample_weight=s * [weights.get(k, 1.0) for k in y])
    assert_allclose(by_class.alpha_, by_row.alpha_, rtol=1e-6)
    assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("model", CHOOSING, ids=lambda m: type(m).__name__)
def test_a_class_of_weight_0_does_not_count_in_the_choice_of_alpha(model):
    X, y = classes(3, 150)
    s = np.where(y == 0, 1.0, 0.01)
    without = clone(model).set_params(class_weight={0: 0.0, 1: 1.0, 2: 1.0})
    without.fit(X, y, sample_weight=s)
    by_row = fit(model, X, y, sample_weight=s * (y > 0))
    assert_allclose(without.alpha_, by_row.alpha_, rtol=1e-6)


@pytest.mark.parametrize("factor", [0.1, 0.01, 1e-6])
@pytest.mark.parametrize("model", CHOOSING, ids=lambda m: type(m).__name__)
def test_small_equal_class_weights_are_none(model, factor):
    X, y = classes(2, 150)
    expected = fit(model, X, y)
    model = clone(model).set_params(class_weight={0: factor, 1: factor}).fit(X, y)
    assert_allclose(model.alpha_, factor * expected.alpha_, rtol=1e-6)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)


@each_comparable_model
def test_balanced_classes_are_sample_weights(model):
    X, y = classes(3, 150)
    kept = np.r_[0:30, np.flatnonzero(y > 0)]
    X, y = X[kept], y[kept]
    balanced = clone(model).set_params(class_weight="balanced").fit(X, y)
    weight = len(y) / (3 * np.bincount(y))
    by_row = fit(model, X, y, sample_weight=weight[y])
    assert_allclose(balanced.loss_, by_row.loss_, rtol=1e-9)
    assert_allclose(balanced.predict_proba(X), by_row.predict_proba(X), atol=1e-7)
    by_dict = clone(model).set_params(class_weight=dict(enumerate(weight))).fit(X, y)
    assert_same_bits(by_row, by_dict, X)
