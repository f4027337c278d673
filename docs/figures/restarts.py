"""Where twenty starts of one small network ended."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from sknn_simple import OneHiddenMLP

X, y = make_moons(300, noise=0.25, random_state=0)
model = OneHiddenMLP(3, "tanh", alpha=0.01, n_init=20, random_state=0).fit(X, y)
fig, ax = plt.subplots(figsize=(5.2, 2.9))
ax.plot(np.arange(1, 21), np.sort(model.init_losses_), "o", color="#1f5fa8")
ax.axhline(model.loss_, color="#d1602c", lw=1, ls=":", label="the one that is kept")
ax.set(xlabel="start, sorted", ylabel="final J", ylim=(0, None), xticks=range(1, 21, 2))
ax.legend()
