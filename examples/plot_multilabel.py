"""
=============================
Several labels for one sample
=============================

``y`` can be an indicator matrix with one column per label. Both classifiers then
predict all labels at once: there is one output with its own probability per label, and
in ``OneHiddenMLP`` all labels share one hidden layer.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Four questions about a digit
# ----------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import LogisticNN, OneHiddenMLP

QUESTIONS = {
    "even": [0, 2, 4, 6, 8],
    "above four": [5, 6, 7, 8, 9],
    "prime": [2, 3, 5, 7],
    "closed loop": [0, 6, 8, 9],
}
X, digit = load_digits(return_X_y=True)
Y = np.column_stack([np.isin(digit, digits) for digits in QUESTIONS.values()]).astype(
    int
)
X_train, X_test, Y_train, Y_test = train_test_split(
    X, Y, test_size=0.4, stratify=digit, random_state=0
)
print("the first five rows of y:")
print(Y_train[:5])

# %%
# One model for all, and one for each
# -----------------------------------
#
# The last model trains a separate network for each label, a quarter of the size.


class OneEach:
    """Four networks, one for each label."""

    def fit(self, X, Y):
        self.models = [
            OneHiddenMLP(10, random_state=0).fit(X, column) for column in Y.T
        ]
        return self

    def predict_proba(self, X):
        return np.column_stack([m.predict_proba(X)[:, 1] for m in self.models])


MODELS = {
    "LogisticNN": LogisticNN(),
    "one network, 40 units": OneHiddenMLP(40, random_state=0),
    "four networks of 10 units": OneEach(),
}
accuracy, answers = {}, {}
print(f"{'test accuracy':<26}" + "".join(f"{q:>12}" for q in QUESTIONS) + "  all four")
for name, model in MODELS.items():
    answers[name] = model.fit(X_train, Y_train).predict_proba(X_test)
    right = (answers[name] > 0.5) == Y_test
    accuracy[name] = [*right.mean(axis=0), right.all(axis=1).mean()]
    print(
        f"{name:<26}"
        + "".join(f"{value:>12.3f}" for value in accuracy[name][:-1])
        + f"{accuracy[name][-1]:>10.3f}"
    )

# %%
# The picture
# -----------
#
# First, the share of test images with a wrong answer. Second, eight test images, the
# least certain first, and the predictions of the one network with 40 units: a bar is
# the probability of yes, and a dot the truth, left for no and right for yes.

shared = answers["one network, 40 units"]
COLOURS = ["#E69F00", "#0072B2", "#009E73"]
_, ax = plt.subplots(figsize=(4.6, 5), layout="constrained")
places = np.arange(5)
for i, (name, colour) in enumerate(zip(MODELS, COLOURS, strict=True)):
    error = 1 - np.array(accuracy[name])
    bars = ax.barh(places + 0.27 * (i - 1), error, 0.25, color=colour, label=name)
    ax.bar_label(bars, fmt="{:.1%}", padding=3, fontsize="small")
ax.set_yticks(places, [*QUESTIONS, "any of the four"])
ax.invert_yaxis()
ax.xaxis.set_major_formatter("{x:.0%}")
ax.set_xlabel("share of the test images")
ax.set_title("Wrong answers to four questions", loc="left")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="center right", frameon=False, fontsize="small")

certainty = np.abs(shared - 0.5).min(axis=1)
order = np.argsort(certainty)
chosen = np.r_[order[:4], order[[200, 400, 600, 700]]]
fig, panels = plt.subplots(
    4, 4, figsize=(4.8, 5.4), width_ratios=(0.7, 1, 0.7, 1), layout="constrained"
)
fig.suptitle("Bar: probability of yes. Dot: the truth", fontsize="medium")
for k, row in enumerate(chosen):
    picture, bars = panels[k % 4, 2 * (k // 4) : 2 * (k // 4) + 2]
    picture.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    picture.set_axis_off()
    bars.barh(range(4), shared[row], color=COLOURS[1])
    bars.plot(Y_test[row], range(4), "o", color="k", ms=6, clip_on=False)
    bars.set(xlim=(-0.05, 1.05), xticks=[])
    bars.set_yticks(range(4), QUESTIONS, fontsize="small")
    bars.invert_yaxis()
    bars.tick_params(length=0)
    bars.spines[["top", "right", "bottom"]].set_visible(False)
plt.show()

# %%
# Conclusion
# ----------

wrong = {name: 1 - values[-1] for name, values in accuracy.items()}
for name, share in wrong.items():
    print(f"{name:<26} wrong in at least one answer: {share:.1%}")
logistic, shared_units, one_each = wrong.values()
assert logistic > 2 * shared_units
assert abs(shared_units - one_each) < 0.02
losses = [log_loss(Y_test[:, k], shared[:, k]) for k in range(4)]
print("log-loss per label, shared units:", np.round(losses, 3))

# %%
# - No single template answers these questions: even digits have many shapes. A hidden
#   layer removes most of the errors of ``LogisticNN``.
# - For these labels one network is about as good as four networks: it saves three fits.
# - The images with uncertain predictions are the badly written ones.
