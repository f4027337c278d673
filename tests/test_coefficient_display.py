"""What CoefficientDisplay computes and draws, and what it refuses."""

import dataclasses
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from models import NETWORK, fit, labels, noisy_classes
from pictures import legend
from sknn_simple import CoefficientDisplay, LogisticNN, OneHiddenMLP, Posterior

pytestmark = pytest.mark.usefixtures("close_figures")
UNITS = np.array([1.0, 100.0, 0.01, 5.0])
PENALISED = LogisticNN(alpha=2.0)


def data(n_classes=3):
    X, y = noisy_classes(n_classes)
    return X * UNITS, np.array(["blue", "green", "red"])[y]


def points(display):
    """The values drawn, (n_drawn, n_series), from top to bottom."""
    return np.transpose([drawn.lines[0].get_xdata() for drawn in display.points_])


def bars(display):
    """The ends of the intervals drawn, (n_series, n_drawn, 2)."""
    segments = [drawn.lines[2][0].get_segments() for drawn in display.points_]
    return np.array(segments)[..., 0]


def names(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


@pytest.mark.parametrize("reference", [None, "green"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_coefficients_are_those_of_the_summary_in_units(n_classes, reference):
    X, y = data(n_classes)
    model = fit(PENALISED, X, y)
    display = CoefficientDisplay.from_estimator(
        model, X, y, confidence_level=0.8, reference=reference
    )
    table = Posterior(model, X, y).summary(0.8, reference).table
    of_columns = {
        k: (v.reshape(-1, 5)[:, :4] * model.scale_).T for k, v in table.items()
    }
    assert_allclose(display.values, of_columns["coef"])
    assert_allclose(display.lower, of_columns["lower"])
    assert_allclose(display.upper, of_columns["upper"])
    assert_allclose(points(display), display.values[display.features_])
    limits = np.stack([display.lower, display.upper], axis=-1)[display.features_]
    assert_allclose(bars(display), limits.transpose(1, 0, 2))
    without = CoefficientDisplay.from_estimator(model, reference=reference)
    assert_allclose(without.values, display.values)
    assert without.lower is None
    assert not without.points_[0].lines[2]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_network_shows_effects(n_classes):
    X, y = data(n_classes)
    X[:, 1] = np.where(X[:, 1] > 0.0, 30.0, 10.0)
    model = fit(NETWORK, X, y)
    display = CoefficientDisplay.from_estimator(model, X, y)
    frame = Posterior(model, X, y).marginal_effects()
    # Per half the distance of the column with two values.
    unit = model.scale_.copy()
    assert unit[1] == 10.0
    unit[1] = 0.5
    for name, values in {"effect": display.values, "upper": display.upper}.items():
        expected = frame[name].to_numpy().reshape(4, -1) * unit[:, None]
        assert_allclose(values, expected)
    if n_classes == 2:
        assert display.ax_.get_legend() is None
        assert "P(green)" in display.ax_.get_xlabel()
    else:
        assert legend(display) == ["blue", "green", "red"]


def test_columns_are_sorted_and_counted():
    X, y = data()
    model = fit(PENALISED, X, y)
    every = CoefficientDisplay.from_estimator(model)
    size = np.abs(every.values).max(axis=1)
    assert_array_equal(every.features_, np.argsort(-size))
    assert names(every) == [f"x{j}" for j in every.features_]
    assert every.ax_.get_title(loc="left") == ""
    some = every.plot(max_features=3)
    assert names(some) == [f"x{j}" for j in np.argsort(-size)[:3]]
    assert some.ax_.get_title(loc="left").startswith("3 of 4 columns")
    top, bottom = every.ax_.transData.transform([[0.0, 0.0], [0.0, 2.0]])[:, 1]
    assert top > bottom


def test_the_axis_says_what_is_drawn():
    X, y = data()
    several = CoefficientDisplay.from_estimator(fit(PENALISED, X, y), reference="red")
    assert several.ax_.get_xlabel() == "Log odds against red per std. dev."
    assert legend(several) == ["blue", "green"]
    X, y = data(2)
    model = fit(PENALISED, X, y)
    two = CoefficientDisplay.from_estimator(model, class_names=["no", "yes"])
    assert two.ax_.get_xlabel() == "Log odds of yes per std. dev."
    assert two.ax_.get_legend() is None
    turned = CoefficientDisplay.from_estimator(model, reference="green")
    assert turned.ax_.get_xlabel() == "Log odds of blue per std. dev."
    assert_allclose(turned.values, -two.values)


@pytest.mark.parametrize("model", [PENALISED, NETWORK], ids=["linear", "network"])
def test_each_label_is_a_series(model):
    X, Y = labels(100, 4, 3)
    display = CoefficientDisplay.from_estimator(
        fit(model, X, Y), X, Y, class_names=list("abc")
    )
    assert legend(display) == ["a", "b", "c"]
    assert display.values.shape == (4, 3)


def test_raw_weights_are_in_deviations_of_the_rows_that_are_passed():
    X, y = data(2)
    model = fit(LogisticNN(1.0, standardize=False), X, y)
    with_rows = CoefficientDisplay.from_estimator(model, X, y)
    assert_allclose(with_rows.values[:, 0], model.coef_[0] * X.std(axis=0))
    assert with_rows.ax_.get_xlabel().endswith("per std. dev.")
    raw = CoefficientDisplay.from_estimator(model)
    assert_array_equal(raw.values[:, 0], model.coef_[0])
    assert "std" not in raw.ax_.get_xlabel()


def test_deviations_are_weighted_and_names_are_kept():
    X, y = data(2)
    weight = np.where(np.arange(len(y)) < 100, 1.0, 1e-9)
    X[100:] *= 50.0
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = fit(LogisticNN(1.0, standardize=False), frame, y, weight)
    display = CoefficientDisplay.from_estimator(model, frame, y, weight)
    assert_allclose(
        display.values[:, 0], model.coef_[0] * X[:100].std(axis=0), rtol=1e-5
    )


def test_columns_of_two_values_alone_keep_their_unit():
    """Of -1 and 1 it is 1, as of raw columns."""
    generator = np.random.default_rng(0)
    X = np.where(generator.random((400, 2)) < [0.5, 0.03], 1.0, -1.0)
    y = (X.sum(axis=1) + generator.logistic(size=400) > 0.0).astype(int)
    model = fit(PENALISED, X, y)
    for rows in ([], [X, y]):
        display = CoefficientDisplay.from_estimator(model, *rows)
        assert_allclose(display.values[:, 0], model.coef_[0])


def test_units_of_columns_do_not_matter():
    X, y = data()
    every = [
        CoefficientDisplay.from_estimator(fit(PENALISED, Z, y), Z, y)
        for Z in (X, X / UNITS)
    ]
    assert_allclose(every[0].upper, every[1].upper, rtol=1e-3)


def test_sparse_coefficients_are_the_same():
    X, y = data()
    model = fit(PENALISED, X, y)
    dense = CoefficientDisplay.from_estimator(model, X, y)
    thin = CoefficientDisplay.from_estimator(model.sparsify(), X, y)
    assert_array_equal(thin.values, dense.values)
    assert_array_equal(thin.lower, dense.lower)


def test_a_posterior_is_drawn_with_its_own_intervals():
    X, y = data()
    model = fit(PENALISED, X, y)
    posterior = Posterior(model, X, y, covariance="robust")
    display = CoefficientDisplay.from_posterior(posterior)
    upper = posterior.summary().table["upper"].reshape(2, 5)[:, :4]
    assert_allclose(display.upper, (upper * model.scale_).T)
    weight = np.arange(len(y)) % 3.0
    model = fit(PENALISED, X, y, weight)
    one = CoefficientDisplay.from_estimator(model, X, y, weight)
    other = CoefficientDisplay.from_posterior(Posterior(model, X, y, weight))
    assert_array_equal(one.lower, other.lower)


def test_a_value_without_an_interval_is_a_point():
    X, _ = data(2)
    y = (X[:, 3] > 0.0).astype(int)
    model = fit(LogisticNN(1.0, monotonic_cst=[0, 0, 0, -1]), X, y)
    display = CoefficientDisplay.from_estimator(model, X, y)
    assert display.values[3] == 0.0
    assert np.isnan(display.lower[3])
    display.figure_.canvas.draw()


def test_a_pipeline_names_the_columns_that_its_steps_make():
    X, y = data(2)
    frame = pd.DataFrame(X[:, :2], columns=["age", "income"])
    frame["town"] = np.where(X[:, 2] > 0.0, "Rome", "Oslo")
    steps = make_column_transformer(
        (StandardScaler(), ["age", "income"]),
        (OneHotEncoder(), ["town"]),
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(steps, LogisticNN(alpha=2.0)).fit(frame, y)
    display = CoefficientDisplay.from_estimator(pipeline, frame, y)
    assert set(names(display)) == {"age", "income", "town_Oslo", "town_Rome"}
    Z = steps.transform(frame)
    alone = CoefficientDisplay.from_estimator(pipeline[-1], Z, y)
    assert_array_equal(display.upper, alone.upper)
    given = CoefficientDisplay.from_estimator(pipeline, feature_names=list("abcd"))
    assert set(names(given)) == set("abcd")


def test_steps_that_name_no_columns():
    X, y = data(2)
    nameless = make_pipeline(FunctionTransformer(np.abs), PENALISED).fit(X, y)
    assert set(names(CoefficientDisplay.from_estimator(nameless))) == {
        f"x{j}" for j in range(4)
    }
    alone = make_pipeline(PENALISED).fit(sparse.csr_array(X), y)
    CoefficientDisplay.from_estimator(alone, sparse.csr_array(X), y)


def test_long_names_are_shortened_and_inside_the_figure():
    X, y = data()
    long = [f"a rather long description of\ncolumn {j}: \\$5" for j in range(4)]
    classes = [f"a rather long description\nof class {j}" for j in range(3)]
    model = fit(PENALISED, X, y)
    display = CoefficientDisplay.from_estimator(
        model, feature_names=long, class_names=classes
    )
    display.figure_.canvas.draw()
    expected = {f"a rather long d… column {j}: \\$5" for j in range(4)}
    assert set(names(display)) == expected
    assert legend(display) == [f"a rather long d…ion of class {j}" for j in (1, 2)]
    frame = display.figure_.bbox
    for text in [*display.ax_.get_yticklabels(), display.ax_.xaxis.label]:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
    beside = display.ax_.get_legend().get_window_extent()
    assert display.ax_.get_window_extent().x1 <= beside.x0
    assert beside.x1 <= frame.x1


def test_names_may_begin_with_an_underscore():
    X, y = data()
    model = fit(PENALISED, X, np.char.add("_", y))
    shown = legend(CoefficientDisplay.from_estimator(model))
    assert [name.strip() for name in shown] == ["_green", "_red"]


def made_up(n_series, scale=1.0):
    """Seven columns with values from -1 to 0.85, times the scale."""
    return CoefficientDisplay(
        values=scale * np.linspace(-1.0, 0.85, 7 * n_series).reshape(-1, 7).T,
        feature_names=[f"column {j}" for j in range(7)],
        series_names=[f"{k}" for k in range(n_series)],
    )


@pytest.mark.parametrize("n_classes", [9, 23])
def test_the_legend_of_many_classes_is_inside_the_figure(n_classes):
    display = made_up(n_classes).plot(max_features=1)
    display.figure_.canvas.draw()
    box = display.ax_.get_legend().get_window_extent()
    assert display.figure_.bbox.y0 <= box.y0
    assert box.y1 <= display.figure_.bbox.y1


def test_more_classes_than_colours_look_different():
    lines = [drawn.lines[0] for drawn in made_up(23).plot().points_]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 23
    given = made_up(23).plot(point_kw={"marker": "s"})
    assert {drawn.lines[0].get_marker() for drawn in given.points_} == {"s"}


@pytest.mark.parametrize("scale", [0.001, 0.006, 0.04, 0.097, 0.7, 300.0])
@pytest.mark.parametrize("n_axes", [0, 1, 2])
def test_texts_above_and_below_do_not_overlap(n_axes, scale):
    """On a new figure, and on axes of the caller."""
    axes = [None]
    if n_axes:
        _, grid = plt.subplots(1, n_axes, layout="constrained", squeeze=False)
        axes = grid[0]
    drawn = [made_up(3, scale).plot(ax, max_features=4) for ax in axes]
    drawn[0].figure_.canvas.draw()
    for display in drawn:
        left, right = display.ax_.get_xlim()
        labels = display.ax_.get_xticklabels()
        inside = [x for x in labels if left <= x.get_position()[0] <= right]
        boxes = [label.get_window_extent() for label in inside]
        assert len(boxes) >= 2
        assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    titles = [
        text.get_window_extent()
        for display in drawn
        for text in display.ax_.get_children()
        if isinstance(text, Text) and "4 of 7 columns" in text.get_text()
    ]
    assert len(titles) == len(drawn)
    assert titles[-1].x1 <= drawn[0].figure_.bbox.x1


@pytest.mark.parametrize(
    "name", ["Mean change of the probability", "Log odds against a class of long name"]
)
def test_labels_of_narrow_axes_are_inside_the_figure_and_apart(name):
    figure, axes = plt.subplots(1, 2, layout="constrained")
    for ax in axes:
        display = dataclasses.replace(made_up(3), value_name=f"{name} per std. dev.")
        display.plot(ax)
    figure.canvas.draw()
    left, right = (ax.xaxis.label.get_window_extent() for ax in axes)
    assert figure.bbox.x0 <= left.x0
    assert left.x1 < right.x0
    assert right.x1 <= figure.bbox.x1
    assert min(left.y0, right.y0) >= figure.bbox.y0


def test_a_label_with_a_formula_is_one_line():
    _, axes = plt.subplots(1, 2, layout="constrained")
    name = "Log odds against $x + y$ per std. dev."
    dataclasses.replace(made_up(3), value_name=name).plot(axes[0])
    assert axes[0].get_xlabel() == name


def test_options_reach_the_points():
    X, y = data()
    display = CoefficientDisplay.from_estimator(
        fit(PENALISED, X, y), X, y, point_kw={"fmt": "s", "capsize": 3}
    )
    assert display.points_[0].lines[0].get_marker() == "s"
    assert display.points_[0].lines[1]
    display.plot(point_kw={"ms": 9, "marker": "d", "c": "k"})
    assert display.points_[0].lines[0].get_markersize() == 9
    assert display.points_[0].lines[0].get_marker() == "d"
    again = display.plot(max_features=None)
    assert again is display


def test_what_is_refused():
    X, y = data()
    linear, network = fit(PENALISED, X, y), fit(NETWORK, X, y)
    draw = CoefficientDisplay.from_estimator
    with pytest.raises(ValueError, match="pass both X and y, or neither"):
        draw(linear, X)
    with pytest.raises(ValueError, match="effects of OneHiddenMLP, which depend on"):
        draw(network)
    with pytest.raises(ValueError, match="reference is for LogisticNN"):
        draw(network, X, y, reference="red")
    with pytest.raises(ValueError, match="reference must be one of the classes"):
        draw(linear, reference="pink")
    with pytest.raises(ValueError, match="confidence_level must be a number"):
        draw(linear, X, y, confidence_level=95)
    with pytest.raises(ValueError, match="max_features must be a positive integer"):
        draw(linear, max_features=0)
    with pytest.raises(ValueError, match="2 names and the model 3 classes"):
        draw(linear, class_names=["a", "b"])
    with pytest.raises(TypeError, match="posterior must be a Posterior; got a Logis"):
        CoefficientDisplay.from_posterior(linear)
    with pytest.raises(ValueError, match="alpha=0 leaves weights"):
        draw(fit(OneHiddenMLP(2, alpha=0, tol=0.01, random_state=0), X, y), X, y)
    assert not plt.get_fignums()
