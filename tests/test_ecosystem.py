"""Both classifiers inside scikit-learn's meta-estimators, searches and plots."""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (its effect)
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from models import LINEAR, NETWORK, classes, each_class, ignores_max_iter
from sknn_simple import LogisticNN
from sknn_simple._base import DOCUMENTATION

API = Path(__file__).parents[1] / "docs" / "api.rst"

X, Y = classes(3, 150, class_sep=1.5)
X2, Y2 = classes(2, 150, class_sep=1.5)


def grid(model):
    return {"alpha": [0.1, 100.0]}, clone(model)


@each_class
def test_a_pipeline_works(model):
    pipeline = make_pipeline(StandardScaler(), clone(model)).fit(X, Y)
    scaled = StandardScaler().fit_transform(X)
    alone = clone(model).fit(scaled, Y)
    assert_array_equal(pipeline.predict_proba(X), alone.predict_proba(scaled))
    assert pipeline.score(X, Y) > 0.8
    assert_array_equal(pipeline.classes_, [0, 1, 2])


def test_a_network_is_a_transformer_before_another_model():
    pipeline = make_pipeline(clone(NETWORK), LogisticRegression(max_iter=1000))
    pipeline.fit(X, Y)
    assert pipeline[:-1].transform(X).shape == (len(X), 4)
    names = [f"onehiddenmlp{i}" for i in range(4)]
    assert pipeline[:-1].get_feature_names_out().tolist() == names
    assert pipeline.score(X, Y) > 0.8


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_column_transformer_works(kind):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip(kind)
    if kind == "polars" and sklearn.__version__.startswith("1.6."):
        pytest.skip("its ColumnTransformer does not know the frames of newer polars")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    frame["colour"] = np.array(["red", "green", "blue"])[np.arange(len(X)) % 3]
    columns = ColumnTransformer(
        [
            ("hidden", clone(NETWORK), ["a", "b", "c"]),
            ("colour", OneHotEncoder(sparse_output=False), ["colour"]),
        ]
    ).set_output(transform=kind)
    transformed = columns.fit_transform(frame, Y)
    assert type(transformed).__module__.split(".")[0] == kind
    names = [f"hidden__onehiddenmlp{i}" for i in range(4)]
    assert list(transformed.columns)[:4] == names
    for model in (LINEAR, NETWORK):
        pipeline = make_pipeline(columns, clone(model)).fit(frame, Y)
        assert pipeline[-1].feature_names_in_.tolist() == list(transformed.columns)
        assert pipeline.predict_proba(frame).shape == (len(X), 3)


def test_a_feature_union_works():
    union = FeatureUnion([("raw", "passthrough"), ("hidden", clone(NETWORK))])
    out = union.fit(X, Y).transform(X)
    assert_array_equal(out[:, 6:], clone(NETWORK).fit(X, Y).transform(X))
    assert union.get_feature_names_out()[6] == "hidden__onehiddenmlp0"


@pytest.mark.parametrize("n_jobs", [1, 2])
@each_class
def test_grid_search_works(model, n_jobs):
    parameters, model = grid(model)
    search = GridSearchCV(model, parameters, cv=3, n_jobs=n_jobs).fit(X, Y)
    assert search.best_params_ == {"alpha": 0.1}
    expected = clone(model).set_params(alpha=0.1).fit(X, Y)
    assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


@each_class
def test_halving_grid_search_works(model):
    parameters, model = grid(model)
    search = HalvingGridSearchCV(
        model, parameters, cv=3, random_state=0, min_resources=60
    )
    search.fit(X, Y)
    assert search.best_params_["alpha"] in parameters["alpha"]
    assert search.score(X, Y) > 0.8


def test_halving_works_on_max_iter():
    search = HalvingGridSearchCV(
        clone(NETWORK),
        {"alpha": [0.1, 100.0]},
        resource="max_iter",
        min_resources=400,
        max_resources=800,
        factor=2,
        cv=3,
        random_state=0,
    )
    assert search.fit(X, Y).best_params_["max_iter"] == 800


@each_class
def test_cross_validation_in_two_processes_gives_the_same_scores(model):
    found = [
        cross_validate(clone(model), X, Y, cv=3, n_jobs=n_jobs, scoring="neg_log_loss")[
            "test_score"
        ]
        for n_jobs in (1, 2)
    ]
    assert_array_equal(*found)


@each_class
def test_cross_val_predict_works(model):
    for method in ("predict", "predict_proba", "decision_function"):
        out = cross_val_predict(clone(model), X, Y, cv=3, method=method)
        assert out.shape == ((len(X),) if method == "predict" else (len(X), 3))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("ensemble", [True, False])
