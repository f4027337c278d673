"""OneHiddenMLP(alpha="auto"): the alpha that is chosen, and what it depends on."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedKFold,
    train_test_split,
)

import checks
from checks import (
    assert_refused,
    assert_same_search,
    assert_search_is_consistent,
    assert_sound,
)
from models import (
    CHOOSING,
    LINEAR,
    SHORT_CHOOSING,
    assert_same_bits,
    classes,
    each_activation,
    each_network_solver,
    fit,
    ignores_max_iter,
    labels,
)
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._training.heuristics import LARGEST_LOSS

X, Y = classes(2, 150, flip_y=0.3)
WEIGHTS = np.random.default_rng(0).integers(0, 4, len(Y))


# What is chosen -----------------------------------------------------------------------


@pytest.mark.parametrize("cv", [2, 3, 5])
def test_the_table_of_the_search(cv):
    model = clone(CHOOSING).set_params(cv=cv).fit(X, Y)
    assert_search_is_consistent(model, cv)
    assert len(model.cv_results_["alpha"]) > 2


def test_the_model_is_that_of_the_chosen_alpha():
    model = fit(CHOOSING, X, Y)
    fixed = clone(CHOOSING).set_params(alpha=model.alpha_).fit(X, Y)
    assert_same_bits(model, fixed, X)


@pytest.mark.parametrize("alpha", [0.0, 2, 3.5])
def test_a_given_alpha_is_used_also_after_a_search(alpha):
    model = fit(CHOOSING, X, Y)
    assert hasattr(model, "cv_results_")
    model.set_params(alpha=alpha, tol=1e-2).fit(X, Y)
    assert model.alpha_ == alpha
    assert not hasattr(model, "cv_results_")


def test_a_noisy_table_gets_a_stronger_penalty():
    X, y = load_breast_cancer(return_X_y=True)
    noisy = np.where(np.random.default_rng(0).uniform(size=len(y)) < 0.3, 1 - y, y)
    X, X_test, y, y_test = train_test_split(X, noisy, test_size=0.5, random_state=0)
    model = OneHiddenMLP(20, cv=3, random_state=0).fit(X, y)
    fixed = clone(model).set_params(alpha=1.0).fit(X, y)
    assert model.alpha_ > 5.0
    chosen, given = (log_loss(y_test, m.predict_proba(X_test)) for m in (model, fixed))
    assert chosen < 0.8 * given


@pytest.mark.parametrize(("n_rows", "n_levels"), [(300, 10), (600, 150)])
def test_one_categorical_column_is_learned(n_rows, n_levels):
    rng = np.random.default_rng(0)
    share = rng.uniform(size=n_levels)
    level, test = (rng.integers(n_levels, size=n) for n in (n_rows, 5000))
    y, y_test = (rng.uniform(size=len(c)) < share[c] for c in (level, test))
    X = np.eye(n_levels)
    model = OneHiddenMLP(random_state=0).fit(X[level], y)
    loss = log_loss(y_test, model.predict_proba(X[test]))
    constant = log_loss(y_test, np.full(len(test), y.mean()))
    known = log_loss(y_test, share[test])
    assert loss < 0.5 * (constant + known)


@pytest.mark.parametrize("n_levels", [(10,), (5, 4)])
@pytest.mark.parametrize("one_hot", [True, False])
def test_categories_that_tell_the_class_for_sure_are_learned(n_levels, one_hot):
    rng = np.random.default_rng(2)
    table = rng.integers(2, size=n_levels)
    levels = [rng.integers(n, size=600) for n in n_levels]
    columns = [np.eye(n)[c] for n, c in zip(n_levels, levels, strict=True)]
    X = np.hstack(columns) if one_hot else np.column_stack(levels)
    y = table[tuple(levels)]
    model = OneHiddenMLP(20, random_state=0).fit(X, y)
    weak = clone(model).set_params(alpha=0.01).fit(X, y)
    chosen, fitted = (log_loss(y, m.predict_proba(X)) for m in (model, weak))
    assert chosen < 1.5 * fitted + 0.02


@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_noise_give_the_shares_of_the_classes(n_classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 10)), rng.integers(n_classes, size=200)
    probability = fit(CHOOSING, X, y).predict_proba(X)
    shares = np.bincount(y) / len(y)
    assert_allclose(probability, np.tile(shares, (200, 1)), atol=0.1)


def test_parity_is_learned_though_the_loss_rises_first():
    """No column tells the class alone: strong penalties only overfit."""
    X = np.random.default_rng(0).integers(2, size=(600, 6)).astype(float)
    y = X[:, :3].sum(axis=1) % 2
    model = OneHiddenMLP(20, random_state=0).fit(X[:300], y[:300])
    assert np.diff(model.cv_results_["mean_log_loss"])[0] > 0.0
    assert log_loss(y[300:], model.predict_proba(X[300:])) < 0.05


@pytest.mark.parametrize("seed", [2, 4])
def test_a_chessboard_is_learned_though_the_first_networks_are_constant(seed):
    X = np.random.default_rng(seed).uniform(0.0, 4.0, (1300, 2))
    y = X.astype(int).sum(axis=1) % 2
    model = OneHiddenMLP(random_state=0).fit(X[:300], y[:300])
    assert log_loss(y[300:], model.predict_proba(X[300:])) < 0.4


@pytest.mark.parametrize("seed", [0, 1])
def test_a_curve_is_learned_after_a_line(seed):
    """The loss hardly falls from one alpha to the next in between."""
    X = np.random.default_rng(seed).uniform(-3.0, 3.0, (300, 2))
    y = np.sin(3.0 * X[:, 0]) > X[:, 1] / 2.0
    model = OneHiddenMLP(random_state=0).fit(X, y)
    assert model.cv_results_["mean_log_loss"].min() < 0.25


def test_a_larger_table_gets_a_search_of_some_rows():
    X, y = classes(2, 20_000, flip_y=0.3)
    model = clone(CHOOSING).set_params(tol=1e-2).fit(X, y)
    assert_search_is_consistent(model)


# cv -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["", "with weights of 0"])
def test_every_form_of_splits(weight):
    splits = list(StratifiedKFold(3).split(X, Y))
    masks = [[np.isin(np.arange(len(Y)), rows) for rows in split] for split in splits]
    models = [
        clone(CHOOSING).set_params(cv=cv).fit(X, Y, sample_weight=weight)
        for cv in (splits, masks, [[list(rows) for rows in s] for s in splits])
    ]
    for model in models:
        assert_search_is_consistent(model)
        assert_same_search(models[0], model)
    if weight is None:
        by_splitter = clone(CHOOSING).set_params(cv=StratifiedKFold(3)).fit(X, Y)
        assert_same_search(models[0], by_splitter)


def test_the_losses_are_those_of_the_splits():
    splits = [
        (np.arange(50, 150), np.arange(50)),
        (np.arange(100), np.arange(100, 150)),
    ]
    model = clone(CHOOSING).set_params(cv=splits).fit(X, Y)
    assert_search_is_consistent(model, 2)
    # At the strongest penalty the network predicts the shares of the classes.
    for number, (rest, aside) in enumerate(splits):
        p = np.full(len(aside), Y[rest].mean())
        expected = log_loss(Y[aside], p)
        loss = model.cv_results_[f"split{number}_log_loss"][0]
        assert loss == pytest.approx(expected, rel=0.1)


def test_no_cv_is_five_folds():
    assert_search_is_consistent(clone(CHOOSING).set_params(cv=None).fit(X, Y), 5)


@pytest.mark.parametrize("alpha", ["auto", 1.0])
def test_an_iterator_of_splits_is_used_once(alpha):
    """Also by processes, to which it cannot be sent."""
    model = clone(CHOOSING).set_params(alpha=alpha, n_init=2)
    by_list = clone(model).set_params(cv=list(StratifiedKFold(3).split(X, Y)))
    by_list = fit(by_list, X, Y)
    model.set_params(cv=StratifiedKFold(3).split(X, Y), n_jobs=2)
    assert_same_bits(model.fit(X, Y), by_list, X)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    if alpha == "auto":
        with pytest.raises(ValueError, match=r"no splits\. It can be used once"):
            model.fit(X, Y)


N = len(checks.Y)
FIRST, REST = np.arange(20), np.arange(20, N)


class Splitting:
    """Has one of the two methods of a splitter."""

    def split(self, X, y=None, groups=None):
        yield FIRST, REST


REFUSED = {
    "0": (0, "'cv' parameter"),
    "1": (1, "'cv' parameter"),
    "-3": (-3, "'cv' parameter"),
    "a word": ("five", "'cv' parameter"),
    "a fraction": (2.5, "'cv' parameter"),
    "half a splitter": (Splitting(), "'cv' parameter"),
    "no splits": ([], r"cv=\[\] has no splits"),
    "too many folds": (KFold(500), r"cv=KFold\(n_splits=500.*500"),
    "groups": (GroupKFold(3), r"cv=GroupKFold.*groups.*cv=list\(splitter.split"),
    "no training rows": ([([], REST)], "cv: split 0: .*no rows"),
    "no other rows": ([(REST, FIRST), (REST, [])], "cv: split 1: .*no rows"),
    "a class left out": (
        [(REST, FIRST), (np.flatnonzero(checks.Y != 1), FIRST)],
        "cv: split 1: .*every class",
    ),
    "a row that does not exist": (
        [(REST, [N])],
        f"cv: split 0: .*{N}\\. Splits number the rows .* pass a number or a splitter",
    ),
    "a mask of another length": ([(REST, [True] * (N + 1))], "cv: split 0: "),
    "fractions of rows": ([(REST, [0.5, 1.5])], "cv: split 0: "),
    "numbers": ([1, 2], "cv: split 0: "),
    "one side": ([(REST,)], "cv: split 0: "),
    "a class": (KFold, r"cv=KFold is a class: pass KFold\(\)"),
    "a column of rows": ([(REST[:, None], FIRST)], "cv: split 0: .*one-dimensional"),
    "one row": ([(REST, 3)], "cv: split 0: .*one-dimensional"),
    "three sides": ([(REST, FIRST, FIRST)], "cv: split 0: "),
}


def test_numbers_of_rows_that_a_splitter_does_not_get_are_refused():
    cv = PredefinedSplit(np.arange(N) % 3)
    weight = np.where(np.arange(N) < 10, 0.0, 1.0)
    model = clone(CHOOSING).set_params(cv=cv)
    match = r"\. A splitter gets the rows of positive weight.*cv=list\(splitter"
    with pytest.raises(ValueError, match=match):
        model.fit(checks.X, checks.Y, weight)
    model.set_params(cv=list(cv.split())).fit(checks.X, checks.Y, weight)


@pytest.mark.parametrize("name", REFUSED)
def test_other_cv_is_refused(name):
    cv, message = REFUSED[name]
    model = clone(CHOOSING).set_params(cv=cv)
    assert_refused(model, message, checks.X, checks.Y)


def test_a_splitter_sees_the_labels_and_errors_name_them():
    seen = []

    class Splitter:
        def split(self, X, y, groups=None):
            seen.append(y)
            yield np.flatnonzero(y != "b"), np.flatnonzero(y == "b")

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    labels = np.array(["a", "b", "c"])[checks.Y]
    model = clone(CHOOSING).set_params(cv=Splitter())
    with pytest.raises(ValueError, match=r"split 0: .* every class: \['b'\] are mis"):
        model.fit(checks.X, labels)
    np.testing.assert_array_equal(seen[-1], labels)
    model.set_params(cv=[(np.flatnonzero(checks.LABELS[:, 1] == 0), FIRST)])
    missing = r"split 0: .* do not contain both values of the labels \[1\]"
    assert_refused(model, missing, checks.X, checks.LABELS)


def test_weights_of_an_infinite_sum_are_refused():
    weight = np.full(N, 1e308)
    for model in (CHOOSING, LINEAR):
        assert_refused(model, "sum is inf", checks.X, checks.Y, sample_weight=weight)
    fixed = clone(CHOOSING).set_params(alpha=1.0)
    assert fit(fixed, checks.X, checks.Y, sample_weight=weight).alpha_ == 1.0


# Too few rows -------------------------------------------------------------------------


FEW = {
    "two rows": ([0, 50], [0, 1]),
    "a class with one row": (np.arange(40), np.arange(40) == 7),
    "a class with one distinct row": (
        np.append(np.arange(40), [7, 7]),
        np.isin(np.append(np.arange(40), [7, 7]), [7]),
    ),
    "copies of two rows": (np.repeat([0, 50], 15), np.repeat([0, 1], 15)),
}


@pytest.mark.parametrize("name", FEW)
def test_too_few_rows_to_cross_validate(name, capsys):
    rows, y = FEW[name]
    model = clone(CHOOSING).set_params(verbose=1, tol=1e-2).fit(X[rows], y)
    assert model.alpha_ == 1.0
    assert model.cv_results_ == {}
    said = capsys.readouterr().out.splitlines()[0]
    assert said.startswith("OneHiddenMLP: alpha=1, because")
    fixed = clone(model).set_params(alpha=1.0, verbose=0).fit(X[rows], y)
    assert_same_bits(model, fixed, X[rows])


@ignores_max_iter
def test_too_few_rows_have_a_penalty_in_the_unit_of_the_weights():
    rows, y = FEW["a class with one row"]
    one = fit(SHORT_CHOOSING, X[rows], y)
    other = fit(SHORT_CHOOSING, X[rows], y, sample_weight=np.full(len(y), 1.0 / len(y)))
    assert_allclose(other.alpha_, 1.0 / len(y), rtol=1e-9)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-7)


# Validation rows, early stopping ------------------------------------------------------


@pytest.mark.parametrize("target", [2, 3, "labels"])
@pytest.mark.parametrize("model", [CHOOSING, LINEAR], ids=lambda m: type(m).__name__)
def test_validation_rows_choose_alpha(model, target):
    X, y = labels(150) if target == "labels" else classes(target, 150, flip_y=0.3)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    model = fit(model, X, y, X_val=X_val, y_val=y_val)
    assert_search_is_consistent(model, 1)
    assert not hasattr(model, "log_evidence_")
    assert not hasattr(model, "validation_loss_curve_")
    fixed = clone(model).set_params(alpha=model.alpha_).fit(X, y)
    assert_same_bits(model, fixed, X)
    # Without them, alpha is chosen as before.
    model.fit(X, y)
    assert hasattr(model, "log_evidence_") == isinstance(model, LogisticNN)
    assert hasattr(model, "cv_results_") == isinstance(model, OneHiddenMLP)


def test_the_linear_loss_of_validation_rows_is_that_of_the_model():
    rest, val = slice(0, 100), slice(100, None)
    model = fit(LINEAR, X[rest], Y[rest], X_val=X[val], y_val=Y[val])
    tried, losses = (model.cv_results_[k] for k in ("alpha", "split0_log_loss"))
    for alpha, loss in zip(tried, losses, strict=True):
        fixed = clone(LINEAR).set_params(alpha=alpha).fit(X[rest], Y[rest])
        losses = -fixed.predict_log_proba(X[val])
        observed = fixed.classes_[:, None] == Y[val]
        own, other = losses.T[observed], losses.T[~observed]
        assert losses.max() < LARGEST_LOSS
        # One row more, with the mean loss of all rows for the other classes.
        expected = (len(own) * own.mean() + other.mean()) / (len(own) + 1.0)
        assert_allclose(loss, expected, rtol=1e-4)


def log_loss_over_that_of_shares(X, y, n_rows):
    """Fit the first rows; return the log-loss of the others, and that of shares."""
    model = OneHiddenMLP(20, random_state=0).fit(X[:n_rows], y[:n_rows])
    assert_search_is_consistent(model, 5)
    shares = np.bincount(y[:n_rows]) / n_rows
    found = log_loss(y[n_rows:], model.predict_proba(X[n_rows:]))
    return model, found / log_loss(y[n_rows:], np.tile(shares, (len(y) - n_rows, 1)))


@pytest.mark.parametrize("seed", [0, 2])
def test_noise_in_many_columns_is_not_learned(seed):
    """The path goes on to stronger penalties than the first one."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(1060, 2000)), rng.integers(0, 2, 1060)
    model, ratio = log_loss_over_that_of_shares(X, y, 60)
    assert model.alpha_ > 0.375 * 60
    assert ratio < 1.05


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_learned_for_a_rare_class(seed):
    X = np.random.default_rng(seed).normal(size=(6000, 4))
    y = (np.arange(6000) % 3000 < 3).astype(int)
    _, ratio = log_loss_over_that_of_shares(X, y, 3000)
    assert ratio < 1.05


