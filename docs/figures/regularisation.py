"""Log-loss on training rows and on held-out rows against alpha."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_validate

from sknn_simple import LogisticNN, OneHiddenMLP

X, y = load_breast_cancer(return_X_y=True)
alphas = np.geomspace(1e-2, 1e2, 9)
for model in (LogisticNN(), OneHiddenMLP(10, "tanh", random_state=0)):
    _, ax = plt.subplots(figsize=(3.9, 3.4))
    chosen, curves = model.fit(X, y).alpha_, []
    for alpha in alphas:
        scores = cross_validate(
            model.set_params(alpha=alpha),
            X,
            y,
            scoring="neg_log_loss",
            return_train_score=True,
        )
        curves.append((-scores["train_score"].mean(), -scores["test_score"].mean()))
    train, test = np.transpose(curves)
    ax.plot(alphas, train, "o--", color="0.5", label="rows trained on")
    ax.plot(alphas, test, "o-", color="#1f5fa8", label="held-out rows")
    label = f"chosen, alpha={chosen:.2g}"
    ax.axvline(chosen, color="#d1602c", lw=1, ls=":", label=label)
    ax.set(xscale="log", xlabel="alpha", title=type(model).__name__)
    ax.set(ylabel="mean log-loss", ylim=(0, 0.25))
    ax.legend()
