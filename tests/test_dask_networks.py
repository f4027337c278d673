"""DaskOneHiddenMLP is as good as OneHiddenMLP; their starts differ."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from chunked import (
    LARGE,
    TARGETS,
    X,
    Y,
    chunked,
    csr_chunks,
    each_target,
    plain,
)
from chunked import NETWORK as ROUGH
from models import (
    assert_same_bits,
    each_activation,
    each_network_solver,
    fit,
    ignores_max_iter,
)
from sknn_simple._chunks.rows import shares
from sknn_simple.dask import DaskLogisticNN

pytestmark = pytest.mark.timeout(120)
NETWORK = clone(ROUGH).set_params(tol=1e-3)
WEIGHT = np.random.default_rng(0).gamma(1.0, size=len(Y))
# Of two local minima neither is much above the other.
MARGIN = 1.03


def assert_as_good(model, X, y, weight=None, margin=MARGIN):
    expected = fit(plain(model), X, y, weight)
    # Few chunks, because a network takes many passes.
    weight = None if weight is None else chunked(weight, 225)
    model = fit(model, chunked(X, 225), chunked(y, 225), weight)
    assert model.converged_
    assert model.loss_ <= margin * expected.loss_
    assert_allclose(model.scale_, expected.scale_, rtol=1e-6)
    assert model.score(X, y) >= expected.score(X, y) - 0.03
    return model, expected


@each_activation
def test_every_activation(activation):
    assert_as_good(clone(NETWORK).set_params(activation=activation), X, Y)


@each_target
def test_every_target(target):
    assert_as_good(NETWORK, *TARGETS[target])


@each_network_solver
def test_every_solver(solver):
    # A product with the Hessian is a pass over the rows.
    model = clone(NETWORK).set_params(solver=solver, hidden_layer_size=2, tol=1e-2)
    assert_as_good(model, X, Y)


@pytest.mark.parametrize(
    "settings",
    [
        {"skip_connections": True},
        {"standardize": False},
        {"class_weight": "balanced"},
        {"activation": "identity"},
        {"n_init": 2},
    ],
    ids=str,
)
def test_settings(settings):
    model, _ = assert_as_good(clone(NETWORK).set_params(**settings), X, Y, WEIGHT)
    assert len(model.init_losses_) == settings.get("n_init", 1)
    assert model.loss_ == model.init_losses_.min()


def test_n_jobs_is_for_the_sample(client):
    # The rows stay where they are: starts are trained one after the other.
    model = clone(NETWORK).set_params(n_init=2, n_jobs=2, tol=1e-2, client=client)
    model.fit(chunked(X), chunked(Y))
    expected = fit(model.set_params(n_jobs=None, client=None), chunked(X), chunked(Y))
    assert_array_equal(model.init_losses_, expected.init_losses_)


def test_float32():
    model, _ = assert_as_good(NETWORK, X.astype(np.float32), Y)
    assert model.coefs_[0].dtype == np.float32


def test_sparse_chunks_are_dense_chunks():
    data = np.where(np.abs(X) < 0.7, 0.0, X)
    model = fit(NETWORK, csr_chunks(data), chunked(Y))
    assert_allclose(model.loss_, fit(NETWORK, chunked(data), chunked(Y)).loss_, 0.03)
    assert_array_equal(model.predict(csr_chunks(data)).compute(), model.predict(data))


def test_more_rows_than_the_sample():
    # 40,000 rows × 36 parameters: the first phase is in float32.
    model = clone(NETWORK).set_params(tol=1e-2)
    expected = fit(plain(model), *LARGE)
    model = fit(model, chunked(LARGE[0], 9000), chunked(LARGE[1], 9000))
    assert model.converged_
    assert model.loss_ <= MARGIN * expected.loss_


def test_monotonic_constraints_hold():
    data, y = TARGETS["two classes"]
    model = clone(NETWORK).set_params(monotonic_cst=[1, 0, 0, -1, 0])
    model, _ = assert_as_good(model, data, y, margin=1.1)
    moved = data + np.array([0.5, 0, 0, -0.5, 0])
    assert np.all(model.decision_function(moved) >= model.decision_function(data))


def test_a_seed_gives_the_same_bits():
    one, other = (fit(ROUGH, chunked(X), chunked(Y)) for _ in range(2))
    assert_same_bits(one, other, X)
    model = clone(ROUGH).set_params(random_state=np.random.RandomState(0))
    assert_same_bits(one, fit(model, chunked(X), chunked(Y)))


def test_a_warm_start_continues():
    model = clone(NETWORK).set_params(warm_start=True).fit(chunked(X), chunked(Y))
    reached = model.loss_
    model.set_params(tol=1e-6).fit(chunked(X), chunked(Y))
    assert_allclose(model.loss_curve_[0], reached, rtol=1e-10)
    assert model.loss_ <= reached


def test_a_fit_that_has_converged_soon_ends_again():
    """Each iteration is a pass over all rows."""
    model = clone(NETWORK).set_params(warm_start=True).fit(chunked(X), chunked(Y))
    for _ in range(2):
        assert model.converged_
        model.fit(chunked(X), chunked(Y))
    assert model.n_iter_ <= 10


@ignores_max_iter
def test_no_iteration_evaluates_the_last_fit():
    model = clone(NETWORK).set_params(warm_start=True).fit(chunked(X), chunked(Y))
    before, loss = model.predict_proba(X), model.loss_
    model.set_params(max_iter=0).fit(chunked(X), chunked(Y))
    assert_array_equal(model.predict_proba(X), before)
    assert_allclose(model.loss_, loss, rtol=1e-12)


# Choice of alpha ----------------------------------------------------------------------


def test_the_sample_is_cross_validated():
    model = clone(NETWORK).set_params(alpha="auto", cv=3, tol=1e-3)
    expected = fit(plain(model), X, Y)
    model = fit(model, chunked(X), chunked(Y))
    assert_array_equal(model.cv_results_["alpha"], expected.cv_results_["alpha"])
    # Other starts, other folds.
    assert 0.3 < model.alpha_ / expected.alpha_ < 3.2


@ignores_max_iter
@pytest.mark.parametrize("kind", ["class", "value of a label"])
def test_a_rare_class_is_in_the_sample(kind):
    """With one row of a class in the sample there would be no folds."""
    data, y = LARGE
    evenly = np.arange(4000) * 8 // 3  # 15,000 of 40,000 rows
    rare = [0, *np.setdiff1d(np.arange(4000), evenly)[:30]]
    y = y.copy()
    y[rare] = 2
    if kind != "class":
        y = np.column_stack([y == 1, y == 2]).astype(int)
    model = clone(NETWORK).set_params(alpha="auto", cv=3, tol=0.1, max_iter=5)
    model = fit(model, chunked(data, 4000), chunked(y, 4000))
    assert len(model.cv_results_["alpha"]) > 2


@pytest.mark.parametrize("weights", ["rows", "labels", "classes"])
def test_rows_of_weight_0_are_no_part_of_the_sample(weights, capsys):
    data, y = LARGE
    model = DaskLogisticNN(alpha=1.0, verbose=1)
    weight = chunked((np.arange(len(y)) % 20 == 0).astype(float), 4000)
    if weights == "labels":
        y = np.column_stack([y, 1 - y])
    if weights == "classes":
        model.set_params(class_weight={0: 1, 1: 1, 2: 0})
        y, weight = np.where(np.arange(len(y)) % 20 == 0, y, 2), None
    model.fit(chunked(data, 4000), chunked(y, 4000), weight)
    assert "of which 2000 are the sample" in capsys.readouterr().out


def test_many_rare_classes_take_half_of_the_sample_at_most():
    counts = np.full(10_000, 100.0)
    counts[5000:] = 5.0
    drawn = shares(15_000, 10**6, np.r_[counts, 475_000.0], 20)
    assert drawn[-1] == 0.015
    # Beside their share of it.
    assert (drawn[:-1] * counts).sum() <= 0.015 * counts.sum() + 7500.0


@pytest.mark.parametrize("lazy", [False, True])
def test_validation_rows_choose_alpha(lazy):
    model = clone(NETWORK).set_params(alpha="auto", tol=1e-3)
    rows = {"X_val": X[300:], "y_val": Y[300:], "sample_weight_val": WEIGHT[300:]}
    expected = fit(plain(model), X[:300], Y[:300], **rows)
    if lazy:
        rows = {name: chunked(value, 40) for name, value in rows.items()}
    model = fit(model, chunked(X[:300]), chunked(Y[:300]), **rows)
    assert_array_equal(
        model.cv_results_["alpha"][:3], expected.cv_results_["alpha"][:3]
    )
    assert 0.3 < model.alpha_ / expected.alpha_ < 3.2


def test_given_splits_are_refused():
    # They number all rows, but the search has a sample of them.
    splits = [(np.arange(300), np.arange(300, 450))]
    model = clone(NETWORK).set_params(alpha="auto", cv=splits)
    with pytest.raises(ValueError, match=r"cv must be.*rows in chunks"):
        model.fit(chunked(X), chunked(Y))


# Early stopping -----------------------------------------------------------------------

EARLY = clone(NETWORK).set_params(
    early_stopping=True, alpha="auto", tol=0.0, max_iter=60
)


@ignores_max_iter
def test_early_stopping_sets_a_share_of_every_chunk_aside():
    model = clone(EARLY).set_params(hidden_layer_size=30, validation_fraction=0.3)
    model.fit(chunked(X), chunked(Y))
    expected = fit(plain(model), X, Y)
    curve = model.validation_loss_curve_
    assert len(curve) == len(model.loss_curve_)
    assert model.loss_ == model.loss_curve_[int(np.argmin(curve))]
    assert min(curve) < 1.5 * min(expected.validation_loss_curve_)
    assert model.alpha_ == expected.alpha_
    again = clone(model).fit(chunked(X), chunked(Y))
    assert_same_bits(model, again, X)


@ignores_max_iter
@pytest.mark.parametrize("lazy", [False, True])
def test_early_stopping_by_given_rows(lazy):
    rows = {"X_val": X[300:], "y_val": Y[300:], "sample_weight_val": WEIGHT[300:]}
    given = rows
    if lazy:
        given = {name: chunked(value, 40) for name, value in rows.items()}
    model = fit(EARLY, chunked(X[:300]), chunked(Y[:300]), **given)
    losses = -np.log(model.predict_proba(X[300:])[np.arange(len(X) - 300), Y[300:]])
    expected = np.average(losses, weights=WEIGHT[300:])
    assert_allclose(min(model.validation_loss_curve_), expected, rtol=1e-5)


def test_early_stopping_refuses_a_class_of_one_row():
    y = np.where(np.arange(len(Y)) == 7, 9, Y)
    model = clone(EARLY).set_params(validation_fraction=0.999)
    with pytest.raises(ValueError, match="leaves no row to train on"):
        model.fit(chunked(X), chunked(y))
    tiny = clone(EARLY).set_params(validation_fraction=1e-9)
    with pytest.raises(ValueError, match="sets no row of any chunk aside"):
        tiny.fit(chunked(X), chunked(Y))


def test_max_iter_is_reached():
    model = clone(NETWORK).set_params(max_iter=2, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        model.fit(chunked(X), chunked(Y))
    assert [warning.filename for warning in caught] == [__file__]
    assert model.n_iter_ == 2
