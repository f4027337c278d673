"""Every input type, alone and inside each composite that skl2onnx converts.

skl2onnx refuses some of these, and computes others wrongly, whatever the classifier is.
LogisticRegression in the same place is the reference for what it can do.
"""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import sknn_simple.onnx
from sknn_simple import LogisticNN, OneHiddenMLP

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # multioutput ignores zipmap
]

REFERENCE = LogisticRegression()
# Weights of AdaBoost sum to 1, beside which a larger alpha leaves a constant.
MODELS = {
    "linear": LogisticNN(alpha=1e-3),
    "network": OneHiddenMLP(5, "tanh", alpha=1e-3, max_iter=30, random_state=0),
}
INPUTS = {
    "float32": np.float32,
    "float64": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "bool": np.bool_,
}
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
SCALED = ColumnTransformer([("s", StandardScaler(), [0, 1])], remainder="passthrough")
SOME = ColumnTransformer([("some", "passthrough", [0, 2])])
COMPOSITES = {
    "alone": lambda m: m,
    "pipeline": lambda m: make_pipeline(StandardScaler(), m),
    "range": lambda m: make_pipeline(MinMaxScaler(), m),
    "selection": lambda m: make_pipeline(SelectKBest(k=2), m),
    "columns": lambda m: make_pipeline(SCALED, m),
    "some columns": lambda m: make_pipeline(SOME, m),
    "search": lambda m: GridSearchCV(m, {}, cv=2),
    "search of a pipeline": lambda m: GridSearchCV(
        make_pipeline(StandardScaler(), m), {}, cv=2
    ),
    "bagging": lambda m: BaggingClassifier(m, 3, max_features=0.5, random_state=0),
    "bagging of a pipeline": lambda m: BaggingClassifier(
        make_pipeline(StandardScaler(), m), 2, random_state=0
    ),
    "boosting": lambda m: AdaBoostClassifier(m, n_estimators=3, random_state=0),
    "calibration": lambda m: CalibratedClassifierCV(m, cv=2),
    "calibration of one": lambda m: CalibratedClassifierCV(m, cv=2, ensemble=False),
    "one against the rest": OneVsRestClassifier,
    "one against one": OneVsOneClassifier,
    "soft voting": lambda m: VotingClassifier(
        [("m", m), ("t", TREE)], voting="soft", flatten_transform=False
    ),
    "hard voting": lambda m: VotingClassifier(
        [("m", m), ("t", TREE)], flatten_transform=False
    ),
    "stacking": lambda m: StackingClassifier([("m", m), ("t", TREE)], REFERENCE, cv=2),
    "end of a stack": lambda m: StackingClassifier([("t", TREE)], m, cv=2),
    "outputs": MultiOutputClassifier,
    "bagging of one against the rest": lambda m: BaggingClassifier(
        OneVsRestClassifier(m), 2, random_state=0
    ),
}


def rows(dtype):
    """Whole numbers, the same in every type; for bool which are above the median."""
    X, y = load_iris(return_X_y=True)
    X = np.round(3 * X[::2])
    above = X - np.median(X, axis=0) > 0
    return (above if dtype is np.bool_ else X.astype(dtype)), y[::2]


def targets(composite):
    _, y = rows(np.float64)
    if composite == "outputs":
        return [np.column_stack([y == 1, y == 2]).astype(int)]
    return [np.array(["b", "a", "c"])[y], (y == 1).astype(int)]


@cache
def fitted(composite, name, number, of_booleans):
    """The same model for every type of the same values."""
    X, _ = rows(np.bool_ if of_booleans else np.float64)
    model = clone(MODELS.get(name, REFERENCE))
    return COMPOSITES[composite](model).fit(X, targets(composite)[number])


def fault(model, X):
    """Return what is wrong with the graph of a fitted model; None if it is right."""
    options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else {}
    try:
        graph = skl2onnx.to_onnx(model, X[:1], options=options)
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        label, *rest = session.run(None, {"X": X})
    except Exception as error:  # skl2onnx and onnxruntime raise any kind
        return f"{type(error).__name__}: {error}"
    expected = model.predict(X)
    if not np.array_equal(np.reshape(label, expected.shape), expected):
        return "labels"
    if not hasattr(model, "predict_proba"):
        return None
    probability, expected = np.asarray(rest[0]), np.asarray(model.predict_proba(X))
    if probability.dtype != (np.float64 if X.dtype == np.float64 else np.float32):
        return f"probabilities of {probability.dtype}"
    same = probability.shape == expected.shape
    same = same and np.allclose(probability, expected, rtol=0, atol=1e-4)
    return None if same else "probabilities"


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("name", MODELS)
def test_every_input_type_inside_every_composite(name, composite):
    sknn_simple.onnx.register()
    n_right = 0
    for number in range(len(targets(composite))):
        for dtype in INPUTS.values():
            X, _ = rows(dtype)
            place = (number, dtype is np.bool_)
            found = fault(fitted(composite, name, *place), X)
            n_right += found is None
            # The reference is asked only if something is wrong: it takes long.
            if found is not None and composite != "alone":
                peer = fault(fitted(composite, "reference", *place), X)
                assert peer is not None, (composite, number, dtype, found)
            elif composite == "alone":
                assert found is None, (number, dtype)
    assert n_right >= len(targets(composite))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["String", "Complex64"])
def test_other_input_is_refused(name, kind):
    types = pytest.importorskip("skl2onnx.common.data_types")
    sknn_simple.onnx.register()
    model = fitted("alone", name, 0, False)
    inputs = [("X", getattr(types, f"{kind}TensorType")([None, 4]))]
    for options in ({}, {"transform": True}) if name == "network" else ({},):
        with pytest.raises((RuntimeError, TypeError), match=f"{kind}TensorType"):
            skl2onnx.convert_sklearn(
                model, initial_types=inputs, options={id(model): options}
            )
