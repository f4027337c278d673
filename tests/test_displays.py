"""What the displays compute, what they draw, and what they refuse."""

import copy
import sys
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

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
UNITS = np.array([1.0, 100.0, 0.01, 5.0, 1.0, 1.0])


def data(n_classes=3):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(90, 6)) * UNITS
    raw = (X / UNITS) @ generator.normal(size=(6, n_classes))
    return X, np.array(["red", "green", "blue"])[raw.argmax(axis=1)]


@cache
def fitted(model, n_classes=3):
    return clone(model).fit(*data(n_classes))


NETWORK = OneHiddenMLP(5, random_state=0, tol=0.01)
SKIPPING = clone(NETWORK).set_params(skip_connections=True)


def network(*, skip_connections=False):
    return copy.deepcopy(fitted(SKIPPING if skip_connections else NETWORK))


def rows_of(display, X, y):
    """What from_estimator needs beside the model."""
    return (X, y) if display is CoefficientDisplay else ()


def widths(lines):
    return np.asarray(lines.get_linewidths())


# Every display ------------------------------------------------------------------------


@each_display
@pytest.mark.parametrize("model", [LogisticNN(), NETWORK], ids=repr)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_draws_either_model_on_a_new_figure(display, model, n_classes):
    rows = rows_of(display, *data(n_classes))
    drawn = display.from_estimator(fitted(model, n_classes), *rows)
    assert isinstance(drawn, display)
    assert drawn.figure_ is drawn.ax_.figure
    drawn.figure_.canvas.draw()
    again = drawn.plot()
    assert again is drawn


@each_display
@pytest.mark.parametrize("with_spec", [True, False])
def test_draws_on_the_axes_given(display, with_spec):
    figure = plt.figure()
    ax = figure.subplots() if with_spec else figure.add_axes((0.1, 0.1, 0.8, 0.8))
    drawn = display.from_estimator(network(), *rows_of(display, *data()), ax=ax)
    assert drawn.ax_ is ax
    assert drawn.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


@each_display
def test_multilabel_models_are_drawn(display):
    X, Y = data()[0], (data()[0][:, :3] > 0).astype(int)
    model = OneHiddenMLP(2, random_state=0).fit(X, Y)
    display.from_estimator(model, *rows_of(display, X, Y)).figure_.canvas.draw()


