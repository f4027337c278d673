"""The benchmarks' own functions: what they compute, not what they time."""

import gzip
import json
import time
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_iris, load_wine

from benchmark_modules import ROOT, benchmark
from sknn_simple import LogisticNN, OneHiddenMLP

common = benchmark("common")
data = benchmark("data")
evaluation = benchmark("evaluation")
goals = benchmark("goals")
growth = benchmark("growth")
logistic = benchmark("logistic")
mlp = benchmark("mlp")
overhead = benchmark("overhead")
records = benchmark("records")
runner = benchmark("run")
shape = benchmark("shape")

# Data ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scale", "columns", "classes"),
    [
        ("letters", 0.005, 16, 26),
        ("images", 0.005, 784, 10),
        ("million", 1e-4, 50, 2),
        ("text", 0.005, 1000, 2),
    ],
)
def test_generated_sets_have_their_shape(name, scale, columns, classes):
    X, y = data.GENERATED[name](scale)
    assert X.shape == (len(y), columns)
    assert np.array_equal(np.unique(y), np.arange(classes))
    assert sparse.issparse(X) == (name == "text")


@pytest.mark.parametrize("name", ["letters", "images", "million", "text"])
def test_generated_sets_are_the_same_at_each_call(name):
    (X, y), (again, labels) = (data.GENERATED[name](0.005) for _ in range(2))
    assert abs(X - again).max() == 0.0
    assert np.array_equal(y, labels)


