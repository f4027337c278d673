"""More rows than memory: Dask's two estimators against the plain ones, and dask-ml.

A ``LocalCluster`` has two workers of one thread each. Chunks of rows are generated from
their number, or written to a folder first. The plain fits use two threads.

- Passes: how often a fit that keeps no rows reads the first chunk of X, for
  ``DaskLogisticNN(alpha=1)`` and for alpha="auto". Goals: 10 and 14.
- Seconds: fits of rows that the workers hold already, against plain fits of the same
  rows, medians of ``--repeats`` turns; the network makes 50 iterations. Goal: at most
  twice the seconds. The optimum: (J - J of the plain fit) / J. Goal: 1e-6.
- Memory: the largest resident memory of a worker while files of four times the memory
  limits are fitted with ``persist=False``. Goal: below the limit.
- Bits: whether fits with 1, 2 and 4 workers, and one during which a worker is killed,
  have the same coefficients.
- Overhead: milliseconds of an iteration over 100 chunks of 100 rows. Goal: 50.
- dask-ml: the seconds of its ``LogisticRegression`` with its two quickest solvers, if
  it is installed, and the mean log-loss that they reach. Goal: 5 times ours.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from benchmarks.common import Settings, quietly, seconds, table
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple.dask import DaskLogisticNN, DaskOneHiddenMLP

Rows = list[dict[str, Any]]
ITERATIONS = 50


class Rowset(NamedTuple):
    """Rows that are generated chunk by chunk: the same for the same number."""

    n_rows: int
    n_columns: int
    chunk: int

    @property
    def n_chunks(self) -> int:
        """The number of chunks."""
        return self.n_rows // self.chunk

    def features(self, number: int) -> np.ndarray:
        """Return the features of a chunk, in float32 and with units of their own."""
        generator = np.random.default_rng(number)
        shape = self.chunk, self.n_columns
        X = generator.standard_normal(shape, dtype=np.float32)
        X[:, 1] = 30.0 * X[:, 1] + X[:, 0]
        X[:, 2] += 5.0
        return X

    def labels(self, X: np.ndarray, number: int) -> np.ndarray:
        """Return the labels of a chunk, two classes."""
        generator = np.random.default_rng([number, 1])
        weights = np.random.default_rng(99).standard_normal(self.n_columns)
        bent = np.tanh(X[:, 0] * X[:, 3]) + np.abs(X[:, 4])
        raw = (X[:, 3:] @ weights[3:]) / np.sqrt(self.n_columns) + bent
        return (generator.random(self.chunk) < expit(raw)).astype(np.int64)

    def in_memory(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows."""
        parts = [self.features(number) for number in range(self.n_chunks)]
        labels = [self.labels(X, number) for number, X in enumerate(parts)]
        return np.concatenate(parts), np.concatenate(labels)

    def collections(
        self, read: Callable[[int], np.ndarray], read_labels: Callable[[int], Any]
    ) -> tuple[Any, Any]:
        """Return X and y as Dask arrays, of functions from a chunk's number."""
        import dask
        import dask.array as da

        shape = self.chunk, self.n_columns
        numbers = range(self.n_chunks)
        X = [
            da.from_delayed(dask.delayed(read)(number), shape, np.float32)
            for number in numbers
        ]
        y = [
            da.from_delayed(dask.delayed(read_labels)(number), shape[:1], np.int64)
            for number in numbers
        ]
        return da.concatenate(X), da.concatenate(y)

    def generated(self) -> tuple[Any, Any]:
        """Return X and y as Dask arrays whose chunks are generated when needed."""
        return self.collections(self.features, self.labels_alone)

    def labels_alone(self, number: int) -> np.ndarray:
        """Return the labels of a chunk, without its features at hand."""
        return self.labels(self.features(number), number)


class Files(NamedTuple):
    """The chunks of a rowset in a folder, and a record of what is read."""

    rows: Rowset
    folder: Path

    def write(self, number: int) -> None:
        """Write one chunk."""
        X = self.rows.features(number)
        np.save(self.folder / f"X{number}.npy", X)
        np.save(self.folder / f"y{number}.npy", self.rows.labels(X, number))

    def features(self, number: int) -> np.ndarray:
        """Read the features of a chunk; note it for the first one."""
        if number == 0:
            with (self.folder / "read").open("a") as file:
                file.write("x")
        return np.load(self.folder / f"X{number}.npy")

    def labels(self, number: int) -> np.ndarray:
        """Read the labels of a chunk."""
        return np.load(self.folder / f"y{number}.npy")

    def passes(self, fit: Callable[[], Any]) -> int:
        """Return how often `fit` reads the first chunk."""
        record = self.folder / "read"
        record.write_text("")
        quietly(fit)
        return len(record.read_text())


