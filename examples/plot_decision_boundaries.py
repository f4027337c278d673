"""
===============================================
Decision boundaries: from 0 to 100 hidden units
===============================================

A network without a hidden layer can only cut the plane with straight lines. Each hidden
unit adds one bend. Here the same two data sets are given to ``LogisticNN`` and to
``OneHiddenMLP`` with 3, 10 and 100 hidden units.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Two problems in the plane
# -------------------------
#
# Two half-moons, and three arms of a spiral, both with noise. Half of the rows are for
# training, the other half for testing.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from sklearn.datasets import make_moons
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import LogisticNN, OneHiddenMLP


def make_spiral(n_per_arm, noise, seed):
    """Return three arms that wind around each other once."""
    generator = np.random.default_rng(seed)
    radius = np.sqrt(generator.uniform(0.02, 1.0, (3, n_per_arm)))
    angle = 4.5 * radius + 2 * np.pi / 3 * np.arange(3)[:, None]
    arms = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    X = arms.reshape(-1, 2) + generator.normal(0, noise, (3 * n_per_arm, 2))
    return X, np.repeat(np.arange(3), n_per_arm)


DATA = {
    "moons": make_moons(400, noise=0.25, random_state=0),
    "spiral": make_spiral(200, noise=0.06, seed=0),
}
MODELS = {"LogisticNN, no hidden unit": LogisticNN(alpha=0.1)}
for h in (3, 10, 100):
    MODELS[f"OneHiddenMLP, {h} hidden units"] = OneHiddenMLP(
        h, "tanh", alpha=0.1, n_init=3, random_state=0
    )

# %%
# Trained and tested
# ------------------

fitted, split, train_loss, test_loss = {}, {}, {}, {}
print(
    "data    model                            parameters  train loss  test loss  test"
)
for data, (X, y) in DATA.items():
    split[data] = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
    X_train, X_test, y_train, y_test = split[data]
    for name, prototype in MODELS.items():
        model = type(prototype)(**prototype.get_params()).fit(X_train, y_train)
        fitted[data, name] = model
        if isinstance(model, LogisticNN):
            arrays = [model.coef_, model.intercept_]
        else:
            arrays = model.coefs_ + model.intercepts_
        train_loss[data, name] = log_loss(y_train, model.predict_proba(X_train))
        test_loss[data, name] = log_loss(y_test, model.predict_proba(X_test))
        print(
            f"{data:<7} {name:<32} {sum(a.size for a in arrays):>10}"
            f"{train_loss[data, name]:>12.3f}"
            f"{test_loss[data, name]:>11.3f}"
            f"{model.score(X_test, y_test):>6.3f}"
        )

# %%
# The picture
# -----------
#
# The colour shows the most probable class; it is paler if the network is less certain.
# Dots are the test rows. The number in the corner is the accuracy on them.

COLOURS = ["#0072B2", "#E69F00", "#009E73"]
MARKERS = ["o", "^", "s"]

for data in DATA:
    fig, axes = plt.subplots(2, 2, figsize=(4.6, 5.2), layout="constrained")
    fig.suptitle(data)
    X, _ = DATA[data]
    _, X_test, _, y_test = split[data]
    low, high = X.min(axis=0) - 0.15, X.max(axis=0) + 0.15
    grid = np.stack(
        np.meshgrid(
            np.linspace(low[0], high[0], 250), np.linspace(low[1], high[1], 250)
        ),
        axis=-1,
    )
    for ax, name in zip(axes.flat, MODELS, strict=True):
        model = fitted[data, name]
        probability = model.predict_proba(grid.reshape(-1, 2))
        n_classes = probability.shape[1]
        rgb = np.array([to_rgb(colour) for colour in COLOURS[:n_classes]])
        sure = (probability.max(axis=1, keepdims=True) * n_classes - 1) / (
            n_classes - 1
        )
        picture = 1 - (0.04 + 0.4 * sure) * (1 - rgb[probability.argmax(axis=1)])
        ax.imshow(
            picture.reshape(250, 250, 3),
            extent=(low[0], high[0], low[1], high[1]),
            origin="lower",
            aspect="auto",
            interpolation="bilinear",
        )
        classes = probability.argmax(axis=1).reshape(250, 250)
        for k in range(1, n_classes):
            ax.contour(
                grid[..., 0],
                grid[..., 1],
                classes >= k,
                levels=[0.5],
                colors="0.25",
                linewidths=1,
            )
        for k in range(n_classes):
            ax.scatter(
                *X_test[y_test == k].T,
                s=18,
                marker=MARKERS[k],
                color=COLOURS[k],
                edgecolor="white",
                linewidth=0.4,
            )
        ax.text(
            0.97,
            0.03,
            f"{model.score(X_test, y_test):.2f}",
            transform=ax.transAxes,
            ha="right",
            fontsize="large",
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
        )
        ax.set(xticks=[], yticks=[])
        ax.set_title(name.replace(", ", "\n"))
plt.show()

# %%
# Conclusion
# ----------

for data in DATA:
    best = min(MODELS, key=lambda name: test_loss[data, name])
    print(f"{data}: lowest test loss with {best}")

no_unit, three, ten, hundred = MODELS
for data in DATA:
    assert test_loss[data, three] < 0.8 * test_loss[data, no_unit]
    assert abs(test_loss[data, hundred] - test_loss[data, ten]) < 0.01
assert test_loss["moons", three] <= test_loss["moons", ten]
assert train_loss["moons", three] > train_loss["moons", ten]
assert test_loss["spiral", ten] < 0.5 * test_loss["spiral", three]

# %%
# - Three units are enough for the moons: ten overfit a little. They fit the training
#   rows better and the test rows worse.
# - The spiral needs more bends than three units have; ten are enough.
# - A hundred units do no harm here. The penalty ``alpha``, not the number of units,
#   keeps the boundary smooth: 10 and 100 units draw nearly the same line.
