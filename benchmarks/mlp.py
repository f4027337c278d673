"""OneHiddenMLP against MLPClassifier (lbfgs and adam) and against R's nnet.

**lbfgs and nnet: the same objective.** Per seed the peer is trained first; its final
objective J is the target, and our time is that of a whole ``fit`` which an observer
ends at the first iterate that reaches the target. The observer's own time is taken off.
Hidden units, activation and alpha are the same, the penalty is on standardised features
(MLPClassifier gets them from a StandardScaler, whose time counts, with our unit for
columns of two values). J of both is computed by one function that is not the package's.

A random start of ours may end in a minimum above the target: then the next start is
tried, and its time added; "starts" is their number over all seeds, and "reached" says
for how many seeds one of them did. Where none did the ratio is 0. Our fit looks at its
own J, which on the way comes from products in float32, so a target counts as reached
within 1e-6 of it.

**adam: both with their defaults.** ``OneHiddenMLP()`` with its choice of alpha, and
MLPClassifier behind a StandardScaler: each fit ends by its own rules. The log-loss and
the accuracy are those of a quarter of the rows, which neither has seen, as means over
the seeds.

The peer is taken as installed, and with its BLAS pools limited by hand in several ways,
the best of which counts. Ratios are medians over seeds of the peer's time / ours.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from benchmarks.common import (
    ROOT,
    Settings,
    UnitScaler,
    Watch,
    WatchedMLP,
    column_units,
    geometric_mean,
    objective,
    quietly,
    seconds,
    settle,
    table,
    unscaled,
    watched,
)
from benchmarks.data import DataSet, load, names
from sknn_simple import OneHiddenMLP

ALPHA = 1.0
# Relative to a target, what counts as having reached it.
ACCURACY = 1e-6
# Starts of ours for one of the peer's.
MAX_STARTS = 5
# MLPClassifier's own limit, and of nnet's BFGS about as many.
PEER_MAX_ITER = 200
OUR_MAX_ITER = 20 * PEER_MAX_ITER
# MLPClassifier takes dense and sparse rows; a million of them take it hours.
LEFT_OUT = {"text", "million"}
ADAM_SETS = {"breast_cancer", "digits", "german", "phoneme", "letters"}
# nnet holds a dense matrix of the square of its weights: 20 units, and not on images,
# where that would take 2 GB.
NNET_SETS = {
    "iris",
    "wine",
    "breast_cancer",
    "digits",
    "sonar",
    "german",
    "phoneme",
    "adult",
    "letters",
}
NNET_HIDDEN = 20


class Network(NamedTuple):
    """A network as it acts on raw features, and what its training took."""

    seconds: float
    coefs: list[np.ndarray]
    intercepts: list[np.ndarray]
    stopped: bool = True


Judge = Callable[[list[np.ndarray], list[np.ndarray]], float]


def pools() -> Iterator[tuple[str, AbstractContextManager]]:
    """Yield ways to limit the BLAS pools of a peer by hand.

    NumPy's and SciPy's wheels each bring a pool of threads.
    """
    controller = ThreadpoolController()
    files = [blas["filepath"] for blas in controller.info() if "scipy" in _home(blas)]
    yield "all pools 1", controller.limit(limits=1)
    if files:
        scipy = controller.select(filepath=files)
        yield "SciPy's pool 1", scipy.limit(limits=1)


def _home(library: dict[str, Any]) -> str:
    """Return the folder of a BLAS library, "" for other libraries."""
    if library["user_api"] != "blas":
        return ""
    return Path(library["filepath"]).parent.name


# Training ----------------------------------------------------------------------------


def train_peer(data: DataSet, **options: Any) -> Network:
    """Train an MLPClassifier behind a scaler to the units of ``standardize=True``."""
    model = make_pipeline(UnitScaler(column_units(data.X)), MLPClassifier(**options))
    settle()
    taken = quietly(lambda: seconds(lambda: model.fit(*data)))
    scaler, mlp = model[0], model[1]
    first = unscaled(mlp.coefs_[0], mlp.intercepts_[0], scaler.mean_, scaler.scale_)
    coefs, intercepts = [first[0], *mlp.coefs_[1:]], [first[1], *mlp.intercepts_[1:]]
    return Network(taken, coefs, intercepts)


def train_ours(data: DataSet, target: float, **options: Any) -> Network:
    """Train a OneHiddenMLP until J is at the target, or while J falls noticeably."""
    watch = Watch(target)
    model = WatchedMLP(tol=1e-3 * ACCURACY, max_iter=OUR_MAX_ITER, **options)
    model = watched(model, watch)
    settle()
    taken = quietly(lambda: seconds(lambda: model.fit(*data))) - watch.overhead
    return Network(taken, model.coefs_, model.intercepts_, watch.stopped)


def train_nnet(data: DataSet, hidden: int, alpha: float, seed: int) -> Network:
    """Train R's nnet; its seconds are those of scaling and fitting, taken in R."""
    with tempfile.TemporaryDirectory() as folder:
        rows, out = Path(folder) / "rows.csv", Path(folder) / "out.csv"
        np.savetxt(rows, np.column_stack(data), delimiter=",", fmt="%.17g")
        script = ROOT / "benchmarks" / "nnet.R"
        values = [rows, out, hidden, alpha, seed, PEER_MAX_ITER]
        subprocess.run(["Rscript", script, *map(str, values)], check=True)
        taken, _, *weights = np.loadtxt(out)
    p = data.X.shape[1]
    outputs = 1 if data.n_classes == 2 else data.n_classes
    first = np.array(weights[: hidden * (p + 1)]).reshape(hidden, p + 1).T
    second = np.array(weights[hidden * (p + 1) :]).reshape(outputs, hidden + 1).T
    units = column_units(data.X)
    units[units == 0.0] = 1.0
    W, b = unscaled(first[1:], first[0], data.X.mean(axis=0), units)
    return Network(float(taken), [W, second[1:]], [b, second[0]])