@contextmanager
def cluster(n_workers: int = 2, memory: float = 0.0) -> Iterator[Any]:
    """Yield the client of a cluster of processes; `memory` in bytes, 0 for no limit."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=memory or None,
        ) as workers,
        Client(workers) as client,
    ):
        yield client


@contextmanager
def files(rows: Rowset) -> Iterator[Files]:
    """Yield the chunks of a rowset, written to a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        stored = Files(rows, Path(folder))
        for number in range(rows.n_chunks):
            stored.write(number)
        yield stored


def passes(settings: Settings) -> Rows:
    """Return the number of passes over X for each alpha."""
    rows = (
        Rowset(100_000, 50, 10_000)
        if settings.quick
        else Rowset(5_000_000, 50, 100_000)
    )
    found = []
    with files(rows) as stored, cluster():
        X, y = rows.collections(stored.features, stored.labels)
        for alpha, goal in ((1.0, 10), ("auto", 14)):
            model = DaskLogisticNN(alpha, persist=False)
            count = stored.passes(lambda model=model: model.fit(X, y))
            found.append(
                {
                    "alpha": alpha,
                    "passes": count,
                    "iterations": model.n_iter_,
                    "goal": goal,
                }
            )
    return found


def contests(settings: Settings) -> Rows:
    """Return the seconds against plain fits, and the difference of J."""
    quick = settings.quick
    linear = Rowset(100_000, 50, 10_000) if quick else Rowset(5_000_000, 50, 100_000)
    hidden = Rowset(50_000, 20, 5_000) if quick else Rowset(2_000_000, 20, 50_000)
    steps = {"alpha": 1.0, "random_state": 0, "max_iter": ITERATIONS, "tol": 1e-12}
    of_linear = [
        ("LogisticNN", LogisticNN(alpha), DaskLogisticNN(alpha))
        for alpha in (1.0, "auto")
    ]
    network = ("OneHiddenMLP", OneHiddenMLP(50, **steps), DaskOneHiddenMLP(50, **steps))
    found = []
    for rows, models in ((linear, of_linear), (hidden, [network])):
        local = rows.in_memory()
        with cluster() as client:
            from distributed import wait

            there = client.persist(list(rows.generated()))
            wait(there)
            for name, plain, chunked in models:
                found.append(
                    {
                        "fit": f"{name}, alpha={plain.alpha}",
                        "rows": rows.n_rows,
                        "columns": rows.n_columns,
                        **_contest(plain, local, chunked, there, settings.repeats),
                    }
                )
    return found


def _contest(
    plain: Any, local: tuple, chunked: Any, there: list, repeats: int
) -> Mapping[str, Any]:
    """Return median seconds of both fits, in turns, and what they found."""
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        times[0].append(seconds(lambda: quietly(lambda: plain.fit(*local))))
        times[1].append(seconds(lambda: quietly(lambda: chunked.fit(*there))))
    ours, theirs = median(times[1]), median(times[0])
    return {
        "seconds": ours,
        "plain": theirs,
        "ratio": ours / theirs,
        "iterations": chunked.n_iter_,
        "plain iterations": plain.n_iter_,
        "alpha": chunked.alpha_,
        "plain alpha": plain.alpha_,
        "J": chunked.loss_,
        "J rel.": (chunked.loss_ - plain.loss_) / plain.loss_,
    }


