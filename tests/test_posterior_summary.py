"""The table of coefficients: text, HTML and frame, and what its notes say."""

import builtins

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris

from models import NETWORK, fit, labels, noisy_classes
from sknn_simple import LogisticNN, Posterior

CLASSICAL = LogisticNN(alpha=0)
COLUMNS = ["coef", "std_error", "z", "p_value", "lower", "upper", "odds_ratio"]


def cancer():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X[["mean radius", "mean texture"]]
    return Posterior(fit(CLASSICAL, X, y), X, y)


def test_the_representation_names_model_and_covariance():
    assert repr(cancer()) == "<Posterior of LogisticNN(alpha=0), covariance 'model'>"


def test_frame_of_two_classes():
    posterior = cancer()
    frame = posterior.summary().to_frame()
    assert frame.columns.tolist() == ["name", *COLUMNS]
    assert frame["name"].tolist() == ["mean radius", "mean texture", "intercept"]
    model = posterior.model
    coef = [*model.coef_[0], *model.intercept_]
    assert_allclose(frame["coef"], coef)
    assert_allclose(frame["odds_ratio"], np.exp(coef))
    assert_allclose(frame["std_error"], posterior.std_errors)
    assert_allclose(frame["std_error"] ** 2, np.diag(posterior.covariance))
    assert_allclose(frame[["lower", "upper"]], posterior.conf_int())
    assert_allclose(frame["z"], frame["coef"] / frame["std_error"])


def test_frame_of_three_classes():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    posterior = Posterior(fit(LogisticNN(), X, names), X, names)
    frame = posterior.summary(reference="versicolor").to_frame()
    assert frame.columns.tolist() == ["name", "class", *COLUMNS]
    assert frame["class"].unique().tolist() == ["setosa", "virginica"]
    assert len(frame) == 2 * 5
    assert "each class against versicolor" in str(posterior.summary(0.9, "versicolor"))


def test_level_changes_limits_only():
    summary = cancer().summary(confidence_level=0.8)
    assert "lower 80%" in str(summary)
    wide = cancer().summary()
    assert np.all(wide.table["lower"] < summary.table["lower"])
    assert_allclose(wide.table["z"], summary.table["z"])


def test_text_has_the_same_width_everywhere():
    lines = str(cancer().summary()).splitlines()
    assert lines[0] == "LogisticNN: log odds of 1 against 0"
    rulers = [line for line in lines if set(line) <= set("=-")]
    assert len(rulers) == 4
    assert len({len(line) for line in rulers}) == 1
    assert max(map(len, lines)) == len(rulers[0])
    assert repr(cancer().summary()) == str(cancer().summary())


def test_head():
    head = cancer().summary().head
    assert head["rows"] == "569"
    assert head["alpha"] == 0.0
    assert_allclose(head["effective parameters"], 3.0)
    assert_allclose(head["deviance"], -2.0 * head["log-likelihood"])
    assert_allclose(head["AIC"], head["deviance"] + 6.0)
    assert_allclose(head["BIC"], head["deviance"] + 3.0 * np.log(569))
    ratio = head["deviance"] / head["null deviance"]
    assert_allclose(head["McFadden's R²"], 1.0 - ratio)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "model"),
        ({"covariance": "robust"}, "robust"),
        ({"groups": np.arange(569) % 5}, "clustered"),
    ],
)
def test_head_names_the_covariance(options, kind):
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, :2]
    summary = Posterior(fit(CLASSICAL, X, y), X, y, **options).summary()
    assert summary.head["covariance"] == kind


def test_head_has_the_sum_of_the_weights():
    X, y = noisy_classes()
    weight = np.full(len(y), 2.0)
    summary = Posterior(fit(CLASSICAL, X, y, weight), X, y, weight).summary()
    assert_allclose(summary.head["sum of weights"], 300.0)
    assert "sum of weights" not in cancer().summary().head


def test_html():
    X, y = noisy_classes()
    frame = pd.DataFrame(X, columns=["<b>", "b", "c", "d"])
    html = Posterior(fit(CLASSICAL, frame, y), frame, y).summary()._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "<td>&lt;0.001</td>" in html
    assert html.count("<tr>") == html.count("</tr>")
    assert html.startswith("<div>")
    X, y = noisy_classes(3)
    html = Posterior(fit(CLASSICAL, X, y), X, y).summary()._repr_html_()
    assert [f"class {k}" in html for k in range(3)] == [False, True, True]


def test_a_penalised_fit_says_that_intervals_are_bayesian_and_shrunk():
    X, y = noisy_classes()
    (note,) = Posterior(fit(LogisticNN(alpha=2), X, y), X, y).summary().notes
    assert "Bayesian" in note
    assert "shrunk" in note
    assert Posterior(fit(CLASSICAL, X, y), X, y).summary().notes == []


