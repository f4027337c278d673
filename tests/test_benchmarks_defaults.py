"""The benchmark of the defaults: its sets, its ratios and a tiny run."""

import gzip

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmark_modules import benchmark

common = benchmark("common")
data = benchmark("data")
defaults = benchmark("defaults")
goals = benchmark("goals")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a table of numbers, words and missing values."""
    lines = [f"{i % 7},{'?' if i % 5 == 0 else 'ab'[i % 2]},{i % 3}" for i in range(60)]
    table = gzip.compress("\n".join(lines).encode())
    for name in ("adult-train", "other"):
        (tmp_path / f"{name}.csv.gz").write_bytes(table)
    return tmp_path


def test_missing_numbers_are_the_median_and_missing_words_a_value(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"1,a,no\n?,?,yes\n4,a,no\n<null>,,yes\n2,a,no\n"))
    X, _ = data.read_csv(path)
    assert_allclose(X[:, 0], [1.0, 2.0, 4.0, 2.0, 2.0])
    # One column each of "", "?" and "a".
    assert_allclose(X[:, 1:].sum(axis=0), [1.0, 1.0, 3.0])
    assert X.shape == (5, 4)


def test_a_column_of_missing_values_only_is_one_category(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"1,?,no\n2,?,yes\n"))
    X, _ = data.read_csv(path)
    assert_allclose(X, [[1.0, 1.0], [2.0, 1.0]])


def test_every_table_of_a_folder_is_a_set(folder):
    found = defaults.sets(common.Settings(data=folder))
    assert list(found) == [*data.BUNDLED, "adult", "other"]
    X, y = found["other"]()
    assert X.shape == (60, 4)
    assert len(np.unique(y)) == 3
    assert list(defaults.sets(common.Settings(data=folder, only="oth"))) == ["other"]
    with pytest.raises(data.NoDataSetError, match="'none'"):
        list(defaults.contests(common.Settings(only="none", models="LogisticNN")))


def test_options_that_leave_no_set_are_named(folder, tmp_path):
    def reason(**options):
        settings = common.Settings(models="LogisticNN", **options)
        with pytest.raises(data.NoDataSetError) as caught:
            list(defaults.contests(settings))
        return str(caught.value)

    assert "needs --data DIR" in reason(alone=True)
    assert "--alone none of them" in reason(alone=True, quick=True, data=folder)
    (tmp_path / "empty").mkdir()
    assert "ends in .csv.gz" in reason(data=tmp_path / "empty")


@pytest.mark.parametrize(("rows", "left"), [(0, 150), (60, 60), (150, 150), (999, 150)])
def test_rows_are_drawn_by_class(rows, left):
    drawn = defaults.some_rows(data.load("iris"), rows)
    assert np.bincount(drawn.y).tolist() == [left // 3] * 3
    assert_allclose(drawn.X, defaults.some_rows(data.load("iris"), rows).X)


def test_models_are_chosen_by_parts_of_their_names():
    every = {**defaults.OURS, **defaults.PEERS}.keys()
    assert every - {"RealMLP-TD"} <= defaults.models("").keys() <= every
    chosen = defaults.models("Boosting,NN(")
    assert list(chosen) == ["LogisticNN(alpha=1)", "HistGradientBoosting"]
    with pytest.raises(ValueError, match="no model has 'SVC'"):
        defaults.models("SVC")


def test_ratios_by_hand():
    pair = ("OneHiddenMLP", "MLPClassifier")
    losses = {"a": (0.2, 0.4), "b": (0.01, 0.04), "c": (0.8, 0.4)}
    times = {"a": (2.0, 1.0), "b": (1.0, 2.0), "c": (4.0, 1.0)}
    # A set with all of its rows is no set of the means.
    losses[defaults.ALL_ROWS] = times[defaults.ALL_ROWS] = (99.0, 1.0)
    found = {
        key: [
            {"set": name, **dict(zip(pair, t, strict=True))} for name, t in of.items()
        ]
        for key, of in (("log-loss", losses), ("seconds", times))
    }
    [row] = defaults.compare(found)
    assert row.pop("pair") == "OneHiddenMLP / MLPClassifier"
    assert (row.pop("worst on"), row.pop("slowest on")) == ("c", "c")
    assert_allclose(list(row.values()), [1.0, 2 / 3, 2.0, 4 ** (1 / 3), 4.0])


def test_a_run_has_what_the_goals_need(capsys):
    settings = common.Settings(
        quick=True,
        repeats=1,
        rows=45,
        speed=True,
        only="iris",
        models="NN,OneHidden,CV",
    )
    result = defaults.run(settings)
    assert "iris: 45 × 4, 3 classes" in capsys.readouterr().out
    for key in defaults.MEASURES:
        [row] = result[key]
        assert row.pop("set") == "iris"
        assert row.keys() == defaults.models(settings.models).keys()
        assert all(value >= 0.0 for value in row.values())
    assert [row["set"] for row in result["choice of alpha"]] == ["iris", "text"]
    rows = goals.rows({"here": {"defaults": result}}, goals.DEFAULTS)
    missing = {row["what"] for row in rows if row["here"] is None}
    left_out = ("MLPClassifier", "Boosting", "all rows", "1,000,000")
    assert len(missing) < len(rows)
    assert all(any(word in what for word in left_out) for what in missing)


def test_all_rows_of_adult_are_a_set_of_their_own(folder):
    settings = common.Settings(
        data=folder, rows=30, speed=True, only="adult", models="LogisticNN(alpha=1)"
    )
    sizes = [name for name, _ in defaults.contests(settings)]
    assert sizes == ["adult", defaults.ALL_ROWS]
    # With all rows anyway there is nothing to add.
    assert len(list(defaults.contests(settings._replace(rows=0)))) == 1


def test_every_goal_of_the_defaults_has_a_figure_in_the_stored_results():
    rows = goals.rows(goals.stored_defaults(), goals.DEFAULTS)
    assert len(rows) == len(goals.DEFAULTS) == len({row["what"] for row in rows})
    assert all(np.isfinite(row["stored"]) for row in rows)
