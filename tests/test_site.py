"""The site as a reader sees it: built, opened in headless Chromium, and looked over.

SKNN_SITE names a built site (docs/_build/html), as .ci/run sets it, or is "build" to
have one built here. Without it the tests that need a site are skipped. SKNN_SCREENSHOTS
names a folder for pictures of the pages.
"""

import base64
import contextlib
import doctest
import fcntl
import functools
import http.server
import inspect
import json
import os
import re
import select
import shutil
import subprocess
import sys
import threading
import time
from html import unescape
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from sknn_simple import LogisticNN, OneHiddenMLP

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
NEEDS = ("sphinx", "pydata_sphinx_theme", "sphinx_gallery", "numpydoc", "myst_parser")
PHONE, DESK = (390, 844), (1280, 900)
EXAMPLES = ("plot_quickstart", "plot_decision_boundaries", "plot_raw_and_scaled")
PAGES = (
    "index.html",
    "quickstart.html",
    *(
        f"user_guide/{page.stem}.html"
        for page in sorted((DOCS / "user_guide").glob("*.rst"))
    ),
    "generated/sknn_simple.OneHiddenMLP.html",
    "auto_examples/index.html",
    *(f"auto_examples/{example}.html" for example in EXAMPLES),
    "performance.html",
    "performance_avx2.html",
    "contributing/index.html",
    "zh/quickstart.html",
)
WITH_FORMULAS = ("index.html", "user_guide/backpropagation.html", "zh/quickstart.html")


# What needs no browser ----------------------------------------------------------------


def pages_with_code():
    """Return the pages that a person wrote."""
    made = {"_build", "auto_examples", "generated"}
    files = [*DOCS.rglob("*.rst"), *DOCS.rglob("*.md"), ROOT / "README.zh-CN.md"]
    return sorted(f for f in files if not made & set(f.relative_to(ROOT).parts))


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_python_on_the_pages_is_a_doctest():
    """Code that nothing runs goes stale."""
    for page in pages_with_code():
        text = page.read_text("utf-8")
        assert set(re.findall(r"code-block:: (.*)", text)) <= {"bash"}, page
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
        assert all(block.startswith(">>> ") for block in blocks), page