def test_the_evidence_is_that_of_the_fit():
    X, y = load_iris(return_X_y=True)
    for target in (y, y == 1):
        model = fit(LogisticNN(), X, target)
        posterior = Posterior(model, X, target)
        assert_allclose(posterior.log_evidence, model.log_evidence_, rtol=1e-8)
        n_biases = len(model.intercept_) - (len(model.intercept_) > 1)
        assert_allclose(posterior.n_effective, model.n_effective_ + n_biases)
    X, y = noisy_classes()
    assert Posterior(fit(CLASSICAL, X, y), X, y).log_evidence == -np.inf


@pytest.mark.parametrize("target", [np.arange(12) % 2, np.arange(12) % 3])
def test_the_evidence_of_constant_columns_is_that_of_the_fit(target):
    X = np.ones((12, 2))
    model = fit(LogisticNN(), X, target)
    posterior = Posterior(model, X, target)
    assert_allclose(posterior.log_evidence, model.log_evidence_)
    assert np.isfinite(posterior.log_evidence)


def test_labels_that_do_not_vary_have_a_summary():
    X, _ = labels()
    target = np.tile([0, 1], (len(X), 1))
    head = Posterior(fit(LogisticNN(), X, target), X, target).summary().head
    assert head["null deviance"] == 0.0
    assert np.isnan(head["McFadden's R²"])


def test_without_an_intercept():
    X, y = noisy_classes(3)
    model = LogisticNN(alpha=0, fit_intercept=False)
    posterior = Posterior(fit(model, X, y), X, y)
    assert_allclose(posterior.n_effective, 8.0)
    assert "intercept" not in posterior.summary().names
    assert posterior.covariance.shape == (12, 12)
    assert_allclose(posterior.null_deviance, 2.0 * len(y) * np.log(3))
    X, y = noisy_classes(2)
    posterior = Posterior(fit(model, X, y), X, y)
    assert_allclose(posterior.null_deviance, 2.0 * len(y) * np.log(2))


def test_names_of_parameters():
    X, y = noisy_classes(3)
    posterior = Posterior(fit(CLASSICAL, X, y), X, y)
    assert posterior.parameter_names[:5] == [
        *(f"x{j} [0]" for j in range(4)),
        "intercept [0]",
    ]
    values = np.hstack([posterior.model.coef_, posterior.model.intercept_[:, None]])
    assert_allclose(posterior.conf_int().mean(axis=1), values.ravel())


def test_a_constant_value_is_a_dash_in_the_text():
    X, y = noisy_classes()
    X[:, 2] = 0.0
    lines = str(Posterior(fit(CLASSICAL, X, y), X, y).summary()).splitlines()
    (line,) = (line for line in lines if line.startswith("x2"))
    assert line.split() == ["x2", "0", "-", "-", "-", "-", "-", "1"]


def test_a_line_break_in_a_name_does_not_break_the_table():
    X, y = noisy_classes(3)
    frame = pd.DataFrame(X, columns=["a\nb", "c\r\n  d", "e\u2028f", "g"])
    names = np.array(["one\ntwo", "three", "four\tfive"])[y]
    summary = Posterior(fit(LogisticNN(), frame, names), frame, names).summary()
    lines = str(summary).splitlines()
    assert [line.split("  ")[0] for line in lines if line[:3] in ("a b", "c d")] == (
        ["a b", "c d"] * 2
    )
    assert any(line.startswith("e f  ") for line in lines)
    assert "class one two" in lines
    assert len({len(line) for line in lines if set(line) == {"-"}}) == 1
    assert summary.names[0] == "a\nb"
    assert summary.labels is not None
    assert "one\ntwo" in summary.labels
    binary = np.where(y == 0, "one\ntwo", "three")
    summary = Posterior(fit(LogisticNN(), X, binary), X, binary).summary()
    assert str(summary).startswith("LogisticNN: log odds of three against one two\n")


def test_multilabel():
    X, Y = labels(n_labels=2)
    summary = Posterior(fit(LogisticNN(), X, Y), X, Y).summary()
    assert "log odds of each label" in str(summary)
    assert summary.to_frame()["label"].tolist() == [0] * 7 + [1] * 7


# No interval --------------------------------------------------------------------------


