"""What must not change a posterior: units, row order, storage, copies, references."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris

from models import SHORT_NETWORK, fit, ignores_max_iter, labels, noisy_classes
from sknn_simple import LogisticNN, OneHiddenMLP, Posterior

CLASSICAL = LogisticNN(alpha=0, tol=1e-9)
PENALISED = LogisticNN(alpha=2.0, tol=1e-9)
NETWORK = OneHiddenMLP(4, "tanh", alpha=1.0, random_state=0, tol=1e-8, max_iter=2000)
each_linear = pytest.mark.parametrize("model", [CLASSICAL, PENALISED], ids=str)
each_model = pytest.mark.parametrize("model", [CLASSICAL, PENALISED, NETWORK], ids=str)
each_number_of_classes = pytest.mark.parametrize("n_classes", [2, 3])
CLOSE = {"rtol": 1e-6, "atol": 1e-10}


def said(posterior, X):
    """All that a posterior says about the fit and the rows of X."""
    return {
        "log_likelihood": posterior.log_likelihood,
        "n_effective": posterior.n_effective,
        "log_evidence": posterior.log_evidence,
        "aic": posterior.aic,
        "probability": posterior.predict_proba(X),
        "interval": posterior.predict_interval(X),
        "effect": posterior.marginal_effects(X)["z"],
    }


def assert_same(one, other, rtol=1e-6, atol=1e-10):
    for name, value in one.items():
        assert_allclose(other[name], value, rtol, atol, err_msg=name)


@each_number_of_classes
@each_model
def test_a_weight_of_two_is_the_same_as_two_rows(model, n_classes):
    X, y = noisy_classes(n_classes)
    weight = np.arange(len(y)) % 3.0
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    groups = {"groups": np.arange(len(y)) % 9}
    every: list[dict[str, Any]] = [{}, {"covariance": "robust"}, groups]
    for options in every:
        weighted = Posterior(fit(model, X, y, weight), X, y, weight, **options)
        if "groups" in options:
            options = {"groups": options["groups"][rows]}
        fitted = fit(model, X, y, weight)
        repeated = Posterior(fitted, X[rows], y[rows], **options)
        assert_same(said(weighted, X), said(repeated, X))
        assert_allclose(weighted.std_errors, repeated.std_errors, **CLOSE)
        assert_allclose(weighted.bic, repeated.bic, **CLOSE)


@each_number_of_classes
def test_doubled_weights_halve_the_covariance(n_classes):
    X, y = noisy_classes(n_classes)
    fitted = fit(CLASSICAL, X, y)
    once, twice = (Posterior(fitted, X, y, np.full(len(y), w)) for w in (1.0, 2.0))
    assert_allclose(2.0 * twice.covariance, once.covariance, **CLOSE)


@each_number_of_classes
@pytest.mark.filterwarnings("ignore:The gradient of J")
@ignores_max_iter
@pytest.mark.parametrize("model", [CLASSICAL, PENALISED, SHORT_NETWORK], ids=str)
def test_unit_and_origin_of_a_column(model, n_classes):
    X, y = noisy_classes(n_classes)
    scale, origin = np.array([1e-6, 1.0, 1e8, 30.0]), np.array([0.0, 1e4, -7e9, 3.0])
    moved = X * scale + origin
    one = Posterior(fit(model, X, y), X, y)
    other = Posterior(fit(model, moved, y), moved, y)
    assert_same(said(one, X), said(other, moved), rtol=2e-5, atol=1e-8)
    if hasattr(model, "fit_intercept"):
        K, p = one.model.coef_.shape
        in_units = [
            s.reshape(K, p + 1)[:, :p] for s in (one.std_errors, other.std_errors)
        ]
        assert_allclose(in_units[1] * scale, in_units[0], rtol=1e-6)


@each_number_of_classes
@each_model
def test_sparse_is_dense(model, n_classes):
    X, y = noisy_classes(n_classes)
    X[np.abs(X) < 0.5] = 0.0
    fitted = fit(model, X, y)
    dense, thin = Posterior(fitted, X, y), Posterior(fitted, sparse.csr_array(X), y)
    assert_same(said(dense, X), said(thin, sparse.csr_array(X)))
    assert_allclose(thin.covariance, dense.covariance, **CLOSE)
    assert_allclose(thin.leave_one_out(), dense.leave_one_out(), **CLOSE)
    assert_allclose(
        thin.marginal_effects()["std_error"], dense.marginal_effects()["std_error"]
    )


@each_model
def test_order_of_rows(model):
    X, y = noisy_classes(3)
    order = np.random.RandomState(0).permutation(len(y))
    fitted = fit(model, X, y)
    one, other = Posterior(fitted, X, y), Posterior(fitted, X[order], y[order])
    assert_same(said(one, X), said(other, X))
    assert_allclose(other.covariance, one.covariance, rtol=1e-6, atol=1e-9)
    assert_allclose(other.leave_one_out(), one.leave_one_out()[order], **CLOSE)
    assert_allclose(other.leverage, one.leverage[order], **CLOSE)


@pytest.mark.parametrize(
    ("model", "options"),
    [(CLASSICAL, {}), (PENALISED, {}), (CLASSICAL, {"covariance": "robust"})],
    ids=str,
)
def test_multilabel_is_a_fit_per_label(model, options):
    X, Y = labels(200, 5, 3)
    Y ^= np.random.RandomState(0).uniform(size=Y.shape) < 0.1
    together = Posterior(fit(model, X, Y), X, Y, **options)
    table = together.summary().to_frame()
    effects = together.marginal_effects()
    lower, upper = together.predict_interval(X)
    alone = [Posterior(fit(model, X, y), X, y, **options) for y in Y.T]
    for k, posterior in enumerate(alone):
        one = posterior.summary().to_frame()
        mine = table[table["label"] == k].reset_index(drop=True)
        for column in one.columns[1:]:
            assert_allclose(mine[column], one[column], rtol=1e-5, atol=1e-9)
        low, high = posterior.predict_interval(X)
        assert_allclose(lower[:, k], low[:, 1], rtol=1e-5)
        assert_allclose(upper[:, k], high[:, 1], rtol=1e-5)
        of_label = effects[effects["label"] == k]["std_error"]
        assert_allclose(of_label, posterior.marginal_effects()["std_error"], rtol=1e-5)
    assert_allclose(together.deviance, sum(p.deviance for p in alone))
    assert_allclose(together.n_effective, sum(p.n_effective for p in alone))
    losses = sum(p.leave_one_out() for p in alone)
    assert_allclose(together.leave_one_out(), losses, rtol=1e-5, atol=1e-8)


@each_linear
def test_a_contrast_does_not_depend_on_the_reference(model):
    X, y = noisy_classes(3)
    posterior = Posterior(fit(model, X, y), X, y)
    frames = {
        r: posterior.summary(reference=r).to_frame().set_index(["class", "name"])
        for r in range(3)
    }
    assert_allclose(frames[0].loc[2, "coef"], -frames[2].loc[0, "coef"])
    assert_allclose(frames[0].loc[2, "std_error"], frames[2].loc[0, "std_error"])
    assert_allclose(
        frames[0].loc[2, "coef"] - frames[0].loc[1, "coef"], frames[1].loc[2, "coef"]
    )
    assert_allclose(posterior.summary().to_frame()["z"], frames[0]["z"])


def test_contrasts_are_those_of_the_covariance():
    X, y = noisy_classes(3)
    posterior = Posterior(fit(PENALISED, X, y), X, y)
    q = X.shape[1] + 1
    difference = np.hstack([-np.eye(q), np.zeros((q, q)), np.eye(q)])
    expected = difference @ posterior.covariance @ difference.T
    frame = posterior.summary().to_frame()
    errors = frame[frame["class"] == 2]["std_error"]
    assert_allclose(errors, np.sqrt(np.diag(expected)))


@pytest.mark.parametrize("origin", [0.0, 100.0])
@pytest.mark.parametrize(
    "model",
    [
        *(LogisticNN(alpha, tol=1e-9) for alpha in ("auto", 2.0, 0.0)),
        LogisticNN(2.0, standardize=False, tol=1e-9),
        LogisticNN(2.0, fit_intercept=False, tol=1e-9),
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"covariance": "robust"}], ids=str)
def test_intercepts_of_softmax_sum_to_zero(model, origin, options):
    """So do their errors, which are those of the contrasts with their mean."""
    X, y = noisy_classes(3)
    X = X + origin
    if not model.fit_intercept:
        X = np.column_stack([X, np.full(len(X), 2.0)])
    at_zero = np.zeros((1, X.shape[1]))
    if not model.fit_intercept:
        at_zero[0, -1] = 2.0
    posterior = Posterior(fit(model, X, y), X, y, **options)
    raw = posterior.model.decision_function(at_zero)[0]
    assert_allclose(raw.sum(), 0.0, atol=1e-9 * np.abs(raw).max())
    q = len(posterior.std_errors) // 3
    C = posterior.covariance[q - 1 :: q, q - 1 :: q]
    assert_allclose(C.sum(axis=0), 0.0, atol=1e-9 * np.abs(C).max())
    frame = posterior.summary().to_frame()
    errors = frame["std_error"].to_numpy().reshape(2, q)[:, -1]
    against_first = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    assert_allclose(np.diag(against_first @ C @ against_first.T), errors**2)
    assert_allclose(posterior.std_errors[q - 1 :: q], np.sqrt(np.diag(C)))


def test_a_very_small_penalty_of_softmax_is_no_penalty():
    X, y = noisy_classes(3)
    none, small = (
        Posterior(fit(LogisticNN(alpha=alpha, tol=1e-8), X, y), X, y)
        for alpha in (0.0, 1e-14)
    )
    assert_allclose(small.n_effective, none.n_effective)
    frames = [each.summary().to_frame()["std_error"] for each in (small, none)]
    assert_allclose(*frames, rtol=1e-6)
    widths = [np.subtract(*each.predict_interval(X)) for each in (small, none)]
    assert_allclose(*widths, rtol=1e-6)
    assert_allclose(small.leave_one_out(), none.leave_one_out(), rtol=1e-6)
    # A constant that is added to a row of coef_ changes the prior alone.
    on_column = small.std_errors.reshape(3, -1)[:, :-1]
    expected = 1e7 / np.sqrt(3.0) / small.model.scale_
    assert_allclose(on_column, np.tile(expected, (3, 1)), rtol=1e-6)
    # No row has a score in this direction.
    robust = [
        Posterior(each.model, X, y, covariance="robust").std_errors
        for each in (small, none)
    ]
    assert_allclose(*robust, rtol=1e-6)


@each_linear
def test_errors_of_softmax_on_moved_columns(model):
    X, y = noisy_classes(3)
    one, other = (Posterior(fit(model, Z, y), Z, y) for Z in (X, X + 100.0))
    # x + 100 in place of x: the intercept changes by -100 Σ w.
    move = np.eye(5)
    move[4, :4] = -100.0
    move = np.kron(np.eye(3), move)
    center = np.eye(15)
    center[4::5, 4::5] -= 1.0 / 3.0
    expected = center @ move @ one.covariance @ move.T @ center
    scale = np.sqrt(np.diag(expected))
    assert_allclose(other.covariance / scale, expected / scale, rtol=1e-5, atol=1e-4)
    weights = np.arange(15) % 5 < 4
    assert_allclose(other.std_errors[weights], one.std_errors[weights], rtol=1e-6)


def test_the_reference_of_two_classes_changes_the_sign():
    X, y = noisy_classes(2)
    posterior = Posterior(fit(CLASSICAL, X, y), X, y)
    one, other = posterior.summary().table, posterior.summary(reference=1).table
    assert_allclose(other["coef"], -one["coef"])
    assert_allclose(other["std_error"], one["std_error"])
    assert_allclose(other["odds_ratio"] * one["odds_ratio"], 1.0)


def test_class_weights_are_those_of_the_fit():
    X, y = noisy_classes(2)
    factor = {0: 1.0, 1: 3.0}
    by_class = Posterior(
        fit(clone(PENALISED).set_params(class_weight=factor), X, y), X, y
    )
    weight = np.where(y == 1, 3.0, 1.0)
    by_row = Posterior(fit(PENALISED, X, y, weight), X, y, weight)
    assert_allclose(by_class.covariance, by_row.covariance, **CLOSE)
    assert_allclose(by_class.log_likelihood, by_row.log_likelihood)
    # A class weight is no frequency: BIC and the sandwich count rows.
    assert by_class.bic < by_row.bic


def test_scores_have_the_square_of_a_class_weight():
    X, y = noisy_classes(2)
    factor, frequency = np.where(y == 1, 3.0, 1.0), np.arange(len(y)) % 3 + 1.0
    model = clone(CLASSICAL).set_params(class_weight={0: 1, 1: 3})
    model = fit(model, X, y, frequency)
    plain = Posterior(model, X, y, frequency).covariance
    robust = Posterior(model, X, y, frequency, covariance="robust").covariance
    scores = (model.predict_proba(X)[:, 1] - y)[:, None] * np.insert(X, 4, 1.0, axis=1)
    middle = (scores.T * (frequency * factor**2)) @ scores
    n = frequency.sum()
    assert_allclose(robust, n / (n - 5.0) * plain @ middle @ plain, rtol=1e-5)


def test_balanced_class_weights():
    X, y = noisy_classes(3)
    model = clone(PENALISED).set_params(class_weight="balanced")
    posterior = Posterior(fit(model, X, y), X, y, covariance="robust")
    assert np.isfinite(posterior.std_errors).all()


def test_balanced_weights_of_labels():
    X, Y = labels(120, 4, 2)
    model = clone(PENALISED).set_params(class_weight="balanced")
    posterior = Posterior(fit(model, X, Y), X, Y, covariance="robust")
    assert np.isfinite(posterior.std_errors).all()
    # The rows count once, whatever their class weights.
    deviance, n = posterior.deviance, len(Y)
    assert_allclose(posterior.bic, deviance + np.log(n) * posterior.n_effective)


@pytest.mark.parametrize(
    ("alpha", "options"),
    [
        (2.0, {}),
        (0.0, {}),
        (0.0, {"covariance": "robust"}),
        (0.0, {"groups": np.arange(120) % 9}),
    ],
    ids=["penalised", "classical", "robust", "clustered"],
)
def test_labels_with_class_weights_are_a_weighted_fit_each(alpha, options):
    # standardize=False: otherwise the weights change the unit of a column.
    model = LogisticNN(alpha=alpha, standardize=False, tol=1e-10)
    X, Y = labels(120, 4, 3)
    Y ^= np.random.RandomState(0).uniform(size=Y.shape) < 0.1
    weights = [{0: 1, 1: 5}, {0: 2, 1: 0.3}, {0: 1, 1: 1}]
    frequency = np.arange(120) % 3 + 1.0
    every = [
        (clone(model).set_params(class_weight=weight), y)
        for weight, y in zip([weights, *weights], [Y, *Y.T], strict=True)
    ]
    together, *alone = (
        Posterior(fit(m, X, y, frequency), X, y, frequency, **options) for m, y in every
    )
    errors = together.std_errors.reshape(3, -1)
    assert_allclose(errors, [p.std_errors for p in alone], rtol=1e-5)
    said_alone = [said(p, X) for p in alone]
    for name in ("log_likelihood", "n_effective", "null_log_likelihood"):
        total = sum(getattr(p, name) for p in alone)
        assert_allclose(getattr(together, name), total, rtol=1e-6)
    averaged = [each["probability"][:, 1] for each in said_alone]
    assert_allclose(together.predict_proba(X), np.transpose(averaged), rtol=1e-5)
    losses = sum(p.leave_one_out() for p in alone)
    assert_allclose(together.leave_one_out(), losses, rtol=1e-5)
    assert_allclose(together.leverage, sum(p.leverage for p in alone), rtol=1e-5)


def test_equal_class_weights_of_labels_are_sample_weights():
    X, Y = labels(120, 4, 2)
    model = clone(NETWORK).set_params(class_weight=[{0: 2, 1: 2}] * 2)
    of_labels = Posterior(fit(model, X, Y), X, Y)
    twice = np.full(120, 2.0)
    of_rows = Posterior(fit(NETWORK, X, Y, twice), X, Y, twice)
    assert_allclose(of_labels.covariance, of_rows.covariance, rtol=1e-4, atol=1e-6)
    assert_allclose(of_labels.leverage, of_rows.leverage, rtol=1e-4)


@pytest.mark.parametrize("alpha", ["auto", 30.0])
def test_fewer_rows_than_columns(alpha):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 200)) * np.logspace(-3, 3, 200)
    noise = generator.logistic(scale=6.0, size=60)
    y = (X[:, :3] @ [1e3, 1e3, -1e3] + noise > 0.0).astype(int)
    model = fit(LogisticNN(alpha, tol=1e-9), X, y)
    posterior = Posterior(model, X, y)
    Z = np.insert((X - X.mean(axis=0)) / model.scale_, 200, 1.0, axis=1)
    p = model.predict_proba(X)[:, 1]
    prior = np.diag(np.append(np.full(200, model.alpha_), 0.0))
    C = np.linalg.inv((Z.T * (p * (1.0 - p))) @ Z + prior)
    errors = np.sqrt(np.diag(C))[:200] / model.scale_
    assert_allclose(posterior.std_errors[:200], errors, rtol=1e-8)
    leverage = p * (1.0 - p) * np.einsum("na,ab,nb->n", Z, C, Z)
    assert_allclose(posterior.leverage, leverage, rtol=1e-7)
    assert_allclose(posterior.n_effective, leverage.sum(), rtol=1e-7)
    if alpha == "auto":  # the evidence counts weights, not the intercept
        assert_allclose(posterior.n_effective - 1.0, model.n_effective_, rtol=1e-7)
        assert_allclose(posterior.log_evidence, model.log_evidence_, rtol=1e-9)


def test_float32_rows_are_the_same_rows():
    X, y = load_iris(return_X_y=True)
    model = LogisticNN(alpha=1.0)
    expected = Posterior(fit(model, X, y), X, y)
    found = Posterior(fit(model, X.astype(np.float32), y), X.astype(np.float32), y)
    assert_allclose(found.std_errors, expected.std_errors, rtol=1e-3)


def test_weights_far_below_one_count_as_in_the_fit():
    X, y = noisy_classes(2)
    weight = np.random.RandomState(0).uniform(0.5, 1.5, len(y))
    model = LogisticNN()
    one = Posterior(
        fit(model, X, y, weight / weight.mean()), X, y, weight / weight.mean()
    )
    share = weight / weight.sum()
    other = Posterior(fit(model, X, y, share), X, y, share)
    assert_allclose(other.std_errors, one.std_errors, rtol=1e-5)
    assert_allclose(other.log_evidence, one.log_evidence, rtol=1e-6)
