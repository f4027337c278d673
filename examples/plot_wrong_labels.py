"""
====================
Finding wrong labels
====================

People make errors when they label rows. ``Posterior.leave_one_out`` gives the log-loss
of each row as if it had not been trained on. If it is large, the other rows suggest
another label. Here some digits get a wrong label, and the log-loss finds them.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Twenty-five digits with a wrong label
# -------------------------------------
#
# 500 images of 8 × 8 pixels; 5 % get the label of another digit.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import LogisticNN, Posterior

X, X_test, y_true, y_test = train_test_split(
    *load_digits(return_X_y=True), train_size=500, random_state=0
)
generator = np.random.default_rng(0)
wrong = generator.choice(len(y_true), 25, replace=False)
y = y_true.copy()
y[wrong] = (y[wrong] + generator.integers(1, 10, len(wrong))) % 10
is_wrong = y != y_true

# %%
# Without each row
# ----------------
#
# A fit without each of 500 rows would take 500 fits. One Newton step from the fit of
# all rows is close to each of them.

model = LogisticNN().fit(X, y)
losses = Posterior(model, X, y).leave_one_out()
print(f"mean log-loss of a row with its right label: {losses[~is_wrong].mean():.2f}")
print(f"mean log-loss of a row with a wrong label:   {losses[is_wrong].mean():.2f}")

order = np.argsort(-losses)
in_fit = -model.predict_log_proba(X)[np.arange(len(y)), y]
for name, by in {"left out": losses, "in the fit": in_fit}.items():
    found = [is_wrong[np.argsort(-by)[:n]].sum() for n in (25, 50)]
    print(
        f"by the log-loss {name}: {found[0]} of the worst 25, "
        f"{found[1]} of the worst 50"
    )

# %%
# The worst twenty
# ----------------
#
# Above each image is its label, and after "seen" the digit that the model predicts, if
# that is another one. Red: the label was changed. Black: it was not; the digit is badly
# written, or the model is wrong.

seen = model.predict(X)


def show(rows, labels, colours, title):
    fig, axes = plt.subplots(4, 5, figsize=(4.6, 4.6), layout="constrained")
    for ax, row, colour in zip(axes.flat, rows, colours, strict=True):
        ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
        other = f", seen {seen[row]}" if seen[row] != labels[row] else ""
        ax.set_title(f"{labels[row]}{other}", color=colour, fontsize=9)
        ax.set(xticks=[], yticks=[])
    fig.suptitle(title)
    plt.show()


colours = np.where(is_wrong[order[:20]], "#C00000", "black")
show(order[:20], y, colours, "The 20 rows with the largest log-loss")

# %%
# Does it help?
# -------------
#
# A person looks at the worst 5 % of the rows again, and corrects wrong labels.

checked = order[: len(y) // 20]
corrected = y.copy()
corrected[checked] = y_true[checked]
mended = LogisticNN().fit(X, corrected)
before, after = (
    log_loss(y_test, each.predict_proba(X_test)) for each in (model, mended)
)
print(f"test log-loss: {before:.3f} with the wrong labels, {after:.3f} after the check")
assert model.alpha_ > mended.alpha_
print(f"alpha: {model.alpha_:.2g} with the wrong labels, {mended.alpha_:.2g} after")

# %%
# The original labels
# -------------------
#
# The same with the labels as scikit-learn has them: digits that are hard to read.

model = LogisticNN().fit(X, y_true)
losses = Posterior(model, X, y_true).leave_one_out()
seen = model.predict(X)
show(np.argsort(-losses)[:20], y_true, ["black"] * 20, "Odd rows of the original table")

# %%
# Conclusion
# ----------

found = is_wrong[order[:50]].sum() / is_wrong.sum()
print(f"wrong labels among the worst tenth of the rows: {100 * found:.0f} %")
assert found >= 0.9
assert after < before

# %%
# - Nearly all wrong labels are in the tenth of the rows with the largest log-loss.
# - With wrong labels the evidence chooses a stronger penalty, as for any noise.