def test_weights_of_validation_rows_are_repeated_rows():
    rest, val = slice(0, 100), slice(100, None)
    times = WEIGHTS[val]
    rows = np.repeat(np.arange(100, 150), times)
    weighted = fit(
        CHOOSING, X[rest], Y[rest], X_val=X[val], y_val=Y[val], sample_weight_val=times
    )
    repeated = fit(CHOOSING, X[rest], Y[rest], X_val=X[rows], y_val=Y[rows])
    assert weighted.alpha_ == repeated.alpha_
    losses = [m.cv_results_["split0_log_loss"] for m in (weighted, repeated)]
    assert_allclose(*losses, rtol=1e-9)


@pytest.mark.parametrize("model", [CHOOSING, LINEAR], ids=lambda m: type(m).__name__)
def test_validation_rows_without_a_use_are_refused(model):
    model = clone(model).set_params(alpha=1.0)
    val = {"X_val": checks.X[:9], "y_val": checks.Y[:9]}
    assert_refused(model, "X_val is given", checks.X, checks.Y, **val)


def test_early_stopping_has_a_small_alpha_and_no_search():
    model = clone(CHOOSING).set_params(early_stopping=True).fit(X, Y)
    assert 0.0 < model.alpha_ < 1.0
    assert not hasattr(model, "cv_results_")
    fixed = clone(model).set_params(alpha=model.alpha_).fit(X, Y)
    assert_same_bits(model, fixed, X)
    scaled = clone(model).fit(X, Y, sample_weight=np.full(len(Y), 1.0 / len(Y)))
    assert_allclose(scaled.alpha_, model.alpha_ / len(Y))
    rest, val = slice(0, 100), slice(100, None)
    watching = clone(model).fit(X[rest], Y[rest], X_val=X[val], y_val=Y[val])
    assert watching.alpha_ == model.alpha_


