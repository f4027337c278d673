"""
============================
The hidden layer as features
============================

A fitted ``OneHiddenMLP`` is also a transformer: ``transform`` gives the activations of
its hidden units. They are features that were learned for a task, as many as the layer
has units, and any other model can use them. Here a nearest-neighbour classifier
predicts the digits from hidden units, from as many principal components, and from all
64 pixels.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# As a table
# ----------
#
# With ``set_output`` the result is a dataframe with names and the index of the rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sknn_simple import OneHiddenMLP

X, y = load_digits(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=900, stratify=y, random_state=0
)


def network(n_hidden):
    return OneHiddenMLP(n_hidden, "tanh", alpha=1.0, n_init=3, random_state=0)


encoder = network(4).set_output(transform="pandas").fit(X_train, y_train)
print(encoder.transform(X_test).head().round(3))

# %%
# Neighbours among few features
# -----------------------------
#
# In a ``Pipeline`` the network is a step like any other.

SIZES = [2, 3, 4, 6, 8, 12, 16, 32]


def neighbours_behind(step):
    pipeline = make_pipeline(step, KNeighborsClassifier()).fit(X_train, y_train)
    return pipeline.score(X_test, y_test)


on_pixels = KNeighborsClassifier().fit(X_train, y_train).score(X_test, y_test)
on_components = [neighbours_behind(PCA(k, random_state=0)) for k in SIZES]
on_units = [neighbours_behind(network(k)) for k in SIZES]
print(f"test accuracy of neighbours among all 64 pixels: {on_pixels:.3f}\n")
print("features   principal components   hidden units")
for row in zip(SIZES, on_components, on_units, strict=True):
    print("{:>8} {:>22.3f} {:>14.3f}".format(*row))

# %%
# Two features make a map
# -----------------------
#
# The first two principal components do not depend on the labels. A network with two
# hidden units has to separate ten digits in two dimensions, and learns features for
# that.

UNITS, COMPONENTS = "#0072B2", "#E69F00"
_, ax = plt.subplots(figsize=(4.6, 4), layout="constrained")
ax.axhline(on_pixels, color="0.5", lw=1, ls="--")
ax.text(2, on_pixels + 0.008, "all 64 pixels", color="0.35", va="bottom")
ax.plot(SIZES, on_units, "o-", color=UNITS, label="hidden units")
ax.plot(SIZES, on_components, "s-", color=COMPONENTS, label="principal components")
ax.set_xscale("log", base=2)
ax.set_xticks(SIZES, SIZES)
ax.set_xticks([], minor=True)
ax.set(xlabel="number of features", ylabel="test accuracy", ylim=(None, 1.03))
ax.set_title("Nearest neighbours")
ax.legend(loc="lower right", frameon=False)
ax.spines[["top", "right"]].set_visible(False)

maps = {
    f"Two principal components ({on_components[0]:.2f})": PCA(2, random_state=0),
    f"Two hidden units ({on_units[0]:.2f})": network(2),
}
# Not everybody can distinguish ten hues, so each point is drawn as its digit.
colours = plt.get_cmap("tab10").colors
for title, projection in maps.items():
    _, ax = plt.subplots(figsize=(4.6, 4), layout="constrained")
    plane = np.asarray(projection.fit(X_train, y_train).transform(X_test))
    for digit in range(10):
        rows = plane[y_test == digit]
        ax.scatter(*rows.T, s=28, marker=f"${digit}$", lw=0, color=colours[digit])
    ax.set(xticks=[], yticks=[])
    ax.set_title(title)
    ax.margins(0.04)
plt.show()

# %%
# Conclusion
# ----------

for k, components, units in zip(SIZES, on_components, on_units, strict=True):
    better = "hidden units" if units > components else "principal components"
    print(f"{k:>2} features: {better} by {abs(units - components):.3f}")
assert on_units[0] > on_components[0] + 0.05
assert on_units[1] > on_components[1]
assert abs(on_units[-1] - on_pixels) < 0.02
assert all(np.array(on_components)[-3:] > np.array(on_units)[-3:] - 0.005)
assert on_pixels > max(*on_units, *on_components) - 0.005

# %%
# - With two or three features, learned ones predict the digit far better than principal
#   components: training chooses features that separate the digits.
# - With more features the difference shrinks, and from a dozen on the principal
#   components are as good or a little better. For nearest neighbours nothing is better
#   here than all pixels: the hidden layer makes features fewer, not better.