@each_display
def test_a_model_that_is_not_fitted_is_refused(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(OneHiddenMLP())


@each_display
@pytest.mark.parametrize(
    ("estimator", "hint"),
    [
        (LogisticRegression(), "got a LogisticRegression"),
        (LogisticNN, "the class LogisticNN, not an instance"),
        (GridSearchCV(LogisticNN(), {}).fit(*data()), "search.best_estimator_"),
        (None, "NoneType"),
    ],
    ids=["other", "class", "search", "none"],
)
def test_other_objects_than_models_are_refused(display, estimator, hint):
    name = display.__name__
    with pytest.raises(TypeError, match=f"{name}.from_estimator takes a .*{hint}"):
        display.from_estimator(estimator)


@each_display
def test_missing_matplotlib_names_the_extra(display, monkeypatch):
    model, rows = network(), rows_of(display, *data())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "sknn_simple\[plots\]"'):
        display.from_estimator(model, *rows)


# Weights, names and choices -----------------------------------------------------------


@each_weight_display
@pytest.mark.parametrize("to_container", [np.asarray, sparse.csr_matrix])
def test_weights_are_raw_or_per_standard_deviation(display, to_container):
    X, _ = data()
    model = network(skip_connections=True)
    units = [np.ones(6), model.scale_, X[:50].std(axis=0)]
    raw = display.from_estimator(model, per_deviation=False)
    own = display.from_estimator(model)
    of_rows = display.from_estimator(model, to_container(X[:50]))
    for drawn, unit in zip((raw, own, of_rows), units, strict=True):
        expected = model.coefs_[0] * unit[:, None]
        if display is NetworkDisplay:
            assert_allclose(drawn.weights[0], expected)
            assert_array_equal(drawn.weights[1], model.coefs_[1])
            assert_allclose(drawn.skip_weights, model.skip_coef_ * unit[:, None])
        else:
            assert_allclose(drawn.weights, expected)
        assert drawn.per_deviation == (drawn is not raw)


@each_weight_display
def test_a_fit_without_units_is_drawn_with_raw_weights(display):
    X, y = data()
    model = LogisticNN(standardize=False).fit(X, y)
    drawn = display.from_estimator(model)
    assert not drawn.per_deviation
    assert_array_equal(np.asarray(drawn.weights).reshape(6, 3), model.coef_.T)
    assert display.from_estimator(model, X).per_deviation


@each_weight_display
def test_scaled_weights_do_not_depend_on_units(display):
    X, y = data()
    first = LogisticNN().fit(X, y)
    second = LogisticNN().fit(X / UNITS, y)
    drawn = display.from_estimator(first), display.from_estimator(second)
    weights = [np.asarray(d.weights).reshape(6, 3) for d in drawn]
    assert_allclose(*weights, rtol=1e-3, atol=1e-4)


@each_weight_display
def test_a_wrong_number_of_columns_is_refused(display):
    with pytest.raises(ValueError, match="5 features"):
        display.from_estimator(network(), data()[0][:, :5])


@each_weight_display
def test_a_wrong_number_of_feature_names_is_refused(display):
    with pytest.raises(ValueError, match="2 names and the model 6 features"):
        display.from_estimator(network(), feature_names=["a", "b"])


@each_weight_display
def test_features_are_named(display):
    pd = pytest.importorskip("pandas")
    X, y = data()
    unnamed = display.from_estimator(LogisticNN().fit(X, y))
    assert feature_names(unnamed) == ["x0", "x1", "x2", "x3", "x4", "x5"]
    named = LogisticNN().fit(pd.DataFrame(X, columns=list("abcdef")), y)
    assert feature_names(display.from_estimator(named)) == list("abcdef")
    given = display.from_estimator(named, feature_names=[1, 2, 3, 4, 5, 6])
    assert feature_names(given) == list("123456")


@each_weight_display
def test_names_from_the_data_are_not_formulas(display):
    pd = pytest.importorskip("pandas")
    X, y = data()
    columns = [r"$\frac per $1", "$a_b$", "c", "d", "e", "f" * 80]
    model = LogisticNN().fit(pd.DataFrame(X, columns=columns), np.char.add("$_$", y))
    display.from_estimator(model).figure_.canvas.draw()


@each_weight_display
def test_given_names_may_be_formulas_of_any_length(display):
    names = [r"$\frac{\mathrm{a\ long\ numerator}}{\mathrm{denominator}}$"] * 6
    display.from_estimator(network(), feature_names=names).figure_.canvas.draw()


@each_weight_display
def test_weights_of_zero_are_drawn(display):
    model = network(skip_connections=True)
    model.coefs_ = [np.zeros_like(coef) for coef in model.coefs_]
    model.skip_coef_ = np.zeros_like(model.skip_coef_)
    display.from_estimator(model).figure_.canvas.draw()


@each_weight_display
@pytest.mark.parametrize("limit", [0, -1, 1.5, "all"])
def test_a_wrong_max_units_is_refused(display, limit):
    with pytest.raises(ValueError, match="max_units must be a positive integer"):
        display.from_estimator(network(), max_units=limit)


# HiddenUnitsDisplay -------------------------------------------------------------------


def test_images_have_one_scale_symmetric_about_zero():
    model = network()
    drawn = HiddenUnitsDisplay.from_estimator(
        model, per_deviation=False, image_shape=(2, 3)
    )
    for image, weights in zip(drawn.artists_, model.coefs_[0].T, strict=True):
        assert_array_equal(image.get_array(), weights.reshape(2, 3))
        limit = np.abs(model.coefs_[0]).max()
        assert image.get_clim() == (-limit, limit)


def test_bars_are_the_weights_coloured_by_sign():
    model = network()
    drawn = HiddenUnitsDisplay.from_estimator(model)
    weights = model.coefs_[0] * model.scale_[:, None]
    for bars, of_unit in zip(drawn.artists_, weights.T, strict=True):
        assert_array_equal([bar.get_width() for bar in bars], of_unit[drawn.features_])
    sizes = np.abs(weights).max(axis=1)[drawn.features_]
    assert_array_equal(sizes, np.sort(sizes)[::-1])
    by_sign = {
        (bar.get_facecolor(), bar.get_width() > 0.0)
        for bars in drawn.artists_
        for bar in bars
    }
    assert len(by_sign) == 2
    low, high = drawn.axes_[0].get_xlim()
    assert low == -high
    assert titles(drawn) == [f"Unit {j}" for j in range(5)]


def test_too_many_units_and_features_leave_the_strongest():
    model = network()
    drawn = HiddenUnitsDisplay.from_estimator(
        model, per_deviation=False, max_units=2, max_features=3
    )
    outgoing = np.linalg.norm(model.coefs_[1], axis=1)
    units = np.sort(np.argsort(outgoing)[-2:])
    assert_array_equal(drawn.units_, units)
    size = np.abs(model.coefs_[0][:, units]).max(axis=1)
    assert_array_equal(drawn.features_, np.argsort(size)[:-4:-1])
    labels = [text.get_text() for text in drawn.axes_[0].get_yticklabels()]
    assert labels == [*(f"x{i}" for i in drawn.features_), "… 3 more"]
    everything = drawn.plot(max_units=None, max_features=None)
    assert_array_equal(everything.units_, range(5))
    assert_array_equal(np.sort(everything.features_), range(6))


def test_strength_without_outgoing_weights_is_that_of_the_weights():
    model = LogisticNN().fit(*data())
    drawn = HiddenUnitsDisplay.from_estimator(model, per_deviation=False, max_units=1)
    assert_array_equal(drawn.units_, [np.linalg.norm(model.coef_, axis=1).argmax()])
    assert drawn.axes_[0].get_title() == model.classes_[drawn.units_[0]]


@pytest.mark.parametrize(("units", "drawn"), [([4, 1], [4, 1]), (3, [3])])
def test_units_are_drawn_in_the_order_given(units, drawn):
    display = HiddenUnitsDisplay.from_estimator(network(), units=units, max_units=1)
    assert_array_equal(display.units_, drawn)
    assert titles(display) == [f"Unit {j}" for j in drawn]


@pytest.mark.parametrize("units", [[5], [-1], [], [0.5], "all", [True]])
def test_wrong_units_are_refused(units):
    with pytest.raises(ValueError, match="units must hold numbers of units, from 0 to"):
        HiddenUnitsDisplay.from_estimator(network(), units=units)


def test_image_shape_that_does_not_fit_names_both_numbers():
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) has 9 pixels.* 6 feat"):
        HiddenUnitsDisplay.from_estimator(network(), image_shape=(3, 3))


