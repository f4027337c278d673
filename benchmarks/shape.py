"""All solvers over a grid of shapes: what ``solver="auto"`` is chosen from.

Per shape and solver: seconds of a default fit, on raw columns of very different units,
and how far above the lowest J of all solvers it ends. The table names the quickest
solver that is within 1e-6 (LogisticNN) or 1e-2 (OneHiddenMLP, whose minima are many)
of the lowest, the one that "auto" chose, and what the choice costs. Run it again when a
solver or the change of variables has changed, and adapt the choice in the package.
"""

from functools import lru_cache, partial
from itertools import product
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from benchmarks.common import (
    CappedCalls,
    Settings,
    geometric_mean,
    quietly,
    table,
    typical_seconds,
)
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.spec import check_solver

# Relative to the lowest J of all solvers.
ACCURACY = {"LogisticNN": 1e-6, "OneHiddenMLP": 1e-2}
# n · p · K above which a dense shape is left out.
MAX_SIZE = 5e8
# Seconds from which a fit is not repeated.
LONG = 2.0


class Shape(NamedTuple):
    """A problem: rows, columns, classes, hidden units, share of values that are not 0.

    ``correlation`` is the size of what columns have in common; 0 for nothing.
    """

    n: int
    p: int
    K: int
    h: int = 0
    density: float = 1.0
    correlation: float = 0.5

    @property
    def model(self) -> str:
        """The classifier that is measured."""
        return "OneHiddenMLP" if self.h else "LogisticNN"

    @property
    def n_parameters(self) -> int:
        """The number of parameters."""
        outputs = 1 if self.K == 2 else self.K
        if not self.h:
            return (self.p + 1) * outputs
        return (self.p + 1) * self.h + (self.h + 1) * outputs


def shapes(quick: bool) -> list[Shape]:
    """Return the grid."""
    if quick:
        return [
            Shape(200, 10, 2),
            Shape(1000, 10, 5),
            Shape(1000, 2000, 2, density=0.01),
            Shape(500, 10, 2, h=20),
        ]
    dense = [
        Shape(n, p, K, correlation=correlation)
        for n, p, K, correlation in product(
            (150, 2000, 20_000, 200_000), (5, 50, 400, 2000), (2, 10), (0.0, 0.5)
        )
        if n * p * K <= MAX_SIZE
    ]
    dense += [Shape(1_000_000, 50, 2), Shape(20_000, 16, 26), Shape(2000, 20, 100)]
    few = [
        Shape(n, p, K, density=100 / p)
        for n, p, K in product((2000, 20_000), (1000, 50_000), (2, 10))
    ]
    networks = [
        Shape(n, p, K, h)
        for n, p, K, h in product((200, 5000, 50_000), (10, 100), (2, 10), (10, 100))
    ]
    return dense + few + networks