def memory(settings: Settings) -> Rows:
    """Return the largest resident memory of a worker, for files of four times it."""
    limit = 2**29 if settings.quick else 2**30
    chunk = 100_000
    # float32 × 50 columns; four times the limits of both workers.
    n_rows = 4 * 2 * limit // (200 * chunk) * chunk
    rows = Rowset(n_rows // (8 if settings.quick else 1) // chunk * chunk, 50, chunk)
    with files(rows) as stored, cluster(memory=limit) as client:
        X, y = rows.collections(stored.features, stored.labels)
        model = DaskLogisticNN(1.0, persist=False)
        with _largest_memory(client) as largest:
            elapsed = seconds(lambda: quietly(lambda: model.fit(X, y)))
        return [
            {
                "bytes of X": X.nbytes,
                "limit of a worker": limit,
                "largest resident": largest[0],
                "seconds": elapsed,
                "converged": model.converged_,
            }
        ]


@contextmanager
def _largest_memory(client: Any) -> Iterator[list[int]]:
    """Yield a list with the largest resident memory of a worker so far."""
    largest, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
            sizes = [worker["metrics"].get("memory", 0) for worker in workers]
            largest[0] = max([largest[0], *sizes])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield largest
    finally:
        ended.set()
        thread.join()


def same_bits(settings: Settings) -> Rows:
    """Return whether fits on several numbers of workers have the same coefficients."""
    n_rows = 20_000 if settings.quick else 400_000
    rows = Rowset(n_rows, 20, n_rows // 40)
    steps = {"alpha": 1.0, "random_state": 0, "max_iter": 30}
    models = [DaskLogisticNN(), DaskOneHiddenMLP(20, **steps)]
    found, first = [], None
    for n_workers, killed in ((1, False), (2, False), (4, False), (2, True)):
        with cluster(n_workers) as client:
            for model in models:
                timer = threading.Timer(1.0, _kill_one, [client])
                if killed:
                    timer.start()
                quietly(lambda model=model: model.fit(*rows.generated()))
                timer.cancel()
            bits = models[0].coef_.tobytes(), models[1].coefs_[0].tobytes()
        first = first or bits
        found.append(
            {"workers": n_workers, "one killed": killed, "equal": bits == first}
        )
    return found


def _kill_one(client: Any) -> None:
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def overhead(settings: Settings) -> Rows:
    """Return milliseconds of an iteration over 100 small chunks."""
    rows = Rowset(10_000, 10, 100)
    with cluster() as client:
        from distributed import wait

        X, y = client.persist(list(rows.generated()))
        wait([X, y])
        times = []
        for _ in range(settings.repeats):
            spent = {}
            for steps in (5, 5 + ITERATIONS):
                model = DaskOneHiddenMLP(
                    3, alpha=1e-6, max_iter=steps, tol=0.0, random_state=0
                )
                spent[model.max_iter] = (
                    seconds(lambda model=model: quietly(lambda: model.fit(X, y))),
                    model.n_iter_,
                )
            (short, few), (long, many) = spent[5], spent[5 + ITERATIONS]
            times.append(1e3 * (long - short) / (many - few))
    return [
        {"chunks": rows.n_chunks, "rows": rows.n_rows, "ms": median(times), "goal": 50}
    ]


def peers(settings: Settings) -> Rows:
    """Return the seconds of dask-ml's solvers; nothing if it is not installed."""
    try:
        from dask_ml.linear_model import LogisticRegression
    except ImportError:
        return []
    n_rows = 20_000 if settings.quick else 200_000
    rows = Rowset(n_rows, 50, n_rows // 20)
    local = rows.in_memory()
    found = []
    with cluster() as client:
        from distributed import wait

        X, y = client.persist(list(rows.generated()))
        wait([X, y])
        # Its penalty is on raw weights; it counts the intercept as one of them.
        model = DaskLogisticNN(1.0, standardize=False)
        ours = seconds(lambda: model.fit(X, y))
        best = _mean_loss(local, model.coef_.ravel(), model.intercept_[0])
        found.append({"model": "DaskLogisticNN", "seconds": ours, "loss": best})
        # Its default, admm, took 180 seconds.
        for solver in ("lbfgs", "newton"):
            peer = LogisticRegression(solver=solver, C=1.0)
            elapsed = seconds(lambda peer=peer: quietly(lambda: peer.fit(X, y)))
            loss = _mean_loss(local, peer.coef_.ravel(), peer.intercept_)
            found.append(
                {
                    "model": f"dask-ml, {solver}",
                    "seconds": elapsed,
                    "loss": loss,
                    "ratio": elapsed / ours,
                }
            )
    return found


def _mean_loss(rows: tuple, coef: np.ndarray, intercept: float) -> float:
    X, y = rows
    raw = X @ coef + intercept
    return float(np.logaddexp(0.0, np.where(y > 0, -raw, raw)).mean())


PARTS = {
    "passes": passes,
    "against plain fits": contests,
    "memory": memory,
    "bits": same_bits,
    "overhead": overhead,
    "peers": peers,
}


def run(settings: Settings) -> Mapping[str, Any]:
    """Run the parts that `settings.only` names, or all, and print their tables."""
    found = {}
    for name, part in PARTS.items():
        if settings.only and name not in settings.only.split(","):
            continue
        begun = time.perf_counter()
        found[name] = part(settings)
        print(f"\n{name}, {time.perf_counter() - begun:.0f} s")
        if found[name]:
            print(table(found[name]))
    return found
