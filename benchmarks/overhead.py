"""What a small fit and the import cost.

- Fits with ``alpha=1`` on iris and on 150-row subsets of other sets, as a grid search
  makes thousands of them, against LogisticRegression's default fits on the same rows,
  raw and behind a StandardScaler, in turns. The penalties are equal; the default fits
  of LogisticRegression stop at 100 iterations, converged or not. Both as installed, and
  with one thread in all pools. What the choice of alpha adds is in ``defaults``.
- ``import sknn_simple`` in a fresh process that has imported the parts of scikit-learn
  that it needs, and nothing else; the package's modules are compiled before.
"""

import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.common import (
    ROOT,
    Settings,
    alternate,
    geometric_mean,
    quietly,
    repeated,
    seconds,
    table,
)
from benchmarks.data import DataSet, load, names
from sknn_simple import LogisticNN

ROWS = 150
TURN_SECONDS = 0.1
LEFT_OUT = {"images", "million", "text"}


def subset(data: DataSet, seed: int) -> DataSet:
    """Return 150 random rows, at least one of each class."""
    rng = np.random.default_rng(seed)
    first = np.unique(data.y, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(data.y)), first)
    wanted = min(ROWS, len(data.y)) - len(first)
    rows = np.sort(np.concatenate([first, rng.choice(others, wanted, replace=False)]))
    return DataSet(data.X[rows], np.unique(data.y[rows], return_inverse=True)[1])


def small_fits(
    data: DataSet, subsets: int, repeats: int, turn: float = TURN_SECONDS
) -> dict[str, Any]:
    """Return the median time of a fit, and LogisticRegression's / ours."""
    several = [subset(data, seed) for seed in range(subsets)]
    models = {
        "ours": LogisticNN(alpha=1.0),
        "peer": LogisticRegression(),
        "peer, scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    }

    def fit_all(model: Any) -> None:
        for rows in several:
            model.fit(*rows)

    row: dict[str, Any] = {}
    for threads, limit in (("", nullcontext), (", 1 thread", _one_thread)):
        with limit():
            fit_all(models["ours"])
            # Long turns: threads of a peer's BLAS go on spinning for some 20 ms.
            count = int(turn / seconds(partial(fit_all, models["ours"]))) + 1
            turns = {
                name: repeated(partial(fit_all, model), count)
                for name, model in models.items()
            }
            times = alternate(turns, repeats)
        found = {name: median(t) / count / subsets for name, t in times.items()}
        ours = found.pop("ours")
        row[f"ours{threads}, ms"] = 1e3 * ours
        row |= {f"{name}{threads} / ours": t / ours for name, t in found.items()}
    return row


def _one_thread() -> AbstractContextManager:
    return threadpool_limits(1)


_PROBE = """
import sys
import sknn_simple
print(*[name for name in sys.modules if name.partition(".")[0] == "sklearn"])
"""

_IMPORT = """
import importlib, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
begun = time.perf_counter()
import sknn_simple
print(time.perf_counter() - begun)
"""


def _python(code: str, *arguments: str) -> str:
    """Return what a fresh Python prints; it may keep the modules that it compiles.

    Where it may not, each import would compile the package again, which no user's does.
    """
    command = [sys.executable, "-c", code, *arguments]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def import_times(repeats: int) -> list[float]:
    """Return the seconds of importing the package on top of scikit-learn's parts."""
    parts = _python(_PROBE).split()
    return [float(_python(_IMPORT, *parts)) for _ in range(repeats)]


def run(settings: Settings) -> dict[str, Any]:
    """Measure overheads; return the result for the JSON file."""
    subsets, turn = (2, 0.01) if settings.quick else (10, TURN_SECONDS)
    rows: list[dict[str, Any]] = []
    for name in names(settings.data, settings.only, settings.quick, LEFT_OUT):
        data = load(name, settings.data, settings.quick)
        fits = quietly(partial(small_fits, data, subsets, 2 * settings.repeats, turn))
        rows.append({"set": name, **fits})
        print(table(rows[-1:]), flush=True)
    taken = import_times(2 * settings.repeats)
    found = {"import sknn_simple, ms": 1e3 * median(taken)}
    for key in rows[0] if rows else ():
        if key.endswith("/ ours"):
            found[f"{key}: geometric mean"] = geometric_mean(row[key] for row in rows)
    print(f"\nFits on {ROWS} rows\n\n{table(rows)}\n")
    print(table([{"what": key, "value": value} for key, value in found.items()]))
    return {"summary": found, "table": rows}