@lru_cache(maxsize=1)
def make_data(shape: Shape) -> tuple[Any, np.ndarray]:
    """Return features in units from 1e-3 to 1e3, and classes that overlap."""
    rng = np.random.default_rng(0)
    units = 10.0 ** rng.uniform(-3.0, 3.0, shape.p)
    X: Any
    if shape.density < 1.0:
        seen = sparse.random(
            shape.n, shape.p, shape.density, format="csr", random_state=0
        )
        X = sparse.csr_array(seen.multiply(units))
    else:
        X = rng.standard_normal((shape.n, shape.p))
        common = rng.standard_normal((shape.n, 1 + shape.p // 10))
        X += (
            shape.correlation * common @ rng.standard_normal((common.shape[1], shape.p))
        )
        seen = X
        X = X * units + units * rng.standard_normal(shape.p)
    raw = seen @ rng.standard_normal((shape.p, shape.K))
    raw *= 2.0 / raw.std()
    y = (raw + rng.gumbel(size=raw.shape)).argmax(axis=1)
    y[: shape.K] = np.arange(shape.K)
    return X, y


def solvers(shape: Shape) -> list[str]:
    """Return the solvers that can be used for a shape, and "auto"."""
    able = ["auto"]
    for name, solver in SOLVERS.items():
        try:
            check_solver(name, shape.n_parameters, bounded=False)
        except ValueError:
            continue
        if not (shape.h and "hess" in solver.derivatives):
            able.append(name)
    return able


def fit(shape: Shape, solver: str) -> tuple[float, float, int, str]:
    """Return a default fit's seconds, J, iterations, and the solver that was used."""
    X, y = make_data(shape)
    model: Any
    if shape.h:
        model = OneHiddenMLP(shape.h, solver=solver, random_state=0, alpha=1.0)
    else:
        model = LogisticNN(solver=solver, alpha=1.0)
    seconds = quietly(lambda: typical_seconds(lambda: model.fit(X, y)))
    return seconds, model.loss_, model.n_iter_, model.solver_


def prepare(shape: Shape) -> None:
    """Make the data, which the cap of a fit is not for."""
    make_data(shape)


def measure(calls: CappedCalls, shape: Shape, settings: Settings) -> dict[str, Any]:
    """Return what every solver took for a shape."""
    done: dict[str, list[tuple]] = {}
    too_long = []
    for solver in solvers(shape):
        calls(prepare, shape, cap=None)
        first = calls(fit, shape, solver, cap=settings.cap)
        if first is None:
            too_long.append(solver)
        else:
            done[solver] = [first]
    for _ in range(min(3, settings.repeats) - 1):
        for solver, runs in done.items():
            again = None
            if runs[0][0] < LONG:
                again = calls(fit, shape, solver, cap=settings.cap)
            if again is not None:
                runs.append(again)
    lowest = min((run[1] for runs in done.values() for run in runs), default=np.nan)
    return {
        "shape": shape._asdict(),
        "model": shape.model,
        "parameters": shape.n_parameters,
        "chosen": done["auto"][0][3] if "auto" in done else None,
        "solvers": {
            solver: {
                "seconds": median(run[0] for run in runs),
                "gap": (runs[0][1] - lowest) / lowest,
                "iterations": runs[0][2],
            }
            for solver, runs in done.items()
        },
        "did not end": too_long,
    }


def row(result: dict[str, Any]) -> dict[str, Any]:
    """Return a shape's row of the table; seconds of solvers that miss J in brackets."""
    accuracy = ACCURACY[result["model"]]
    found = {k: v for k, v in result["solvers"].items() if k != "auto"}
    accurate = {k: v["seconds"] for k, v in found.items() if v["gap"] <= accuracy}
    quickest = min(accurate, key=accurate.__getitem__) if accurate else None
    auto = result["solvers"].get("auto")
    cells = {
        k: f"{v['seconds']:.3g}" if k in accurate else f"({v['seconds']:.3g})"
        for k, v in found.items()
    }
    return {
        **{k: v for k, v in result["shape"].items() if k != "correlation"},
        "corr": result["shape"]["correlation"],
        "parameters": result["parameters"],
        "quickest": quickest,
        "auto": result["chosen"],
        "auto / quickest": auto["seconds"] / accurate[quickest]
        if auto and quickest
        else None,
        **cells,
        **dict.fromkeys(result["did not end"], "cap"),
    }


def run(settings: Settings) -> dict[str, Any]:
    """Measure all shapes; return the result for the JSON file."""
    results = []
    warm_up = partial(fit, Shape(100, 4, 2), "lbfgs")
    with CappedCalls(warm_up) as calls:
        for shape in shapes(settings.quick):
            results.append(measure(calls, shape, settings))
            print(table([row(results[-1])]), flush=True)
    rows = [row(result) for result in results]
    found: dict[str, Any] = {}
    for model in ACCURACY:
        costs = [
            cells["auto / quickest"]
            for cells, result in zip(rows, results, strict=True)
            if result["model"] == model and cells["auto / quickest"] is not None
        ]
        if costs:
            found[f"{model}, auto / quickest: geometric mean"] = geometric_mean(costs)
            found[f"{model}, auto / quickest: highest"] = max(costs)
    print(f"\nSeconds of a default fit, by solver\n\n{table(rows)}\n")
    print(table([{"what": key, "ratio": value} for key, value in found.items()]))
    return {"summary": found, "table": rows}
