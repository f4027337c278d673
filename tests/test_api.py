"""The names, defaults, shapes and types that users rely on."""

import inspect
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from joblib import cpu_count
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from threadpoolctl import threadpool_info, threadpool_limits

import sknn_simple
from models import (
    ACTIVATIONS,
    LINEAR,
    NETWORK,
    SOLVERS,
    assert_same_bits,
    each_model,
    each_model_and_solver,
    ignores_max_iter,
    independent_classes,
    labels,
    while_fitting,
)
from sknn_simple import LogisticNN, OneHiddenMLP

P, H = 5, NETWORK.hidden_layer_size

# Name of the target, number of outputs, and what out_activation_ is called.
TARGETS = [("two", 1, "logistic"), ("three", 3, "softmax"), ("labels", 3, "logistic")]
each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[0])


def data(target="two", n=60):
    if target == "labels":
        return labels(n, P, 3)
    return independent_classes({"two": 2, "three": 3}[target], n, P)


# Names and defaults -------------------------------------------------------------------

ANY_INT, ANY_FLOAT = object(), object()  # defaults that may be tuned

SHARED = {
    "class_weight": None,
    "monotonic_cst": None,
    "warm_start": False,
    "verbose": 0,
}
SIGNATURES = {
    LogisticNN: (
        {"alpha": "auto"},
        {
            "fit_intercept": True,
            "standardize": True,
            "solver": "auto",
            "max_iter": ANY_INT,
            "tol": ANY_FLOAT,
            **SHARED,
        },
    ),
    OneHiddenMLP: (
        {"hidden_layer_size": 100, "activation": "relu"},
        {
            "alpha": "auto",
            "cv": 5,
            "standardize": True,
            "skip_connections": False,
            "solver": "auto",
            "max_iter": ANY_INT,
            "tol": ANY_FLOAT,
            "n_init": 1,
            "n_jobs": None,
            "early_stopping": False,
            "validation_fraction": 0.1,
            "n_iter_no_change": 10,
            "random_state": None,
            **SHARED,
        },
    ),
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_parameters_and_defaults(kind):
    positional, keywords = SIGNATURES[kind]
    parameters = inspect.signature(kind).parameters.values()
    by_kind = [
        [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD],
        {p.name for p in parameters if p.kind is p.KEYWORD_ONLY},
    ]
    assert by_kind == [list(positional), set(keywords)]
    for name, default in kind().get_params().items():
        expected = {**positional, **keywords}[name]
        if expected is ANY_INT or expected is ANY_FLOAT:
            assert type(default) is (int if expected is ANY_INT else float)
            assert default > 0
        else:
            assert default == expected
            assert type(default) is type(expected)


def test_names_of_the_package():
    assert set(sknn_simple.__all__) == {
        "AlphaDisplay",
        "CoefficientDisplay",
        "HiddenUnitsDisplay",
        "LogisticNN",
        "LossCurveDisplay",
        "NetworkDisplay",
        "OneHiddenMLP",
        "Posterior",
        "__version__",
    }
    for name in sknn_simple.__all__:
        assert getattr(sknn_simple, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'TwoHiddenMLP'"):
        _ = sknn_simple.TwoHiddenMLP


@pytest.mark.parametrize(
    "name",
    ["AlphaDisplay", "HiddenUnitsDisplay", "LossCurveDisplay", "NetworkDisplay"],
)
def test_displays_have_the_interface_of_scikit_learns(name):
    display = getattr(sknn_simple, name)
    assert display.__name__ == name
    for method in (display.from_estimator, display.plot):
        assert inspect.signature(method).parameters["ax"].default is None


@pytest.mark.parametrize("kind", SIGNATURES)
def test_fit_takes_sample_weight_as_its_last_positional_argument(kind):
    X, y = data()
    parameters = inspect.signature(kind.fit).parameters
    by_name = ["X_val", "y_val", "sample_weight_val"]
    assert list(parameters) == ["self", "X", "y", "sample_weight", *by_name]
    assert all(parameters[name].default is None for name in list(parameters)[3:])
    assert all(parameters[name].kind.name == "KEYWORD_ONLY" for name in by_name)
    model = kind()
    assert model.fit(X, y) is model


def test_activations():
    names = {"identity", "logistic", "sigmoid", "tanh", "relu", "softplus", "silu"}
    assert set(ACTIVATIONS) == names | {"gelu"}


def test_sigmoid_is_another_name_of_logistic():
    X, y = data()
    one, other = (
        clone(NETWORK).set_params(activation=activation).fit(X, y)
        for activation in ("logistic", "sigmoid")
    )
    assert_same_bits(other, one, X)


def test_solvers():
    every = {"lbfgs", "newton-cg", "trust-ncg", "newton-cholesky"}
    assert set(SOLVERS) == every


# The fitted model ---------------------------------------------------------------------

RECORD = {
    "scale_",
    "alpha_",
    "loss_",
    "loss_curve_",
    "n_iter_",
    "grad_norm_",
    "converged_",
    "solver_",
}
LINEAR_ATTRIBUTES = {
    "classes_",
    "coef_",
    "intercept_",
    "n_features_in_",
    "log_evidence_",
    "n_effective_",
    "evidence_path_",
    *RECORD,
}
NETWORK_ATTRIBUTES = {
    "classes_",
    "coefs_",
    "intercepts_",
    "activation_",
    "out_activation_",
    "n_layers_",
    "n_outputs_",
    "init_losses_",
    "n_features_in_",
    *RECORD,
}


def fitted_attributes(model):
    return {name for name in vars(model) if name.endswith("_") and name[0] != "_"}


@each_target
def test_attributes_of_logistic_nn(target):
    name, n_outputs, _ = target
    model = LogisticNN().fit(*data(name))
    assert fitted_attributes(model) == LINEAR_ATTRIBUTES
    assert model.coef_.shape == (n_outputs, P)
    assert model.intercept_.shape == (n_outputs,)
    assert model.classes_.tolist() == list(range(2 if name == "two" else 3))
    assert model.n_features_in_ == P


@pytest.mark.parametrize("skip", [False, True])
@each_target
def test_attributes_of_the_network(target, skip):
    name, n_outputs, out_activation = target
    model = clone(NETWORK).set_params(alpha="auto", skip_connections=skip)
    model.fit(*data(name))
    optional = {"cv_results_", "skip_coef_"} if skip else {"cv_results_"}
    assert fitted_attributes(model) == NETWORK_ATTRIBUTES | optional
    assert [coef.shape for coef in model.coefs_] == [(P, H), (H, n_outputs)]
    assert [b.shape for b in model.intercepts_] == [(H,), (n_outputs,)]
    assert model.out_activation_ == out_activation
    assert (model.n_layers_, model.n_outputs_) == (3, n_outputs)
    if skip:
        assert model.skip_coef_.shape == (P, n_outputs)
        model.set_params(skip_connections=False).fit(*data(name))
        assert not hasattr(model, "skip_coef_")


@each_model
def test_feature_names_are_those_of_a_frame(model):
    pandas = pytest.importorskip("pandas")
    X, y = data()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    assert clone(model).fit(frame, y).feature_names_in_.tolist() == list("abcde")


@each_model
def test_types_of_the_record(model):
    model = clone(model).fit(*data())
    assert type(model.loss_) is type(model.grad_norm_) is float
    assert type(model.n_iter_) is int
    assert type(model.converged_) is bool
    assert type(model.solver_) is str
    assert type(model.loss_curve_) is list
    assert {type(loss) for loss in model.loss_curve_} == {float}


@each_target
@each_model
def test_score_is_the_accuracy_of_predict(model, target):
    X, y = data(target[0])
    weight = np.linspace(1.0, 3.0, len(X))
    model = clone(model).set_params(alpha=20.0).fit(X, y)
    predicted = model.predict(X)
    assert 0.0 < model.score(X, y) < 1.0
    assert model.score(X, y) == accuracy_score(y, predicted)
    weighted = accuracy_score(y, predicted, sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == weighted


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
@each_model
def test_a_constant_column_gets_weight_0(model, container):
    X, y = data("three")
    X = np.column_stack([X, np.full(len(X), 0.1), np.zeros(len(X))])
    model = clone(model).fit(container(X), y)
    arrays = [model.coef_.T] if model is LINEAR else getattr(model, "coefs_", [])[:1]
    arrays += [model.skip_coef_] if hasattr(model, "skip_coef_") else []
    for array in arrays:
        assert_array_equal(array[P:], 0.0)
        assert (array[:P] != 0.0).any()


@each_target
@each_model
def test_balanced_counts_a_row_of_weight_2_as_two_rows(model, target):
    X, y = data(target[0])
    times = np.random.default_rng(0).integers(1, 4, len(X))
    model = clone(model).set_params(class_weight="balanced", tol=1e-2)
    weighted = clone(model).fit(X, y, sample_weight=times)
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times, 0))
    assert_allclose(weighted.loss_curve_[0], repeated.loss_curve_[0], rtol=1e-9)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-5)


