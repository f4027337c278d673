"""Where the documentation of the installed package is.

The one place of its address is "Documentation" under [project.urls] in pyproject.toml.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

PACKAGE = __name__.partition(".")[0]


@cache
def documentation_address() -> str:
    """Return the address under "Documentation" in the package's metadata, "" for none.

    It is read when a link is first shown. A program that runs from a checkout without
    having it installed has no metadata.
    """
    try:
        links = metadata(PACKAGE).get_all("Project-URL", [])
    except PackageNotFoundError:
        return ""
    addresses = dict(link.split(", ", 1) for link in links)
    return addresses.get("Documentation", "").rstrip("/")
