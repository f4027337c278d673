"""LogisticNN against every solver of LogisticRegression and glum, on one objective.

Time to an objective within 1e-6, relative, of the optimum J*, with C = 1/alpha = 1:

- "raw": the penalty is on the weights of the raw columns (``standardize=False``);
- "standardised": on those of columns in their own unit (``standardize=True``). The
  peers get the data behind a StandardScaler, whose time counts, with that unit in place
  of the deviation for columns of two values.

glum takes part if it is installed, on two classes: its alpha is ours by the number of
rows, and its P2 are the squares of the units. "glum, categorical" gets a dataframe with
columns of categories, as its users have, in place of one column of zeros and ones per
value.

A peer is fitted with tol = 1e-2, 1e-3, … 1e-10 until it is within 1e-6; that fit is its
time. A fit that takes longer than the cap is ended, and its ratio is a lower bound; on
raw data the default solver is given 20 caps. "never": no tolerance suffices; "failed":
the fit raised an error or ran out of memory. LogisticNN is taken at its default tol
(tightened in the same way should it miss), and also, as "any tol", at the tolerance
that suffices. J* is the lowest J of any fit, a fit of LogisticNN to rounding among
them. One function that is not the package's computes all J. Times are medians of turns
taken by all.
"""

import time
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from benchmarks.common import (
    CappedCalls,
    Settings,
    UnitScaler,
    column_units,
    geometric_mean,
    objective,
    quietly,
    table,
    typical_seconds,
    unscaled,
)
from benchmarks.data import FILES, load, names, read_frame
from sknn_simple import LogisticNN

ALPHA = 1.0
ACCURACY = 1e-6
TOLERANCES = [10.0**-k for k in range(2, 11)]
SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "liblinear", "sag", "saga")
GLUM, CATEGORICAL = "glum", "glum, categorical"
PEERS = (*SOLVERS, GLUM, CATEGORICAL) if find_spec("glum") else SOLVERS
# liblinear penalises its intercept, less so the larger this is.
INTERCEPT_SCALINGS = (1.0, 30.0, 1000.0)
# scikit-learn's newton-cholesky and glum make a dense Hessian of all parameters.
MAX_HESSIAN = 10_000
# A search as a whole ends after this many caps.
SEARCH_CAPS = 6.0
# What its users see of LogisticRegression is the default solver, mostly on raw data:
# its ratio is reported by itself, so it is given this many caps, not to end as a bound.
DEFAULT_SOLVER, DEFAULT_SOLVER_CAPS = "lbfgs", 20.0
# Rounding: a tolerance that no fit reaches, but tries to.
EXACT = 1e-12

Fit = tuple[float, float]
Where = tuple[str, Path | None, bool]


def fit_peer(
    name: str,
    folder: Path | None,
    quick: bool,
    standardised: bool,
    solver: str,
    tol: float,
    intercept_scaling: float,
) -> Fit:
    """Return the seconds of a fit of LogisticRegression, and its J."""
    X, y = load(name, folder, quick)
    mean, scale = None, 1.0
    model = LogisticRegression(
        C=1.0 / ALPHA,
        solver=solver,
        tol=tol,
        max_iter=10**6,
        intercept_scaling=intercept_scaling,
        random_state=0,
    )
    scaler = None
    if standardised:
        units = _units(name, folder, quick)
        scaler = UnitScaler(units, with_mean=not sparse.issparse(X))

    def fit() -> None:
        model.fit(X if scaler is None else scaler.fit_transform(X), y)

    seconds = quietly(lambda: typical_seconds(fit))
    if scaler is not None:
        mean, scale = scaler.mean_ if scaler.with_mean else None, scaler.scale_
    raw = unscaled(model.coef_.T, model.intercept_, mean, scale)
    return seconds, _judge((name, folder, quick), standardised, *raw)


def fit_glum(
    name: str,
    folder: Path | None,
    quick: bool,
    standardised: bool,
    peer: str,
    tol: float,
) -> Fit:
    """Return the seconds of a fit of glum, and its J."""
    X, y = load(name, folder, quick)
    rows = read_frame(folder / FILES[name]) if folder and peer == CATEGORICAL else X
    units = _units(name, folder, quick) if standardised else np.ones(X.shape[1])
    model = import_module("glum").GeneralizedLinearRegressor(
        family="binomial",
        alpha=ALPHA / X.shape[0],
        P2=units**2,
        gradient_tol=tol,
        max_iter=10**6,
    )
    seconds = quietly(lambda: typical_seconds(lambda: model.fit(rows, y)))
    coef, intercept = model.coef_[:, None], np.array([model.intercept_])
    return seconds, _judge((name, folder, quick), standardised, coef, intercept)


def fit_ours(
    name: str, folder: Path | None, quick: bool, standardised: bool, tol: float | None
) -> Fit:
    """Return the seconds of a fit of LogisticNN, and its J."""
    X, y = load(name, folder, quick)
    options: dict[str, Any] = {} if tol is None else {"tol": tol}
    model = LogisticNN(ALPHA, standardize=standardised, **options)
    seconds = quietly(lambda: typical_seconds(lambda: model.fit(X, y)))
    raw = model.coef_.T, model.intercept_
    return seconds, _judge((name, folder, quick), standardised, *raw)


