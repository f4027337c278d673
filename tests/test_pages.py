"""The pages of the docs as text: code that runs, tables that match the parameters."""

import doctest
import inspect
import re
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import sknn_simple.dask
import sknn_simple.onnx
from sknn_simple import LogisticNN, OneHiddenMLP

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COMING_FROM = DOCS / "user_guide" / "coming_from.rst"


def pages_with_code():
    """Return the pages that are not generated."""
    generated = {"_build", "auto_examples", "generated"}
    files = [*DOCS.rglob("*.rst"), *DOCS.rglob("*.md"), ROOT / "README.zh-CN.md"]
    return sorted(f for f in files if not generated & set(f.relative_to(ROOT).parts))


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_python_on_the_pages_is_a_doctest():
    """Code that no test runs becomes outdated."""
    for page in pages_with_code():
        text = page.read_text("utf-8")
        assert set(re.findall(r"code-block:: (.*)", text)) <= {"bash"}, page
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
        assert all(block.startswith(">>> ") for block in blocks), page


def public_objects():
    """Return the names that the page of the API lists."""
    if not DOCS.is_dir():
        return []
    text = (DOCS / "api.rst").read_text("utf-8")
    return re.findall(r"^   ((?:\w+\.)?\w+)$", text, re.M)


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_every_public_object_is_on_the_page_of_the_api():
    listed = set(public_objects())
    assert {*sknn_simple.__all__} - {"__version__"} <= listed
    assert {f"dask.{name}" for name in sknn_simple.dask.__all__} <= listed
    assert {f"onnx.{name}" for name in sknn_simple.onnx.__all__} <= listed


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_what_results_of_a_posterior_hold_is_on_the_page_of_the_api():
    X, y = np.arange(8.0)[:, None], [0, 1, 0, 0, 1, 0, 1, 1]
    posterior = sknn_simple.Posterior(LogisticNN(alpha=1.0).fit(X, y), X, y)
    summary, test = posterior.summary(), posterior.wald_test([0])
    page = (DOCS / "api.rst").read_text("utf-8")
    for result, names in {
        summary: [name for name in dir(summary) if not name.startswith("_")],
        test: test._fields,
    }.items():
        assert f"``{type(result).__name__}``" in page
        assert all(f"``{name}" in page for name in names)
    assert all(f'"{name}"' in page for name in summary.table)


@pytest.mark.parametrize("name", public_objects())
def test_docstring_leads_to_the_user_guide_and_to_what_is_near(name):
    lines = (inspect.getdoc(attrgetter(name)(sknn_simple)) or "").splitlines()
    found = [
        re.fullmatch(r"Read more in the :ref:`User Guide <(\w+)>`\.", line)
        for line in lines
    ]
    [label] = [match[1] for match in found if match]
    pages = (DOCS / "user_guide").glob("*.rst")
    assert sum(f".. _{label}:\n" in page.read_text("utf-8") for page in pages) == 1
    assert "See Also" in lines


def rows_of(section):
    """Return the rows of the table of a section, as the literals of their cells."""
    text = COMING_FROM.read_text("utf-8")
    body = re.split(r"^(\S.*)\n=+$", text, flags=re.M)
    table = body[body.index(section) + 1]
    rows = re.findall(
        r"^   \* - (.*?)^     - (.*?)(?=^   \* - |^\S)", table, re.M | re.S
    )
    return [tuple(re.findall(r"``(\w+)", cell) for cell in row) for row in rows[1:]]


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
@pytest.mark.parametrize(
    ("peer", "ours"),
    [
        (LogisticRegression, LogisticNN()),
        (MLPClassifier, OneHiddenMLP(2, early_stopping=True, random_state=0)),
    ],
    ids=["LogisticRegression", "MLPClassifier"],
)
def test_tables_name_every_parameter_of_the_peer_and_existing_ones_of_ours(peer, ours):
    rows = rows_of(peer.__name__)
    theirs = {name for cell, _ in rows for name in cell}
    # Scikit-learn 1.6 still has multi_class, deprecated.
    assert set(inspect.signature(peer).parameters) - {"multi_class"} <= theirs
    ours.fit(np.arange(40.0)[:, None], [0, 1] * 20)
    named = {name for _, cell in rows for name in cell}
    assert named <= {*vars(ours), *dir(ours), type(ours).__name__, "y"}


@pytest.mark.skipif(
    not (ROOT / "README.zh-CN.md").exists(), reason="the page is not in this archive"
)
def test_chinese_readme_prints_what_it_says():
    text = (ROOT / "README.zh-CN.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert blocks
    for block in blocks:
        test = doctest.DocTestParser().get_doctest(block, {}, "README.zh-CN", None, 0)
        complaints: list[str] = []
        results = doctest.DocTestRunner().run(test, out=complaints.append)
        assert results.attempted
        assert not results.failed, "".join(complaints)
