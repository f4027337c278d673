"""Input, hidden and output layer, with the arrays between them."""

from itertools import pairwise

import matplotlib.pyplot as plt

LAYERS = {
    "input layer\nx, a number\nper column": (0.0, ["$x_1$", "$x_2$"]),
    "hidden layer\na = φ(W₁x + b₁)": (1.0, ["$a_1$", "$a_2$", "$a_3$"]),
    "output layer\nz = W₂a + b₂": (2.0, ["$z$"]),
}


def heights(count):
    """Return `count` heights around 0."""
    return [(count - 1) / 2 - i for i in range(count)]


fig, ax = plt.subplots(figsize=(5.2, 3.2))
columns = list(LAYERS.values())
for (x0, left), (x1, right) in pairwise(columns):
    for y0 in heights(len(left)):
        for y1 in heights(len(right)):
            ax.plot([x0, x1], [y0, y1], color="0.7", lw=1.2, zorder=1)
for title, (x, units) in LAYERS.items():
    for y, unit in zip(heights(len(units)), units, strict=True):
        ax.scatter(x, y, s=1100, color="#dbe7f5", edgecolor="#1f5fa8", zorder=2)
        ax.text(x, y, unit, ha="center", va="center", fontsize=13, zorder=3)
    ax.text(x, -1.62, title, ha="center", va="top", fontsize=9.5)
ax.text(0.5, 1.25, "weights $W_1$", ha="center", fontsize=11)
ax.text(1.5, 1.25, "weights $W_2$", ha="center", fontsize=11)
ax.text(2.22, 0, "→  p = σ(z)", va="center", fontsize=11)
ax.set(xlim=(-0.6, 3.1), ylim=(-2.75, 1.6))
ax.axis("off")