@each_class
def test_calibration_works(model, method, ensemble):
    calibrated = CalibratedClassifierCV(
        clone(model), method=method, ensemble=ensemble, cv=3
    )
    probability = calibrated.fit(X, Y, np.linspace(1, 2, len(Y))).predict_proba(X)
    assert_allclose(probability.sum(axis=1), 1.0)
    assert calibrated.score(X, Y) > 0.8


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting_works(voting):
    vote = VotingClassifier(
        [("a", clone(LINEAR)), ("b", clone(NETWORK))], voting=voting
    )
    assert vote.fit(X, Y).score(X, Y) > 0.8


@each_class
def test_stacking_works(model):
    stack = StackingClassifier(
        [("a", clone(LINEAR)), ("b", clone(NETWORK))], clone(model), cv=3
    )
    assert stack.fit(X, Y).score(X, Y) > 0.8


@pytest.mark.parametrize("meta", [OneVsRestClassifier, OneVsOneClassifier])
@each_class
def test_one_versus_rest_and_one_versus_one_work(model, meta):
    each = meta(clone(model)).fit(X, Y)
    assert len(each.estimators_) == 3
    assert each.score(X, Y) > 0.8


def test_one_versus_rest_is_what_multilabel_does():
    indicator = np.eye(3, dtype=int)[Y]
    model = LogisticNN(tol=1e-9, alpha=1.0)
    each = OneVsRestClassifier(clone(model)).fit(X, indicator)
    ours = clone(model).fit(X, indicator)
    assert_allclose(each.predict_proba(X), ours.predict_proba(X), atol=1e-6)
    assert_array_equal(each.predict(X), ours.predict(X))


@pytest.mark.parametrize("meta", [MultiOutputClassifier, ClassifierChain])
@each_class
def test_classifiers_of_several_outputs_work(model, meta):
    several = np.column_stack([Y > 0, Y > 1]).astype(int)
    each = meta(clone(model)).fit(X, several)
    assert each.predict(X).shape == several.shape
    assert len(each.estimators_) == 2


@each_class
def test_bagging_works(model):
    bag = BaggingClassifier(
        clone(model), n_estimators=3, random_state=0, max_features=0.7
    )
    assert bag.fit(X, Y, sample_weight=np.ones(len(Y))).score(X, Y) > 0.7


def test_recursive_feature_elimination_works():
    rng = np.random.default_rng(0)
    noisy = np.hstack([X2, rng.normal(size=(len(X2), 4))])
    chosen = RFE(LogisticNN(alpha=1.0), n_features_to_select=4).fit(noisy, Y2)
    assert chosen.support_.sum() == 4
    assert chosen.support_[:6].sum() >= 3
    assert SelectFromModel(LogisticNN(alpha=1.0)).fit(noisy, Y2).get_support().any()
    by_first_layer = RFE(
        clone(NETWORK),
        n_features_to_select=4,
        importance_getter=lambda m: np.abs(m.coefs_[0]).sum(axis=1),
    )
    assert by_first_layer.fit(noisy, Y2).support_.sum() == 4


@pytest.mark.parametrize(
    "select",
    [
        lambda getter: RFE(
            LogisticNN(), n_features_to_select=3, importance_getter=getter
        ),
        lambda getter: SelectFromModel(LogisticNN(), importance_getter=getter),
    ],
    ids=["RFE", "SelectFromModel"],
)
def test_selection_by_scaled_coefficients_does_not_depend_on_units(select):
    def importance(model):
        return model.coef_ * model.scale_

    units = 10.0 ** np.linspace(-3, 3, X2.shape[1])
    chosen = select(importance).fit(X2, Y2).get_support()
    assert_array_equal(select(importance).fit(X2 * units, Y2).get_support(), chosen)


@each_class
def test_permutation_importance_works(model):
    noisy = np.hstack([X2, np.random.default_rng(0).normal(size=(len(X2), 1))])
    model = clone(model).fit(noisy, Y2)
    found = permutation_importance(model, noisy, Y2, n_repeats=3, random_state=0)
    assert found.importances_mean[:6].max() > 5 * abs(found.importances_mean[6])


@each_class
@pytest.mark.usefixtures("close_figures")
def test_partial_dependence_works(model):
    pytest.importorskip("matplotlib")
    model = clone(model).set_params(monotonic_cst=[1, 0, 0, 0, 0, 0]).fit(X2, Y2)
    average = partial_dependence(model, X2, [0], grid_resolution=20)["average"]
    assert (np.diff(average[0]) >= 0).all()
    PartialDependenceDisplay.from_estimator(model, X2, [0, (1, 2)], grid_resolution=10)


