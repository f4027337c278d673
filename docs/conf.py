"""How Sphinx builds the site; nothing in here, and no page, needs the network."""

import os
import sys
import warnings
from pathlib import Path

# The pools of BLAS threads in the wheels of NumPy and SciPy fight over small fits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE / "figures")]

# After matplotlib's backend and the path are set.
import sknn_simple  # noqa: E402

project = "sknn_simple"
author = "The sknn_simple developers"
copyright = author
version = release = sknn_simple.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "benchmark_tables",
    "gallery",
    "languages",
    "sklearn_links",
]
exclude_patterns = ["_build", "_static", "_templates", "**/README.md"]
templates_path = ["_templates"]
root_doc = "index"
# Every reference within the site must lead somewhere.
nitpicky = True

# Mathematics ------------------------------------------------------------------------

# MathJax is stored here rather than fetched: the one package of PyPI that offers it,
# sphinx-mathjax-offline, installs no file of it (0.0.2), and rendering ahead would need
# LaTeX. The SVG build is one file that brings its glyphs, so the whole of it is 2 MB.
mathjax_path = "mathjax/tex-svg.js"
# Inner parts of the formulas are not read aloud by a speech engine from a network.
mathjax3_config = {"options": {"enableMenu": False}}

# The API ----------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
# "On this page" has the names of methods alone: longer ones would be cut off.
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True
numpydoc_show_class_members = False
# The docstring of each public object is complete: every parameter, what is returned.
# [tool.numpydoc_validation] in pyproject.toml says why some checks are left out.
numpydoc_validation_checks = {
    "all",
    *("ES01", "EX01", "PR08", "RT02", "RT04", "SA01", "SS02"),
}

# Figures ----------------------------------------------------------------------------

plot_formats = [("svg", 90)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False
plot_rcparams = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 90,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "sknn_simple",  # the same bytes from each build
}
plot_apply_rcparams = True
plot_basedir = str(HERE)

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery.ReadingOrder",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sknn_simple",),
    "reference_url": {"sknn_simple": None},
    "inspect_global_variables": True,
    # Two examples at a time: they are most of the time of a build.
    "parallel": 2,
    "remove_config_comments": True,
    "download_all_examples": False,
    # The page of running times would fetch scripts from the network.
    "write_computation_times": False,
    "min_reported_time": 1,
    "matplotlib_animations": False,
    "show_memory": False,
}
# Figures are drawn to files here; the call that opens a window does nothing.
warnings.filterwarnings("ignore", message=".*non-interactive.*")

# Doctests ---------------------------------------------------------------------------

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Pages ------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# Quotes of defaults stay as they are typed: curled ones cannot be pasted into code.
smartquotes = False

html_theme = "pydata_sphinx_theme"
html_title = "sknn_simple"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Pages without siblings need no navigation beside them.
html_sidebars = {
    page: []
    for page in ("index", "why", "whats_new", "performance*", "quickstart", "zh/**")
}
