"""Coordinates and solvers that are chosen by shape: none moves the optimum."""

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sknn_simple import (
    LogisticNN,
    OneHiddenMLP,
)
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.networks import OneHiddenNetwork
from sknn_simple._optim import journey, scaling, solvers
from sknn_simple._training import heuristics as _shapes
from sknn_simple._training import plan as _approach
from sknn_simple._training import renewal as _renewal
from sknn_simple._training import subsampling as _sampling
from sknn_simple._training import train as _training


def digits(n=600):
    X, y = load_digits(return_X_y=True)
    return X[:n], y[:n]


def many_columns(n=1200, p=450, n_classes=2):
    return make_classification(
        n, p, n_informative=20, n_classes=n_classes, random_state=0
    )


def results_of(module, name, monkeypatch):
    """Return a list to which every result of a module's function is added."""
    results: list = []
    original = getattr(module, name)

    def spy(*args):
        results.append(original(*args))
        return results[-1]

    monkeypatch.setattr(module, name, spy)
    return results


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("skip", [False, True])
def test_hidden_units_are_centred(activation, skip, monkeypatch):
    """In the coordinates a weight on a unit says how outputs differ from the mean."""
    scenes = results_of(_training, "set_scene", monkeypatch)
    X, y = load_breast_cancer(return_X_y=True)
    model = OneHiddenMLP(3, activation, skip_connections=skip, random_state=0)
    model.set_params(max_iter=1, tol=1e3).fit(X, y)
    (scene,) = scenes
    network = scene.objective.network
    layout = network.layout
    arrays = layout.views(scene.columns.to_original(np.ones(layout.size)))
    at_the_mean = np.full((1, 3), ACTIVATIONS[activation].mean)
    raw = at_the_mean @ arrays["output_coef"] + arrays["output_intercept"]
    assert_allclose(raw, 1.0, rtol=1e-12)


@pytest.mark.parametrize("skip", [False, True])
def test_a_column_of_ones_is_kept_with_the_features(skip, monkeypatch):
    """In training and in its draft; a fit without it comes to the same."""
    cuts = results_of(_approach, "cut", monkeypatch)
    scenes = results_of(_training, "set_scene", monkeypatch)
    monkeypatch.setattr(_approach, "DRAFT_WORK", 0.0)
    X, y = load_breast_cancer(return_X_y=True)
    model = OneHiddenMLP(3, skip_connections=skip, tol=1e-2, random_state=0)
    one = clone(model).fit(X, y)
    for blocks in (scenes[0].objective.blocks, cuts[0]):
        assert blocks.blocks[0].X.shape[1] == X.shape[1] + 1
    monkeypatch.setattr(OneHiddenNetwork, "takes_ones", False)
    other = clone(model).fit(X, y)
    assert cuts[-1].blocks[0].X.shape[1] == X.shape[1]
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=0, atol=1e-4)


BLOCKS = {
    "ten classes": (digits, {}),
    "ten classes, sparse": (lambda: (sparse.csr_array(digits()[0]), digits()[1]), {}),
    "ten classes, raw": (digits, {"standardize": False}),
    "two classes": (many_columns, {}),
    "without intercept": (digits, {"fit_intercept": False}),
    "labels": (lambda: (digits()[0], np.eye(10, dtype=int)[digits()[1]]), {}),
}


@pytest.mark.parametrize(("load", "settings"), BLOCKS.values(), ids=BLOCKS)
def test_blocks_of_the_hessian_do_not_move_the_optimum(load, settings, monkeypatch):
    X, y = load()
    formed = results_of(_renewal, "_by_blocks", monkeypatch)
    model = LogisticNN(**settings).fit(X, y)
    assert model.solver_ == "lbfgs"
    # After 8 iterations, and when their number has doubled.
    assert len(formed) == sum(n < model.n_iter_ for n in (8, 16, 32, 64)) > 0
    formed.clear()
    exact = LogisticNN(solver="newton-cg", tol=1e-8, **settings).fit(X, y)
    assert not formed
    assert_allclose(model.loss_, exact.loss_, rtol=1e-7)
    assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=2e-4)


