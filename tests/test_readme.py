"""The code in README.md runs as printed, and prints what the page says."""

import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "defaults.json"
# Log-losses below this count as this, as in benchmarks/defaults.py.
FLOOR = 0.05
PEERS = {"MLP": "MLPClassifier", "RealMLP_TD_": "RealMLP-TD"}


def test_python_block_prints_what_the_readme_says():
    blocks = re.findall(
        r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S
    )
    assert len(blocks) == 1
    test = doctest.DocTestParser().get_doctest(blocks[0], {}, "README.md", None, 0)
    assert test.examples
    complaints: list[str] = []
    results = doctest.DocTestRunner().run(test, out=complaints.append)
    assert results.failed == 0, "".join(complaints)


def rows_of_the_comparison(page):
    """Yield the model and the cells of each row of the table of log-losses."""
    for line in page.read_text("utf-8").splitlines():
        cells = [cell.strip(" *`") for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].endswith("()"):
            yield cells[0].removesuffix("()").removesuffix("Classifier"), cells[1:]


@pytest.mark.parametrize("page", [README, ROOT / "README.zh-CN.md"], ids=str)
def test_table_of_log_losses_is_that_of_the_stored_results(page):
    if not RESULTS.exists():
        pytest.skip("benchmarks/ is not part of this tree")
    found = json.loads(RESULTS.read_text("utf-8"))
    rows = list(rows_of_the_comparison(page))
    assert len(rows) == 8
    for model, (log_loss, higher, seconds) in rows:
        name = PEERS.get(model, model)
        losses, taken = (
            np.array(
                [
                    (row["OneHiddenMLP"], row[name])
                    for row in found[measure]
                    if not row["set"].endswith("all rows")
                ]
            )
            for measure in ("log-loss", "seconds")
        )
        ours, theirs = np.maximum(losses, FLOOR).T
        if name == "OneHiddenMLP":
            continue
        assert log_loss == f"{np.exp(np.log(theirs / ours).mean()):.2f}"
        assert higher == f"{np.sum(losses[:, 1] > losses[:, 0])}/{len(losses)}"
        assert seconds == f"{np.exp(np.log(taken[:, 1] / taken[:, 0]).mean()):.2f}"


@pytest.mark.parametrize("page", [README, ROOT / "README.zh-CN.md"], ids=str)
def test_numbers_of_other_tables_are_those_of_the_stored_results(page):
    if not RESULTS.exists():
        pytest.skip("benchmarks/ is not part of this tree")
    found = json.loads(RESULTS.with_name("rdatasets.json").read_text("utf-8"))
    text = page.read_text("utf-8")
    assert f"{len(found['log-loss'])} " in text
    text = text[text.index("performance_rdatasets") :]
    rows = {row["pair"].split(" / ")[1]: row for row in found["comparisons"][:7]}
    for peer in ("MLPClassifier", "HistGradientBoosting", "RealMLP-TD"):
        ratio, lower = (f"{rows[peer][what]:.2f}" for what in ("log-loss", "lower on"))
        assert ratio in text
        assert f"{100 * float(lower):.0f} %" in text


def test_worst_ratios_of_other_tables_are_those_of_the_stored_results():
    if not RESULTS.exists():
        pytest.skip("benchmarks/ is not part of this tree")
    found = json.loads(RESULTS.with_name("rdatasets.json").read_text("utf-8"))
    worst = {row["pair"]: row for row in found["comparisons"]}
    page = (ROOT / "docs" / "performance_rdatasets.rst").read_text("utf-8")
    page = " ".join(page.split())
    for peer, place in {
        "MLPClassifier": "diabetes_data",
        "RealMLP-TD": "spam7",
        "HistGradientBoosting": "Fishing",
    }.items():
        row = worst[f"OneHiddenMLP / {peer}"]
        assert f" {row['worst']:.2f} times that of {peer}, on {place}" in page
        assert row["worst on"] == place


def test_limit_of_the_aim_for_seconds_is_that_of_the_stored_results():
    if not RESULTS.exists():
        pytest.skip("benchmarks/ is not part of this tree")
    rows = json.loads(RESULTS.read_text("utf-8"))["seconds"]
    ratios = [
        row["LogisticRegressionCV"] / row["LogisticRegression"]
        for row in rows
        if not row["set"].endswith("all rows")
    ]
    page = (ROOT / "docs" / "performance_defaults.rst").read_text("utf-8")
    mean = np.exp(np.mean(np.log(ratios)))
    assert f"LogisticRegressionCV takes {mean:.0f} times as long as one fit" in page


def test_seconds_of_the_page_why_are_those_of_the_stored_results():
    if not RESULTS.exists():
        pytest.skip("benchmarks/ is not part of this tree")
    found = json.loads(RESULTS.read_text("utf-8"))["comparisons"]
    seconds = {row["pair"]: row["seconds"] for row in found}
    page = " ".join((ROOT / "docs" / "why.rst").read_text("utf-8").split())
    for pair, digits in {
        "LogisticNN / LogisticRegression": 1,
        "LogisticNN / LogisticRegressionCV": 2,
        "OneHiddenMLP / MLPClassifier": 1,
        "OneHiddenMLP / LogisticRegressionCV": 1,
    }.items():
        assert f" {seconds[pair]:.{digits}f} times as long as" in page