def warm_up(name: str, folder: Path | None, quick: bool) -> None:
    """Load and compute whatever a process needs once: fits are timed without it."""
    fit_ours(name, folder, quick, True, 1e-2)
    if GLUM in PEERS:
        import_module("glum")


def fitter(peer: str) -> Callable[..., Fit]:
    """Return the function that fits a peer."""
    return fit_glum if peer in (GLUM, CATEGORICAL) else fit_peer


@lru_cache(maxsize=1)
def _units(name: str, folder: Path | None, quick: bool) -> np.ndarray:
    """Return the units of a data set's columns; for 50,000 they take seconds."""
    return column_units(load(name, folder, quick).X)


def _judge(
    where: Where, standardised: bool, coef: np.ndarray, intercept: np.ndarray
) -> float:
    X, y = load(*where)
    units = _units(*where) if standardised else 1.0
    return objective(X, y, [coef], [intercept], alpha=ALPHA, units=units)


class Contest:
    """All contenders on one data set and one of the two objectives."""

    def __init__(
        self, calls: CappedCalls, settings: Settings, name: str, standardised: bool
    ) -> None:
        self._calls = calls
        self._settings = settings
        self._where = (name, settings.data, settings.quick, standardised)
        self._standardised = standardised
        self.data = load(*self._where[:3])
        self._tolerances = TOLERANCES[::2] if settings.quick else TOLERANCES
        self.best = np.inf

    def fit(self, function: Any, *args: Any, cap: float | None) -> Fit | None:
        """Fit once, and note the lowest J; None for a fit that reached the cap."""
        done = self._calls(function, *self._where, *args, cap=cap)
        if done is not None:
            self.best = min(self.best, done[1])
        return done

    def accurate(self, done: Fit) -> bool:
        """Tell whether a fit is as near to J* as is asked for."""
        return done[1] - self.best <= ACCURACY * self.best

    def attempts(self, solver: str) -> list[tuple]:
        """Return the arguments of the fits to try, quickest first."""
        n_classes, n_features = self.data.n_classes, self.data.X.shape[1]
        outputs = 1 if n_classes == 2 else n_classes
        if solver == "liblinear":
            if n_classes > 2:
                return []
            return [
                (solver, t, s) for t in self._tolerances for s in INTERCEPT_SCALINGS
            ]
        too_large = (n_features + 1) * outputs > MAX_HESSIAN
        if solver in ("newton-cholesky", GLUM, CATEGORICAL) and too_large:
            return []
        if solver not in (GLUM, CATEGORICAL):
            return [(solver, tol, 1.0) for tol in self._tolerances]
        if n_classes > 2 or (solver == CATEGORICAL and not self.has_words()):
            return []
        return [(solver, tol) for tol in self._tolerances]

    def has_words(self) -> bool:
        """Tell whether the data set has columns of words, which become categories."""
        name, folder, *_ = self._where
        if name not in FILES or folder is None:
            return False
        return "category" in set(map(str, read_frame(folder / FILES[name]).dtypes))

    def cap(self, solver: str) -> float:
        """Return the seconds after which a peer's fit is ended."""
        patient = solver == DEFAULT_SOLVER and not self._standardised
        return self._settings.cap * (DEFAULT_SOLVER_CAPS if patient else 1.0)

    def search(self, solver: str) -> dict[str, Any]:
        """Return a peer's first attempt that is accurate, or why there is none."""
        cap, nearest = self.cap(solver), np.inf
        attempts = self.attempts(solver)
        if not attempts:
            return {"status": "not applicable"}
        begun = time.perf_counter()
        for attempt in attempts:
            started = time.perf_counter()
            done = self.fit(fitter(solver), *attempt, cap=cap)
            if done is None and time.perf_counter() - started < cap:
                return {"status": "failed", "gap": nearest}
            if done is None:
                return {"status": "cap", "gap": nearest, "seconds": cap}
            nearest = min(nearest, (done[1] - self.best) / self.best)
            if self.accurate(done):
                return {"status": "reached", "attempt": attempt, "gap": nearest}
            if time.perf_counter() - begun > SEARCH_CAPS * cap:
                return {"status": "cap", "gap": nearest, "seconds": done[0]}
        return {"status": "never", "gap": nearest}

    def search_all(self) -> dict[str, dict[str, Any]]:
        """Search for every peer, again if one of them went below what was known."""
        while True:
            known = self.best
            peers = {solver: self.search(solver) for solver in PEERS}
            if known - self.best <= 0.1 * ACCURACY * known:
                return peers

    def our_tolerance(self) -> float:
        """Return the loosest tol with which LogisticNN is accurate."""
        for tol in self._tolerances:
            done = self.fit(fit_ours, tol, cap=None)
            if done is not None and self.accurate(done):
                return tol
        return TOLERANCES[-1]

    def run(self) -> dict[str, Any]:
        """Return the medians of all contenders."""
        self.fit(fit_ours, EXACT, cap=10.0 * self._settings.cap)
        default = self.fit(fit_ours, None, cap=None)
        peers = self.search_all()
        loosest = self.our_tolerance()
        assert default is not None
        default_tol = None if self.accurate(default) else loosest

        times: dict[str, list[float]] = {}
        for _ in range(self._settings.repeats):
            for kind, tol in (("default", default_tol), ("any tol", loosest)):
                done = self.fit(fit_ours, tol, cap=None)
                times.setdefault(kind, []).append(done[0] if done else np.nan)
            for solver, peer in peers.items():
                if peer["status"] != "reached":
                    continue
                cap = 2.0 * self.cap(solver)
                done = self.fit(fitter(solver), *peer["attempt"], cap=cap)
                seconds = done[0] if done else cap
                times.setdefault(solver, []).append(seconds)
        for solver, peer in peers.items():
            if solver in times:
                peer["seconds"] = median(times[solver])
                peer["times"] = times[solver]
        return {
            "J": self.best,
            "default misses": default_tol is not None,
            "default gap": (default[1] - self.best) / self.best,
            "seconds": median(times["default"]),
            "seconds any tol": median(times["any tol"]),
            "times": times["default"],
            "tol": loosest,
            "peers": peers,
        }


