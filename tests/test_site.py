"""The site as a reader sees it: built, opened in headless Chromium, and checked.

SKNN_SITE names a built site (docs/_build/html), as .ci/run sets it, or is "build" to
build one here. Without it the tests that need a site are skipped. SKNN_SCREENSHOTS
names a folder for pictures of the pages.
"""

import functools
import http.server
import os
import re
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
    "performance_rdatasets.html",
    "performance_scale.html",
    "whats_new.html",
    "contributing/index.html",
    "contributing/glossary.html",
    "contributing/mechanisms.html",
    "contributing/roadmap.html",
    "zh/quickstart.html",
)
# Words of the trade, and a page of the user guide that is among the first results.
SEARCHED = {
    "monotonic": "data",
    "multiclass": "data",
    "multilabel": "data",
    "coefficient": "explaining",
    "confidence interval": "explaining",
    "standard error": "explaining",
    "odds ratio": "explaining",
    "feature importance": "explaining",
    "partial dependence": "explaining",
    "overfitting": "control",
    "regularization": "control",
    "early stopping": "control",
    "cross-validation": "alpha",
    "hyperparameter": "common_problems",
    "calibration": "common_problems",
    "GPU": "common_problems",
    "class imbalance": "data",
    "probability threshold": "data",
    "convergence": "common_problems",
    "missing values": "data",
    "categorical": "data",
    "one-hot": "data",
}
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
def browser(site):
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright() as driver, driver.chromium.launch(executable_path=program) as it:
        yield it


@pytest.fixture(scope="module")
def windows(browser):
    """Return an open window per size, and the list of what its pages complain of."""
    complaints: list[str] = []

    def note(message):
        if message.type == "error":
            complaints.append(message.text)

    opened = {}
    for size in (DESK, PHONE):
        view = {"width": size[0], "height": size[1]}
        opened[size] = browser.new_page(viewport=view, is_mobile=size == PHONE)
        opened[size].on("console", note)
        opened[size].on("pageerror", lambda error: complaints.append(str(error)))
    return opened, complaints


@pytest.fixture
def visit(windows, address):
    """Return a function that opens a page and waits until its formulas are drawn.

    The test fails if a page complains: an exception, an error in the console.
    """
    opened, complaints = windows
    complaints.clear()

    def visit(path, size=DESK):
        opened[size].goto(address + path)
        drawn = "window.MathJax && MathJax.startup && MathJax.startup.promise"
        opened[size].evaluate(f"(async () => {{ await ({drawn}) }})()")
        return opened[size]

    yield visit
    assert not complaints


def existing(site, page):
    if not (site / page).exists():
        pytest.fail(f"the site has no {page}")
    return page


IMAGES = """[...document.images].filter(
    i => !i.closest('dialog') && i.loading != 'lazy'
).map(i => [i.currentSrc || i.src, i.naturalWidth])"""
# Pictures without a text, or so small that a label of 10 points is below 7 pixels.
UNREADABLE = """[...document.querySelectorAll('article img')].filter(i =>
    !i.closest('.sphx-glr-thumbcontainer')
    && (!i.alt.trim() || i.clientWidth < 0.6 * i.naturalWidth)
).map(i => [i.src, i.alt, i.clientWidth, i.naturalWidth])"""
# Words of titles and of links to pages that are broken.
BROKEN = r"""() => {
    const broken = [];
    const titles = 'h1, h2, .prev-next-title, [class*=bd-sidebar] a';
    for (const title of document.querySelectorAll(titles)) {
        const texts = document.createTreeWalker(title, NodeFilter.SHOW_TEXT);
        while (texts.nextNode())
            for (const word of texts.currentNode.data.matchAll(/[\w.]+/g)) {
                const range = document.createRange();
                range.setStart(texts.currentNode, word.index);
                range.setEnd(texts.currentNode, word.index + word[0].length);
                if (range.getClientRects().length > 1) broken.push(word[0]);
            }
    }
    return broken;
}"""
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
def test_page(visit, site, page, size):
    shown = visit(existing(site, page), size)
    if folder := os.environ.get("SKNN_SCREENSHOTS"):
        name = page.removesuffix(".html").replace("/", "_")
        kind = "phone" if size == PHONE else "desk"
        shown.screenshot(path=Path(folder) / f"{name}-{kind}.png", full_page=True)
    for source, width in shown.evaluate(IMAGES):
        assert width > 0, f"an image is missing: {source}"
    assert shown.evaluate(UNREADABLE) == []
    assert shown.evaluate("document.scrollingElement.scrollWidth") <= size[0]
    assert shown.evaluate(WIDER) == []
    assert shown.evaluate(BROKEN) == []
    formulas = shown.locator(".math").count()
    assert shown.locator("mjx-container svg").count() >= formulas
    assert shown.locator("mjx-merror, [data-mjx-error]").count() == 0
    if page in WITH_FORMULAS:
        assert formulas > 0


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_has_its_picture(visit, site, example):
    shown = visit(existing(site, f"auto_examples/{example}.html"))
    assert shown.locator("img.sphx-glr-single-img, img.sphx-glr-multi-img").count()


def test_gallery_has_a_thumbnail_per_example(visit):
    shown = visit("auto_examples/index.html")
    examples = list((ROOT / "examples").glob("plot_*.py"))
    assert shown.locator(".sphx-glr-thumbcontainer").count() == len(examples) > 0


@pytest.mark.parametrize(("words", "page"), SEARCHED.items())
def test_search_finds_the_words_of_the_trade(visit, words, page):
    shown = visit(f"search.html?q={quote(words)}")
    shown.get_by_text("Search finished").wait_for()
    links = shown.locator("#search-results li a")
    found = links.evaluate_all("links => links.map(a => a.pathname)")
    assert f"/user_guide/{page}.html" in found[:4]


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