def test_blocks_of_the_hessian_save_iterations(monkeypatch):
    X, y = digits()
    renewed = LogisticNN(tol=1e-6).fit(X, y)
    monkeypatch.setattr("sknn_simple._training.plan.renewal", lambda *args: None)
    plain = LogisticNN(solver="lbfgs", tol=1e-6).fit(X, y)
    assert_allclose(renewed.loss_, plain.loss_, rtol=1e-7)
    assert 4 * renewed.n_iter_ < plain.n_iter_


def words(n_classes=2, n=1500, p=3000):
    """Sparse counts in which a few words of each class are more frequent."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n)
    rate = 1.0 / np.arange(5, p + 5) * np.exp(0.7 * rng.normal(size=(n_classes, p)))
    X = rng.poisson(30.0 * rate[y])
    return sparse.csr_array(X, dtype=np.float64), y


def as_float32(X, y):
    return X.astype(np.float32), y


RESCALED = {
    "sparse": (words, {}),
    "sparse, raw": (words, {"standardize": False}),
    "sparse, raw, without intercept": (
        words,
        {"standardize": False, "fit_intercept": False},
    ),
    "sparse, four classes": (lambda: words(4), {}),
    "sparse, labels": (lambda: (words(4)[0], np.eye(4, dtype=int)[words(4)[1]]), {}),
    "more columns than rows": (lambda: many_columns(300, 600), {}),
    "constant columns": (
        lambda: (
            np.hstack([many_columns(300, 600)[0], np.full((300, 2), 7.0)]),
            many_columns(300, 600)[1],
        ),
        {"standardize": False},
    ),
    "float32": (lambda: as_float32(*many_columns(300, 600)), {}),
}


@pytest.mark.parametrize(("load", "settings"), RESCALED.values(), ids=RESCALED)
def test_rescaling_by_the_curvature_does_not_move_the_optimum(
    load, settings, monkeypatch
):
    X, y = load()
    rescaled = results_of(_renewal, "_rescaled", monkeypatch)
    model = LogisticNN(**settings).fit(X, y)
    assert model.solver_ == "lbfgs"
    assert len(rescaled) == 1
    assert model.n_iter_ > 6
    assert np.all(np.diff(model.loss_curve_) < 0.0)
    exact = LogisticNN(solver="newton-cg", tol=1e-7, **settings)
    exact.fit(X.astype(np.float64), y)
    float32 = X.dtype == np.float32
    assert_allclose(model.loss_, exact.loss_, rtol=1e-5 if float32 else 1e-6)
    assert_allclose(
        model.predict_proba(X), exact.predict_proba(X), atol=2e-2 if float32 else 1e-3
    )


def test_rescaling_by_the_curvature_has_a_unit_diagonal():
    """At the point, of the Hessian in the new coordinates."""
    X, y = words(p=400, n=600)
    found = []
    original = _renewal._rescaled

    with pytest.MonkeyPatch.context() as patch:

        def spy(scene, objective, theta):
            change = original(scene, objective, theta)
            assert change is not None
            columns = np.eye(objective.size)
            H = [objective.hessp(theta, change.to_original(unit)) for unit in columns]
            found.append([change.pull_back(Hv)[i] for i, Hv in enumerate(H)])
            return change

        patch.setattr(_renewal, "_rescaled", spy)
        LogisticNN(solver="lbfgs").fit(X, y)
    varying = np.append(X.toarray().std(axis=0) > 0.0, True)
    for diagonal in found:
        assert_allclose(np.array(diagonal)[varying], 1.0, rtol=1e-3)
    assert found


def test_rescaling_where_most_rows_have_no_curvature():
    """Every second row is certain, and among them all from which means are begun."""
    rng = np.random.default_rng(0)
    X = 1e-2 * rng.normal(size=(2400, 1300))
    X[:, 1] = rng.normal(size=2400)
    y = (3.0 * X[:, 1] + rng.logistic(size=2400) > 0.0).astype(int)
    y[::2] = 1
    X[::2, 1] = 40.0
    model = LogisticNN(0.1, standardize=False).fit(X, y)
    exact = LogisticNN(0.1, standardize=False, solver="newton-cg", tol=1e-8).fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


def test_a_penalty_out_of_all_proportion_does_not_count_as_curvature():
    """With weights of rows from 1e-300 to 1e300 J goes to 0, and its curvature too."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 160))
    y = (X[:, 0] > 0.0).astype(int)
    weight = 10.0 ** rng.uniform(-300.0, 300.0, 3000)
    model = LogisticNN(100.0).fit(X, y, sample_weight=weight)
    assert model.loss_ < 1e-6


