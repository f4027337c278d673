"""What LossCurveDisplay draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from models import NETWORK, ignores_max_iter, independent_classes
from pictures import legend
from sknn_simple import LogisticNN, LossCurveDisplay

pytestmark = pytest.mark.usefixtures("close_figures")


def network(**params):
    return clone(NETWORK).set_params(**params).fit(*independent_classes())


def test_loss_curve_is_the_training_record():
    model = network()
    drawn = LossCurveDisplay.from_estimator(model)
    x, y = drawn.line_.get_data()
    assert_array_equal(x, np.arange(model.n_iter_ + 1))
    assert_array_equal(y, model.loss_curve_)
    assert drawn.validation_line_ is None
    assert drawn.line_.get_label() == "OneHiddenMLP"
    assert drawn.ax_.get_xlabel() == "Iteration"
    assert drawn.ax_.get_ylabel() == "J (log-loss + penalty)"
    assert drawn.ax_.get_yscale() == "log"


def test_validation_curve_is_marked_at_its_lowest_point():
    model = network()
    model.validation_loss_curve_ = [0.9, 0.4, 0.3, 0.5]
    drawn = LossCurveDisplay.from_estimator(model, name="net")
    line = drawn.validation_line_
    assert_array_equal(line.get_ydata(), model.validation_loss_curve_)
    assert_array_equal(drawn.kept_.get_xydata(), [(2.0, 0.3)])
    assert drawn.ax_.get_ylabel() == "Loss"
    assert line.get_color() == drawn.line_.get_color()
    assert line.get_linestyle() != drawn.line_.get_linestyle()
    assert legend(drawn) == [
        "net, training: J (log-loss + penalty)",
        "net, validation: log-loss",
    ]


def test_the_curve_of_early_stopping_is_drawn():
    model = network(early_stopping=True)
    line = LossCurveDisplay.from_estimator(model).validation_line_
    assert_array_equal(line.get_ydata(), model.validation_loss_curve_)


def test_several_models_on_one_axis():
    first = LossCurveDisplay.from_estimator(network(), name="a")
    second = LossCurveDisplay.from_estimator(network(), name="b", ax=first.ax_)
    assert legend(second) == ["a", "b"]
    assert first.line_.get_color() != second.line_.get_color()


@pytest.mark.parametrize("order", [1, -1])
def test_scale_is_linear_where_any_curve_on_the_axis_reaches_zero(order):
    _, ax = plt.subplots()
    ax.axvline(1.0)
    for curve in [[2.0, 1.0], [1.0, 0.0]][::order]:
        LossCurveDisplay(loss_curve=curve).plot(ax)
    assert ax.get_yscale() == "linear"


def test_options_reach_the_lines():
    drawn = LossCurveDisplay(loss_curve=[2.0, 1.0], validation_loss_curve=[2.0, 1.5])
    drawn.plot(
        yscale="linear",
        line_kw={"lw": 3.0},
        validation_line_kw={"ls": ":"},
    )
    assert drawn.ax_.get_yscale() == "linear"
    assert drawn.line_.get_linewidth() == drawn.validation_line_.get_linewidth() == 3.0
    assert drawn.line_.get_linestyle() == "-"
    assert drawn.validation_line_.get_linestyle() == ":"
    assert drawn.line_.get_label().startswith("training")
    assert drawn.plot(name="other").line_.get_label().startswith("other, training")


@ignores_max_iter
@pytest.mark.parametrize("max_iter", [3, 1000])
def test_the_last_iterate_shows_whether_the_fit_converged(max_iter):
    model = network(max_iter=max_iter)
    drawn = LossCurveDisplay.from_estimator(model, name="net")
    end = [(model.n_iter_, model.loss_)]
    assert_array_equal(drawn.kept_.get_xydata(), end)
    assert drawn.kept_.get_marker() == ("o" if model.converged_ else "X")
    assert ("not converged" in drawn.line_.get_label()) != model.converged_
    assert model.converged_ == (max_iter == 1000)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_ends_of_the_other_starts_are_marked(early_stopping):
    model = network(n_init=3, early_stopping=early_stopping)
    drawn = LossCurveDisplay.from_estimator(model)
    losses = np.sort(model.init_losses_)
    assert_array_equal(drawn.other_starts_.get_ydata(), losses[1:])
    assert drawn.kept_.get_ydata()[0] == losses[0]
    assert legend(drawn)[-1] == "ends of other starts"


def test_one_start_has_no_others():
    assert LossCurveDisplay.from_estimator(network()).other_starts_ is None
    linear = LogisticNN().fit(*independent_classes())
    assert LossCurveDisplay.from_estimator(linear).other_starts_ is None


def test_curves_of_different_losses_share_a_general_label():
    drawn = LossCurveDisplay.from_estimator(network(early_stopping=True))
    LossCurveDisplay.from_estimator(network(), ax=drawn.ax_)
    assert drawn.ax_.get_ylabel() == "Loss"


@pytest.mark.parametrize("validation", [None, [2.0, 1.5]])
def test_a_name_may_begin_with_an_underscore(validation):
    display = LossCurveDisplay(loss_curve=[2.0, 1.0], validation_loss_curve=validation)
    display.plot(name="_net")
    LossCurveDisplay(loss_curve=[2.0, 1.0]).plot(display.ax_, name="other")
    labels = [label.strip() for label in legend(display)]
    assert len(labels) == (2 if validation is None else 3)
    assert all(label.startswith("_net") for label in labels[:-1])
