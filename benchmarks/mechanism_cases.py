"""What ``mechanisms.py`` fits: kinds of data on which a mechanism may matter."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from benchmarks.data import BUNDLED, DataSet, letters, million, read_csv, text
from sknn_simple import LogisticNN, OneHiddenMLP

SMALL = ("iris", "wine", "breast_cancer", "german", "heart", "mushroom", "twonorm")
NETWORKS = ("breast_cancer", "digits", "german", "phoneme", "vehicle")


class Case(NamedTuple):
    """A model to fit, and the data."""

    name: str
    model: LogisticNN | OneHiddenMLP
    data: DataSet


# Data --------------------------------------------------------------------------------


def rare(n: int = 50_000, columns: int = 10) -> DataSet:
    """One-hot columns by Zipf's law: of each, the last categories have a few rows."""
    rng = np.random.default_rng(4)
    rate = 1.0 / np.arange(1, 21) ** 2
    codes = rng.choice(20, size=(n, columns), p=rate / rate.sum())
    X = np.eye(20)[codes].reshape(n, -1)
    logit = X @ rng.standard_normal(20 * columns) / 2.0
    return DataSet(X, (rng.random(n) < 1.0 / (1.0 + np.exp(-logit))).astype(int))


def gaussian(n: int, p: int, n_classes: int = 2, noise: float = 1.0) -> DataSet:
    """Correlated columns in units from 0.01 to 100, classes by a noisy linear rule."""
    rng = np.random.default_rng(n + p + n_classes)
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.2 * rng.standard_normal((p, p)))
    raw = X @ rng.standard_normal((p, n_classes)) / np.sqrt(p)
    y = (raw + noise * rng.gumbel(size=raw.shape)).argmax(axis=1)
    return DataSet(X * 10.0 ** rng.uniform(-2, 2, p) + 1.0, y)


def collinear(n: int, p: int) -> DataSet:
    """Columns of ten factors with little noise, and three classes of the factors."""
    rng = np.random.default_rng(n + p)
    factors = rng.standard_normal((n, 10))
    X = factors @ rng.standard_normal((10, p)) + 0.01 * rng.standard_normal((n, p))
    raw = factors @ rng.standard_normal((10, 3))
    return DataSet(X, (raw + rng.gumbel(size=raw.shape)).argmax(axis=1))


def topics(n: int, p: int, n_classes: int) -> DataSet:
    """Word counts by Zipf's law, as logarithms with rows scaled: a newsgroup's text."""
    rng = np.random.default_rng(5)
    rate = np.exp(0.7 * rng.standard_normal((n_classes, p))) / np.arange(10, p + 10)
    y = rng.integers(n_classes, size=n)
    counts = [rng.multinomial(rng.poisson(80) + 10, row / row.sum()) for row in rate[y]]
    X = sparse.csr_array(np.log1p(np.array(counts, dtype=float)))
    X.data /= np.repeat(np.sqrt(X.multiply(X).sum(axis=1)), np.diff(X.indptr))
    return DataSet(X, y)


MADE: dict[str, Callable[[], DataSet]] = {
    **{name: partial(read, 1.0) for name, read in BUNDLED.items()},
    "letters": letters,
    "rare": rare,
    "topics": partial(topics, 4000, 5000, 20),
    "100000 x 30": partial(gaussian, 100_000, 30),
}


def available(names: tuple[str, ...], folder: Path) -> Iterator[tuple[str, DataSet]]:
    """Yield data sets that need no file, and those whose file the folder has."""
    for name in names:
        path = folder / f"{name}.csv.gz"
        if name in MADE:
            yield name, MADE[name]()
        elif path.exists():
            yield name, read_csv(path)


# Cases -------------------------------------------------------------------------------


def categories(folder: Path) -> Iterator[Case]:
    """One-hot columns, some of them rare."""
    for name, data in available(("rare", "adult-train"), folder):
        yield Case(name, LogisticNN(alpha=1.0), data)
        stored = data._replace(X=sparse.csr_array(data.X))
        yield Case(f"{name} sparse", LogisticNN(alpha=1.0), stored)


