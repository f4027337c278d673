"""The order in which the gallery is read, and no empty cells on its pages."""

from pathlib import Path

from docutils import nodes

# An example that is not named here comes last.
NAMES = (
    "quickstart",
    "raw_and_scaled",
    "decision_boundaries",
    "digits_hidden_units",
    "reading_a_network",
    "hidden_features",
    "solver_race",
    "restarts",
    "early_stopping",
    "callbacks",
    "mixed_columns",
    "imbalanced",
    "monotonic",
    "multilabel",
    "sparse_text",
    "saving_and_onnx",
)


class ReadingOrder:
    """Sort key for the examples of a folder, as Sphinx-Gallery asks for one."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __repr__(self):
        return "<ReadingOrder>"

    def __call__(self, filename):
        """Return where an example stands."""
        name = Path(filename).stem.removeprefix("plot_")
        place = NAMES.index(name) if name in NAMES else len(NAMES)
        return place, filename


def without_empty_cells(app, doctree):
    """Remove cells that held nothing but a setting of Sphinx-Gallery."""
    if app.env.docname.startswith("auto_examples/"):
        for block in list(doctree.findall(nodes.literal_block)):
            if not block.astext().strip():
                block.parent.remove(block)


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-read", without_empty_cells)
    return {"parallel_read_safe": True}
