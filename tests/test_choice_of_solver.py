"""The solver that "auto" chooses, and solvers that are refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from models import NETWORK, NETWORK_SOLVERS, SOLVERS, independent_classes
from sknn_simple import LogisticNN, OneHiddenMLP

X, Y = independent_classes()


@pytest.mark.parametrize("kind", [LogisticNN, OneHiddenMLP])
def test_solver_is_one_of_the_table(kind):
    options = kind._parameter_constraints["solver"][0].options
    names = SOLVERS if kind is LogisticNN else NETWORK_SOLVERS
    assert set(options) == {"auto", *names}
    for solver in sorted(options):
        # From one start in forty Newton-CG ends at a kink of relu.
        network = {"hidden_layer_size": 3, "random_state": 0}
        params = {} if kind is LogisticNN else network
        model = kind(solver=solver, **params).fit(X, Y)
        assert model.solver_ in SOLVERS
        assert solver in ("auto", model.solver_)


@pytest.mark.parametrize(
    ("n", "p", "solver"),
    [
        (60, 5, "newton-cholesky"),
        (60, 800, "newton-cholesky"),
        (700, 1400, "lbfgs"),
        (8000, 5, "newton-cholesky"),
        (8000, 10, "newton-cholesky"),
        (30000, 10, "lbfgs"),
    ],
)
def test_auto_depends_on_the_shape_of_the_data(n, p, solver):
    X, y = independent_classes(2, n, p)
    model = LogisticNN(alpha=1.0).fit(X, y)
    assert model.solver_ == solver
    assert model.converged_
    for other in ("lbfgs", "newton-cg"):
        exact = LogisticNN(solver=other, tol=1e-7, alpha=1.0).fit(X, y)
        assert_allclose(exact.loss_, model.loss_, rtol=1e-6)


def test_auto_chooses_a_solver_that_can_do_what_is_asked():
    assert (
        LogisticNN(monotonic_cst=[1, 0, 0, 0, 0], alpha=1.0).fit(X, Y).solver_
        == "lbfgs"
    )
    assert clone(NETWORK).fit(X, Y).solver_ == "lbfgs"


@pytest.mark.parametrize("n_classes", [2, 3])
def test_hessian_too_large_is_refused_with_its_size(n_classes):
    columns = 20_000
    X = sparse.csr_array(sparse.eye(1100, columns))
    y = np.arange(1100) % n_classes
    n = (columns + 1) * (1 if n_classes == 2 else 3)
    with pytest.raises(ValueError, match="newton-cholesky") as caught:
        LogisticNN(solver="newton-cholesky", alpha=1.0).fit(X, y)
    message = str(caught.value)
    assert f"{n} parameters" in message
    assert f"{8 * n * n / 2**30:.1f} GiB" in message
    assert "'auto'" in message
    assert "'lbfgs'" in message
    assert LogisticNN(alpha=1.0).fit(X, y).solver_ != "newton-cholesky"
    # Few rows have a small Hessian, in their own space.
    few = LogisticNN(solver="newton-cholesky", alpha=1.0).fit(X[:30], y[:30])
    assert few.coef_.shape[1] == columns
