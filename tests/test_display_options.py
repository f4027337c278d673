"""Displays of pipelines, biases, importances, and names on the axes of a caller."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from models import LINEAR, NETWORK, SKIPPING, fit, independent_classes
from pictures import (
    each_display,
    each_weight_display,
    feature_names,
    legend,
    texts,
    titles,
)
from sknn_simple import (
    CoefficientDisplay,
    HiddenUnitsDisplay,
    LogisticNN,
    NetworkDisplay,
    OneHiddenMLP,
)

pytestmark = pytest.mark.usefixtures("close_figures")
X, Y = independent_classes(3)
each_network = pytest.mark.parametrize(
    "model", [LINEAR, NETWORK, SKIPPING], ids=["linear", "network", "skipping"]
)


# Pipelines ----------------------------------------------------------------------------


@each_display
@pytest.mark.parametrize(
    "before",
    [[], [MinMaxScaler()], ["passthrough"], [None, "passthrough"]],
    ids=["alone", "scaled", "passthrough", "several"],
)
def test_a_pipeline_is_drawn(display, before):
    pipeline = make_pipeline(*before, LogisticNN()).fit(X, Y)
    rows = (X, Y) if display is CoefficientDisplay else ()
    display.from_estimator(pipeline, *rows).figure_.canvas.draw()


@each_display
def test_a_pipeline_that_ends_in_another_model_is_refused(display):
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression()).fit(X, Y)
    with pytest.raises(TypeError, match=r"or a pipeline .* got a LogisticRegression"):
        display.from_estimator(pipeline)


@each_weight_display
def test_steps_of_a_pipeline_transform_the_rows_and_name_the_columns(display):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    pipeline = make_pipeline(MinMaxScaler(), LogisticNN()).fit(frame, Y)
    drawn = display.from_estimator(pipeline, frame)
    alone = display.from_estimator(pipeline[-1], pipeline[:-1].transform(frame))
    assert_array_equal(np.asarray(drawn.weights), np.asarray(alone.weights))
    assert feature_names(drawn) == list("abcde")
    assert feature_names(alone) == ["x0", "x1", "x2", "x3", "x4"]
    named = display.from_estimator(pipeline, feature_names=list("vwxyz"))
    assert feature_names(named) == list("vwxyz")


@each_weight_display
def test_columns_of_a_step_without_names_are_numbered(display):
    steps = [("odd", FunctionTransformer(np.tanh)), ("net", LogisticNN())]
    drawn = display.from_estimator(Pipeline(steps).fit(X, Y))
    assert feature_names(drawn)[0] == "x0"


# Importances and biases ---------------------------------------------------------------


@each_network
def test_importances_are_products_of_weights_summed_over_paths(model):
    model = fit(model, X, Y)
    if isinstance(model, LogisticNN):
        expected = model.coef_.T.copy()
    else:
        expected = np.einsum("ih,hk->ik", *model.coefs_)
        expected += getattr(model, "skip_coef_", 0.0)
    expected *= model.scale_[:, None]
    drawn = NetworkDisplay.from_estimator(model, importances=True)
    (importances,) = drawn.weights
    assert_allclose(importances, expected)
    assert drawn.skip_lines_ is None
    assert len(drawn.units_) == 2
    bars = HiddenUnitsDisplay.from_estimator(model, importances=True)
    assert_allclose(bars.weights, expected)
    assert titles(bars) == [str(label) for label in model.classes_]
    assert "Importance per std. dev." in {p.get_xlabel() for p in bars.axes_}


@each_network
@pytest.mark.parametrize("to_container", [np.asarray, sparse.csr_matrix])
def test_biases_are_those_at_the_mean_of_the_rows(model, to_container):
    model = fit(model, X, Y)
    raw = NetworkDisplay.from_estimator(model, biases=True)
    drawn = NetworkDisplay.from_estimator(model, to_container(X), biases=True)
    mean = X.mean(axis=0)
    if isinstance(model, LogisticNN):
        assert_array_equal(raw.biases, [model.intercept_])
        assert_allclose(drawn.biases, [model.decision_function(mean[None])[0]])
        return
    for bias, expected in zip(raw.biases, model.intercepts_, strict=True):
        assert_array_equal(bias, expected)
    hidden = np.tanh(drawn.biases[0])
    assert_allclose(hidden, model.transform(mean[None])[0])
    output = drawn.biases[1] + hidden @ model.coefs_[1]
    assert_allclose(output, model.decision_function(mean[None])[0])


def test_biases_colour_the_units():
    drawn = NetworkDisplay(
        weights=[np.ones((2, 3))],
        unit_names=[["a", "b"], ["c", "d", "e"]],
        layer_names=["from", "to"],
        biases=[np.array([1.0, -1.0, 0.0])],
    ).plot()
    inputs, outputs = (c.get_facecolors() for c in drawn.ax_.collections[-2:])
    assert_array_equal(inputs, [[1.0] * 4])
    red, blue, white = outputs[:, :3]
    assert red[0] > red[2]
    assert blue[0] < blue[2]
    assert_array_equal(white, np.ones(3))
    assert legend(drawn)[-1] == "fill of a unit: its bias"


def test_importances_have_no_biases():
    with pytest.raises(ValueError, match="importances=True draws no hidden units"):
        NetworkDisplay.from_estimator(fit(NETWORK, X, Y), importances=True, biases=True)


def test_one_output_is_titled_by_its_class():
    drawn = HiddenUnitsDisplay.from_estimator(fit(LINEAR, X, Y > 0))
    assert titles(drawn) == ["Log odds of True"]
    model = fit(LINEAR, X, np.where(Y == 0, "at home", "in hospital ward 7"))
    drawn = HiddenUnitsDisplay.from_estimator(model)
    assert titles(drawn) == ["Log odds of in hospital ward 7"]


# Axes of the caller -------------------------------------------------------------------


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"biases": True}, {"importances": True}])
def test_texts_stay_inside_the_axes_of_the_caller(n_axes, options):
    names = [f"a rather long description of column number {j} in cm" for j in range(5)]
    model = fit(SKIPPING, X, Y)
    figure, axes = plt.subplots(1, n_axes, squeeze=False)
    for ax in axes.flat:
        NetworkDisplay.from_estimator(model, ax=ax, feature_names=names, **options)
    figure.canvas.draw()
    for ax in axes.flat:
        outer = ax.get_window_extent()
        boxes = [text.get_window_extent() for text in ax.texts]
        for box in [*boxes, ax.get_legend().get_window_extent()]:
            assert outer.x0 - 1.0 <= box.x0
            assert box.x1 <= outer.x1 + 1.0
            assert outer.y0 - 1.0 <= box.y0
            assert box.y1 <= outer.y1 + 1.0


def test_names_are_cut_only_if_they_leave_no_room():
    names = [f"a long description of column {j}" for j in range(5)]
    model = fit(OneHiddenMLP(2, alpha=1.0, random_state=0), X, Y)
    shown = []
    for width in (15.0, 2.5):
        _, ax = plt.subplots(figsize=(width, 4.0))
        NetworkDisplay.from_estimator(model, ax=ax, feature_names=names)
        shown.append({text.get_text() for text in ax.texts})
    assert set(names) <= shown[0]
    assert not set(names) & shown[1]
    assert all(name[-1] in {text[-1] for text in shown[1]} for name in names)


# Styles of matplotlib -----------------------------------------------------------------


def test_texts_of_a_network_are_legible_in_a_dark_style():
    model = fit(SKIPPING, X, Y)
    with plt.style.context("dark_background"):
        drawn = NetworkDisplay.from_estimator(
            model, max_units=2, class_names=list("abc")
        )
    hidden = set(drawn.units_[1].astype(str))
    colours = {text.get_text(): text.get_color() for text in drawn.ax_.texts}
    assert {"Inputs", f"x{drawn.units_[0][0]}", "… 3 more", *hidden} <= set(colours)
    for text, colour in colours.items():
        assert colour == ("black" if text in hidden else "white")
    skip = drawn.ax_.get_legend().get_lines()[-1]
    assert skip.get_color() == "white"


def test_the_line_at_zero_is_visible_in_a_dark_style():
    with plt.style.context("dark_background"):
        drawn = HiddenUnitsDisplay.from_estimator(fit(NETWORK, X, Y))
    for panel in drawn.axes_:
        assert_array_equal(panel.lines[0].get_color(), [1.0] * 4)


# Names --------------------------------------------------------------------------------


def test_names_are_drawn_on_one_line():
    model = fit(NETWORK, X, np.array(["a\nb", "c", "d\r\n\td"])[Y])
    names = ["sepal\nlength\n(cm)", "sepal\twidth", "petal   length", "d", "e"]
    drawn = NetworkDisplay.from_estimator(model, feature_names=names)
    shown = {"sepal length (cm)", "sepal width", "petal length", "d", "e"}
    assert shown | {"a b", "d d"} <= set(texts(drawn))
    bars = HiddenUnitsDisplay.from_estimator(
        model, feature_names=names, importances=True
    )
    assert {label.get_text() for label in bars.axes_[0].get_yticklabels()} == shown
    assert titles(bars) == ["a b", "c", "d d"]


@pytest.mark.parametrize("scale", [0.0023, 0.023, 0.018, 0.17, 4.0, 300.0])
def test_labels_below_bars_do_not_overlap(scale):
    drawn = HiddenUnitsDisplay(
        weights=scale * np.random.default_rng(0).normal(size=(5, 6)),
        feature_names=list("abcde"),
        unit_names=list("uvwxyz"),
    ).plot()
    drawn.figure_.canvas.draw()
    low, high = drawn.axes_[0].get_xlim()
    labels = [label for panel in drawn.axes_[3:] for label in panel.get_xticklabels()]
    inside = [label for label in labels if low <= label.get_position()[0] <= high]
    assert len(inside) == 9
    boxes = [label.get_window_extent() for label in inside]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
