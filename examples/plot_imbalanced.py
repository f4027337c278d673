"""
=================================
Imbalanced classes and thresholds
=================================

With class imbalance, such as one row in twenty of the class that matters, the most
probable class is nearly always the other one. There are two remedies: give the rare
rows more weight (``class_weight="balanced"``), or keep the probabilities and lower the
probability threshold (``TunedThresholdClassifierCV`` of scikit-learn). They do not give
the same result.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# One in twenty
# -------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_classification
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    log_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
)
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from sknn_simple import OneHiddenMLP

X, y = make_classification(
    12_000,
    10,
    n_informative=5,
    n_clusters_per_class=2,
    weights=[0.95],
    class_sep=0.9,
    random_state=0,
)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=3000, stratify=y, random_state=0
)
print(f"share of the rare class: {y.mean():.3f}")

network = OneHiddenMLP(20, "tanh", alpha=3.0, random_state=0)
MODELS = {
    "as it is": network,
    "class_weight": clone(network).set_params(class_weight="balanced"),
    "threshold": TunedThresholdClassifierCV(
        network, scoring="balanced_accuracy", random_state=0
    ),
}

# %%
# Decisions, and probabilities
# ----------------------------

MEASURES = {
    "recall": recall_score,
    "precision": precision_score,
    "balanced accuracy": balanced_accuracy_score,
}
probability, points, table = {}, {}, {}
print(f"{'':<14}recall  precision  balanced acc.  avg. precision  log-loss  mean prob.")
for name, model in MODELS.items():
    prediction = model.fit(X_train, y_train).predict(X_test)
    probability[name] = model.predict_proba(X_test)[:, 1]
    decisions = [measure(y_test, prediction) for measure in MEASURES.values()]
    points[name] = decisions[:2]
    table[name] = (
        *decisions,
        average_precision_score(y_test, probability[name]),
        log_loss(y_test, probability[name]),
        probability[name].mean(),
    )
    print(
        "{:<14}{:>6.3f}{:>11.3f}{:>15.3f}{:>16.3f}{:>10.3f}{:>12.3f}".format(
            name, *table[name]
        )
    )
print(f"the tuned threshold: {MODELS['threshold'].best_threshold_:.3f}")

# %%
# The picture
# -----------

STYLE = {
    "as it is": ("#0072B2", "o"),
    "class_weight": ("#D55E00", "s"),
    "threshold": ("#009E73", "D"),
}
_, left = plt.subplots(figsize=(4.6, 4.3), layout="constrained")
_, right = plt.subplots(figsize=(4.6, 4.3), layout="constrained")
for name in ("as it is", "class_weight"):
    precision, recall, _ = precision_recall_curve(y_test, probability[name])
    left.plot(recall, precision, color=STYLE[name][0], lw=1.5)
for name, (recall, precision) in points.items():
    colour, marker = STYLE[name]
    left.plot(
        recall,
        precision,
        marker,
        color=colour,
        ms=11,
        markeredgecolor="white",
        label=name,
    )
left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
left.set_title("All thresholds, and the decisions taken")
left.legend(title="decision", frameon=False, loc="lower left")
right.plot([0, 1], [0, 1], color="0.7", lw=1)
for name in ("as it is", "class_weight"):
    observed, predicted = calibration_curve(
        y_test, probability[name], n_bins=10, strategy="uniform"
    )
    colour, marker = STYLE[name]
    right.plot(predicted, observed, marker=marker, color=colour, label=name)
right.set(xlabel="predicted probability", ylabel="share of the rare class")
right.set_title("Can the probabilities be believed?")
right.legend(frameon=False, loc="upper left")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Conclusion
# ----------

print(f"share of the rare class {y_test.mean():.3f}, mean predicted probability:")
for name in ("as it is", "class_weight"):
    print(f"  {name:<13} {probability[name].mean():.3f}")
plain, weighted, tuned = (table[name] for name in MODELS)
assert plain[0] < weighted[0] < tuned[0]  # recall
assert plain[1] > weighted[1]  # precision
assert plain[2] < weighted[2] < tuned[2]  # balanced accuracy
assert plain[3] > weighted[3]  # average precision
assert plain[4] < weighted[4]  # log-loss
assert np.isclose(plain[4], tuned[4], rtol=0.05)
assert plain[1] > 0.8
assert np.isclose(plain[5], y_test.mean(), rtol=0.1)  # mean probability
assert weighted[5] > 1.5 * y_test.mean()

# %%
# - With the threshold of one half, the network is usually right if it predicts the rare
#   class, and misses many of its rows. Its mean probability is the share of the class.
# - ``class_weight="balanced"`` finds more of the rare class, but its probabilities are
#   far too high. Here it also ranks the rows worse: its line lies below.
# - A tuned threshold chooses another point of the better line. Here it gives more
#   balanced accuracy than the weights, and it does not change the probabilities. Prefer
#   it if costs are known or may change. Use weights if another program uses ``predict``
#   without a threshold.
