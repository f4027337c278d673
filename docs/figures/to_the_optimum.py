"""How many times as long peers take to the same optimum, on each data set."""

import matplotlib.pyplot as plt
from stored import results


def draw(points, title, ticks):
    """Draw a ratio per data set and variant; a bound is a triangle."""
    _, ax = plt.subplots(figsize=(4.4, 4.8))
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
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()


COLORS = {"raw": "#1f5fa8", "standardised": "#d1602c"}
linear = [
    (
        row["set"],
        f"{row['objective']} columns",
        COLORS[row["objective"]],
        row["best / ours"],
    )
    for row in results("avx512/logistic")["table"]
]
hidden = []
for row in results("avx512/mlp")["table"]:
    if row["peer"] == "lbfgs":
        label = f"MLPClassifier, {row['activation']}"
        color = {"relu": "#1f5fa8", "tanh": "#d1602c"}[row["activation"]]
        hidden.append((row["set"], label, color, row["best by hand"]))
    elif row["peer"] == "nnet":
        hidden.append((row["set"], "R's nnet", "#2e7d4f", row["installed"]))

draw(linear, "LogisticNN: best peer", [1, 2, 5, 10, 20])
draw(hidden, "OneHiddenMLP: threads set by hand", [1, 3, 10, 30, 100])