def multiclass(folder: Path) -> Iterator[Case]:
    """Tables whose Hessian has blocks worth forming."""
    for name, data in available(("digits", "segment", "letters"), folder):
        yield Case(name, LogisticNN(alpha=1.0), data)
    for (n, p, k), noise in product(((3000, 100, 10), (2000, 200, 3)), (1.0, 0.1)):
        data = gaussian(n, p, k, noise)
        yield Case(f"{n} x {p} x {k}, noise {noise}", LogisticNN(alpha=1.0), data)


def few_params(folder: Path) -> Iterator[Case]:
    """Tables that newton-cholesky fits, from hardly to nearly separable classes."""
    for (name, data), standardize in product(available(SMALL, folder), (True, False)):
        kind = "standardised" if standardize else "raw"
        yield Case(
            f"{name}, {kind}", LogisticNN(standardize=standardize, alpha=1.0), data
        )
    for (n, p, k), noise in product(((500, 10, 2), (2000, 5, 4)), (1.0, 0.1)):
        data = gaussian(n, p, k, noise)
        yield Case(f"{n} x {p} x {k}, noise {noise}", LogisticNN(alpha=1.0), data)


def many_rows(folder: Path) -> Iterator[Case]:
    """From 5,000 to a million rows, two classes."""
    for n, p in product((5000, 10_000, 20_000, 100_000), (5, 10, 20, 50)):
        yield Case(f"{n} x {p}", LogisticNN(alpha=1.0), gaussian(n, p))
    yield Case("million x 50", LogisticNN(alpha=1.0), million())


def wide(folder: Path) -> Iterator[Case]:
    """Fewer rows than columns: noise, and ten factors; also with a hidden layer."""
    for n, p in ((100, 2000), (500, 1000), (1000, 3000)):
        yield Case(f"noise, {n} x {p}", LogisticNN(), gaussian(n, p, 3))
    for n, p in ((100, 2000), (1000, 1200)):
        yield Case(f"factors, {n} x {p}", LogisticNN(alpha=1e-2), collinear(n, p))
    network = OneHiddenMLP(alpha=1.0, random_state=0)
    for n, p in ((100, 200), (100, 2000), (500, 1000)):
        yield Case(f"network, noise, {n} x {p}", network, gaussian(n, p, 3))
    for n, p in ((100, 5000), (500, 2000)):
        yield Case(f"network, factors, {n} x {p}", network, collinear(n, p))


def texts(folder: Path) -> Iterator[Case]:
    """Word counts: many sparse columns."""
    for name, data in (("topics", MADE["topics"]()), ("text", text())):
        yield Case(name, LogisticNN(alpha=1.0), data)
        network = OneHiddenMLP(10, alpha=1.0, max_iter=10, random_state=0)
        yield Case(f"{name}, network", network, data)


def networks(folder: Path) -> Iterator[Case]:
    """Networks of 100 units, two starts each."""
    for (name, data), seed in product(available(NETWORKS, folder), range(2)):
        model = OneHiddenMLP(random_state=seed, max_iter=150, alpha=1.0)
        yield Case(f"{name}, {seed}", model, data)


def several_networks(folder: Path) -> Iterator[Case]:
    """Networks of two sizes and two activations, and many parameters."""
    sets = available(NETWORKS[:4], folder)
    for (name, data), h, phi in product(sets, (10, 100), ("relu", "tanh")):
        model = OneHiddenMLP(h, phi, random_state=0, max_iter=300, alpha=1.0)
        yield Case(f"{name}, h={h}, {phi}", model, data)
    yield Case("topics", LogisticNN(alpha=1.0), MADE["topics"]())


def shapes(folder: Path) -> Iterator[Case]:
    """Some evaluations of several shapes."""
    for name, data in available(("digits", "letters", "topics", "100000 x 30"), folder):
        yield Case(f"linear, {name}", LogisticNN(alpha=1.0), data)
        yield Case(
            f"network, {name}",
            OneHiddenMLP(max_iter=5, random_state=0, alpha=1.0),
            data,
        )
