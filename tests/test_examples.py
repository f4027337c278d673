"""The gallery's scripts: their form. The build of the documentation runs them."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(FOLDER.glob("plot_*.py"))

pytestmark = pytest.mark.skipif(
    not SCRIPTS, reason="the tests run without the examples beside them"
)


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def source(request):
    return request.param.read_text(encoding="utf-8")


def test_compiles_without_warning(source):
    compile(source, "example", "exec")


def test_docstring_is_a_title_and_an_introduction(source):
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring is not None
    over, title, under, blank, *introduction = docstring.splitlines()
    assert over == under == "=" * len(title)
    assert blank == ""
    assert len(" ".join(introduction)) > 100


def test_headings_of_text_cells_have_their_length(source):
    for title, line in re.findall(r"^# (\S.*)\n# (-{3,})$", source, re.MULTILINE):
        assert len(line) == len(title), title


def test_ends_with_a_conclusion_or_a_picture(source):
    assert re.search(r"^# (Conclusion|The picture)$", source, re.MULTILINE)


def test_draws_and_uses_the_package(source):
    imported = {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
    }
    assert "sknn_simple" in imported
    assert "plt." in source


def test_fetches_nothing(source):
    assert "fetch_" not in source


def test_asserts_no_time(source):
    # A busy machine would fail the build of the docs. The scripts print their times.
    timed = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert) and re.search("second|time", ast.unparse(node))
    ]
    assert not timed


def test_gallery_has_a_page_for_each_subject():
    assert len(SCRIPTS) >= 14
    assert (FOLDER / "GALLERY_HEADER.rst").exists()