# Judging -----------------------------------------------------------------------------


def judge_objective(data: DataSet, activation: str, alpha: float) -> Judge:
    """Return J with the penalty on standardised features."""
    return partial(
        objective,
        *data,
        alpha=alpha,
        activation=activation,
        units=column_units(data.X),
    )


# Contests ----------------------------------------------------------------------------


def take_turns(
    times: dict[str, list[float]],
    peer: Callable[[], float],
    ours: Callable[[], float],
    repeats: int,
    by_hand: bool = True,
) -> dict[str, float]:
    """Return the median seconds of all, after further fits in turns.

    Parameters
    ----------
    times : dict
        The seconds of the first fits: "ours" and the peer's, "installed".
    peer, ours : callable
        Fit once, and return the seconds.
    repeats : int
        How often, if the peer takes less than a second; else once.
    by_hand : bool
        Whether the peer's BLAS pools are limited by hand too.
    """
    short = times["installed"][0] < 1.0
    for _ in range(repeats if short else 1):
        if short:
            times["installed"].append(peer())
        for name, limit in pools() if by_hand else ():
            with limit:
                times.setdefault(name, []).append(peer())
        times["ours"].append(ours())
    return {name: median(taken) for name, taken in times.items()}


class Race(NamedTuple):
    """What our starts towards a target took, and the lowest value they came to."""

    seconds: float
    value: float
    starts: int
    reached: bool


class Duel(NamedTuple):
    """One seed of a contest: how to train the peer, and ours to a target."""

    judge: Judge
    peer: Callable[[], Network]
    ours: Callable[[float, int], Network]
    by_hand: bool = True

    def run(self, repeats: int) -> dict[str, Any]:
        """Return the median seconds of all, and whether ours reached the target."""
        first = self.peer()
        target = self.judge(first.coefs, first.intercepts)
        race = self.race(target)
        times = {"ours": [race.seconds], "installed": [first.seconds]}
        peer, ours = lambda: self.peer().seconds, lambda: self.race(target).seconds
        return {
            "target": target,
            "value": race.value,
            "reached": race.reached,
            "starts": race.starts,
            "times": take_turns(times, peer, ours, repeats, self.by_hand),
        }

    def race(self, target: float) -> "Race":
        """Train from one start after another, until one reaches the target."""
        taken, value, starts, reached = 0.0, np.inf, 0, False
        while not reached and starts < MAX_STARTS:
            trained = self.ours(target, starts)
            taken += trained.seconds
            starts += 1
            value = min(value, self.judge(trained.coefs, trained.intercepts))
            reached = trained.stopped and value <= target * (1.0 + ACCURACY)
        return Race(taken, value, starts, reached)


def against_lbfgs(data: DataSet, activation: str, seed: int) -> Duel:
    """To MLPClassifier's final objective."""
    options = {"activation": activation, "alpha": ALPHA, "random_state": seed}

    def peer() -> Network:
        return train_peer(data, solver="lbfgs", max_iter=PEER_MAX_ITER, **options)

    def ours(target: float, start: int) -> Network:
        again = {**options, "random_state": _seed(seed, start)}
        return train_ours(data, target, **again)

    return Duel(judge_objective(data, activation, ALPHA), peer, ours)


class Defaults(NamedTuple):
    """One seed of a comparison of default fits, which end by their own rules."""

    train: DataSet
    test: DataSet
    seed: int

    def run(self, repeats: int) -> dict[str, Any]:
        """Return the median seconds of all, and what both reach on the test rows."""
        models = {
            "ours": OneHiddenMLP(random_state=self.seed),
            "installed": make_pipeline(
                StandardScaler(), MLPClassifier(random_state=self.seed)
            ),
        }

        def fit(name: str) -> float:
            settle()
            return quietly(lambda: seconds(lambda: models[name].fit(*self.train)))

        times = {name: [fit(name)] for name in models}
        peer, ours = partial(fit, "installed"), partial(fit, "ours")
        times = take_turns(times, peer, ours, repeats)
        chances = {n: model.predict_proba(self.test.X) for n, model in models.items()}
        y = self.test.y
        return {
            "log-loss": {n: log_loss(y, chance) for n, chance in chances.items()},
            "accuracy": {
                n: float(np.mean(chance.argmax(axis=1) == y))
                for n, chance in chances.items()
            },
            "times": times,
        }


