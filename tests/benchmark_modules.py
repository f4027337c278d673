"""Imports modules of benchmarks/, which a source archive may lack."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def benchmark(name: str) -> ModuleType:
    """Return ``benchmarks.name``; skip the whole test module if there is none."""
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("benchmarks/ is not part of this tree", allow_module_level=True)
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return import_module(f"benchmarks.{name}")
