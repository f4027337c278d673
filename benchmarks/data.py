"""The data sets: bundled with scikit-learn, generated, and CSV files.

Every set is (X, y): features in their raw units, and class codes 0 … K - 1.
"""

import csv
import gzip
from collections.abc import Callable, Collection
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine


class DataSet(NamedTuple):
    """Features (n_samples, n_features), dense or CSR, and class codes (n_samples,)."""

    X: Any
    y: np.ndarray

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return int(self.y.max()) + 1

    @property
    def shape(self) -> str:
        """Rows × columns × classes, in words."""
        rows, columns = self.X.shape
        kind = " sparse" if sparse.issparse(self.X) else ""
        return f"{rows} × {columns}{kind}, {self.n_classes} classes"


def _bundled(load: Callable) -> Callable[..., DataSet]:
    return lambda scale: DataSet(*load(return_X_y=True))


def million(scale: float = 1.0) -> DataSet:
    """1,000,000 × 50, two classes: correlated Gaussian columns of similar size."""
    rng = np.random.default_rng(0)
    n, p = int(1_000_000 * scale), 50
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.2 * rng.standard_normal((p, p)))
    weights = rng.standard_normal(p) / np.sqrt(p)
    logit = X @ weights + 0.5
    return DataSet(X, (rng.random(n) < 1.0 / (1.0 + np.exp(-logit))).astype(int))


def letters(scale: float = 1.0) -> DataSet:
    """20,000 × 16, 26 classes: whole numbers from 0 to 15, as of measured glyphs."""
    rng = np.random.default_rng(1)
    n = int(20_000 * scale)
    y = np.arange(n) % 26
    centers = rng.uniform(3.0, 12.0, (2, 26, 16))
    style = rng.integers(2, size=n)
    X = centers[style, y] + 2.0 * rng.standard_normal((n, 16))
    return DataSet(np.clip(np.round(X), 0.0, 15.0), y)


def images(scale: float = 1.0) -> DataSet:
    """10,000 × 784, 10 classes: smooth strokes in 28 × 28 pixels from 0 to 255."""
    rng = np.random.default_rng(2)
    n, side = int(10_000 * scale), 28
    y = np.arange(n) % 10
    grid = np.arange(side)
    strokes = rng.uniform(7.0, 21.0, (10, 6, 2))
    centers = strokes[y] + 1.5 * rng.standard_normal((n, 6, 2))
    X = np.zeros((n, side, side))
    for stroke in range(6):
        row, column = (
            np.exp(-0.2 * (grid - centers[:, stroke, axis, None]) ** 2)
            for axis in range(2)
        )
        X += row[:, :, None] * column[:, None, :]
    X = np.round(255.0 * np.minimum(X, 1.0)).reshape(n, -1)
    X[X < 8.0] = 0.0
    return DataSet(X, y)


def text(scale: float = 1.0) -> DataSet:
    """20,000 × 50,000 sparse, two classes: word counts by Zipf's law, rows scaled."""
    rng = np.random.default_rng(3)
    n, p = int(20_000 * scale), int(50_000 * min(1.0, 4.0 * scale))
    y = np.arange(n) % 2
    rate = 1.0 / np.arange(10, p + 10)
    tilt = np.exp(0.5 * rng.standard_normal(p))
    length = rng.poisson(100, n) + 10
    rows = np.repeat(np.arange(n), length)
    words = np.empty(len(rows), dtype=np.int64)
    for label, rates in enumerate((rate * tilt, rate / tilt)):
        chosen = y[rows] == label
        words[chosen] = rng.choice(p, size=chosen.sum(), p=rates / rates.sum())
    X = sparse.csr_array((np.ones(len(rows)), (rows, words)), shape=(n, p))
    X.sum_duplicates()
    X.data = 1.0 + np.log(X.data)
    # 32-bit indices: the C solvers of scikit-learn take no others.
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    norm = np.sqrt(X.multiply(X).sum(axis=1))
    X.data /= np.repeat(norm, np.diff(X.indptr))
    return DataSet(X, y)


def read_csv(path: Path) -> DataSet:
    """Read a gzipped CSV without header whose last column is the label.

    A column of numbers stays as it is, with the median for missing values ("?",
    "<null>" or nothing); any other becomes one column of zeros and ones per value, of
    which a missing one is one.
    """
    *columns, label = _columns(path)
    X = np.column_stack([_indicators(column) for column in columns])
    return DataSet(X, np.unique(label, return_inverse=True)[1])


