"""Folds depend on the content of the rows alone; equal rows share one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from sknn_simple._data.canonical_order import whole
from sknn_simple._data.folds import (
    assign_folds,
    dealt_rows,
    distinct_rows,
    has_few_values,
    lost_classes,
    observations,
    strata_of,
)
from sknn_simple._data.row_blocks import DEFAULT_SIZES, RowBlocks
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet


def training_set(X, y, weight=None):
    y = np.asarray(y)
    classes = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
    codes = y.astype(float) if y.ndim == 2 else np.searchsorted(classes, y)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, float)
    return TrainingSet.from_weighted_rows(X, codes, weight, classes)


def numbers_of(X, n_threads=1, sizes=DEFAULT_SIZES):
    y = np.ones((X.shape[0], 1))
    with Workers(n_threads) as workers:
        blocks = RowBlocks(
            X, y, y[:, 0] / len(y), row_bytes=8.0, work=1e9, order="C", sizes=sizes
        )
        return distinct_rows(blocks, workers)


def repeated_rows(rng, n=300, p=4, n_distinct=40):
    """Rows of which many are equal, and the number of each."""
    which = rng.integers(n_distinct, size=n)
    return rng.normal(size=(n_distinct, p))[which], which


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def folds_of(numbers, data, n_folds, most=np.inf):
    return assign_folds(numbers, strata_of(data), data.weight, n_folds, most)


def observed(X, data):
    """The rows of the observations, and their numbers."""
    weight = whole(data.sample_weight())
    few_values = has_few_values(X, numbers_of(X))
    return observations(numbers_of(X), strata_of(data), weight, few_values=few_values)


def held_out(X, y, weight=None):
    """The weight of each row and class that each of four folds holds out."""
    data = training_set(X, y, weight)
    rows, shared = observed(X, data)
    fold = assign_folds(shared, strata_of(data)[rows], data.weight[rows], 4)
    data, fold = dealt_rows(data, rows, fold)
    total = {}
    for x, code, each, one in zip(
        data.X[:, 0], data.y[:, 0], data.weight, fold, strict=True
    ):
        key = x, code, one
        total[key] = total.get(key, 0.0) + each * data.total_weight
    return {key: round(weight, 9) for key, weight in total.items()}


# Distinct rows ------------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_rows_share_a_number(rng, container, dtype):
    X, which = repeated_rows(rng)
    numbers = numbers_of(container(X.astype(dtype)))
    # Which number it is depends on the rows: the pairs are one to one.
    pairs = set(zip(numbers.tolist(), which.tolist(), strict=True))
    n_distinct = len(np.unique(which))
    assert len(pairs) == n_distinct
    assert_array_equal(np.unique(numbers), np.arange(n_distinct))


@pytest.mark.parametrize("p", [1, 3, 64, 200])
def test_equal_rows_of_any_length_and_at_any_place_share_a_number(rng, p):
    # BLAS adds the last rows of a block in another order than the others.
    X, which = repeated_rows(rng, 1001, p, 10)
    assert len(np.unique(numbers_of(1e3 * X))) == len(np.unique(which))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_numbers_do_not_depend_on_the_order_of_the_rows(rng, container):
    X, _ = repeated_rows(rng)
    order = rng.permutation(len(X))
    assert_array_equal(numbers_of(container(X[order])), numbers_of(container(X))[order])


def test_repetition_does_not_change_a_number(rng):
    X = rng.normal(size=(50, 3))
    times = rng.integers(1, 4, len(X))
    repeated = numbers_of(np.repeat(X, times, axis=0))
    assert_array_equal(repeated, np.repeat(numbers_of(X), times))


def test_sparse_and_dense_rows_have_the_same_numbers(rng):
    X = rng.normal(size=(80, 6)) * (rng.uniform(size=(80, 6)) > 0.5)
    assert_array_equal(numbers_of(sparse.csr_array(X)), numbers_of(X))


def test_a_shift_of_all_rows_does_not_change_a_number(rng):
    # Sparse columns are not centred.
    X, _ = repeated_rows(rng)
    assert_array_equal(numbers_of(X + 100.0), numbers_of(X))


@pytest.mark.parametrize("n_threads", [2, 3])
def test_numbers_do_not_depend_on_threads(rng, n_threads):
    sizes = DEFAULT_SIZES._replace(min_rows=16, block_bytes=2**8)
    X, _ = repeated_rows(rng, 1000)
    assert_array_equal(numbers_of(X, n_threads, sizes), numbers_of(X, 1, sizes))


# Folds --------------------------------------------------------------------------------


@given(
    n_distinct=st.integers(2, 40),
    n_repeated=st.integers(0, 40),
    n_classes=st.integers(2, 6),
    n_folds=st.integers(2, 7),
    seed=st.integers(0, 1000),
)
def test_folds_are_balanced_and_equal_rows_share_one(
    n_distinct, n_repeated, n_classes, n_folds, seed
):
    rng = np.random.default_rng(seed)
    numbers = np.append(
        np.arange(n_distinct), rng.integers(n_distinct, size=n_repeated)
    )
    # Equal rows may have several classes. Each class occurs.
    y = rng.permutation(np.resize(np.arange(n_classes), len(numbers)))
    if len(np.unique(y)) < 2:
        return
    data = training_set(numbers[:, None].astype(float), y)
    fold = folds_of(numbers, data, n_folds)
    assert fold.min() >= 0
    assert fold.max() < n_folds
    for number in range(n_distinct):
        assert len(np.unique(fold[numbers == number])) == 1
    one_each = np.bincount(fold[:n_distinct], minlength=n_folds)
    assert np.ptp(one_each) <= 1

    order = rng.permutation(len(numbers))
    moved = folds_of(numbers[order], training_set(data.X[order], y[order]), n_folds)
    assert_array_equal(moved, fold[order])


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_every_class_is_dealt_out_evenly(rng, n_classes, n_folds):
    y = rng.choice(n_classes, 200, p=rng.dirichlet(np.ones(n_classes)))
    y[:n_classes] = np.arange(n_classes)
    fold = folds_of(np.arange(200), training_set(np.eye(200), y), n_folds)
    for label in range(n_classes):
        counts = np.bincount(fold[y == label], minlength=n_folds)
        assert np.ptp(counts) <= 1


def test_combinations_of_labels_are_dealt_out_evenly(rng):
    y = rng.integers(2, size=(150, 2))
    fold = folds_of(np.arange(150), training_set(np.eye(150), y), 3)
    for combination in np.unique(y, axis=0):
        rows = (y == combination).all(axis=1)
        assert np.ptp(np.bincount(fold[rows], minlength=3)) <= 1


def test_weights_are_repeated_rows(rng):
    X, y = np.arange(60.0)[:, None], rng.integers(3, size=60)
    # Some rows occur with two classes.
    X[40:] = X[:20]
    times = rng.integers(1, 5, 60)
    numbers = numbers_of(X)
    weighted = folds_of(numbers, training_set(X, y, times), 4)
    again = training_set(np.repeat(X, times, axis=0), np.repeat(y, times))
    repeated = folds_of(np.repeat(numbers, times), again, 4)
    assert_array_equal(repeated, np.repeat(weighted, times))


@pytest.mark.parametrize("scale", [1.0, 1.0 / 200.0, 2.5])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.6, 1.0])
def test_equal_rows_of_several_classes_are_dealt_out_one_by_one(rng, share, scale):
    # 20 groups of 10 equal rows; in a share of the groups classes differ.
    group = np.repeat(np.arange(20), 10)
    X = rng.normal(size=(20, 3))[group]
    mixed = group < 20 * share
    y = np.where(mixed, np.arange(200) % 2, group % 2)
    rows, shared = observed(X, training_set(X, y, np.full(200, scale)))
    assert_array_equal(rows, np.arange(200))
    assert len(np.unique(shared)) == (200 if share > 0.0 else 20)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("times", [1, 2, 10])
def test_rows_of_few_cells_are_dealt_out_one_by_one(rng, times, form):
    cells = np.stack(np.meshgrid([0, 1, 4], [0, 1], range(4)), axis=-1).reshape(-1, 3)
    measured = np.column_stack([cells, rng.normal(size=24)])
    y = np.arange(24) % 3
    for X, one_by_one in ((cells, times > 4), (measured, False)):
        repeated = form(np.repeat(X, times, axis=0))
        _, shared = observed(repeated, training_set(repeated, np.repeat(y, times)))
        assert len(np.unique(shared)) == (24 * times if one_by_one else 24)


@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_whole_weights_of_observations_are_repeated_rows(rng, factor):
    group, y = rng.integers(5, size=60), rng.integers(2, size=60)
    X, weight = rng.normal(size=(5, 3))[group], rng.integers(1, 4, size=60)
    rows = rng.permutation(np.repeat(np.arange(60), weight))
    found = held_out(X, y, factor * weight)
    repeated = held_out(X[rows], y[rows], np.full(len(rows), factor))
    assert (found == repeated) == (factor == 1.0)
    assert sum(found.values()) == pytest.approx(factor * weight.sum())


@pytest.mark.parametrize("weight", [1e6, 1e15, 1e18])
def test_huge_weights_of_observations(rng, weight):
    X, y = rng.normal(size=(4, 2)).repeat(2, axis=0), np.arange(8) % 2
    rows, _ = observed(X, training_set(X, y, np.full(8, weight)))
    # Larger ones are no counts.
    assert len(rows) == (10**6 if weight < 2.0**53 else 8)
    found = held_out(X, y, np.full(8, weight))
    assert sum(found.values()) == pytest.approx(8.0 * weight)


def test_the_heavier_class_of_equal_rows_decides():
    # Rows 0 and 1 are equal; each class then has the rows of one number in every fold.
    numbers = np.array([0, 0, 1, 2, 3])
    y = np.array([0, 1, 1, 0, 0])
    X = numbers[:, None].astype(float)
    for weight, heavier in (([1, 3, 1, 1, 1], 1), ([3, 1, 1, 1, 1], 0)):
        fold = folds_of(numbers, training_set(X, y, weight), 2)
        alike = [2] if heavier == 1 else [3, 4]
        counts = np.bincount(fold[[0, *alike]], minlength=2)
        assert np.ptp(counts) <= 1


@pytest.mark.parametrize("size", [1.0, 1e-12], ids=["", "light"])
def test_the_heavier_class_decides_in_every_order(rng, size):
    # Each distinct row has both classes: as heavy in 20 rows, up to rounding.
    numbers = np.repeat(np.arange(60), 4)
    y = np.tile([0, 1, 1, 1], 60)
    lighter = np.repeat([0.6, 0.3, 0.9], 20)
    weight = np.column_stack([lighter, np.tile([0.1, 0.2, 0.3], (60, 1))]).ravel()
    weight[1:] *= size
    X = numbers[:, None].astype(float)
    fold = folds_of(numbers, training_set(X, y, weight), 4)
    heavier = np.repeat([0, 1, 0], 20)
    for label in range(2):
        counts = np.bincount(fold[::4][heavier == label], minlength=4)
        assert np.ptp(counts) <= 1
    order = rng.permutation(len(y))
    moved = folds_of(numbers[order], training_set(X[order], y[order], weight[order]), 4)
    assert_array_equal(moved, fold[order])


# Large tables -------------------------------------------------------------------------


@pytest.mark.parametrize("rare", [2, 3, 10])
def test_a_rare_class_of_a_large_table_remains(rng, rare):
    y = np.zeros(20_000, dtype=int)
    y[10_000:] = 1
    y[rng.choice(20_000, rare, replace=False)] = 2
    data = training_set(np.arange(20_000.0)[:, None], y)
    part = folds_of(np.arange(20_000), data, 5, 1000)
    assert 900 <= (part >= 0).sum() <= 1100
    for fold in range(5):
        assert not lost_classes(data, (part >= 0) & (part != fold))
    for label in range(3):
        counts = np.bincount(part[(part >= 0) & (y == label)], minlength=5)
        assert np.ptp(counts) <= 1


def test_many_combinations_of_labels_do_not_use_more_rows(rng):
    y = rng.integers(2, size=(20_000, 14))
    data = training_set(np.arange(20_000.0)[:, None], y)
    part = folds_of(np.arange(20_000), data, 5, 1000)
    assert 900 <= (part >= 0).sum() <= 1100
    assert np.ptp(np.bincount(part[part >= 0])) <= 1


# Whether each class remains -----------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_without_rows_is_noticed(n_classes):
    y = np.arange(12) % n_classes
    data = training_set(np.eye(12), y)
    assert lost_classes(data, np.arange(12) > 2) == []
    assert lost_classes(data, y != 1) == [1]
    assert lost_classes(data, np.flatnonzero(y == 0)) == list(range(1, n_classes))
    assert lost_classes(data, np.zeros(12, dtype=bool)) == list(range(n_classes))


def test_a_label_with_one_value_is_noticed():
    y = np.array([[0, 1], [1, 1], [0, 1], [1, 1]])
    data = training_set(np.eye(4), y)
    for rows, lost in (([0, 1], []), ([0, 2], [0]), ([], [0])):
        # The second label is always 1.
        assert lost_classes(data, np.array(rows, dtype=int)) == lost
