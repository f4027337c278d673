"""The same data and the same random_state give the same bits."""

import time

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from models import (
    SHORT_NETWORK,
    assert_same_bits,
    classes,
    each_comparable_model,
    fit,
    ignores_max_iter,
    with_every_solver,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


EVERY_SOLVER = [
    clone(model).set_params(solver=solver)
    for model, solver in with_every_solver(
        LogisticNN(1e-4), clone(SHORT_NETWORK).set_params(alpha=1e-4)
    )
]


@each_comparable_model
def test_same_seed_same_bits(model):
    X, y = classes()
    assert_same_bits(fit(model, X, y), fit(model, X, y), X)
    once = clone(model).fit(X, y)
    assert_same_bits(fit(model, X, y), once.fit(X, y), X)


@pytest.mark.parametrize(
    "model", EVERY_SOLVER, ids=lambda m: f"{type(m).__name__}-{m.solver}"
)
def test_memory_that_was_never_written_is_not_read(model, monkeypatch):
    X, y = classes(2)
    weight = np.where(y == 1, 1e-4, 1e3)
    expected = fit(model, X, y, weight)

    def filled(allocate):
        def with_nan(*args, **kwargs):
            array = allocate(*args, **kwargs)
            if array.dtype.kind == "f":
                array.fill(np.nan)
            return array

        return with_nan

    monkeypatch.setattr(np, "empty", filled(np.empty))
    monkeypatch.setattr(np, "empty_like", filled(np.empty_like))
    assert_same_bits(fit(model, X, y, weight), expected, X)


def test_the_clock_does_not_matter():
    X, y = classes(2)
    weight = np.where(y == 1, 1e-4, 1e3)
    before = [fit(model, X, y, weight) for model in EVERY_SOLVER]
    time.sleep(1.1)  # a random generator may be seeded by the second
    for model, expected in zip(EVERY_SOLVER, before, strict=True):
        assert_same_bits(fit(model, X, y, weight), expected, X)


def test_random_state_draws_the_start():
    X, y = classes()
    model = OneHiddenMLP(3, max_iter=3)
    curves = [clone(model).set_params(random_state=s).fit(X, y) for s in (0, 1, 0)]
    assert curves[0].loss_curve_ == curves[2].loss_curve_
    assert curves[0].loss_curve_[0] != curves[1].loss_curve_[0]
    generator = np.random.RandomState(0)
    assert_same_bits(model.set_params(random_state=generator).fit(X, y), curves[0])
    assert clone(model).fit(X, y).loss_curve_ != curves[0].loss_curve_
    # NumPy's global generator is left alone.
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    curves[0].fit(X, y)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert joblib.hash(after) == joblib.hash(state)


def test_without_warm_start_a_fit_starts_afresh():
    X, y = classes()
    model = OneHiddenMLP(5, max_iter=5, random_state=0)
    first = fit(model, X, y)
    assert_same_bits(clone(model).fit(X[:50], y[:50]).fit(X, y), first)
    # Also over another shape and another kind of target.
    assert_same_bits(clone(model).fit(X[:, :3], y > 0).fit(X, y), first)
