"""What the benchmarks share: an independent objective, timing, tables."""

import itertools
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import erf, expit, log_softmax
from sklearn.preprocessing import StandardScaler

import sknn_simple
from sknn_simple._optim.history import Iterate, Observer

ROOT = Path(__file__).parents[1]


class Settings(NamedTuple):
    """The options of run.py.

    Attributes
    ----------
    data : Path or None
        Folder of CSV files with further real data sets.
    quick : bool
        Small sets and few repetitions: to try the script, not to measure.
    repeats : int
        Repetitions of each timing; medians are reported.
    seeds : int
        Random starts per network.
    cap : float
        Seconds after which one fit of a peer is ended.
    only : str
        Data sets whose names contain one of these, between commas; all if empty.
    models : str
        The same for the models of the benchmark of defaults.
    rows : int or None
        Its limit of the rows of a set, 0 for all of them, None for its own.
    speed : bool
        Whether it times fits of large sets as well.
    alone : bool
        Whether it leaves the bundled sets out.
    """

    data: Path | None = None
    quick: bool = False
    repeats: int = 5
    seeds: int = 5
    cap: float = 60.0
    only: str = ""
    models: str = ""
    rows: int | None = None
    speed: bool = False
    alone: bool = False


# The objective, written once more and apart from the package -------------------------

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "softplus": lambda z: np.logaddexp(0.0, z),
    "silu": lambda z: z * expit(z),
    "gelu": lambda z: 0.5 * z * (1.0 + erf(z / np.sqrt(2.0))),
}


def log_loss(raw: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log-loss of raw outputs for class codes y.

    Parameters
    ----------
    raw : ndarray of shape (n_samples, 1) or (n_samples, n_classes)
        The logit of class 1 of two, or one raw output per class.
    y : ndarray of shape (n_samples,)
        Class codes 0 … n_classes - 1.
    """
    if raw.shape[1] == 1:
        return float(np.logaddexp(0.0, (1 - 2 * y) * raw[:, 0]).mean())
    return float(-log_softmax(raw, axis=1)[np.arange(len(y)), y].mean())


def column_units(X: Any) -> np.ndarray:
    """Return the unit of every column of a dense or sparse X.

    It is half the distance of the values of a column with two, else the deviation.
    """
    columns = _sparse_columns(X) if sparse.issparse(X) else X.T
    return np.array(
        [np.ptp(x) / 2.0 if len(np.unique(x)) == 2 else x.std() for x in columns]
    )


def _sparse_columns(X: Any) -> Iterator[np.ndarray]:
    """Yield the columns of a sparse X, dense; of rows in CSR each would be a search."""
    X = sparse.csc_array(X)
    for begin, end in itertools.pairwise(X.indptr):
        column = np.zeros(X.shape[0])
        column[X.indices[begin:end]] = X.data[begin:end]
        yield column


def network_raw(
    X: Any,
    coefs: Sequence[np.ndarray],
    intercepts: Sequence[np.ndarray],
    activation: str = "identity",
) -> np.ndarray:
    """Return the raw outputs of a network without or with one hidden layer."""
    raw = X @ coefs[0] + intercepts[0]
    for W, b in zip(coefs[1:], intercepts[1:], strict=True):
        raw = ACTIVATIONS[activation](raw) @ W + b
    return raw


def objective(
    X: Any,
    y: np.ndarray,
    coefs: Sequence[np.ndarray],
    intercepts: Sequence[np.ndarray],
    *,
    alpha: float,
    activation: str = "identity",
    units: np.ndarray | float = 1.0,
) -> float:
    """Return J = mean log-loss + alpha/(2n) Σ w², by which every fit is judged.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n_samples, n_features)
        Raw features.
    y : ndarray of shape (n_samples,)
        Class codes.
    coefs, intercepts : sequences of ndarray
        One layer (n_features, K), or two, (n_features, h) and (h, K), as they act on
        the raw features.
    alpha : float
        Strength of the penalty.
    activation : str
        Of the hidden layer.
    units : ndarray of shape (n_features,) or 1
        What the weights on the inputs are multiplied by before they are penalised: the
        their units where the penalty is on standardised features.
    """
    first = np.reshape(units, (-1, 1)) * coefs[0]
    square = np.sum(first**2) + sum(np.sum(W**2) for W in coefs[1:])
    raw = network_raw(X, coefs, intercepts, activation)
    return log_loss(raw, y) + 0.5 * alpha / X.shape[0] * float(square)


def unscaled(
    coef: np.ndarray, intercept: np.ndarray, mean: Any, scale: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (p, k) and biases for raw features from those for (x - m)/s."""
    raw = coef / np.reshape(scale, (-1, 1))
    if mean is None:
        return raw, intercept
    return raw, intercept - mean @ raw


