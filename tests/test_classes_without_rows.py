"""Classes that a fold, a draw or the weights leave without rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.multiclass import OneVsOneClassifier

from models import (
    CHOOSING,
    LINEAR,
    NETWORK,
    each_class,
    each_model_and_solver,
    ignores_max_iter,
    independent_classes,
)

X, Y = independent_classes(3)
each_model = pytest.mark.parametrize("model", [LINEAR, NETWORK, CHOOSING], ids=str)


# Class weights of classes that are not there ------------------------------------------


@each_class
def test_a_weight_of_an_absent_class_is_not_used(model):
    two = Y < 2
    model = clone(model).set_params(class_weight={0: 1.0, 1: 2.0})
    plain = clone(model).fit(X[two], Y[two])
    more = model.set_params(class_weight={0: 1.0, 1: 2.0, 2: 10.0}).fit(X[two], Y[two])
    assert_allclose(more.predict_proba(X), plain.predict_proba(X), rtol=1e-12)


@each_class
def test_class_weights_survive_folds_and_pairs_that_lack_a_class(model):
    y = np.where(np.arange(60) < 45, Y % 2, Y)
    model = clone(model).set_params(class_weight={0: 1.0, 1: 2.0, 2: 10.0})
    scores = cross_val_score(
        model, X, y, cv=TimeSeriesSplit(3), scoring="accuracy", error_score="raise"
    )
    assert len(scores) == 3
    OneVsOneClassifier(model).fit(X, Y).predict(X)


@each_class
def test_a_misspelt_class_is_still_an_error(model):
    names = np.array(["no", "yes", "maybe"])[Y]
    weight = {"no": 1.0, "yes": 2.0, "Maybe": 3.0}
    with pytest.raises(ValueError, match=r"\['Maybe'\].* not all of them"):
        clone(model).set_params(class_weight=weight).fit(X, names)


# Sample weights that leave classes out ------------------------------------------------


@ignores_max_iter  # the bias grows for ever, and J has no minimum
@each_model_and_solver
@pytest.mark.parametrize("n_left", [1, 2])
def test_weights_that_leave_classes_out_predict_the_others(model, solver, n_left):
    model = clone(model).set_params(solver=solver)
    model.fit(X, Y, sample_weight=(n_left > Y).astype(float))
    assert model.classes_.tolist() == [0, 1, 2]
    probability = model.predict_proba(X)
    assert np.isfinite(probability).all()
    assert probability[:, n_left:].max() < 1e-3
    assert model.predict(X).max() < n_left


@each_model
def test_weights_that_leave_one_of_two_classes_predict_it(model):
    y = np.where(Y == 0, "a", "b")
    model = clone(model).fit(X, y, sample_weight=(y == "b").astype(float))
    assert (model.predict(X) == "b").all()
    assert model.predict_proba(X)[:, 1].min() > 0.999


@each_class
def test_class_weights_may_be_zero(model):
    model = clone(model).set_params(class_weight={0: 0.0, 1: 1.0, 2: 1.0}).fit(X, Y)
    assert model.predict(X).min() > 0


@each_model
def test_bagging_with_a_rare_class_fits(model):
    y = np.zeros(60, int)
    y[:2] = 1
    bag = BaggingClassifier(model, 8, random_state=0).fit(X, y)
    assert np.isfinite(bag.predict_proba(X)).all()


@pytest.mark.parametrize("model", [LINEAR, CHOOSING], ids=str)
def test_boosting_learns(model):
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    boosted = AdaBoostClassifier(model, n_estimators=3, random_state=0).fit(X, y)
    assert boosted.score(X, y) > 0.9
