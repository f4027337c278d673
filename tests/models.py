"""Data, models and comparisons that several test files share.

A test that is true of every model, solver or activation is parametrised here, over the
tables of the package: a new solver or activation is then tested on arrival.
"""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.utils.fixes import parse_version

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._optim.minimize import SOLVERS

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn < 1.9")

# A network has no Hessian: only the linear model takes the solvers that need one.
NETWORK_SOLVERS = [n for n, row in SOLVERS.items() if not row.needs_matrix]

# Small models. The networks have a fixed alpha, because a search takes as long as ten
# fits; CHOOSING searches.
LINEAR = LogisticNN()
NETWORK = OneHiddenMLP(4, "tanh", alpha=1.0, random_state=0)
CHOOSING = clone(NETWORK).set_params(alpha="auto", cv=3)
SKIPPING = clone(NETWORK).set_params(skip_connections=True)

# Models for two fits that may differ by rounding. LogisticNN has one optimum; the path
# of a network is not convex and amplifies rounding about tenfold in ten iterations, so
# that networks are compared after a few. The caller ignores ConvergenceWarning.
EXACT_LINEAR = LogisticNN(tol=1e-9)
SHORT_NETWORK = OneHiddenMLP(6, "tanh", alpha=1.0, max_iter=25, tol=0.0, random_state=0)
SHORT_CHOOSING = clone(SHORT_NETWORK).set_params(alpha="auto", cv=3)
SHORT_SKIPPING = clone(SHORT_NETWORK).set_params(
    activation="softplus", skip_connections=True
)


def _name(model):
    skips = getattr(model, "skip_connections", False)
    chooses = model.alpha == "auto" and hasattr(model, "cv")
    name = f"{type(model).__name__}{' with skip connections' * skips}"
    return name + " that chooses alpha" * chooses


def _each(*models):
    return pytest.mark.parametrize("model", models, ids=_name)


each_model = _each(LINEAR, NETWORK, SKIPPING, CHOOSING)
each_class = _each(LINEAR, NETWORK)
each_comparable_model = _each(EXACT_LINEAR, SHORT_NETWORK, SHORT_SKIPPING)
ignores_max_iter = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

# test_without_penalty.py holds that there is such a warning.
expects_separation = pytest.mark.filterwarnings(
    "ignore:.*no optimum, because the classes can be separated"
)

each_solver = pytest.mark.parametrize("solver", SOLVERS)
each_network_solver = pytest.mark.parametrize("solver", NETWORK_SOLVERS)
# "sigmoid" is another name of "logistic", which test_api.py holds.
each_activation = pytest.mark.parametrize(
    "activation", [name for name in ACTIVATIONS if name != "sigmoid"]
)


def with_every_solver(linear, network):
    """Every pair of a model and a solver that the model takes."""
    pairs = [(linear, solver) for solver in SOLVERS]
    return pairs + [(network, solver) for solver in NETWORK_SOLVERS]


def _names(value):
    return value if isinstance(value, str) else type(value).__name__


each_model_and_solver = pytest.mark.parametrize(
    ("model", "solver"), with_every_solver(LINEAR, NETWORK), ids=_names
)


# Data ---------------------------------------------------------------------------------


def classes(n_classes=3, n=120, p=6, **options):
    """Features and a target of classes; four columns matter."""
    options = {"n_informative": 4, "random_state": 0, **options}
    return make_classification(n, p, n_classes=n_classes, **options)


def independent_classes(n_classes=2, n=60, p=5, **options):
    """The same without a column that the others determine."""
    return classes(n_classes, n, p, n_redundant=0, **options)


def noisy_classes(n_classes=2, n=150, p=4):
    """Classes that overlap, so that J has a minimum without a penalty."""
    return independent_classes(n_classes, n, p, n_informative=3, flip_y=0.3)


def labels(n=120, p=6, n_labels=4, **options):
    """Features and an indicator of several labels."""
    options = {"random_state": 0, **options}
    return make_multilabel_classification(n, p, n_classes=n_labels, **options)


def column_units(X):
    """The unit of each column: half the distance of two values, or the deviation."""
    return np.array(
        [np.ptp(x) / 2.0 if len(np.unique(x)) == 2 else x.std() for x in X.T]
    )


# Fitted models ------------------------------------------------------------------------


def fit(model, *args, **kwargs):
    """Fit a clone."""
    return clone(model).fit(*args, **kwargs)


METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
]


def outputs(model, X):
    """What every method of prediction returns."""
    return {name: getattr(model, name)(X) for name in METHODS if hasattr(model, name)}


def parameters(model):
    """The fitted arrays of weights and biases."""
    if hasattr(model, "coef_"):
        return [model.coef_, model.intercept_]
    skip = [model.skip_coef_] if hasattr(model, "skip_coef_") else []
    return [*model.coefs_, *model.intercepts_, *skip]


def assert_same_bits(one, other, X=None):
    """Require equal parameters, records and, for rows X, equal outputs."""
    for a, b in zip(parameters(one), parameters(other), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    for name in ("loss_curve_", "grad_norm_", "n_iter_", "converged_", "solver_"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("init_losses_", "validation_loss_curve_"):
        if hasattr(one, name):
            assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    if X is not None:
        for name, expected in outputs(one, X).items():
            assert_array_equal(outputs(other, X)[name], expected, err_msg=name)


class _Listener(io.StringIO):
    def __init__(self, heard):
        super().__init__()
        self._heard = heard

    def write(self, text):
        written = super().write(text)
        for line in text.splitlines():
            if line.strip():
                self._heard(line)
        return written


def while_fitting(model, X, y, does, **kwargs):
    """Fit `model` itself, and call ``does(n_iter)`` in each iteration (0: the start).

    The call comes from the write of the line that verbose=1 prints for an iteration:
    in the middle of the minimisation, whichever solver is at work. Of several starts
    each line has the number of the start, too: ``does(start, n_iter)``.
    """
    n_numbers = 2 if getattr(model, "n_init", 1) > 1 else 1

    def heard(line):
        numbers = line.split()[:n_numbers]
        if all(number.isdigit() for number in numbers):
            does(*map(int, numbers))

    verbose = model.get_params()["verbose"]
    try:
        with redirect_stdout(_Listener(heard)):
            return model.set_params(verbose=1).fit(X, y, **kwargs)
    finally:
        model.set_params(verbose=verbose)
