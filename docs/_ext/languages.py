"""Pages in other languages: what a screen reader is told, and where "next" leads."""

LANGUAGES = {"zh": "zh-CN"}  # a folder of pages, and its language


def _other(link):
    return any(part in LANGUAGES for part in link.split("/"))


def set_language(app, pagename, templatename, context, doctree):
    """Name the language of a page; do not lead to one in another language."""
    own = LANGUAGES.get(pagename.split("/")[0])
    if own is not None:
        context["language"] = own
    for key in ("prev", "next"):
        page = context.get(key)
        if page and (own is not None or _other(page["link"])):
            context[key] = None


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", set_language)
    return {"parallel_read_safe": True}
