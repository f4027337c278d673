"""The way of ``fit`` from the data to the fitted attributes, and in which room."""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

COLOURS = {
    "user": "#f2f2f2",
    "estimator": "#fde9d9",
    "training": "#f6e7f3",
    "model": "#dbe7f5",
    "optim": "#dff0dc",
}
ROOMS = {
    "estimator": "estimators",
    "training": "_training",
    "model": "_model",
    "optim": "_optim",
}
BOXES = [  # x, y, width, height, text, room
    (0.0, 6.6, 9.0, 0.6, "X, y, sample_weight", "user"),
    (
        0.0,
        5.6,
        4.3,
        0.7,
        "TrainingSet:\nchecked arrays,\nclasses, weights",
        "estimator",
    ),
    (4.7, 5.6, 4.3, 0.7, "TrainSpec:\nnetwork, alpha,\nsolver, criteria", "estimator"),
    (0.0, 0.95, 9.0, 4.35, "", "training"),
    (
        0.2,
        4.2,
        4.1,
        0.7,
        "build_problem →\nTrainingProblem:\ntransform, J(θ)",
        "training",
    ),
    (
        4.7,
        4.2,
        4.1,
        0.7,
        "plan_solve → SolvePlan:\nsolver, phases,\nsubsample",
        "training",
    ),
    (
        0.2,
        3.1,
        4.1,
        0.7,
        "start θ: zeros, drawn,\nlast fit, or a\nsubsample's optimum",
        "training",
    ),
    (
        4.7,
        3.1,
        4.1,
        0.7,
        "observers:\nearly stopping,\ncallbacks, progress",
        "training",
    ),
    (
        0.2,
        1.15,
        6.0,
        1.1,
        "minimize(problem, θ,\npreconditioner, criteria,\nhistory) → θ, outcome",
        "optim",
    ),
    (6.7, 1.15, 2.1, 1.1, "J, ∇J, H·v,\na block of\nrows at a\ntime", "model"),
    (0.0, 0.0, 9.0, 0.6, "coef_, intercept_, loss_curve_, converged_ …", "user"),
]
ARROWS = [  # start, end, style
    ((2.15, 6.6), (2.15, 6.3), "-|>"),
    ((6.85, 6.6), (6.85, 6.3), "-|>"),
    ((2.15, 5.6), (2.15, 4.9), "-|>"),
    ((5.3, 5.6), (4.1, 4.9), "-|>"),
    ((6.85, 5.6), (6.85, 4.9), "-|>"),
    ((4.3, 4.55), (4.7, 4.55), "-|>"),
    ((2.15, 4.2), (2.15, 3.8), "-|>"),
    ((4.9, 4.2), (4.2, 3.8), "-|>"),
    ((2.15, 3.1), (2.15, 2.25), "-|>"),
    ((5.0, 2.25), (5.0, 3.1), "<|-|>"),
    ((6.2, 1.7), (6.7, 1.7), "<|-|>"),
    ((4.5, 0.95), (4.5, 0.6), "-|>"),
]

fig, ax = plt.subplots(figsize=(5.2, 7))
for x, y, width, height, text, room in BOXES:
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=COLOURS[room],
            edgecolor="0.35",
        )
    )
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9)
ax.text(0.2, 5.1, "train", va="center", fontsize=9)
ax.text(
    7.1,
    2.66,
    "for each phase: float32,\nfloat64, blocks after 8 …",
    ha="center",
    va="center",
    fontsize=9,
)
for start, end, style in ARROWS:
    ax.add_patch(
        FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=11, color="0.3")
    )
# The next phase starts from the θ of the one before.
ax.add_patch(
    FancyArrowPatch(
        (4.3, 2.25),
        (2.7, 2.25),
        connectionstyle="arc3,rad=0.35",
        arrowstyle="-|>",
        mutation_scale=11,
        color="0.3",
    )
)
ax.text(3.5, 2.62, "θ", ha="center", va="center", fontsize=9)
for i, (room, name) in enumerate(ROOMS.items()):
    x = 0.15 + 2.3 * i
    ax.scatter(x, -0.45, s=90, marker="s", color=COLOURS[room], ec="0.35")
    ax.text(x + 0.25, -0.45, name, va="center", fontsize=9)
ax.set(xlim=(-0.1, 9.1), ylim=(-0.7, 7.3))
ax.axis("off")