def test_rescaling_by_the_curvature_saves_iterations(monkeypatch):
    X, y = words()
    renewed = LogisticNN(standardize=False).fit(X, y)
    monkeypatch.setattr("sknn_simple._training.plan.renewal", lambda *args: None)
    plain = LogisticNN(standardize=False).fit(X, y)
    assert_allclose(renewed.loss_, plain.loss_, rtol=1e-6)
    assert 1.4 * renewed.n_iter_ < plain.n_iter_


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("alpha", [1e-2, 1e-3])
def test_classes_nearly_told_apart_converge(alpha, standardize):
    """A penalty so small that J's curvature changes a thousandfold on the way."""
    X, y = digits()
    settings = {"alpha": alpha, "standardize": standardize}
    model = LogisticNN(solver="lbfgs", **settings).fit(X, y)
    exact = LogisticNN(solver="newton-cholesky", **settings).fit(X, y)
    assert model.converged_
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


def test_classes_told_apart_without_a_penalty_converge():
    """J goes to 0, and a Hessian with it."""
    model = LogisticNN(alpha=0.0).fit(*digits(900))
    assert model.solver_ == "lbfgs"
    assert model.converged_


@pytest.mark.parametrize("n_classes", [2, 5])
def test_columns_that_go_together_without_a_penalty_converge(n_classes):
    n, p = 3000, 400 // n_classes
    X, y = make_classification(
        n, p, n_informative=12, n_classes=n_classes, flip_y=0.1, random_state=0
    )
    mix = np.eye(p) + 0.5 * np.random.default_rng(0).normal(size=(p, p))
    X = (X @ mix) * np.logspace(-2, 2, p)
    model = LogisticNN(alpha=0.0, solver="lbfgs").fit(X, y)
    exact = LogisticNN(alpha=0.0, solver="newton-cholesky").fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-7)
    assert model.n_iter_ < 30


def test_an_output_without_curvature():
    """All probabilities of a label are 0 or 1 on the way: its block is 0."""
    X, _ = make_classification(400, 80, n_informative=20, random_state=0)
    rng = np.random.default_rng(0)
    labels = np.column_stack([X[:, 0] > 0.0, rng.integers(2, size=(400, 2))])
    labels = labels.astype(int)
    model = LogisticNN(1e-300, solver="lbfgs", warm_start=True)
    model.fit(X, labels)
    model.coef_[0] = 0.0
    model.coef_[0, 0] = 1e6
    model.coef_[1:] = 0.0
    model.fit(X, labels)
    assert model.converged_
    assert_allclose(model.predict(X)[:, 0], labels[:, 0])


@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_the_loss_is_that_of_the_model_after_a_start_off_the_sum_of_zero(size):
    X, y = digits()
    model = LogisticNN(standardize=False, warm_start=True).fit(X, y)
    model.coef_ += size * np.random.default_rng(0).random(64) / X.std(axis=0).clip(1.0)
    model.fit(X, y)
    probability = model.predict_proba(X)[np.arange(len(y)), y]
    J = (-np.log(probability).sum() + 0.5 * (model.coef_**2).sum()) / len(y)
    assert model.loss_ == pytest.approx(J, rel=1e-9)
    assert model.loss_curve_[-1] == model.loss_


@pytest.mark.parametrize("name", ["hessian_blocks", "to_scaled", "move"])
def test_ctrl_c_during_a_renewal_keeps_the_iterate(name, monkeypatch):
    X, y = digits()
    owner = {
        "hessian_blocks": _approach.LinearObjective,
        "to_scaled": scaling.Whitening,
        "move": solvers.Journey,
    }[name]

    def press(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, press)
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        model = LogisticNN().fit(X, y)
    assert model.n_iter_ == 8
    assert model.loss_ == pytest.approx(objective(model, X, y), rel=1e-9)


