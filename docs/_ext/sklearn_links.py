"""Links to other projects' pages without their inventories.

Intersphinx would fetch an inventory of each project at every build. The addresses of
the few names that this documentation refers to follow from the names.
"""

import re

from docutils import nodes

SKLEARN = "https://scikit-learn.org/stable/"
PAGES = {
    "joblib.parallel_config": "https://joblib.readthedocs.io/en/latest/generated/"
    "joblib.parallel_config.html",
    "scipy.optimize.minimize": "https://docs.scipy.org/doc/scipy/reference/generated/"
    "scipy.optimize.minimize.html",
}
PAGES |= {
    f"skl2onnx.{name}": f"https://onnx.ai/sklearn-onnx/api_summary.html#skl2onnx.{name}"
    for name in ("to_onnx", "convert_sklearn")
}
# Sections of scikit-learn's user guide that inherited docstrings refer to.
SECTIONS = {
    "metadata_routing": "metadata_routing.html",
    "callbacks": "modules/callbacks.html",
}


def address(target):
    """Return where a name of another project is documented, or None."""
    if target in PAGES:
        return PAGES[target]
    if match := re.fullmatch(r"(sklearn(?:\.[a-z_0-9]+)*\.[A-Za-z_0-9]+)", target):
        return f"{SKLEARN}modules/generated/{match[1]}.html"
    return None


def resolve(app, env, node, contnode):
    """Turn an unresolved reference to another project into a plain link."""
    uri = address(node.get("reftarget", ""))
    if uri is None:
        return None
    return nodes.reference("", "", contnode, internal=False, refuri=uri)


def inherited(app, what, name, obj, options, lines):
    """Make sections of scikit-learn's guide plain links in inherited docstrings.

    Labels of our own guide begin with ``guide_``.
    """
    for number, line in enumerate(lines):
        lines[number] = re.sub(
            r":ref:`(?:([^`<]+) <)?(?!guide_)([\w.-]+)>?`",
            lambda found: (
                f"`{(found[1] or 'scikit-learn’s guide').strip()} "
                f"<{SKLEARN}{SECTIONS.get(found[2], 'user_guide.html')}>`__"
            ),
            line,
        )


def escaped(app, what, name, obj, options, lines):
    """Escape fitted attributes in the types of numpydoc sections: "(n_iter_ + 1,)".

    A word that ends in an underscore is a link in reStructuredText.
    """
    if not name.startswith("sknn_simple"):
        return
    for number, line in enumerate(lines):
        if re.match(r"\w+ : .*[a-z]_\b", line):
            head, types = line.split(" : ", 1)
            lines[number] = f"{head} : " + re.sub(r"([a-z])_\b", r"\1\\_", types)


def setup(app):
    """Register the three with Sphinx."""
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", escaped, priority=100)
    app.connect("autodoc-process-docstring", inherited, priority=900)
    return {"parallel_read_safe": True}
