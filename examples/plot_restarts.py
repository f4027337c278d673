"""
=========================
Restarts and local minima
=========================

The objective of a network with a hidden layer has many local minima. Training starts
from random weights, and the minimum that it reaches depends on them. ``n_init`` trains
from several starts and keeps the best. ``init_losses_`` contains the final value of
each start, which shows whether more starts are worth their time.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Two arms of a spiral
# --------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import log_loss

from sknn_simple import OneHiddenMLP

N_STARTS = 30


def make_spiral(n_per_arm, seed):
    """Return two arms that wind around each other."""
    generator = np.random.default_rng(seed)
    radius = np.sqrt(generator.uniform(0.02, 1.0, (2, n_per_arm)))
    angle = 8.5 * radius + np.pi * np.arange(2)[:, None]
    arms = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    X = arms.reshape(-1, 2) + generator.normal(0, 0.04, (2 * n_per_arm, 2))
    return X, np.repeat([0, 1], n_per_arm)


X, y = make_spiral(150, seed=0)
X_test, y_test = make_spiral(1000, seed=1)


def network(n_hidden, **parameters):
    return OneHiddenMLP(n_hidden, "tanh", alpha=0.02, tol=1e-5, **parameters)


# %%
# Thirty starts for five sizes
# ----------------------------
#
# The last three columns are the mean of the final objective if one, three or ten of the
# thirty starts are tried and the best is kept.


def expected_best(losses, k):
    """Return the mean of the minimum of k losses drawn without replacement."""
    n = len(losses)
    # The i-th smallest is the minimum of a draw with probability C(n-1-i, k-1)/C(n, k).
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    i = np.arange(n - k + 1)
    log_weight = (
        log_factorial[n - 1 - i] - log_factorial[n - i - k] - log_factorial[k - 1]
    ) - (log_factorial[n] - log_factorial[k] - log_factorial[n - k])
    return np.exp(log_weight) @ np.sort(losses)[i]


SIZES = [3, 5, 8, 15, 40]
losses, means = {}, {}
print(f"final J of {N_STARTS} starts                        best of, on average")
print("units     lowest  median  highest             1       3      10")
for n_hidden in SIZES:
    model = network(n_hidden, n_init=N_STARTS, random_state=0).fit(X, y)
    losses[n_hidden] = model.init_losses_
    assert model.loss_ == model.init_losses_.min()
    low, middle, high = np.quantile(model.init_losses_, [0, 0.5, 1])
    best_of = [expected_best(model.init_losses_, k) for k in (1, 3, 10)]
    means[n_hidden] = best_of
    print(
        f"{n_hidden:>5}{low:>11.3f}{middle:>8.3f}{high:>9.3f}{best_of[0]:>14.3f}"
        f"{best_of[1]:>8.3f}{best_of[2]:>8.3f}"
    )

# %%
# The best and the worst start
# ----------------------------
#
# Five units, thirty fits of one start each.

single = [network(5, random_state=seed).fit(X, y) for seed in range(N_STARTS)]
single.sort(key=lambda model: model.loss_)
extremes = {"Best start of 30": single[0], "Worst start of 30": single[-1]}
test_loss = {
    name: log_loss(y_test, model.predict_proba(X_test))
    for name, model in extremes.items()
}
for name, model in extremes.items():
    print(
        f"{name:<18} J {model.loss_:.3f}, test log-loss {test_loss[name]:.3f}, "
        f"test accuracy {model.score(X_test, y_test):.3f}"
    )

# %%
# The picture
# -----------
#
# First, where each start ended. Then, the two networks with five units.

BLUE, ORANGE = "#0072B2", "#E69F00"
_, ax = plt.subplots(figsize=(4.6, 4), layout="constrained")
generator = np.random.default_rng(0)
for place, n_hidden in enumerate(SIZES):
    jitter = generator.uniform(-0.22, 0.22, N_STARTS)
    ax.scatter(place + jitter, losses[n_hidden], s=22, color=BLUE, alpha=0.55, lw=0)
    ax.hlines(losses[n_hidden].min(), place - 0.35, place + 0.35, color="k", lw=2)
ax.set_xticks(range(len(SIZES)), SIZES)
ax.set(xlabel="hidden units", ylabel="final objective J of a start", ylim=(0, None))
ax.set_title("30 starts each; a bar is the best")
ax.spines[["top", "right"]].set_visible(False)

side = np.linspace(-1.2, 1.2, 300)
grid = np.stack(np.meshgrid(side, side), axis=-1)
for name, model in extremes.items():
    _, ax = plt.subplots(figsize=(4.6, 4.6), layout="constrained")
    probability = model.predict_proba(grid.reshape(-1, 2))[:, 1].reshape(300, 300)
    colours = np.array([[0.0, 0.447, 0.698], [0.902, 0.624, 0.0]])
    sure = np.abs(2 * probability - 1)[..., None]
    picture = 1 - (0.04 + 0.4 * sure) * (1 - colours[(probability > 0.5).astype(int)])
    ax.imshow(picture, extent=(-1.2, 1.2, -1.2, 1.2), origin="lower")
    ax.contour(side, side, probability, levels=[0.5], colors="0.25", linewidths=1)
    ax.scatter(*X[y == 0].T, s=16, color=BLUE, edgecolor="w", lw=0.4)
    ax.scatter(*X[y == 1].T, s=18, marker="^", color=ORANGE, edgecolor="w", lw=0.4)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{name}: J = {model.loss_:.2f}")
plt.show()

# %%
# Conclusion
# ----------

spread = {h: values.max() - values.min() for h, values in losses.items()}
for n_hidden, values in losses.items():
    near = np.mean(values < 1.05 * values.min())
    print(f"{n_hidden:>2} units: {near:.0%} of the starts end within 5 % of the lowest")
assert spread[5] > 0.1 > 0.01 > spread[40]
assert test_loss["Worst start of 30"] > 2 * test_loss["Best start of 30"]
for one, three, ten in (means[3], means[5], means[8]):
    assert one - three > three - ten

# %%
# - If there are barely enough units, the start decides: the best of thirty networks
#   with five units follows the spiral and the worst cuts through it, on test rows too.
# - Three starts instead of one gain more than ten instead of three, for each size that
#   needs restarts.
# - With more units nearly every start ends equally low, and ``n_init=1`` is enough. A
#   wider layer with a penalty is the simpler remedy, unless the network must be small.
