"""The files with which others join: workflows, addresses, versions, sessions of nox."""

import re
import tomllib
from pathlib import Path

import pytest

import sknn_simple
from sknn_simple._base import DOCUMENTATION

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
FORMS = sorted(ROOT.glob(".github/**/*.*"))
PAGES = [ROOT / name for name in ("SECURITY.md", "CODE_OF_CONDUCT.md", "CITATION.cff")]
HOSTS = r"https://(?:github\.com|[\w-]+\.readthedocs\.io)/[^\s)>'\"]*"

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="an archive without the project")


def read(name):
    return (ROOT / name).read_text("utf-8")


def project():
    return tomllib.loads(read("pyproject.toml"))["project"]


def sessions():
    return re.findall(r"^@nox\.session\ndef (\w+)", read("noxfile.py"), re.M)


def test_addresses_are_those_of_the_project():
    urls = project()["urls"]
    assert set(urls) == {"Documentation", "Repository", "Issues", "Changelog"}
    assert urls["Documentation"] == DOCUMENTATION
    known = (urls["Repository"], DOCUMENTATION)
    assert all(url.startswith(known) for url in urls.values())
    for page in [*FORMS, *PAGES, ROOT / "CHANGELOG.md"]:
        for url in re.findall(HOSTS, page.read_text("utf-8")):
            assert url.startswith(known), (page, url)


def test_pages_of_the_docs_that_are_linked_exist():
    for page in [*FORMS, *PAGES]:
        linked = re.findall(rf"{DOCUMENTATION}/([\w/]+)\.html", page.read_text("utf-8"))
        for name in linked:
            assert (ROOT / "docs" / f"{name}.rst").exists(), (page, name)


def test_versions_agree():
    version = sknn_simple.__version__
    assert f"\nversion: {version}\n" in read("CITATION.cff")
    released = re.sub(r"\.dev\d+$", "", version)
    headings = re.findall(r"^## \[(.+?)\](.*)$", read("CHANGELOG.md"), re.M)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == released
    assert (headings[1][1] == " - not released yet") == (released != version)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_fixed_actions(workflow):
    text = workflow.read_text("utf-8")
    assert re.search(r"^permissions:( \{\}\n|\n  contents: read\n\n)", text, re.M)
    actions = re.findall(r"uses: (.*)$", text, re.M)
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    assert text.count("runs-on:") == text.count("timeout-minutes:")
    assert "pull_request_target" not in text


def test_the_same_action_has_one_version():
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS)
    actions = set(re.findall(r"uses: (.*)$", text, re.M))
    assert len({action.partition("@")[0] for action in actions}) == len(actions)


def test_workflows_run_the_sessions_that_there_are():
    named = set()
    for path in WORKFLOWS:
        for line in re.findall(r"(?:nox -s|session:) (.*)$", path.read_text(), re.M):
            named |= set(re.sub(r"\$\{\{.*?\}\}", "", line).split())
    assert named == set(sessions())


def test_the_gate_runs_the_sessions_that_there_are():
    named = set(re.findall(r"^(?:check|.*nox .*-s) (\w+)", read(".ci/run"), re.M))
    # README's command runs the tests; the nightly wheels are on another index.
    assert named == set(sessions()) - {"tests", "nightly"}


def test_workflows_test_every_system_and_both_ends_of_the_versions():
    text = read(".github/workflows/ci.yml")
    systems = re.search(r"os: \[(.*)\]", text)
    assert systems
    assert systems[1].split(", ") == ["ubuntu-latest", "macos-latest", "windows-latest"]
    pythons = re.findall(r'python: "(.*)"', text)
    prefix = "Programming Language :: Python :: 3."
    minors = [c.removeprefix(prefix) for c in project()["classifiers"] if prefix in c]
    assert pythons == [f"3.{minors[0]}", f"3.{minors[-1]}"]
    assert project()["requires-python"] == f">={pythons[0]}"


def test_the_release_trusts_the_workflow_and_not_a_password():
    text = read(".github/workflows/release.yml")
    assert "secrets." not in text
    build, publish = text.split("\n  publish:\n")
    assert "attest-build-provenance@" in build
    assert "id-token: write" in publish
    assert "environment: release" in publish


def test_hooks_are_programs_of_the_extra_dev():
    extras = project()["optional-dependencies"]
    tools = {re.split(r"[>\[]", name)[0] for name in extras["dev"] + extras["docs"]}
    hooks = re.findall(r"entry: (\w+)", read(".pre-commit-config.yaml"))
    assert set(hooks) == {"ruff", "codespell", "numpydoc"}
    assert set(hooks) <= tools


def test_coverage_has_a_floor():
    report = tomllib.loads(read("pyproject.toml"))["tool"]["coverage"]["report"]
    assert report["fail_under"] >= 95


def test_type_checkers_read_the_annotations():
    assert (ROOT / "sknn_simple" / "py.typed").exists()
    assert "Typing :: Typed" in project()["classifiers"]
