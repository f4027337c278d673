"""The contributors' pages: the changes that they show apply, and pass the tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MAX_TERMS = 15  # more own words than that are too many to learn
ADDED = """
import sknn_simple
from sklearn.datasets import load_iris
from sknn_simple import LogisticNN, OneHiddenMLP

assert sknn_simple.__file__.startswith({folder!r})
X, y = load_iris(return_X_y=True)
model = OneHiddenMLP(4, "elu", random_state=0).fit(X, y)
assert model.converged_ and model.score(X, y) > 0.9
model = LogisticNN(solver="bfgs").fit(X, y)
assert model.converged_ and model.solver_ == "bfgs"
"""
# Not the older entries whose names contain these.
ADDED_ENTRIES = "(elu or student or bfgs) and not relu and not gelu and not lbfgs"
TESTED = [
    "_model/test_activations.py",
    "_model/test_losses.py",
    "_model/test_objective.py",
    "_model/test_linear_objective.py",
    "_optim/test_minimize.py",
    "_optim/test_stopping.py",
    "test_reference.py::test_loss_is_the_formula",
]


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_changes_shown_to_contributors_apply_and_pass_the_tests(tmp_path):
    """The new entries pass the tests of all entries, and models train with them."""
    patch = ["patch", "-p1", "--forward", "--fuzz=0"]
    programs = {"patch": patch, "git": ["git", "apply", "-"]}
    command = next((c for name, c in programs.items() if shutil.which(name)), None)
    if command is None:
        pytest.skip("needs patch or git")
    for folder in ("sknn_simple", "tests"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for change in ("activation", "loss", "solver"):
        diff = (DOCS / "contributing" / f"{change}.diff").read_bytes()
        done = subprocess.run(
            command, input=diff, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": ""}
    subprocess.run(
        [sys.executable, "-c", ADDED.format(folder=str(tmp_path))],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = tests\n")
    tests = [str(tmp_path / "tests" / file) for file in TESTED]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", "-Werror", "-k", ADDED_ENTRIES]
    done = subprocess.run(
        [*command, *tests],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_glossary_stays_short():
    page = (DOCS / "contributing" / "glossary.rst").read_text("utf-8")
    terms = re.findall(r"^ {3}(\S.*)$", page, re.M)
    assert 0 < len(terms) <= MAX_TERMS
    assert len(set(terms)) == len(terms)
