"""
========================
Six models on two tables
========================

Both classifiers are trained on raw, unscaled columns, inside a ``Pipeline`` and a
``GridSearchCV``, and compared with the two closest estimators of scikit-learn. Then the
best network is stored, loaded in a second process, and predicts the same.
"""

# %%
# Six pipelines, one search
# -------------------------
#
# Every model has the same two steps and the same search: two folds, lowest log-loss.
# For the models of scikit-learn it tries three strengths of the penalty: ``alpha`` of
# ``MLPClassifier``, and ``C`` = 1/alpha of ``LogisticRegression``. ``LogisticNN`` and
# ``OneHiddenMLP`` choose ``alpha`` in each fit (``alpha="auto"``, the default), so that
# their search has one candidate. All other parameters except the seed keep their
# defaults.
#
# ``LogisticNN`` and ``OneHiddenMLP`` use the raw columns. The other two are fitted
# twice: on the same raw columns, and behind the ``StandardScaler`` that their
# documentation recommends.

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknn_simple import LogisticNN, OneHiddenMLP

matplotlib.use("Agg")  # the picture goes to a file: no display is needed
import matplotlib.pyplot as plt

ALPHA = [0.1, 1.0, 10.0]
FOLDS = 2
ALPHAS = {"classify__alpha": ALPHA}
CHOSEN_BY_FIT = {}
CS = {"classify__C": [1.0 / alpha for alpha in ALPHA]}
RAW = "passthrough"  # a step that does nothing
SCALED = StandardScaler()

MODELS = {
    "LogisticNN": (RAW, LogisticNN(), CHOSEN_BY_FIT),
    "LogisticRegression": (RAW, LogisticRegression(), CS),
    "scaler + LogisticRegression": (SCALED, LogisticRegression(), CS),
    "OneHiddenMLP": (RAW, OneHiddenMLP(random_state=0), CHOSEN_BY_FIT),
    "MLPClassifier": (RAW, MLPClassifier(random_state=0), ALPHAS),
    "scaler + MLPClassifier": (SCALED, MLPClassifier(random_state=0), ALPHAS),
}
OURS = ("LogisticNN", "OneHiddenMLP")

# %%
# A fit counts as converged if it gave no ``ConvergenceWarning``. Each estimator has its
# own rule: the two linear ones test the gradient, ``OneHiddenMLP`` tests the gradient
# and the objective, ``MLPClassifier`` tests whether the training loss still falls. The
# warnings are counted here, not shown. Each search runs on one thread, so that the
# seconds can be compared.


def search(name, X, y):
    """Return the fitted search, its seconds, and how many of its fits converged."""
    scale, classifier, grid = MODELS[name]
    pipeline = Pipeline([("scale", scale), ("classify", classifier)])
    grid_search = GridSearchCV(pipeline, grid, cv=FOLDS, scoring="neg_log_loss")
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        grid_search.fit(X, y)
        seconds = time.perf_counter() - start
    n_fits = len(grid_search.cv_results_["params"]) * FOLDS + 1  # the last: all rows
    failed = sum(issubclass(w.category, ConvergenceWarning) for w in caught)
    return grid_search, seconds, f"{n_fits - failed} of {n_fits}"


# %%
# Side by side
# ------------
#
# Accuracy and log-loss are computed on held-out rows; the seconds are those of the
# whole search.

DATA = {"breast cancer": load_breast_cancer, "digits": load_digits}

results = {}
test_rows = {}
for data, load in DATA.items():
    X, y = load(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, stratify=y, random_state=0
    )
    test_rows[data] = X_test
    print(
        f"{data}: {X.shape[1]} columns, {len(y_train)} rows to train on, "
        f"{len(y_test)} to test on\n"
    )
    print(f"{'model':<28}accuracy  log-loss  seconds  converged")
    print("-" * 66)
    for name in MODELS:
        fitted, seconds, converged = search(name, X_train, y_train)
        accuracy = np.mean(fitted.predict(X_test) == y_test)
        loss = log_loss(y_test, fitted.predict_proba(X_test))
        results[data, name] = fitted, loss, seconds
        print(f"{name:<28}{accuracy:>8.3f}{loss:>10.4f}{seconds:>9.2f}{converged:>11}")
    print()

# %%
# How to read the table:

for data in DATA:
    loss, seconds = (
        {name: results[data, name][value] for name in MODELS} for value in (1, 2)
    )
    lowest = min(loss, key=lambda name: loss[name])
    searched = min(seconds["MLPClassifier"], seconds["scaler + MLPClassifier"])
    print(
        f"{data}: lowest log-loss with {lowest}; the quicker search of MLPClassifier\n"
        f"took {searched / seconds['OneHiddenMLP']:.1f} times as long as OneHiddenMLP"
    )
    assert loss["LogisticNN"] < 1.05 * loss["scaler + LogisticRegression"]
    others = [loss[name] for name in MODELS if "MLPClassifier" in name]
    if data == "digits":
        assert loss["OneHiddenMLP"] < min(*others, 0.8 * loss["LogisticNN"])
        assert loss["LogisticRegression"] < loss["scaler + LogisticRegression"]
    else:
        assert loss["LogisticNN"] < min(*others, loss["OneHiddenMLP"])