@pytest.mark.parametrize("shape", [6, (6,), (1, 2, 3), (-2, -3), (2.0, 3.0), "23"])
def test_an_invalid_image_shape_is_refused(shape):
    with pytest.raises(ValueError, match="must be a height and a width"):
        HiddenUnitsDisplay.from_estimator(network(), image_shape=shape)


def test_a_wrong_max_features_is_refused():
    with pytest.raises(ValueError, match="max_features must be a positive integer"):
        HiddenUnitsDisplay.from_estimator(network(), max_features=0)


def test_the_scale_says_what_it_measures():
    raw = HiddenUnitsDisplay.from_estimator(network(), per_deviation=False)
    assert {panel.get_xlabel() for panel in raw.axes_} == {"", "Weight"}
    scaled = HiddenUnitsDisplay.from_estimator(network())
    assert {p.get_xlabel() for p in scaled.axes_} == {"", "Weight per std. dev."}
    images = HiddenUnitsDisplay.from_estimator(network(), image_shape=(2, 3))
    assert "Weight per std. dev." in {ax.get_ylabel() for ax in images.figure_.axes}


def test_options_reach_the_drawing_of_hidden_units():
    model = network()
    images = HiddenUnitsDisplay.from_estimator(
        model, image_shape=(3, 2), cmap="PiYG", image_kw={"vmax": 2.0}
    )
    assert images.artists_[0].get_cmap().name == "PiYG"
    assert images.artists_[0].get_clim()[1] == 2.0
    bars = HiddenUnitsDisplay.from_estimator(model, bar_kw={"height": 0.5})
    assert bars.artists_[0][0].get_height() == 0.5


# NetworkDisplay -----------------------------------------------------------------------


def test_line_widths_are_sizes_relative_to_the_layer():
    model = network()
    drawn = NetworkDisplay.from_estimator(model, per_deviation=False, max_width=3.0)
    assert len(drawn.lines_) == 2
    for lines, weights in zip(drawn.lines_, model.coefs_, strict=True):
        size = np.abs(weights).ravel()
        assert_allclose(widths(lines), 3.0 * np.sort(size) / size.max())


def test_line_colours_are_signs():
    model = network()
    lines = NetworkDisplay.from_estimator(model, per_deviation=False).lines_[0]
    weights = model.coefs_[0].ravel()
    positive = weights[np.argsort(np.abs(weights))] > 0.0
    colours = lines.get_edgecolors()[:, :3]
    red, blue = colours[positive], colours[~positive]
    assert (red == red[0]).all()
    assert (blue == blue[0]).all()
    assert red[0, 0] > red[0, 2]
    assert blue[0, 0] < blue[0, 2]


