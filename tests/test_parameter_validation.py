"""fit refuses parameters out of range, and says what it would take."""

import re

import numpy as np
import pytest
from sklearn.base import clone

from checks import X, Y, assert_refused
from models import LINEAR, NETWORK, NETWORK_SOLVERS, each_class, with_every_solver
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._optim.minimize import SOLVERS

BAD_PARAMETERS = [
    ("alpha", -1.0),
    ("alpha", -1e-300),
    ("alpha", np.nan),
    ("alpha", np.inf),
    ("alpha", None),
    ("alpha", "1"),
    ("standardize", 2),
    ("standardize", "yes"),
    ("max_iter", -1),
    ("max_iter", -5),
    ("max_iter", 10.0),
    ("max_iter", None),
    ("tol", -1e-4),
    ("tol", np.nan),
    ("tol", np.inf),
    ("tol", "small"),
    ("warm_start", "no"),
    ("verbose", -1),
    ("verbose", "loud"),
    ("solver", "sgd"),
    ("solver", None),
    ("fit_intercept", "no"),
    ("fit_intercept", None),
    ("hidden_layer_size", 0),
    ("hidden_layer_size", -3),
    ("hidden_layer_size", 2.5),
    ("hidden_layer_size", (10,)),
    ("hidden_layer_size", "10"),
    ("activation", "step"),
    ("activation", None),
    ("activation", np.tanh),
    ("skip_connections", "no"),
    ("skip_connections", 3),
    ("random_state", -1),
    ("random_state", "seed"),
    ("random_state", 1.5),
    ("n_init", 0),
    ("n_init", 1.5),
    ("n_jobs", "all"),
    ("n_jobs", 0),
    ("early_stopping", "yes"),
    ("validation_fraction", 0.0),
    ("validation_fraction", 1.0),
    ("validation_fraction", "tenth"),
    ("n_iter_no_change", 0),
    ("monotonic_cst", 1),
    ("monotonic_cst", "up"),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
@each_class
def test_a_parameter_out_of_range_is_refused_with_its_value(model, name, value):
    if name not in model.get_params():
        return
    model = clone(model).set_params(**{name: value})
    shown = str(value) if isinstance(value, float) else repr(value)
    match = f"The '{name}' parameter of {type(model).__name__} must be"
    assert_refused(model, match, X, Y)
    with pytest.raises(ValueError, match=match) as caught:
        model.fit(X, Y)
    assert shown in str(caught.value)


MISSPELT = [
    (LogisticNN, "solver", "l-bfgs", "lbfgs"),
    (LogisticNN, "solver", "LBFGS", "lbfgs"),
    (LogisticNN, "solver", "L-BFGS-B", "lbfgs"),
    (LogisticNN, "solver", "newton_cg", "newton-cg"),
    (LogisticNN, "solver", "cholesky", "newton-cholesky"),
    (LogisticNN, "class_weight", "Balanced", "balanced"),
    (OneHiddenMLP, "solver", "lbgfs", "lbfgs"),
    (OneHiddenMLP, "activation", "ReLU", "relu"),
    (OneHiddenMLP, "activation", "logistc", "logistic"),
    (OneHiddenMLP, "activation", "Sigmoid", "sigmoid"),
    (OneHiddenMLP, "activation", "swish", None),
]


@pytest.mark.parametrize(("kind", "name", "value", "meant"), MISSPELT)
def test_a_misspelt_option_is_answered_with_the_nearest_one(kind, name, value, meant):
    with pytest.raises(ValueError, match=f"'{name}' parameter") as caught:
        kind(**{name: value}).fit(X, Y)
    message = str(caught.value)
    assert repr(value) in message
    if meant is not None:
        assert message.endswith(f"Did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        (LogisticNN, "solver", ["auto", *SOLVERS]),
        (OneHiddenMLP, "solver", ["auto", *NETWORK_SOLVERS]),
        (OneHiddenMLP, "activation", list(ACTIVATIONS)),
    ],
)
def test_options_are_listed_in_one_order(kind, name, options):
    # A set of strings has another order in each process.
    with pytest.raises(ValueError, match=f"'{name}' parameter") as caught:
        kind(**{name: "adamw"}).fit(X, Y)
    assert f"among {{{', '.join(map(repr, options))}}}." in str(caught.value)


def test_a_solver_of_the_other_classifier_is_refused():
    with pytest.raises(ValueError, match="'solver' parameter of OneHiddenMLP"):
        OneHiddenMLP(solver="newton-cholesky").fit(X, Y)


@pytest.mark.parametrize(
    ("signs", "y", "match"),
    [
        ([1, 0, 0, 0], Y > 0, "monotonic_cst"),
        ([1, 0, 0, 0, 2], Y > 0, "monotonic_cst"),
        ({"a": 1}, Y > 0, "monotonic_cst"),
        ([1, 0, 0, 0, 0], Y, "monotonic_cst needs a target of two classes"),
    ],
)
@each_class
def test_constraints_that_cannot_be_used_are_refused(model, signs, y, match):
    assert_refused(clone(model).set_params(monotonic_cst=signs), match, X, y)


BOUNDED = [name for name, row in SOLVERS.items() if row.bounds]
UNBOUNDED = [
    (model, solver)
    for model, solver in with_every_solver(LINEAR, NETWORK)
    if solver not in BOUNDED
]


@pytest.mark.parametrize(("model", "solver"), UNBOUNDED, ids=str)
def test_a_solver_without_bounds_names_those_that_have_them(model, solver):
    model = clone(model).set_params(solver=solver, monotonic_cst=[1, 0, 0, 0, 0])
    others = re.escape(f"solver='auto' or one of {BOUNDED}")
    match = f"solver='{solver}' cannot keep .* monotonic_cst needs. Use {others}"
    assert_refused(model, match, X, Y > 0)


def test_too_few_rows_to_set_any_aside_are_refused():
    model = OneHiddenMLP(4, early_stopping=True, random_state=0)
    assert_refused(model, "early_stopping=True.*validation_fraction=0.1", X[:9], Y[:9])
