"""ONNX graphs say what the classifiers say, when onnxruntime computes them."""

import doctest
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

import sknn_simple.onnx
from models import labels
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._model.activations import ACTIVATIONS

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
types = pytest.importorskip("skl2onnx.common.data_types")

ATOL = 1e-5
MODELS = [
    LogisticNN(),
    LogisticNN(fit_intercept=False),
    OneHiddenMLP(6, alpha=1.0, random_state=0),
    OneHiddenMLP(6, "tanh", alpha=1.0, skip_connections=True, random_state=0),
]


@pytest.fixture(autouse=True)
def registered():
    sknn_simple.onnx.register()


def converted(model, X, options=None, networks=(), **settings):
    """Return a session that runs a model; `networks` are transformers in it."""
    if options is None:
        options = {"zipmap": False}
    of_all = {id(network): {"transform": True} for network in networks}
    return session_of(
        skl2onnx.to_onnx(
            model, X[:1], options={**of_all, id(model): options}, **settings
        )
    )


def session_of(graph):
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(model, X, options=None, **settings):
    return converted(model, X, options, **settings).run(None, {"X": X})


def assert_same(model, X, **settings):
    label, probability = run(model, X, **settings)
    assert_array_equal(label, model.predict(X))
    assert probability.dtype == (np.float32 if X.dtype == np.float32 else np.float64)
    assert_allclose(probability, model.predict_proba(X), rtol=0, atol=ATOL)


def data(target):
    """Return raw features and a target of one kind."""
    if target == "multilabel":
        return labels(80, 4, 3)
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "вирджиника"])
    targets = {
        "binary": y == 1,
        "binary integers": np.where(y == 1, -7, 10**12),
        "binary floats": (y == 1).astype(float),
        "multiclass": y,
        "unsigned": y.astype(np.uint8),
        "strings": names[y],
        "objects": names[y].astype(object),
    }
    return X, targets[target]


TARGETS = [
    "binary",
    "binary integers",
    "binary floats",
    "multiclass",
    "unsigned",
    "strings",
    "objects",
    "multilabel",
]


# Every kind of target, activation and input -------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_labels_and_probabilities(model, target, dtype):
    X, y = data(target)
    assert_same(clone(model).fit(X, y), X.astype(dtype))


@pytest.mark.parametrize(
    ("target", "skip"), [("binary", True), ("multiclass", False), ("multilabel", True)]
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, target, skip):
    X, y = data(target)
    model = OneHiddenMLP(
        8, activation, skip_connections=skip, alpha=1e-2, random_state=0, tol=1e-2
    )
    model.fit(X, y)
    for dtype in (np.float32, np.float64):
        assert_same(model, X.astype(dtype))
    # Far from the data, where an exponential would overflow.
    assert_same(model, X * 1e4)
    assert_same(model, X * -1e4)


def test_every_activation_has_its_nodes():
    assert set(sknn_simple.onnx.ACTIVATION_NODES) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 1e4])
@pytest.mark.parametrize(
    "model",
    [
        LogisticNN(),
        *(OneHiddenMLP(8, name, alpha=1.0, random_state=0) for name in ACTIVATIONS),
    ],
    ids=str,
)
def test_raw_columns_with_large_offsets(model, shift, dtype):
    # In a float32 graph the probabilities of LogisticNN are off by 0.1.
    X, y = load_breast_cancer(return_X_y=True)
    model = clone(model).set_params(tol=1e-2).fit(X + shift, y)
    assert_same(model, (X + shift).astype(dtype))


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_model_trained_in_float32(model):
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    model = clone(model).set_params(tol=1e-2).fit(X, y)
    assert_same(model, X)
    assert_same(model, X.astype(np.float64))


@pytest.mark.parametrize("dtype", [np.int64, bool])
def test_integer_columns_give_float32(dtype):
    X, y = data("multiclass")
    X = (X.mean(axis=0) < X).astype(dtype)
    model = LogisticNN().fit(X, y)
    label, probability = run(model, X)
    assert_array_equal(label, model.predict(X))
    assert probability.dtype == np.float32
    assert_allclose(probability, model.predict_proba(X), rtol=0, atol=ATOL)