@pytest.mark.parametrize("response", ["predict", "predict_proba", "decision_function"])
@each_class
@pytest.mark.usefixtures("close_figures")
def test_a_decision_boundary_is_drawn(model, response):
    pytest.importorskip("matplotlib")
    display = DecisionBoundaryDisplay.from_estimator(
        clone(model).fit(X2[:, :2], Y2),
        X2[:, :2],
        response_method=response,
        grid_resolution=10,
    )
    assert display.response.shape[:2] == (10, 10)


@each_class
def test_a_learning_curve_is_computed(model):
    sizes, train, test = learning_curve(
        clone(model), X, Y, train_sizes=[0.5, 1.0], cv=3, n_jobs=2
    )
    assert sizes.tolist() == [50, 100]
    assert train.shape == test.shape == (2, 3)
    assert (test.mean(axis=1) > 0.6).all()
    whole = cross_validate(clone(model), X, Y, cv=3)["test_score"]
    assert_array_equal(test[1], whole)


@each_class
def test_a_threshold_can_be_tuned(model):
    tuned = TunedThresholdClassifierCV(clone(model), scoring="f1", cv=3).fit(X2, Y2)
    assert 0.0 < tuned.best_threshold_ < 1.0
    second = clone(model).fit(X2, Y2).predict_proba(X2)[:, 1]
    assert_array_equal(tuned.predict(X2), second >= tuned.best_threshold_)


# Metadata routing ---------------------------------------------------------------------


@each_class
def test_weights_reach_the_model_through_a_pipeline_and_a_search(model):
    weight = np.random.default_rng(0).integers(1, 5, len(Y)).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        requesting = clone(model).set_fit_request(sample_weight=True)
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        name = f"{type(model).__name__.lower()}__alpha"
        search = GridSearchCV(
            make_pipeline(scaler, requesting), {name: [1.0, 10.0]}, scoring=scorer, cv=3
        )
        search.fit(X, Y, sample_weight=weight)
        alpha = search.best_params_[name]
    scaled = StandardScaler().fit_transform(X)
    alone = clone(model).set_params(alpha=alpha).fit(scaled, Y, weight)
    assert_array_equal(search.predict_proba(X), alone.predict_proba(scaled))
    plain = clone(model).set_params(alpha=alpha).fit(scaled, Y)
    assert not np.allclose(plain.predict_proba(scaled), alone.predict_proba(scaled))


@each_class
def test_weights_that_were_not_requested_are_an_error(model):
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(clone(model))
        with pytest.raises(Exception, match="sample_weight"):
            pipeline.fit(X, Y, sample_weight=np.ones(len(Y)))


# What a notebook shows ----------------------------------------------------------------


@each_class
def test_html_names_the_class_and_its_parameters(model):
    for fitted in (clone(model), clone(model).fit(X, Y)):
        html = fitted._repr_html_()
        assert type(model).__name__ in html
        assert "random_state" in html or isinstance(model, LogisticNN)
    assert (
        "LogisticNN"
        in make_pipeline(StandardScaler(), LogisticNN(alpha=1.0))._repr_html_()
    )


@each_class
@ignores_max_iter
def test_html_says_how_the_fit_ended(model):
    assert "converged after" not in clone(model)._repr_html_()
    fitted = clone(model).fit(X, Y)
    record = f"converged after {fitted.n_iter_} iterations, alpha_ = {fitted.alpha_:g}"
    assert f">{record}<" in fitted._repr_html_()
    assert record in make_pipeline(StandardScaler(), model).fit(X, Y)._repr_html_()
    stopped = clone(model).set_params(max_iter=1).fit(X, Y)
    assert ">not converged after 1 iteration, " in stopped._repr_html_()


@each_class
def test_html_links_to_the_documentation(model):
    page = f"{DOCUMENTATION}/generated/sknn_simple.{type(model).__name__}.html"
    for shown in (clone(model), make_pipeline(StandardScaler(), clone(model))):
        assert f'href="{page}"' in shown._repr_html_()


@pytest.mark.skipif(not API.exists(), reason="the docs are not in this archive")
@each_class
def test_the_page_that_html_links_to_is_one_that_the_docs_build(model):
    text = API.read_text("utf-8")
    assert ".. currentmodule:: sknn_simple\n" in text
    pages = r"\.\. autosummary::\n   :toctree: generated/\n\n((?:   [\w.]+\n)+)"
    names = " ".join(re.findall(pages, text)).split()
    assert type(model).__name__ in names


class Derived(LogisticNN):
    """A class of another package."""


def test_a_class_of_another_package_is_not_in_our_documentation():
    assert DOCUMENTATION not in Derived()._repr_html_()


@each_class
def test_printed_representation_names_what_was_changed(model):
    assert repr(clone(model).set_params(alpha=0.5)).startswith(type(model).__name__)
    assert "alpha=0.5" in repr(clone(model).set_params(alpha=0.5))
    assert repr(LogisticNN()) == "LogisticNN()"
