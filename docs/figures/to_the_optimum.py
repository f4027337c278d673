"""How many times as long peers take to the same optimum, on each data set."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

# Beside this script Sphinx runs a copy, so that the results are sought from its folder.
HERE = Path.cwd() if "__file__" not in globals() else Path(__file__).parent
RESULTS = next(
    folder / "benchmarks" / "results" / "avx512"
    for folder in (HERE, *HERE.resolve().parents)
    if (folder / "benchmarks").is_dir()
)


def rows(name):
    """Return the rows of the table of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["table"]


def draw(ax, points, title):
    """Draw a ratio per data set and variant; a bound is a triangle."""
    sets = list(dict.fromkeys(name for name, *_ in points))[::-1]
    for label, color in dict.fromkeys((label, color) for _, label, color, _ in points):
        chosen = [(name, ratio) for name, other, _, ratio in points if other == label]
        exact = [(float(r), sets.index(s)) for s, r in chosen if str(r)[0] != ">"]
        bounds = [(float(r[1:]), sets.index(s)) for s, r in chosen if str(r)[0] == ">"]
        ax.plot(*zip(*exact, strict=True), "o", color=color, label=label)
        if bounds:
            ax.plot(*zip(*bounds, strict=True), ">", color=color)
    ax.axvline(1.0, color="0.3", lw=1.2, ls="--")
    ax.set_xscale("log")
    ax.set_yticks(range(len(sets)), sets)
    ax.set_title(title)
    ax.set_xlabel("seconds of the peer / ours")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)


COLORS = {"raw": "#1f5fa8", "standardised": "#d1602c"}
linear = [
    (row["set"], f"{row['objective']} columns", COLORS[row["objective"]], row[key])
    for row in rows("logistic")
    for key in ["best / ours"]
]
hidden = []
for row in rows("mlp"):
    if row["peer"] == "lbfgs":
        label = f"MLPClassifier, {row['activation']}"
        color = {"relu": "#1f5fa8", "tanh": "#d1602c"}[row["activation"]]
        hidden.append((row["set"], label, color, row["best by hand"]))
    elif row["peer"] == "nnet":
        hidden.append((row["set"], "R's nnet", "#2e7d4f", row["installed"]))

fig, axes = plt.subplots(1, 2, figsize=(9, 4.8))
draw(axes[0], linear, "LogisticNN: best of six solvers")
draw(axes[1], hidden, "OneHiddenMLP: threads set by hand")
for ax, ticks in zip(axes, ([1, 2, 5, 10, 20], [1, 3, 10, 30, 100]), strict=True):
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