COMING_FROM = DOCS / "user_guide" / "coming_from.rst"


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
def test_tables_of_parameters_name_what_there_is(peer, ours):
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
TESTED = [f"_model/test_{name}.py" for name in ("activations", "losses", "objective")]
TESTED += ["_optim/test_solvers.py"]


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not in this archive")
def test_the_changes_that_the_contributors_page_shows_work(tmp_path):
    """They apply, the new entries pass the tests of all entries, and models train."""
    programs = {"patch": ["patch", "-p1", "--forward"], "git": ["git", "apply", "-"]}
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
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    tests = [str(tmp_path / "tests" / file) for file in TESTED]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", "-Werror", "-k", "elu or student or bfgs"]
    done = subprocess.run(
        [*command, *tests],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# The built site -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of a built site."""
    where = os.environ.get("SKNN_SITE")
    if not where:
        pytest.skip('opens no pages: set SKNN_SITE to a built site, or to "build"')
    if where != "build":
        folder = (ROOT / where).resolve()
        assert (folder / "index.html").exists(), f"SKNN_SITE: no site in {folder}"
        return folder
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        pytest.skip(f"the site cannot be built without {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    subprocess.run([sys.executable, *command, str(DOCS), str(folder)], check=True)
    return folder


class Links(HTMLParser):
    """What a page links to and which places of it can be linked to."""

    def __init__(self):
        super().__init__()
        self.ids = set()
        self.targets = []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.ids |= {named[key] for key in ("id", "name") if named.get(key)}
        for key in ("href", "src"):
            if named.get(key):
                self.targets.append((tag, named[key]))


@pytest.fixture(scope="module")
def links(site):
    """Return the links of every page of the site."""
    found = {}
    for file in sorted(site.rglob("*.html")):
        parser = Links()
        if "_static" not in file.relative_to(site).parts:
            parser.feed(file.read_text("utf-8"))
            found[file] = parser
    return found


def test_links_within_the_site_lead_somewhere(site, links):
    broken = []
    for page, parser in links.items():
        for _, target in parser.targets:
            address, place = urldefrag(target)
            if urlparse(target).scheme or target.startswith(("//", "#!")):
                continue
            file = page
            if address:
                path = unquote(urlparse(urljoin(page.as_uri(), address)).path)
                file = Path(path)
            if file.is_dir():
                file /= "index.html"
            inside = not place or file not in links or place in links[file].ids
            if not file.exists() or not inside:
                broken.append(f"{page.relative_to(site)}: {target}")
    assert not broken, "\n".join(broken)


def test_pages_fetch_nothing_from_elsewhere(links):
    fetched = [
        (page.name, target)
        for page, parser in links.items()
        for tag, target in parser.targets
        if tag in ("script", "img", "link", "iframe")
        and urlparse(target).scheme not in ("", "data")
    ]
    assert not fetched


@pytest.mark.parametrize("model", [LogisticNN(), OneHiddenMLP()], ids=str)
def test_html_representation_links_to_what_the_site_has(model, site, monkeypatch):
    address = "https://docs.example"
    monkeypatch.setattr("sknn_simple._base.documentation_address", lambda: address)
    targets = re.findall(f'href="{address}/([^"]*)"', model._repr_html_())
    assert targets
    # Sphinx curls quotes, and browsers take either kind for the other.
    straight = str.maketrans("“”‘’", "\"\"''")
    for target in targets:
        page, _, words = target.partition("#:~:text=")
        text = (site / page).read_text("utf-8").translate(straight)
        if words:  # scikit-learn ≥ 1.9: a parameter, followed by its type
            name, kind = map(unquote, words.split(",-", 1))
            row = f'<dt><strong>{name}</strong><span class="classifier">{kind}</span>'
            assert row in unescape(text)


@pytest.fixture(scope="module")
def quickstart(site):
    """Return (log-loss, fits that converged, fits) by data and model, as printed."""
    page = (site / "auto_examples" / "plot_quickstart.html").read_text("utf-8")
    printed = re.sub(r"<[^>]+>", "", page)
    found: dict[tuple[str, str], tuple[float, int, int]] = {}
    for data, table in re.findall(
        r"^(breast cancer|digits): \d+ columns(.*?)\n\n\n?(?=digits:|stored:|\n)",
        printed,
        re.M | re.S,
    ):
        for name, loss, converged, fits in re.findall(
            r"^([\w +]+?) +[\d.]+ +([\d.]+) +[\d.]+ +(\d+) of (\d+)$", table, re.M
        ):
            found[data, name] = float(loss), int(converged), int(fits)
    assert len(found) == 12
    return found


def test_the_quick_start_bears_out_what_is_said_of_it(quickstart):
    loss = {key: row[0] for key, row in quickstart.items()}
    for data in ("breast cancer", "digits"):
        scaled = loss[data, "scaler + LogisticRegression"]
        assert loss[data, "LogisticNN"] == pytest.approx(scaled, abs=1e-3)
        for name in ("LogisticNN", "OneHiddenMLP"):
            _, converged, fits = quickstart[data, name]
            assert converged == fits
        _, converged, fits = quickstart[data, "LogisticRegression"]
        assert converged < fits / 2
    networks = ("OneHiddenMLP", "MLPClassifier", "scaler + MLPClassifier")
    for name in networks:
        assert loss["digits", name] < loss["digits", "LogisticNN"]
        assert loss["breast cancer", name] > loss["breast cancer", "LogisticNN"]
    for name in networks[1:]:
        assert loss["digits", "OneHiddenMLP"] < loss["digits", name]
        _, converged, fits = quickstart["digits", name]
        assert converged < fits / 2
    raw, scaled = "LogisticRegression", "scaler + LogisticRegression"
    assert loss["digits", raw] < loss["digits", scaled]


def test_readme_shows_what_the_quick_start_prints(quickstart):
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]*`\w+`) \| ([\d.]+) \|[^|]*\| ([\d.]+) \|", text, re.M)
    assert len(rows) == 6
    for cell, *losses in rows:
        name = cell.replace("`", "")
        for data, loss in zip(("breast cancer", "digits"), losses, strict=True):
            assert float(loss) == pytest.approx(quickstart[data, name][0], abs=0.005)
    (fits,) = {row[2] for row in quickstart.values()}
    assert f"all {fits} fits" in text


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not write to the terminal."""

    def log_message(self, format, *args):
        """Write nothing."""


@pytest.fixture(scope="module")
def address(site):
    """Serve the site on this machine; return its address."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


