"""Each layer imports and names only what it may, read from the source.

The source is parsed and searched, and nothing of it runs.
"""

import ast
import re
import sys
from collections.abc import Iterator, Set
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "sknn_simple"
ROOT = Path(__file__).parents[1]
MODULES = sorted(p.relative_to(ROOT) for p in (ROOT / PACKAGE).rglob("*.py"))
TEST_FILES = sorted(p.relative_to(ROOT) for p in (ROOT / "tests").rglob("*.py"))

MAX_LINES = 500
OPTIONAL = {
    "dask",
    "distributed",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "polars",
    "rich",
    "skl2onnx",
    "skops",
}


class Layer(NamedTuple):
    """Prefixes of dotted names; the standard library is open to every layer."""

    allowed: frozenset[str]
    forbidden: frozenset[str] = frozenset()


# Layers, from the lowest up: each imports only itself and what stands before it.
LAYERS = {
    f"{PACKAGE}._data": Layer(
        allowed=frozenset({"numpy", "scipy", "threadpoolctl", f"{PACKAGE}._data"}),
        forbidden=frozenset({"scipy.optimize"}),
    ),
    f"{PACKAGE}._model": Layer(
        allowed=frozenset({"numpy", "scipy", f"{PACKAGE}._data", f"{PACKAGE}._model"}),
        forbidden=frozenset({"scipy.optimize"}),
    ),
    f"{PACKAGE}._optim": Layer(
        allowed=frozenset({"numpy", "scipy", f"{PACKAGE}._optim"}),
    ),
    f"{PACKAGE}._training": Layer(
        allowed=frozenset(
            {
                "joblib",
                "numpy",
                "scipy",
                "sklearn",
                f"{PACKAGE}._compat",
                f"{PACKAGE}._data",
                f"{PACKAGE}._model",
                f"{PACKAGE}._optim",
                f"{PACKAGE}._training",
            }
        ),
    ),
    f"{PACKAGE}._input": Layer(
        allowed=frozenset(
            {
                "numpy",
                "scipy",
                "sklearn",
                f"{PACKAGE}._compat",
                f"{PACKAGE}._data",
                f"{PACKAGE}._input",
                f"{PACKAGE}._model",
            }
        ),
        forbidden=frozenset({"scipy.optimize"}),
    ),
    f"{PACKAGE}._chunks": Layer(
        allowed=frozenset(
            {
                "dask",
                "distributed",
                "numpy",
                "pandas",
                "scipy",
                "sklearn",
                f"{PACKAGE}._chunks",
                f"{PACKAGE}._compat",
                f"{PACKAGE}._data",
                f"{PACKAGE}._input",
                f"{PACKAGE}._model",
                f"{PACKAGE}._optim",
                f"{PACKAGE}._training",
            }
        ),
    ),
    f"{PACKAGE}._inference": Layer(
        allowed=frozenset(
            {
                "numpy",
                "pandas",
                "scipy",
                f"{PACKAGE}._data",
                f"{PACKAGE}._inference",
                f"{PACKAGE}._input.names",
                f"{PACKAGE}._model",
                f"{PACKAGE}._training",
                f"{PACKAGE}._version",
            }
        ),
        forbidden=frozenset({"scipy.optimize"}),
    ),
}


# What the optimiser minimises is a function of a vector. Words of networks and data do
# not belong into its code, comments and messages: whoever reads `_optim` needs no other
# room. A word counts alone, in the plural and as a part of a name with underscores.
FOREIGN_TO_OPTIM = re.compile(
    r"(?<![a-z])(activation|bias|classifier|feature|hidden|label|layer|network|neuron"
    r"|softmax|weight)(e?s|ed)?(?![a-z])|LogisticNN|OneHiddenMLP",
    re.IGNORECASE,
)


class Use(NamedTuple):
    """A dotted name that the source imports, or reaches through an import."""

    name: str
    line: int
    on_import: bool  # evaluated when the module is imported


