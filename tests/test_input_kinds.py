"""The same numbers give the same model in any container, and are not changed."""

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.fixes import parse_version

from models import (
    assert_same_bits,
    classes,
    each_comparable_model,
    fit,
    ignores_max_iter,
    outputs,
)

# The comparable networks stop at max_iter, on purpose.
pytestmark = ignores_max_iter


@each_comparable_model
def test_the_layout_in_memory_does_not_matter(model, tmp_path):
    X, y = classes()
    expected = fit(model, X, y)
    read_only = X.copy()
    read_only.setflags(write=False)
    y_read_only = y.copy()
    y_read_only.setflags(write=False)
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    padded = np.zeros((2 * len(X), X.shape[1] + 3))
    padded[::2, 1:-2] = X
    assert_same_bits(fit(model, read_only, y_read_only), expected)
    assert_same_bits(fit(model, mapped, y), expected)
    assert_same_bits(fit(model, X.tolist(), y.tolist()), expected)
    for array in (np.asfortranarray(X), padded[::2, 1:-2], X[::-1][::-1]):
        other = fit(model, array, y)
        assert_allclose(other.loss_, expected.loss_, rtol=1e-10)
        assert_allclose(other.predict_proba(array), expected.predict_proba(X), 1e-6)


@each_comparable_model
def test_data_are_not_written_to(model):
    X, y = classes()
    s = np.linspace(0.0, 1.0, len(y))
    before = X.copy(), y.copy(), s.copy()
    outputs(fit(model, X, y, sample_weight=s), X)
    for array, copied in zip((X, y, s), before, strict=True):
        assert_array_equal(array, copied)


@each_comparable_model
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_are_arrays_with_names(model, kind):
    module = pytest.importorskip(kind)
    X, y = classes()
    names = [f"column {j}" for j in range(X.shape[1])]
    frame = module.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    expected = fit(model, X, y)
    other = fit(model, frame, module.Series(y))
    # scikit-learn < 1.9 finds names by an interface that polars 2 dropped.
    recent = parse_version(sklearn.__version__) >= parse_version("1.9")
    if kind == "pandas" or hasattr(frame, "__dataframe__") or recent:
        assert other.feature_names_in_.tolist() == names
    assert not hasattr(expected, "feature_names_in_")
    assert_allclose(other.loss_, expected.loss_, rtol=1e-10)
    for name, output in outputs(expected, X).items():
        assert_allclose(outputs(other, frame)[name], output, atol=1e-6, err_msg=name)


@each_comparable_model
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_may_mix_types_of_numbers(model, kind):
    module = pytest.importorskip(kind)
    rng = np.random.default_rng(0)
    columns = {
        "integer": rng.integers(-3, 4, 90),
        "boolean": rng.random(90) < 0.5,
        "single": rng.normal(size=90).astype(np.float32),
        "double": rng.normal(size=90),
    }
    y = columns["integer"] + columns["double"] > 0.0
    X = np.column_stack([c.astype(float) for c in columns.values()])
    expected, other = fit(model, X, y), fit(model, module.DataFrame(columns), y)
    assert_allclose(other.loss_, expected.loss_, rtol=1e-10)
