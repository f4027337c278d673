"""A probability against one column, without and with a monotonic constraint."""

import matplotlib.pyplot as plt
import numpy as np

from sknn_simple import OneHiddenMLP

generator = np.random.RandomState(1)
X = generator.uniform(-2, 2, size=(120, 2))
truth = 1 / (1 + np.exp(-(2.0 * X[:, 0] + X[:, 1])))
y = generator.uniform(size=len(X)) < truth
line = np.linspace(-2, 2, 200)
for constraint in (None, [1, 0]):
    _, ax = plt.subplots(figsize=(3.9, 3.3))
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
    ax.set(
        title=f"monotonic_cst={constraint}", xlabel="first column", ylim=(-0.03, 1.03)
    )
    ax.set_ylabel("probability of the second class")
    ax.legend(loc="lower right", fontsize=9)
