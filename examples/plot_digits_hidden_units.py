"""
=================================
What hidden units learn on digits
=================================

A network without hidden layer has one template per digit: the weights into the output
of that digit. Hidden units are not tied to one digit. Each may respond to any pattern,
and the output layer combines them. To which patterns do they respond?
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Two networks on 8 × 8 pixels
# ----------------------------
#
# Sixteen tanh units: each gives a number between -1 and 1.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import HiddenUnitsDisplay, LogisticNN, OneHiddenMLP

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
models = {
    "LogisticNN": LogisticNN(alpha=10.0),
    "OneHiddenMLP": OneHiddenMLP(16, "tanh", alpha=10.0, n_init=3, random_state=0),
}
test_loss = {}
for name, model in models.items():
    model.fit(X_train, y_train)
    test_loss[name] = log_loss(y_test, model.predict_proba(X_test))
    print(
        f"{name:<13} test accuracy {model.score(X_test, y_test):.3f}, "
        f"test log-loss {test_loss[name]:.3f}"
    )
network = models["OneHiddenMLP"]

# %%
# Templates without a hidden layer
# --------------------------------
#
# Ink on red pixels raises the probability of the digit, ink on blue ones lowers it.
# Each weight is shown per standard deviation of its pixel. With ``per_deviation=False``
# pixels that are nearly always white would dominate the picture.

display = HiddenUnitsDisplay.from_estimator(
    models["LogisticNN"], X_train, image_shape=(8, 8)
)
display.figure_.set_size_inches(5.2, 2.7)
display.figure_.suptitle("LogisticNN: weights into the ten outputs")
plt.show()

# %%
# Patterns with a hidden layer
# ----------------------------

display = HiddenUnitsDisplay.from_estimator(
    network, X_train, image_shape=(8, 8), max_units=16
)
display.figure_.set_size_inches(5.2, 5.2)
display.figure_.suptitle("OneHiddenMLP: weights into the hidden units")
plt.show()

# %%
# Which digits switch a unit on
# -----------------------------
#
# The mean of each unit over the test images of each digit.

hidden = network.transform(X_test)
means = np.array([hidden[y_test == digit].mean(axis=0) for digit in range(10)])
order = np.lexsort(np.sign(means)[::-1])

fig, ax = plt.subplots(figsize=(5.2, 4), layout="constrained")
image = ax.imshow(means[:, order], cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
ax.set_xticks(range(16), order)
ax.set_yticks(range(10))
ax.set(xlabel="hidden unit", ylabel="digit")
ax.set_title("Mean activation of each unit, per digit", loc="left")
ax.spines[:].set_visible(False)
ax.tick_params(length=0)
fig.colorbar(image, label="mean of the unit, from -1 (no) to 1 (yes)")
plt.show()

# %%
# A unit counts as on for a digit if its mean is above 0.

on = means > 0
per_unit, per_digit = on.sum(axis=0), on.sum(axis=1)
codes = {tuple(row) for row in on}
print(f"digits that a unit is on for: {per_unit.min()} to {per_unit.max()} of 10")
print(f"units that are on for a digit: {per_digit.min()} to {per_digit.max()} of 16")
print(f"digits with an on-off pattern of their own: {len(codes)} of 10")
distance = (on[:, None] != on[None]).sum(axis=-1)
closest = distance[~np.eye(10, dtype=bool)].min()
print(f"units in which the two most similar patterns differ: {closest}")

# %%
# Conclusion
# ----------

assert per_unit.min() >= 2
assert len(codes) == 10
assert closest >= 2
assert abs(test_loss["OneHiddenMLP"] / test_loss["LogisticNN"] - 1) < 0.1

# %%
# - No unit stands for one digit. Each is on for several digits, because they share
#   strokes.
# - Each digit is a pattern over all units, and all patterns differ in several units, so
#   that no single unit decides. This is called a distributed representation.
# - With sixteen units the log-loss differs by less than a tenth from that of
#   ``LogisticNN``: each unit has to serve several of the ten digits.
