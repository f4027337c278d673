"""Conversion of both classifiers to ONNX graphs, which run without Python.

The graph computes in float64 for every type of input. If the mean of a raw column is
much larger than its standard deviation, X W and the biases nearly cancel, and float32
would lose their difference: with the columns of load_breast_cancer shifted by 1e4 the
probabilities of LogisticNN would have errors of 0.1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from sknn_simple._base import BaseNN
from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._version import how_to_install

__all__ = ["register"]

_OPTIONS: dict[str, list[Any]] = {
    "nocl": [False, True],
    "output_class_labels": [False, True],
    "raw_scores": [False, True],
    "zipmap": [True, False, "columns"],
}


def register() -> None:
    """Register converters for LogisticNN and OneHiddenMLP with skl2onnx.

    Call it once per process, before :func:`skl2onnx.to_onnx` or
    :func:`skl2onnx.convert_sklearn`. You can then convert the classifiers alone, at the
    end of a pipeline, or inside a grid search. With the option ``transform`` you can
    also convert OneHiddenMLP as a transformer: before the last step of a pipeline, in a
    feature union or in a column transformer.

    The input may be float32, float64, int64, int32 or bool, also inside an ensemble or
    another composite, if skl2onnx converts the rest of it for this type. The graph has
    the outputs ``label`` and ``probabilities``. Labels are strings or int64, to which
    booleans and floats are converted; for a multilabel target they are an indicator
    matrix. Probabilities have the type of the input, float32 for integers and booleans.
    The options are those of skl2onnx for
    :class:`~sklearn.linear_model.LogisticRegression`:

    - ``zipmap``: True (the default of skl2onnx) turns each row of probabilities into a
      dict of float32, "columns" makes an output per class, False leaves the array.
    - ``raw_scores``: raw outputs in place of probabilities; -z and z for two classes.
    - ``output_class_labels``: ``classes_`` as one more output; needs ``zipmap=False``.
    - ``nocl``: class numbers in place of labels.

    OneHiddenMLP has one more:

    - ``transform``: the hidden activations as the only output. skl2onnx does not pass
      on which method of a step the next step needs. Set this option for every network
      that is used as a transformer: ``options={id(pipeline[0]): {"transform": True}}``.
      Without it the conversion raises a ValueError.

    Read more in the :ref:`User Guide <guide_onnx>`.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    skl2onnx.to_onnx : Convert a fitted estimator.

    Notes
    -----
    The graph computes in float64 and agrees with ``predict_proba`` to 1e-5 for the same
    input values. A float32 input rounds values such as 10000.001: for such data convert
    with a float64 input.

    Examples
    --------
    >>> import numpy as np  # doctest: +SKIP
    >>> from onnxruntime import InferenceSession  # doctest: +SKIP
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> from sklearn.datasets import load_iris  # doctest: +SKIP
    >>> from sknn_simple import OneHiddenMLP, onnx  # doctest: +SKIP
    >>> onnx.register()  # doctest: +SKIP
    >>> X, y = load_iris(return_X_y=True)  # doctest: +SKIP
    >>> model = OneHiddenMLP(5, random_state=0).fit(X, y)  # doctest: +SKIP
    >>> graph = to_onnx(model, X[:1], options={"zipmap": False})  # doctest: +SKIP
    >>> session = InferenceSession(graph.SerializeToString())  # doctest: +SKIP
    >>> label, probability = session.run(None, {"X": X})  # doctest: +SKIP
    >>> bool((label == model.predict(X)).all())  # doctest: +SKIP
    True
    >>> np.allclose(probability, model.predict_proba(X), atol=1e-5)  # doctest: +SKIP
    True
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            "sknn_simple.onnx needs skl2onnx, and onnxruntime to run what it converts: "
            f"{how_to_install('onnx')}"
        ) from error
    update_registered_converter(
        LogisticNN,
        "SknnSimpleLogisticNN",
        _infer_outputs,
        _convert,
        options=_OPTIONS,
    )
    update_registered_converter(
        OneHiddenMLP,
        "SknnSimpleOneHiddenMLP",
        _infer_network,
        _convert_network,
        parser=_parse_network,
        options={**_OPTIONS, "transform": [False, True]},
    )


def _parse_network(
    scope: Any, model: OneHiddenMLP, inputs: Any, custom_parsers: Any = None
) -> Any:
    """Declare the outputs of a classifier, or one output for the hidden layer."""
    # skl2onnx has no public name for the parser that it gives to classifiers.
    from skl2onnx._parse import _parse_sklearn_classifier
    from skl2onnx.common.data_types import guess_tensor_type

    if not scope.get_options(model, {"transform": False})["transform"]:
        return _parse_sklearn_classifier(scope, model, inputs, custom_parsers)
    operator = scope.declare_local_operator("SknnSimpleOneHiddenMLP", model)
    operator.inputs = inputs
    kind = guess_tensor_type(inputs[0].type)
    operator.outputs.append(scope.declare_local_variable("hidden", kind))
    return operator.outputs


