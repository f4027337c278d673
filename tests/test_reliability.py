"""What a long-running program relies on: memory, threads, records and messages."""

import gc
import subprocess
import sys
import threading
import tracemalloc

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_classification

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._optim.solvers import SOLVERS

LINEAR = LogisticNN()
NETWORK = OneHiddenMLP(4, "tanh", random_state=0)
MODELS = [LINEAR, NETWORK]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def data(n=60, p=5, n_classes=2):
    return make_classification(
        n, p, n_informative=4, n_redundant=0, n_classes=n_classes, random_state=0
    )


X, Y = data()


# Leaks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        LINEAR,
        NETWORK,
        clone(NETWORK).set_params(n_init=2, early_stopping=True, n_iter_no_change=2),
    ],
    ids=["linear", "network", "restarts"],
)
def test_200_fits_leak_nothing(model):
    model = clone(model)
    for _ in range(20):  # caches fill
        model.fit(X, Y).predict_proba(X)
    gc.collect()
    threads, objects = threading.active_count(), len(gc.get_objects())
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(200):
        model.fit(X, Y).predict_proba(X)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert threading.active_count() == threads
    # Of the last fit something stays; of each one, 200 times as much.
    assert after - before < 200 * 1000
    assert len(gc.get_objects()) - objects < 200


@each_model
def test_fits_that_fail_leak_nothing(model):
    model, bad = clone(model), X * np.nan
    threads = threading.active_count()
    for _ in range(50):
        with pytest.raises(ValueError, match="NaN"):
            model.fit(bad, Y)
    assert threading.active_count() == threads
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "trust-krylov"])
def test_memory_does_not_grow_with_rows_times_hidden_units(solver):
    few, many, h = 10_000, 40_000, 200
    X, y = data(many)
    model = OneHiddenMLP(h, "tanh", solver=solver, max_iter=2, random_state=0)

    def peaks(n):
        tracemalloc.start()
        model.fit(X[:n], y[:n])
        _, fitting = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        model.predict_proba(X[:n])
        _, predicting = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return np.array([fitting, predicting])

    peaks(100)
    # One array of every unit for every row would add 48 MB.
    assert (peaks(many) - peaks(few) < 8 * (many - few) * h / 4).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_needs_little_memory_beside_what_it_returns(dtype):
    X, y = data(40_000)
    model = OneHiddenMLP(100, random_state=0).fit(X[:100], y[:100])
    X = X.astype(dtype)
    tracemalloc.start()
    hidden = model.transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert hidden.dtype == dtype
    assert peak < 1.5 * hidden.nbytes


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@each_model
def test_sparse_data_are_not_made_dense(model, container):
    n, p = 2000, 5000
    rng = np.random.default_rng(0)
    X = sparse.random(n, p, density=0.001, random_state=rng, format="csr")
    y = np.arange(n) % 2
    model = clone(model).set_params(max_iter=100, alpha=10.0)
    model.set_params(solver="lbfgs")
    tracemalloc.start()
    model.fit(container(X), y).predict_proba(container(X))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n * p / 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["read-only", "Fortran", "mapped", "csr"])
@each_model
def test_large_data_are_not_copied(model, kind, tmp_path):
    n, p = 100_000, 50
    X = np.random.default_rng(0).normal(size=(n, p))
    y = (X[:, 0] > 0).astype(int)
    X = np.asfortranarray(X) if kind == "Fortran" else X
    X.setflags(write=False)
    if kind == "mapped":
        joblib.dump(X, tmp_path / "X")
        X = joblib.load(tmp_path / "X", mmap_mode="r")
    elif kind == "csr":
        X = sparse.csr_array(X)
    model = clone(model).set_params(max_iter=2, solver="lbfgs")
    tracemalloc.start()
    model.fit(X, y).predict_proba(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n * p


# The solver that "auto" chooses -------------------------------------------------------


@pytest.mark.parametrize("kind", [LogisticNN, OneHiddenMLP])
def test_solver_is_one_of_the_table(kind):
    options = kind._parameter_constraints["solver"][0].options
    names = {"auto", *SOLVERS}
    assert options == (names if kind is LogisticNN else names - {"newton-cholesky"})
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
        (60, 800, "lbfgs"),
        (8000, 5, "newton-cholesky"),
        (8000, 10, "lbfgs"),
    ],
)
def test_auto_goes_by_shape(n, p, solver):
    X, y = data(n, p)
    model = LogisticNN().fit(X, y)
    assert model.solver_ == solver
    assert model.converged_
    for other in ("lbfgs", "newton-cg"):
        exact = LogisticNN(solver=other, tol=1e-7).fit(X, y)
        assert_allclose(exact.loss_, model.loss_, rtol=1e-6)


