"""The checks of a change: for contributors, for the workflows and for .ci/run.

``nox --list`` shows them, and ``nox -s tests -- -k alpha`` runs one with arguments.
Each makes an environment of its own. With ``--no-venv --no-install`` they use that in
which nox runs, which needs the extra ``dev``.
"""

import os
import tomllib
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
# On the many tiny fits of the tests the thread pools of NumPy and SciPy fight for the
# cores and cost 30 times more than one thread.
ENVIRONMENT = {
    "COLUMNS": "100",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": os.environ.get("TEST_THREADS", "1"),
}
# worksteal: the tests of a file stay together, so that its fits are shared.
WORKERS = ("-n", os.environ.get("TEST_WORKERS", "auto"), "--dist", "worksteal")
# Tests that read sources and texts, of benchmarks/, which developers run on new
# versions, of the changes that the contributors' pages show, of our formulas, phases
# and searches, of arrays, memory, precision and units, of extreme values, of threads,
# of pictures, and of skl2onnx and Dask, which have no old version here. The run on the
# newest versions is enough; a file of each of the search, Posterior, Dask and ONNX
# stays.
ON_NEWEST_ONLY = (
    "_data",
    "_model",
    "_training",
    "test_alpha_search_invariants.py",
    "test_alpha_search_stops.py",
    "test_architecture.py",
    "test_benchmarks.py",
    "test_benchmarks_defaults.py",
    "test_benchmarks_inference.py",
    "test_benchmarks_rdatasets.py",
    "test_contributing.py",
    "test_dask_dataframes.py",
    "test_dask_faults.py",
    "test_dask_networks.py",
    "test_dask_optimum.py",
    "test_display_options.py",
    "test_displays.py",
    "test_examples.py",
    "test_extreme_columns.py",
    "test_fewer_rows_than_columns.py",
    "test_fuzz.py",
    "test_mechanisms.py",
    "test_onnx_composites.py",
    "test_posterior_effects.py",
    "test_posterior_invariants.py",
    "test_posterior_rows.py",
    "test_precision.py",
    "test_record.py",
    "test_reliability.py",
    "test_restarts.py",
    "test_threads_do_not_matter.py",
    "test_units_do_not_matter.py",
)
NIGHTLY_WHEELS = "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple"


def pytest(session: nox.Session, *args: str, **environment: str) -> None:
    """Run pytest with the arguments of the session."""
    env = {**ENVIRONMENT, **environment}
    session.run("python", "-m", "pytest", *args, *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling, the form of docstrings, and types."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    modules = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("sknn_simple/**/*.py"))
    session.run("numpydoc", "lint", *modules)
    command = "import sys; print(sys.executable)"
    python = session.run("python", "-c", command, silent=True) or "python"
    session.run("pyrefly", "check", "--python-interpreter-path", str(python).strip())


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the newest versions, with branch coverage and its floor."""
    session.install("-e", ".[test]")
    pytest(session, "--cov", *WORKERS)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests on the oldest supported versions, the floors of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    floors = [floor.replace(">=", "==") for floor in project["dependencies"]]
    session.log(" ".join(floors))
    session.install("-e", ".[test]", *floors)
    left_out = [f"--ignore=tests/{name}" for name in ON_NEWEST_ONLY]
    pytest(session, *WORKERS, *left_out)


@nox.session
def nightly(session: nox.Session) -> None:
    """Run the tests on the nightly wheels of NumPy, SciPy and scikit-learn."""
    session.install("-e", ".[test]")
    session.install(
        *("--pre", "--upgrade", "--extra-index-url", NIGHTLY_WHEELS),
        *("numpy", "scipy", "scikit-learn"),
    )
    pytest(session, *WORKERS)


@nox.session
def doctests(session: nox.Session) -> None:
    """Run the examples of the docstrings."""
    session.install("-e", ".[test]")
    pytest(session, "--doctest-modules", "sknn_simple", *WORKERS)


@nox.session
def pages(session: nox.Session) -> None:
    """Run the code on the pages of the docs."""
    session.install("-e", ".[test,docs]")
    pytest(session, "--doctest-glob=*.rst", "docs", *WORKERS)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site with warnings as errors."""
    session.install("-e", ".[docs]")
    options = ("-W", "--keep-going", "-q", "-b", "html")
    folders = ("docs", "docs/_build/html")
    session.run("python", "-m", "sphinx", *options, *folders, env=ENVIRONMENT)


@nox.session
def site(session: nox.Session) -> None:
    """Look at the built site in Chromium, where there is one."""
    session.install("-e", ".[test,docs,site]")
    pytest(session, "tests/test_site.py", SKNN_SITE="docs/_build/html")