@pytest.mark.parametrize("opset", [11, 13, 15, 18, 21])
def test_older_operators(opset):
    opset = min(opset, skl2onnx.__max_supported_opset__)
    X, y = data("strings")
    for activation in ("softplus", "gelu"):
        model = OneHiddenMLP(
            4, activation, alpha=1.0, skip_connections=True, random_state=0
        )
        assert_same(model.fit(X, y), X, target_opset=opset)


def test_ties_go_to_the_class_of_predict():
    X, y = data("multiclass")
    Z = np.zeros((2, 4))
    for target in (y, y == 1):
        model = LogisticNN(fit_intercept=False).fit(X, target)
        assert_array_equal(run(model, Z)[0], model.predict(Z))


# Options ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", ["binary integers", "strings", "multilabel"])
def test_zipmap_gives_dicts_by_default(target, dtype):
    X, y = data(target)
    X = X.astype(dtype)
    model = LogisticNN().fit(X.astype(np.float64), y)
    label, rows = run(model, X, options={})
    assert_array_equal(label, model.predict(X))
    classes = model.classes_.tolist()
    assert all(sorted(row) == sorted(classes) for row in rows)
    found = [[row[name] for name in classes] for row in rows]
    assert_allclose(found, model.predict_proba(X), rtol=0, atol=ATOL)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zipmap_gives_columns(dtype):
    X, y = data("strings")
    X = X.astype(dtype)
    model = LogisticNN().fit(X.astype(np.float64), y)
    session = converted(model, X, {"zipmap": "columns"})
    names = [output.name for output in session.get_outputs()]
    assert names == ["output_label", *(f"s{name}" for name in model.classes_)]
    label, *columns = session.run(None, {"X": X})
    assert_array_equal(label, model.predict(X))
    assert all(column.dtype == dtype for column in columns)
    found = np.column_stack(columns)
    assert_allclose(found, model.predict_proba(X), rtol=0, atol=ATOL)


@pytest.mark.parametrize("target", ["binary", "strings", "multilabel"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_raw_scores(model, target):
    X, y = data(target)
    model = clone(model).fit(X, y)
    label, raw = run(model, X, {"zipmap": False, "raw_scores": True})
    assert_array_equal(label, model.predict(X))
    expected = model.decision_function(X)
    if expected.ndim == 1:
        expected = np.column_stack([-expected, expected])
    assert_allclose(raw, expected, atol=1e-9)


def test_class_numbers_and_class_labels():
    X, y = data("strings")
    model = LogisticNN().fit(X, y)
    label, _ = run(model, X, {"zipmap": False, "nocl": True})
    assert_array_equal(model.classes_[label], model.predict(X))
    *_, classes = run(model, X, {"zipmap": False, "output_class_labels": True})
    assert_array_equal(classes, model.classes_)


def test_labels_beyond_int64_are_refused():
    X, y = data("multiclass")
    model = LogisticNN(alpha=1.0).fit(X, y.astype(np.uint64) + np.uint64(2**63))
    with pytest.raises(ValueError, match=f"labels up to .*; got {2**63 + 2}"):
        run(model, X)
    assert run(model, X, {"zipmap": False, "nocl": True})[0].max() == 2


@pytest.mark.parametrize("target", ["strings", "binary", "multilabel"])
def test_shapes_are_declared(target):
    X, y = data(target)
    model = LogisticNN().fit(X, y)
    label, probabilities = converted(model, X).get_outputs()
    width = model.predict_proba(X).shape[1]
    assert (label.name, probabilities.name) == ("label", "probabilities")
    assert label.shape[1:] == ([width] if target == "multilabel" else [])
    assert probabilities.shape[1:] == [width]


# Inside others ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["binary", "strings", "multilabel"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_pipeline(model, target):
    X, y = data(target)
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), [0, 2])], remainder="passthrough"
    )
    pipeline = make_pipeline(columns, clone(model)).fit(X, y)
    assert_same(pipeline, X)