def uses(tree: ast.Module, package: str) -> list[Use]:
    """Every import of `tree`, a module whose relative imports start from `package`.

    Beside the import statements: `import_module("literal")`, and attributes of what was
    imported, because `import scipy` is enough to reach `scipy.optimize`.
    """
    found: list[Use] = []
    origin: dict[str, str] = {}  # local name → dotted name
    scoped = list(_with_scope(tree, on_import=True))

    for node, on_import in scoped:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(Use(alias.name, node.lineno, on_import))
                root = alias.name.split(".")[0]
                origin[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node.module or "", node.level, package)
            for alias in node.names:
                name = f"{module}.{alias.name}"
                found.append(Use(name, node.lineno, on_import))
                origin[alias.asname or alias.name] = name

    for node, on_import in scoped:
        name = None
        if isinstance(node, ast.Attribute):
            name = _dotted(node, origin)
        elif isinstance(node, ast.Call):
            name = _imported_by_call(node, package)
        if name is not None:
            found.append(Use(name, node.lineno, on_import))
    return found


def _with_scope(
    node: ast.AST, *, on_import: bool
) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for_checkers = isinstance(node, ast.If) and ast.unparse(node.test) in {
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    }
    for field, value in ast.iter_fields(node):
        # Decorators, defaults and annotations of a function do run on import.
        now = on_import and not (field == "body" and (function or for_checkers))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.stmt | ast.expr):
                yield child, now
            if isinstance(child, ast.AST):
                yield from _with_scope(child, on_import=now)


def _absolute(module: str, level: int, package: str) -> str:
    if level == 0:
        return module
    base = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*base, module] if module else base)


def _dotted(node: ast.Attribute, origin: dict[str, str]) -> str | None:
    parts = []
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name) or value.id not in origin:
        return None
    return ".".join([origin[value.id], *reversed(parts)])


def _imported_by_call(node: ast.Call, package: str) -> str | None:
    function = ast.unparse(node.func).split(".")[-1]
    if function not in {"import_module", "__import__"} or not node.args:
        return None
    argument = node.args[0]
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return None
    module = argument.value.lstrip(".")
    return _absolute(module, len(argument.value) - len(module), package)


def _within(name: str, prefixes: Set[str]) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in prefixes)


def _is_private(name: str) -> bool:
    return any(p.startswith("_") and not p.endswith("__") for p in name.split("."))


def violations(source: str, path: str) -> list[str]:
    """What `source`, the module at `path` below the project's root, may not do."""
    tree = ast.parse(source)
    parts = Path(path).with_suffix("").parts
    package = ".".join(parts[:-1])
    module = package if parts[-1] == "__init__" else ".".join(parts)
    layer = next((r for p, r in LAYERS.items() if _within(module, {p})), None)

    problems: list[str] = []
    for name, line, on_import in uses(tree, package):
        root = name.split(".")[0]
        if root in OPTIONAL and on_import:
            problems.append(f"{path}:{line}: {root} is optional: import it when used")
        if root == "sklearn" and _is_private(name) and module != f"{PACKAGE}._compat":
            problems.append(f"{path}:{line}: private {name} belongs in _compat.py")
        if layer is None or root in sys.stdlib_module_names:
            continue
        if not _within(name, layer.allowed) or _within(name, layer.forbidden):
            problems.append(f"{path}:{line}: this layer may not import {name}")

    if layer is LAYERS[f"{PACKAGE}._optim"]:
        for number, text in enumerate(source.splitlines(), start=1):
            problems += [
                f"{path}:{number}: the optimiser knows no {word[0]}"
                for word in FOREIGN_TO_OPTIM.finditer(text)
            ]

    lines = len(source.splitlines())
    if lines > MAX_LINES:
        problems.append(f"{path}: {lines} lines, more than {MAX_LINES}")
    if module == PACKAGE:
        strangers = [node.lineno for node in tree.body if not _is_facade(node)]
        problems += [f"{path}:{n}: only imports and names belong" for n in strangers]
    return list(dict.fromkeys(problems))


