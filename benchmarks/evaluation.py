"""The cost of one evaluation (J and its gradient) against what it cannot avoid.

The network: X W₁ and Xᵀ Δ, two products of (n, p), (p, h) and (n, h), each one call of
``np.matmul`` on the whole arrays with all threads that the BLAS is allowed. Where the
BLAS uses its threads badly, the same products by blocks of rows, a thread for each
with a BLAS of one thread, are the stricter limit; both ratios are given. A third is to
all five products: with K outputs there are A W₂, Aᵀ δ and δ W₂ᵀ besides, which no
evaluation can avoid either.

The linear model: the same two products for K outputs, and the memory limit: X is read
once, by the quickest of a few reductions over it, on all threads.

Both are timed in turns in the same run. Ratios are evaluation / limit.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, product
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import (
    Settings,
    alternate,
    geometric_mean,
    repeated,
    seconds,
    table,
)
from sknn_simple._data.row_blocks import RowBlocks
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.networks import LinearNetwork, OneHiddenNetwork
from sknn_simple._model.objective import Objective

SIZES = (16, 100, 400, 784)
ROWS = (10_000, 100_000)
N_CLASSES = 10
# Evaluations per turn: at least this long, so that small ones are measured as well.
TURN_SECONDS = 0.2
BLOCK_ROWS = 1024


class Case(NamedTuple):
    """One shape to measure; without hidden units it is the linear model."""

    n: int
    p: int
    h: int = 0
    K: int = N_CLASSES
    activation: str = "relu"
    dtype: str = "float64"


def cases(quick: bool) -> list[Case]:
    """Return the shapes to measure."""
    if quick:
        return [Case(2000, 16, 100), Case(2000, 100, 100), Case(20_000, 50, K=1)]
    shapes = [Case(*shape) for shape in product(ROWS, SIZES, SIZES)]
    others = [
        Case(100_000, 100, 100, activation="tanh"),
        Case(100_000, 100, 100, activation="logistic"),
        Case(100_000, 100, 100, activation="gelu"),
        Case(100_000, 100, 100, K=1),
        Case(100_000, 100, 100, dtype="float32"),
        Case(100_000, 400, 400, dtype="float32"),
    ]
    linear = [Case(n, p, K=K) for n, p, K in product(ROWS, SIZES, (1, N_CLASSES))] + [
        Case(1_000_000, 50, K=1),
        Case(1_000_000, 50, K=1, dtype="float32"),
    ]
    return shapes + others + linear


def make_data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return random features and targets as the objective takes them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n, case.p), dtype=np.dtype(case.dtype))
    if case.K == 1:
        return X, rng.integers(2, size=(case.n, 1)).astype(np.float64)
    return X, rng.integers(case.K, size=case.n)


def make_objective(
    case: Case, X: np.ndarray, y: np.ndarray, workers: Workers
) -> Objective:
    """Return the package's objective over blocks of rows."""
    kind: type[Objective]
    network: Any
    if case.h:
        kind, activation = Objective, ACTIVATIONS[case.activation]
        network = OneHiddenNetwork(case.p, case.h, case.K, activation)
    else:
        kind, network = LinearObjective, LinearNetwork(case.p, case.K)
    weight = np.full(case.n, 1.0 / case.n)
    blocks = RowBlocks(
        X, y, weight, row_bytes=network.row_bytes(X), work=network.work(X)
    )
    loss = LOSSES["logistic" if case.K == 1 else "softmax"]
    penalty_root = np.full(network.layout.size, np.sqrt(1.0 / case.n))
    return kind(network, loss, blocks, penalty_root, workers)


def products(case: Case, X: np.ndarray) -> Callable[[], None]:
    """Return the two matrix products, into arrays that exist already."""
    W, forward = _operands(case)
    backward = np.empty_like(W)

    def both() -> None:
        np.matmul(X, W, out=forward)
        np.matmul(X.T, forward, out=backward)

    return both


def all_products(case: Case, X: np.ndarray) -> Callable[[], None]:
    """Return the two products and those with the outputs, into existing arrays."""
    two = products(case, X)
    rng = np.random.default_rng(3)
    hidden = rng.standard_normal((case.n, case.h)).astype(case.dtype)
    # With orthonormal columns what is written over `hidden` again and again stays.
    W = np.linalg.qr(rng.standard_normal((case.h, case.K)))[0].astype(case.dtype)
    raw, gradient = np.empty((case.n, case.K), case.dtype), np.empty_like(W)

    def five() -> None:
        two()
        np.matmul(hidden, W, out=raw)
        np.matmul(hidden.T, raw, out=gradient)
        np.matmul(raw, W.T, out=hidden)

    return five


