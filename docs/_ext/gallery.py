"""The gallery: its order, its thumbnails, and pictures that a phone can scroll."""

from pathlib import Path

from docutils import nodes
from PIL import Image

# In the order of reading; an example that is not named here comes last. Beside each
# name, what its thumbnail shows: which picture, and left, top, right and bottom of the
# part, as shares of its width and height.
THUMBNAILS = {
    "quickstart": (1, (0.0, 0.06, 0.605, 1.0)),
    "raw_and_scaled": (1, (0.0, 0.08, 0.42, 1.0)),
    "choosing_alpha": (1, (0.67, 0.0, 1.0, 1.0)),
    "what_matters": (1, (0.0, 0.04, 1.0, 1.0)),
    "decision_boundaries": (1, (0.269, 0.084, 0.754, 0.996)),
    "digits_hidden_units": (2, (0.0, 0.034, 0.64, 0.515)),
    "wrong_labels": (1, (0.0, 0.1, 0.5, 1.0)),
    "reading_a_network": (1, (0.0, 0.03, 1.0, 0.92)),
    "hidden_features": (1, (0.675, 0.0, 1.0, 0.88)),
    "solver_race": (1, (0.51, 0.5, 1.0, 0.955)),
    "restarts": (1, (0.412, 0.0, 1.0, 0.88)),
    "early_stopping": (1, (0.5, 0.0, 1.0, 1.0)),
    "callbacks": (1, (0.5, 0.0, 1.0, 1.0)),
    "mixed_columns": (1, (0.5, 0.0, 1.0, 1.0)),
    "imbalanced": (1, (0.0, 0.0, 0.5, 1.0)),
    "monotonic": (1, (0.0, 0.06, 0.68, 1.0)),
    "multilabel": (1, (0.46, 0.0, 1.0, 1.0)),
    "sparse_text": (1, (0.5, 0.0, 1.0, 1.0)),
    "larger_than_memory": (1, (0.0, 0.0, 1.0, 1.0)),
    "saving_and_onnx": (1, (0.0, 0.0, 0.5, 1.0)),
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
    """Remove cells that held only a setting of Sphinx-Gallery; frame the pictures."""
    if not app.env.docname.startswith("auto_examples/"):
        return
    for block in list(doctree.findall(nodes.literal_block)):
        if not block.astext().strip():
            block.parent.remove(block)
    for picture in list(doctree.findall(lambda n: n.tagname == "imgsgnode")):
        frame = nodes.container(classes=["wide-picture"])
        picture.replace_self(frame)
        frame += picture


def setup(app):
    """Register with Sphinx."""
    # After Sphinx-Gallery, which draws at the same event.
    app.connect("builder-inited", crop_thumbnails, priority=900)
    app.connect("doctree-read", tidy_pages)
    return {"parallel_read_safe": True}