def against_adam(data: DataSet, activation: str, seed: int) -> Defaults:
    """MLPClassifier as it is by default."""
    X, X_test, y, y_test = train_test_split(*data, stratify=data.y, random_state=seed)
    return Defaults(DataSet(X, y), DataSet(X_test, y_test), seed)


def against_nnet(data: DataSet, activation: str, seed: int) -> Duel:
    """To the final objective of nnet."""

    def peer() -> Network:
        return train_nnet(data, NNET_HIDDEN, ALPHA, seed)

    def ours(target: float, start: int) -> Network:
        return train_ours(
            data,
            target,
            hidden_layer_size=NNET_HIDDEN,
            activation=activation,
            alpha=ALPHA,
            random_state=_seed(seed, start),
        )

    return Duel(judge_objective(data, activation, ALPHA), peer, ours, by_hand=False)


def _seed(seed: int, start: int) -> int:
    """Return the seed of the peer for the first start, one that no peer has else."""
    return seed + 1000 * start


def contests(name: str, settings: Settings, has_nnet: bool) -> Iterator[tuple]:
    """Yield the peers to meet on a data set, with the activation."""
    for activation in ("relu",) if settings.quick else ("relu", "tanh"):
        yield "lbfgs", activation, against_lbfgs
    if name in ADAM_SETS:
        yield "adam", "relu", against_adam
    if has_nnet and name in NNET_SETS:
        yield "nnet", "logistic", against_nnet


# Reporting ---------------------------------------------------------------------------


def ratios(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians over seeds of the peer's time / ours, 0 where not reached."""
    ways = [name for name in runs[0]["times"] if name != "ours"]

    def over_seeds(*names: str) -> float:
        return median(
            min(run["times"][name] for name in names) / run["times"]["ours"]
            if run.get("reached", True)  # by default there is no target
            else 0.0
            for run in runs
        )

    found = {name: over_seeds(name) for name in ways}
    return {**found, "best by hand": over_seeds(*ways)} if ways[1:] else found


def row(contest: dict[str, Any]) -> dict[str, Any]:
    """Return a contest's row of its table."""
    runs = contest["runs"]
    if contest["peer"] == "adam":
        return default_row(contest["set"], runs)
    return {
        "set": contest["set"],
        "peer": contest["peer"],
        "activation": contest["activation"],
        "reached": f"{sum(run['reached'] for run in runs)} of {len(runs)}",
        "starts": sum(run["starts"] for run in runs),
        "ours, ms": 1e3 * median(run["times"]["ours"] for run in runs),
        **ratios(runs),
    }


def default_row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a row of the table of defaults."""
    means = {
        f"{what}, {who}": float(np.mean([run[what][key] for run in runs]))
        for what in ("log-loss", "accuracy")
        for who, key in (("ours", "ours"), ("adam", "installed"))
    }
    taken = 1e3 * median(run["times"]["ours"] for run in runs)
    return {"set": name, **means, "ours, ms": taken, **ratios(runs)}


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios that the goals are about."""
    found: dict[str, Any] = {}
    for peer in ("lbfgs", "adam", "nnet"):
        of_peer = [ratios(c["runs"]) for c in results if c["peer"] == peer]
        for way in ("installed", "best by hand"):
            values = [ratio[way] for ratio in of_peer if way in ratio]
            if not values:
                continue
            # A ratio of 0 has no logarithm: it shows in the lowest.
            positive = [value for value in values if value > 0.0]
            found[f"{peer}, {way}: geometric mean"] = geometric_mean(positive)
            found[f"{peer}, {way}: lowest"] = min(values)
    return found


def conclude(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result for the JSON file."""
    raced = [row(result) for result in results if result["peer"] != "adam"]
    defaults = [row(result) for result in results if result["peer"] == "adam"]
    return {
        "summary": summary(results),
        "table": raced,
        "defaults against adam": defaults,
        "nnet": any(result["peer"] == "nnet" for result in results),
        "contests": results,
    }


def run(settings: Settings) -> dict[str, Any]:
    """Run all contests; return the result for the JSON file."""
    has_nnet = shutil.which("Rscript") is not None
    if not has_nnet:
        print("Rscript is not installed: no comparison with R's nnet")
    results: list[dict[str, Any]] = []
    for name in names(settings.data, settings.only, settings.quick, LEFT_OUT):
        data = load(name, settings.data, settings.quick)
        for peer, activation, against in contests(name, settings, has_nnet):
            runs = [
                {"seed": seed, **against(data, activation, seed).run(settings.repeats)}
                for seed in range(settings.seeds)
            ]
            result = {"set": name, "shape": data.shape, "peer": peer}
            results.append({**result, "activation": activation, "runs": runs})
            print(table([row(results[-1])]), flush=True)
    result = conclude(results)
    print(f"\nTime of a peer / time of OneHiddenMLP\n\n{table(result['table'])}")
    print(f"\nDefaults against adam\n\n{table(result['defaults against adam'])}\n")
    found = result["summary"]
    print(table([{"what": key, "ratio": value} for key, value in found.items()]))
    return result
