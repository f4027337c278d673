"""The stored results of benchmarks/, for pictures."""

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def results(name):
    """Return what ``name.json`` holds."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
