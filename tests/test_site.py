"""The site as a reader sees it: built, opened in headless Chromium, and checked.

SKNN_SITE names a built site (docs/_build/html), as .ci/run sets it, or is "build" to
build one here. Without it the tests that need a site are skipped. SKNN_SCREENSHOTS
names a folder for pictures of the pages.
"""

import functools
import http.server
import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
from html import unescape
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag, urljoin, urlparse

import pytest

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._base import DOCUMENTATION

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
NEEDS = ("sphinx", "pydata_sphinx_theme", "sphinx_gallery", "numpydoc", "myst_parser")
PHONE, DESK = (390, 844), (1280, 900)
EXAMPLES = ("plot_quickstart", "plot_decision_boundaries", "plot_raw_and_scaled")
PAGES = (
    "index.html",
    "quickstart.html",
    "why.html",
    *(
        f"user_guide/{page.stem}.html"
        for page in sorted((DOCS / "user_guide").glob("*.rst"))
    ),
    "generated/sknn_simple.OneHiddenMLP.html",
    "auto_examples/index.html",
    *(f"auto_examples/{example}.html" for example in EXAMPLES),
    "performance.html",
    "performance_optimum.html",
    "performance_avx2.html",
    "performance_defaults.html",
    "performance_inference.html",
    "performance_scale.html",
    "contributing/index.html",
    "contributing/glossary.html",
    "contributing/mechanisms.html",
    "contributing/roadmap.html",
    "zh/quickstart.html",
)
SEARCHED = (
    "monotonic",
    "multiclass",
    "coefficient",
    "overfitting",
    "hyperparameter",
    "feature importance",
    "odds ratio",
    "calibration",
    "GPU",
    "class imbalance",
    "probability threshold",
    "regularization",
    "convergence",
    "missing values",
    "categorical",
    "one-hot",
)
WITH_FORMULAS = (
    "user_guide/logistic.html",
    "user_guide/backpropagation.html",
    "zh/quickstart.html",
)


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
def test_html_representation_links_to_what_the_site_has(model, site):
    address = re.escape(DOCUMENTATION)
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


def test_quick_start_prints_what_the_readme_says_of_convergence(quickstart):
    loss = {key: row[0] for key, row in quickstart.items()}
    scaled = loss["breast cancer", "scaler + LogisticRegression"]
    assert loss["breast cancer", "LogisticNN"] == pytest.approx(scaled, abs=2e-3)
    for data in ("breast cancer", "digits"):
        for peer in ("MLPClassifier", "scaler + MLPClassifier"):
            assert loss[data, "OneHiddenMLP"] < loss[data, peer]
        for name in ("LogisticNN", "OneHiddenMLP"):
            _, converged, fits = quickstart[data, name]
            assert converged == fits
        _, converged, fits = quickstart[data, "LogisticRegression"]
        assert converged < fits / 2
    for name in ("MLPClassifier", "scaler + MLPClassifier"):
        _, converged, fits = quickstart["digits", name]
        assert converged < fits / 2


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


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    if os.name != "posix":
        pytest.skip("the browser is driven over pipes that only POSIX systems inherit")
    # Loaded here and not imported: its modules are missing on other systems.
    client = runpy.run_path(str(Path(__file__).with_name("chromium.py")))
    browser = client["Browser"](program, tmp_path_factory.mktemp("profile"))
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


@pytest.mark.parametrize("words", SEARCHED)
def test_search_finds_the_words_of_the_trade(browser, address, words):
    browser.open(f"{address}search.html?q={quote(words)}", DESK)
    found = browser.wait_for(
        "[...document.querySelectorAll('#search-results li a')].map(a => a.href)"
        ".join(' ')"
    )
    assert "user_guide" in found
    assert not browser.complaints


@pytest.mark.parametrize(
    ("page", "language"), [("index.html", "en"), ("zh/quickstart.html", "zh-CN")]
)
def test_page_names_its_language(site, page, language):
    text = (site / page).read_text("utf-8")
    assert f'<html lang="{language}"' in text


def test_english_and_chinese_link_to_each_other(links, site):
    def leads(page, to):
        targets = [target for _, target in links[site / page].targets]
        resolved = {urljoin((site / page).as_uri(), t).split("#")[0] for t in targets}
        return (site / to).as_uri() in resolved

    assert leads("index.html", "zh/quickstart.html")
    assert leads("zh/quickstart.html", "index.html")
