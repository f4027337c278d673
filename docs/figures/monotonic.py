"""A probability against one column, without and with a monotonic constraint."""

import matplotlib.pyplot as plt
import numpy as np

from sknn_simple import OneHiddenMLP

generator = np.random.RandomState(1)
X = generator.uniform(-2, 2, size=(120, 2))
truth = 1 / (1 + np.exp(-(2.0 * X[:, 0] + X[:, 1])))
y = generator.uniform(size=len(X)) < truth
line = np.linspace(-2, 2, 200)
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.3), sharey=True)
for ax, constraint in zip(axes, (None, [1, 0]), strict=True):
    model = OneHiddenMLP(
        20, "tanh", alpha=0.1, monotonic_cst=constraint, random_state=0
    ).fit(X, y)
    for other, colour in ((-1.0, "#1f5fa8"), (0.0, "0.45"), (1.0, "#d1602c")):
        rows = np.column_stack([line, np.full_like(line, other)])
        ax.plot(
            line,
            model.predict_proba(rows)[:, 1],
            color=colour,
            lw=2,
            label=f"second column = {other:g}",
        )
    ax.set(title=f"monotonic_cst={constraint}", xlabel="first column")
axes[0].set_ylabel("probability of the second class")
axes[1].legend(loc="lower right", fontsize=9)
