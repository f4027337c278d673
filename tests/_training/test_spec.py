"""A solver that cannot do what is asked is refused before any work."""

import math

import numpy as np
import pytest

from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.heuristics import MAX_HESSIAN_BYTES
from sknn_simple._training.spec import check_solver

every_solver = pytest.mark.parametrize("solver", SOLVERS)
LARGEST = math.isqrt(MAX_HESSIAN_BYTES // 8)


@every_solver
def test_bounds_are_refused_by_solvers_that_would_ignore_them(solver):
    check_solver(solver, 10, bounded=False)
    if SOLVERS[solver].bounds:
        check_solver(solver, 10, bounded=True)
        return
    with pytest.raises(ValueError, match=f"solver='{solver}'.*bounds.*lbfgs") as error:
        check_solver(solver, 10, bounded=True)
    named = str(error.value).split("one of")[1]
    able = [name for name, row in SOLVERS.items() if row.bounds]
    assert [name for name in SOLVERS if f"'{name}'" in named] == able


@every_solver
def test_a_hessian_too_large_is_refused_before_it_is_formed(solver):
    check_solver(solver, LARGEST, bounded=False)
    if not SOLVERS[solver].needs_matrix:
        check_solver(solver, 10**9, bounded=False)
        return
    message = f"solver='{solver}'.*{LARGEST + 1} parameters.*lbfgs"
    with pytest.raises(ValueError, match=message):
        check_solver(solver, LARGEST + 1, bounded=False)


def test_auto_chooses_one_that_can():
    check_solver("auto", 10**9, bounded=True)


def test_a_spec_is_bounded_if_a_sign_is_fixed(two_classes, training_set, linear_spec):
    spec = linear_spec(training_set(*two_classes))
    assert not spec.is_bounded
    signs = np.zeros(16)
    signs[3] = -1.0
    assert spec._replace(signs=signs).is_bounded