def _is_facade(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant(str())):
            return True
        case ast.Assign([ast.Name("__all__")]):
            return True
        case ast.FunctionDef("__getattr__" | "__dir__"):
            return True
        case ast.If(ast.Name("TYPE_CHECKING"), body, []):
            return all(isinstance(inner, ast.ImportFrom) for inner in body)
    return False


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_keeps_to_its_layer(module):
    source = (ROOT / module).read_text(encoding="utf-8")
    assert violations(source, module.as_posix()) == []


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: Set[str]) -> set[str]:
    """The modules of the package that the one at `path` names, also in functions."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = set()
    for name, _, _ in uses(tree, ".".join(path.parts[:-1])):
        while name and name not in known:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {"", PACKAGE, module_name(path)}


def test_no_module_imports_itself_through_others():
    known = set(map(module_name, MODULES))
    graph = {module_name(path): imported_modules(path, known) for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle
    assert graph[f"{PACKAGE}._base"]


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_modules(layer):
    # An empty or renamed folder would pass the test above without having been read.
    assert any(_within(".".join(m.with_suffix("").parts), {layer}) for m in MODULES)


DATA = f"{PACKAGE}/_data/moments.py"
MODEL = f"{PACKAGE}/_model/losses.py"
OPTIM = f"{PACKAGE}/_optim/solvers.py"
TRAINING = f"{PACKAGE}/_training/train.py"
INFERENCE = f"{PACKAGE}/_inference/core.py"
OUTER = f"{PACKAGE}/_base.py"
FACADE = f"{PACKAGE}/__init__.py"


DISPLAYS = f"{PACKAGE}/_displays.py"
COMPAT = f"{PACKAGE}/_compat.py"

FOUND = {
    "may not import": [
        (DATA, "import joblib"),
        (DATA, "from .._model.losses import LOSSES"),
        (MODEL, "import sklearn"),
        (MODEL, "import joblib"),
        (MODEL, "import threadpoolctl"),
        (MODEL, "import scipy.optimize"),
        (MODEL, "import scipy.optimize as so"),
        (MODEL, "from scipy import optimize"),
        (MODEL, "from scipy.optimize import minimize"),
        (MODEL, "import scipy\nscipy.optimize.minimize"),
        (MODEL, "import scipy as sp\ndef f():\n    return sp.optimize.minimize"),
        (MODEL, "def f():\n    from sklearn.utils import gen_batches"),
        (MODEL, "from importlib import import_module\nimport_module('sklearn')"),
        (MODEL, "import importlib\nimportlib.import_module('.._base', __package__)"),
        (MODEL, "from .. import _compat"),
        (MODEL, "from .._optim import problem"),
        (MODEL, "from .._optim.problem import Problem"),
        (MODEL, "from sknn_simple import LogisticNN"),
        (MODEL, "import sknn_simple._optim"),
        (MODEL, "from sknn_simple._modell import x"),
        (f"{PACKAGE}/_model/__init__.py", "from .. import _base"),
        (f"{PACKAGE}/_model/deeper/module.py", "import sklearn"),
        (OPTIM, "from sklearn.exceptions import ConvergenceWarning"),
        (OPTIM, "import threadpoolctl"),
        (OPTIM, "from .._data import features"),
        (TRAINING, "from .._base import BaseNN"),
        (TRAINING, "from .._validation import validate_features"),
        (TRAINING, "from .._inference.core import infer"),
        (INFERENCE, "from .._mlp import OneHiddenMLP"),
        (INFERENCE, "from scipy.optimize import minimize"),
        (OPTIM, "from .._model import objective"),
        (OPTIM, "from sknn_simple._model.objective import Objective"),
        (OPTIM, "import typing\nif typing.TYPE_CHECKING:\n    import sklearn"),
    ],
    "the optimiser knows no": [
        (OPTIM, '"""Newton steps for softmax."""'),
        (OPTIM, "def scaled(hidden_size): ..."),
        (OPTIM, "x = 1  # one for each Layer"),
        (OPTIM, "raise ValueError('sample_weight and biases')"),
        (f"{PACKAGE}/_optim/deeper/module.py", "class FEATURES: ..."),
    ],
    "belongs in _compat.py": [
        (OUTER, "from sklearn.utils._param_validation import Interval"),
        (OUTER, "from sklearn.base import _fit_context"),
        (OUTER, "def f():\n    from sklearn.utils import _safe_indexing"),
        (OUTER, "import sklearn\nsklearn.utils._safe_indexing"),
        (OUTER, "from sklearn import utils\nutils._safe_indexing"),
        (f"{PACKAGE}/_model/_compat.py", "from sklearn.base import _fit_context"),
    ],
    "is optional": [
        (DISPLAYS, "import matplotlib.pyplot as plt"),
        (DISPLAYS, "from matplotlib import pyplot"),
        (COMPAT, "import pandas"),
        (OUTER, "try:\n    import rich\nexcept ImportError:\n    rich = None"),
        (OUTER, "class A:\n    import polars"),
        (OUTER, "from importlib import import_module\npd = import_module('pandas')"),
        (OUTER, "from typing import *\nif not TYPE_CHECKING:\n    import skops"),
        (OUTER, "from typing import *\nif TYPE_CHECKING: ...\nelse:\n    import skops"),
    ],
    "only imports and names": [
        (FACADE, "x = 1"),
        (FACADE, "def helper(): ..."),
        (FACADE, "class A: ..."),
        (FACADE, "import warnings\nwarnings.simplefilter('ignore')"),
        (FACADE, "if True:\n    import numpy"),
        (FACADE, "if TYPE_CHECKING:\n    x = 1"),
    ],
}

ACCEPTED = [
    (MODEL, "import math\nimport concurrent.futures\nfrom typing import Self"),
    (MODEL, "import numpy as np\nfrom scipy import sparse\nimport scipy.special"),
    (MODEL, "import scipy\nscipy.special.expit\nscipy.sparse.csr_array"),
    (MODEL, "from . import activations\nfrom .activations import ACTIVATIONS"),
    (MODEL, "from sknn_simple._model.layout import Layout"),
    (MODEL, "def f(self):\n    return self.scipy.optimize, self.pandas"),
    (f"{PACKAGE}/_model/__init__.py", "from .losses import LOSSES"),
    (f"{PACKAGE}/_model/deeper/module.py", "from ..losses import LOSSES"),
    (DATA, "from functools import cache\nimport threadpoolctl"),
    (MODEL, "from .._data.row_blocks import RowBlocks"),
    (OPTIM, "from scipy.optimize import minimize"),
    (OPTIM, "from .problem import Problem"),
    (OPTIM, "player = unbiased = reweighted = 'relabelled'"),
    (MODEL, "hidden_layer_size = 1  # features, labels"),
    (OUTER, "import joblib\nfrom ._model import losses\nfrom ._optim import solvers"),
    (OUTER, "from sklearn import base\nbase.clone\nfrom ._compat import _x"),
    (OUTER, "import sklearn\nsklearn.__version__"),
    (OUTER, "class A:\n    def f(self):\n        import pandas\n        pandas.NA"),
    (OUTER, "import typing\nif typing.TYPE_CHECKING:\n    import pandas"),
    (COMPAT, "from sklearn.base import _fit_context"),
    (DISPLAYS, "def plot():\n    import matplotlib.pyplot as plt"),
    (FACADE, '"""Doc."""\nfrom ._mlp import OneHiddenMLP\n__all__ = ["OneHiddenMLP"]'),
    (
        FACADE,
        "from ._version import x\ndef __getattr__(name):\n    import matplotlib",
    ),
]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [(rule, *case) for rule, cases in FOUND.items() for case in cases],
)
def test_check_finds(rule, path, source):
    assert any(rule in problem for problem in violations(source, path))


@pytest.mark.parametrize(("path", "source"), ACCEPTED)
def test_check_accepts(path, source):
    assert violations(source, path) == []


def test_check_counts_lines():
    assert violations("\n" * MAX_LINES, OUTER) == []
    assert violations("\n" * (MAX_LINES + 1), OUTER) == [
        f"{OUTER}: {MAX_LINES + 1} lines, more than {MAX_LINES}"
    ]


def test_message_names_the_file_the_line_and_the_import():
    assert violations("import math\n\nimport sklearn\n", MODEL) == [
        f"{MODEL}:3: this layer may not import sklearn"
    ]


@pytest.mark.parametrize("path", TEST_FILES, ids=str)
def test_a_test_file_has_one_subject_and_can_be_read_at_once(path):
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_LINES
