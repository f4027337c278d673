"""What the project aims at, and how far the stored results are.

    python benchmarks/goals.py

prints two tables from what the other programs have written; nothing is measured. Speed
and memory are in ``results/MACHINE/*.json``; a machine of which a benchmark is missing
has no figure for it. What the defaults reach is in ``results/defaults.json``.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import geometric_mean
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"

Results = dict[str, dict[str, Any]]


class Goal(NamedTuple):
    """One aim: a bound, and where its figure is found.

    Attributes
    ----------
    what : str
        What is measured, as a ratio unless a unit is named.
    bound : float
        The figure should be at least this, or at most if `at_most`.
    figure : callable
        From the stored results, by benchmark, to the figure.
    at_most : bool
    """

    what: str
    bound: float
    figure: Callable[[Results], float | None]
    at_most: bool = False

    @property
    def words(self) -> str:
        """The bound, with its sign."""
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"

    def reached(self, results: Results) -> float | None:
        """Return the figure, None where what it is taken from was not measured."""
        try:
            figure = self.figure(results)
        except (KeyError, ValueError, ZeroDivisionError):
            return None
        return None if figure is None else float(figure)

    def is_met(self, reached: float) -> bool:
        """Return whether a figure is enough."""
        return reached <= self.bound if self.at_most else reached >= self.bound


def summary(which: str, key: str) -> Callable[[Results], float | None]:
    """Return the figure of a benchmark's summary; None for one that is no number."""
    return lambda results: results[which]["summary"][key]


def against_best(results: Results, name: str) -> float:
    """Return the lowest ratio of LogisticNN to the best peer on a set."""
    ratios = [
        float(row["best / ours"].removeprefix("> "))
        for row in results["logistic"]["table"]
        if row["set"] == name
    ]
    return min(ratios)


def networks(results: Results) -> list[dict[str, Any]]:
    """Return the evaluations of networks of 100 columns and units or more, float64."""
    table = results["evaluation"]["table"]
    wide = [row for row in table if min(row["p"], row["h"]) >= 100]
    return [row for row in wide if row["dtype"] == "float64"]


def part_within(results: Results, limit: float) -> float:
    """Return the part of these evaluations that take up to so many of the products."""
    ratios = [row["/ products"] for row in networks(results)]
    return sum(ratio <= limit for ratio in ratios) / len(ratios)


def on_iris(results: Results) -> float:
    """Return how long LogisticRegression takes on iris behind a scaler / ours."""
    [row] = [row for row in results["overhead"]["table"] if row["set"] == "iris"]
    return row["peer, scaled / ours"]


def versus(pair: str, column: str) -> Callable[[Results], float]:
    """Return a figure of the comparison of two models by their defaults."""

    def figure(results: Results) -> float:
        rows = results["defaults"]["comparisons"]
        [row] = [row for row in rows if row["pair"] == pair]
        return row[column]

    return figure


def on_set(results: Results, table: str, name: str) -> dict[str, float]:
    """Return the row of a set in a table of the benchmark of defaults."""
    [row] = [row for row in results["defaults"][table] if row["set"] == name]
    return row


def choice_of_alpha(results: Results, name: str) -> float:
    """Return LogisticNN() / LogisticNN(alpha=1) in seconds, on a set."""
    return on_set(results, "choice of alpha", name)["ratio"]


def choice_on_small(results: Results) -> float:
    """Return the geometric mean of the same over the small sets."""
    names = {row["set"] for row in results["defaults"]["choice of alpha"]}
    small = names - {"text", "million"}
    return geometric_mean(choice_of_alpha(results, name) for name in small)


def time_on_adult(results: Results) -> float:
    """Return OneHiddenMLP() / MLPClassifier() in seconds, on all rows of adult."""
    row = on_set(results, "seconds", ADULT)
    return row["OneHiddenMLP"] / row["MLPClassifier"]


BEST, RAW = "best peer / ours", "default solver on raw data / ours"
NEXT = "iteration at 1e6 rows / at 1e5"
GOALS = [
    Goal(
        "LogisticNN against the best peer per set: mean",
        5.0,
        summary("logistic", f"{BEST}: geometric mean"),
    ),
    Goal(
        "LogisticNN against the best peer: lowest",
        1.0,
        summary("logistic", f"{BEST}: lowest"),
    ),
    Goal(
        "LogisticNN against the default solver on raw data: mean",
        50.0,
        summary("logistic", f"{RAW}: geometric mean"),
    ),
    Goal(
        "1,000,000 × 50 against the best peer",
        10.0,
        lambda results: against_best(results, "million"),
    ),
    Goal(
        "OneHiddenMLP against MLPClassifier lbfgs as installed: mean",
        5.0,
        summary("mlp", "lbfgs, installed: geometric mean"),
    ),
    Goal(
        "against MLPClassifier with its BLAS pools tuned by hand: mean",
        2.0,
        summary("mlp", "lbfgs, best by hand: geometric mean"),
    ),
    Goal(
        "against MLPClassifier tuned by hand: lowest",
        1.0,
        summary("mlp", "lbfgs, best by hand: lowest"),
    ),
    Goal(
        "against R's nnet: mean",
        20.0,
        summary("mlp", "nnet, installed: geometric mean"),
    ),
    Goal(
        "evaluation / its two products, p and h from 100: part of the shapes ≤ 1.3",
        1.0,
        lambda results: part_within(results, 1.3),
    ),
    Goal(
        "evaluation / its two products: mean",
        1.3,
        summary(
            "evaluation",
            "network, p and h from 100, evaluation / products: geometric mean",
        ),
        at_most=True,
    ),
    Goal(
        "extra memory of a fit, 1,000,000 × 20, 100 units, MB",
        100.0,
        summary("growth", "OneHiddenMLP: extra memory, MB"),
        at_most=True,
    ),
    Goal(
        "threads 1 and 2, parameters of equal bits: part of the fits",
        1.0,
        lambda results: float(
            results["growth"]["summary"]["thread counts: parameters"] == "equal bits"
        ),
    ),
    *(
        Goal(
            f"time per iteration from 1e5 to 1e6 rows, {name}",
            11.0,
            summary("growth", f"n, {name}: {NEXT}"),
            at_most=True,
        )
        for name in ("network", "linear", "linear by newton-cg")
    ),
    Goal("fit on iris: LogisticRegression behind a scaler", 1.0, on_iris),
    Goal(
        "import beside scikit-learn's parts, ms",
        30.0,
        summary("overhead", "import sknn_simple, ms"),
        at_most=True,
    ),
]