def test_blocks_that_take_too_much_memory_are_not_formed(monkeypatch):
    X, y = digits()
    model = LogisticNN().fit(X, y)
    monkeypatch.setattr(_shapes, "BLOCKS_BYTES", 8 * 10 * 64**2 - 1)
    monkeypatch.delattr(_approach.LinearObjective, "hessian_blocks")
    plain = LogisticNN().fit(X, y)
    assert plain.n_iter_ > 2 * model.n_iter_
    assert_allclose(plain.loss_, model.loss_, rtol=1e-7)


def test_going_on_from_weights_whose_classes_do_not_sum_to_zero():
    """Raising all outputs alike changes no probability; the penalty undoes it."""
    X, y = digits()
    model = LogisticNN(warm_start=True).fit(X, y)
    loss = model.loss_
    model.coef_ += np.linspace(0.0, 1.0, X.shape[1]) / X.std(axis=0).clip(1.0)
    model.fit(X, y)
    assert model.loss_curve_[0] > 1.5 * loss
    assert_allclose(model.loss_, loss, rtol=1e-7)
    weights = model.coef_ * X.std(axis=0)
    assert_allclose(weights.sum(axis=0), 0.0, atol=1e-4 * abs(weights).max())


def test_the_record_goes_on_over_a_change_of_coordinates():
    X, y = digits()
    model = LogisticNN().fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert np.all(np.diff(model.loss_curve_) < 0.0)
    for max_iter in (2, model.n_iter_ - 3):
        short = LogisticNN(max_iter=max_iter)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            short.fit(X, y)
        assert short.n_iter_ == max_iter
        assert short.loss_curve_ == model.loss_curve_[: max_iter + 1]
        assert short.loss_ == pytest.approx(objective(short, X, y), rel=1e-10)


def objective(model, X, y):
    probability = model.predict_proba(X)[np.arange(len(y)), y]
    weights = model.coef_ * X.std(axis=0)
    return (-np.log(probability).sum() + 0.5 * (weights**2).sum()) / len(y)


def test_a_warm_start_from_the_optimum_takes_no_iteration():
    X, y = digits()
    model = LogisticNN(warm_start=True).fit(X, y)
    loss = model.loss_
    model.fit(X, y)
    assert model.n_iter_ <= 2
    assert model.loss_ == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize(
    ("n", "p", "solver"),
    [(100, 40, "newton-cholesky"), (1200, 450, "lbfgs"), (500, 450, "lbfgs")],
)
def test_solver_by_shape(n, p, solver):
    X, y = many_columns(n, p)
    assert LogisticNN().fit(X, y).solver_ == solver
    # Rounding of J ends L-BFGS before so small a gradient.
    tight = clone(LogisticNN(tol=1e-8)).fit(X, y)
    assert tight.solver_ != "lbfgs"
    assert tight.converged_


def test_the_exact_hessian_where_lbfgs_cannot_reach_tol():
    X, y = make_classification(600, 30, n_informative=9, n_classes=4, random_state=0)
    assert LogisticNN().fit(X, y).solver_ == "lbfgs"
    assert LogisticNN(tol=1e-8).fit(X, y).solver_ == "newton-cholesky"