# How it is trained --------------------------------------------------------------------


@ignores_max_iter
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_without_a_penalty_standardize_changes_nothing(activation):
    # The optimiser works in scaled coordinates either way; only the penalty differs.
    X, y = data(n=200)
    X = X * 10.0 ** np.arange(-4, 6, 2)
    model = OneHiddenMLP(H, activation, alpha=0.0, max_iter=10, tol=0.0, random_state=0)
    one, other = (
        clone(model).set_params(standardize=standardize).fit(X, y)
        for standardize in (True, False)
    )
    assert one.loss_ < 0.9 * one.loss_curve_[0]
    assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-5)


@each_model_and_solver
def test_tol_is_compared_with_grad_norm(model, solver):
    X, y = independent_classes()
    model = clone(model).set_params(solver=solver, alpha=1.0)
    assert clone(model).fit(X, y).converged_
    # tol a little above what an iteration reached ends the fit there.
    with pytest.warns(match="max_iter=2"):
        stopped = clone(model).set_params(max_iter=2, tol=1e-12).fit(X, y)
    scale = min(1.0, stopped.loss_)
    if isinstance(model, OneHiddenMLP):  # relative to the whole decrease, too
        decrease = stopped.loss_curve_[0] - stopped.loss_
        scale = min(scale, max(decrease, 0.01 * stopped.loss_))
    reached = stopped.grad_norm_ / scale
    ended = clone(model).set_params(tol=1.001 * reached).fit(X, y)
    assert ended.converged_
    assert ended.n_iter_ <= 2


