"""Log-loss and seconds of models as they come, relative to OneHiddenMLP."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke
from stored import results

# Log-losses below this count as this, as in benchmarks/defaults.py.
FLOOR = 0.05
LABELS = {
    "LogisticNN": "LogisticNN",
    "MLPClassifier": "scaler + MLPClassifier",
    "RealMLP-TD": "RealMLP-TD (pytabkit)",
    "HistGradientBoosting": "HistGradientBoosting",
    "LogisticRegression": "scaler + LogisticRegression",
    "RandomForest": "RandomForest",
    "LogisticRegressionCV": "scaler + LogisticRegressionCV",
    "MLPClassifier, raw": "MLPClassifier without a scaler",
}
found = results("defaults")


def ratios(measure, model):
    """Return the ratios to OneHiddenMLP, of each table."""
    least = FLOOR if measure == "log-loss" else 0.0
    rows = [row for row in found[measure] if not row["set"].endswith("all rows")]
    return np.array(
        [max(row[model], least) / max(row["OneHiddenMLP"], least) for row in rows]
    )


def mean(values):
    """Return the geometric mean."""
    return float(np.exp(np.log(values).mean()))


models = sorted(LABELS, key=lambda model: mean(ratios("log-loss", model)), reverse=True)
PICTURES = {
    "log-loss": ("log-loss: lower is better", [0.5, 1, 2, 5, 10]),
    "seconds": ("seconds of three fits", [0.01, 0.1, 1, 10, 100]),
}
for measure, (title, ticks) in PICTURES.items():
    _, ax = plt.subplots(figsize=(4.4, 3.7))
    for place, model in enumerate(models):
        values = ratios(measure, model)
        spread = place + np.linspace(-0.18, 0.18, len(values))
        ax.plot(values, spread, ".", color="#1f5fa8", alpha=0.35, ms=6)
        ax.plot(mean(values), place, "D", color="#d1602c", ms=7)
        ax.annotate(
            f"{mean(values):.2g}×",
            (mean(values), place),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color="#a03c10",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    ax.axvline(1.0, color="0.3", lw=1.2, ls="--")
    ax.set_xscale("log")
    ax.set_title(title)
    ax.set_xlabel("relative to OneHiddenMLP")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(models)), [LABELS[model] for model in models])
    ax.set_ylim(-0.5, len(models) - 0.2)