@lru_cache(maxsize=1)
def read_frame(path: Path) -> Any:
    """Return the same features as a dataframe, with the words as categories.

    Needs pandas. The categories are in the order of the columns of ``read_csv``.
    """
    columns = {str(number): column for number, column in enumerate(_columns(path)[:-1])}
    frame = import_module("pandas").DataFrame(columns)
    words = [name for name in columns if columns[name].dtype.kind == "U"]
    return frame.astype(dict.fromkeys(words, "category"))


def _columns(path: Path) -> list[np.ndarray]:
    """Return the columns of a file: numbers without gaps, or words; last the labels."""
    try:
        with gzip.open(path, "rt", newline="") as file:
            cells = [line for line in csv.reader(file) if line]
    except gzip.BadGzipFile as error:
        raise ValueError(f"{path.name} is not compressed with gzip.") from error
    lines = [[cell.strip() for cell in line] for line in cells]
    *features, label = (np.array(column) for column in zip(*lines, strict=True))
    found = [_numbers(column) for column in features]
    for column in found:
        known = ~np.isin(column[1:], MISSING)
        words = column.dtype.kind == "U" and column[0] not in MISSING
        if words and known.any() and _numbers(column[1:]).dtype.kind != "U":
            raise ValueError(
                f"{path.name} seems to have a header: only numbers are below "
                f"{str(column[0])!r}. Remove the first line."
            )
    return [*found, label]


def _numbers(column: np.ndarray) -> np.ndarray:
    """Return a column as numbers, with their median for missing ones, or its words.

    A column of missing values only stays as it is.
    """
    known = ~np.isin(column, MISSING)
    if not known.any():
        return column
    try:
        numbers = column[known].astype(np.float64)
    except ValueError:
        return column
    filled = np.full(len(column), np.median(numbers))
    filled[known] = numbers
    return filled


def _indicators(column: np.ndarray) -> np.ndarray:
    """Return numbers as they are, and words as a column of 0 and 1 per value."""
    if column.dtype.kind != "U":
        return column
    return (column[:, None] == np.unique(column)).astype(np.float64)


def tables(folder: Path | None) -> dict[str, Path]:
    """Return the gzipped CSV files of a folder, by the names of their sets."""
    if folder is None:
        return {}
    files = sorted(folder.glob("*.csv.gz"))
    if not files:
        raise NoDataSetError(f"{folder} has no file whose name ends in .csv.gz.")
    return {
        file.name.removesuffix(".csv.gz").removesuffix("-train"): file for file in files
    }


MISSING = ("?", "<null>", "")
BUNDLED: dict[str, Callable[..., DataSet]] = {
    "iris": _bundled(load_iris),
    "wine": _bundled(load_wine),
    "breast_cancer": _bundled(load_breast_cancer),
    "digits": _bundled(load_digits),
}
GENERATED: dict[str, Callable[..., DataSet]] = {
    "letters": letters,
    "images": images,
    "text": text,
    "million": million,
}
FILES = {
    "sonar": "sonar.csv.gz",
    "german": "german.csv.gz",
    "phoneme": "phoneme.csv.gz",
    "adult": "adult-train.csv.gz",
}
# The sets of a quick run, with the share of the rows that it takes.
QUICK = {
    "iris": 1.0,
    "breast_cancer": 1.0,
    "letters": 0.05,
    "text": 0.02,
}


# In the order in which they are measured and shown.
ALL = [*BUNDLED, *FILES, *GENERATED]


class NoDataSetError(ValueError):
    """No data set is to be measured."""


def names(
    folder: Path | None = None,
    only: str = "",
    quick: bool = False,
    left_out: Collection[str] = (),
) -> list[str]:
    """Return the names of the sets that there are, small ones first.

    `only` restricts them to those in whose names one of its parts, between commas, is;
    those `left_out` are not for the benchmark.
    """
    found = [
        name
        for name in ALL
        if (name not in FILES or (folder and (folder / FILES[name]).exists()))
        and any(part in name for part in only.split(","))
    ]
    found = [
        name for name in found if (not quick or name in QUICK) and name not in left_out
    ]
    if not found:
        raise NoDataSetError(f"no data set of this benchmark has {only!r} in its name.")
    return found


@lru_cache(maxsize=1)
def load(name: str, folder: Path | None = None, quick: bool = False) -> DataSet:
    """Return a data set; the last one is kept."""
    if name in FILES:
        if folder is None:
            raise ValueError(f"the data set {name!r} needs --data DIR")
        return read_csv(folder / FILES[name])
    if name in BUNDLED:
        return BUNDLED[name](1.0)
    return GENERATED[name](QUICK[name] if quick else 1.0)
