"""What AlphaDisplay draws, and which fits it refuses."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from checks import assert_chosen
from models import (
    CHOOSING,
    LINEAR,
    NETWORK,
    fit,
    ignores_max_iter,
    independent_classes,
)
from pictures import legend
from sknn_simple import AlphaDisplay, LogisticNN, OneHiddenMLP

pytestmark = pytest.mark.usefixtures("close_figures")

each_choosing_model = pytest.mark.parametrize(
    "model", [LINEAR, CHOOSING], ids=["LogisticNN", "OneHiddenMLP"]
)


def with_a_validation_set(model):
    parts = train_test_split(*independent_classes(n=120), random_state=0)
    X, X_val, y, y_val = parts
    return fit(model, X, y, X_val=X_val, y_val=y_val)


def test_a_network_shows_the_loss_of_the_folds_and_its_standard_error():
    model = fit(CHOOSING, *independent_classes())
    display = AlphaDisplay.from_estimator(model)
    table = model.cv_results_
    alpha, loss = display.line_.get_data()
    assert_array_equal(alpha, np.sort(table["alpha"]))
    assert_array_equal(loss, table["mean_log_loss"][::-1])
    folds = [table[f"split{k}_log_loss"][::-1] for k in range(3)]
    low, high = loss - stats.sem(folds), loss + stats.sem(folds)
    band = np.unique(display.band_.get_paths()[0].vertices, axis=0)
    edges = [(*pair,) for edge in (low, high) for pair in zip(alpha, edge, strict=True)]
    assert_allclose(band, sorted(edges))
    assert_array_equal(display.chosen_line_.get_xdata(), [model.alpha_] * 2)
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_ylabel() == "Held-out log-loss"
    assert legend(display) == [f"OneHiddenMLP, alpha = {model.alpha_:.3g}"]


@each_choosing_model
def test_one_validation_set_has_no_standard_error(model):
    model = with_a_validation_set(model)
    display = AlphaDisplay.from_estimator(model)
    assert display.band_ is None
    alpha, loss = display.line_.get_data()
    assert_chosen(model.alpha_, alpha, loss)
    assert_array_equal(loss, model.cv_results_["split0_log_loss"][::-1])


def test_logistic_nn_shows_the_evidence_of_its_rounds():
    model = fit(LINEAR, *independent_classes())
    display = AlphaDisplay.from_estimator(model)
    alpha, log_evidence = display.line_.get_data()
    assert len(alpha) > 1
    assert_array_equal(alpha, np.sort(model.evidence_path_["alpha"]))
    at_the_end = log_evidence[alpha == model.alpha_]
    assert_array_equal(at_the_end, model.log_evidence_)
    assert display.band_ is None
    assert display.ax_.get_ylabel() == "Log evidence"


def test_the_rounds_end_at_the_chosen_alpha():
    path = fit(LINEAR, *independent_classes()).evidence_path_
    for weight in (2.0, 1e-3):
        X, y = independent_classes()
        model = fit(LINEAR, X, y, np.full(len(y), weight))
        assert set(model.evidence_path_) == {"alpha", "log_evidence"}
        assert model.evidence_path_["alpha"][-1] == model.alpha_
        assert model.evidence_path_["log_evidence"][-1] == model.log_evidence_
    # Weights below 1 in the mean count as 1: only the scale of alpha is another one.
    assert_allclose(model.evidence_path_["alpha"], 1e-3 * path["alpha"])
    assert_allclose(model.evidence_path_["log_evidence"], path["log_evidence"])
    assert not hasattr(model.set_params(alpha=1.0).fit(X, y), "evidence_path_")


@each_choosing_model
def test_a_pipeline_shows_its_last_step(model):
    pipeline = make_pipeline(StandardScaler(), model).fit(*independent_classes())
    display = AlphaDisplay.from_estimator(pipeline)
    assert display.chosen_alpha == pipeline[-1].alpha_


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (LogisticNN(alpha=2.0), r"LogisticNN has none: alpha=2\.0 was given"),
        (NETWORK, r"OneHiddenMLP has none: alpha=1\.0 was given"),
        (OneHiddenMLP(4, early_stopping=True), "early_stopping=True uses a small"),
        (OneHiddenMLP(4, cv=61), "there were too few rows"),
    ],
    ids=["linear", "network", "early stopping", "few rows"],
)
def test_a_fit_that_tried_no_alpha_is_refused(model, reason):
    model = fit(model, *independent_classes())
    with pytest.raises(ValueError, match=f"AlphaDisplay shows .*{reason}"):
        AlphaDisplay.from_estimator(model)
    assert not plt.get_fignums()


@ignores_max_iter
@each_choosing_model
def test_a_fit_that_only_evaluates_tries_no_alpha(model):
    model = with_a_validation_set(clone(model).set_params(max_iter=0))
    with pytest.raises(ValueError, match=r"has none: max_iter=0 only evaluates"):
        AlphaDisplay.from_estimator(model)


def test_several_models_on_one_axis():
    data = independent_classes()
    first = AlphaDisplay.from_estimator(fit(CHOOSING, *data), name="a")
    second = AlphaDisplay.from_estimator(
        fit(CHOOSING, *data), name="b", ax=first.ax_, band_kw={"alpha": 0.5}
    )
    assert [label[0] for label in legend(second)] == ["a", "b"]
    assert first.line_.get_color() != second.line_.get_color()
    assert second.band_.get_alpha() == 0.5
    assert second.chosen_line_.get_color() == second.line_.get_color()


def test_evidence_and_log_loss_do_not_share_axes():
    data = independent_classes()
    linear = AlphaDisplay.from_estimator(fit(LINEAR, *data))
    with pytest.raises(ValueError, match="These axes show log evidence, and held-out"):
        AlphaDisplay.from_estimator(fit(CHOOSING, *data), ax=linear.ax_)
    assert linear.ax_.get_ylabel() == "Log evidence"


def test_options_reach_the_line_and_the_order_does_not_matter():
    display = AlphaDisplay(alpha=[10, 1, 3], criterion=[3, 1, 2], chosen_alpha=1.0)
    display.plot(line_kw={"linewidth": 3.0, "marker": "s"})
    assert_array_equal(display.line_.get_xydata(), [[1, 1], [3, 2], [10, 3]])
    assert display.line_.get_linewidth() == 3.0
    assert display.line_.get_marker() == "s"
    assert legend(display) == ["alpha = 1"]


def test_options_may_have_short_names():
    display = AlphaDisplay(
        alpha=[1, 3], criterion=[3, 1], standard_error=[0.1, 0.2], chosen_alpha=1.0
    )
    display.plot(line_kw={"ms": 9, "ls": ":"}, band_kw={"lw": 2})
    assert display.line_.get_markersize() == 9
    assert display.line_.get_linestyle() == ":"
    assert display.band_.get_linewidth() == 2


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (1.0, 1.5),
        (1.0, 5.0),
        (1.0, 30.0),
        (1.0, 1e4),
        (1.2, 1.9),
        (2.0, 30.0),
        (0.11, 0.9),
        (0.0021, 0.0048),
        (1200, 1300),
    ],
)
def test_labels_of_alpha_are_numbers_that_do_not_overlap(first, last):
    values = {"alpha": [first, last], "criterion": [0.2, 0.1], "chosen_alpha": last}
    _, ax = plt.subplots(figsize=(3.9, 3.0))
    axis = AlphaDisplay(**values).plot(ax).ax_.xaxis
    ax.figure.canvas.draw()
    assert not any(label.get_text() for label in axis.get_minorticklabels())
    labels = axis.get_majorticklabels()
    shown = {float(each.get_text()): each.get_window_extent() for each in labels}
    low, high = ax.get_xlim()
    boxes = [box for value, box in sorted(shown.items()) if low <= value <= high]
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_name_may_begin_with_an_underscore():
    values = {"alpha": [1.0, 3.0], "criterion": [0.2, 0.1], "chosen_alpha": 1.0}
    display = AlphaDisplay(**values).plot(name="_net")
    AlphaDisplay(**values).plot(display.ax_, name="other")
    shown = [label.strip() for label in legend(display)]
    assert shown == ["_net, alpha = 1", "other, alpha = 1"]
