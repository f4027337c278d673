"""Every activation in the table, with its first derivative."""

import matplotlib.pyplot as plt
import numpy as np

from sknn_simple._model.activations import ACTIVATIONS

names = [name for name in ACTIVATIONS if name != "sigmoid"]  # another name of logistic
z = np.linspace(-4.0, 4.0, 401)
axes: list = []
for _ in range(2):  # two pictures, which a phone shows one below the other
    _, four = plt.subplots(2, 2, figsize=(3.9, 4.6), sharex=True, sharey=True)
    axes += [*four.flat]
for ax, name in zip(axes, names, strict=False):
    value, slope = z.copy(), np.empty_like(z)
    ACTIVATIONS[name].slope(value, slope)  # φ(z) over z, φ′(z) into slope
    if name == "relu":
        slope[np.abs(z) < 0.011] = np.nan  # a jump is not a line
    ax.plot(z, value, color="#1f5fa8", lw=2, label="φ(z)")
    ax.plot(z, slope, color="#d1602c", lw=1.6, ls="--", label="φ′(z)")
    ax.set_title(name)
    ax.set_ylim(-1.3, 2.6)
rest = axes[len(names)]
rest.axis("off")
rest.legend(*axes[0].get_legend_handles_labels(), loc="center", frameon=False)
axes[5].tick_params(labelbottom=True)
for place in (2, 3, 5, 6):
    axes[place].set_xlabel("z")
