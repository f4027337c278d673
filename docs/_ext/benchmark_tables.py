"""``.. benchmark-tables::`` shows benchmarks/results/*.json, if there are any.

A result is an object with the name of the benchmark, settings, machine and versions,
and tables of any names: lists of objects, whose keys are the columns.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
ABOUT = ("benchmark", "settings", "machine", "versions")


def tables(value, title):
    """Yield (title, rows) for every list of objects within `value`."""
    if isinstance(value, list) and value and all(isinstance(r, dict) for r in value):
        yield title, value
    elif isinstance(value, dict) and value:
        if not any(isinstance(item, dict | list) for item in value.values()):
            yield title, [{"what": key, "value": item} for key, item in value.items()]
        else:
            for key, item in value.items():
                yield from tables(item, f"{title}: {key}" if title else key)


def cell(value):
    """Return a value as the text of a cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {cell(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return str(value)


def number(value):
    """Whether a value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def table_node(rows):
    """Return rows as a table that scrolls sideways where the page is narrow."""
    # What is nested (curves, the details of each contest) stays in the file.
    columns = [
        key
        for key in dict.fromkeys(key for row in rows for key in row)
        if not any(isinstance(row.get(key), dict | list) for row in rows)
    ]
    table = nodes.table(classes=["benchmark"])
    group = nodes.tgroup(cols=len(columns))
    table += group
    for _ in columns:
        group += nodes.colspec(colwidth=1)
    head, body = nodes.thead(), nodes.tbody()
    group += [head, body]
    for part, cells in [
        (head, [[(name.replace("_", " "), False) for name in columns]]),
        (
            body,
            [[(cell(row.get(c)), number(row.get(c))) for c in columns] for row in rows],
        ),
    ]:
        for line in cells:
            row = nodes.row()
            for text, right in line:
                entry = nodes.entry(classes=["text-end"] if right else [])
                entry += nodes.paragraph(text=text)
                row += entry
            part += row
    box = nodes.container(classes=["pst-scrollable-table-container"])
    box += table
    return box


class BenchmarkTables(SphinxDirective):
    """A section per result file: its tables, and what they were measured with."""

    def run(self):
        """Return the sections, or a sentence where no results are stored."""
        self.env.note_dependency(str(RESULTS))
        files = sorted(RESULTS.glob("*.json")) if RESULTS.is_dir() else []
        if not files:
            text = "No results are stored in this version of the repository."
            return [nodes.note("", nodes.paragraph(text=text))]
        return [self.section(file) for file in files]

    def section(self, file):
        """Return the section of one file."""
        self.env.note_dependency(str(file))
        record = json.loads(file.read_text(encoding="utf-8"))
        name = str(record.get("benchmark", file.stem))
        section = nodes.section(ids=[nodes.make_id(f"benchmark-{file.stem}")])
        section += nodes.title(text=name)
        for key in ("settings", "machine", "versions"):
            if record.get(key):
                line = nodes.paragraph()
                line += nodes.strong(text=f"{key.capitalize()}: ")
                line += nodes.Text(cell(record[key]))
                section += line
        command = f".venv/bin/python benchmarks/run.py --which {name}"
        if (record.get("settings") or {}).get("quick"):
            command += " --quick"
        section += nodes.literal_block(command, command, language="bash")
        rest = {key: item for key, item in record.items() if key not in ABOUT}
        for title, rows in tables(rest, ""):
            section += nodes.rubric(text=title.replace("_", " ").capitalize())
            section += table_node(rows)
        return section


def setup(app):
    """Register the directive."""
    app.add_directive("benchmark-tables", BenchmarkTables)
    return {"parallel_read_safe": True}
