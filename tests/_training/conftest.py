"""Data, specs and ways to train that several files share."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, make_classification

from sknn_simple._data.row_blocks import DEFAULT_SIZES
from sknn_simple._data.threads import Workers
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.heuristics import Thresholds
from sknn_simple._training.problem import build_problem
from sknn_simple._training.spec import TrainSpec
from sknn_simple._training.train import train

# Data ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def digits():
    """Ten classes: 600 rows of 64 columns, some constant."""
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


@pytest.fixture(scope="session")
def breast_cancer():
    return load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="session")
def two_classes():
    """Half of the rows lie on the wrong side, so that the optimum is near 0."""
    return make_classification(5000, 15, flip_y=0.5, random_state=0)


@pytest.fixture(scope="session")
def many_columns():
    return make_classification(600, 250, n_informative=20, random_state=0)


@pytest.fixture(scope="session")
def words():
    """Sparse counts; a few words of each class are more frequent."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=1000)
    rate = 1.0 / np.arange(5, 1505) * np.exp(0.7 * rng.normal(size=(2, 1500)))
    X = rng.poisson(30.0 * rate[y])
    return sparse.csr_array(X, dtype=np.float64), y


@pytest.fixture(scope="session")
def rare_columns():
    """Normal columns, but for ten that are 1 in a handful of rows and else 0."""
    n, p = 8000, 40
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    for column in range(10):
        X[:, column] = 0.0
        X[column + 1 : n : n // (column + 6), column] = 1.0
    raw = X[:, 10:14].sum(axis=1) + 2.0 * X[:, :10].sum(axis=1) + rng.logistic(size=n)
    return X, (raw > np.median(raw)).astype(int)


def training_set(X, y, weight=None):
    """Return a training set; y is class codes, or an indicator matrix of labels."""
    multilabel = y.ndim == 2
    weight = np.ones(len(y)) if weight is None else weight
    data = TrainingSet(
        X,
        y.astype(float) if multilabel else y,
        weight / weight.sum(),
        float(weight.sum()),
        np.arange(y.shape[1] if multilabel else y.max() + 1),
        multilabel,
    )
    if data.out_activation == "logistic" and not multilabel:
        data = data._replace(y=y.astype(float)[:, None])
    return data


@pytest.fixture(scope="session", name="training_set")
def make_training_set():
    return training_set


# Specs --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def linear_spec():
    """Return a function from data, thresholds and fields to a linear network's spec."""

    def spec(data, *, fit_intercept=True, thresholds=None, **fields):
        network = LinearNetwork(data.X.shape[1], data.n_outputs, fit_intercept)
        return _spec(network, thresholds or {}, **fields)

    return spec


@pytest.fixture(scope="session")
def hidden_spec():
    """Return a function from data, thresholds and fields to a hidden layer's spec."""

    def spec(
        data, *, n_hidden=5, activation="tanh", skip=False, thresholds=None, **fields
    ):
        network = OneHiddenNetwork(
            data.X.shape[1], n_hidden, data.n_outputs, ACTIVATIONS[activation], skip
        )
        return _spec(network, thresholds or {}, **fields)

    return spec


def _spec(
    network,
    thresholds,
    *,
    alpha=1.0,
    standardize=True,
    signs=None,
    solver="auto",
    tol=1e-5,
    max_iter=1000,
    min_decrease=0.0,
    patience=None,
    sizes=DEFAULT_SIZES,
):
    return TrainSpec(
        network=network,
        alpha=alpha,
        standardize=standardize,
        signs=np.zeros(network.layout.size) if signs is None else signs,
        solver=solver,
        criteria=StoppingCriteria(tol, max_iter, min_decrease),
        patience=patience,
        thresholds=Thresholds(**thresholds),
        block_sizes=sizes,
    )


# Problems and fits --------------------------------------------------------------------


@pytest.fixture
def problem_of():
    """Return a function that builds the problem of a spec and data."""
    return lambda spec, data: build_problem(spec, data, Workers(1))


@pytest.fixture
def start_of():
    """Return a function that draws a start: zeros for a linear network."""

    def draw(spec, seed=0):
        size = spec.network.layout.size
        if spec.network.is_linear:
            return np.zeros(size)
        return np.random.default_rng(seed).uniform(-0.4, 0.4, size)

    return draw


@pytest.fixture
def fit(start_of):
    """Return a function that trains, by default from `start_of` a spec."""

    def run(spec, data, start=None, observer=None, validation=None, **settings):
        start = start_of(spec) if start is None else start
        observers = () if observer is None else (observer,)
        return train(spec, data, validation, start, lambda *_: observers, **settings)

    return run