def _infer_network(operator: Any) -> None:
    """Set types and shapes of the outputs of a classifier or of its hidden layer."""
    if len(operator.outputs) == 1:
        _check_numbers(operator)
        [hidden] = operator.outputs
        hidden.type.shape = [None, operator.raw_operator.coefs_[0].shape[1]]
        return
    _check_no_model_takes_the_label(operator)
    _infer_outputs(operator)


def _check_no_model_takes_the_label(operator: Any) -> None:
    """Raise ValueError if another model takes the label: it needs ``transform``."""
    label = operator.outputs[0]
    for other in operator.scope_inst.operators.values():
        if label not in other.inputs:
            continue
        if other.type in ("SklearnZipMap", "SklearnZipMapColumns"):
            _check_no_model_takes_the_label(other)
        # These two convert and rename what a whole graph returns.
        elif other.type not in ("SklearnCast", "SklearnIdentity"):
            raise ValueError(
                "OneHiddenMLP is a transformer in the model to convert, and skl2onnx "
                "treats it as a classifier. Add id(network): {'transform': True} to "
                "the options of to_onnx or convert_sklearn, for the fitted network in "
                "that model."
            )


def _infer_outputs(operator: Any) -> None:
    """Set types and shapes of both outputs.

    Bagging and other composites of skl2onnx declare probabilities of the type of the
    input. They compute with what a classifier returns: floats, also for integers.
    """
    from skl2onnx.common import data_types
    from skl2onnx.common.utils_classifier import get_label_classes

    [X], (label, probabilities) = operator.inputs, operator.outputs
    _check_numbers(operator)
    model = operator.raw_operator
    n_rows = X.get_first_dimension()
    shape = [n_rows, len(model.classes_)]
    classes = _labels(get_label_classes(operator.scope_inst, model))
    kinds = {"U": data_types.StringTensorType, "i": data_types.Int64TensorType}
    label.set_type(kinds[classes.dtype.kind](shape if model._multilabel else [n_rows]))
    # ZipMap, which makes the dicts, takes float32 only.
    as_dicts = any(
        other.type == "SklearnZipMap" and probabilities in other.inputs
        for other in operator.scope_inst.operators.values()
    )
    as_input = type(data_types.guess_tensor_type(X.type))
    kind = data_types.FloatTensorType if as_dicts else as_input
    probabilities.set_type(kind(shape))


def _check_numbers(operator: Any) -> None:
    """Raise an error of skl2onnx for an input that is text or complex."""
    from skl2onnx.common import data_types
    from skl2onnx.common.utils import check_input_and_output_types

    names = ("Float", "Double", "Boolean", "Int64", "Int32", "Int16", "Int8", "UInt8")
    kinds = [getattr(data_types, f"{name}TensorType") for name in names]
    check_input_and_output_types(operator, kinds)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of one fitted classifier to the graph."""
    from skl2onnx.common.data_types import guess_proto_type
    from skl2onnx.common.utils_classifier import get_label_classes

    model: BaseNN = operator.raw_operator
    label, probabilities = operator.outputs
    graph = Graph(scope, container)
    raw = _raw_outputs(graph, model, graph.float64(operator.inputs[0].full_name))
    if model._multilabel:
        positive = graph.node("Greater", raw, graph.constant(np.zeros(1)))
        graph.node("Cast", positive, to=graph.types.INT64, output=label.full_name)
    else:
        if len(model.classes_) == 2:
            raw = graph.node("Concat", graph.node("Neg", raw), raw, axis=1)
        # Raw outputs decide, as in `predict`: both probabilities may round to 1.
        largest = graph.node("ArgMax", raw, axis=1, keepdims=0)
        classes = graph.constant(_labels(get_label_classes(scope, model)))
        graph.node("Gather", classes, largest, axis=0, output=label.full_name)
    if not container.get_options(model, {"raw_scores": False})["raw_scores"]:
        softmax = not model._multilabel and len(model.classes_) > 2
        raw = graph.node("Softmax", raw, axis=1) if softmax else graph.sigmoid(raw)
    kind = guess_proto_type(probabilities.type)
    graph.node("Cast", raw, to=kind, output=probabilities.full_name)


def _convert_network(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of one fitted network, or of its hidden layer, to the graph."""
    from skl2onnx.common.data_types import guess_proto_type

    if len(operator.outputs) > 1:
        _convert(scope, operator, container)
        return
    [output] = operator.outputs
    graph = Graph(scope, container)
    X = graph.float64(operator.inputs[0].full_name)
    hidden = _hidden(graph, operator.raw_operator, X)
    kind = guess_proto_type(output.type)
    graph.node("Cast", hidden, to=kind, output=output.full_name)