@each_model_and_solver
def test_every_solver_runs_through_scipy(model, solver):
    methods = set()

    def look_at_the_callers(n_iter):
        frame = inspect.currentframe()
        while n_iter > 0 and frame is not None:
            if frame.f_code is optimize.minimize.__code__:
                methods.add(frame.f_locals["method"])
            frame = frame.f_back

    model = clone(model).set_params(solver=solver)
    while_fitting(model, *independent_classes(), does=look_at_the_callers)
    assert methods == {SOLVERS[solver].method}


# Threads ------------------------------------------------------------------------------


needs_openblas = pytest.mark.skipif(
    not any(pool["internal_api"] == "openblas" for pool in threadpool_info()),
    reason="no OpenBLAS is loaded",
)


@needs_openblas
@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_as_many_threads_work_as_the_blas_is_allowed(allowed, large):
    before, numbers = threading.active_count(), []
    model = OneHiddenMLP(cv=2, max_iter=5, solver="lbfgs")
    with threadpool_limits(allowed), pytest.warns(ConvergenceWarning):
        while_fitting(
            model, *large, does=lambda n_iter: numbers.append(threading.active_count())
        )
    assert max(numbers) == before + allowed - 1


PROGRAM = """
import threading
import numpy as np
from models import while_fitting
from sknn_simple import OneHiddenMLP

numbers = []
X = np.random.default_rng(0).normal(size=(20_000, 40))
y = X[:, 0] + X[:, 1] > X[:, 2]
model = OneHiddenMLP(20, alpha=1.0, solver="lbfgs", max_iter=5)
while_fitting(model, X, y, lambda n_iter: numbers.append(threading.active_count()))
print(max(numbers))
"""


@needs_openblas
@pytest.mark.parametrize("allowed", [1, 2])
def test_the_environment_limits_the_threads(allowed):
    if cpu_count() < allowed:
        pytest.skip("OpenBLAS starts no more threads than a process may use cores")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "OMP_NUM_THREADS": str(allowed),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(allowed)]
