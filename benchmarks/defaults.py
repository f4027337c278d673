"""Out of the box: what every default reaches on raw columns, and how long it takes.

- Every model is used with its default settings, and ``random_state=0`` where it has
  one. ``LogisticNN(alpha=1)`` is the model without a choice of alpha. MLPClassifier,
  LogisticRegression and LogisticRegressionCV are behind a StandardScaler unless "raw"
  is written; all others get the columns as they are. RealMLP-TD takes part if pytabkit
  is installed, on as many threads as the others.
- The sets are those bundled with scikit-learn (unless ``--alone``) and the tables of a
  folder, with at most 800 rows each, drawn by class. A column of words becomes one
  column of zeros and ones per value. A missing word is a value of its own; a missing
  number is the median.
- Log-loss and accuracy are means over three shuffled folds by class, of their test
  rows. The seconds are the sum of the three fits; in a fold the models take turns.
- In ratios of log-losses those below 0.05 count as 0.05. Means of ratios are geometric,
  over the sets. "Lower on" is the share of the sets, by the log-losses as they are.
- ``--speed`` adds the table adult with all rows, and the time of ``LogisticNN()`` with
  its choice of alpha against ``LogisticNN(alpha=1)`` on whole sets, as medians.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from benchmarks.common import (
    Settings,
    alternate,
    geometric_mean,
    quietly,
    repeated,
    seconds,
    settle,
    table,
)
from benchmarks.data import BUNDLED, DataSet, NoDataSetError, load, read_csv, tables
from sknn_simple import LogisticNN, OneHiddenMLP

ROWS, QUICK_ROWS = 800, 90
FLOOR = 0.05  # of the log-losses in a ratio
TURN_SECONDS = 0.05
LARGE = ("text", "million")
ALL_ROWS = "adult, all rows"
MEASURES = ("log-loss", "accuracy", "seconds")

Models = Mapping[str, Callable[[], Any]]
OURS: Models = {
    "OneHiddenMLP": lambda: OneHiddenMLP(random_state=0),
    "LogisticNN": LogisticNN,
    "LogisticNN(alpha=1)": lambda: LogisticNN(alpha=1.0),
}


def _scaled(make: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: make_pipeline(StandardScaler(), make(random_state=0))


def _real_mlp() -> Any:
    # By itself it ignores OMP_NUM_THREADS. If other work shares the cores, two threads
    # took 20 times as long as one on iris.
    threads = max(pool["num_threads"] for pool in threadpool_info())
    make = import_module("pytabkit").RealMLP_TD_Classifier
    return make(random_state=0, n_threads=threads)


PEERS: Models = {
    "MLPClassifier": _scaled(MLPClassifier),
    "MLPClassifier, raw": lambda: MLPClassifier(random_state=0),
    "LogisticRegression": _scaled(LogisticRegression),
    "LogisticRegressionCV": _scaled(LogisticRegressionCV),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(random_state=0),
    "RandomForest": lambda: RandomForestClassifier(random_state=0),
    "RealMLP-TD": _real_mlp,
}
PAIRS = (
    *(("OneHiddenMLP", peer) for peer in PEERS),
    *(("LogisticNN", peer) for peer in ("LogisticNN(alpha=1)", *PEERS)),
)


def models(only: str) -> Models:
    """Return the models that are installed, and named if any are."""
    chosen = {
        name: make
        for name, make in {**OURS, **PEERS}.items()
        if any(part in name for part in only.split(","))
        and (name != "RealMLP-TD" or find_spec("pytabkit"))
    }
    if not chosen:
        raise ValueError(f"no model has {only!r} in its name.")
    return chosen


def sets(settings: Settings) -> dict[str, Callable[[], DataSet]]:
    """Return how to load each set: the bundled ones and those of the folder."""
    files = tables(settings.data)
    found: dict[str, Callable[[], DataSet]] = {
        **{name: partial(load, name) for name in BUNDLED if not settings.alone},
        **{name: partial(read_csv, path) for name, path in files.items()},
    }
    return {
        name: read
        for name, read in found.items()
        if any(part in name for part in settings.only.split(","))
        and (not settings.quick or name in ("iris", "breast_cancer"))
    }


def some_rows(data: DataSet, rows: int) -> DataSet:
    """Return at most so many rows, drawn by class; all if `rows` is 0."""
    if not rows or len(data.y) <= rows:
        return data
    drawn, _ = train_test_split(
        np.arange(len(data.y)), train_size=rows, stratify=data.y, random_state=0
    )
    return DataSet(data.X[drawn], np.unique(data.y[drawn], return_inverse=True)[1])


def judge(
    model: Any, data: DataSet, train: np.ndarray, test: np.ndarray
) -> tuple[float, ...]:
    """Return test log-loss, test accuracy and the seconds of a fit."""
    fit = partial(model.fit, data.X[train], data.y[train])
    settle()
    taken = seconds(fit)
    chances = model.predict_proba(data.X[test])
    right = model.classes_[chances.argmax(axis=1)] == data.y[test]
    loss = log_loss(data.y[test], chances, labels=model.classes_)
    return float(loss), float(right.mean()), taken


def measure(data: DataSet, contenders: Models) -> list[dict[str, Any]]:
    """Return a row per model: its mean log-loss and accuracy, and its seconds."""
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    runs: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
    for train, test in folds.split(data.X, data.y):
        for name, make in contenders.items():
            turn = partial(judge, make(), data, train, test)
            # Warnings of ours are shown: a default fit should give none.
            runs[name].append(turn() if name in OURS else quietly(turn))
    found = []
    for name, run_of in runs.items():
        losses, accuracies, taken = np.transpose(run_of)
        values = (losses.mean(), accuracies.mean(), taken.sum())
        row = dict(zip(MEASURES, map(float, values), strict=True))
        found.append({"model": name, **row})
    return found


def contests(settings: Settings) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name of each set, and what the models reach on it."""
    contenders = models(settings.models)
    # What is imported or started at a first fit is no part of any time.
    for make in contenders.values():
        quietly(partial(make().fit, *some_rows(load("iris"), 60)))
    rows = rows_of(settings)
    todo = {name: (read, rows) for name, read in sets(settings).items()}
    if settings.speed and "adult" in todo and rows:
        todo[ALL_ROWS] = (todo["adult"][0], 0)
    if not todo:
        reason = f"no data set has {settings.only!r} in its name."
        if settings.alone and not settings.data:
            reason = "--alone leaves out the bundled data sets: it needs --data DIR."
        elif settings.alone and settings.quick:
            reason = "--quick measures only bundled data sets, --alone none of them."
        raise NoDataSetError(reason)
    for name, (read, limit) in todo.items():
        data = some_rows(read(), limit)
        found = measure(data, contenders)
        print(f"\n{name}: {data.shape}\n\n{table(found)}", flush=True)
        yield name, found


