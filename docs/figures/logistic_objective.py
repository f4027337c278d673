"""The log-loss of one row, and J along a line for the single layer and the hidden one.

The line of the hidden layer joins one trained network to the same network with its
two hidden units exchanged.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from slices import objective_of

from sknn_simple import LogisticNN, OneHiddenMLP

X, y = load_breast_cancer(return_X_y=True)
X = scale(X[:, :2])
_, loss_ax = plt.subplots(figsize=(3.9, 3.2))
_, line_ax = plt.subplots(figsize=(3.9, 3.2))

z = np.linspace(-5, 5, 201)
loss_ax.plot(z, np.log1p(np.exp(-z)), label="y = 1", color="#1f5fa8", lw=2)
loss_ax.plot(z, np.log1p(np.exp(z)), label="y = 0", color="#d1602c", lw=2, ls="--")
loss_ax.set(xlabel="raw output z", ylabel="ℓ(y, z)", title="log-loss of one row")
loss_ax.legend()

t = np.linspace(-0.5, 1.5, 121)
for model, label, style in (
    (LogisticNN(), "LogisticNN", {"color": "#1f5fa8"}),
    (OneHiddenMLP(2, "tanh", random_state=0), "OneHiddenMLP", {"color": "0.45"}),
):
    objective = objective_of(model, X, y)
    layout = objective.network.layout
    start = layout.pack(model.fit(X, y)._parameters())
    end = -start  # of a linear network: the opposite of every weight
    if "hidden_coef" in layout.shapes:  # the same network, its two units exchanged
        arrays = {name: array.copy() for name, array in layout.views(start).items()}
        arrays["hidden_coef"] = arrays["hidden_coef"][:, ::-1]
        arrays["hidden_intercept"] = arrays["hidden_intercept"][::-1]
        arrays["output_coef"] = arrays["output_coef"][::-1]
        end = layout.pack(arrays)
        style["ls"] = "--"
    values = [objective.value((1 - s) * start + s * end) for s in t]
    line_ax.plot(t, values, lw=2, label=label, **style)
line_ax.set(
    xlabel="from one parameter vector to another",
    ylabel="J",
    title="J along a straight line",
    xticks=[0, 1],
    xticklabels=["θ₀", "θ₁"],
    ylim=(0, 2.5),
)
line_ax.legend()
