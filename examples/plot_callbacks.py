"""
====================================
A progress bar and a scoring monitor
====================================

Since version 1.9 scikit-learn has callbacks that follow a fit. Both classifiers report
every iteration of every start, with each solver, through ``Pipeline`` and
``GridSearchCV``: ``ProgressBar`` shows the progress, ``ScoringMonitor`` records a score
of the network at each iteration, and a callback of your own may ask to stop.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# What is needed
# --------------
#
# Older versions of scikit-learn have no callbacks, and ``ProgressBar`` needs rich. If
# something is missing, this script says so and goes on without it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_simple import OneHiddenMLP

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ProgressBar = ScoringMonitor = None
    print("No callbacks: they need scikit-learn 1.9 or later.")

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, stratify=y, random_state=0
)

# %%
# A progress bar
# --------------
#
# The bar counts to ``max_iter`` and ends when the fit has converged. With ``n_init``
# each start has its own. With ``alpha="auto"`` the search for alpha has one, too; here
# alpha is given.

model = OneHiddenMLP(20, alpha=1.0, n_init=3, random_state=0)
if ProgressBar is not None:
    try:
        model.set_callbacks(ProgressBar())
    except ImportError:
        print("No progress bar: pip install rich")
model.fit(X_train, y_train)
print(f"{model.n_iter_} iterations, J = {model.loss_:.4f}")

# %%
# A scoring monitor, and a callback of one's own
# ----------------------------------------------
#
# ``ScoringMonitor`` scores the network on the training rows after each iteration. To
# score held-out rows, write a class with four methods. A method with a parameter
# ``fitted_estimator`` receives the network as if training had ended at this iteration.
# Returning True asks the fit to stop.


class TestLoss:
    """Records the log-loss of other rows; stops the fit if it has not fallen for long.

    Parameters
    ----------
    X, y : array-like
        The rows.
    patience : int
        Iterations without a lower loss after which to stop.
    """

    def __init__(self, X, y, patience):
        self.X, self.y, self.patience = X, y, patience

    def setup(self, estimator, context):
        self.losses = []

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "iteration":
            return False
        probability = fitted_estimator.predict_proba(self.X)
        self.losses.append(log_loss(self.y, probability))
        return len(self.losses) - 1 - np.argmin(self.losses) >= self.patience

    def teardown(self, estimator, context):
        pass


RUNS = {"alpha=1": 1.0, "alpha=0.01": 0.01, "alpha=0.01, stopped": 0.01}
train_loss, test_loss = {}, {}
if ScoringMonitor is not None:
    for name, alpha in RUNS.items():
        monitor = ScoringMonitor(scoring=["neg_log_loss", "accuracy"])
        watch = TestLoss(X_test, y_test, 15 if "stopped" in name else 10_000)
        model = OneHiddenMLP(20, "tanh", alpha=alpha, random_state=0)
        model.set_callbacks(monitor, watch).fit(X_train, y_train)
        test_loss[name] = np.array(watch.losses)
        log = monitor.get_logs()  # of the last fit
        rows = [row for row in log.data if row["task_name"] == "iteration"]
        train_loss[name] = -np.array([row["neg_log_loss"] for row in rows])
        kept = test_loss[name]
        print(
            f"{name:<20} {len(kept):>3} iterations, test log-loss {kept[-1]:.3f}, "
            f"lowest {kept.min():.3f} after {np.argmin(kept) + 1}"
        )
    print("\nthe last rows of the monitor (all as a dataframe: log.data_as_pandas):")
    print("iteration  neg_log_loss  accuracy")
    for row in rows[-3:]:
        print(f"{row['task_id']:>9}{row['neg_log_loss']:14.6f}{row['accuracy']:10.6f}")

# %%
# The picture
# -----------

if ScoringMonitor is not None:
    COLOURS = dict(zip(RUNS, ["#0072B2", "#D55E00", "#E69F00"], strict=True))
    for losses, title in (
        (train_loss, "ScoringMonitor: training rows"),
        (test_loss, "A callback of one's own: test rows"),
    ):
        _, ax = plt.subplots(figsize=(4.6, 3.9), layout="constrained")
        for name, values in losses.items():
            stopped = "stopped" in name
            ax.plot(
                np.arange(1, len(values) + 1),
                values,
                color=COLOURS[name],
                lw=5 if stopped else 2,
                alpha=0.6 if stopped else 1,
                label=name,
                zorder=1 if stopped else 2,
            )
            ax.plot(len(values), values[-1], "o", color=COLOURS[name])
        ax.set(xlabel="iteration", ylabel="log-loss", title=title)
        ax.set(xscale="log", yscale="log")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    ax.set_yticks([0.15, 0.2, 0.3, 0.5, 1, 1.5], [0.15, 0.2, 0.3, 0.5, 1, 1.5])
    ax.set_yticks([], minor=True)
    plt.show()

# %%
# Conclusion
# ----------

if ScoringMonitor is not None:
    weak, stopped = test_loss["alpha=0.01"], test_loss["alpha=0.01, stopped"]
    print(f"the callback stopped after {len(stopped)} of {len(weak)} iterations")
    assert np.array_equal(weak[: len(stopped)], stopped)
    unwatched = OneHiddenMLP(20, "tanh", alpha=0.01, random_state=0)
    unwatched.fit(X_train, y_train)
    end = log_loss(y_test, unwatched.predict_proba(X_test))
    print(f"without callbacks the same test log-loss: {end == weak[-1]}")
    assert end == weak[-1]
    assert train_loss["alpha=0.01"][-1] < train_loss["alpha=1"][-1]
    assert test_loss["alpha=1"][-1] < weak[-1]
    assert stopped[-1] > weak[-1]

# %%
# - Callbacks do not change the training: a fit without callbacks ends with the same
#   test loss, to the last bit, and the third fit has the losses of the second until it
#   is stopped.
# - The loss on the training rows, which the monitor scores, is lowest with the weak
#   penalty. The loss on held-out rows is lower with the strong one.
# - It was a mistake to stop here. The loss on the test rows rose for a while and then
#   fell again, below the value at which the callback stopped the fit. A callback makes
#   this easy to check.
