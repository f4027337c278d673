"""The two curves that early stopping records."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from sknn_simple import OneHiddenMLP

X, y = make_moons(400, noise=0.35, random_state=0)
model = OneHiddenMLP(
    50, "tanh", alpha=0.0, early_stopping=True, n_iter_no_change=40, random_state=0
).fit(X, y)
best = int(np.argmin(model.validation_loss_curve_))
fig, ax = plt.subplots(figsize=(5.2, 3.4))
ax.plot(model.loss_curve_, color="0.5", ls="--", label="loss_curve_ (rows trained on)")
ax.plot(model.validation_loss_curve_, color="#1f5fa8", label="validation_loss_curve_")
ax.plot(
    best, model.validation_loss_curve_[best], "o", color="#d1602c", label="kept iterate"
)
ax.set(xlabel="iteration", ylabel="log-loss", xlim=(0, None))
ax.legend()
