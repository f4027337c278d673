"""
=====================================
Saving, loading and serving with ONNX
=====================================

A fitted network is a handful of arrays. joblib stores it for Python. With
``sknn_simple.onnx``, skl2onnx can convert it to an ONNX graph, which other programs and
languages can run without Python, scikit-learn or this package.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# A pipeline to serve
# -------------------

import tempfile
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_simple import OneHiddenMLP

try:
    import onnxruntime
    import skl2onnx

    import sknn_simple.onnx
except ImportError:
    onnxruntime = None
    print("Without ONNX: it needs pip install '.[onnx]', in a clone.")

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
pipeline = make_pipeline(PCA(30, random_state=0), OneHiddenMLP(30, random_state=0))
pipeline.fit(X_train, y_train)
print(f"test accuracy {pipeline.score(X_test, y_test):.3f}")

# %%
# joblib: for Python
# ------------------
#
# Load such a file only if you trust its origin, and with the versions that wrote it.

expected = pipeline.predict_proba(X_test)
folder = tempfile.TemporaryDirectory()
model_file = Path(folder.name, "digits.joblib")
joblib.dump(pipeline, model_file)
loaded = joblib.load(model_file)
assert np.array_equal(loaded.predict_proba(X_test), expected)
print(f"joblib: {model_file.stat().st_size / 1024:.0f} KiB, the same to the last bit")

# %%
# ONNX: for everything else
# -------------------------
#
# Call ``register`` once, then convert like any model of scikit-learn. With
# ``zipmap=False`` the probabilities are an array.

predictors = {"scikit-learn": pipeline.predict_proba}
if onnxruntime is not None:
    sknn_simple.onnx.register()
    graph = skl2onnx.to_onnx(
        pipeline,
        X_train[:1].astype(np.float32),
        options={"zipmap": False},
    )
    onnx_file = Path(folder.name, "digits.onnx")
    onnx_file.write_bytes(graph.SerializeToString())
    threads = onnxruntime.SessionOptions()
    threads.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_file, threads, providers=["CPUExecutionProvider"]
    )

    def predict_onnx(rows):
        return session.run(["probabilities"], {"X": rows.astype(np.float32)})[0]

    predictors["ONNX"] = predict_onnx
    print(f"ONNX: {onnx_file.stat().st_size / 1024:.0f} KiB")
    print(
        f"inputs {[i.name for i in session.get_inputs()]}, outputs "
        f"{[o.name for o in session.get_outputs()]}"
    )
    served = predict_onnx(X_test)
    print(f"largest difference of a probability: {np.abs(served - expected).max():.1g}")
    print(
        f"same class for {np.mean(served.argmax(1) == expected.argmax(1)):.1%} of rows"
    )
    assert np.allclose(served, expected, atol=1e-4)
    assert np.array_equal(served.argmax(1), expected.argmax(1))

# %%
# How long an answer takes
# ------------------------
#
# A service often answers for one row at a time. Medians of forty calls, on one thread.
# The sizes take turns, so that other work on the machine slows all of them.

SIZES = [1, 4, 16, 64, 256, 1024]
many = np.tile(X_test, (3, 1))
microseconds = {}
for name, predict in predictors.items():
    calls = np.empty((40, len(SIZES)))
    for turn in calls:
        for i, size in enumerate(SIZES):
            start = time.perf_counter()
            predict(many[:size])
            turn[i] = time.perf_counter() - start
    microseconds[name] = 1e6 * np.median(calls, axis=0)
print("microseconds per call\nrows      " + "".join(f"{size:>8}" for size in SIZES))
for name, values in microseconds.items():
    print(f"{name:<13}" + "".join(f"{value:>8.0f}" for value in values))

# %%
# The picture
# -----------

COLOURS = {"scikit-learn": "#8a8a8a", "ONNX": "#0072B2"}
_, left = plt.subplots(figsize=(4.6, 4), layout="constrained")
for (name, values), marker in zip(microseconds.items(), "os", strict=False):
    left.plot(SIZES, values, color=COLOURS[name], marker=marker, lw=2, label=name)
left.set_xscale("log", base=2)
left.set_yscale("log")
left.set_xticks(SIZES, SIZES)
left.set_yticks([10, 30, 100, 300, 1000], [10, 30, 100, 300, 1000])
left.set_yticks([], minor=True)
left.set(xlabel="rows in one call", ylabel="microseconds per call")
left.set_title("How long an answer takes")
left.legend(frameon=False)
left.grid(color="0.92")
left.spines[["top", "right"]].set_visible(False)
if onnxruntime is not None:
    _, right = plt.subplots(figsize=(4.6, 4), layout="constrained")
    difference = np.abs(served - expected).ravel()
    bins = np.logspace(-16, -5, 56)
    right.hist(np.clip(difference, bins[0], None), bins, color=COLOURS["ONNX"])
    right.set_xscale("log")
    right.set(xlabel="difference of a probability", ylabel="test rows × classes")
    right.set_title("ONNX against predict_proba")
    right.spines[["top", "right"]].set_visible(False)
plt.show()
folder.cleanup()

# %%
# Conclusion
# ----------

if onnxruntime is not None:
    ratio = microseconds["scikit-learn"] / microseconds["ONNX"]
    for size, times in zip(SIZES, ratio, strict=True):
        print(f"{size:>5} rows: scikit-learn takes {times:.1f} times as long")

# %%
# - In a process with the same versions joblib loads the same model, to the last bit.
# - The ONNX graph predicts the same class for every test row, and its probabilities
#   differ by rounding to float32. It contains the whole pipeline, including the PCA.
# - For a few rows most of the time of ``predict_proba`` goes into checks of the input,
#   which the graph does not have. With many rows most of it is arithmetic. The ratios
#   are printed above.
