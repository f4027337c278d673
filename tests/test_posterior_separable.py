"""Separable classes without a penalty: J has no minimum, and intervals do not exist."""

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.datasets import load_iris

from models import LINEAR, fit
from sknn_simple import LogisticNN, Posterior

CLASSICAL = LogisticNN(alpha=0)
# `fit` may say so, too.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def refuses(match, *args):
    with pytest.raises(ValueError, match=match):
        Posterior(*args)


def separable(kind):
    """Rows whose classes a plane separates, wholly or but for rows on it."""
    generator = np.random.RandomState(0)
    A = generator.normal(size=(100, 3))
    if kind == "complete":
        return A, (A[:, 0] + A[:, 1] > 0.0).astype(int)
    if kind == "one column of two values":
        b = (A[:, 0] + generator.normal(size=100) > 0.0).astype(int)
        A[:, 2] = (b == 1) & (A[:, 1] > 0.5)
        return A, b
    if kind == "three classes":
        return load_iris(return_X_y=True)
    A, b = separable("complete")
    return A, np.column_stack([b, generator.uniform(size=100) > 0.5])


KINDS = ["complete", "one column of two values", "three classes", "one of two labels"]


@pytest.mark.parametrize("kind", KINDS)
def test_separable_classes_have_no_intervals(kind):
    A, b = separable(kind)
    match = "separable.*intervals do not exist"
    if kind == "one column of two values":
        match = r"separable \(by each of these columns: 'x2'\)"
    refuses(match, fit(CLASSICAL, A, b), A, b)
    # With a penalty they do.
    posterior = Posterior(fit(LINEAR, A, b), A, b)
    assert np.isfinite(posterior.std_errors).all()


def test_a_column_and_its_opposite_are_both_named():
    A, b = separable("one column of two values")
    one_hot = np.column_stack([A, 1.0 - A[:, 2]])
    match = r"separable \(by each of these columns: 'x2', 'x3'\)"
    refuses(match, fit(CLASSICAL, one_hot, b), one_hot, b)


def test_a_label_with_one_value_is_separated_by_no_column():
    A, b = separable("complete")
    both = np.column_stack([b, np.ones(100, int)])
    noisy = np.random.default_rng(0).permutation(b)
    match = r"intervals do not exist\. Fit"
    only = np.column_stack([noisy, both[:, 1]])
    refuses(match, fit(CLASSICAL, A, only), A, only)


def test_rare_events_are_not_separable():
    generator = np.random.RandomState(0)
    A = generator.normal(size=(20_000, 2))
    b = np.zeros(20_000, int)
    b[:10] = 1
    posterior = Posterior(fit(CLASSICAL, A, b), A, b)
    assert np.isfinite(posterior.std_errors).all()


def test_large_effects_are_not_separable():
    generator = np.random.RandomState(0)
    A = generator.normal(size=(2000, 2))
    b = (20.0 * A[:, 0] + generator.logistic(size=2000) > 0.0).astype(int)
    posterior = Posterior(fit(CLASSICAL, A, b), A, b)
    assert np.isfinite(posterior.std_errors).all()


def random_table(seed):
    """Columns of any unit, some of them rounded, and up to three classes."""
    generator = np.random.RandomState(seed)
    n, p, k = generator.randint([12, 1, 2], [120, 5, 4])
    A = generator.normal(size=(n, p))
    if seed % 2:
        A[:, 0] = generator.uniform(size=n) < 0.2
    if seed % 3 == 0:
        A = np.round(A)
    slopes = generator.normal(size=(p, k)) * generator.choice([0.0, 0.5, 2.0, 8.0])
    b = (A @ slopes + generator.gumbel(size=(n, k))).argmax(axis=1)
    return A * 10.0 ** generator.randint(-3, 4, p), b


def is_separable(A, b):
    """By linear programming: whether outputs exist that never favour a wrong class."""
    design = np.column_stack([A / np.abs(A).max(axis=0), np.ones(len(A))])
    k = int(b.max()) + 1
    margins = []
    for own in range(k):
        for other in set(range(k)) - {own}:
            contrast = np.zeros((np.sum(b == own), k, design.shape[1]))
            contrast[:, own], contrast[:, other] = design[b == own], -design[b == own]
            margins.append(contrast.reshape(len(contrast), -1))
    margin = np.vstack(margins)
    zeros = np.zeros(len(margin))
    found = linprog(-margin.sum(axis=0), A_ub=-margin, b_ub=zeros, bounds=(-1, 1))
    return found.fun < -1e-7


@pytest.mark.parametrize("group", range(4))
def test_the_answer_is_that_of_linear_programming(group):
    answers = set()
    for seed in range(40 * group, 40 * group + 40):
        A, b = random_table(seed)
        b = np.unique(b, return_inverse=True)[1]
        if b.max() == 0 or np.any(np.ptp(A, axis=0) == 0.0):
            continue
        expected = is_separable(A, b)
        try:
            Posterior(fit(CLASSICAL, A, b), A, b)
            found = False
        except ValueError as error:
            found = "intervals do not exist" in str(error)
        assert found == expected, seed
        answers.add(found)
    assert answers == {False, True}


def test_rows_of_another_table_are_not_called_separable():
    A, b = separable("complete")
    generator = np.random.RandomState(1)
    noisy = (A[:, 0] + 2.0 * generator.normal(size=100) > 0.0).astype(int)
    Posterior(fit(CLASSICAL, A, noisy), A, b)
