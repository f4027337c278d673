"""What each mechanism of the code buys: fits with it and without it, in turns.

A mechanism is switched off by other thresholds or block sizes of a fit, or by a patch
if it has none. The times are processor time, which other work on the machine disturbs
least, and the minimum of several turns; run it with OMP_NUM_THREADS=1. ``--wall`` takes
the time of the clock, for what threads share.

    python -m benchmarks.mechanisms --which by_blocks --data DIR
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from sklearn.base import clone

from benchmarks import mechanism_cases as cases
from benchmarks.common import ROOT, geometric_mean, quietly, table
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.spec import TrainSpec


class Off(NamedTuple):
    """One way to switch a mechanism off: other values, and patches of names."""

    thresholds: Mapping[str, float] = {}
    block_sizes: Mapping[str, float] = {}
    patches: tuple[AbstractContextManager, ...] = ()


class Mechanism(NamedTuple):
    """What to fit with a mechanism and without it."""

    cases: Callable[[Path], Iterator[cases.Case]]
    off: dict[str, Off]


def patched(name: str, value: Any) -> Off:
    """Return a toggle that gives a name of the package another value."""
    return Off(patches=(patch(f"sknn_simple.{name}", value),))


def stored_pairs(count: int) -> Off:
    """Return a toggle that gives L-BFGS a fixed number of pairs."""
    solver = SOLVERS["lbfgs"]._replace(options={"maxcor": count})
    return Off(patches=(patch.dict(SOLVERS, lbfgs=solver),))


_REPRESENTS = "_training.subsampling.resembles"
_BY_LEVERAGE = "_training.subsampling._draw_by_leverage"
_ROUNDED = "_data.features.FeatureTransform._rounded"

LEVERAGE = {
    "even sample": patched(_REPRESENTS, lambda *_: True),
    # One row has not every class: the subsample gives a start only.
    "start only": patched(_BY_LEVERAGE, lambda n, p: p.data.rows([0])),
}
LBFGS = {f"{count} pairs": stored_pairs(count) for count in (20, 40, 80)}
LBFGS["usual scaling"] = patched("_optim.lbfgs._SCALING_EXPONENT", 0.0)
WHOLE_STEPS = patched("_optim.newton_cholesky._STEEP", np.inf)
# With FEATURE_STEP = None there would be no float32 phase either.
ROUNDING = {"off": patched(_ROUNDED, lambda self, values: values)}
BLOCKS = {
    "many shares": Off(block_sizes={"share_work": 1.0}),
    "quarter of block_bytes": Off(block_sizes={"block_bytes": 2**19}),
    "four times block_bytes": Off(block_sizes={"block_bytes": 2**23}),
}
ROW_SPACE = {"off": patched("_training.heuristics.ROW_SPACE_ROWS", 0)}

MECHANISMS = {
    "leverage": Mechanism(cases.categories, LEVERAGE),
    "by_blocks": Mechanism(cases.multiclass, {"off": Off({"block_columns": 0})}),
    "longer_steps": Mechanism(cases.few_params, {"off": WHOLE_STEPS}),
    "sample": Mechanism(cases.many_rows, {"off": Off({"subsample_part": 0.0})}),
    "row_space": Mechanism(cases.wide, ROW_SPACE),
    "float32": Mechanism(cases.networks, {"off": Off({"float32_work": float("inf")})}),
    "lbfgs": Mechanism(cases.several_networks, LBFGS),
    "rounding": Mechanism(cases.networks, ROUNDING),
    "blocks": Mechanism(cases.shapes, BLOCKS),
    "rescaling": Mechanism(cases.texts, {"off": Off({"first_renewal": 10**9})}),
    "sparse_blocks": Mechanism(
        cases.texts, {"off": Off(block_sizes={"values_per_column": 0})}
    ),
}


def fit(case: cases.Case, off: Off) -> Any:
    """Return a case's model, fitted with a mechanism switched off."""
    model = clone(case.model)
    original = model._train_spec

    def train_spec(data: TrainingSet) -> TrainSpec:
        spec = original(data)
        return spec._replace(
            thresholds=spec.thresholds._replace(**off.thresholds),
            block_sizes=spec.block_sizes._replace(**off.block_sizes),
        )

    with patch.object(model, "_train_spec", train_spec), ExitStack() as stack:
        for context in off.patches:
            stack.enter_context(context)
        return quietly(lambda: model.fit(case.data.X, case.data.y))


def common_goal(*models: Any) -> list[int]:
    """Return the iterations of fits to 1.003 times the highest of their final J."""
    goal = 1.003 * max(model.loss_ for model in models)
    return [int(np.argmax(np.array(model.loss_curve_) <= goal)) for model in models]


def measure(
    case: cases.Case,
    ways: Mapping[str, Off],
    least: float,
    clock: Callable[[], float] = time.process_time,
) -> list[dict[str, Any]]:
    """Return a row per way to switch off: time with and without, iterations, J.

    The fits with the mechanism take `least` seconds together, or a little more.
    """
    models: dict[str, Any] = {}
    times: dict[str, list[float]] = {way: [] for way in ("on", *ways)}
    on = times["on"]
    while len(on) < 2 or (len(on) < 15 and sum(on) < least):
        for way, off in (("on", Off()), *ways.items()):
            begun = clock()
            models[way] = fit(case, off)
            times[way].append(clock() - begun)
    return [
        {
            "data": case.name,
            "off": way,
            "on, ms": 1e3 * min(on),
            "off, ms": 1e3 * min(times[way]),
            "off / on": min(times[way]) / min(on),
            "iterations": f"{models['on'].n_iter_}, {models[way].n_iter_}",
            "to 1.003 J": "{}, {}".format(*common_goal(models["on"], models[way])),
            "J off / on": f"{models[way].loss_ / models['on'].loss_:.5f}",
        }
        for way in ways
    ]


def main(
    arguments: list[str] | None = None, mechanisms: dict[str, Mechanism] = MECHANISMS
) -> None:
    """Measure the mechanisms asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--which", choices=[*mechanisms, "all"], default="all")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", default="", help="a part of the cases' names")
    parser.add_argument("--least", type=float, default=1.0, help="seconds for each")
    parser.add_argument("--wall", action="store_true", help="time of the clock")
    options = parser.parse_args(arguments)
    clock = time.perf_counter if options.wall else time.process_time
    for which in mechanisms if options.which == "all" else [options.which]:
        make_cases, off = mechanisms[which]
        rows = []
        for case in make_cases(options.data):
            if options.only in case.name:
                rows += measure(case, off, options.least, clock)
        print(f"\n{which}\n\n{table(rows)}\n", flush=True)
        for way in off:
            ratios = [row["off / on"] for row in rows if row["off"] == way]
            print(f"{way}: off / on {geometric_mean(ratios):.3f} (geometric mean)")


if __name__ == "__main__":
    main()