def test_a_weight_at_its_bound_has_no_interval():
    X, y = noisy_classes()
    free = fit(CLASSICAL, X, y)
    signs = -np.sign(free.coef_[0]) * [1, 0, 0, 0]
    model = fit(LogisticNN(alpha=0, monotonic_cst=signs), X, y)
    assert model.coef_[0, 0] == 0.0
    posterior = Posterior(model, X, y)
    frame = posterior.summary().to_frame()
    assert np.isnan(frame["std_error"][0])
    assert frame[["z", "p_value", "lower", "upper"]].iloc[0].isna().all()
    assert np.isnan(posterior.covariance[0]).all()
    (note,) = posterior.summary().notes
    assert "monotonic_cst" in note
    assert "'x0'" in note
    # The others are those of a fit without the column.
    without = Posterior(fit(CLASSICAL, X[:, 1:], y), X[:, 1:], y)
    assert_allclose(posterior.std_errors[1:], without.std_errors, rtol=1e-4)
    assert_allclose(posterior.n_effective, 4.0)
    assert "-" in str(posterior.summary()).splitlines()[9]


def test_a_constant_column_has_no_interval():
    X, y = noisy_classes(3)
    wide = np.insert(X, 1, 7.0, axis=1)
    posterior = Posterior(fit(LogisticNN(alpha=1), wide, y), wide, y)
    frame = posterior.summary().to_frame()
    assert np.isnan(frame[frame["name"] == "x1"]["std_error"]).all()
    note = posterior.summary().notes[1]
    assert note.startswith("No interval for a column that is constant: 'x1'.")
    narrow = Posterior(fit(LogisticNN(alpha=1), X, y), X, y).summary().to_frame()
    kept = frame[frame["name"] != "x1"]
    assert_allclose(kept["std_error"], narrow["std_error"], rtol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_dependent_columns_have_no_interval(n_classes):
    X, y = noisy_classes(n_classes)
    wide = np.column_stack([X, 3.0 * X[:, 0] - X[:, 2] + 1e3])
    model = fit(CLASSICAL, wide, y)
    with pytest.warns(UserWarning, match="'x0', 'x2', 'x4': a linear combination"):
        posterior = Posterior(model, wide, y)
    frame = posterior.summary().to_frame()
    per_class = frame.set_index("name").loc[["x1", "x3"], "std_error"]
    small = Posterior(fit(CLASSICAL, X, y), X, y)
    expected = small.summary().to_frame().set_index("name").loc[["x1", "x3"]]
    assert_allclose(per_class, expected["std_error"], rtol=1e-4)
    assert frame.set_index("name").loc[["x0", "x2", "x4"], "std_error"].isna().all()
    # The columns are far from 0: the intercept changes along the dependence.
    assert np.isnan(frame[frame["name"] == "intercept"]["std_error"]).all()
    assert_allclose(posterior.n_effective, small.n_effective)
    assert "is 0 in all rows" in posterior.summary().notes[-1]
    effects = posterior.marginal_effects().set_index("name")
    assert np.isnan(effects.loc[["x0", "x2", "x4"], "std_error"]).all()
    assert_allclose(posterior.leverage, small.leverage, rtol=1e-4)


def test_dependent_columns_without_an_intercept():
    X, y = noisy_classes()
    wide = np.column_stack([X, 2.0 * X[:, 0]])
    model = fit(LogisticNN(alpha=0, fit_intercept=False), wide, y)
    with pytest.warns(UserWarning, match="'x0', 'x4': a linear combination"):
        posterior = Posterior(model, wide, y)
    assert np.isnan(posterior.std_errors).tolist() == [True, False, False, False, True]
    with pytest.raises(ValueError, match="without an interval: 'x4'"):
        posterior.wald_test([1, 4])


def test_a_penalty_makes_dependent_columns_estimable():
    X, y = noisy_classes()
    wide = np.column_stack([X, X[:, 0]])
    posterior = Posterior(fit(LogisticNN(alpha=1), wide, y), wide, y)
    assert np.isfinite(posterior.std_errors).all()


# Methods that are not for every model -------------------------------------------------


def test_single_weights_of_a_network_are_not_summarised():
    X, y = noisy_classes()
    posterior = Posterior(fit(NETWORK, X, y), X, y)
    for method in (posterior.summary, lambda: posterior.wald_test([0])):
        with pytest.raises(TypeError, match="is for LogisticNN"):
            method()


def test_pandas_is_imported_only_for_frames(monkeypatch):
    X, y = noisy_classes()
    posterior = Posterior(fit(CLASSICAL, X, y), X, y)
    load = builtins.__import__

    def without_pandas(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    assert "intercept" in str(posterior.summary())
    for make in (posterior.summary().to_frame, posterior.marginal_effects):
        with pytest.raises(ImportError, match=r"sknn_simple\[pandas\]"):
            make()


def test_another_fit_of_the_model_changes_nothing():
    X, y = noisy_classes(2)
    model = fit(LogisticNN(alpha=0), X, y)
    posterior = Posterior(model, X, y)
    before = posterior.conf_int(), posterior.summary().table["lower"]
    model.fit(X[:, :2] * 1000.0, 1 - y)
    assert_array_equal(posterior.conf_int(), before[0])
    assert_array_equal(posterior.summary().table["lower"], before[1])
