"""Posterior refuses what it cannot describe, before any work, and says why."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models import LINEAR, NETWORK, each_class, fit, labels, noisy_classes
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior
from sknn_simple._inference.gaussian import RootGaussian
from sknn_simple._inference.outputs import Rows
from sknn_simple._inference.sandwich import sandwich
from sknn_simple._inference.sizes import is_smaller_by_rows, parameter_bytes, row_bytes

X, Y = noisy_classes(3)
N = len(Y)
CLASSICAL = LogisticNN(alpha=0)


def refuses(error, match, *args, **kwargs):
    with pytest.raises(error, match=match):
        Posterior(*args, **kwargs)


@each_class
def test_model_is_not_fitted(model):
    refuses(NotFittedError, type(model).__name__, type(model)(), X, Y)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (LogisticRegression().fit(X, Y), "LogisticNN or OneHiddenMLP; got LogisticRe"),
        (LogisticNN, "got <class"),
        (None, "got NoneType"),
        (make_pipeline(StandardScaler(), LogisticNN()), r"pipeline\[:-1\].transform"),
        (GridSearchCV(LogisticNN(), {}).fit(X, Y), "best_estimator_"),
    ],
    ids=str,
)
def test_other_models(model, match):
    refuses(TypeError, match, model, X, Y)


@each_class
def test_other_data(model):
    model = fit(model, X, Y)
    weight = np.ones(N)
    refuses(ValueError, "3 features.*4 features", model, X[:, :3], Y)
    refuses(ValueError, "inconsistent", model, X, Y[:-1])
    refuses(ValueError, "sample_weight", model, X, Y, weight[:-1])
    refuses(ValueError, "sample_weight must not be neg", model, X, Y, -weight)
    refuses(ValueError, "sample_weight must not be zero", model, X, Y, 0 * weight)
    refuses(ValueError, "y holds the label 7", model, X, np.where(Y == 2, 7, Y))
    refuses(ValueError, "y holds the label '0'", model, X, Y.astype(str))
    refuses(ValueError, "NaN", model, X, np.where(Y == 2, np.nan, Y))
    refuses(ValueError, "NaN", model, np.where(X[3, 1] == X, np.nan, X), Y)
    refuses(ValueError, "covariance must be .*'HC3'", model, X, Y, covariance="HC3")
    refuses(ValueError, "covariance must be .*None", model, X, Y, covariance=None)
    refuses(ValueError, "covariance must be .*array", model, X, Y, covariance=np.eye(2))


def test_other_column_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = fit(LINEAR, frame, Y)
    refuses(ValueError, "feature names", model, frame[list("abdc")], Y)


def test_other_labels_of_a_multilabel_target():
    A, B = labels(n_labels=3)
    model = fit(LINEAR, A, B)
    refuses(ValueError, "y must have a column for each of the 3", model, A, B[:, :2])
    refuses(ValueError, "must hold 0 and 1 only; got 2", model, A, 2 * B)
    with pytest.raises(ValueError, match="reference must be None for a multilabel"):
        Posterior(model, A, B).summary(reference=0)


@pytest.mark.parametrize("covariance", ["model", "robust"])
def test_groups(covariance):
    model, options = fit(LINEAR, X, Y), {"covariance": covariance}
    refuses(
        ValueError, f"one entry per row, {N}; it has 9", model, X, Y, groups=np.ones(9)
    )
    refuses(ValueError, "at least 2.*in 'a'", model, X, Y, groups=["a"] * N, **options)
    table = np.ones((N, 2))
    match = rf"groups must be one-dim.*\({N}, 2\)"
    refuses(ValueError, match, model, X, Y, groups=table, **options)
    mixed = np.array([1, "a"] * (N // 2), dtype=object)
    match = "groups must be all numbers or all strings"
    refuses(ValueError, match, model, X, Y, groups=mixed, **options)
    # The only other group has no weight.
    groups, weight = np.arange(N) == 3, 1.0 - (np.arange(N) == 3)
    model = fit(LINEAR, X, Y, weight)
    refuses(ValueError, "at least 2", model, X, Y, weight, groups=groups)


def test_a_sandwich_needs_more_rows_than_parameters():
    empty = np.zeros(0)
    outputs: Any = None
    rows = Rows(X, Y, np.unique(Y), empty, np.ones(4), multilabel=False)
    gaussian = RootGaussian(empty, 0.0, n_effective=7.0)
    with pytest.raises(ValueError, match="4 rows have 7"):
        sandwich(gaussian, outputs, rows, None)


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, pd.NaT])
def test_a_missing_group_is_an_error(missing):
    groups = pd.Series(["a", "b"] * (N // 2), dtype=object)
    groups[3] = missing
    model = fit(LogisticNN(), X, Y)
    refuses(ValueError, "group of row 3 is missing", model, X, Y, groups=groups)
    numbers = np.arange(N, dtype=float)
    numbers[3] = np.nan
    refuses(ValueError, "group of row 3 is missing", model, X, Y, groups=numbers)
    words = groups.tolist()
    refuses(ValueError, "group of row 3 is missing", model, X, Y, groups=words)


@pytest.mark.parametrize("name", ["X", "y", "groups"])
def test_what_is_no_array_of_rows(name):
    given = {"X": X, "y": Y, "groups": np.arange(N)}
    model = fit(LINEAR, X, Y)
    masked = np.ma.masked_less(given[name], 1)
    match = f"^{name} is a masked array"
    refuses(ValueError, match, model, **{**given, name: masked})
    refuses(TypeError, f"^{name} must be", model, **{**given, name: {"a": 1}})


def test_groups_of_any_type():
    model = fit(LINEAR, X, Y)
    numbers = np.arange(N) % 7
    expected = Posterior(model, X, Y, groups=numbers).std_errors
    for groups in (numbers.astype(str), pd.Series(numbers), list(numbers - 3)):
        np.testing.assert_allclose(
            Posterior(model, X, Y, groups=groups).std_errors, expected
        )


@each_class
def test_parameters_changed_after_the_fit(model):
    model = fit(model, X, Y)
    if isinstance(model, OneHiddenMLP):
        model.set_params(hidden_layer_size=5)
        refuses(ValueError, "changed after fit", model, X, Y)


def test_a_penalty_that_is_lost_in_rounding():
    twice = np.hstack([X, X])
    model = fit(LogisticNN(alpha=1e-25), twice, Y)
    refuses(ValueError, "alpha=1e-25 is lost in rounding", model, twice, Y)


def test_a_network_without_a_penalty():
    model = OneHiddenMLP(2, "tanh", alpha=0, random_state=0, tol=0.1)
    refuses(ValueError, "alpha=0 leaves", model.fit(X, Y), X, Y)


@each_class
def test_other_rows_are_allowed_with_a_warning(model):
    model = fit(model, X, Y)
    Posterior(model, X, Y)
    with pytest.warns(UserWarning, match=rf"of J .* far from 0.*tol={model.tol:g}:"):
        Posterior(model, X, np.roll(Y, 1))
    with pytest.warns(UserWarning, match=r"gradient of J .* far from 0"):
        Posterior(model, X, Y, np.where(Y == 1, 3.0, 1.0))


@pytest.mark.parametrize(
    "model",
    [LogisticNN(alpha=1.0), OneHiddenMLP(3, alpha=1.0, random_state=0)],
)
def test_too_large_for_any_memory(model):
    wide = sparse.random(60, 200_000, 1e-3, format="csr", random_state=0)
    model.set_params(tol=0.5).fit(wide, Y[:60])
    refuses(
        MemoryError,
        r"needs \d{13,} bytes, more than half of the memory of this machine, \d+ bytes",
        *(model, wide, Y[:60]),
        covariance="robust",
    )


@pytest.mark.parametrize("has_row_form", [False, True])
@pytest.mark.parametrize(("n_rows", "n_params"), [(10, 500), (500, 10), (100, 100)])
def test_the_smaller_form_must_fit_the_memory(n_rows, n_params, has_row_form):
    least, by_rows = parameter_bytes(n_params), row_bytes(n_rows, 2, n_params)
    is_smaller = has_row_form and by_rows < least
    if is_smaller:
        least = by_rows
    sizes = n_rows, 2, n_params, has_row_form
    assert is_smaller_by_rows(*sizes, least) == is_smaller
    with pytest.raises(MemoryError, match=f"needs {least} bytes.*, {least - 1} bytes"):
        is_smaller_by_rows(*sizes, least - 1)


def test_arguments_of_methods():
    posterior = Posterior(fit(LINEAR, X, Y), X, Y)
    levels: list[Any] = [0, 1, 95, -0.1, None, "0.95", np.nan]
    for level in levels:
        for method in (
            posterior.summary,
            posterior.conf_int,
            posterior.marginal_effects,
            lambda confidence_level: posterior.predict_interval(X, confidence_level),
        ):
            with pytest.raises(ValueError, match="confidence_level must be"):
                method(confidence_level=level)
    with pytest.raises(ValueError, match=r"one of the classes .*; got 'a'"):
        posterior.summary(reference="a")
    with pytest.raises(ValueError, match=r"reference must be .*array"):
        posterior.summary(reference=np.array([0, 1]))
    for features in ("e", ["x0", "e"], 9, [-7], 1.5, [None], []):
        with pytest.raises(ValueError, match="features must name"):
            posterior.wald_test(features)
    for method in (
        posterior.predict_proba,
        posterior.predict_interval,
        posterior.marginal_effects,
    ):
        with pytest.raises(ValueError, match="features"):
            method(X[:, :2])


def test_columns_by_name_number_and_mask():
    posterior = Posterior(fit(LINEAR, X, Y), X, Y)
    expected = posterior.wald_test(["x1", "x3"])
    mask = np.array([False, True, False, True])
    for features in ([1, 3], np.array([3, 1]), [-1, 1], mask, ["x3", "x1", "x1"]):
        assert posterior.wald_test(features) == expected
    assert posterior.wald_test("x1") == posterior.wald_test(1)
    assert expected.df == 4


@pytest.mark.parametrize("model", [CLASSICAL, LogisticNN(alpha=1.0)], ids=str)
def test_too_few_groups_for_a_wald_test(model):
    """Its covariance has no inverse: fewer combinations would be tested."""
    posterior = Posterior(fit(model, X, Y), X, Y, groups=np.arange(N) % 4)
    with pytest.raises(ValueError, match=r"of 4 groups has rank \d, too .* 8 coef"):
        posterior.wald_test(range(4))
    assert posterior.wald_test([1]).df == 2
    groups = np.arange(N) % 20
    every: list[dict[str, Any]] = [{}, {"covariance": "robust"}, {"groups": groups}]
    for options in every:
        assert Posterior(fit(model, X, Y), X, Y, **options).wald_test(range(4)).df == 8


def test_too_few_rows_for_a_wald_test():
    wide = np.random.RandomState(0).normal(size=(40, 90))
    y = np.arange(40) % 2
    model = fit(LogisticNN(alpha=30.0), wide, y)
    posterior = Posterior(model, wide, y, covariance="robust")
    with pytest.raises(ValueError, match=r"of 40 rows has rank \d+, too low"):
        posterior.wald_test(range(90))
    assert Posterior(model, wide, y).wald_test(range(90)).df == 90


@pytest.mark.parametrize(
    "options", [{"covariance": "robust"}, {"groups": np.arange(N) % 20}]
)
def test_wald_test_of_a_category(options):
    """With a penalty the weights of all its columns sum to 0: one is no restriction."""
    wide = np.hstack([X, np.eye(4)[np.arange(N) // 3 % 4]])
    posterior = Posterior(fit(LogisticNN(alpha=1.0), wide, Y), wide, Y, **options)
    assert posterior.wald_test(range(4, 8)).df == 6


def test_likelihood_ratio_of_models_that_are_not_nested():
    full = Posterior(fit(CLASSICAL, X, Y), X, Y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    other = frame.assign(a=X[:, 0] ** 2)[["a"]].rename(columns={"a": "z"})
    with pytest.raises(ValueError, match="other must be nested: 'z'"):
        full.lr_test(Posterior(fit(CLASSICAL, other, Y), other, Y))
    with pytest.raises(ValueError, match="alpha=0; got alpha="):
        full.lr_test(Posterior(fit(LINEAR, X[:, :2], Y), X[:, :2], Y))
    with pytest.raises(ValueError, match="both have as many"):
        full.lr_test(full)
    with pytest.raises(TypeError, match="other must be a Posterior"):
        full.lr_test(full.model)
    half = Posterior(fit(CLASSICAL, X[::2], Y[::2]), X[::2], Y[::2])
    with pytest.raises(ValueError, match="same rows"):
        full.lr_test(half)
    network = Posterior(fit(NETWORK, X, Y), X, Y)
    with pytest.raises(TypeError, match="is for LogisticNN"):
        full.lr_test(network)


def test_an_intercept_must_be_in_the_larger_model_too():
    """As a bias, as a constant column, or as the columns of a category."""
    some, category = X[:, :1], np.eye(3)[np.arange(N) % 3]
    base = Posterior(fit(CLASSICAL, some, Y), some, Y)
    without = LogisticNN(alpha=0, fit_intercept=False)
    larger = Posterior(fit(without, X, Y), X, Y)
    for one, other in [(larger, base), (base, larger)]:
        with pytest.raises(ValueError, match="other must be nested: 'intercept'"):
            one.lr_test(other)
    assert Posterior(fit(without, some, Y), some, Y).lr_test(larger).df == 6
    for columns in (np.ones((N, 1)), category):
        wide = np.hstack([X, columns])
        for model in (without, clone(without).set_params(standardize=False)):
            test = Posterior(fit(model, wide, Y), wide, Y).lr_test(base)
            assert test.df == 2 * (2 + columns.shape[1])


def test_the_larger_model_must_fit_better():
    """Columns without names are x0, x1 and so on, whatever they hold."""
    noise = np.random.RandomState(0).normal(size=X.shape)
    larger = Posterior(fit(CLASSICAL, noise, Y), noise, Y)
    smaller = Posterior(fit(CLASSICAL, X[:, :3], Y), X[:, :3], Y)
    with pytest.raises(ValueError, match="the smaller model has the lower deviance"):
        larger.lr_test(smaller)


@pytest.mark.parametrize("tol", [1e-9, 1e-2])
def test_a_column_that_explains_nothing(tol):
    """The deviances are equal but for rounding and the end of the fit."""
    narrow, y = np.vstack([X, X]), np.tile(Y, 2)
    wide = np.column_stack([narrow, np.repeat([-1.0, 1.0], N)])
    exact, model = LogisticNN(alpha=0, tol=1e-9), LogisticNN(alpha=0, tol=tol)
    smaller = Posterior(fit(exact, narrow, y), narrow, y)
    test = Posterior(fit(model, wide, y), wide, y).lr_test(smaller)
    assert test.df == 2
    assert 0.0 <= test.statistic < 1e-9
    assert test.p_value > 0.999


@each_class
def test_a_posterior_can_be_stored(model):
    posterior = Posterior(fit(model, X, Y), X, Y)
    loaded = pickle.loads(pickle.dumps(posterior))
    np.testing.assert_array_equal(loaded.predict_proba(X), posterior.predict_proba(X))
    np.testing.assert_array_equal(loaded.std_errors, posterior.std_errors)


@each_class
@pytest.mark.parametrize("unit", [1e-90, 1e90])
def test_extreme_units(model, unit):
    model, scale = fit(model, X, Y), np.array([unit, 1.0, 1.0, 1.0])
    expected = Posterior(model, X, Y)
    arrays = model._parameters()
    for name in ("coef", "hidden_coef"):
        if name in arrays:
            arrays[name][0] /= unit
    found = Posterior(model, X * scale, Y)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood)
    interval, at = expected.predict_interval(X), found.predict_interval(X * scale)
    np.testing.assert_allclose(at, interval, rtol=1e-5)
    effects = found.marginal_effects()["z"]
    np.testing.assert_allclose(effects, expected.marginal_effects()["z"], rtol=1e-5)


@pytest.mark.parametrize("change", [{"fit_intercept": False}, {"standardize": False}])
def test_parameters_that_contradict_the_fitted_model_are_refused(change):
    model = LogisticNN(1.0).fit(X, Y).set_params(**change)
    refuses(ValueError, f"changed after fit: {next(iter(change))}", model, X, Y)


@each_class
def test_attributes_set_by_hand_lack_what_a_posterior_needs(model):
    model = fit(model, X, Y)
    del model.alpha_
    refuses(ValueError, "model has no alpha_", model, X, Y)


@pytest.mark.parametrize("value", [2.0, 1e-9, -1e-30])
def test_a_column_that_is_the_intercept_keeps_its_value(value):
    data = np.column_stack([X, np.full(N, value)])
    model = LogisticNN(1.0, fit_intercept=False).fit(data, Y)
    posterior = Posterior(model, data, Y)
    other = data.copy()
    other[0, -1] = 0.0
    for method in (posterior.predict_proba, posterior.predict_interval):
        method(data)
        method(data.astype(np.float32))
        with pytest.raises(ValueError, match=r"Column \d+ of X is the intercept"):
            method(other)
