"""
=====================================================
Reading a network: drawing and permutation importance
=====================================================

Which inputs does a network use? There are two ways to find out. ``NetworkDisplay``
draws the weights of the model. ``permutation_importance`` measures how much worse the
model gets if a column is shuffled. The two methods are independent of each other.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# A small network for wine
# ------------------------
#
# 13 chemical measurements in their own units, three cultivars. Four units are enough.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_wine
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import NetworkDisplay, OneHiddenMLP

data = load_wine(as_frame=True)
X = data.data.rename(columns={"od280/od315_of_diluted_wines": "od280/od315"})
X.columns = X.columns.str.replace("_", " ")
names = [f"cultivar {k + 1}" for k in range(3)]
X_train, X_test, y_train, y_test = train_test_split(
    X, data.target, test_size=0.5, stratify=data.target, random_state=0
)
model = OneHiddenMLP(4, "tanh", alpha=1.0, n_init=5, random_state=0)
model.fit(X_train, y_train)
print(f"test accuracy {model.score(X_test, y_test):.3f}")
print(f"test log-loss {log_loss(y_test, model.predict_proba(X_test)):.3f}")

# %%
# The network, drawn
# ------------------
#
# Red lines are positive weights, blue ones negative, and the width shows their size.
# The weights of the inputs are per standard deviation of their column. Raw ones
# (``per_deviation=False``) would depend on the units: proline has values in the
# hundreds, so its raw weights are tiny even if it is important.

display = NetworkDisplay.from_estimator(model, class_names=names, max_units=13)
display.figure_.set_size_inches(5.2, 5)
display.ax_.set_title("OneHiddenMLP on wine")
plt.show()

# %%
# Shuffled columns
# ----------------
#
# The table shows how much the log-loss of the test rows rises if one column is
# shuffled, thirty times each, and the sizes of each input's weights, per standard
# deviation and raw.

shuffled = permutation_importance(
    model, X_test, y_test, scoring="neg_log_loss", n_repeats=30, random_state=0
)
raw = np.linalg.norm(model.coefs_[0], axis=1)
scaled = raw * X_train.std(ddof=0).to_numpy()
order = np.argsort(-shuffled.importances_mean)
print(f"{'':<30}log-loss rises by   weight per deviation   raw weight")
for j in order:
    print(
        f"{X.columns[j]:<30}{shuffled.importances_mean[j]:>10.3f} ± "
        f"{shuffled.importances_std[j]:.3f}{scaled[j]:>17.2f}{raw[j]:>17.4f}"
    )

# %%
# The picture
# -----------

BLUE = "#0072B2"
_, left = plt.subplots(figsize=(4.6, 4.6), layout="constrained")
_, right = plt.subplots(figsize=(4.6, 4.6), layout="constrained")
for place, j in enumerate(order):
    rises = shuffled.importances[j]
    left.scatter(rises, np.full(len(rises), place), s=22, color=BLUE, alpha=0.3, lw=0)
    left.vlines(rises.mean(), place - 0.32, place + 0.32, color="k", lw=2)
left.set_yticks(range(len(order)), X.columns[order])
left.invert_yaxis()
left.axvline(0, color="0.6", lw=1, zorder=0)
left.set(xlabel="rise of the test log-loss", title="Thirty shuffles, and the mean")
left.tick_params(axis="y", length=0)
right.scatter(scaled, shuffled.importances_mean, s=40, color=BLUE)
right.set(
    xlabel="size of the weights per deviation",
    ylabel="rise of the test log-loss",
    title="Two answers compared",
)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Conclusion
# ----------

by_weight = spearmanr(scaled, shuffled.importances_mean).statistic
by_raw = spearmanr(raw, shuffled.importances_mean).statistic
print(f"rank correlation of the rise with the weights per deviation: {by_weight:.2f}")
print(f"rank correlation of the rise with the raw weights: {by_raw:.2f}")
strongest = {X.columns[j] for j in np.argsort(-scaled)[:2]}
print(f"the two strongest in both: {', '.join(sorted(strongest))}")
assert strongest == {X.columns[j] for j in order[:2]} == {"flavanoids", "proline"}
assert by_weight > 0.8 > 0.5 > by_raw

# %%
# - Both methods put flavanoids and proline first and agree on most of the order. They
#   can disagree, because other columns can replace a shuffled one: total phenols have
#   weights like those of proanthocyanins, but the model loses nothing without them.
# - Raw weights are misleading: proline's are the smallest of the table.
# - The test set is half of a small table. The dots show how much the rise varies
#   between shuffles; the model does not need the last three columns.
