"""Run a benchmark: ``python benchmarks/run.py --which logistic``; see README.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

WHICH = (
    "logistic",
    "mlp",
    "evaluation",
    "growth",
    "overhead",
    "shape",
    "defaults",
    "inference",
    "scale",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks asked for; print their tables and write their JSON."""
    from benchmarks.common import Settings
    from benchmarks.data import NoDataSetError

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--which", choices=[*WHICH, "all"], default="all")
    parser.add_argument("--data", type=Path, help="folder of CSV files")
    parser.add_argument("--quick", action="store_true", help="small sets, to try it")
    parser.add_argument("--repeats", type=int, help="repetitions of each timing")
    parser.add_argument("--seeds", type=int, help="random starts of a network")
    parser.add_argument("--cap", type=float, help="seconds for one fit of a peer")
    parser.add_argument("--only", type=parts, help="data sets: parts of their names")
    parser.add_argument("--models", type=parts, help="defaults: parts of their names")
    parser.add_argument("--rows", type=int, help="defaults: rows of a set; 0 for all")
    parser.add_argument("--speed", action="store_true", help="defaults: large sets too")
    parser.add_argument("--alone", action="store_true", help="defaults: only --data")
    parser.add_argument(
        "--output",
        type=Path,
        help="the JSON file (results/here/WHICH.json unless --quick)",
    )
    options = parser.parse_args(arguments)
    if options.output and options.which == "all":
        parser.error("--output needs one benchmark: --which")

    quick = options.quick
    settings = Settings(
        data=options.data and options.data.resolve(),
        quick=quick,
        repeats=options.repeats or (1 if quick else 5),
        seeds=options.seeds or (1 if quick else 5),
        cap=options.cap or (0.3 if quick else 60.0),
        only=options.only or "",
        models=options.models or "",
        rows=options.rows,
        speed=options.speed,
        alone=options.alone,
    )
    for which in WHICH if options.which == "all" else [options.which]:
        path = options.output
        if path is None and not quick:
            path = ROOT / "benchmarks" / "results" / "here" / f"{which}.json"
        try:
            measure(which, settings, path)
        except (NoDataSetError, ImportError) as reason:
            if options.which != "all":
                raise
            print(f"\n{which}: left out. {reason}")


def parts(only: str) -> str:
    """Return the parts of names without blanks around them; there must be one."""
    found = [part.strip() for part in only.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"no name in {only!r}")
    return ",".join(found)


def measure(which: str, settings: Any, path: Path | None) -> None:
    """Run one benchmark and write its record; of some data sets beside the others'."""
    from benchmarks.records import check_comparable, merged, record, write

    module = import_module(f"benchmarks.{which}")
    stored = None
    if settings.only and hasattr(module, "conclude") and path and path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        check_comparable(stored)
    found = record(which, settings, module.run(settings))
    if path is None:
        return
    if stored is not None:
        found = merged(stored, found, module.conclude)
    write(path, found)
    print(f"\n{which}: written to {path}")


if __name__ == "__main__":
    # The tree that this script lies in is the one that is measured.
    sys.path[0] = str(ROOT)
    main()
