"""How sure: whether intervals cover, averages help, and odd rows are found.

- Coverage: 1,000 tables of 200 rows are drawn from a logistic model with five columns,
  one of them of two values. The share of 95 % intervals of ``LogisticNN(alpha=0)``
  that hold the truth, of each coefficient and of each average marginal effect (that of
  the true probabilities over the rows of the table). Goal: 93 to 97 %.
- Averages: the test log-loss of probabilities averaged over the posterior of
  ``OneHiddenMLP(random_state=0)`` against the plain ones, on tables of less than 300
  rows, mean of three shuffled folds by class. Log-losses below 0.05 count as 0.05 in
  the ratios. Goal: geometric mean at most 1.
- Rows left out: the mean log-loss of ``leave_one_out`` against refits at ``alpha_``,
  ``LogisticNN()`` on 100 rows, drawn by class. Goal: within 2 %. A refit has its own
  units of columns: without an outlier the penalty is another one. "same units" are
  refits with those of the fit.
- Odd rows: 5 % of the labels of 500 digits are changed. The share of these rows among
  the 10 % with the largest log-loss of ``leave_one_out``, mean over ``--seeds`` draws.
  Goal: 90 %.
- Cost: the seconds of ``Posterior`` and of its summary against those of the fit
  ``LogisticNN()``, medians, in turns. Goal: at most 2 on adult.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split

from benchmarks.common import Settings, alternate, geometric_mean, table
from benchmarks.data import BUNDLED, DataSet, NoDataSetError, load, read_csv, tables
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior

FLOOR = 0.05  # of the log-losses in a ratio
SMALL = 300
TRUTH = np.array([1.0, -0.5, 0.25, 0.0, 0.8])
INTERCEPT, TABLE_ROWS = -0.3, 200
N_TABLES, N_DIGITS, LEFT_OUT_ROWS = 1000, 500, 100
FLIPPED, WORST = 0.05, 0.1
COSTS = ("adult", "breast_cancer", "digits")

Rows = list[dict[str, Any]]


def drawn_table(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns of a simulated table, its labels, and the true raw outputs."""
    generator = np.random.RandomState(seed)
    X = generator.normal(size=(TABLE_ROWS, len(TRUTH)))
    X[:, -1] = X[:, -1] > 0.5
    raw = X @ TRUTH + INTERCEPT
    return X, (generator.uniform(size=TABLE_ROWS) < expit(raw)).astype(int), raw


