"""The benchmark of inference: its truths and a tiny run."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmark_modules import benchmark

common = benchmark("common")
data = benchmark("data")
inference = benchmark("inference")


def test_effects_of_the_truth_are_differences_of_probabilities():
    X, _, raw = inference.drawn_table(0)
    found = inference.true_effects(X, raw)

    def mean(rows):
        raw = rows @ inference.TRUTH + inference.INTERCEPT
        return (1.0 / (1.0 + np.exp(-raw))).mean()

    step = np.zeros(X.shape[1])
    step[0] = 1e-5
    assert_allclose(found[0], (mean(X + step) - mean(X - step)) / 2e-5, rtol=1e-6)
    ones, zeros = X.copy(), X.copy()
    ones[:, -1], zeros[:, -1] = 1.0, 0.0
    assert_allclose(found[-1], mean(ones) - mean(zeros))


def test_a_tiny_run(capsys):
    settings = common.Settings(quick=True, repeats=1, seeds=1, only="iris,breast")
    found = inference.run(settings)
    iris, mean = found["averages"]
    assert (iris["set"], mean["set"]) == ("iris", "geometric mean")
    assert_allclose(mean["ratio"], iris["ratio"])
    assert [row["set"] for row in found["cost"]] == ["breast_cancer"]
    assert all(0.9 < row["mean"] <= 1.0 for row in found["coverage"])
    assert all(row["found"] > 0.5 for row in found["odd rows"])
    assert "rows left out" in capsys.readouterr().out
    with pytest.raises(data.NoDataSetError, match="'none'"):
        inference.run(common.Settings(only="none"))