def rows_of(settings: Settings) -> int:
    """Return the limit of the rows of a set."""
    if settings.rows is None:
        return QUICK_ROWS if settings.quick else ROWS
    return settings.rows


def compare(found: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row for each pair of models: means and worst of their ratios."""
    rows = []
    for ours, peer in PAIRS:
        losses, taken = (
            {
                row["set"]: (row[ours], row[peer])
                for row in found[what]
                if {ours, peer} <= row.keys() and row["set"] != ALL_ROWS
            }
            for what in ("log-loss", "seconds")
        )
        if not losses:
            continue
        ratio = {s: max(a, FLOOR) / max(b, FLOOR) for s, (a, b) in losses.items()}
        slower = {s: a / b for s, (a, b) in taken.items()}
        worst, slowest = (max(of, key=of.__getitem__) for of in (ratio, slower))
        rows.append(
            {
                "pair": f"{ours} / {peer}",
                "log-loss": geometric_mean(ratio.values()),
                "lower on": float(np.mean([a < b for a, b in losses.values()])),
                "worst": ratio[worst],
                "worst on": worst,
                "seconds": geometric_mean(slower.values()),
                "slowest": slower[slowest],
                "slowest on": slowest,
            }
        )
    return rows


def choice_of_alpha(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the time of LogisticNN() against that with alpha=1, of each set."""
    large = {name: partial(load, name, None, settings.quick) for name in LARGE}
    if settings.quick:
        del large["million"]
    for name, read in {**sets(settings), **large}.items():
        data = some_rows(read(), 0 if name in LARGE else rows_of(settings))
        turns = {}
        for model in ("LogisticNN", "LogisticNN(alpha=1)"):
            fit = partial(OURS[model]().fit, *data)
            count = int(TURN_SECONDS / seconds(fit)) + 1
            turns[model] = (repeated(fit, count), count)
        times = alternate({m: turn for m, (turn, _) in turns.items()}, settings.repeats)
        typical = {m: median(t) / turns[m][1] for m, t in times.items()}
        chosen, fixed = typical.values()
        in_ms = {f"{model}, ms": 1e3 * t for model, t in typical.items()}
        yield {"set": name, "data": data.shape, **in_ms, "ratio": chosen / fixed}


def run(settings: Settings) -> dict[str, Any]:
    """Measure all sets; return the result for the JSON file."""
    found: dict[str, list[dict[str, Any]]] = {what: [] for what in MEASURES}
    for name, rows in contests(settings):
        for what, wide in found.items():
            wide.append({"set": name, **{row["model"]: row[what] for row in rows}})
    for what, wide in found.items():
        print(f"\n{what}\n\n{table(wide)}")
    found = {"comparisons": compare(found), **found}
    print(f"\nRatios\n\n{table(found['comparisons'])}")
    if settings.speed:
        found["choice of alpha"] = list(choice_of_alpha(settings))
        print(f"\nThe choice of alpha\n\n{table(found['choice of alpha'])}")
    return found