def true_effects(X: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Return the average marginal effects of the true model on the rows of X."""
    P = expit(raw)
    effects = TRUTH * (P * (1.0 - P)).mean()
    rest = raw - X[:, -1] * TRUTH[-1]
    effects[-1] = (expit(rest + TRUTH[-1]) - expit(rest)).mean()
    return effects


def coverage(settings: Settings) -> Rows:
    """Return the share of intervals that hold the truth, of each parameter."""
    held = {"coefficient": [], "marginal effect": []}
    for seed in range(50 if settings.quick else N_TABLES):
        X, y, raw = drawn_table(seed)
        posterior = Posterior(LogisticNN(alpha=0).fit(X, y), X, y)
        truths = np.append(TRUTH, INTERCEPT), true_effects(X, raw)
        frames = posterior.summary().to_frame(), posterior.marginal_effects()
        for rows, truth, frame in zip(held.values(), truths, frames, strict=True):
            rows.append(frame["lower"].le(truth) & frame["upper"].ge(truth))
    found = []
    for what, rows in held.items():
        share = np.mean(rows, axis=0)
        names = [*(f"x{j}" for j in range(len(TRUTH))), "intercept"]
        by_name = dict(zip(names, map(float, share), strict=False))
        found.append({"interval of": what, "mean": float(share.mean()), **by_name})
    return found


def sets(settings: Settings) -> Mapping[str, Any]:
    """Return how to load each set: the bundled ones and those of the folder."""
    files = tables(settings.data)
    every: dict[str, Any] = {
        **{name: partial(load, name) for name in BUNDLED},
        **{name: partial(read_csv, path) for name, path in files.items()},
    }
    return {
        name: read
        for name, read in every.items()
        if any(part in name for part in settings.only.split(","))
        and (not settings.quick or name in ("iris", "breast_cancer"))
    }


def averages(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the log-losses of plain and averaged probabilities of each small table."""
    for name, read in sets(settings).items():
        data = read()
        if data.X.shape[0] >= SMALL:
            continue
        losses = []
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        for train, test in folds.split(data.X, data.y):
            model = OneHiddenMLP(random_state=0).fit(data.X[train], data.y[train])
            posterior = Posterior(model, data.X[train], data.y[train])
            losses.append(
                [
                    log_loss(data.y[test], each.predict_proba(data.X[test]))
                    for each in (model, posterior)
                ]
            )
        plain, averaged = map(float, np.mean(losses, axis=0))
        ratio = max(averaged, FLOOR) / max(plain, FLOOR)
        found = {"set": name, "data": data.shape, "plain": plain}
        yield {**found, "averaged": averaged, "ratio": ratio}


def some_rows(data: DataSet, rows: int, seed: int = 0) -> DataSet:
    """Return so many rows, drawn by class."""
    drawn, _ = train_test_split(
        np.arange(len(data.y)), train_size=rows, stratify=data.y, random_state=seed
    )
    return DataSet(data.X[drawn], data.y[drawn])


def left_out(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the log-losses of rows left out, approximate and exact, of each set."""
    for name, read in sets(settings).items():
        data = read()
        if data.n_classes > 3 or data.X.shape[0] > 10_000:
            continue
        X, y = some_rows(data, 30 if settings.quick else LEFT_OUT_ROWS)
        model = LogisticNN().fit(X, y)
        refit = LogisticNN(alpha=model.alpha_)
        own = refits(refit, X, y)
        in_units = X / np.where(model.scale_ > 0.0, model.scale_, 1.0)
        same = refits(refit.set_params(standardize=False), in_units, y)
        found = Posterior(model, X, y).leave_one_out().mean()
        row = {"set": name, "leave_one_out": float(found), "refits": own}
        yield {**row, "ratio": found / own, "same units": found / same}


def refits(model: LogisticNN, X: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log-loss of each row, of fits without it."""
    losses = []
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        log_p = model.fit(X[kept], y[kept]).predict_log_proba(X[[i]])
        losses.append(-log_p[0, model.classes_.tolist().index(y[i])])
    return float(np.mean(losses))


def odd_rows(settings: Settings) -> Rows:
    """Return the share of changed labels among the worst rows, per model."""
    models = {
        "LogisticNN": LogisticNN,
        "OneHiddenMLP": partial(OneHiddenMLP, 30, random_state=0),
    }
    rows, found = 200 if settings.quick else N_DIGITS, []
    for name, make in models.items():
        shares = []
        for seed in range(1 if settings.quick else settings.seeds):
            X, y = some_rows(load("digits"), rows, seed)
            generator = np.random.RandomState(seed)
            odd = generator.choice(len(y), int(FLIPPED * len(y)), replace=False)
            y = y.copy()
            y[odd] = (y[odd] + generator.randint(1, 10, len(odd))) % 10
            losses = Posterior(make().fit(X, y), X, y).leave_one_out()
            worst = np.argsort(losses)[-int(WORST * len(y)) :]
            shares.append(np.isin(odd, worst).mean())
        found.append({"model": name, "found": float(np.mean(shares))})
    return found


def costs(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the seconds of a fit and of its posterior, of each set."""
    for name, read in sets(settings).items():
        if name not in COSTS:
            continue
        data = read()
        model = LogisticNN().fit(*data)
        turns = {
            "fit": partial(LogisticNN().fit, *data),
            "posterior": partial(summarized, model, data),
        }
        times = alternate(turns, settings.repeats)
        typical = {f"{what}, s": median(taken) for what, taken in times.items()}
        ratio = typical["posterior, s"] / typical["fit, s"]
        yield {"set": name, "data": data.shape, **typical, "ratio": ratio}


def summarized(model: LogisticNN, data: DataSet) -> None:
    """Make a posterior and its table."""
    str(Posterior(model, *data).summary())


def run(settings: Settings) -> dict[str, Any]:
    """Measure everything; return the result for the JSON file."""
    if not sets(settings):
        raise NoDataSetError(f"no data set has {settings.only!r} in its name.")
    found: dict[str, Any] = {}

    def add(what: str, rows: Rows) -> None:
        found[what] = rows
        print(f"\n{what}\n\n{table(rows)}", flush=True)

    add("coverage", coverage(settings))
    small = list(averages(settings))
    if small:
        mean = geometric_mean([row["ratio"] for row in small])
        small.append({"set": "geometric mean", "ratio": mean})
    add("averages", small)
    add("rows left out", list(left_out(settings)))
    add("odd rows", odd_rows(settings))
    add("cost", list(costs(settings)))
    return found
