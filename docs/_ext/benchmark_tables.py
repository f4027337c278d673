"""``.. benchmark-tables:: MACHINE`` shows benchmarks/results/MACHINE/*.json, or a file;
``.. benchmark-goals::`` shows what those of all machines say of the aims in speed and
memory, ``.. benchmark-goals:: defaults`` what defaults.json says of the defaults.

A result is an object with the name of the benchmark, settings, machine and versions,
and tables of any names: lists of objects, whose keys are the columns. The text above
them is the docstring of the program that wrote them.
"""

import ast
import json
import runpy
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
ABOUT = ("benchmark", "runs", "machine", "versions")
# In the order of reading; others come last.
ORDER = ("logistic", "mlp", "overhead", "growth", "evaluation", "shape")
NAMES = {"table": "measurements"}
MANY_COLUMNS = 8  # headings of more columns are written upwards


def tables(value, title):
    """Yield (title, rows) for every list of flat objects within `value`.

    Lists of objects that hold further ones are the single timings: they stay in the
    file.
    """
    if isinstance(value, list) and value and all(isinstance(r, dict) for r in value):
        if not any(isinstance(x, dict | list) for row in value for x in row.values()):
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
    return str(value)


def number(value):
    """Whether a value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def command_of(name, settings):
    """Return the command of a run."""
    words = [".venv/bin/python benchmarks/run.py --which", name]
    for option, value in settings.items():
        if option == "data":
            value = "DIR" if value else ""
        # 0 is a value, and equal to False.
        if value is not False and value not in ("", None):
            words += [f"--{option}"] + ([] if value is True else [cell(value)])
    return " ".join(words)


def machine_line(machine):
    """Return processor, cores, system and libraries of threads, as a line."""
    parts = [
        str(machine[key]) if key != "cores" else f"{machine[key]} cores"
        for key in ("processor", "vectors", "cores", "system")
        if machine.get(key)
    ]
    threads = {
        f"{library.get('internal_api')} {library.get('version') or ''}".strip(): (
            library.get("num_threads")
        )
        for library in machine.get("libraries") or []
    }
    parts += [f"{name} with {count} threads" for name, count in sorted(threads.items())]
    return ", ".join(parts).replace(" 1 threads", " 1 thread")


def table_node(rows):
    """Return rows as a table that scrolls sideways where the page is narrow."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = nodes.table(
        classes=["benchmark"] + ["many-columns"] * (len(columns) > MANY_COLUMNS)
    )
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


class BenchmarkGoals(SphinxDirective):
    """A table of the project's aims, with what the stored results say of them."""

    optional_arguments = 1

    def run(self):
        """Return the table."""
        self.env.note_dependency(str(BENCHMARKS / "goals.py"))
        for file in RESULTS.rglob("*.json"):
            self.env.note_dependency(str(file))
        goals = runpy.run_path(str(BENCHMARKS / "goals.py"))
        of_defaults = self.arguments == ["defaults"]
        stored = goals["stored_defaults" if of_defaults else "stored"]()
        # What was measured on the machine that builds the site is not the site's.
        stored.pop("here", None)
        wanted = goals["DEFAULTS" if of_defaults else "GOALS"]
        return [table_node(goals["rows"](stored, wanted))]


class BenchmarkTables(SphinxDirective):
    """A section per result file: what was measured, with what, and the tables."""

    required_arguments = 1

    def run(self):
        """Return the sections."""
        source = RESULTS / self.arguments[0]
        self.env.note_dependency(str(source))
        files = [source] if source.is_file() else sorted(source.glob("*.json"))
        if not files:
            raise self.error(f"no results are stored in {source.name}")
        place = {name: number for number, name in enumerate(ORDER)}
        files.sort(key=lambda file: (place.get(file.stem, len(place)), file.stem))
        return [self.section(file) for file in files]

    def section(self, file):
        """Return the section of one file."""
        self.env.note_dependency(str(file))
        record = json.loads(file.read_text(encoding="utf-8"))
        name = str(record.get("benchmark", file.stem))
        title, text = self.description(name)
        section = nodes.section(ids=[nodes.make_id(f"benchmark-{file.stem}")])
        section += nodes.title(text=title)
        self.state.nested_parse(text, self.content_offset, section)
        rest = {key: item for key, item in record.items() if key not in ABOUT}
        for heading, rows in tables(rest, ""):
            heading = NAMES.get(heading, heading)
            section += nodes.rubric(text=heading.replace("_", " ").capitalize())
            section += table_node(rows)
        commands = "\n".join(command_of(name, run) for run in record.get("runs") or [])
        section += nodes.literal_block(commands, commands, language="bash")
        versions = record.get("versions") or {}
        for key, line in (
            ("Machine", machine_line(record.get("machine") or {})),
            ("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
        ):
            if line:
                paragraph = nodes.paragraph()
                paragraph += nodes.strong(text=f"{key}: ")
                paragraph += nodes.Text(line)
                section += paragraph
        return section

    def description(self, name):
        """Return title and text of a benchmark, from the docstring of its program."""
        program = BENCHMARKS / f"{name}.py"
        if not program.exists():
            return name.capitalize(), StringList()
        self.env.note_dependency(str(program))
        source = program.read_text(encoding="utf-8")
        title, _, text = (ast.get_docstring(ast.parse(source)) or name).partition("\n")
        return title.rstrip(".").replace("``", ""), StringList(
            text.splitlines(), str(program)
        )


def setup(app):
    """Register the directive."""
    app.add_directive("benchmark-goals", BenchmarkGoals)
    app.add_directive("benchmark-tables", BenchmarkTables)
    return {"parallel_read_safe": True}
