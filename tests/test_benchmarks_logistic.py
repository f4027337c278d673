"""The benchmark of LogisticNN: that its peers minimise the same objective."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from benchmark_modules import benchmark
from sknn_simple import LogisticNN

common = benchmark("common")
data = benchmark("data")
logistic = benchmark("logistic")


@pytest.mark.parametrize("kind", [np.array, sparse.csr_array])
def test_peers_reach_our_optimum_with_two_valued_columns(kind):
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [100.0 * rng.standard_normal(200), rng.integers(2, size=200), np.ones(200)]
    )
    y = (X[:, 0] / 100.0 + 2.0 * X[:, 1] + rng.standard_normal(200) > 0.5).astype(int)
    X, units = kind(X), common.column_units(X)
    model = LogisticNN(1.0).fit(X, y)
    scaler = common.UnitScaler(units, with_mean=kind is np.array)
    peer = LogisticRegression(tol=1e-8).fit(scaler.fit_transform(X), y)
    assert_allclose(peer.coef_ / scaler.scale_, model.coef_, rtol=1e-4, atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a table of a number, gaps, words and two classes."""
    rng = np.random.default_rng(0)
    income, town = 100.0 * rng.standard_normal(150), rng.integers(3, size=150)
    label = income / 100.0 + (town == 1) + rng.standard_normal(150) > 0.3
    gaps = np.where(rng.random(150) < 0.1, "?", np.char.mod("%d", town))
    names = np.char.add("town ", gaps)
    lines = zip(income.round(2), gaps, names, label, strict=True)
    text = "".join(",".join(map(str, line)) + "\n" for line in lines)
    (tmp_path / "german.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_frame_has_the_columns_of_the_matrix(folder):
    pd = pytest.importorskip("pandas")
    frame = data.read_frame(folder / "german.csv.gz")
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "category"]
    indicators = pd.get_dummies(frame, dtype=float).to_numpy()
    assert_allclose(indicators, data.load("german", folder).X)


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("peer", [logistic.GLUM, logistic.CATEGORICAL])
def test_glum_reaches_our_optimum(peer, standardised, folder):
    pytest.importorskip("glum")
    where = ("german", folder, False, standardised)
    _, ours = logistic.fit_ours(*where, 1e-12)
    _, reached = logistic.fit_glum(*where, peer, 1e-8)
    assert_allclose(reached, ours, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "peers"),
    [
        ("german", {logistic.GLUM, logistic.CATEGORICAL}),
        ("breast_cancer", {logistic.GLUM}),
        ("iris", set()),
    ],
)
def test_glum_takes_part_where_it_does_the_same_work(name, peers, folder):
    pytest.importorskip("pandas")
    contest = logistic.Contest(None, common.Settings(data=folder), name, False)
    both = {logistic.GLUM, logistic.CATEGORICAL}
    assert {peer for peer in both if contest.attempts(peer)} == peers


PEERS = {
    "lbfgs": {"status": "cap", "seconds": 60.0},
    "newton-cg": {"status": "reached", "seconds": 4.0},
    "sag": {"status": "never"},
    "liblinear": {"status": "not applicable"},
    "glum": {"status": "reached", "seconds": 6.0},
}


def test_logistic_report_names_the_best_peer_and_bounds():
    contest = {
        "set": "iris",
        "objective": "raw",
        "seconds": 2.0,
        "seconds any tol": 1.0,
        "default gap": 2e-7,
        "peers": PEERS,
    }
    (row,) = logistic.report([contest])
    assert (row["best peer"], row["best / ours"], row["any tol"]) == (
        "newton-cg",
        "2",
        "4",
    )
    assert (row["lbfgs"], row["sag"], row["liblinear"]) == ("> 30", "never", "-")
    found = logistic.summary([contest])
    assert found["best peer / ours, raw: lowest"] == 2.0
    assert found["best peer / ours, any tol: lowest"] == 4.0
    assert found["glum / ours: lowest"] == 3.0
    assert found["default solver on raw data / ours: lowest"] == 30.0
    ended = {"status": "cap", "seconds": 3.0}
    for peers, bound in (
        ({"lbfgs": PEERS["lbfgs"]}, "> 30"),
        # A peer that was ended before the best one had finished may be faster.
        ({**PEERS, "saga": ended}, "> 1.5"),
    ):
        (row,) = logistic.report([{**contest, "peers": peers}])
        assert (row["best peer"], row["best / ours"]) == ("none", bound)
