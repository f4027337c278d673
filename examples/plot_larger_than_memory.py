"""
=======================
Do more rows still pay?
=======================

A table in files may have more rows than memory. ``DaskLogisticNN`` and
``DaskOneHiddenMLP`` train on all of them: the rows stay in their chunks, and the
parameters travel. Whether all rows are needed is another question. Here a linear model
has learnt what it can from a small part of them, and a network has not.
"""

# %%
# A table in files
# ----------------
#
# Twenty sensors of a machine, and whether a part of it was faulty. The rows are
# generated and written to Parquet files, one by one, so that this script never holds
# all of them. A cluster has the same interface: give ``Client`` its address.

import tempfile
from pathlib import Path

import dask.dataframe as dd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from distributed import Client
from sklearn.metrics import log_loss

from sknn_simple import LogisticNN
from sknn_simple.dask import DaskLogisticNN, DaskOneHiddenMLP

FILES, ROWS_PER_FILE, SENSORS = 16, 5_000, 20


def measurements(number):
    """Return the rows of one file."""
    generator = np.random.default_rng(number)
    X = generator.normal(size=(ROWS_PER_FILE, SENSORS)).astype(np.float32)
    hot = np.maximum(X[:, 0] + X[:, 1] - 1.0, 0.0) * 3.0
    shaken = np.sin(2.0 * X[:, 2]) * X[:, 3]
    logit = 0.8 * X[:, 4] - 0.5 * X[:, 5] + hot + 1.5 * shaken - 1.5
    faulty = generator.random(ROWS_PER_FILE) < 1.0 / (1.0 + np.exp(-logit))
    frame = pd.DataFrame(X, columns=[f"sensor {j}" for j in range(SENSORS)])
    return frame.assign(faulty=np.where(faulty, "yes", "no"))


folder = tempfile.TemporaryDirectory()
for number in range(FILES):
    measurements(number).to_parquet(Path(folder.name) / f"{number:02}.parquet")

client = Client(processes=False, n_workers=2, dashboard_address=None)
table = dd.read_parquet(folder.name)
X, y = table.drop(columns="faulty"), table["faulty"]
print(f"{FILES * ROWS_PER_FILE:,} rows in {X.npartitions} partitions")

# %%
# One fit
# -------
#
# ``verbose=1`` shows what a fit costs. Each line is an iteration, and an iteration is
# one or two passes over the rows: few are needed, because the optimum of a sample is
# the start.

linear = DaskLogisticNN(verbose=1).fit(X, y)
linear.verbose = 0

# %%
# Predictions are lazy, and have the index of the rows.

print(linear.predict(X).head(3))

# %%
# How many rows are enough?
# -------------------------
#
# The same two models on the first file, on four, and on all of them, judged on rows
# that none of them has seen.

test = measurements(FILES)
X_test, y_test = test.drop(columns="faulty"), test["faulty"]
models = {
    "linear": DaskLogisticNN(),
    "hidden layer": DaskOneHiddenMLP(20, random_state=0),
}
losses = {name: [] for name in models}
counts = [1, 4, FILES]
for count in counts:
    for name, model in models.items():
        model.fit(X.partitions[:count], y.partitions[:count])
        losses[name].append(log_loss(y_test, model.predict_proba(X_test)))
        print(f"{count:>2} files, {name:<12}: test log-loss {losses[name][-1]:.4f}")

_, ax = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
rows = np.multiply(counts, ROWS_PER_FILE)
for name, values in losses.items():
    ax.plot(rows, values, marker="o", label=name)
ax.set_xscale("log")
ax.set_xticks(rows, [f"{count:,}" for count in rows])
ax.set_xticks([], minor=True)
ax.set(xlabel="rows", ylabel="log-loss of new rows", title="More rows, and the loss")
ax.legend()
plt.show()

# %%
# A fitted model does not need Dask any longer: ``to_local`` returns the plain
# estimator, to store, to convert to ONNX, or to explain with ``Posterior``. For rows in
# memory it is the same model.

local = linear.fit(X.partitions[:1], y.partitions[:1]).to_local()
first = measurements(0)
plain = LogisticNN().fit(first.drop(columns="faulty"), first["faulty"])
print(local, "and", plain)
print(f"largest difference: {np.abs(local.coef_ - plain.coef_).max():.1e}")

client.close()
folder.cleanup()

# %%
# Conclusion
# ----------
#
# The linear model gains little after the first file; the network still does. The few
# weights of a linear model are known from few rows, and hidden units are not.

gains = {name: 100 * (1 - values[-1] / values[0]) for name, values in losses.items()}
print({name: f"{gain:.1f} % lower with all files" for name, gain in gains.items()})
assert gains["hidden layer"] > 3 > gains["linear"]