def test_lines_join_the_units_they_belong_to():
    drawn = NetworkDisplay(
        weights=[np.array([[0.0, 5.0], [0.0, 0.0]])],
        unit_names=[["a", "b"], ["c", "d"]],
        layer_names=["from", "to"],
    ).plot()
    (start, end) = drawn.lines_[0].get_segments()[-1]
    place = {text.get_text(): text.xy for text in drawn.ax_.texts}
    assert_array_equal(start, place["a"])
    assert_array_equal(end, place["d"])
    assert_array_equal(widths(drawn.lines_[0]), [0.0, 0.0, 0.0, 4.0])


def test_skip_connections_are_drawn():
    model = network(skip_connections=True)
    drawn = NetworkDisplay.from_estimator(model, per_deviation=False)
    assert len(drawn.skip_lines_.get_paths()) == model.skip_coef_.size
    size = np.abs(model.skip_coef_).ravel()
    assert_allclose(widths(drawn.skip_lines_), 4.0 * np.sort(size) / size.max())
    assert legend(drawn)[-1].startswith("skip connection")
    assert NetworkDisplay.from_estimator(network()).skip_lines_ is None


@pytest.mark.parametrize("max_units", [1, 10])
def test_skip_connections_keep_clear_of_the_hidden_units(max_units):
    model = network(skip_connections=True)
    drawn = NetworkDisplay.from_estimator(model, max_units=max_units)
    place = {text.get_text(): text.xy for text in drawn.ax_.texts}
    farthest = max(abs(place[str(j)][1]) for j in drawn.units_[1])
    for path in drawn.skip_lines_.get_paths():
        start, first, second, end = path.vertices
        middle = (start + 3.0 * first + 3.0 * second + end) / 8.0
        assert abs(middle[1]) > farthest + 0.3


def test_layer_and_unit_names_are_written():
    drawn = NetworkDisplay.from_estimator(network())
    written = texts(drawn)
    expected = ["x0", "x5", "0", "4", "blue", "green", "red"]
    assert set(expected) <= set(written)
    assert {"Inputs", "Hidden units (relu)", "Outputs"} <= set(written)


def test_the_one_output_of_two_classes_bears_the_second():
    model = LogisticNN().fit(*data(2))
    written = texts(NetworkDisplay.from_estimator(model))
    assert "red" in written
    assert "green" not in written
    named = NetworkDisplay.from_estimator(model, class_names=["left", "right"])
    assert "right" in texts(named)


def test_a_wrong_number_of_class_names_is_refused():
    with pytest.raises(ValueError, match="1 names and the model 3 classes"):
        NetworkDisplay.from_estimator(network(), class_names=["only"])


def test_too_many_units_leave_the_strongest_and_a_count():
    model = network()
    drawn = NetworkDisplay.from_estimator(model, per_deviation=False, max_units=3)
    inputs, hidden, outputs = drawn.units_
    strength = [np.linalg.norm(coef, axis=1) for coef in model.coefs_]
    assert_array_equal(inputs, np.sort(np.argsort(strength[0])[-3:]))
    assert_array_equal(hidden, np.sort(np.argsort(strength[1])[-3:]))
    assert_array_equal(outputs, [0, 1, 2])
    assert len(widths(drawn.lines_[0])) == 9
    written = texts(drawn)
    assert "… 3 more" in written
    assert "… 2 more" in written
    whole = drawn.plot(max_units=None)
    assert [len(units) for units in whole.units_] == [6, 5, 3]
    assert not any("more" in text for text in texts(whole))


def test_an_input_is_as_strong_as_its_skip_connection():
    model = network(skip_connections=True)
    model.skip_coef_[3] = 1e6
    drawn = NetworkDisplay.from_estimator(model, max_units=1)
    assert drawn.units_[0] == [3]


def test_the_picture_says_that_weights_are_per_standard_deviation():
    model = network()
    first, second = [
        text
        for text in texts(NetworkDisplay.from_estimator(model))
        if text.startswith("widest")
    ]
    assert first.endswith("per std. dev.")
    assert "std" not in second


def test_names_stay_inside_the_figure():
    names = [f"a rather long description of column number {j} in cm" for j in range(6)]
    drawn = NetworkDisplay.from_estimator(network(), feature_names=names)
    drawn.figure_.canvas.draw()
    figure = drawn.figure_.bbox
    for text in drawn.ax_.texts:
        box = text.get_window_extent()
        assert figure.x0 <= box.x0
        assert box.x1 <= figure.x1
    assert "a rather long d…number 5 in cm" in texts(drawn)
