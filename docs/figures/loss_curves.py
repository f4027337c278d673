"""J and the gradient's size by iteration, for three solvers on the same start."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

from sknn_simple import OneHiddenMLP

X, y = load_breast_cancer(return_X_y=True)
fig, ax = plt.subplots(figsize=(5.2, 3.6))
for solver, style in (("lbfgs", "-"), ("newton-cg", "--"), ("trust-ncg", ":")):
    model = OneHiddenMLP(10, "tanh", solver=solver, random_state=0).fit(X, y)
    ax.plot(model.loss_curve_, style, lw=2, label=f"{solver}: J = {model.loss_:.4f}")
ax.set(xlabel="iteration", ylabel="J", yscale="log")
ax.set_xlim(left=0)
ax.legend(title="solver, and where it ended")
