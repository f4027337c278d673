"""Gradient descent on the same model with the columns in two sets of units."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from slices import Slice, objective_of

from sknn_simple import LogisticNN

data = load_breast_cancer()
X = scale(data.data[:, :2])
for factor, title in (
    (1.0, "both columns in standard deviations"),
    (4.0, "second column in quarters of one"),
):
    _, ax = plt.subplots(figsize=(3.9, 3.5))
    model = LogisticNN(alpha=1.0)
    columns = X * [1.0, factor]
    objective = objective_of(model, columns, data.target)
    optimum = objective.network.layout.pack(
        model.set_params(standardize=False).fit(columns, data.target)._parameters()
    )
    # The two weights, with the bias at its best value.
    plane = Slice(objective, optimum, np.eye(3)[:, :2])
    first = np.linspace(-4.5, 4.5, 90)
    second = np.linspace(-2.5, 2.5, 90)
    values = plane.values(first, second)
    levels = np.geomspace(values.min() * 1.01, values.max(), 12)
    ax.contour(first, second, values, levels=levels, cmap="Blues_r", linewidths=0.9)
    product = plane.curvature(np.zeros(2)).product
    curvature = np.linalg.eigvalsh([product(e) for e in np.eye(2)])
    points = [np.array([3.8, -1.2])]
    for _ in range(15):
        gradient = plane.value_and_grad(points[-1])[1]
        points.append(points[-1] - 0.9 / curvature[1] * gradient)
    ax.plot(*np.array(points).T, ".-", color="#d1602c", lw=1.2)
    ax.plot(0, 0, "*", color="black", ms=12)
    ax.set_title(
        f"{title}\ncurvatures 1 : {curvature[1] / curvature[0]:.0f}", fontsize=11
    )
    ax.set(xlabel="first weight − best", ylabel="second weight − best")
    ax.set(xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    ax.grid(False)