ADULT = "adult, all rows"
NETWORK = "OneHiddenMLP / MLPClassifier"
BOOSTING = "OneHiddenMLP / HistGradientBoosting"
ALPHA, CV = (
    f"LogisticNN / {peer}" for peer in ("LogisticNN(alpha=1)", "LogisticRegressionCV")
)
# Ratios by name, each model with its defaults; MLPClassifier and LogisticRegressionCV
# are behind a scaler.
DEFAULTS = [
    Goal(
        f"{NETWORK}: part of the sets, lower log-loss", 0.9, versus(NETWORK, "lower on")
    ),
    Goal(
        "LogisticRegressionCV / LogisticNN: seconds, mean",
        20.0,
        lambda results: 1.0 / versus(CV, "seconds")(results),
    ),
    *(
        Goal(what, bound, figure, at_most=True)
        for what, bound, figure in (
            (f"{NETWORK}: log-loss, mean", 0.75, versus(NETWORK, "log-loss")),
            (f"{NETWORK}: log-loss, worst", 1.2, versus(NETWORK, "worst")),
            (f"{BOOSTING}: log-loss, mean", 0.75, versus(BOOSTING, "log-loss")),
            (f"{NETWORK}: seconds, mean", 1.0, versus(NETWORK, "seconds")),
            (f"{NETWORK}: seconds, slowest", 3.0, versus(NETWORK, "slowest")),
            (
                f"OneHiddenMLP: log-loss, {ADULT}",
                0.32,
                lambda results: on_set(results, "log-loss", ADULT)["OneHiddenMLP"],
            ),
            (f"{NETWORK}: seconds, {ADULT}", 0.5, time_on_adult),
            (f"{ALPHA}: log-loss, mean", 0.94, versus(ALPHA, "log-loss")),
            (f"{ALPHA}: log-loss, worst", 1.1, versus(ALPHA, "worst")),
            (f"{ALPHA}: seconds, mean of small sets", 5.0, choice_on_small),
            (
                f"{ALPHA}: seconds, 1,000,000 × 50",
                2.0,
                lambda results: choice_of_alpha(results, "million"),
            ),
            (
                f"{ALPHA}: seconds, sparse text",
                4.0,
                lambda results: choice_of_alpha(results, "text"),
            ),
        )
    ),
]


def stored(folder: Path = RESULTS) -> dict[str, Results]:
    """Return the results of every machine, by the name of its folder."""
    return {
        machine.name: {
            file.stem: json.loads(file.read_text(encoding="utf-8"))
            for file in machine.glob("*.json")
        }
        for machine in sorted(folder.iterdir())
        if machine.is_dir()
    }


def stored_defaults(folder: Path = RESULTS) -> dict[str, Results]:
    """Return what the defaults reach: as stored, and here if it was measured."""
    files = {"stored": folder / "defaults.json", "here": folder / "here/defaults.json"}
    return {
        name: {"defaults": json.loads(file.read_text(encoding="utf-8"))}
        for name, file in files.items()
        if file.exists()
    }


def rows(
    machines: Mapping[str, Results], goals: list[Goal] = GOALS
) -> list[dict[str, Any]]:
    """Return a row per goal: what is reached on each machine, and whether it is met."""
    found = []
    for goal in goals:
        row: dict[str, Any] = {"what": goal.what, "goal": goal.words}
        for name, results in machines.items():
            reached = goal.reached(results)
            row[name] = reached
            row[f"{name}: met"] = None if reached is None else goal.is_met(reached)
        found.append(row)
    return found


def print_rows(found: list[dict[str, Any]]) -> None:
    """Print the table."""
    header = dict(zip(found[0], found[0], strict=True))
    for row in [header, *found]:
        what, goal, *others = row.values()
        cells = [f"{x:.3g}" if isinstance(x, float) else str(x) for x in others]
        print(f"{what:<76} {goal:>6}", *(f"{cell:>11}" for cell in cells))


if __name__ == "__main__":
    print_rows(rows(stored()))
    print()
    print_rows(rows(stored_defaults(), DEFAULTS))