def products_by_blocks(case: Case, X: np.ndarray, n_threads: int) -> Callable[[], None]:
    """Return the two products by blocks of rows, each thread with a BLAS of its own."""
    W, forward = _operands(case)
    parts = np.array_split(np.arange(case.n), n_threads)

    def of_part(rows: np.ndarray) -> np.ndarray:
        total = np.zeros_like(W)
        for start in range(rows[0], rows[-1] + 1, BLOCK_ROWS):
            block = slice(start, min(start + BLOCK_ROWS, rows[-1] + 1))
            np.matmul(X[block], W, out=forward[block])
            total += X[block].T @ forward[block]
        return total

    def both() -> None:
        with limit_blas_threads, ThreadPoolExecutor(n_threads) as pool:
            sum(pool.map(of_part, parts))

    return both


def _operands(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and an array for X times the weights."""
    columns = case.h or case.K
    W = np.random.default_rng(1).standard_normal((case.p, columns)).astype(case.dtype)
    return W, np.empty((case.n, columns), case.dtype)


def readings(X: np.ndarray, n_threads: int) -> dict[str, Callable[[], Any]]:
    """Return ways to read all of X once."""
    flat = X.ravel()
    parts = np.array_split(flat, 8 * n_threads)

    def threads_of(function: Callable[[np.ndarray], Any]) -> Callable[[], Any]:
        def run() -> None:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(function, parts))

        return run

    return {
        "dot": lambda: flat @ flat,
        "sum": threads_of(np.sum),
        "max": threads_of(np.max),
    }


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Return the medians of an evaluation and of its limits."""
    X, y = make_data(case)
    with limit_blas_threads as n_threads:
        pass
    contenders: dict[str, Callable[[], Any]] = {
        "all threads": products(case, X),
        "blocks": products_by_blocks(case, X, n_threads),
    }
    if case.h:
        contenders["all products"] = all_products(case, X)
    ways = {} if case.h else readings(X, n_threads)
    with Workers(n_threads) as workers:
        objective = make_objective(case, X, y, workers)
        # More points than J keeps, so that each one is evaluated again.
        shape = objective.kept_points + 1, objective.size
        points = cycle(0.1 * np.random.default_rng(2).standard_normal(shape))

        def evaluate() -> None:
            with limit_blas_threads:
                objective.value_and_grad(next(points))

        evaluate()
        count = max(1, int(TURN_SECONDS / seconds(evaluate)))
        contenders |= {"evaluation": evaluate, **ways}
        turns = {name: repeated(f, count) for name, f in contenders.items()}
        times = alternate(turns, repeats + 1)
    # The first turn wakes threads and touches memory for the first time.
    found = {name: median(t[1:]) / count for name, t in times.items()}
    ours = found["evaluation"]
    result = {
        **case._asdict(),
        "ms": 1e3 * ours,
        "/ products": ours / found["all threads"],
        "/ products by blocks": ours / found["blocks"],
    }
    if case.h:
        result["/ all products"] = ours / found["all products"]
    if ways:
        result["/ reading X"] = ours / min(found[name] for name in ways)
    return result


def run(settings: Settings) -> dict[str, Any]:
    """Measure all shapes; return the result for the JSON file."""
    rows = []
    for case in cases(settings.quick):
        rows.append(measure(case, settings.repeats))
        print(table(rows[-1:]), flush=True)
    wide = [
        row
        for row in rows
        if row["p"] >= 100 and row["h"] >= 100 and row["dtype"] == "float64"
    ]
    found = {
        f"network, p and h from 100, evaluation {limit}: {what}": of(
            [row[limit] for row in wide]
        )
        for limit in ("/ products", "/ all products", "/ products by blocks")
        for what, of in (("geometric mean", geometric_mean), ("highest", max))
    }
    print(f"\nEvaluation of J and its gradient\n\n{table(rows)}\n")
    print(table([{"what": key, "ratio": value} for key, value in found.items()]))
    return {"summary": found, "table": rows}
