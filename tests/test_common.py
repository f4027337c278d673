"""scikit-learn's own checks, in many settings, and those that check_estimator omits."""

import itertools
import os
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_dataframe_column_names_consistency,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from models import (
    ACTIVATIONS,
    NETWORK_SOLVERS,
    SOLVERS,
    classes,
    expects_separation,
    outputs,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# Small, because the checks fit each setting some two hundred times; seeded, because
# they compare fits with each other.
SmallMLP = partial(OneHiddenMLP, 4, alpha=1.0, random_state=0)

# What the checks rule out by themselves is not here:
# - LogisticNN(fit_intercept=False): check_class_weight_classifiers asks of it, as of
#   LogisticRegression(fit_intercept=False), what no model without intercept can do;
#   test_reference.py compares the two instead.
# - Probabilities that round to 1 (alpha=0 to the end, on separable data): the checks
#   compare predict_log_proba, which is exact here, with the logarithm of the rounded.
#
# Each entry of the tables comes with one option: a check that holds of the pair holds
# of both, and each setting takes some seventy checks. An entry without an option of its
# own gets the first ones again.
LINEAR_OPTIONS = [
    {"class_weight": "balanced"},
    {"alpha": 1e-3},
    {"standardize": False},
    {"warm_start": True},
]
NETWORK_OPTIONS = [
    {"standardize": False},
    {"class_weight": "balanced"},
    # A warm start goes on falling: a check compares the predictions of three fits.
    {"warm_start": True, "tol": 1e-5},
    {"alpha": 10.0},
    {"skip_connections": True},
    {"n_init": 2},
    {"skip_connections": True, "standardize": False},
    {},
]


def with_options(table, options):
    return zip(table, itertools.cycle(options))


SETTINGS = [
    LogisticNN(),
    LogisticNN(alpha=0),
    LogisticNN(alpha=100.0),
    LogisticNN(alpha=1e-3, solver="lbfgs", standardize=False),
    *[LogisticNN(solver=s, **o) for s, o in with_options(SOLVERS, LINEAR_OPTIONS)],
    OneHiddenMLP(random_state=0),
    *[
        SmallMLP(name, solver=solver, **options)
        for (name, options), solver in with_options(
            with_options(ACTIVATIONS, NETWORK_OPTIONS), NETWORK_SOLVERS
        )
    ],
    SmallMLP("identity", alpha=0, tol=1e-1),
    SmallMLP(alpha=0, tol=1e-2),
]


# Some data of the checks are separable, which a fit with alpha=0 says.
@expects_separation
@parametrize_with_checks(SETTINGS)
def test_check_estimator(estimator, check):
    check(estimator)


CLASSIFIERS = [LogisticNN(), SmallMLP(), SmallMLP("tanh", skip_connections=True)]
TRANSFORMERS = [SmallMLP(), SmallMLP("tanh", skip_connections=True)]


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
@pytest.mark.parametrize(
    "check", [check_dataframe_column_names_consistency, check_param_validation]
)
def test_check_of_classifiers(estimator, check):
    check(type(estimator).__name__, estimator)


# The checks of frames fit on a frame and transform its array, too.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=str)
@pytest.mark.parametrize(
    "check",
    [
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
        check_global_output_transform_pandas,
        check_global_set_output_transform_polars,
    ],
)
def test_check_of_transformers(estimator, check):
    check(type(estimator).__name__, estimator)


def test_set_output_names_and_kinds_of_frames():
    X, y = classes(n=40)
    model = SmallMLP().fit(X, y)
    names = [f"onehiddenmlp{i}" for i in range(4)]
    assert model.get_feature_names_out().tolist() == names
    expected = model.transform(X)
    for kind in ("pandas", "polars"):
        module = pytest.importorskip(kind)
        frame = clone(model).set_output(transform=kind).fit(X, y).transform(X)
        assert isinstance(frame, module.DataFrame)
        assert list(frame.columns) == names
        assert_array_equal(frame.to_numpy(), expected)
    assert isinstance(model.set_output(transform="default").transform(X), np.ndarray)


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
def test_every_parameter_has_its_constraint(estimator):
    assert set(estimator._parameter_constraints) == set(estimator.get_params())


# Array API ---------------------------------------------------------------------------


def skip_without_dispatch():
    """Skip if scikit-learn asks for newer libraries than its oldest ones."""
    try:
        with config_context(array_api_dispatch=True):
            pass
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
def test_check_array_api_input_of_numpy(estimator):
    pytest.importorskip("array_api_strict")
    skip_without_dispatch()
    assert os.environ.get("SCIPY_ARRAY_API") == "1"
    check_array_api_input_and_values(type(estimator).__name__, estimator, "numpy")


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
def test_strict_arrays_give_the_results_of_numpy(estimator, n_classes, dtype, dispatch):
    # Training is the work of NumPy and SciPy: arrays of other libraries are converted,
    # and results are NumPy's, also if scikit-learn's dispatch is switched on.
    xp = pytest.importorskip("array_api_strict")
    if dispatch:
        skip_without_dispatch()
    X, y = classes(n_classes, 90)
    X = X.astype(dtype)
    weight = np.arange(1.0, 91.0)
    expected = clone(estimator).fit(X, y, sample_weight=weight)
    with config_context(array_api_dispatch=dispatch):
        X_strict = xp.asarray(X)
        model = clone(estimator).fit(
            X_strict, xp.asarray(y), sample_weight=xp.asarray(weight)
        )
        for name, result in outputs(model, X_strict).items():
            assert isinstance(result, np.ndarray)
            assert_array_equal(result, getattr(expected, name)(X))
        assert model.score(X_strict, y) == expected.score(X, y)
    assert model.loss_curve_ == expected.loss_curve_