def best_peer(contest: dict[str, Any]) -> tuple[str, float]:
    """Return the fastest peer that reached the accuracy, and its seconds.

    If another one was ended before that time, it may be faster: "none", and the
    shortest time after which one was ended, a lower bound.
    """
    times = [
        (peer["seconds"], peer["status"] == "cap", solver)
        for solver, peer in contest["peers"].items()
        if peer["status"] in ("reached", "cap")
    ]
    seconds, is_bound, solver = min(times, default=(float("nan"), True, "none"))
    return "none" if is_bound else solver, seconds


def ratio(peer: dict[str, Any], ours: float) -> str:
    """Return how many times longer a peer takes, "> …" for a lower bound."""
    if "seconds" not in peer:
        return "-" if peer["status"] == "not applicable" else peer["status"]
    return bound(peer["seconds"] / ours, peer["status"] == "cap")


def bound(value: float, only_bound: bool) -> str:
    """Return a ratio as text, "> …" for a lower bound."""
    return f"{'> ' if only_bound else ''}{value:.3g}"


def report(contests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table of ratios."""
    rows = []
    for contest in contests:
        ours = contest["seconds"]
        solver, fastest = best_peer(contest)
        rows.append(
            {
                "set": contest["set"],
                "objective": contest["objective"],
                "ours, ms": 1e3 * ours,
                "gap at default tol": f"{contest['default gap']:.0e}",
                "best peer": solver,
                "best / ours": bound(fastest / ours, solver == "none"),
                "any tol": bound(
                    fastest / contest["seconds any tol"], solver == "none"
                ),
                **{name: ratio(peer, ours) for name, peer in contest["peers"].items()},
            }
        )
    return rows


def summary(contests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios that the goals are about; lower bounds count as they are."""
    ratios: dict[str, list[float]] = {}
    for contest in contests:
        ours, kind = contest["seconds"], contest["objective"]
        fastest = best_peer(contest)[1]
        if np.isfinite(fastest):
            for key in (f"best peer / ours, {kind}", "best peer / ours"):
                ratios.setdefault(key, []).append(fastest / ours)
            # Both at the loosest tolerance that suffices.
            key = "best peer / ours, any tol"
            ratios.setdefault(key, []).append(fastest / contest["seconds any tol"])
        glum = [
            contest["peers"][name]["seconds"]
            for name in (GLUM, CATEGORICAL)
            if contest["peers"].get(name, {}).get("status") == "reached"
        ]
        if glum:
            ratios.setdefault("glum / ours", []).append(min(glum) / ours)
        default = contest["peers"][DEFAULT_SOLVER]
        if kind == "raw" and "seconds" in default:
            key = "default solver on raw data / ours"
            ratios.setdefault(key, []).append(default["seconds"] / ours)
    found: dict[str, Any] = {}
    for key, values in sorted(ratios.items()):
        found[f"{key}: geometric mean"] = geometric_mean(values)
        found[f"{key}: lowest"] = min(values)
    return found


def conclude(contests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result for the JSON file."""
    rows, found = report(contests), summary(contests)
    return {"summary": found, "table": rows, "contests": contests}


def run(settings: Settings) -> dict[str, Any]:
    """Run all contests; return the result for the JSON file."""
    contests = []
    for name in names(settings.data, settings.only, settings.quick):
        warm = partial(warm_up, name, settings.data, settings.quick)
        with CappedCalls(warm) as calls:
            for kind in ("raw", "standardised"):
                contest = Contest(calls, settings, name, kind == "standardised")
                result = contest.run()
                shape = contest.data.shape
                contests.append(
                    {"set": name, "shape": shape, "objective": kind, **result}
                )
                print(table(report(contests[-1:])), flush=True)
    result = conclude(contests)
    rows, found = result["table"], result["summary"]
    print(f"\nTime of a peer / time of LogisticNN, to {ACCURACY:g}\n\n{table(rows)}\n")
    print(table([{"what": key, "ratio": value} for key, value in found.items()]))
    return result
