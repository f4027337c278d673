"""
============================
A penalty chosen by the data
============================

How strong should the penalty be? On a table with noise a network with a weak penalty
overfits, and can be worse than no network at all. ``alpha="auto"``, the default,
chooses the strength from the training rows: ``LogisticNN`` by the evidence,
``OneHiddenMLP`` by cross-validation. Here both choices are compared with a grid of
fixed values.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# A table with noise
# ------------------
#
# 442 patients, ten measurements, and the progress of their diabetes after a year. The
# model predicts whether it is above the median. No model can be sure: patients with
# nearly the same measurements have different outcomes.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit

from sknn_simple import AlphaDisplay, LogisticNN, OneHiddenMLP

X, progress = load_diabetes(return_X_y=True)
y = progress > np.median(progress)
MODELS = {"LogisticNN": LogisticNN(), "OneHiddenMLP": OneHiddenMLP(random_state=0)}

# %%
# The path of one fit
# -------------------
#
# ``cv_results_`` holds the alphas that the network tried, from strong to weak. The path
# ends when the log-loss of the held-out rows hardly falls. The fit takes the alpha with
# the lowest one, or the middle between it and a neighbour.

for model in MODELS.values():
    model.fit(X, y)
network = MODELS["OneHiddenMLP"]
table = network.cv_results_
n_folds = len(table) - 3  # "alpha", "mean_log_loss", "std_log_loss", and the folds
print("   alpha  held-out log-loss")
for alpha, mean, std in zip(
    table["alpha"], table["mean_log_loss"], table["std_log_loss"], strict=True
):
    error = std / np.sqrt(n_folds - 1)
    print(f"{alpha:>8.1f}  {mean:.3f} ± {error:.3f}")
print(f"{network.alpha_:>8.1f}  is chosen")

# %%
# ``LogisticNN`` needs no held-out rows. ``evidence_path_`` holds its rounds.

linear = MODELS["LogisticNN"]
for alpha, evidence in zip(*linear.evidence_path_.values(), strict=True):
    print(f"alpha {alpha:.1f}: log evidence {evidence:.1f}")
print(f"weights that the data determine: {linear.n_effective_:.1f} of {X.shape[1]}")

# %%
# Against fixed values
# --------------------
#
# Ten times, half of the rows are drawn to train on, and the other half to test on.
# Each fit with ``alpha="auto"`` sees only its training rows.

ALPHAS = np.array([0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
N_DRAWS = 10
SPLITS = StratifiedShuffleSplit(N_DRAWS, train_size=0.5, random_state=0)
losses = {name: np.empty((N_DRAWS, len(ALPHAS) + 1)) for name in MODELS}
seconds = {name: np.zeros(len(ALPHAS) + 1) for name in MODELS}
for name, model in MODELS.items():
    for draw, (train, test) in enumerate(SPLITS.split(X, y)):
        for column, alpha in enumerate([*ALPHAS, "auto"]):
            start = time.perf_counter()
            fitted = clone(model).set_params(alpha=alpha).fit(X[train], y[train])
            seconds[name][column] += (time.perf_counter() - start) / N_DRAWS
            probability = fitted.predict_proba(X[test])
            losses[name][draw, column] = log_loss(y[test], probability)

print("mean test log-loss")
print("alpha         " + "".join(f"{alpha:>7g}" for alpha in ALPHAS) + "   auto")
for name, values in losses.items():
    print(f"{name:<14}" + "".join(f"{loss:>7.3f}" for loss in values.mean(axis=0)))
for name, spent in seconds.items():
    print(f"seconds of a fit, {name}: alpha=1 {spent[1]:.3f}, auto {spent[-1]:.3f}")

# %%
# The picture
# -----------
#
# First, how the two fits on all rows chose. Last, the mean test log-loss of fixed
# values (lines) and of ``alpha="auto"`` (dashed). The dotted line is the log-loss of an
# even chance for every patient.

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "0.5"
COLOURS = {"LogisticNN": ORANGE, "OneHiddenMLP": BLUE}
for name, model in MODELS.items():
    _, ax = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
    AlphaDisplay.from_estimator(model, ax=ax, line_kw={"color": COLOURS[name]})
    ax.set_title(f"The choice of {name}")
    ax.spines[["top", "right"]].set_visible(False)
_, ax = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
for name, values in losses.items():
    *fixed, auto = values.mean(axis=0)
    ax.plot(ALPHAS, fixed, "o-", color=COLOURS[name], label=name)
    ax.axhline(auto, color=COLOURS[name], ls="--", lw=1)
ax.axhline(np.log(2), color=GREY, ls=":")
ax.set(xscale="log", xlabel="alpha", ylabel="test log-loss", ylim=(0.45, 1.1))
ax.set_title("Fixed values, and auto (dashed)")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Conclusion
# ----------

for name, values in losses.items():
    *fixed, auto = values.mean(axis=0)
    best = int(np.argmin(fixed))
    print(
        f"{name}: auto {auto:.3f}, best fixed value {fixed[best]:.3f} "
        f"(alpha={ALPHAS[best]:g}), worst {max(fixed):.3f}"
    )
    assert auto < 1.03 * fixed[best]
network_loss = losses["OneHiddenMLP"].mean(axis=0)
print(f"an even chance: {np.log(2):.3f}")
weak = clone(network).set_params(alpha=1.0).fit(X, y)
print(f"iterations of the last fit: {network.n_iter_}, with alpha=1 {weak.n_iter_}")
assert network.n_iter_ < weak.n_iter_ / 2
assert np.ptp(losses["LogisticNN"].mean(axis=0)) < 0.1
assert network_loss[0] > np.log(2) + 0.1
assert network_loss[-1] < np.log(2) - 0.1

# %%
# - With a weak penalty the network is worse than an even chance for every patient: it
#   is sure of answers that are wrong. ``LogisticNN`` has ten weights and depends little
#   on alpha.
# - ``alpha="auto"`` is within three per cent of the best fixed value, and does not see
#   the test rows.
# - A strong penalty also makes the last fit short, which saves some of the time that
#   the search takes.
# - The band of the folds is wide on 442 rows: these rows cannot tell whether the best
#   alpha or one beside it is better.
