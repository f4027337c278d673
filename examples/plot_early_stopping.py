"""
============================
Early stopping against alpha
============================

A flexible network can overfit: it fits the noise in its training rows. There are two
remedies. Stop before that happens (``early_stopping``), which costs the rows that are
set aside for validation. Or minimise an objective with a penalty (``alpha``) to the
end, which costs a search for its strength: ``alpha="auto"``, the default.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Labels with noise
# -----------------
#
# 300 rows of 20 columns, one label in ten drawn at random; 4000 fresh rows to test on.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import LossCurveDisplay, OneHiddenMLP


def rows(seed):
    X, y = make_classification(
        4300,
        20,
        n_informative=8,
        n_clusters_per_class=3,
        flip_y=0.1,
        class_sep=1.2,
        random_state=seed,
    )
    return train_test_split(X, y, train_size=300, stratify=y, random_state=seed)


X_train, X_test, y_train, y_test = rows(0)

# %%
# One fit in detail
# -----------------
#
# ``n_iter_no_change=60`` lets the fit continue for a while, to show what happens later.

watched = OneHiddenMLP(
    30,
    alpha=0,
    early_stopping=True,
    validation_fraction=0.25,
    n_iter_no_change=60,
    random_state=0,
).fit(X_train, y_train)
best = int(np.argmin(watched.validation_loss_curve_))
print(f"iterations run: {watched.n_iter_}, kept: {best}")
print(
    f"training loss there {watched.loss_curve_[best]:.3f}, at the end "
    f"{watched.loss_curve_[-1]:.3f}"
)
print(
    f"validation loss there {watched.validation_loss_curve_[best]:.3f}, at the end "
    f"{watched.validation_loss_curve_[-1]:.3f}"
)

# %%
# The comparison
# --------------
#
# Six draws of the data. Each strength of the penalty is trained to the end, and stopped
# early. In addition, ``alpha="auto"`` chooses a strength.

ALPHAS = np.array([0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
N_DRAWS = 6
full, stopped = np.empty((2, N_DRAWS, len(ALPHAS)))
searched, seconds = np.empty(N_DRAWS), np.zeros(3)


def test_loss(model):
    return log_loss(y_test, model.predict_proba(X_test))


for draw in range(N_DRAWS):
    X_train, X_test, y_train, y_test = rows(draw)
    begun = time.perf_counter()
    for i, alpha in enumerate(ALPHAS):
        model = OneHiddenMLP(30, alpha=alpha, random_state=draw)
        full[draw, i] = test_loss(model.fit(X_train, y_train))
    seconds[0] += time.perf_counter() - begun
    begun = time.perf_counter()
    for i, alpha in enumerate(ALPHAS):
        model = OneHiddenMLP(
            30,
            alpha=alpha,
            early_stopping=True,
            validation_fraction=0.25,
            random_state=draw,
        )
        stopped[draw, i] = test_loss(model.fit(X_train, y_train))
    seconds[1] += time.perf_counter() - begun
    begun = time.perf_counter()
    model = OneHiddenMLP(30, random_state=draw)
    searched[draw] = test_loss(model.fit(X_train, y_train))
    seconds[2] += time.perf_counter() - begun

print("mean test log-loss of the draws")
print("alpha    to the end  stopped early")
for i, alpha in enumerate(ALPHAS):
    print(f"{alpha:>6g}{full[:, i].mean():>11.3f}{stopped[:, i].mean():>14.3f}")
print(f'alpha="auto", to the end: {searched.mean():.3f}')
print(
    f"seconds per fit: to the end {seconds[0] / full.size:.3f}, stopped early "
    f'{seconds[1] / full.size:.3f}; with alpha="auto" {seconds[2] / N_DRAWS:.3f}'
)

# %%
# The picture
# -----------

BLUE, ORANGE, BLACK = "#0072B2", "#D55E00", "#000000"
_, left = plt.subplots(figsize=(4.6, 4.1), layout="constrained")
_, right = plt.subplots(figsize=(4.6, 4.1), layout="constrained")
LossCurveDisplay.from_estimator(
    watched,
    ax=left,
    name="alpha=0",
    line_kw={"color": BLUE},
    validation_line_kw={"color": ORANGE},
    yscale="log",
)
left.set_ylim(1e-3, 10)
left.legend(loc="lower right", fontsize="small")
left.set_title("One fit: the dot is the iterate that is kept")
for losses, colour, marker, label in (
    (full, BLUE, "o", "trained to the end"),
    (stopped, ORANGE, "s", "stopped early"),
):
    mean, error = losses.mean(axis=0), losses.std(axis=0) / np.sqrt(N_DRAWS)
    right.errorbar(
        ALPHAS, mean, error, color=colour, marker=marker, capsize=3, label=label
    )
right.axhline(searched.mean(), color=BLACK, ls="--", label='alpha="auto"')
right.set_xscale("log")
right.set(xlabel="alpha", ylabel="test log-loss, mean of six draws")
right.set_title("Six draws of the data")
right.legend(frameon=False)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Conclusion
# ----------

best_full, best_stopped = full.mean(axis=0).min(), stopped.mean(axis=0).min()
print(
    f"best alpha, trained to the end: {best_full:.3f}, "
    f"stopped early: {best_stopped:.3f}"
)
at_best = [losses[:, losses.mean(axis=0).argmin()] for losses in (full, stopped)]
print(
    f"draws in which the first is lower: {np.sum(at_best[0] < at_best[1])} of {N_DRAWS}"
)
print(f"weakest alpha: {full[:, 0].mean():.3f} and {stopped[:, 0].mean():.3f}")
assert searched.mean() < 1.03 * best_full
assert full[:, 0].mean() > stopped[:, 0].mean() > best_full
assert best_stopped > best_full
assert stopped[:, 0].mean() > searched.mean()

# %%
# - If the penalty is too weak, early stopping rescues the fit: L-BFGS passes the best
#   iterate after a few iterations, and early stopping returns to it.
# - A penalty of the right strength is better than early stopping at any strength, and
#   the fit uses all rows. ``alpha="auto"`` is as good as the best of the six strengths,
#   to within three per cent.
# - One fit with early stopping takes a part of the time of ``alpha="auto"``, which
#   searches. At the best ``alpha`` it costs a little log-loss.
