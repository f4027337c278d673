"""OneHiddenMLP against MLPClassifier (lbfgs and adam) and against R's nnet.

Per seed the peer is trained first; its final value is the target, and our time is that
of a whole ``fit`` which an observer ends at the first iterate that reaches the target.
The observer's own time is taken off. Targets:

- lbfgs and nnet: the peer's final objective J; same hidden units, activation and alpha,
  both with the penalty on standardised features (MLPClassifier gets them from a
  StandardScaler, whose time counts, with our unit for columns of two values). J of both
  is computed by one function that is not the package's.
- adam: the peer's final log-loss on a quarter of the rows that neither has seen; both
  with their defaults.

The peer is taken as installed, and with its BLAS pools limited by hand in several ways,
the best of which counts. A random start of ours may end in a minimum above the target:
then the next start is tried, and its time added; "starts" is their number over all
seeds, and "reached" says for how many seeds one of them did. Where none did the ratio
is 0. Ratios are medians over seeds of the peer's time / ours. Our fit looks at its own
J, which on the way comes from products in float32, so a target counts as reached
within 1e-6 of it.
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
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from threadpoolctl import ThreadpoolController

from benchmarks.common import (
    ROOT,
    Settings,
    Target,
    UnitScaler,
    Watch,
    WatchedMLP,
    column_units,
    geometric_mean,
    log_loss,
    network_raw,
    objective,
    quietly,
    seconds,
    settle,
    table,
    unscaled,
    watched,
)
from benchmarks.data import DataSet, load, names

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


def train_ours(data: DataSet, reached: Target, **options: Any) -> Network:
    """Train a OneHiddenMLP until ``reached(J, theta)``, or while J falls noticeably."""
    watch = Watch(reached)
    options = {"alpha": 1.0, **options}
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


def until_objective(target: float) -> Target:
    """Stop where the fit's own J is at most the target."""
    return lambda value, _: value <= target


def until_judged(target: float, judge: Judge, data: DataSet, hidden: int) -> Target:
    """Stop where the judge's value of the parameters is at most the target."""
    p, outputs = data.X.shape[1], 1 if data.n_classes == 2 else data.n_classes
    shapes = (p, hidden), (hidden,), (hidden, outputs), (outputs,)
    edges = np.cumsum([np.prod(shape) for shape in shapes])[:-1]

    def reached(_: float, theta: Callable[[], np.ndarray]) -> bool:
        W1, b1, W2, b2 = (
            part.reshape(shape)
            for part, shape in zip(np.split(theta(), edges), shapes, strict=True)
        )
        return judge([W1, W2], [b1, b2]) <= target

    return reached


# Contests ----------------------------------------------------------------------------


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
        short = first.seconds < 1.0
        for _ in range(repeats if short else 1):
            if short:
                times["installed"].append(self.peer().seconds)
            for name, limit in pools() if self.by_hand else ():
                with limit:
                    times.setdefault(name, []).append(self.peer().seconds)
            times["ours"].append(self.race(target).seconds)
        return {
            "target": target,
            "value": race.value,
            "reached": race.reached,
            "starts": race.starts,
            "times": {name: median(taken) for name, taken in times.items()},
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
        return train_ours(data, until_objective(target), **again)

    return Duel(judge_objective(data, activation, ALPHA), peer, ours)


def against_adam(data: DataSet, activation: str, seed: int) -> Duel:
    """To the final log-loss of adam on rows set aside, both with their defaults."""
    X, X_test, y, y_test = train_test_split(*data, stratify=data.y, random_state=seed)
    train = DataSet(X, y)

    def judge(coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> float:
        return log_loss(network_raw(X_test, coefs, intercepts, activation), y_test)

    def peer() -> Network:
        return train_peer(train, solver="adam", random_state=seed)

    def ours(target: float, start: int) -> Network:
        reached = until_judged(target, judge, train, hidden=100)
        return train_ours(train, reached, random_state=_seed(seed, start))

    return Duel(judge, peer, ours)


def against_nnet(data: DataSet, activation: str, seed: int) -> Duel:
    """To the final objective of nnet."""

    def peer() -> Network:
        return train_nnet(data, NNET_HIDDEN, ALPHA, seed)

    def ours(target: float, start: int) -> Network:
        return train_ours(
            data,
            until_objective(target),
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
            if run["reached"]
            else 0.0
            for run in runs
        )

    found = {name: over_seeds(name) for name in ways}
    return {**found, "best by hand": over_seeds(*ways)} if ways[1:] else found


def row(contest: dict[str, Any]) -> dict[str, Any]:
    """Return a contest's row of the table of ratios."""
    runs = contest["runs"]
    return {
        "set": contest["set"],
        "peer": contest["peer"],
        "activation": contest["activation"],
        "reached": f"{sum(run['reached'] for run in runs)} of {len(runs)}",
        "starts": sum(run["starts"] for run in runs),
        "ours, ms": 1e3 * median(run["times"]["ours"] for run in runs),
        **ratios(runs),
    }


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
    rows, found = [row(result) for result in results], summary(results)
    has_nnet = any(result["peer"] == "nnet" for result in results)
    return {"summary": found, "table": rows, "nnet": has_nnet, "contests": results}


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
    rows, found = result["table"], result["summary"]
    print(f"\nTime of a peer / time of OneHiddenMLP\n\n{table(rows)}\n")
    print(table([{"what": key, "ratio": value} for key, value in found.items()]))
    return result
