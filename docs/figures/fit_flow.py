"""What flows through ``fit``, and in which layer."""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROWS = [  # y, [(x, width, text, layer)]
    (6, [(0.0, 9, "X, y, sample_weight", "user")]),
    (5, [(0.0, 9, "_training_set: checked arrays, class codes, weights, S", "top")]),
    (
        4,
        [
            (
                0.0,
                4.3,
                "_logistic / _mlp: the Recipe\n(network, alpha, signs, solver)",
                "top",
            ),
            (4.7, 4.3, "start: zeros, drawn weights,\nor the last fit", "top"),
        ],
    ),
    (
        3,
        [
            (0.0, 4.3, "_nn: network, loss, row blocks\n→ Objective  J, ∇J, H·v", "nn"),
            (4.7, 4.3, "_optim: scaling θ = T u,\nbounds from the signs", "optim"),
        ],
    ),
    (
        2,
        [
            (
                0.0,
                9,
                "_optim/solvers: minimise(problem, start, bounds, observer)",
                "optim",
            )
        ],
    ),
    (1, [(0.0, 9, "Result: x, value, gradient norm, outcome  →  θ = T x", "top")]),
    (0, [(0.0, 9, "coef_, intercept_, loss_curve_, converged_ …", "user")]),
]
COLOURS = {"user": "#f2f2f2", "top": "#fde9d9", "nn": "#dbe7f5", "optim": "#dff0dc"}
NAMES = {
    "top": "the classifiers' modules",
    "nn": "_nn: the mathematics",
    "optim": "_optim: minimising",
}

fig, ax = plt.subplots(figsize=(7.6, 6.4))
for y, boxes in ROWS:
    for x, width, text, layer in boxes:
        ax.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                0.62,
                boxstyle="round,pad=0,rounding_size=0.1",
                facecolor=COLOURS[layer],
                edgecolor="0.35",
            )
        )
        ax.text(x + width / 2, y + 0.31, text, ha="center", va="center", fontsize=9)


def arrow(x, y_from, y_to, style="-|>"):
    """Draw a vertical arrow."""
    ax.add_patch(
        FancyArrowPatch(
            (x, y_from), (x, y_to), arrowstyle=style, mutation_scale=11, color="0.3"
        )
    )


for top in (6, 5, 4, 3):
    for x in (2.15, 6.85):
        arrow(x, top, top - 0.38)
for top in (2, 1):
    arrow(4.5, top, top - 0.38)
for i, (layer, name) in enumerate(NAMES.items()):
    ax.scatter(0.15 + 3.2 * i, -0.5, s=90, marker="s", color=COLOURS[layer], ec="0.35")
    ax.text(0.4 + 3.2 * i, -0.5, name, va="center", fontsize=9)
ax.set(xlim=(-0.1, 9.1), ylim=(-0.75, 6.75))
ax.axis("off")
