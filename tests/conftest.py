"""What every test runs under; each setting can be overridden from the environment."""

import os
import signal
from pathlib import Path

# Before numpy is imported: the wheels of NumPy and SciPy each bring a pool of BLAS
# threads, and on fits this small the two fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Before scipy is imported: scikit-learn asks for it if its array API dispatch is on.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import settings
from sklearn.datasets import make_classification

from sknn_simple._model.objective import Objective
from sknn_simple._optim.history import Observer

# So that a failed assertion of tests/models.py, too, shows the values compared.
pytest.register_assert_rewrite("models")

# A gate must give the same answer twice, on a machine of any speed. To search further:
# pytest --hypothesis-profile=explore
settings.register_profile("gate", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("gate")

# Files that hold a promise for many cases, over lines that other tests reach, or that
# trace memory. They run without the tracer of coverage, which costs half of their time.
NOT_COVERING = {
    "_data/test_moments.py",
    "_model/test_objective.py",
    "_training/test_float32_phase.py",
    "_training/test_laplace.py",
    "_training/test_phases.py",
    "_training/test_restarts.py",
    "_training/test_same_optimum.py",
    "test_alpha_search_invariants.py",
    "test_api.py",
    "test_architecture.py",
    "test_benchmarks.py",
    "test_benchmarks_defaults.py",
    "test_benchmarks_inference.py",
    "test_callbacks.py",
    "test_callbacks_errors.py",
    "test_callbacks_fitted.py",
    "test_common.py",
    "test_early_stopping.py",
    "test_ecosystem.py",
    "test_evidence.py",
    "test_examples.py",
    "test_extreme_columns.py",
    "test_fewer_rows_than_columns.py",
    "test_fuzz.py",
    "test_mechanisms.py",
    "test_onnx_composites.py",
    "test_persistence.py",
    "test_posterior_effects.py",
    "test_posterior_invariants.py",
    "test_prediction_threads.py",
    "test_record.py",
    "test_reference.py",
    "test_reliability.py",
    "test_restarts.py",
    "test_sparse_is_dense.py",
    "test_threads_do_not_matter.py",
    "test_units_do_not_matter.py",
    "test_validation.py",
    "test_weights_are_repeated_rows.py",
    "test_without_threads.py",
}


def pytest_collection_modifyitems(items):
    # Items may be of other folders, too: doctests of the package and of the docs.
    paths = {Path(__file__).parent / name for name in NOT_COVERING}
    for item in items:
        if item.path in paths:
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def large():
    """Data large enough for several threads, and for several blocks of rows in each."""
    return make_classification(
        20_000, 40, n_informative=20, n_classes=3, random_state=0
    )


@pytest.fixture
def on_evaluation(monkeypatch):
    """Return a function that has another called before every evaluation of J.

    It is given the objective. The loss without a penalty, and points whose loss was
    kept, count as well.
    """

    def follow(before):
        monkeypatch.setattr(
            Objective, "loss_and_gradient", _preceded(Objective, before)
        )

    return follow


def _preceded(kind, before):
    evaluate = kind.loss_and_gradient

    def evaluated(self, theta):
        before(self)
        return evaluate(self, theta)

    return evaluated


class Recorder(Observer):
    """Keeps what it is told; asks to stop, or raises an error, at an iteration.

    `events` has a letter for each call: B and E for the begin and the end of an
    iteration, S for the end of all.
    """

    def __init__(self, stop_at=None, error=None):
        self.stop_at, self.error = stop_at, error
        self.iterates, self.events, self.outcomes = [], "", []

    def on_iteration_begin(self, theta):
        self.events += "B"
        self.begun_at = theta.copy()

    def on_iteration_end(self, iterate):
        self.events += "E"
        self.iterates.append(iterate)
        if iterate.n_iter == self.stop_at and self.error is not None:
            raise self.error
        return iterate.n_iter == self.stop_at

    def on_stop(self, outcome):
        self.events += "S"
        self.outcomes.append(outcome)


@pytest.fixture
def signals_are_interrupts():
    """Let SIGINT raise KeyboardInterrupt, whatever the program that runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def close_figures():
    """Close the figures of a test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def recorder():
    return Recorder


@pytest.fixture(scope="module")
def client():
    """Return a client of two workers that are threads of this process.

    It is not the default client. At the end of a module it closes its threads, so that
    they are not among those that other tests count.
    """
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.Client(
        processes=False, set_as_default=False, **options
    ) as in_process:
        yield in_process
