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
                5.9,
                "_logistic, _mlp: the Recipe\n(network, alpha, signs, solver, limits)",
                "top",
            ),
            (6.1, 2.9, "start: zeros, drawn\nweights or the last fit", "top"),
        ],
    ),
    (
        3,
        [
            (0.0, 2.8, "_model: network, loss,\nobjective → J, ∇J, H·v", "nn"),
            (3.0, 2.9, "_approach: solver\nand coordinates", "top"),
            (6.1, 2.9, "_optim: θ = T u,\nbounds from signs", "optim"),
        ],
    ),
    (
        2,
        [
            (0.0, 5.9, "_optim/solvers: minimise\n(scipy.optimize.minimize)", "optim"),
            (6.1, 2.9, "_monitors: early\nstopping, callbacks", "top"),
        ],
    ),
    (1, [(0.0, 9, "Result: u, J, gradient norm, outcome  →  θ = T u", "top")]),
    (0, [(0.0, 9, "coef_, intercept_, loss_curve_, converged_ …", "user")]),
]
COLOURS = {"user": "#f2f2f2", "top": "#fde9d9", "nn": "#dbe7f5", "optim": "#dff0dc"}
NAMES = {
    "top": "the classifiers' modules",
    "nn": "_model: the mathematics",
    "optim": "_optim: minimising",
}
# x, from the box that begins at this height to the next one.
ARROWS = [
    *((x, y) for y in (6, 5) for x in (2.95, 7.55)),
    *((x, y) for y in (4, 3) for x in (1.4, 4.45, 7.55)),
    *((4.5, y) for y in (2, 1)),
]

fig, ax = plt.subplots(figsize=(7.2, 6.6))
for y, boxes in ROWS:
    for x, width, text, layer in boxes:
        ax.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                0.64,
                boxstyle="round,pad=0,rounding_size=0.1",
                facecolor=COLOURS[layer],
                edgecolor="0.35",
            )
        )
        ax.text(x + width / 2, y + 0.32, text, ha="center", va="center", fontsize=9.5)


def arrow(start, end, style):
    """Draw an arrow."""
    ax.add_patch(
        FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=11, color="0.3")
    )


for x, y in ARROWS:
    if (x, y) == (7.55, 3):  # the monitors are asked by the solver alone
        arrow((6.6, y), (5.4, y - 0.36), "-|>")
    else:
        arrow((x, y), (x, y - 0.36), "-|>")
arrow((5.85, 2.32), (6.15, 2.32), "<|-|>")
for i, (layer, name) in enumerate(NAMES.items()):
    ax.scatter(0.15 + 3.2 * i, -0.5, s=90, marker="s", color=COLOURS[layer], ec="0.35")
    ax.text(0.4 + 3.2 * i, -0.5, name, va="center", fontsize=9.5)
ax.set(xlim=(-0.1, 9.1), ylim=(-0.75, 6.75))
ax.axis("off")
