"""Early stopping: which rows are set aside, what is watched, and what is kept."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.utils import check_random_state

from models import NETWORK_SOLVERS, classes, labels
from sknn_simple import OneHiddenMLP
from sknn_simple._input.validation import validate_training_set
from sknn_simple._training.early_stopping import split

TARGETS = ["two classes", "three classes", "labels"]

# Without a penalty and with many units on noisy data: the network overfits.
MODEL = OneHiddenMLP(
    10, "tanh", alpha=0.0, early_stopping=True, validation_fraction=0.3, random_state=0
)


def data(target="two classes", n=150):
    if target == "labels":
        return labels(n, n_labels=2)
    n_classes = {"two classes": 2, "three classes": 3}[target]
    return classes(n_classes, n, flip_y=0.3, class_sep=0.5)


def sides(model, X, y, sample_weight=None):
    """The rows that a fit trains on and those that it sets aside: its first draw."""
    estimator = clone(model)
    checked = validate_training_set(
        estimator, X, y, sample_weight, estimator.class_weight
    )
    generator = check_random_state(estimator.random_state)
    return split(checked, estimator.validation_fraction, generator)


def loss_by_hand(model, rows):
    """The weighted log-loss of a model on rows, from its probabilities."""
    probability = model.predict_proba(rows.X)
    if rows.multilabel:
        each = -np.log(np.where(rows.y == 1.0, probability, 1.0 - probability))
        return np.average(each.sum(axis=1), weights=rows.weight)
    codes = rows.y.ravel().astype(int)
    return log_loss(codes, probability, sample_weight=rows.weight)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("solver", ["auto", *NETWORK_SOLVERS])
def test_best_iterate_is_kept(solver, target):
    X, y = data(target)
    model = clone(MODEL).set_params(solver=solver).fit(X, y)
    _, aside = sides(model, X, y)
    curve = model.validation_loss_curve_
    assert isinstance(curve, list)
    assert len(curve) == len(model.loss_curve_) == model.n_iter_ + 1
    best = int(np.argmin(curve))
    # It was not the last one: the network overfitted, and the record goes on.
    assert best < model.n_iter_
    assert_allclose(loss_by_hand(model, aside), min(curve), rtol=1e-9)
    assert model.loss_ == model.loss_curve_[best]
    assert model.init_losses_ == [min(curve)]


@pytest.mark.parametrize("patience", [1, 3, 10])
def test_stops_after_iterations_without_improvement(patience):
    X, y = data()
    model = clone(MODEL).set_params(n_iter_no_change=patience).fit(X, y)
    best = int(np.argmin(model.validation_loss_curve_))
    assert model.n_iter_ == best + patience
    assert model.converged_


def test_the_count_of_iterations_restarts_at_each_improvement():
    X, y = data()
    short, long = (
        clone(MODEL).set_params(n_iter_no_change=patience).fit(X, y)
        for patience in (2, 30)
    )
    since_best = 0
    for number, loss in enumerate(long.validation_loss_curve_):
        improved = loss < min(long.validation_loss_curve_[:number], default=np.inf)
        since_best = 0 if improved else since_best + 1
        if since_best == 2:
            break
    assert short.n_iter_ == number
    assert short.validation_loss_curve_ == long.validation_loss_curve_[: number + 1]
    assert min(long.validation_loss_curve_) <= min(short.validation_loss_curve_)


def test_stopping_early_gives_no_warning():
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = clone(MODEL).set_params(tol=1e-4).fit(X, y)
    assert model.converged_
    # It is the validation loss that ended it, not the gradient.
    assert model.grad_norm_ > 100 * model.tol


def test_max_iter_ends_early_stopping_with_a_warning():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        model = clone(MODEL).set_params(max_iter=2).fit(X, y)
    assert not model.converged_
    assert len(model.validation_loss_curve_) == 3


def test_rows_set_aside_are_stratified_and_not_trained_on():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [200, 60, 40])
    # The first column is the number of the row.
    X = np.column_stack([np.arange(300.0), rng.normal(size=300)])
    model = clone(MODEL).set_params(validation_fraction=0.2).fit(X, y)
    rest, aside = sides(model, X, y)
    # The number of the row tells the classes apart: the loss is 3e-11.
    watched = min(model.validation_loss_curve_)
    assert_allclose(loss_by_hand(model, aside), watched, rtol=1e-3)
    assert_array_equal(np.bincount(aside.y), [40, 12, 8])
    assert_array_equal(np.bincount(rest.y), [160, 48, 32])
    together = np.concatenate([rest.X[:, 0], aside.X[:, 0]])
    assert_array_equal(np.sort(together), X[:, 0])
    # They are in their order in X, and their targets are their own.
    for side in (rest, aside):
        rows = side.X[:, 0].astype(int)
        assert_array_equal(rows, np.sort(rows))
        assert_array_equal(side.classes[side.y], y[rows])


def test_objective_is_that_of_the_rest():
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = clone(MODEL).set_params(alpha=2.0, standardize=False)
    model.fit(X, y, sample_weight=weight)
    rest, _ = sides(model, X, y, weight)
    squares = sum(float((w**2).sum()) for w in model.coefs_)
    share = 2.0 / (2.0 * rest.total_weight)
    assert_allclose(model.loss_, loss_by_hand(model, rest) + share * squares, rtol=1e-9)
    # The penalty's S is the weight of the rows trained on.
    in_rest = np.isin(X[:, 0], rest.X[:, 0])
    assert_allclose(rest.total_weight, weight[in_rest].sum())


@pytest.mark.parametrize("target", TARGETS)
def test_weights_count_on_both_sides(target):
    X, y = data(target)
    weight = np.random.default_rng(0).integers(1, 6, len(X)).astype(float)
    model = clone(MODEL).fit(X, y, sample_weight=weight)
    rest, aside = sides(model, X, y, weight)
    rows = [np.flatnonzero((row == X).all(axis=1))[0] for row in aside.X]
    assert_allclose(aside.weight, weight[rows] / weight[rows].sum())
    assert_allclose(
        loss_by_hand(model, aside), min(model.validation_loss_curve_), rtol=1e-9
    )
    equal = aside._replace(weight=np.full(len(rows), 1.0 / len(rows)))
    assert abs(loss_by_hand(model, equal) - loss_by_hand(model, aside)) > 1e-4
    assert rest.X.shape[0] + aside.X.shape[0] == len(X)


def test_class_weights_count_on_both_sides():
    X, y = data()
    by_class = clone(MODEL).set_params(class_weight={0: 1.0, 1: 3.0}).fit(X, y)
    by_sample = clone(MODEL).fit(X, y, sample_weight=np.where(y == 1, 3.0, 1.0))
    assert by_class.validation_loss_curve_ == by_sample.validation_loss_curve_


def test_rows_of_weight_zero_are_on_neither_side():
    X, y = data()
    kept = np.arange(len(y)) % 3 > 0
    with_zeros = clone(MODEL).fit(X, y, sample_weight=kept.astype(float))
    without = clone(MODEL).fit(X[kept], y[kept])
    assert with_zeros.validation_loss_curve_ == without.validation_loss_curve_
    assert_array_equal(with_zeros.coefs_[0], without.coefs_[0])


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
def test_sparse_data_work(container):
    X, y = data()
    X = X * (np.abs(X) > 0.5)
    dense = clone(MODEL).set_params(max_iter=50).fit(X, y)
    other = clone(MODEL).set_params(max_iter=50).fit(container(X), y)
    n = 8  # rounding is amplified from iteration to iteration
    assert_allclose(
        other.validation_loss_curve_[:n], dense.validation_loss_curve_[:n], rtol=1e-6
    )


def test_single_precision_works():
    X, y = data()
    model = clone(MODEL).fit(X.astype(np.float32), y)
    _, aside = sides(model, X.astype(np.float32), y)
    assert model.coefs_[0].dtype == np.float32
    assert_allclose(
        loss_by_hand(model, aside), min(model.validation_loss_curve_), rtol=1e-5
    )


def test_the_validation_loss_of_columns_far_from_zero_is_the_same():
    # The rows are then trained on less their means; the validation loss must be too.
    X, y = data()
    near = clone(MODEL).set_params(max_iter=5, n_iter_no_change=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        far = clone(near).fit(X + 2.0**22, y)
        near.fit(X, y)
    assert_allclose(far.validation_loss_curve_, near.validation_loss_curve_, rtol=1e-6)


def test_skip_connections_and_constraints_work():
    X, y = data()
    model = clone(MODEL).set_params(
        skip_connections=True, monotonic_cst=[1, 0, -1, 0, 0, 0]
    )
    model.fit(X, y)
    _, aside = sides(model, X, y)
    assert_allclose(
        loss_by_hand(model, aside), min(model.validation_loss_curve_), rtol=1e-9
    )
    assert (model.skip_coef_[0] >= 0).all()
    assert (model.skip_coef_[2] <= 0).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_restarts_are_compared_on_the_same_rows(n_jobs):
    X, y = data()
    model = clone(MODEL).set_params(n_init=5, n_jobs=n_jobs).fit(X, y)
    _, aside = sides(model, X, y)
    assert model.init_losses_.shape == (5,)
    assert len(np.unique(model.init_losses_)) == 5
    assert model.init_losses_.min() == min(model.validation_loss_curve_)
    assert_allclose(loss_by_hand(model, aside), model.init_losses_.min(), rtol=1e-9)


def test_lowest_validation_loss_wins_over_lowest_objective():
    X, y = data(n=80)
    # The starts of n_init=1 are the first of n_init=2, and so on.
    before, *others = (
        clone(MODEL).set_params(n_init=n_init).fit(X, y) for n_init in range(1, 9)
    )
    rose = False
    for model in others:
        assert_array_equal(model.init_losses_[:-1], before.init_losses_)
        wins = model.init_losses_[-1] < before.init_losses_.min()
        assert (model.loss_ != before.loss_) == wins
        assert min(model.validation_loss_curve_) == model.init_losses_.min()
        rose |= model.loss_ > before.loss_
        before = model
    assert rose


def test_random_state_draws_the_rows():
    X, y = data()
    first, same, other = (
        clone(MODEL).set_params(random_state=seed).fit(X, y) for seed in (0, 0, 1)
    )
    assert first.validation_loss_curve_ == same.validation_loss_curve_
    assert not np.array_equal(sides(first, X, y)[1].X, sides(other, X, y)[1].X)
    _, aside = sides(other, X, y)
    assert_allclose(loss_by_hand(other, aside), min(other.validation_loss_curve_))


def test_warm_start_goes_on_from_the_best_iterate():
    X, y = data()
    model = clone(MODEL).set_params(warm_start=True).fit(X, y)
    best = min(model.validation_loss_curve_)
    model.fit(X, y)
    assert_allclose(model.validation_loss_curve_[0], best, rtol=1e-10)


def test_no_validation_curve_without_early_stopping():
    X, y = data()
    model = clone(MODEL).fit(X, y)
    model.set_params(early_stopping=False, alpha=1.0).fit(X, y)
    assert not hasattr(model, "validation_loss_curve_")


@pytest.mark.parametrize(
    ("y", "fraction"),
    [
        ([0] * 29 + [1], 0.1),  # a class of one row
        (["a"] * 14 + ["b"] * 15 + ["c"], 0.5),
        ([0] * 15 + [1] * 15, 0.01),  # not one row for each class
        ([0, 1, 2] * 10, 0.99),  # none left to train on
    ],
)
def test_too_few_rows_are_refused(y, fraction):
    X = np.random.default_rng(0).normal(size=(30, 2))
    model = clone(MODEL).set_params(validation_fraction=fraction)
    message = f"early_stopping=True with validation_fraction={fraction} cannot set"
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("labels", [["good", "bad", "lost"], [20, 10, 70], [2, 1, 0]])
def test_a_class_of_one_row_is_named_by_its_label(labels):
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = np.array(labels[:2] * 15, dtype=object)
    y[7] = labels[2]
    with pytest.raises(ValueError, match=rf"have one row only: \[{labels[2]!r}\]"):
        clone(MODEL).fit(X, y)