def _labels(classes: np.ndarray) -> np.ndarray:
    """Return class labels as int64 or as text; raise if int64 cannot hold them."""
    if classes.dtype.kind in "uf" and classes.max() > np.iinfo(np.int64).max:
        raise ValueError(
            f"ONNX has labels up to 2**63 - 1; got {classes.max().item()}. Fit labels "
            "of text, or convert with the option nocl, for class numbers."
        )
    return classes.astype(np.int64 if classes.dtype.kind in "biuf" else np.str_)


def _raw_outputs(graph: "Graph", model: BaseNN, X: str) -> str:
    """Add z = W x + b, or z = W₂ φ(W₁ x + b₁) + b₂ (+ W₃ x); return its name."""
    params = model._parameters()
    if not isinstance(model, OneHiddenMLP):
        return graph.affine(X, params["coef"], params.get("intercept"))
    hidden = _hidden(graph, model, X)
    raw = graph.affine(hidden, params["output_coef"], params["output_intercept"])
    if "skip_coef" in params:
        raw = graph.node("Add", raw, graph.affine(X, params["skip_coef"], None))
    return raw


def _hidden(graph: "Graph", model: OneHiddenMLP, X: str) -> str:
    """Add φ(W₁ x + b₁); return its name."""
    raw = graph.affine(X, model.coefs_[0], model.intercepts_[0])
    return ACTIVATION_NODES[model._fitted_activation](graph, raw)


class Graph:
    """Adds nodes to the graph that skl2onnx builds; values are identified by name.

    `scope` and `container` are those that skl2onnx passes to a converter; `types` has
    the numbers of ONNX's element types.
    """

    def __init__(self, scope: Any, container: Any) -> None:
        from onnx import TensorProto

        self._scope = scope
        self._container = container
        self.types: Any = TensorProto

    def node(
        self, operation: str, *inputs: str, output: str | None = None, **attributes: Any
    ) -> str:
        """Add one operation; return the name of its result."""
        name = output or self._scope.get_unique_variable_name(operation.lower())
        self._container.add_node(
            operation,
            list(inputs),
            [name],
            name=self._scope.get_unique_operator_name(operation),
            **attributes,
        )
        return name

    def constant(self, array: np.ndarray) -> str:
        """Add an array of float64, int64 or text; return its name."""
        name = self._scope.get_unique_variable_name("constant")
        kind = {"f": self.types.DOUBLE, "i": self.types.INT64}.get(
            array.dtype.kind, self.types.STRING
        )
        values: Any = array.ravel()
        if kind == self.types.STRING:
            values = [text.encode() for text in values.tolist()]
        self._container.add_initializer(name, kind, array.shape, values)
        return name

    def float64(self, value: str) -> str:
        """Add a conversion to float64."""
        return self.node("Cast", value, to=self.types.DOUBLE)

    def affine(self, X: str, coef: np.ndarray, intercept: np.ndarray | None) -> str:
        """Add X W + b."""
        product = self.node("MatMul", X, self.constant(coef.astype(np.float64)))
        if intercept is None:
            return product
        return self.node("Add", product, self.constant(intercept.astype(np.float64)))

    def sigmoid(self, z: str) -> str:
        """Add σ(z)."""
        return self.node("Sigmoid", z)

    def silu(self, z: str) -> str:
        """Add z / (1 + exp(-z)).

        onnxruntime < 1.31 fuses z σ(z) into one node that exists in float32 only.
        """
        tail = self.node("Exp", self.node("Neg", z))
        return self.node("Div", z, self.node("Add", tail, self.constant(np.ones(1))))

    def softplus(self, z: str) -> str:
        """Add max(z, 0) + log(1 + exp(-|z|)); onnxruntime's Softplus has no float64."""
        tail = self.node("Exp", self.node("Neg", self.node("Abs", z)))
        tail = self.node("Log", self.node("Add", tail, self.constant(np.ones(1))))
        return self.node("Add", self.node("Relu", z), tail)

    def gelu(self, z: str) -> str:
        """Add z (1 + erf(z/√2))/2.

        onnxruntime's Erf is float32 only: its error of 1e-7 is the largest in a graph.
        """
        scaled = self.node("Mul", z, self.constant(np.array([np.sqrt(0.5)])))
        erf = self.node("Erf", self.node("Cast", scaled, to=self.types.FLOAT))
        twice = self.node("Add", self.float64(erf), self.constant(np.ones(1)))
        half = self.node("Mul", z, self.constant(np.array([0.5])))
        return self.node("Mul", half, twice)


ACTIVATION_NODES: dict[str, Callable[[Graph, str], str]] = {
    "identity": lambda graph, z: z,
    "logistic": Graph.sigmoid,
    "sigmoid": Graph.sigmoid,
    "tanh": lambda graph, z: graph.node("Tanh", z),
    "relu": lambda graph, z: graph.node("Relu", z),
    "softplus": Graph.softplus,
    "silu": Graph.silu,
    "gelu": Graph.gelu,
}
