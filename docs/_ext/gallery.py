"""The gallery: its order, its thumbnails; and rows of pictures on any page."""

import re
from pathlib import Path

from docutils import nodes
from PIL import Image

# In the order of reading; an example that is not named here comes last. Beside each
# name, what its thumbnail shows: which picture, and left, top, right and bottom of the
# part, as shares of its width and height.
THUMBNAILS = {
    "quickstart": (1, (0.0, 0.05, 1.0, 0.29)),
    "raw_and_scaled": (1, (0.0, 0.0, 1.0, 0.36)),
    "choosing_alpha": (3, (0.0, 0.0, 1.0, 1.0)),
    "what_matters": (1, (0.0, 0.04, 1.0, 1.0)),
    "decision_boundaries": (2, (0.0, 0.14, 1.0, 1.0)),
    "digits_hidden_units": (2, (0.0, 0.05, 0.82, 0.52)),
    "wrong_labels": (1, (0.0, 0.06, 1.0, 0.54)),
    "reading_a_network": (1, (0.0, 0.045, 1.0, 0.9)),
    "hidden_features": (3, (0.0, 0.06, 1.0, 1.0)),
    "solver_race": (2, (0.0, 0.0, 1.0, 1.0)),
    "restarts": (2, (0.0, 0.06, 1.0, 1.0)),
    "early_stopping": (2, (0.0, 0.0, 1.0, 1.0)),
    "callbacks": (2, (0.0, 0.0, 1.0, 1.0)),
    "mixed_columns": (2, (0.0, 0.0, 1.0, 1.0)),
    "imbalanced": (1, (0.0, 0.0, 1.0, 1.0)),
    "monotonic": (1, (0.0, 0.05, 1.0, 0.52)),
    "multilabel": (2, (0.0, 0.06, 1.0, 0.53)),
    "sparse_text": (2, (0.0, 0.0, 1.0, 1.0)),
    "larger_than_memory": (1, (0.0, 0.0, 1.0, 1.0)),
    "saving_and_onnx": (1, (0.0, 0.0, 1.0, 1.0)),
}
NAMES = tuple(THUMBNAILS)
THUMBNAIL_SIZE = (480, 336)


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


def crop_thumbnails(app):
    """Write the chosen part of each picture over the thumbnail of the whole."""
    folder = Path(app.srcdir, "auto_examples", "images")
    for name, (number, part) in THUMBNAILS.items():
        picture = folder / f"sphx_glr_plot_{name}_{number:03}.png"
        if not picture.exists():  # the example was not run
            continue
        with Image.open(picture) as whole:
            sides = whole.size * 2
            box = [round(x * side) for x, side in zip(part, sides, strict=True)]
            thumbnail = whole.convert("RGB").crop(box)
        thumbnail.thumbnail(THUMBNAIL_SIZE, Image.Resampling.LANCZOS)
        thumbnail.save(folder / "thumb" / f"sphx_glr_plot_{name}_thumb.png")


def tidy_pages(app, doctree):
    """Remove cells that held only a setting of Sphinx-Gallery."""
    if not app.env.docname.startswith("auto_examples/"):
        return
    for block in list(doctree.findall(nodes.literal_block)):
        if not block.astext().strip():
            block.parent.remove(block)


def join_pictures(app, doctree):
    """Put the pictures of one plot into a row, which a phone shows as a column.

    The parts of ``:alt:`` between bars are the texts of the pictures.
    """
    row = nodes.container()
    for figure in list(doctree.findall(nodes.figure)):
        picture = figure[0]
        if "plot-directive" not in picture.get("classes", ()):
            continue
        place = figure.parent.index(figure)
        before = figure.parent[place - 1] if place else None
        if before is not row:
            row = nodes.container(classes=["pictures"])
            figure.parent.insert(place, row)
        texts = re.split(r"\s+\|\s+", picture.get("alt", ""))
        picture["alt"] = texts[min(len(row), len(texts) - 1)]
        figure.parent.remove(figure)
        row += figure


def setup(app):
    """Register with Sphinx."""
    # After Sphinx-Gallery, which draws at the same event.
    app.connect("builder-inited", crop_thumbnails, priority=900)
    app.connect("doctree-read", tidy_pages)
    app.connect("doctree-read", join_pictures)
    return {"parallel_read_safe": True}