def rare_columns(n=8000, p=40, n_classes=2):
    """Normal columns, but for ten that are 1 in a handful of rows and else 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    for column in range(10):
        X[:, column] = 0.0
        X[column + 1 : n : n // (column + 6), column] = 1.0
    raw = X[:, 10:14].sum(axis=1) + 2.0 * X[:, :10].sum(axis=1) + rng.logistic(size=n)
    return X, np.searchsorted(
        np.quantile(raw, np.arange(1, n_classes) / n_classes), raw
    )


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("by_leverage", [True, False])
def test_a_rare_column_that_a_sample_misrepresents(container, by_leverage, monkeypatch):
    """Rows with it are then drawn surely; failing that a sample is a start only."""
    X, y = rare_columns()
    if not by_leverage:
        monkeypatch.setattr(_sampling, "row_squares", lambda blocks, *_: np.ones(8000))
    drawn = results_of(_approach, "draw_sample", monkeypatch)
    model = LogisticNN().fit(container(X), y)
    assert model.solver_ == "lbfgs"
    ((sample, represents),) = drawn
    assert represents == by_leverage
    rare = sample.X[:, :10].sum(axis=0)
    assert_array_equal(rare == X[:, :10].sum(axis=0), by_leverage)
    assert sample.weight.sum() == pytest.approx(1.0)
    exact = LogisticNN(solver="newton-cholesky", tol=1e-8).fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-7)
    assert model.n_iter_ < 20


def test_a_draw_by_leverage_of_rows_far_out_and_of_little_weight():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20))
    X[:, 0] = 0.0
    X[7 :: 20_000 // 9, 0] = 1.0
    y = (X[:, 1] + rng.logistic(size=20_000) > 0.0).astype(int)
    weight = np.full(20_000, 1e3)
    weight[11] = 1e-300
    X[11, 1:] = 1e200
    model = LogisticNN().fit(X, y, sample_weight=weight)
    assert model.converged_
    exact = LogisticNN(solver="newton-cholesky").fit(X, y, sample_weight=weight)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


def test_a_draw_by_leverage_with_weights_is_that_of_repeated_rows():
    """To the optimum, that is: what is drawn differs."""
    X, y = rare_columns()
    times = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = LogisticNN().fit(X, y, sample_weight=times)
    repeated = LogisticNN().fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-7)
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)


def test_a_draw_by_leverage_of_several_classes():
    X, y = rare_columns(n_classes=4)
    model = LogisticNN().fit(X, y)
    exact = LogisticNN(solver="newton-cholesky", tol=1e-8).fit(X, y)
    assert_allclose(model.loss_, exact.loss_, rtol=1e-7)
    assert_array_equal(clone(model).fit(X, y).coef_, model.coef_)


@pytest.mark.parametrize(
    "load",
    [
        lambda: rare_columns(20_000),
        lambda: words(n=3000),
        lambda: many_columns(3000, 300),
        lambda: make_classification(
            12_000, 20, n_informative=9, n_classes=6, random_state=0
        ),
    ],
    ids=["by leverage", "rescaled", "two classes", "six classes"],
)
def test_every_approach_has_the_same_bits_on_any_number_of_threads(load):
    X, y = load()
    fits = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fits.append(LogisticNN().fit(X, y))
    for model in fits[1:]:
        assert_array_equal(model.coef_, fits[0].coef_)
        assert model.loss_curve_ == fits[0].loss_curve_


@given(
    st.lists(st.floats(1.0, 1e6), min_size=50, max_size=200),
    st.floats(0.02, 0.5),
)
def test_probabilities_are_proportional_and_at_most_one(shares, part):
    share = np.array(shares)
    wanted = max(1, int(part * len(share)))
    probability = _sampling._capped(share, wanted)
    assert probability.max() <= 1.0
    assert probability.sum() == pytest.approx(wanted, rel=1e-2)
    free = probability < 1.0
    if free.any():
        odds = probability[free] / share[free]
        assert_allclose(odds, odds[0])
        assert np.all(share[~free] >= share[free].max() * (1.0 - 1e-12))


def test_a_tight_tol_with_rare_columns():
    X, y = rare_columns()
    tight = LogisticNN(tol=1e-12).fit(X, y)
    assert tight.converged_
    assert tight.solver_ == "newton-cholesky"


@pytest.mark.parametrize(("tol", "solver"), [(1e-4, "lbfgs"), (1e-8, "newton-cg")])
def test_no_dense_matrices_of_many_sparse_columns(tol, solver, monkeypatch):
    """Rows enough for a sample and for blocks, but products with X cost far less."""
    X = sparse.random(15_000, 450, 0.01, format="csr", random_state=0)
    y = X @ np.random.default_rng(0).normal(size=450) > 0.1
    exact = LogisticNN(solver="trust-ncg", tol=1e-8).fit(X, y)
    for name in ("hessian", "hessian_blocks"):
        monkeypatch.setattr(_approach.LinearObjective, name, None)
    model = LogisticNN(tol=tol).fit(X, y)
    assert model.converged_
    assert model.solver_ == solver
    assert_allclose(model.loss_, exact.loss_, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e300, 1e306])
def test_weights_of_any_size_on_many_rows(size):
    X, y = make_classification(5000, 15, random_state=0)
    model = LogisticNN(0.0).fit(X, y, sample_weight=np.full(5000, size))
    assert model.converged_
    assert_allclose(model.coef_, LogisticNN(0.0).fit(X, y).coef_, rtol=1e-3)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_the_approach_is_the_same_in_any_unit(unit):
    X, y = make_classification(5000, 15, random_state=0)
    other = X * np.append(unit, np.ones(14))
    one, two = LogisticNN().fit(X, y), LogisticNN().fit(other, y)
    assert (two.solver_, two.n_iter_) == (one.solver_, one.n_iter_)
    # And from a last fit in the other unit, where J is out of all range.
    two.set_params(warm_start=True).fit(X, y)
    assert_allclose(two.loss_, one.loss_, rtol=1e-6)
    one.set_params(warm_start=True).fit(other, y)
    assert one.converged_


def test_a_warm_start_of_classes_well_apart_is_as_quick():
    """There is little curvature at the optimum, and yet enough to whiten by."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20)) @ rng.normal(size=(20, 20))
    y = (X @ rng.normal(size=20) > 0.0).astype(int)
    model = LogisticNN(warm_start=True).fit(X, y)
    n_iter = model.n_iter_
    model.set_params(alpha=0.5).fit(X, y)
    assert model.n_iter_ <= n_iter + 3


