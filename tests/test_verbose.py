"""What verbose=1 prints."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from models import NETWORK, each_class, each_model_and_solver, independent_classes

X, Y = independent_classes()


@each_model_and_solver
def test_the_table_is_readable(model, solver, capsys):
    model = clone(model).set_params(verbose=1, solver=solver, alpha=1.0)
    model.fit(X, Y)
    title, header, *rows, end = capsys.readouterr().out.splitlines()
    assert title == type(model).__name__
    assert header.split() == ["iteration", "J", "gradient", "target", "seconds"]
    assert end.startswith("converged: ")
    assert end.endswith(f" after {model.n_iter_} iterations")
    assert len(rows) == model.n_iter_ + 1
    table = np.array([row.split() for row in rows], dtype=float)
    assert_array_equal(table[:, 0], np.arange(len(rows)))
    assert_allclose(table[:, 1], model.loss_curve_, rtol=0, atol=5.1e-9)
    assert_allclose(table[-1, 2], model.grad_norm_, rtol=1e-2)
    gradient, target = table[:, 2], table[:, 3]
    assert (gradient[:-1] >= target[:-1]).all()
    assert "gradient" not in end or gradient[-1] <= target[-1]
    assert (np.diff(table[:, 4]) >= 0).all()
    # Numbers stand below their names, and lines fit into a terminal.
    assert {len(row) for row in rows} == {len(header)}
    assert len(header) <= 79


@pytest.mark.parametrize(
    ("max_iter", "counted"),
    [(0, "0 iterations"), (1, "1 iteration"), (2, "2 iterations")],
)
@each_class
def test_one_iteration_is_no_plural(model, max_iter, counted, capsys):
    model = clone(model).set_params(verbose=1, max_iter=max_iter, alpha=1.0)
    with pytest.warns(ConvergenceWarning, match=f"stopped after {counted} because"):
        model.fit(X, Y)
    assert capsys.readouterr().out.endswith(f" after {counted}\n")


def test_each_start_has_its_table(capsys):
    """Each line tells its start too: tables of several at a time are mixed."""
    model = clone(NETWORK).set_params(verbose=1, n_init=3).fit(X, Y)
    tables = capsys.readouterr().out.split("OneHiddenMLP, ")[1:]
    for number, (table, loss) in enumerate(
        zip(tables, model.init_losses_, strict=True), start=1
    ):
        title, header, *rows, end = table.splitlines()
        assert title == f"start {number} of 3"
        assert header.split() == [
            "start",
            "iteration",
            "J",
            "gradient",
            "target",
            "seconds",
        ]
        assert end.split()[:2] == [str(number), "converged:"]
        assert {row.split()[0] for row in rows} == {str(number)}
        assert {len(row) for row in rows} == {len(header)}
        assert_allclose(float(rows[-1].split()[2]), loss, rtol=0, atol=5.1e-9)


def test_the_table_of_early_stopping_has_the_validation_loss(capsys):
    settings = {"early_stopping": True, "verbose": 1, "n_iter_no_change": 3}
    model = clone(NETWORK).set_params(**settings).fit(X, Y)
    _, header, *rows, end = capsys.readouterr().out.splitlines()
    assert header.split()[2] == "validation"
    printed = [float(row.split()[2]) for row in rows]
    assert_allclose(printed, model.validation_loss_curve_, rtol=0, atol=5.1e-9)
    assert "early stopping" in end


@each_class
def test_silent_by_default(model, capsys):
    clone(model).fit(X, Y)
    out = capsys.readouterr()
    assert out.out == out.err == ""