# With everything else -----------------------------------------------------------------


@each_network_solver
def test_every_solver_searches(solver):
    model = clone(CHOOSING).set_params(solver=solver, tol=1e-2).fit(X, Y)
    assert_search_is_consistent(model)
    assert_sound(model, X, Y)
    assert model.solver_ == solver


@each_activation
def test_every_activation_searches(activation):
    model = clone(CHOOSING).set_params(activation=activation, tol=1e-2).fit(X, Y)
    assert_search_is_consistent(model)
    assert_sound(model, X, Y)


WITH = {
    "skip connections": {"skip_connections": True},
    "raw weights": {"standardize": False},
    "class weights": {"class_weight": "balanced"},
    "a dict of class weights": {"class_weight": {0: 3.0}},
    "constraints": {"monotonic_cst": [1, -1, 0, 0, 0, 0]},
    "starts": {"n_init": 2},
}


@pytest.mark.parametrize("name", WITH)
def test_every_feature_searches(name):
    model = clone(CHOOSING).set_params(**WITH[name]).fit(X, Y)
    assert_search_is_consistent(model)
    assert_sound(model, X, Y)
    fixed = clone(model).set_params(alpha=model.alpha_).fit(X, Y)
    assert_same_bits(model, fixed, X)


def test_starts_share_one_search():
    one = fit(CHOOSING, X, Y)
    many = clone(CHOOSING).set_params(n_init=3).fit(X, Y)
    assert_same_search(one, many)
    assert many.init_losses_.shape == (3,)
    assert many.init_losses_[0] == one.loss_


def test_labels_search():
    X, y = labels(150)
    model = fit(CHOOSING, X, y)
    assert_search_is_consistent(model)
    assert_sound(model, X, y)


def test_a_warm_start_searches_again():
    model = clone(CHOOSING).set_params(warm_start=True).fit(X, Y)
    first, reached = clone(model).fit(X, Y), model.loss_
    model.fit(X, Y)
    assert_same_search(first, model)
    assert_allclose(model.loss_curve_[0], reached, rtol=1e-10)
    assert model.loss_ <= model.loss_curve_[0]


def test_max_iter_warns_once():
    with pytest.warns(UserWarning, match="max_iter=1:") as caught:
        model = clone(CHOOSING).set_params(max_iter=1).fit(X, Y)
    assert len(caught) == 1
    assert model.n_iter_ == 1
    assert_search_is_consistent(model)


def test_a_generator_draws_the_starts_that_a_given_alpha_draws():
    # So that a search does not change the starts of the last fit.
    model = clone(CHOOSING).set_params(random_state=np.random.RandomState(0))
    assert_same_bits(model.fit(X, Y), fit(CHOOSING, X, Y), X)