def test_a_tight_tol_is_reached_on_many_rows():
    """L-BFGS, whose line search asks J, ends before; Newton's method asks less of J."""
    X, y = make_classification(4200, 15, random_state=0)
    model = LogisticNN(tol=1e-13).fit(X, y)
    assert model.converged_
    assert model.solver_ == "newton-cholesky"
    assert LogisticNN(tol=1e-9).fit(X, y).solver_ == "lbfgs"


@pytest.mark.parametrize("unit", [1.0, 1e3])
def test_no_curvature_in_a_sample(unit):
    """Classes told apart without a penalty: J has no optimum and its Hessian none."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4200, 15))
    y = (X @ rng.normal(size=15) > 0.0).astype(int)
    model = LogisticNN(alpha=0.0, warm_start=True).fit(X, y)
    model.coef_ *= 1e3
    model.fit(unit * X, y)
    assert model.converged_
    assert model.loss_ < 1e-5
    assert model.score(unit * X, y) == 1.0


def breast_cancer(**settings):
    X, y = load_breast_cancer(return_X_y=True)
    return X, y, OneHiddenMLP(random_state=0).set_params(**settings)


@pytest.fixture
def precisions(on_evaluation):
    """Note the dtype of the products of every evaluation."""
    seen: list[np.dtype] = []
    on_evaluation(lambda objective: seen.append(objective.blocks.dtype))
    return seen


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "tanh"},
        {"activation": "relu"},
        {"activation": "tanh", "tol": 1e-6, "alpha": 1.0},
        {"skip_connections": True, "n_init": 2},
        {"solver": "lbfgs", "monotonic_cst": [1] * 30},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_a_draft_in_float32_ends_where_j_itself_says(settings, container, precisions):
    X, y, model = breast_cancer(**settings)
    model.fit(container(X), y)
    exact = precisions.count(np.float64)
    assert precisions.count(np.float32) + exact == len(precisions)
    if settings.get("early_stopping"):
        assert exact == 0
    elif settings.get("tol", 1e-4) < 1e-5:
        assert 10 < exact < 0.9 * len(precisions)
    else:
        assert 0 < exact < 0.1 * len(precisions)
    assert model.converged_
    assert model.coefs_[0].dtype == np.float64
    curve = model.loss_curve_
    best = model.n_iter_
    if settings.get("early_stopping"):
        best = int(np.argmin(model.validation_loss_curve_))
    assert curve[best] == model.loss_
    assert np.all(np.diff(curve) < 1e-9)
    if settings.get("early_stopping"):
        return
    probability = model.predict_proba(X)[np.arange(len(y)), y]
    square = ((model.coefs_[0] * X.std(axis=0)[:, None]) ** 2).sum()
    square += (model.coefs_[1] ** 2).sum()
    if settings.get("skip_connections"):
        square += ((model.skip_coef_ * X.std(axis=0)[:, None]) ** 2).sum()
    J = (-np.log(probability).sum() + 0.5 * model.alpha * square) / len(y)
    assert model.loss_ == pytest.approx(J, rel=1e-9)


def test_a_draft_leads_to_as_low_a_loss(monkeypatch):
    losses = {}
    for work in (_approach.DRAFT_WORK, np.inf):
        monkeypatch.setattr(_approach, "DRAFT_WORK", work)
        X, y, model = breast_cancer(activation="tanh", alpha=1.0)
        losses[work] = [
            model.set_params(random_state=seed).fit(X, y).loss_ for seed in range(5)
        ]
    first, second = losses.values()
    assert first != second
    assert_allclose(first, second, rtol=1e-2)
    assert_allclose(np.median(first), np.median(second), rtol=3e-3)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, 100),
        ({"standardize": False}, 569),
        ({"solver": "newton-cg", "hidden_layer_size": 20, "tol": 1e-1}, 569),
    ],
)
def test_no_draft_where_it_is_no_use(settings, rows, precisions):
    X, y, model = breast_cancer(activation="tanh", **settings)
    if not model.standardize:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    model.fit(X[-rows:], y[-rows:])
    assert set(precisions) == {np.dtype(np.float64)}


def test_no_draft_from_weights_too_large_for_it(precisions):
    X, y, model = breast_cancer(activation="tanh", warm_start=True)
    model.fit(X, y)
    model.coefs_[1] *= 1e5
    precisions.clear()
    model.fit(X, y)
    assert set(precisions) == {np.dtype(np.float64)}


@pytest.mark.parametrize("form", ["repeated", "CSR", "threads"])
def test_drafts_of_the_same_data_in_another_form_end_alike(form):
    """Where there is but one valley, and J itself is minimised to the end."""
    X, y, model = breast_cancer(activation="tanh", alpha=100.0, tol=1e-9)
    times = np.random.default_rng(0).integers(1, 3, len(y))
    expected = model.fit(X, y, sample_weight=times).predict_proba(X)
    loss = model.loss_
    if form == "repeated":
        model.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    elif form == "CSR":
        model.fit(sparse.csr_array(X), y, sample_weight=times)
    else:
        with threadpool_limits(1):
            model.fit(X, y, sample_weight=times)
        assert model.loss_ == loss
    assert model.loss_ == pytest.approx(loss, rel=1e-9)
    assert_allclose(model.predict_proba(X), expected, atol=1e-5)


@pytest.mark.parametrize("weight", [1e-300, 1e-80, 1e-19, 1e80])
def test_a_draft_does_not_warn_of_extreme_weights(weight):
    """A row of little weight may lie 1e40 deviations out."""
    X, y, model = breast_cancer(activation="tanh", tol=1e-2)
    weights = np.ones(len(y))
    weights[0] = weight
    X[0, 0] = 1e45
    assert model.fit(X, y, sample_weight=weights).converged_


def test_a_draft_is_followed_line_by_line(capsys):
    X, y, model = breast_cancer(activation="tanh", tol=1e-6, alpha=10.0, verbose=1)
    model.fit(X, y)
    lines = capsys.readouterr().out.splitlines()[2:]
    values = [float(line.split()[1]) for line in lines]
    assert [int(line.split()[0]) for line in lines] == list(range(model.n_iter_ + 1))
    assert_allclose(values, model.loss_curve_, rtol=1e-6)
    assert float(lines[-1].split()[2]) == pytest.approx(model.grad_norm_, rel=1e-2)


@pytest.mark.parametrize("where", ["_continue", "refine"])
def test_ctrl_c_after_a_draft_keeps_the_iterate(where, monkeypatch):
    X, y, model = breast_cancer(activation="tanh")

    def press(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(journey.Journey, where, press)
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        model.fit(X, y)
    probability = model.predict_proba(X)[np.arange(len(y)), y]
    square = ((model.coefs_[0] * X.std(axis=0)[:, None]) ** 2).sum()
    square += (model.coefs_[1] ** 2).sum()
    J = (-np.log(probability).sum() + 0.5 * square) / len(y)
    assert model.loss_ == pytest.approx(J, rel=1e-9)
    assert model.n_iter_ > 50


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_drafts_in_workers_give_the_same_bits(backend):
    X, y, model = breast_cancer(activation="tanh", n_init=3, tol=1e-2)
    expected = model.fit(X, y).coefs_[0]
    with joblib.parallel_config(backend, n_jobs=2):
        assert_array_equal(clone(model).fit(X, y).coefs_[0], expected)