class Browser:
    """Headless Chromium, spoken to over a pair of pipes in its DevTools protocol."""

    FLAGS = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-pipe",
    )

    def __init__(self, program, profile):
        # Chromium reads from descriptor 3 and writes to 4; ours must not be in the way.
        theirs_in, self._to = self._pipe()
        self._from, theirs_out = self._pipe()

        def place():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self._process = subprocess.Popen(
            [program, *self.FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=place,
            pass_fds=(3, 4),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._number, self._session = b"", 0, None
        self.complaints: list[str] = []
        self._loaded = False
        created = self.call("Target.createTarget", url="about:blank")
        attached = self.call(
            "Target.attachToTarget", targetId=created["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    @staticmethod
    def _pipe():
        ends = []
        for end in os.pipe():
            ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
            os.close(end)
        return ends

    def _message(self, deadline):
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise TimeoutError("Chromium did not answer")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise EOFError("Chromium has ended")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(json.dumps(params["args"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def call(self, method, **params):
        """Return what a command answers; events on the way are noted."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self._message(deadline)
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def open(self, url, size, seconds=30.0):
        """Open a page and wait until it is loaded and its formulas are drawn."""
        self.complaints.clear()
        self._loaded = False
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + seconds
        while not self._loaded:
            self._note(self._message(deadline))
        self.value(
            "(async () => {if (window.MathJax && MathJax.startup)"
            " await MathJax.startup.promise; return 1})()"
        )

    def value(self, expression):
        """Return the value of a JavaScript expression."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression, seconds=20.0):
        """Return the first true value of an expression, or None in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := self.value(expression):
                return value
            time.sleep(0.1)
        return None

    def screenshot(self, file, whole=False):
        """Write what is seen, or the whole page, to a PNG file."""
        options = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"width": size["width"], "height": min(size["height"], 8000)}
            options = {
                "captureBeyondViewport": True,
                "clip": {"x": 0, "y": 0, "scale": 1, **clip},
            }
        data = self.call("Page.captureScreenshot", format="png", **options)["data"]
        Path(file).write_bytes(base64.b64decode(data))

    def close(self):
        """End the browser."""
        with contextlib.suppress(OSError, EOFError, TimeoutError, RuntimeError):
            self._session = None
            self.call("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def existing(site, page):
    if not (site / page).exists():
        pytest.fail(f"the site has no {page}")
    return page


IMAGES = """[...document.images].filter(
    i => !i.closest('dialog') && i.loading != 'lazy'
).map(i => [i.currentSrc || i.src, i.naturalWidth])"""
# What sticks out to the right, unless something around it scrolls sideways.
WIDER = """[...document.querySelectorAll('article *')].filter(e => {
    if (e.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let a = e; a.tagName != 'ARTICLE'; a = a.parentElement)
        if (['auto', 'scroll'].includes(getComputedStyle(a).overflowX)
            && a.getBoundingClientRect().right <= innerWidth + 1) return false;
    return true;
}).slice(0, 5).map(e => e.tagName + '.' + e.className)"""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("page", PAGES)
def test_page(browser, address, site, page, size):
    browser.open(address + existing(site, page), size)
    if folder := os.environ.get("SKNN_SCREENSHOTS"):
        name = page.removesuffix(".html").replace("/", "_")
        kind = "phone" if size == PHONE else "desk"
        browser.screenshot(Path(folder) / f"{name}-{kind}.png", whole=True)
    assert not browser.complaints
    for source, width in browser.value(IMAGES):
        assert width > 0, f"an image is missing: {source}"
    scrolled = browser.value("document.scrollingElement.scrollWidth")
    assert scrolled <= size[0]
    assert browser.value(WIDER) == []
    formulas = browser.value("document.querySelectorAll('.math').length")
    drawn = browser.value("document.querySelectorAll('mjx-container svg').length")
    assert drawn >= formulas
    errors = "document.querySelectorAll('mjx-merror, [data-mjx-error]').length"
    assert browser.value(errors) == 0
    if page in WITH_FORMULAS:
        assert formulas > 0


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_has_its_picture(browser, address, site, example):
    page = existing(site, f"auto_examples/{example}.html")
    browser.open(address + page, DESK)
    pictures = "document.querySelectorAll('img.sphx-glr-single-img, "
    pictures += "img.sphx-glr-multi-img').length"
    assert browser.value(pictures) > 0


def test_gallery_has_a_thumbnail_per_example(browser, address, site):
    browser.open(address + "auto_examples/index.html", DESK)
    shown = browser.value(
        "document.querySelectorAll('.sphx-glr-thumbcontainer').length"
    )
    examples = list((ROOT / "examples").glob("plot_*.py"))
    assert shown == len(examples) > 0


def test_search_finds_monotonic(browser, address):
    browser.open(address + "search.html?q=monotonic", DESK)
    found = browser.wait_for(
        "[...document.querySelectorAll('#search-results li a')].map(a => a.href)"
        ".join(' ')"
    )
    assert found
    assert "sknn_simple" in found or "user_guide" in found
    assert not browser.complaints


def test_english_and_chinese_link_to_each_other(links, site):
    def leads(page, to):
        targets = [target for _, target in links[site / page].targets]
        resolved = {urljoin((site / page).as_uri(), t).split("#")[0] for t in targets}
        return (site / to).as_uri() in resolved

    assert leads("index.html", "zh/quickstart.html")
    assert leads("zh/quickstart.html", "index.html")
