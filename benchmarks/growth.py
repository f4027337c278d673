"""How time and memory grow, and whether the number of threads changes a bit.

- Seconds per iteration, with an observer's time stamps, as rows n, columns p, hidden
  units h and classes K grow; "per row" divides by the rows. LogisticNN iterates to its
  default tol: from there on only line searches for the last digit would be timed.
- Peak memory of a fit on 1,000,000 × 20 with 100 hidden units, above what the process
  holds when the data is there and the libraries are warm: in a process of its own, and
  its peak is reset before the fit (Linux: /proc/self/clear_refs; elsewhere ru_maxrss).
- Fits with 1 and with 2 (and 3) threads: equal bits of all parameters or not.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.common import (
    ROOT,
    Settings,
    Watch,
    WatchedLogistic,
    WatchedMLP,
    quietly,
    seconds,
    table,
    watched,
)
from sknn_simple import LogisticNN, OneHiddenMLP

# Over 12, one more evaluation in a line search, by chance of the path, is 7 % of them.
ITERATIONS = 40
MEMORY_ROWS, MEMORY_COLUMNS = 1_000_000, 20


class Shape(NamedTuple):
    """The size of a problem; without hidden units it is LogisticNN's."""

    n: int
    p: int = 20
    h: int = 0
    K: int = 2
    solver: str = "auto"


