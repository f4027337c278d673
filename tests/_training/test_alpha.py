"""The search for alpha: its path, its end, its folds, and what stops it."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_info, threadpool_limits

from checks import assert_chosen
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._training.alpha import (
    Fold,
    FoldTraining,
    Search,
    cross_validation_folds,
    given_folds,
    search_alpha,
)
from sknn_simple._training.callbacks import FitTask
from sknn_simple._training.heuristics import (
    ALPHAS_WITHOUT_FALL,
    LEAST_FALL,
    PATH_FACTOR,
    PATH_LENGTH,
    PATH_START,
)
from sknn_simple._training.problem import build_problem
from sknn_simple._training.train import train

# Rows, columns and classes.
_FEW_COLUMNS = [
    pytest.param((120, 6, 2), id="two classes"),
    pytest.param((120, 6, 3), id="three classes"),
]
_FEW_ROWS = pytest.param((60, 120, 2), id="fewer rows than columns")


@pytest.fixture(params=_FEW_COLUMNS)
def data(request, training_set):
    """A noisy table of few rows."""
    n_rows, n_columns, n_classes = request.param
    return training_set(
        *make_classification(
            n_rows,
            n_columns,
            n_informative=4,
            n_classes=n_classes,
            flip_y=0.3,
            random_state=0,
        )
    )


@pytest.fixture
def spec(data, hidden_spec):
    return hidden_spec(data, n_hidden=4, tol=1e-4)


@pytest.fixture
def search(spec, start_of):
    """Return a function that searches, without callbacks."""

    def run(data, folds, said=None, n_jobs=1, spec=spec):
        training = FoldTraining(spec.coarse(), start_of(spec), _NO_CALLBACKS)
        announce = [].append if said is None else said.append
        return search_alpha(training, folds, n_jobs, announce)

    return run


# Without a context there are no callbacks.
_NO_CALLBACKS = FitTask(None, {}, dict, dict)


# The path -----------------------------------------------------------------------------


def test_the_path_falls_from_a_fraction_of_the_weight_of_a_fold(data, spec, search):
    found = search(data, cross_validation_folds(spec, data, 3))
    of_fold = 2.0 / 3.0 * data.total_weight
    expected = PATH_START * of_fold / PATH_FACTOR ** np.arange(PATH_LENGTH)
    assert_allclose(found.tried, expected[: len(found.tried)], rtol=1e-12)
    assert found.losses.shape == (len(found.tried), 3)


def test_the_lowest_mean_is_chosen_and_the_path_ends_if_it_stays(data, spec, search):
    found = search(data, cross_validation_folds(spec, data, 3))
    means = found.losses.mean(axis=1)
    assert found.outcome == "lowest"
    assert_chosen(found.alpha, found.tried, means)
    assert 2 < len(found.tried) < PATH_LENGTH
    assert means[:-1].min() - means[-1] <= LEAST_FALL * means[0]


@pytest.fixture
def search_curve(data, spec):
    """Return a function that searches along given losses of some folds.

    A loss depends on the number of steps along the path and on the fold.
    """
    start = PATH_START * data.total_weight

    def run(loss, n_folds=1, objective=0.0):
        class WithLoss(FoldTraining):
            def __call__(self, number, fold, alpha, task, stop):
                steps = np.log(start / alpha) / np.log(PATH_FACTOR)
                found = loss(steps, number)
                fit = {"outcome": "gradient", "held_out_loss": found, "loss": objective}
                return SimpleNamespace(**fit), False

        training = WithLoss(spec, np.zeros(0), _NO_CALLBACKS)
        folds = [Fold(data, data)] * n_folds
        return search_alpha(training, folds, 1, [].append)

    return run


@pytest.fixture
def of_shares(data):
    """Return the log-loss of the shares of the classes."""
    labels = data.labels()
    shares = [data.weight[labels == c].sum() for c in np.unique(labels)]
    return -float(np.dot(shares, np.log(shares)))


@pytest.mark.parametrize(
    ("first", "losses", "n_tried"),
    [
        (1.0, [1.0, 0.7, 0.6, 0.595], 4),
        (1.0, [1.0, 0.7, 0.8], 3),
        # Nothing is learned: the loss may fall later.
        (1.0, [0.7, 0.71, 0.74, 0.8], 4),
        (1.0, [0.7, 0.72, 0.71, 0.15, 0.05, 0.046], 6),
        # The loss falls by much in several steps.
        (1.0, [0.7, 0.67, 0.665, 0.663, 0.661, 0.6, 0.62], 7),
        (1.0, [0.7, 0.695, 0.69, 0.685, 0.684, 0.6835], 6),
        # The weights are still 0.
        (1.0, [0.7] * PATH_LENGTH, PATH_LENGTH),
        (
            1.0,
            [0.7] * (ALPHAS_WITHOUT_FALL + 3) + [0.6, 0.4, 0.5],
            ALPHAS_WITHOUT_FALL + 6,
        ),
        (1.0, [0.7, 0.7, 0.72, 0.71, 0.15, 0.05, 0.046], 7),
        # The first alpha has learned little, or enough, or nearly all.
        (0.95, [1.0, 1.1, 1.2, 1.3], 4),
        (0.85, [1.0, 1.1], 2),
        (0.1, [1.0, 0.5, 0.41], 3),
        (0.2, [1.0, 0.5, 0.41, 0.4], 4),
    ],
)
def test_the_path_ends_if_the_loss_no_longer_falls(
    first, losses, n_tried, search_curve, of_shares
):
    """`first` is the first loss, relative to that of the class shares."""
    unit = first * of_shares / losses[0]
    after = [losses[-1] - 0.5, *[0.0] * PATH_LENGTH]
    known = [*losses, *after][:PATH_LENGTH]
    found = search_curve(lambda steps, fold: unit * known[round(steps)])
    assert len(found.tried) == n_tried
    assert_allclose(found.losses[:, 0], unit * np.array(losses[:n_tried]), rtol=1e-12)


@pytest.mark.parametrize(("objective", "n_tried"), [(0.58, 3), (0.61, 5)])
def test_the_path_goes_on_while_the_held_out_loss_is_below_j(
    objective, n_tried, search_curve
):
    losses = [0.7, 0.6, 0.6, 0.6, 0.7]
    found = search_curve(lambda steps, _: losses[round(steps)], objective=objective)
    assert len(found.tried) == n_tried


@pytest.mark.parametrize(
    ("fall", "in_errors", "goes_on"),
    [(0.03, 2.1, True), (0.03, 1.9, False), (0.06, 0.5, True), (0.009, 9.0, False)],
)
def test_a_small_fall_must_be_larger_than_its_error(
    fall, in_errors, goes_on, search_curve, of_shares
):
    """`fall` is a part of the first loss. The next alpha ends the path in any case."""
    n_folds, error = 4, fall / in_errors
    # Their standard error is 1.
    spread = np.array([-1.0, -1.0, 1.0, 1.0]) * np.sqrt(n_folds * 0.75)
    path = np.array([1.0, 0.7, 0.7 - fall, 0.7 - fall])

    def loss(steps, fold):
        is_last = round(steps) >= 2
        moved = path[min(round(steps), 3)] + is_last * error * spread[fold]
        return of_shares * moved

    found = search_curve(loss, n_folds)
    assert len(found.tried) == (4 if goes_on else 3)


@pytest.mark.parametrize("minimum", [2.0, 1.8, 2.2, 1.7, 2.3, 2.45, 0.3, 0.2])
def test_the_nearest_half_step_to_the_minimum_is_chosen(minimum, data, search_curve):
    """`minimum` is in steps of the path; a parabola has its minimum there."""
    found = search_curve(lambda steps, fold: 0.5 + 0.1 * (steps - minimum) ** 2)
    # The strongest value has no neighbour on one side.
    expected = np.round(2.0 * minimum) / 2.0 if minimum > 0.5 else 0.0
    start = PATH_START * data.total_weight
    assert_allclose(found.alpha, start / PATH_FACTOR**expected, rtol=1e-12)


def test_one_validation_set_ends_the_path_if_its_loss_hardly_falls(data, spec, search):
    found = search(data, cross_validation_folds(spec, data, 3)[:1])
    losses = found.losses[:, 0]
    assert 1 < len(found.tried) < PATH_LENGTH
    assert losses[:-1].min() - losses[-1] <= LEAST_FALL * losses[0]


@pytest.mark.parametrize("data", [*_FEW_COLUMNS, _FEW_ROWS], indirect=True)
def test_each_loss_is_that_of_a_fit_of_the_other_folds(data, spec, search, start_of):
    folds = cross_validation_folds(spec, data, 3)
    found = search(data, folds)
    smoothed = spec.coarse()._replace(smoothing=1.0 / (len(data.weight) + 1.0))
    for alpha, losses in zip(found.tried, found.losses, strict=True):
        for fold, loss in zip(folds, losses, strict=True):
            as_strong = smoothed._replace(alpha=alpha)
            alone = train(as_strong, fold.data, fold.validation, start_of(spec))
            assert alone.held_out_loss == loss


@pytest.mark.parametrize("data", [_FEW_ROWS], indirect=True)
def test_a_search_in_the_space_of_the_rows_builds_each_problem_once(
    data, spec, search, monkeypatch
):
    built = []

    def build(spec, data, workers):
        built.append(data)
        return build_problem(spec, data, workers)

    monkeypatch.setattr("sknn_simple._training.train.build_problem", build)
    found = search(data, cross_validation_folds(spec, data, 3))
    assert len(found.tried) > 1
    assert len(built) == 3


def test_one_row_more_is_held_out_by_all_folds(data, spec, start_of):
    training = FoldTraining(spec, start_of(spec), _NO_CALLBACKS)
    n_rows = len(data.weight)
    folds = cross_validation_folds(spec, data, 3)
    for several, n_held_out in ((folds, n_rows), (4 * folds, n_rows), (folds[:1], 40)):
        smoothing = training.with_limited_losses(several).spec.smoothing
        assert smoothing == pytest.approx(1.0 / (n_held_out + 1.0))


def test_the_weights_may_have_any_scale(data, spec, search):
    folds = cross_validation_folds(spec, data, 3)
    scale = 1.0 / 128.0

    def lighter(side):
        total = scale * side.total_weight
        return side._replace(total_weight=total, mean_weight=scale)

    smaller = [
        fold._replace(data=lighter(fold.data), validation=lighter(fold.validation))
        for fold in folds
    ]
    one = search(data, folds)
    other = search(data, smaller)
    assert_allclose(other.tried, scale * one.tried, rtol=1e-12)
    assert_allclose(other.losses, one.losses, rtol=1e-9)


def test_a_flat_start_of_the_path_does_not_end_it(training_set, hidden_spec, search):
    # Columns of one value: all weights are 0, whatever alpha.
    data = training_set(np.ones((60, 3)), np.arange(60) % 2)
    spec = hidden_spec(data, n_hidden=4)
    half = np.arange(60) < 30
    folds = [Fold(data.rows(half), data.rows(~half))]
    found = search(data, folds, spec=spec)
    assert len(found.tried) == PATH_LENGTH
    assert_allclose(found.losses, np.log(2.0), rtol=1e-3)


def test_certainty_that_the_rows_do_not_show_ends_the_path(
    training_set, hidden_spec, search
):
    # The classes are far apart: with alpha the loss falls towards 0, but not that of
    # the row that is added.
    X, y = make_classification(120, 4, class_sep=20.0, flip_y=0.0, random_state=0)
    data = training_set(X, y)
    spec = hidden_spec(data, n_hidden=4)
    found = search(data, cross_validation_folds(spec, data, 3), spec=spec)
    means = found.losses.mean(axis=1)
    assert len(means) < PATH_LENGTH
    assert means[-2] - means.min() <= LEAST_FALL * means[0]
    assert means.min() > 1.0 / 121.0


def test_without_folds_nothing_is_tried(data, search, spec):
    said = []
    found = search(data, [], said)
    assert (found.alpha, found.outcome) == (spec.alpha, "lowest")
    assert found.table() == {}
    assert said == []


def test_a_line_tells_of_each_alpha_and_of_the_choice(data, spec, search):
    said = []
    found = search(data, cross_validation_folds(spec, data, 3), said)
    *lines, last = said
    assert len(lines) == len(found.tried)
    for line, alpha, losses in zip(lines, found.tried, found.losses, strict=True):
        assert line.startswith(f"alpha={alpha:.3g}: ")
        assert f" {losses.mean():.4f} ± " in line
    assert last.startswith(f"alpha={found.alpha:.3g} ")


def test_the_table_has_the_statistics_of_the_splits():
    losses = np.array([[0.7, 0.5], [0.3, 0.6], [0.9, 0.2]])
    table = Search(1.0, np.array([4.0, 2.0, 1.0]), losses).table()
    assert list(table) == [
        "alpha",
        "mean_log_loss",
        "std_log_loss",
        "split0_log_loss",
        "split1_log_loss",
    ]
    assert_array_equal(table["split1_log_loss"], losses[:, 1])
    assert_array_equal(table["mean_log_loss"], losses.mean(axis=1))
    assert_array_equal(table["std_log_loss"], losses.std(axis=1))


@pytest.mark.parametrize("tol", [1e-6, 1e-3, 1e-1])
def test_a_coarse_fit_is_not_more_accurate_than_the_last_one(data, hidden_spec, tol):
    spec = hidden_spec(data, tol=tol, max_iter=7)
    rough = spec.coarse().criteria
    assert rough.tol >= tol
    assert rough.min_decrease >= spec.criteria.min_decrease
    assert rough.max_iter == 7


# Whatever runs the fits ---------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_do_not_change_a_bit(data, spec, search, n_threads):
    folds = cross_validation_folds(spec, data, 5)
    with threadpool_limits(1):
        alone = search(data, folds)
    with threadpool_limits(n_threads):
        limits = threadpool_info()
        together = search(data, folds)
        assert threadpool_info() == limits
    assert_array_equal(together.losses, alone.losses)
    assert together.alpha == alone.alpha


def test_a_fold_training_can_be_pickled(data, spec, start_of):
    training = FoldTraining(spec.coarse(), start_of(spec), _NO_CALLBACKS)
    again = pickle.loads(pickle.dumps(training))
    assert_array_equal(again.start, training.start)
    assert again.spec.criteria == training.spec.criteria


@pytest.mark.parametrize("at", [1, 2, 20, 50])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_interrupt_keeps_the_alphas_so_far(
    data, spec, search, on_evaluation, at, n_threads
):
    folds = cross_validation_folds(spec, data, 3)
    whole, n_evaluations = search(data, folds), []

    def press(objective):
        n_evaluations.append(objective)
        if len(n_evaluations) == at:
            raise KeyboardInterrupt

    on_evaluation(press)
    with threadpool_limits(n_threads):
        limits = threadpool_info()
        found = search(data, folds)
        assert threadpool_info() == limits
    n_tried = len(found.tried)
    assert found.outcome == "interrupted"
    assert n_tried < len(whole.tried)
    assert_array_equal(found.losses, whole.losses[:n_tried].reshape(found.losses.shape))
    if n_tried:
        assert_chosen(found.alpha, found.tried, found.losses.mean(axis=1))
    else:
        assert found.alpha == spec.alpha
    # The fits of the same alpha ended soon, in other threads, too.
    n_evaluations.append(None)
    assert len(n_evaluations) < at + 20


def test_an_interrupt_while_a_line_is_printed_keeps_its_alpha(data, spec, start_of):
    said = []

    def press(line):
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    training = FoldTraining(spec.coarse(), start_of(spec), _NO_CALLBACKS)
    folds = cross_validation_folds(spec, data, 3)
    found = search_alpha(training, folds, 1, press)
    assert (found.outcome, len(found.tried)) == ("interrupted", 2)


# Folds --------------------------------------------------------------------------------


def rows_of(fold, data):
    """The numbers of the rows of both sides, from a last column that counts them."""
    return [np.sort(side.X[:, -1]).astype(int) for side in fold[:2]]


@pytest.fixture
def counted(data):
    X = np.column_stack([data.X, np.arange(len(data.weight))])
    return data._replace(X=X)


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_every_row_is_held_out_once(counted, hidden_spec, n_folds):
    folds = cross_validation_folds(hidden_spec(counted), counted, n_folds)
    assert len(folds) == n_folds
    n_rows = len(counted.weight)
    for fold in folds:
        rest, aside = rows_of(fold, counted)
        assert_array_equal(np.sort(np.append(rest, aside)), np.arange(n_rows))
        assert abs(len(aside) - n_rows / n_folds) < 1.0
        for side in fold[:2]:
            assert side.weight.sum() == pytest.approx(1.0)
            assert side.total_weight == pytest.approx(side.X.shape[0])
    held_out = np.concatenate([rows_of(fold, counted)[1] for fold in folds])
    assert_array_equal(np.sort(held_out), np.arange(n_rows))


def test_folds_do_not_depend_on_order_unit_and_origin(counted, hidden_spec):
    order = np.random.default_rng(0).permutation(len(counted.weight))
    factor, shift = 10.0 ** np.arange(-3.0, 4.0), np.arange(7.0)
    moved = counted._replace(
        X=(counted.X * factor + shift)[order],
        y=counted.y[order],
        weight=counted.weight[order],
    )
    one, other = (
        cross_validation_folds(hidden_spec(rows), rows, 3) for rows in (counted, moved)
    )
    for fold, again in zip(one, other, strict=True):
        for side, same in zip(fold[:2], again[:2], strict=True):
            numbers = np.round((same.X[:, -1] - shift[-1]) / factor[-1])
            assert_array_equal(np.sort(numbers), np.sort(side.X[:, -1]))


@pytest.mark.parametrize("n_rows", [2, 3, 4])
def test_fewer_rows_than_folds_have_no_folds(training_set, hidden_spec, n_rows):
    data = training_set(np.eye(n_rows, 3), np.arange(n_rows) % 2)
    assert cross_validation_folds(hidden_spec(data), data, 5) == []


def test_a_class_with_one_distinct_row_has_no_folds(training_set, hidden_spec):
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[3:5] = X[0]
    y = np.isin(np.arange(30), [0, 3, 4]).astype(int)
    data = training_set(X, y)
    assert cross_validation_folds(hidden_spec(data), data, 5) == []
    X[4] += 1.0
    assert len(cross_validation_folds(hidden_spec(data), data, 5)) == 5


def test_given_folds_are_those_of_the_splitter(counted):
    splitter = StratifiedKFold(3)
    expected = list(splitter.split(counted.X, counted.y.ravel()))
    for cv in (splitter, expected, iter(expected), masks(expected, counted)):
        folds = given_folds(cv, counted)
        assert len(folds) == 3
        for fold, split in zip(folds, expected, strict=True):
            for rows, numbers in zip(rows_of(fold, counted), split, strict=True):
                assert_array_equal(rows, numbers)


def masks(splits, data):
    n_rows = len(data.weight)
    return [[np.isin(np.arange(n_rows), rows) for rows in split] for split in splits]


def test_given_rows_are_those_passed_to_fit():
    # Rows 0 and 3 have weight 0 and are lost.
    X, weight = np.arange(8.0)[:, None], np.array([0.0, 1, 1, 0, 1, 1, 2, 2])
    codes, classes = np.arange(8) % 2, np.arange(2)
    data = TrainingSet.from_weighted_rows(X, codes, weight, classes)
    splits = [([0, 1, 2, 3], [4, 5, 6, 7]), ([-1, -2], [0, 1])]
    whole = np.arange(8)
    for cv in (splits, [[np.isin(whole, whole[side]) for side in s] for s in splits]):
        one, other = given_folds(cv, data)
        assert [rows.tolist() for rows in rows_of(one, data)] == [[1, 2], [4, 5, 6, 7]]
        assert [rows.tolist() for rows in rows_of(other, data)] == [[6, 7], [1]]
    with pytest.raises(ValueError, match=r"cv: split 0: .*positive weight"):
        given_folds([([1, 2], [0, 3])], data)