class UnitScaler(StandardScaler):
    """A StandardScaler that divides by given units.

    It takes as long as StandardScaler, and the objective of a peer behind it is that of
    ``standardize=True``, where columns with two values have another unit.

    Parameters
    ----------
    units : ndarray of shape (n_features,)
        What ``column_units`` returns.
    with_mean : bool
        Whether columns are shifted too.
    """

    def __init__(self, units: np.ndarray, *, with_mean: bool = True) -> None:
        super().__init__(with_mean=with_mean)
        self.units = units

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "UnitScaler":
        """Compute means and deviations, and take the units in their place."""
        super().fit(X, y, sample_weight)
        self.scale_ = np.where(self.units == 0.0, 1.0, self.units)
        return self


# Timing ------------------------------------------------------------------------------


def seconds(function: Callable[[], Any]) -> float:
    """Return how long one call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def settle() -> None:
    """Wait until the threads of a BLAS have ceased to spin after another's work."""
    time.sleep(0.05)


def typical_seconds(function: Callable[[], Any], least: float = 0.1) -> float:
    """Return the median time of calls that together take at least `least` seconds."""
    settle()
    times = [seconds(function)]
    while sum(times) < least:
        times.append(seconds(function))
    return median(times)


def alternate(
    functions: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, list[float]]:
    """Time several functions in turns, so that all meet the machine's same moods."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            settle()
            times[name].append(seconds(function))
    return times


def repeated(function: Callable[[], Any], count: int) -> Callable[[], None]:
    """Return a function that calls another `count` times."""

    def run() -> None:
        for _ in range(count):
            function()

    return run


class CappedCalls:
    """Calls functions in a process of its own, which is ended when a call is too long.

    Solvers in C cannot be interrupted in any other way. The process keeps what it has
    loaded between calls.
    """

    def __init__(self, warm_up: Callable[[], Any]) -> None:
        self._warm_up = warm_up
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> "CappedCalls":
        """Start the process at the first call."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the process."""
        self._end()

    def __call__(self, function: Callable, *args: Any, cap: float | None) -> Any:
        """Return ``function(*args)``; None after `cap` seconds, or if it raised."""
        if self._process is None:
            self._begin()
        self._pipe.send((function, args))
        # A process that died, as for want of memory, has closed its end: poll ends.
        if self._pipe.poll(cap):
            with suppress(EOFError):
                return self._pipe.recv()
        self._end()
        return None

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._warm_up))
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def _serve(pipe: Any, warm_up: Callable[[], Any]) -> None:
    """Answer calls until the process is ended."""
    warm_up()
    pipe.send(None)
    while True:
        function, args = pipe.recv()
        pipe.send(function(*args))


def quietly(function: Callable[[], Any]) -> Any:
    """Call without warnings: that a peer did not converge is part of the report."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


# Watching a fit of ours --------------------------------------------------------------


class Watch(Observer):
    """An observer of a fit: the seconds of every iteration, and a target to stop at.

    Parameters
    ----------
    target : float
        The fit ends at the first iterate whose J is at most this.
    """

    def __init__(self, target: float = -np.inf) -> None:
        self._target = target
        self.seconds: list[float] = []
        self.overhead = 0.0
        self.stopped = False

    def on_iteration_end(self, iterate: Iterate) -> bool:
        """Note the start or the end of an iteration."""
        now = time.perf_counter()
        self.seconds.append(now - self.overhead)
        self.stopped = iterate.value <= self._target
        self.overhead += time.perf_counter() - now
        return self.stopped

    @property
    def per_iteration(self) -> float:
        """Mean seconds of an iteration, without what precedes the first."""
        return (self.seconds[-1] - self.seconds[0]) / (len(self.seconds) - 1)


class WatchedLogistic(sknn_simple.LogisticNN):
    """LogisticNN with a ``watch`` beside its own observers."""

    watch: Watch

    def _observers(self, *args: Any, **kwargs: Any) -> list[Observer]:
        return [*super()._observers(*args, **kwargs), self.watch]


class WatchedMLP(sknn_simple.OneHiddenMLP):
    """OneHiddenMLP with a ``watch`` beside its own observers."""

    watch: Watch

    def _observers(self, *args: Any, **kwargs: Any) -> list[Observer]:
        return [*super()._observers(*args, **kwargs), self.watch]


def watched(estimator: Any, watch: Watch) -> Any:
    """Return the estimator, watched by `watch`."""
    estimator.watch = watch
    return estimator


# Reporting ---------------------------------------------------------------------------


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers, nan of none."""
    logs = np.log(list(values))
    return float(np.exp(logs.mean())) if logs.size else float("nan")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table of Markdown; columns in the order they first appear."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000.0 else f"{value:.0f}"
    return str(value)