def make_data(n: int, p: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian features and classes that overlap; nothing large beside them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    raw = X[:, : min(p, 8)] @ rng.standard_normal((min(p, 8), K))
    raw += rng.gumbel(size=raw.shape)
    return X, raw.argmax(axis=1)


# Time per iteration ------------------------------------------------------------------


def per_iteration(shape: Shape, repeats: int) -> dict[str, Any]:
    """Return the median seconds of an iteration, and of a whole fit."""
    X, y = make_data(shape.n, shape.p, shape.K)
    options: dict[str, Any] = {
        "alpha": 1.0,
        "max_iter": ITERATIONS,
        "solver": shape.solver,
    }
    if shape.h:
        options["tol"] = 0.0
    model: Any = (
        WatchedMLP(shape.h, random_state=0, **options)
        if shape.h
        else WatchedLogistic(**options)
    )
    times, wholes = [], []
    for _ in range(repeats):
        watch = Watch()
        quietly(partial(watched(model, watch).fit, X, y))
        times.append(watch.per_iteration)
        if not shape.h:
            wholes.append(seconds(lambda: LogisticNN(alpha=1.0).fit(X, y)))
    result = {
        **shape._asdict(),
        "solver": model.solver_,
        "ms per iteration": 1e3 * median(times),
        "ns per row": 1e9 * median(times) / shape.n,
    }
    if wholes:
        result["default fit, ms"] = 1e3 * median(wholes)
    return result


def sweeps(quick: bool) -> Iterator[tuple[str, list[Shape]]]:
    """Yield what grows, and the shapes; the first grows in n."""
    if quick:
        yield "n, network", [Shape(n, 10, 16) for n in (1000, 10_000)]
        yield "n, linear", [Shape(n, 10) for n in (1000, 10_000)]
        return
    rows = [1000, 10_000, 100_000, 1_000_000, 2_000_000]
    yield "n, network", [Shape(n, 20, 100) for n in rows]
    yield "n, linear", [Shape(n, 50) for n in rows]
    yield "n, linear by newton-cg", [Shape(n, 50, solver="newton-cg") for n in rows]
    yield "p, network", [Shape(20_000, p, 100) for p in (16, 100, 400, 784)]
    yield "h, network", [Shape(20_000, 100, h) for h in (16, 100, 400, 784)]
    yield "K, network", [Shape(20_000, 100, 100, K) for K in (2, 10, 26, 100)]
    yield "p, linear", [Shape(20_000, p) for p in (16, 100, 400, 784)]
    yield "K, linear", [Shape(20_000, 100, 0, K) for K in (2, 10, 26, 100)]


# Memory ------------------------------------------------------------------------------


def _status(field: str) -> float:
    """Return a field of this process's memory in MB; 0 where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(field))


def _peak() -> float:
    """Return the peak memory of this process in MB."""
    import resource

    unit = 1e6 if sys.platform == "darwin" else 1e3
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def fit_memory(which: str, n: int, p: int) -> dict[str, float]:
    """Return the data's size and a fit's peak memory above it, in MB; call it alone."""
    models = {
        "LogisticNN": LogisticNN(max_iter=5, alpha=1.0),
        "OneHiddenMLP": OneHiddenMLP(100, max_iter=5, random_state=0, alpha=1.0),
        "MLPClassifier, lbfgs": make_pipeline(
            StandardScaler(), MLPClassifier(solver="lbfgs", max_iter=2)
        ),
    }
    model = models[which]
    # Libraries and their thread pools keep some memory from the first call on.
    quietly(partial(model.fit, *make_data(5000, p, 2)))
    X, y = np.empty((n, p)), np.zeros(n, dtype=np.int64)
    rng = np.random.default_rng(0)
    for start in range(0, n, 10_000):
        rows = X[start : start + 10_000]
        rng.standard_normal(out=rows)
        y[start : start + 10_000] = rows[:, 0] + rng.standard_normal(len(rows)) > 0.0
    _reset_peak()
    before = _peak()
    quietly(partial(model.fit, X, y))
    return {"data, MB": (X.nbytes + y.nbytes) / 1e6, "extra, MB": _peak() - before}


def memory(which: str, n: int, p: int) -> dict[str, Any]:
    """Return ``fit_memory`` of a process of its own."""
    code = (
        "import json; from benchmarks.growth import fit_memory; "
        f"print(json.dumps(fit_memory({which!r}, {n}, {p})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return {"model": which, "n": n, "p": p, **json.loads(done.stdout)}


# Bits --------------------------------------------------------------------------------


def equal_bits(n: int, threads: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return whether fits with several numbers of threads have the same bits."""
    X, y = make_data(n, 60, 5)
    kinds = {
        "float64": X,
        "float32": X.astype(np.float32),
        "sparse": sparse.csr_array(np.where(X > 1.0, X, 0.0)),
    }
    models = [
        LogisticNN(max_iter=20, alpha=1.0),
        LogisticNN(solver="newton-cg", max_iter=20, alpha=1.0),
        LogisticNN(solver="lbfgs", max_iter=20, alpha=1.0),
        OneHiddenMLP(50, max_iter=20, random_state=0, alpha=1.0),
        OneHiddenMLP(
            50, "tanh", solver="newton-cg", max_iter=5, random_state=0, alpha=1.0
        ),
    ]
    rows = []
    for model in models:
        row = {"model": f"{type(model).__name__}, {model.solver}"}
        for kind, features in kinds.items():
            bits = set()
            for count in threads:
                with threadpool_limits(count):
                    quietly(partial(model.fit, features, y))
                arrays = [getattr(model, "coef_", None), *getattr(model, "coefs_", [])]
                bits.add(b"".join(a.tobytes() for a in arrays if a is not None))
            row[kind] = "equal" if len(bits) == 1 else "DIFFERENT"
        rows.append(row)
    return rows


def run(settings: Settings) -> dict[str, Any]:
    """Measure growth, memory and bits; return the result for the JSON file."""
    found: dict[str, Any] = {}
    curves = {}
    for what, shapes in sweeps(settings.quick):
        rows = [per_iteration(shape, min(3, settings.repeats)) for shape in shapes]
        print(f"\nGrowth in {what}\n\n{table(rows)}", flush=True)
        curves[what] = rows
        at = {row["n"]: row["ms per iteration"] for row in rows}
        if {100_000, 1_000_000} <= at.keys():
            key = f"{what}: iteration at 1e6 rows / at 1e5"
            found[key] = at[1_000_000] / at[100_000]

    n = MEMORY_ROWS // 20 if settings.quick else MEMORY_ROWS
    kinds = ["LogisticNN", "OneHiddenMLP", "MLPClassifier, lbfgs"]
    rows = [memory(kind, n, MEMORY_COLUMNS) for kind in kinds]
    print(f"\nMemory of a fit above the data, h = 100\n\n{table(rows)}", flush=True)
    found["OneHiddenMLP: extra memory, MB"] = rows[1]["extra, MB"]

    threads = (1, 2, 3)
    bits = equal_bits(5000 if settings.quick else 50_000, threads)
    print(f"\nBits of fits with {threads} threads\n\n{table(bits)}\n", flush=True)
    same = all("DIFFERENT" not in row.values() for row in bits)
    found["thread counts: parameters"] = "equal bits" if same else "DIFFERENT"
    print(table([{"what": key, "value": value} for key, value in found.items()]))
    return {
        "summary": found,
        "curves": curves,
        "memory": rows,
        "bits": bits,
    }