def test_csv_columns_of_words_become_indicators(tmp_path):
    path = tmp_path / "sonar.csv.gz"
    path.write_bytes(gzip.compress(b"1.5, a, no\n-2, ?, yes\n0, a, yes\n"))
    X, y = data.read_csv(path)
    assert_allclose(X, [[1.5, 0.0, 1.0], [-2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert y.tolist() == [0, 1, 1]
    assert "sonar" in data.names(tmp_path)
    assert "german" not in data.names(tmp_path)
    assert data.names(tmp_path, only="son") == ["sonar"]
    assert data.names(tmp_path, only="son,iri") == ["iris", "sonar"]


def test_a_file_of_another_form_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(b"1.5,no\n")
    with pytest.raises(ValueError, match=r"x\.csv\.gz is not compressed with gzip"):
        data.read_csv(path)
    path.write_bytes(gzip.compress(b"age,kind,label\n1.5,a,no\n?,b,yes\n"))
    with pytest.raises(ValueError, match="header: only numbers are below 'age'"):
        data.read_csv(path)
    # Words, with nothing known below them.
    path.write_bytes(gzip.compress(b"a,1,no\n?,2,yes\n"))
    assert_allclose(data.read_csv(path).X, [[0.0, 1.0, 1.0], [1.0, 0.0, 2.0]])


def test_a_file_needs_its_folder():
    with pytest.raises(ValueError, match="no data set of this benchmark has 'sonar'"):
        data.names(only="sonar")
    with pytest.raises(ValueError, match="--data"):
        data.load("sonar")


@pytest.mark.parametrize("module", [mlp, overhead])
def test_a_set_that_a_benchmark_leaves_out_is_not_measured(module):
    with pytest.raises(ValueError, match="no data set of this benchmark has 'text'"):
        module.run(common.Settings(quick=True, only="text"))


# The independent objective -----------------------------------------------------------


def test_log_loss_by_hand():
    raw = np.array([[0.0], [np.log(3.0)]])
    assert_allclose(
        common.log_loss(raw, np.array([0, 1])), np.log([2.0, 4.0 / 3.0]).mean()
    )
    raw = np.log([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    assert_allclose(common.log_loss(raw, np.array([1, 0])), -np.log([0.3, 0.6]).mean())


def test_log_loss_of_two_columns_is_that_of_their_difference():
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((20, 1)), rng.integers(2, size=20)
    both = np.hstack([np.zeros_like(z), z])
    assert_allclose(common.log_loss(z, y), common.log_loss(both, y))


def test_objective_by_hand():
    X, y = np.array([[2.0], [-2.0]]), np.array([1, 0])
    value = common.objective(
        X, y, [np.array([[0.5]])], [np.zeros(1)], alpha=4.0, units=np.array([3.0])
    )
    assert_allclose(value, np.log1p(np.exp(-1.0)) + 4.0 / 4.0 * 1.5**2)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_objective_is_the_one_that_logistic_reports(load, standardize):
    X, y = load(return_X_y=True)
    model = LogisticNN(2.0, standardize=standardize).fit(X, y)
    units = common.column_units(X) if standardize else 1.0
    value = common.objective(
        X, y, [model.coef_.T], [model.intercept_], alpha=2.0, units=units
    )
    assert_allclose(value, model.loss_, rtol=1e-10)


@pytest.mark.parametrize("activation", sorted(common.ACTIVATIONS))
def test_objective_is_the_one_that_the_network_reports(activation):
    X, y = load_iris(return_X_y=True)
    model = OneHiddenMLP(4, activation, random_state=0, tol=1e-2, alpha=1.0).fit(X, y)
    judge = mlp.judge_objective(data.DataSet(X, y), activation, 1.0)
    # Training rounds features to 1.5e-8 of their deviation.
    assert_allclose(judge(model.coefs_, model.intercepts_), model.loss_, rtol=1e-8)


def test_units_of_sparse_columns_are_those_of_dense_ones():
    X = sparse.random(30, 5, 0.4, format="csr", random_state=0)
    X[:, [3]] = sparse.csr_array(3.0 * (X[:, [3]].toarray() > 0.0))
    expected = X.toarray().std(axis=0)
    expected[3] = 1.5
    assert_allclose(common.column_units(X), expected, atol=1e-12)


def test_unscaled_weights_give_the_same_outputs():
    rng = np.random.default_rng(0)
    X, W, b = (rng.standard_normal(s) for s in ((6, 3), (3, 2), (2,)))
    mean, scale = X.mean(axis=0), X.std(axis=0)
    raw_W, raw_b = common.unscaled(W, b, mean, scale)
    assert_allclose(X @ raw_W + raw_b, (X - mean) / scale @ W + b)
    raw_W, raw_b = common.unscaled(W, b, None, scale)
    assert_allclose(X @ raw_W + raw_b, X / scale @ W + b)


# Calls with a cap --------------------------------------------------------------------


def test_calls_stop_at_the_cap():
    with common.CappedCalls(partial(abs, 0)) as calls:
        assert calls(abs, -2, cap=None) == 2
        assert calls(time.sleep, 60.0, cap=0.05) is None
        assert calls(abs, -3, cap=60.0) == 3


# Watching a fit ----------------------------------------------------------------------


def test_watch_sees_every_iteration():
    X, y = load_iris(return_X_y=True)
    watch = common.Watch()
    model = common.watched(
        common.WatchedMLP(4, alpha=1.0, random_state=0, tol=1e-2), watch
    )
    model.fit(X, y)
    assert len(watch.seconds) == model.n_iter_ + 1
    assert watch.per_iteration > 0.0


def test_our_training_ends_at_the_target():
    iris = data.load("iris")
    judge = mlp.judge_objective(iris, "relu", 1.0)
    options = {"hidden_layer_size": 5, "alpha": 1.0, "random_state": 0}
    network = mlp.train_ours(iris, 0.5, **options)
    assert network.stopped
    assert 0.1 < judge(network.coefs, network.intercepts) <= 0.5


def test_fits_by_default_are_judged_on_unseen_rows():
    seeds = [mlp.against_adam(data.load("iris"), "relu", seed) for seed in (0, 1)]
    runs = [defaults.run(repeats=1) for defaults in seeds]
    (row,) = mlp.conclude(
        [{"set": "iris", "peer": "adam", "activation": "relu", "runs": runs}]
    )["defaults against adam"]
    assert [len(defaults.test.y) for defaults in seeds] == [38, 38]
    assert 0.0 < row["log-loss, ours"] < 0.3
    assert 0.8 < row["accuracy, ours"] <= 1.0
    assert row["ours, ms"] > 0.0 < row["best by hand"]


def test_the_peer_is_evaluated_on_raw_features():
    iris = data.load("iris")
    peer = mlp.train_peer(
        iris, hidden_layer_sizes=(5,), solver="lbfgs", alpha=1.0, random_state=0
    )
    value = mlp.judge_objective(iris, "relu", 1.0)(peer.coefs, peer.intercepts)
    assert 0.0 < value < 0.5


def test_evaluation_measures_the_packages_objective():
    case = evaluation.Case(300, 4, 3, K=3)
    X, y = evaluation.make_data(case)
    with evaluation.Workers(1) as workers:
        objective = evaluation.make_objective(case, X, y, workers)
        theta = np.random.default_rng(0).standard_normal(objective.size)
        value, _ = objective.value_and_grad(theta)
    arrays = objective.network.layout.views(theta)
    loss = common.log_loss(
        common.network_raw(
            X,
            [arrays["hidden_coef"], arrays["output_coef"]],
            [arrays["hidden_intercept"], arrays["output_intercept"]],
            "relu",
        ),
        y,
    )
    # There the penalty is on all parameters: it costs the same.
    assert_allclose(value, loss + 0.5 / case.n * theta @ theta)


# Reporting ---------------------------------------------------------------------------


def test_the_table_is_printed():
    rows = [{"set": "iris", "ratio": 1.23456}, {"set": "wine", "note": None}]
    assert common.table(rows).splitlines() == [
        "| set  | ratio | note |",
        "|------|-------|------|",
        "| iris | 1.23  |      |",
        "| wine |       |      |",
    ]
    assert "123457" in common.table([{"rows": 123456.7}])


def test_geometric_mean():
    assert_allclose(common.geometric_mean([2.0, 8.0]), 4.0)
    assert np.isnan(common.geometric_mean([]))


def test_results_are_written_without_places_and_dates(tmp_path):
    path = tmp_path / "deep" / "result.json"
    settings = common.Settings(data=tmp_path)
    result = {"summary": {"a": np.float64(1.5), "b": float("nan")}, "bits": (1, 2)}
    records.write(path, records.record("growth", settings, result))
    record = json.loads(path.read_text())
    assert record["summary"] == {"a": 1.5, "b": None}
    [run] = record["runs"]
    assert run["data"] is True
    assert str(tmp_path) not in path.read_text()
    assert {"numpy", "scipy", "scikit-learn"} <= record["versions"].keys()


def test_numbers_are_written_with_four_digits(tmp_path):
    path = tmp_path / "a" / "x.json"
    long = [{"set": "iris", "seconds": 1.23456789e-5, "rows": 123456, "gap": None}] * 3
    records.write(path, {"benchmark": "x", "nnet": True, "table": long, "empty": []})
    row = {**long[0], "seconds": 1.235e-5}
    expected = {"benchmark": "x", "nnet": True, "table": [row] * 3, "empty": []}
    assert json.loads(path.read_text("utf-8")) == expected


def contests_on(names, seconds):
    return [{"set": name, "seconds": seconds} for name in names.split(",")]


def conclude(contests):
    total = sum(contest["seconds"] for contest in contests)
    return {"contests": contests, "summary": {"all": total}}


def record_on(names, repeats, seconds):
    settings = common.Settings(repeats=repeats)
    result = conclude(contests_on(names, seconds))
    return records.record("logistic", settings, result)


def test_some_sets_take_the_place_of_those_stored():
    stored = record_on("iris,letters,wine", 5, 1.0)
    found = records.merged(stored, record_on("digits,letters", 3, 10.0), conclude)
    assert [(run["only"], run["repeats"]) for run in found["runs"]] == [
        ("iris,wine", 5),
        ("digits,letters", 3),
    ]
    # In the order of the sets.
    assert [(c["set"], c["seconds"]) for c in found["contests"]] == [
        ("iris", 1.0),
        ("wine", 1.0),
        ("digits", 10.0),
        ("letters", 10.0),
    ]
    assert found["summary"] == {"all": 22.0}
    # Nothing is left of a run all of whose sets have been measured again.
    again = records.merged(found, record_on("letters,digits", 7, 0.0), conclude)
    assert [run["repeats"] for run in again["runs"]] == [5, 7]


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("machine", {"processor": "another"}),
        ("machine", {"vectors": "wider"}),
        ("machine", {"libraries": [{"internal_api": "openblas", "num_threads": 99}]}),
        ("versions", {"numpy": "0.1"}),
    ],
)
def test_nothing_is_measured_beside_results_of_another_machine(
    key, other, tmp_path, monkeypatch
):
    path = tmp_path / "logistic.json"
    stored = record_on("iris", 5, 1.0)
    records.check_comparable(stored)
    stored[key] = {**stored[key], **other}
    records.write(path, stored)
    monkeypatch.setattr(logistic, "run", lambda settings: pytest.fail("measured"))
    with pytest.raises(ValueError, match=f"of another {key}"):
        runner.measure("logistic", common.Settings(only="wine"), path)


def test_the_stored_machines_differ():
    avx2, avx512 = (goals.stored()[name]["logistic"] for name in ("avx2", "avx512"))
    one, other = (records._comparable(stored["machine"]) for stored in (avx2, avx512))
    assert one != other
    assert one.keys() == other.keys() == records._comparable(records.machine()).keys()


def test_a_set_that_some_benchmarks_leave_out_is_measured_by_the_others(
    monkeypatch, capsys
):
    measured = []

    def measure(which, settings, path):
        left_out = getattr(benchmark(which), "LEFT_OUT", ())
        data.names(settings.data, settings.only, settings.quick, left_out)
        measured.append(which)

    monkeypatch.setattr(runner, "measure", measure)
    runner.main(["--only", "text"])
    assert "logistic" in measured
    assert "mlp" not in measured
    reason = "mlp: left out. no data set of this benchmark has 'text'"
    assert reason in capsys.readouterr().out
    with pytest.raises(ValueError, match="'text'"):
        runner.main(["--only", "text", "--which", "mlp"])


def test_a_benchmark_whose_library_is_missing_is_left_out_of_all(monkeypatch, capsys):
    def measure(which, settings, path):
        if which == "scale":
            raise ImportError("it needs Dask")

    monkeypatch.setattr(runner, "measure", measure)
    runner.main(["--quick"])
    assert capsys.readouterr().out == "\nscale: left out. it needs Dask\n"
    with pytest.raises(ImportError, match="Dask"):
        runner.main(["--quick", "--which", "scale"])


def test_what_is_asked_for_is_measured(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(runner, "measure", lambda *args: asked.append(args))
    runner.main(["--which", "mlp", "--only", " iris, wine ,", "--seeds", "3"])
    [(which, settings, path)] = asked
    assert (which, settings.only, settings.seeds) == ("mlp", "iris,wine", 3)
    assert path == ROOT / "benchmarks" / "results" / "here" / "mlp.json"
    asked.clear()
    runner.main(["--quick"])
    assert [which for which, _, _ in asked] == list(runner.WHICH)
    assert {(settings.only, path) for _, settings, path in asked} == {("", None)}
    with pytest.raises(SystemExit):
        runner.main(["--only", " , "])
    assert "no name in ' , '" in capsys.readouterr().err


def test_mlp_ratios_are_medians_and_zero_where_not_reached():
    runs = [
        {"reached": reached, "times": {"ours": 1.0, "installed": 9.0, "hand": hand}}
        for reached, hand in ((True, 2.0), (True, 12.0), (False, 99.0))
    ]
    assert mlp.ratios(runs) == {"installed": 9.0, "hand": 2.0, "best by hand": 2.0}


def test_subsets_hold_every_class():
    rows = overhead.subset(data.letters(0.05), seed=0)
    assert rows.X.shape[0] == overhead.ROWS
    assert len(np.unique(rows.y)) == 26


@pytest.mark.parametrize("case", shape.shapes(quick=True))
def test_shapes_are_made_as_named(case):
    X, y = shape.make_data(case)
    assert X.shape == (case.n, case.p)
    assert np.array_equal(np.unique(y), np.arange(case.K))
    assert sparse.issparse(X) == (case.density < 1.0)
    assert "auto" in shape.solvers(case)
    assert ("newton-cholesky" in shape.solvers(case)) == (case.h == 0)


def test_growth_counts_iterations():
    row = growth.per_iteration(growth.Shape(200, 5, 4), repeats=1)
    assert row["ms per iteration"] > 0.0


# Goals --------------------------------------------------------------------------


def test_every_goal_has_a_figure_in_the_results_of_every_machine():
    machines = goals.stored()
    assert {"avx2", "avx512"} <= machines.keys()
    rows = goals.rows(machines)
    assert len(rows) == len(goals.GOALS) == len({row["what"] for row in rows})
    for name in machines.keys() - {"here"}:
        assert all(np.isfinite(row[name]) for row in rows)


@pytest.mark.parametrize(
    ("at_most", "reached", "met"),
    [(False, 4.9, False), (False, 5.0, True), (True, 5.0, True), (True, 5.1, False)],
)
def test_a_goal_is_met_from_its_bound_on(at_most, reached, met):
    goal = goals.Goal("speed", 5.0, lambda results: results["x"]["speed"], at_most)
    assert goal.words == ("≤ 5" if at_most else "≥ 5")
    assert goal.reached({"x": {"speed": reached}}) == reached
    assert goal.is_met(reached) is met
    assert goal.reached({}) is None
    assert goal.reached({"x": {"speed": None}}) is None


def test_the_table_of_goals_has_a_column_for_each_machine(capsys):
    rows = goals.rows({**goals.stored(), "empty": {}})
    assert {row["empty"] for row in rows} == {row["empty: met"] for row in rows}
    goals.print_rows(rows)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[-2:] == ["empty:", "met"]
    assert len(lines) == len(goals.GOALS)
    assert all(line.endswith("None") for line in lines)


def test_without_results_of_wide_networks_the_table_omits_them():
    results = {"evaluation": {"table": [{"p": 16, "h": 16, "dtype": "float64"}]}}
    goal = goals.Goal("part", 1.0, lambda results: goals.part_within(results, 1.3))
    assert goal.reached(results) is None


def test_a_lower_bound_counts_as_its_value_and_a_set_by_its_lowest():
    table = [
        {"set": "million", "best / ours": "> 9.5"},
        {"set": "million", "best / ours": "12"},
        {"set": "iris", "best / ours": "1.5"},
    ]
    assert goals.against_best({"logistic": {"table": table}}, "million") == 9.5


def test_networks_of_a_hundred_columns_and_units():
    table = [
        {"p": 100, "h": 100, "dtype": "float64", "/ products": 1.2},
        {"p": 100, "h": 400, "dtype": "float64", "/ products": 1.4},
        {"p": 100, "h": 400, "dtype": "float32", "/ products": 9.0},
        {"p": 16, "h": 400, "dtype": "float64", "/ products": 9.0},
        {"p": 400, "h": 0, "dtype": "float64", "/ products": 9.0},
    ]
    assert goals.part_within({"evaluation": {"table": table}}, 1.3) == 0.5
