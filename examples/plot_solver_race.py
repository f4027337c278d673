"""
=============================
Solvers racing to the minimum
=============================

All solvers of this package minimise the same objective; they differ in the cost of a
step and in the progress that it makes. L-BFGS takes many cheap steps from gradients
alone. Newton-CG and the trust-region method solve for each step with products of the
Hessian and a vector. ``newton-cholesky``, for ``LogisticNN``, forms the whole Hessian.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# A stopwatch
# -----------
#
# ``loss_curve_`` contains the objective after each iteration. A callback records the
# times (scikit-learn ≥ 1.9). On older versions the iterations are spread evenly over
# the seconds of the whole fit.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning

from sknn_simple import LogisticNN, OneHiddenMLP


class Stopwatch:
    """Records the time after each iteration."""

    def setup(self, estimator, context):
        self.times = [time.perf_counter()]

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "iteration":
            self.times.append(time.perf_counter())

    def teardown(self, estimator, context):
        pass


def race(model, X, y):
    """Fit; return the seconds after each iteration and the objective."""
    watch = Stopwatch()
    watched = hasattr(model, "set_callbacks")
    if watched:
        model.set_callbacks(watch)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # tol below asks for a lot
        model.fit(X, y)
    seconds = time.perf_counter() - start
    curve = np.array(model.loss_curve_)
    if watched and len(watch.times) >= len(curve):
        return np.array(watch.times[: len(curve)]) - start, curve
    return np.linspace(0, seconds, len(curve)), curve


# %%
# Three races
# -----------
#
# All columns are raw, and every solver starts at the same point: zeros in
# ``LogisticNN``, the same random weights in ``OneHiddenMLP``. ``tol`` is far below its
# default, so that the picture shows the end of the convergence. ``alpha`` is 1, so that
# all solvers minimise one objective from the beginning.

cancer = load_breast_cancer(return_X_y=True)
digits = load_digits(return_X_y=True)
small = {
    "hidden_layer_size": 20,
    "activation": "tanh",
    "alpha": 1.0,
    "random_state": 0,
}
RACES = {
    "LogisticNN, breast cancer": (LogisticNN(alpha=1.0, tol=1e-8), cancer),
    "LogisticNN, digits": (LogisticNN(alpha=1.0, tol=1e-8), digits),
    "OneHiddenMLP, breast cancer": (OneHiddenMLP(**small, tol=1e-7), cancer),
    "OneHiddenMLP, digits": (
        OneHiddenMLP(**small, tol=1e-6),
        tuple(part[:600] for part in digits),
    ),
}
SOLVERS = ["lbfgs", "newton-cg", "trust-ncg", "newton-cholesky"]

results = {}
for title, (model, (X, y)) in RACES.items():
    auto = type(model)(**model.get_params()).fit(X, y).solver_
    print(f"\n{title} (auto: {auto})")
    print("solver           iterations  seconds          final J    to 1 % of best")
    runs = {}
    for solver in SOLVERS:
        if solver == "newton-cholesky" and isinstance(model, OneHiddenMLP):
            continue
        model.set_params(solver=solver)
        # The shortest of three: a pause of the machine is not the solver's.
        repeats = 3 if isinstance(model, LogisticNN) else 1
        runs[solver] = min(
            (race(model, X, y) for _ in range(repeats)), key=lambda run: run[0][-1]
        )
    best = min(curve.min() for _, curve in runs.values())
    results[title] = runs, best
    for solver, (seconds, curve) in runs.items():
        near = np.flatnonzero(curve <= 1.01 * best)
        when = f"{seconds[near[0]]:.3f} s" if len(near) else "never"
        print(
            f"{solver:<17}{len(curve) - 1:>9}{seconds[-1]:>10.3f}{curve[-1]:>17.10f}"
            f"{when:>16}"
        )

# %%
# The picture
# -----------
#
# The difference between the objective of each solver and the lowest one of the race.
# Lower is better. A line that ends high up has reached another minimum; a line that
# leaves the picture at the bottom has reached the lowest one.

COLOURS = dict(zip(SOLVERS, ["#0072B2", "#E69F00", "#009E73", "#CC79A7"], strict=True))
STYLES = dict(zip(SOLVERS, ["-", "--", "-.", ":"], strict=True))

for title, (runs, best) in results.items():
    _, ax = plt.subplots(figsize=(4.6, 4), layout="constrained")
    for solver, (seconds, curve) in runs.items():
        ax.plot(
            seconds,
            np.maximum(curve - best, 1e-12),
            STYLES[solver],
            color=COLOURS[solver],
            lw=2,
            label=solver,
        )
    ax.set_yscale("log")
    ax.set_xscale("log")
    # Less than a decade has labels between its ends, too: a few, which do not overlap.
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(title=title, xlabel="seconds", ylabel="J minus the lowest of the race")
    ax.set(ylim=(1e-11 if "LogisticNN" in title else 1e-5, None))
    ax.grid(color="0.92")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower left", frameon=False)
plt.show()

# %%
# Conclusion
# ----------

for title, (runs, best) in results.items():
    ends = np.array([curve[-1] for _, curve in runs.values()])
    steps = {solver: len(curve) - 1 for solver, (_, curve) in runs.items()}
    first = min(runs, key=lambda solver: runs[solver][0][-1])
    print(
        f"{title}: {first} ended first; the ends differ by "
        f"{(ends.max() - best) / best:.1g} of J"
    )
    assert steps["lbfgs"] > 2 * steps["newton-cg"]
    if title.startswith("LogisticNN"):
        assert ends.max() - best < 1e-8 * best
        assert steps["newton-cholesky"] == min(steps.values())
    else:
        assert ends.max() - best > 1e-4 * best

# %%
# - ``LogisticNN`` has one minimum, and every solver finds it, to many digits. The
#   solver with the whole Hessian needs the fewest steps. A step is cheap with 31
#   parameters (breast cancer), and expensive with 650 (digits): compare the seconds to
#   1 % in the tables. ``solver="auto"`` chooses by the shape of the data and ``tol``.
# - ``OneHiddenMLP`` has many minima. From one start, two solvers can end in different
#   ones, and no solver is always the lowest; more starts (``n_init``) are the remedy.
# - L-BFGS takes more than twice as many steps as Newton-CG, but each is cheap. The last
#   lines say which solver ended first. ``"auto"`` chooses L-BFGS for networks with a
#   hidden layer.
