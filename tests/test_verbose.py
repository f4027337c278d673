"""What verbose=1 prints."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from models import NETWORK, each_class, independent_classes

X, Y = independent_classes()


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "trust-ncg", "lbfgs"])
@each_class
def test_the_table_is_readable(model, solver, capsys):
    model = clone(model).set_params(verbose=1, solver=solver).fit(X, Y)
    title, header, *rows = capsys.readouterr().out.splitlines()
    assert title == type(model).__name__
    assert header.split() == ["iteration", "J", "gradient", "seconds"]
    assert len(rows) == model.n_iter_ + 1
    table = np.array([row.split() for row in rows], dtype=float)
    assert_array_equal(table[:, 0], np.arange(len(rows)))
    assert_allclose(table[:, 1], model.loss_curve_, rtol=1e-7)
    assert_allclose(table[-1, 2], model.grad_norm_, rtol=1e-2)
    assert (np.diff(table[:, 3]) >= 0).all()
    # Numbers stand below their names, and lines fit into a terminal.
    assert {len(row) for row in rows} == {len(header)}
    assert len(header) <= 79


def test_each_start_has_its_table(capsys):
    """Each line tells its start too: tables of several at a time are mixed."""
    model = clone(NETWORK).set_params(verbose=1, n_init=3).fit(X, Y)
    tables = capsys.readouterr().out.split("OneHiddenMLP, ")[1:]
    for number, (table, loss) in enumerate(
        zip(tables, model.init_losses_, strict=True), start=1
    ):
        title, header, *rows = table.splitlines()
        assert title == f"start {number} of 3"
        assert header.split() == ["start", "iteration", "J", "gradient", "seconds"]
        assert {row.split()[0] for row in rows} == {str(number)}
        assert {len(row) for row in rows} == {len(header)}
        assert_allclose(float(rows[-1].split()[2]), loss, rtol=1e-7)


@each_class
def test_silent_by_default(model, capsys):
    clone(model).fit(X, Y)
    out = capsys.readouterr()
    assert out.out == out.err == ""
