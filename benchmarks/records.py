"""The results of benchmarks as JSON: with settings, machine and versions."""

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import sknn_simple
from benchmarks.common import Settings
from benchmarks.data import ALL


def machine() -> dict[str, Any]:
    """Return what the numbers depend on beside the code."""
    return {
        "processor": _processor(),
        "vectors": _vectors(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "libraries": [
            {key: info.get(key) for key in ("internal_api", "version", "num_threads")}
            for info in threadpool_info()
        ],
    }


def _processor() -> str:
    lines = _cpuinfo().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _vectors() -> str:
    """Return the widest vectors of the processor, "" where the system does not tell."""
    flags = _cpuinfo().split()
    widest = {"avx512f": "AVX-512", "avx2": "AVX2"}
    return next((name for flag, name in widest.items() if flag in flags), "")


def _cpuinfo() -> str:
    """Return what Linux says of the processor, "" elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter here."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "?"
    for peer in ("glum", "pytabkit"):
        with suppress(PackageNotFoundError):
            found[peer] = version(peer)
    return {**found, "sknn_simple": sknn_simple.__version__}


Record = dict[str, Any]


def record(which: str, settings: Settings, result: Mapping) -> Record:
    """Return a benchmark's result with the settings of its run, machine and versions.

    Where there are contests, the settings name the data sets that they are on.
    """
    options = {**settings._asdict(), "data": settings.data is not None}
    if "contests" in result:
        options["only"] = ",".join(_sets(result["contests"]))
    about = {"benchmark": which, "runs": [options]}
    return _plain({**about, "machine": machine(), "versions": versions(), **result})


def check_comparable(stored: Record) -> None:
    """Refuse to measure some sets anew beside those stored from another machine.

    Raises
    ------
    ValueError
        If machine, threads or versions are others than here and now.
    """
    for key, here in (("machine", machine()), ("versions", versions())):
        mine, theirs = _comparable(here), _comparable(stored[key])
        differing = {
            name
            for name in mine.keys() | theirs.keys()
            if mine.get(name) != theirs.get(name)
        }
        if differing:
            raise ValueError(
                f"the stored results are of another {key} ({', '.join(differing)}): "
                "run all sets, or write to another file."
            )


def _comparable(about: Mapping) -> dict[str, Any]:
    """Return what must be the same; which libraries are loaded depends on the sets."""
    libraries = about.get("libraries", [])
    threads = max((library["num_threads"] for library in libraries), default=1)
    others = {key: item for key, item in about.items() if key != "libraries"}
    return {**others, "threads": threads}


def merged(
    stored: Record, new: Record, conclude: Callable[[list[dict[str, Any]]], Mapping]
) -> Record:
    """Return a stored record with the data sets of a new one in place of its own.

    So large sets may be timed less often than small ones. Each run keeps its settings.

    Parameters
    ----------
    stored, new : dict
        Records of the same benchmark.
    conclude : callable
        From all contests to the result.
    """
    measured = _sets(new["contests"])
    kept = [c for c in stored["contests"] if c["set"] not in measured]
    runs = [
        {**run, "only": ",".join(names)}
        for run in stored["runs"]
        if (names := [n for n in run["only"].split(",") if n not in measured])
    ]
    contests = sorted([*kept, *new["contests"]], key=lambda c: ALL.index(c["set"]))
    return {**new, "runs": [*runs, *new["runs"]], **_plain(conclude(contests))}


def _sets(contests: Iterable[Mapping]) -> list[str]:
    return list(dict.fromkeys(contest["set"] for contest in contests))


def write(path: Path, found: Record) -> None:
    """Write a record as JSON, a row of a table per line.

    Numbers have four digits: pages show three, and no timing repeats to more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(_rounded(found)) + "\n", encoding="utf-8")


def _lines(value: Any) -> str:
    """Return JSON: what does not fit into a line has a line for each of its parts."""
    plain = json.dumps(value, ensure_ascii=False)
    if len(plain) < 88 or not isinstance(value, dict | list):
        return plain
    if isinstance(value, list):
        rows = (json.dumps(row, ensure_ascii=False) for row in value)
        return "[\n" + ",\n".join(rows) + "\n]"
    parts = (f"{json.dumps(key)}: {_lines(item)}" for key, item in value.items())
    return "{\n" + ",\n".join(parts) + "\n}"


def _rounded(value: Any) -> Any:
    """Return a value with its numbers rounded to four digits."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