def test_pipeline_takes_the_options_of_its_step():
    X, y = data("strings")
    model = LogisticNN()
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    graph = skl2onnx.to_onnx(
        pipeline, X[:1], options={id(model): {"zipmap": False, "raw_scores": True}}
    )
    label, raw = session_of(graph).run(None, {"X": X})
    assert_array_equal(label, pipeline.predict(X))
    assert_allclose(raw, pipeline.decision_function(X), atol=1e-9)


def test_grid_search():
    X, y = data("strings")
    search = GridSearchCV(LogisticNN(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, y)
    assert_same(search, X)


# As a transformer ---------------------------------------------------------------------

HIDDEN = OneHiddenMLP(5, "tanh", alpha=1.0, skip_connections=True, random_state=0)


class Before(NamedTuple):
    """What stands before another model, and the networks in it once it is fitted."""

    model: Any
    networks: Callable[[Any], list]


BEFORE = {
    "scaler": Before(
        make_pipeline(StandardScaler(), HIDDEN), lambda pipeline: [pipeline[1]]
    ),
    "another network": Before(make_pipeline(HIDDEN, clone(HIDDEN)), list),
    "union": Before(
        FeatureUnion([("raw", StandardScaler()), ("net", HIDDEN)]),
        lambda union: [union["net"]],
    ),
    "weighted union": Before(
        FeatureUnion(
            [("raw", StandardScaler()), ("net", HIDDEN)],
            transformer_weights={"net": 0.5},
        ),
        lambda union: [union["net"]],
    ),
    "columns": Before(
        ColumnTransformer([("net", HIDDEN, [0, 1, 2]), ("raw", "passthrough", [3])]),
        lambda columns: [columns.named_transformers_["net"]],
    ),
    "pipeline in columns": Before(
        ColumnTransformer(
            [("net", make_pipeline(StandardScaler(), HIDDEN), [0, 1, 2, 3])]
        ),
        lambda columns: [columns.named_transformers_["net"][1]],
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("last", [LogisticRegression(), LogisticNN(), HIDDEN], ids=str)
@pytest.mark.parametrize("before", BEFORE)
def test_hidden_units_before_another_model(before, last, dtype):
    X, y = data("strings")
    model, networks = BEFORE[before]
    pipeline = make_pipeline(clone(model), clone(last)).fit(X, y)
    assert_same(pipeline, X.astype(dtype), networks=networks(pipeline[0]))


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
@pytest.mark.parametrize("before", BEFORE)
def test_a_network_before_another_model_asks_for_its_option(before, zipmap):
    X, y = data("strings")
    pipeline = make_pipeline(clone(BEFORE[before].model), LogisticNN()).fit(X, y)
    with pytest.raises(ValueError, match=r"id\(network\): \{'transform': True\}"):
        converted(pipeline, X, {"zipmap": zipmap})


def test_a_union_with_a_network_asks_for_its_option():
    X, y = data("strings")
    union = clone(BEFORE["union"].model).fit(X, y)
    with pytest.raises(ValueError, match=r"id\(network\): \{'transform': True\}"):
        skl2onnx.to_onnx(union, X[:1])


def test_options_by_the_names_of_steps():
    X, y = data("strings")
    pipeline = make_pipeline(clone(HIDDEN), LogisticNN()).fit(X, y)
    options = {"onehiddenmlp__transform": True, "logisticnn__zipmap": False}
    graph = skl2onnx.to_onnx(pipeline, X[:1], options=options)
    label, probability = session_of(graph).run(None, {"X": X})
    assert_array_equal(label, pipeline.predict(X))
    assert_allclose(probability, pipeline.predict_proba(X), rtol=0, atol=ATOL)


def test_declared_outputs_are_no_other_model():
    X, y = data("multiclass")
    model = clone(HIDDEN).fit(X, y)
    graph = skl2onnx.convert_sklearn(
        model,
        initial_types=[("X", types.DoubleTensorType([None, 4]))],
        final_types=[("class", None), ("p", types.FloatTensorType([None, 3]))],
        options={"zipmap": False},
    )
    label, probability = session_of(graph).run(["class", "p"], {"X": X})
    assert_array_equal(label, model.predict(X))
    assert probability.dtype == np.float32


PARTS = [("linear", LogisticNN()), ("network", HIDDEN)]
SOFT = {"voting": "soft", "flatten_transform": False}


@pytest.mark.parametrize(
    "ensemble",
    [VotingClassifier(PARTS, **SOFT), StackingClassifier(PARTS)],
    ids=lambda model: type(model).__name__,
)
def test_classifiers_inside_an_ensemble(ensemble):
    X, y = data("strings")
    assert_same(clone(ensemble).fit(X, y), X.astype(np.float32))


@pytest.mark.parametrize("target", TARGETS)
def test_hidden_units_of_every_target(target):
    X, y = data(target)
    pipeline = make_pipeline(clone(HIDDEN), LogisticNN()).fit(X, y)
    assert_same(pipeline, X, networks=[pipeline[0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_hidden_units_alone(activation, dtype):
    X, y = data("strings")
    model = OneHiddenMLP(4, activation, alpha=1.0, random_state=0, tol=1e-2).fit(X, y)
    X = X.astype(dtype)
    session = converted(model, X, {"transform": True})
    [hidden] = session.run(None, {"X": X})
    assert hidden.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert session.get_outputs()[0].shape[1:] == [4]
    assert_allclose(hidden, model.transform(X), rtol=0, atol=ATOL)


def test_a_search_over_hidden_units_before_another_model():
    X, y = data("strings")
    pipeline = make_pipeline(clone(HIDDEN), LogisticNN())
    search = GridSearchCV(pipeline, {"onehiddenmlp__alpha": [0.1, 1.0]}, cv=2)
    search.fit(X, y)
    assert_same(search, X, networks=[search.best_estimator_[0]])


def test_a_union_alone():
    X, y = data("strings")
    union = clone(BEFORE["union"].model).fit(X, y)
    options = {id(union["net"]): {"transform": True}}
    graph = skl2onnx.to_onnx(union, X[:1], options=options)
    [found] = session_of(graph).run(None, {"X": X})
    assert_allclose(found, union.transform(X), rtol=0, atol=ATOL)


def test_models_without_a_network_are_parsed_as_before():
    X, y = data("strings")
    model = make_pipeline(
        ColumnTransformer([("some", StandardScaler(), [0, 3])]),
        FeatureUnion([("a", StandardScaler()), ("b", StandardScaler())]),
        LogisticRegression(),
    )
    assert_same(model.fit(X, y), X)


# Registration -------------------------------------------------------------------------


def test_register_can_be_called_again():
    sknn_simple.onnx.register()
    X, y = data("multiclass")
    assert_same(LogisticNN().fit(X, y), X)
    pipeline = make_pipeline(clone(HIDDEN), LogisticNN()).fit(X, y)
    assert_same(pipeline, X, networks=[pipeline[0]])


def test_register_leaves_the_parsers_of_other_classes():
    code = (
        "from skl2onnx._parse import sklearn_parsers_map as parsers\n"
        "from sknn_simple import LogisticNN, OneHiddenMLP, onnx\n"
        "before = dict(parsers)\n"
        "onnx.register()\n"
        "changed = {kind for kind in parsers if parsers[kind] != before.get(kind)}\n"
        "assert changed == {LogisticNN, OneHiddenMLP}, changed"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_example_of_the_docstring():
    # Skipped where doctests are collected, because skl2onnx may be missing there.
    runner = doctest.DocTestRunner()
    (example,) = doctest.DocTestFinder(recurse=False).find(sknn_simple.onnx.register)
    for line in example.examples:
        assert line.options.pop(doctest.SKIP)
    results = runner.run(example)
    assert results.attempted > 0
    assert results.failed == 0


def test_missing_skl2onnx_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "sknn_simple\[onnx\]"'):
        sknn_simple.onnx.register()