def test_auto_goes_by_what_is_asked_for():
    assert LogisticNN(monotonic_cst=[1, 0, 0, 0, 0]).fit(X, Y).solver_ == "lbfgs"
    assert clone(NETWORK).fit(X, Y).solver_ == "lbfgs"


@pytest.mark.parametrize("n_classes", [2, 3])
def test_hessian_too_large_is_refused_with_its_size(n_classes):
    columns = 20_000
    X = sparse.csr_array(sparse.eye(30, columns))
    y = np.arange(30) % n_classes
    n = (columns + 1) * (1 if n_classes == 2 else 3)
    with pytest.raises(ValueError, match="newton-cholesky") as caught:
        LogisticNN(solver="newton-cholesky").fit(X, y)
    message = str(caught.value)
    assert f"{n} parameters" in message
    assert f"{8 * n * n / 2**30:.1f} GiB" in message
    assert "'auto'" in message
    assert "'lbfgs'" in message
    assert LogisticNN().fit(X, y).solver_ != "newton-cholesky"


# The end of the way -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("alpha", [1e-3, 0.1])
@pytest.mark.parametrize("solver", SOLVERS)
def test_loss_curve_rises_by_rounding_at_most(solver, alpha):
    X, y = load_breast_cancer(return_X_y=True)
    model = LogisticNN(solver=solver, alpha=alpha, tol=1e-12).fit(X, y)
    lowest = np.minimum.accumulate(model.loss_curve_)
    assert_allclose(model.loss_curve_, lowest, rtol=4e-15)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ["relu", "tanh", None])
def test_classes_told_apart_until_gradients_underflow(activation):
    """Without a penalty J falls to 0: there is no end before float64's own."""
    X, y = np.array([[-1.0], [1.0]]), [0, 1]
    settings = {"alpha": 0.0, "tol": 0.0, "max_iter": 3000, "solver": "lbfgs"}
    if activation is None:
        model = LogisticNN(**settings)
    else:
        model = OneHiddenMLP(5, activation, random_state=0, **settings)
    assert 0.0 <= model.fit(X, y).loss_ < 1e-100


# The printed table --------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "trust-ncg", "lbfgs"])
@each_model
def test_table_is_readable(model, solver, capsys):
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


@each_model
def test_silent_by_default(model, capsys):
    clone(model).fit(X, Y)
    out = capsys.readouterr()
    assert out.out == out.err == ""


# warm_start after a change ------------------------------------------------------------

CHANGES = {
    "alpha": lambda model: (model.set_params(alpha=1.2), X, Y),
    "class_weight": lambda model: (model.set_params(class_weight="balanced"), X, Y),
    "standardize": lambda model: (model.set_params(standardize=False), X, Y),
    "solver": lambda model: (model.set_params(solver="newton-cg"), X, Y),
    "data": lambda model: (model, *(part[:50] for part in (X, Y))),
    "float32": lambda model: (model, X.astype(np.float32), Y),
    "sparse": lambda model: (model, sparse.csr_array(X), Y),
}


@pytest.mark.parametrize("change", CHANGES)
@each_model
def test_warm_start_after_a_change(model, change):
    model = clone(model).set_params(warm_start=True).fit(X, Y)
    before = model.decision_function(X)
    changed, features, target = CHANGES[change](model)
    changed.fit(features, target)
    assert changed.converged_
    # It began at the last model: J of its outputs under what holds now.
    cold = clone(changed).fit(features, target)
    assert changed.loss_curve_[0] < cold.loss_curve_[0]
    assert changed.n_iter_ <= cold.n_iter_
    # And it ended at the optimum of what holds now.
    if isinstance(model, LogisticNN):
        assert_allclose(changed.loss_, cold.loss_, rtol=1e-5)
        assert_allclose(
            changed.decision_function(X), cold.decision_function(X), atol=0.02
        )
    assert before.shape == (len(X),)


# Imports ------------------------------------------------------------------------------


OPTIONAL = ["matplotlib", "polars", "skl2onnx", "onnx", "onnxruntime", "skops"]
# scikit-learn looks into these itself where they are installed.
BLOCKED = [name for name in OPTIONAL if name != "polars"]


def run(program):
    subprocess.run([sys.executable, "-c", program], check=True)


def test_import_asks_for_no_optional_package():
    run(f"import sys, sknn_simple; assert not set({OPTIONAL}) & set(sys.modules)")


def test_fits_without_any_optional_package():
    run(
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({BLOCKED}))\n"
        "from sknn_simple import LogisticNN, OneHiddenMLP\n"
        "X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]\n"
        "for model in (LogisticNN(), OneHiddenMLP(2, random_state=0)):\n"
        "    model.fit(X, y).predict_proba(X)\n"
    )