# %%
# - On both tables ``LogisticNN`` predicts from raw columns about as well as
#   ``LogisticRegression`` behind a ``StandardScaler``, without a search.
# - Without the scaler fits of ``LogisticRegression`` end before they have converged. On
#   digits, whose columns have one unit, it predicts a little better without the scaler
#   than with it.
# - On digits a hidden layer lowers the log-loss, and ``OneHiddenMLP`` has the lowest.
#   ``MLPClassifier`` stops after 200 iterations, usually before it has converged.
# - On these rows of breast cancer a hidden layer does not lower the log-loss. Over five
#   folds it lowers it a little.
# - The test sets are small: one row is 0.007 of accuracy on breast cancer and 0.002 on
#   digits, so a difference of a few thousandths in accuracy means nothing.

# %%
# Store, load, predict the same
# -----------------------------
#
# The better of the two networks on digits, by cross-validated log-loss, is stored with
# joblib. A second Python process loads it and predicts the test rows.

# In the folder of this file; in the current folder if the code does not run from a
# file.
folder = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()

best = max(OURS, key=lambda name: results["digits", name][0].best_score_)
model = results["digits", best][0].best_estimator_
model_file = folder / "quickstart_model.joblib"
joblib.dump(model, model_file)

SECOND_PROCESS = """
import sys, joblib
model_file, rows_file, answer_file = sys.argv[1:]
rows = joblib.load(rows_file)
model = joblib.load(model_file)
joblib.dump((model.predict(rows), model.predict_proba(rows)), answer_file)
"""

rows = test_rows["digits"]
with tempfile.TemporaryDirectory() as scratch:
    rows_file, answer_file = Path(scratch, "rows"), Path(scratch, "answer")
    joblib.dump(rows, rows_file)
    subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS, model_file, rows_file, answer_file],
        check=True,
    )
    labels, probabilities = joblib.load(answer_file)

difference = np.abs(probabilities - model.predict_proba(rows)).max()
print(f"stored: {best} on digits, in {folder.name}/{model_file.name}")
print(f"same labels in a second process: {np.array_equal(labels, model.predict(rows))}")
print(f"largest difference of a probability: {difference:.1g}")

# %%
# The picture
# -----------
#
# Smaller is better in all four panels. The seconds are on a logarithmic scale.

OUR_COLOUR, PEER_COLOUR = "#1f5fa8", "#9aa3ad"
names = list(MODELS)
colours = [OUR_COLOUR if name in OURS else PEER_COLOUR for name in names]
height = [0, 1, 2, 3.5, 4.5, 5.5]  # a gap above the models with a hidden layer
all_seconds = [seconds for _, _, seconds in results.values()]

fig, axes = plt.subplots(4, 1, figsize=(5.2, 9.2), sharey=True, layout="constrained")
for loss_axes, time_axes, data in zip(axes[:2], axes[2:], DATA, strict=True):
    losses = [results[data, name][1] for name in names]
    times = [results[data, name][2] for name in names]

    bars = loss_axes.barh(height, losses, color=colours)
    loss_axes.bar_label(bars, fmt="{:.3f}", padding=5)
    loss_axes.set_xlim(0, 1.15 * max(losses))
    loss_axes.set_yticks(height, names)
    loss_axes.set_title(f"{data}: test log-loss", loc="left")

    # Points: a bar has no beginning on a logarithmic scale.
    time_axes.hlines(height, 1e-3, times, color="0.85", zorder=1)
    time_axes.scatter(times, height, s=70, color=colours)
    for seconds, y_position in zip(times, height, strict=True):
        time_axes.annotate(
            f"{seconds:.2f}",
            (seconds, y_position),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )
    time_axes.set_xscale("log")
    time_axes.set_xlim(min(all_seconds) / 2, 3 * max(all_seconds))
    time_axes.xaxis.set_major_formatter("{x:g}")
    time_axes.set_title(f"{data}: seconds of the search", loc="left")

    for ax in (loss_axes, time_axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
axes[0].invert_yaxis()
fig.suptitle(
    "LogisticNN and OneHiddenMLP (blue) on raw columns,\nand scikit-learn (grey)"
)

picture = folder / "quickstart.png"
fig.savefig(picture, dpi=120)
print(f"picture: {folder.name}/{picture.name}")
