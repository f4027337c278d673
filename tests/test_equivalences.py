"""Invariants: what must not change a model, and what must change it in a known way."""

import copy
import pickle
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import __version__ as sklearn_version
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_multilabel_classification,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.utils.fixes import parse_version
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._data import row_blocks as blocks
from sknn_simple._model.networks import OneHiddenNetwork
from sknn_simple._training import plan as _approach

SKLEARN = parse_version(sklearn_version).release[:2]
ACTIVATIONS = ["identity", "logistic", "tanh", "relu", "softplus", "silu", "gelu"]
SOLVERS = ["lbfgs", "newton-cg", "newton-cholesky", "trust-ncg", "trust-krylov"]

# Two models that differ by rounding only. LogisticNN has one optimum; a network's path
# is not convex, and amplifies rounding about tenfold in ten iterations, so networks are
# compared after a few.
LINEAR = LogisticNN(tol=1e-9)
NETWORK = OneHiddenMLP(6, "tanh", max_iter=25, tol=0.0, random_state=0)
SKIPPING = OneHiddenMLP(
    6, "softplus", skip_connections=True, max_iter=25, tol=0.0, random_state=0
)
MODELS = [LINEAR, NETWORK, SKIPPING]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)

# The networks above are stopped on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fit(model, *args, **kwargs):
    return clone(model).fit(*args, **kwargs)


def data(n_classes=3, n=120, p=6, seed=0):
    return make_classification(
        n, p, n_informative=4, n_classes=n_classes, random_state=seed
    )


def outputs(model, X):
    names = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    names += ["transform"] * hasattr(model, "transform")
    return {name: getattr(model, name)(X) for name in names}


def parameters(model):
    if hasattr(model, "coef_"):
        return [model.coef_, model.intercept_]
    skip = [model.skip_coef_] if hasattr(model, "skip_coef_") else []
    return [*model.coefs_, *model.intercepts_, *skip]


def assert_same_bits(one, other, X=None):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    assert one.loss_curve_ == other.loss_curve_
    assert one.grad_norm_ == other.grad_norm_
    if X is not None:
        for name, expected in outputs(one, X).items():
            assert_array_equal(outputs(other, X)[name], expected, err_msg=name)


# Solvers ---------------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_solvers_agree(load, standardize):
    X, y = load(return_X_y=True)
    models = [
        LogisticNN(solver=solver, standardize=standardize, tol=1e-7).fit(X, y)
        for solver in SOLVERS
    ]
    expected = models[0].predict_proba(X)
    for model in models:
        assert model.converged_
        assert model.solver_ == model.solver
        assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-4)
        assert_allclose(model.loss_, models[0].loss_, rtol=1e-8)
        assert_allclose(
            model.coef_ * X.std(axis=0),
            models[0].coef_ * X.std(axis=0),
            rtol=0,
            atol=1e-3,
        )


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_agree_without_penalty(solver):
    # Overlapping classes: the optimum is finite, and softmax leaves a direction open.
    X, y = data(n=300)
    y[::5] = (y[::5] + 1) % 3
    expected = LogisticNN(0, solver="newton-cholesky", tol=1e-9).fit(X, y)
    model = LogisticNN(0, solver=solver, tol=1e-8).fit(X, y)
    assert model.converged_
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    # Redundant columns leave the weights open, not what they add up to.
    assert_allclose(
        model.decision_function(X), expected.decision_function(X), atol=1e-4
    )
    assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "trust-ncg", "trust-krylov"])
def test_solvers_of_the_network_reach_a_stationary_point(solver):
    X, y = data()
    model = OneHiddenMLP(5, "logistic", solver=solver, tol=1e-5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    assert model.converged_
    assert model.loss_ < 0.8 * model.loss_curve_[0]


# Weights ---------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weights_are_repeated_rows(model, n_classes, standardize, container):
    X, y = data(n_classes)
    times = np.random.default_rng(0).integers(0, 4, len(y))
    model = clone(model).set_params(standardize=standardize)
    weighted = fit(model, container(X), y, sample_weight=times)
    repeated = fit(model, container(np.repeat(X, times, axis=0)), np.repeat(y, times))
    kept = times > 0
    removed = fit(model, container(X[kept]), y[kept], sample_weight=times[kept])
    expected = weighted.predict_proba(X)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)
    assert_allclose(repeated.predict_proba(X), expected, rtol=0, atol=1e-7)
    assert_same_bits(weighted, removed, X)


@each_model
def test_penalty_grows_with_the_unit_of_weights(model):
    # J divides both terms by S: weights times 3 and alpha times 3 is the same J.
    X, y = data()
    one = fit(model, X, y)
    three = clone(model).set_params(alpha=3.0)
    three.fit(X, y, sample_weight=np.full(len(y), 3.0))
    assert_allclose(three.loss_, one.loss_, rtol=1e-9)
    assert_allclose(three.predict_proba(X), one.predict_proba(X), atol=1e-7)


@each_model
def test_unit_weights_are_no_weights(model):
    X, y = data()
    assert_same_bits(fit(model, X, y), fit(model, X, y, sample_weight=np.ones(len(y))))
    assert_same_bits(fit(model, X, y), fit(model, X, y, sample_weight=[1] * len(y)))


@each_model
@pytest.mark.parametrize("n_classes", [2, 3])
def test_class_weights_are_sample_weights(model, n_classes):
    X, y = data(n_classes)
    labels = np.array(["zero", "one", "two"])[y]
    s = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    weights = {"zero": 0.5, "one": 2.0, "two": 3.0}
    weights = {k: v for k, v in weights.items() if k in labels}
    by_class = clone(model).set_params(class_weight=weights)
    by_class.fit(X, labels, sample_weight=s)
    by_row = fit(model, X, labels, sample_weight=s * [weights[k] for k in labels])
    assert_same_bits(by_class, by_row, X)


@each_model
def test_balanced_classes_are_sample_weights(model):
    X, y = data(3, 150)
    kept = np.r_[0:30, np.flatnonzero(y > 0)]
    X, y = X[kept], y[kept]
    balanced = clone(model).set_params(class_weight="balanced").fit(X, y)
    weight = len(y) / (3 * np.bincount(y))
    by_row = fit(model, X, y, sample_weight=weight[y])
    assert_allclose(balanced.loss_, by_row.loss_, rtol=1e-9)
    assert_allclose(balanced.predict_proba(X), by_row.predict_proba(X), atol=1e-7)
    by_dict = clone(model).set_params(class_weight=dict(enumerate(weight))).fit(X, y)
    assert_same_bits(by_row, by_dict, X)


# Containers ---------------------------------------------------------------------------


def with_64_bit_indices(X):
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def unsorted(X):
    """CSR whose column numbers run backwards in each row."""
    X = sparse.csr_array(X)
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """CSR that stores every entry as two halves."""
    X = sparse.coo_array(X)
    both = (np.tile(X.data / 2, 2), (np.tile(X.row, 2), np.tile(X.col, 2)))
    order = np.argsort(both[1][0], kind="stable")
    indptr = np.r_[0, np.cumsum(np.bincount(both[1][0], minlength=X.shape[0]))]
    return sparse.csr_array((both[0][order], both[1][1][order], indptr), X.shape)


SPARSE = {
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "csc_matrix": sparse.csc_matrix,
    "coo_array": sparse.coo_array,
    "coo_matrix": sparse.coo_matrix,
    "lil_array": sparse.lil_array,
    "dok_matrix": sparse.dok_matrix,
    "bsr_array": sparse.bsr_array,
    "64-bit indices": with_64_bit_indices,
    "unsorted": unsorted,
    "duplicates": with_duplicates,
}


def sparse_data(n_classes=3):
    X, y = data(n_classes, 200, 8)
    X[np.random.default_rng(0).random(X.shape) < 0.6] = 0.0
    X[:, 0] = 0.0
    X[:, 1] = 2.0
    return X, y


@each_model
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_is_dense(model, name):
    X, y = sparse_data()
    S = SPARSE[name](X)
    dense, other = fit(model, X, y), fit(model, S, y)
    assert_allclose(other.loss_, dense.loss_, rtol=1e-9)
    for method, expected in outputs(dense, X).items():
        assert_allclose(outputs(other, S)[method], expected, atol=1e-6, err_msg=method)
        assert_allclose(outputs(other, X)[method], expected, atol=1e-6, err_msg=method)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_is_dense_for_every_solver(solver, standardize, n_classes):
    X, y = sparse_data(n_classes)
    model = LogisticNN(solver=solver, standardize=standardize, tol=1e-7)
    dense, other = fit(model, X, y), fit(model, sparse.csr_array(X), y)
    assert_allclose(other.loss_, dense.loss_, rtol=1e-10)
    assert_allclose(other.predict_proba(X), dense.predict_proba(X), atol=1e-5)


@each_model
def test_sparse_input_is_left_alone(model):
    X, y = sparse_data()
    S = unsorted(X)
    before = copy.deepcopy(S)
    fit(model, S, y).predict(S)
    assert_array_equal(S.data, before.data)
    assert_array_equal(S.indices, before.indices)


@each_model
def test_layout_in_memory_does_not_matter(model, tmp_path):
    X, y = data()
    expected = fit(model, X, y)
    read_only = X.copy()
    read_only.setflags(write=False)
    y_read_only = y.copy()
    y_read_only.setflags(write=False)
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    padded = np.zeros((2 * len(X), X.shape[1] + 3))
    padded[::2, 1:-2] = X
    assert_same_bits(fit(model, read_only, y_read_only), expected)
    assert_same_bits(fit(model, mapped, y), expected)
    assert_same_bits(fit(model, X.tolist(), y.tolist()), expected)
    for array in (np.asfortranarray(X), padded[::2, 1:-2], X[::-1][::-1]):
        other = fit(model, array, y)
        assert_allclose(other.loss_, expected.loss_, rtol=1e-10)
        assert_allclose(other.predict_proba(array), expected.predict_proba(X), 1e-6)


@each_model
def test_data_are_not_written_to(model):
    X, y = data()
    s = np.linspace(0.0, 1.0, len(y))
    before = X.copy(), y.copy(), s.copy()
    outputs(fit(model, X, y, sample_weight=s), X)
    for array, copied in zip((X, y, s), before, strict=True):
        assert_array_equal(array, copied)


@each_model
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_are_arrays_with_names(model, kind):
    module = pytest.importorskip(kind)
    X, y = data()
    names = [f"column {j}" for j in range(X.shape[1])]
    frame = module.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    expected = fit(model, X, y)
    other = fit(model, frame, module.Series(y))
    # Older versions of scikit-learn find names by an interface that polars 2 dropped.
    if kind == "pandas" or hasattr(frame, "__dataframe__") or SKLEARN >= (1, 9):
        assert other.feature_names_in_.tolist() == names
    assert not hasattr(expected, "feature_names_in_")
    assert_allclose(other.loss_, expected.loss_, rtol=1e-10)
    for name, output in outputs(expected, X).items():
        assert_allclose(outputs(other, frame)[name], output, atol=1e-6, err_msg=name)


@each_model
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_of_mixed_number_types(model, kind):
    module = pytest.importorskip(kind)
    rng = np.random.default_rng(0)
    columns = {
        "integer": rng.integers(-3, 4, 90),
        "boolean": rng.random(90) < 0.5,
        "single": rng.normal(size=90).astype(np.float32),
        "double": rng.normal(size=90),
    }
    y = columns["integer"] + columns["double"] > 0.0
    X = np.column_stack([c.astype(float) for c in columns.values()])
    expected, other = fit(model, X, y), fit(model, module.DataFrame(columns), y)
    assert_allclose(other.loss_, expected.loss_, rtol=1e-10)


# Units and origins of columns ---------------------------------------------------------


def rescaled(X, seed):
    """Each column times its own 10^k, k from -6 to 6, and shifted."""
    rng = np.random.default_rng(seed)
    factor = 10.0 ** rng.permutation(np.resize(np.arange(-6, 7), X.shape[1]))
    return (X + 3.0 * rng.normal(size=X.shape[1]) * X.std(axis=0)) * factor


@pytest.fixture(params=["as by work", "always"])
def draft(request, monkeypatch):
    """Whether small networks, too, take most of their steps in float32."""
    if request.param == "always":
        monkeypatch.setattr(_approach, "DRAFT_WORK", 0.0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_unit_and_origin_of_columns_do_not_matter(load, solver, seed):
    X, y = load(return_X_y=True)
    Z = rescaled(X, seed)
    one = LogisticNN(solver=solver, tol=1e-8).fit(X, y)
    other = LogisticNN(solver=solver, tol=1e-8).fit(Z, y)
    assert_allclose(other.loss_, one.loss_, rtol=1e-10)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-6)
    assert_array_equal(other.predict(Z), one.predict(X))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_unit_and_origin_of_columns_do_not_matter_to_networks(
    load, activation, seed, draft
):
    # A whole fit: features rounded to a grid lead every path through the same points.
    X, y = load(return_X_y=True)
    Z = rescaled(X, seed)
    model = OneHiddenMLP(10, activation, random_state=seed)
    one, other = fit(model, X, y), fit(model, Z, y)
    assert other.n_iter_ == one.n_iter_
    assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-10)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-10)
    assert_array_equal(other.predict(Z), one.predict(X))


@pytest.mark.parametrize(
    "settings",
    [
        {"skip_connections": True},
        {"early_stopping": True},
        {"class_weight": "balanced"},
        {"n_init": 3},
        {"solver": "newton-cg"},
        {"solver": "trust-krylov"},
        {"monotonic_cst": [1, 0, -1] + [0] * 27, "activation": "tanh"},
    ],
    ids=str,
)
def test_unit_and_origin_of_columns_do_not_matter_to_settings(settings, draft):
    X, y = load_breast_cancer(return_X_y=True)
    Z = rescaled(X, 0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = OneHiddenMLP(5, random_state=0).set_params(**settings)
    one = clone(model).fit(X, y, sample_weight=weight)
    other = clone(model).fit(Z, y, sample_weight=weight)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-10)


def test_unit_of_sparse_columns_does_not_matter_to_networks(draft):
    X, y = load_digits(return_X_y=True)
    factor = 10.0 ** np.resize(np.arange(-6, 7), X.shape[1])
    Z = sparse.csr_array(X * factor)
    model = OneHiddenMLP(5, random_state=0)
    one, other = fit(model, sparse.csr_array(X), y), fit(model, Z, y)
    assert_allclose(other.predict_proba(Z), one.predict_proba(X), rtol=0, atol=1e-10)


def test_features_too_large_to_keep_are_seen_the_same(draft, monkeypatch):
    """But for the column of ones, by which biases are added in another order."""
    monkeypatch.setattr(OneHiddenNetwork, "takes_ones", False)
    X, y = load_breast_cancer(return_X_y=True)
    model = OneHiddenMLP(5, random_state=0)
    for data in (X, sparse.csr_array(X)):
        kept = fit(model, data, y)
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "KEPT_BYTES", 0)
            computed = fit(model, data, y)
        assert_array_equal(computed.coefs_[0], kept.coefs_[0])


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_powers_of_two_do_not_change_a_bit(activation, skip):
    # A factor that rounds nothing: the whole default fit has the same bits.
    X, y = load_breast_cancer(return_X_y=True)
    factor = 2.0 ** np.resize(np.arange(-20, 21, 3), X.shape[1])
    model = OneHiddenMLP(5, activation, skip_connections=skip, random_state=0)
    one, other = fit(model, X, y), fit(model, X * factor, y)
    assert other.loss_curve_ == one.loss_curve_
    assert_array_equal(other.predict_proba(X * factor), one.predict_proba(X))
    assert_array_equal(other.coefs_[0] * factor[:, None], one.coefs_[0])


@pytest.mark.parametrize("solver", SOLVERS)
def test_powers_of_two_do_not_change_a_bit_of_logistic_nn(solver):
    X, y = load_wine(return_X_y=True)
    factor = 2.0 ** np.resize(np.arange(-20, 21, 3), X.shape[1])
    model = LogisticNN(solver=solver)
    one, other = fit(model, X, y), fit(model, X * factor, y)
    assert other.loss_curve_ == one.loss_curve_
    assert_array_equal(other.coef_ * factor, one.coef_)


@each_model
def test_order_of_columns_does_not_matter_to_the_optimum(model):
    X, y = data()
    if not isinstance(model, LogisticNN):
        pytest.skip("the start is drawn by the place of a column")
    order = np.random.default_rng(0).permutation(X.shape[1])
    one, other = fit(model, X, y), fit(model, X[:, order], y)
    assert_allclose(other.coef_, one.coef_[:, order], atol=1e-7)


@each_model
def test_a_constant_column_changes_nothing(model):
    X, y = data()
    one = fit(model, X, y)
    if isinstance(model, LogisticNN):
        for value in (0.0, 1.0, 0.1, 1e6, -1e150, 1e-300):
            Z = np.column_stack([X, np.full(len(X), value)])
            other = fit(model, Z, y)
            assert_allclose(other.predict_proba(Z), one.predict_proba(X), atol=1e-9)
            assert not other.coef_[:, -1].any()
    else:
        other = fit(model, np.column_stack([X, np.full(len(X), 0.1)]), y)
        assert not other.coefs_[0][-1].any()


# Labels ---------------------------------------------------------------------------

TWO_LABELS = {
    "strings": np.array(["no", "yes"]),
    "objects": np.array(["no", "yes"], dtype=object),
    "booleans": np.array([False, True]),
    "negative": np.array([-1, 1]),
    "far": np.array([-1000, 7]),
    "floats": np.array([1.0, 2.0]),
    "small floats": np.array([0.0, 1.0], dtype=np.float32),
    "unsigned": np.array([3, 250], dtype=np.uint8),
}


@each_model
@pytest.mark.parametrize("name", TWO_LABELS)
def test_labels_of_any_type(model, name):
    X, y = data(2)
    labels = TWO_LABELS[name]
    expected = fit(model, X, y)
    for target in (labels[y], labels[y].tolist()):
        other = fit(model, X, target)
        assert_same_bits(other, expected)
        assert_array_equal(other.classes_, labels)
        assert_array_equal(other.predict(X), labels[expected.predict(X)])
        assert other.score(X, labels[y]) == expected.score(X, y)
    assert fit(model, X, labels[y]).predict(X).dtype == labels.dtype


@each_model
@pytest.mark.parametrize(
    "labels", [["a", "b", "c"], [-5, 0, 5], [1.0, 2.0, 3.0]], ids=str
)
def test_labels_of_three_classes(model, labels):
    X, y = data(3)
    labels = np.asarray(labels)
    expected, other = fit(model, X, y), fit(model, X, labels[y])
    assert_same_bits(other, expected)
    assert_array_equal(other.predict(X), labels[expected.predict(X)])


@each_model
@pytest.mark.parametrize(
    ("dtype", "names"),
    [
        ("category", ["no", "yes"]),
        ("string", ["no", "yes"]),
        ("object", ["no", "yes"]),
        ("boolean", [False, True]),
        ("Int64", [3, 8]),
        ("UInt8", [3, 8]),
        ("Float32", [1.0, 2.0]),
    ],
)
def test_labels_in_pandas(model, dtype, names):
    pd = pytest.importorskip("pandas")
    X, y = data(2)
    target = pd.Series([names[code] for code in y], dtype=dtype)
    expected, other = fit(model, X, y), fit(model, X, target)
    assert_same_bits(other, expected)
    assert list(other.classes_) == names
    assert [names[c] for c in expected.predict(X)] == other.predict(X).tolist()
    peer = LogisticRegression().fit(X, target)
    assert other.classes_.dtype == peer.classes_.dtype


@each_model
@pytest.mark.parametrize("kind", ["Categorical", "String", "Boolean"])
def test_labels_in_polars(model, kind):
    pl = pytest.importorskip("polars")
    X, y = data(2)
    names = [False, True] if kind == "Boolean" else ["no", "yes"]
    target = pl.Series([names[code] for code in y], dtype=getattr(pl, kind))
    expected, other = fit(model, X, y), fit(model, X, target)
    assert_same_bits(other, expected)
    assert list(other.classes_) == names


@each_model
def test_swapping_two_classes_mirrors_the_probabilities(model):
    X, y = data(2)
    if not isinstance(model, LogisticNN):
        pytest.skip("the drawn start has no mirror image")
    one, other = fit(model, X, y), fit(model, X, 1 - y)
    assert_allclose(other.predict_proba(X), one.predict_proba(X)[:, ::-1], atol=1e-9)


# Precision ---------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_of_the_input_is_kept(model, container, n_classes, dtype):
    X, y = data(n_classes)
    X = container(X.astype(dtype))
    fitted = fit(model, X, y, sample_weight=np.ones(len(y)))
    for name, output in outputs(fitted, X).items():
        if name != "predict":
            assert output.dtype == dtype, name
    for array in parameters(fitted):
        assert array.dtype == dtype


@each_model
@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.uint8, bool])
def test_other_numbers_become_float64(model, dtype):
    X, y = data(2)
    X = (5 * X + 100).astype(dtype) if dtype is not bool else X > 0.0
    fitted, expected = fit(model, X, y), fit(model, X.astype(float), y)
    assert_same_bits(fitted, expected)
    assert fitted.predict_proba(X).dtype == np.float64


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_single_precision_frames_stay_single(kind):
    module = pytest.importorskip(kind)
    X, y = data(2)
    X = X.astype(np.float32)
    frame = module.DataFrame({f"x{j}": X[:, j] for j in range(X.shape[1])})
    assert LogisticNN().fit(frame, y).predict_proba(frame).dtype == np.float32


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_single_precision_is_close_to_double(load):
    X, y = load(return_X_y=True)
    double = LogisticNN().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        single = LogisticNN().fit(X.astype(np.float32), y)
    assert_allclose(
        single.predict_proba(X.astype(np.float32)), double.predict_proba(X), atol=1e-3
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_single_precision_converges_without_a_warning(load, solver):
    X, y = load(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticNN(solver=solver).fit(X.astype(np.float32), y)
    assert model.converged_


# Threads and seeds --------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    """Data large enough for several lanes of work, and several blocks in each."""
    X, y = make_classification(
        20_000, 40, n_informative=20, n_classes=3, random_state=0
    )
    return X, y


LARGE = [
    LogisticNN(solver="newton-cholesky", max_iter=4),
    LogisticNN(solver="newton-cg", max_iter=4),
    LogisticNN(solver="lbfgs", max_iter=10),
    OneHiddenMLP(50, max_iter=5, random_state=0),
    OneHiddenMLP(50, "tanh", solver="newton-cg", max_iter=2, random_state=0),
]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("model", LARGE, ids=lambda m: f"{type(m).__name__} {m.solver}")
def test_number_of_threads_does_not_change_a_bit(model, container, large):
    X, y = container(large[0]), large[1]
    fits = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fits.append(fit(model, X, y))
    for other in fits[1:]:
        assert_same_bits(other, fits[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_are_the_whole(dtype, large):
    # J of data in many blocks is the formula over all rows at once.
    X, y = large[0].astype(dtype), large[1]
    model = LogisticNN(solver="lbfgs").fit(X, y)
    raw = X.astype(float) @ model.coef_.T.astype(float) + model.intercept_
    raw -= raw.max(axis=1, keepdims=True)
    log_p = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    penalty = ((model.coef_ * X.std(axis=0)) ** 2).sum() / (2 * len(y))
    J = penalty - log_p[np.arange(len(y)), y].mean()
    assert_allclose(model.loss_, J, rtol=1e-9 if dtype == np.float64 else 1e-5)
    atol = 1e-9 if dtype == np.float64 else 1e-3
    assert_allclose(model.predict_log_proba(X), log_p, rtol=1e-4, atol=atol)


def test_limits_of_threads_are_restored(large):
    with threadpool_limits(2):
        before = threadpool_info()
        LogisticNN(max_iter=1).fit(*large)
        assert threadpool_info() == before
        with pytest.raises(ValueError, match="sample_weight"):
            LogisticNN().fit(*large, sample_weight=-np.ones(len(large[1])))
        assert threadpool_info() == before


@each_model
def test_same_seed_same_bits(model):
    X, y = data()
    assert_same_bits(fit(model, X, y), fit(model, X, y), X)
    once = clone(model).fit(X, y)
    assert_same_bits(fit(model, X, y), once.fit(X, y), X)


EVERY_SOLVER = [
    clone(model).set_params(solver=solver)
    for model in (LogisticNN(1e-4), clone(NETWORK).set_params(alpha=1e-4))
    for solver in SOLVERS
    if solver != "newton-cholesky" or isinstance(model, LogisticNN)
]


@pytest.mark.parametrize(
    "model", EVERY_SOLVER, ids=lambda m: f"{type(m).__name__}-{m.solver}"
)
def test_memory_that_was_never_written_is_not_read(model, monkeypatch):
    X, y = data(2)
    weight = np.where(y == 1, 1e-4, 1e3)
    expected = fit(model, X, y, weight)

    def filled(allocate):
        def with_nan(*args, **kwargs):
            array = allocate(*args, **kwargs)
            if array.dtype.kind == "f":
                array.fill(np.nan)
            return array

        return with_nan

    monkeypatch.setattr(np, "empty", filled(np.empty))
    monkeypatch.setattr(np, "empty_like", filled(np.empty_like))
    assert_same_bits(fit(model, X, y, weight), expected, X)


def test_the_clock_does_not_matter():
    X, y = data(2)
    weight = np.where(y == 1, 1e-4, 1e3)
    before = [fit(model, X, y, weight) for model in EVERY_SOLVER]
    time.sleep(1.1)  # a random generator may be seeded by the second
    for model, expected in zip(EVERY_SOLVER, before, strict=True):
        assert_same_bits(fit(model, X, y, weight), expected, X)


def test_random_state_draws_the_start():
    X, y = data()
    model = OneHiddenMLP(3, max_iter=3)
    curves = [clone(model).set_params(random_state=s).fit(X, y) for s in (0, 1, 0)]
    assert curves[0].loss_curve_ == curves[2].loss_curve_
    assert curves[0].loss_curve_[0] != curves[1].loss_curve_[0]
    generator = np.random.RandomState(0)
    assert_same_bits(model.set_params(random_state=generator).fit(X, y), curves[0])
    assert clone(model).fit(X, y).loss_curve_ != curves[0].loss_curve_
    # NumPy's global generator is left alone.
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    curves[0].fit(X, y)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert joblib.hash(after) == joblib.hash(state)


@pytest.mark.parametrize("model", LARGE, ids=lambda m: f"{type(m).__name__} {m.solver}")
def test_a_fit_in_another_thread_has_the_same_bits(model, large):
    # threadpoolctl >= 3.7 lets one thread of the process set OpenBLAS's threads, and
    # ignores the others.
    expected, other = fit(model, *large), clone(model)
    with threadpool_limits(2):
        thread = threading.Thread(target=other.fit, args=large)
        thread.start()
        thread.join()
    assert_same_bits(other, expected)


def test_limits_of_threads_are_restored_by_whichever_fit_ends_last(large):
    with threadpool_limits(2):
        before = threadpool_info()
        models = [LogisticNN(solver="lbfgs", max_iter=n) for n in (1, 3, 9, 27)]
        threads = [threading.Thread(target=m.fit, args=large) for m in models]
        for thread in threads:
            thread.start()
        LogisticNN(max_iter=1).fit(*large)
        for thread in threads:
            thread.join()
        assert threadpool_info() == before


def test_fits_in_two_threads_at_once(large):
    X, y = large
    models = [
        LogisticNN(solver="lbfgs", max_iter=15),
        OneHiddenMLP(20, max_iter=6, random_state=0),
        LogisticNN(solver="newton-cholesky", max_iter=3),
        OneHiddenMLP(20, "tanh", max_iter=6, random_state=1),
    ]
    expected = [fit(model, X, y) for model in models]
    together = [clone(model) for model in models]
    failures = []

    def work(model):
        try:
            model.fit(X, y)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(m,)) for m in together]
    with threadpool_limits(2):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    for one, other in zip(expected, together, strict=True):
        assert_same_bits(other, one, X[:100])


def test_predictions_in_threads_at_once(large):
    X, y = large
    model = OneHiddenMLP(20, max_iter=3, random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    for result in joblib.Parallel(4, backend="threading")(
        joblib.delayed(model.predict_proba)(X) for _ in range(8)
    ):
        assert_array_equal(result, expected)


# Warm start and copies ----------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_at_the_optimum_stays(solver, standardize):
    X, y = load_wine(return_X_y=True)
    model = LogisticNN(solver=solver, standardize=standardize, warm_start=True)
    model.fit(X, y)
    before = model.coef_.copy()
    model.fit(X, y)
    assert model.n_iter_ == 0
    assert model.converged_
    assert len(model.loss_curve_) == 1
    assert_allclose(model.coef_, before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_warm_start_goes_on_where_the_last_fit_ended(activation, standardize, skip):
    X, y = data()
    model = OneHiddenMLP(
        5,
        activation,
        standardize=standardize,
        skip_connections=skip,
        warm_start=True,
        max_iter=5,
        random_state=0,
    )
    reached = model.fit(X, y).loss_
    for _ in range(3):
        model.fit(X, y)
        assert_allclose(model.loss_curve_[0], reached, rtol=1e-10)
        assert model.loss_ < reached
        reached = model.loss_


@pytest.mark.parametrize("n_samples", [150, 4200])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("unit", [1e-6, 1e-2, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("solver", ["auto", "newton-cholesky", "lbfgs"])
def test_warm_start_in_other_units_ends_at_the_same_optimum(
    n_samples, alpha, unit, solver
):
    """The last fit is then worse than none: all outputs are saturated."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 5))
    y = (X @ rng.normal(size=5) + rng.logistic(size=n_samples) > 0.0).astype(int)
    model = LogisticNN(alpha, solver=solver, warm_start=True).fit(X, y)
    expected = model.loss_
    model.fit(X * unit, y)
    assert model.converged_
    assert_allclose(model.loss_, expected, rtol=1e-6)


def test_warm_start_where_a_few_outputs_are_saturated():
    """Better than none, and yet far off: one row of many is very wrong."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = (X[:, 0] + 0.1 * rng.logistic(size=600) > 0.0).astype(int)
    model = LogisticNN(solver="newton-cholesky", warm_start=True).fit(X, y)
    model.coef_, model.intercept_ = np.array([[1e3, 0.0, 0.0]]), np.array([0.0])
    y[np.argmax(X[:, 0])] = 0
    expected = LogisticNN().fit(X, y)
    model.fit(X, y)
    assert model.converged_
    assert_allclose(model.coef_, expected.coef_, rtol=1e-4)


def test_warm_start_goes_on_with_another_alpha():
    X, y = load_breast_cancer(return_X_y=True)
    model = LogisticNN(1.0, warm_start=True, tol=1e-8, solver="lbfgs").fit(X, y)
    cold = LogisticNN(1.1, tol=1e-8, solver="lbfgs").fit(X, y)
    warm = model.set_params(alpha=1.1).fit(X, y)
    assert warm.n_iter_ < cold.n_iter_
    assert_allclose(warm.predict_proba(X), cold.predict_proba(X), atol=1e-5)


def test_without_warm_start_a_fit_starts_afresh():
    X, y = data()
    model = OneHiddenMLP(5, max_iter=5, random_state=0)
    first = fit(model, X, y)
    assert_same_bits(clone(model).fit(X[:50], y[:50]).fit(X, y), first)
    # Also over another shape and another kind of target.
    assert_same_bits(clone(model).fit(X[:, :3], y > 0).fit(X, y), first)


@each_model
def test_warm_start_names_what_differs(model):
    X, y = data()
    model = clone(model).set_params(warm_start=True).fit(X, y)
    before = joblib.hash(model.__dict__)
    with pytest.raises(ValueError, match=r"same classes: \[0, 1, 2\]; got \[0, 1\]"):
        model.fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"shape \(6, \d+\).* ask for \(5, \d+\)"):
        model.fit(X[:, :5], y)
    if isinstance(model, OneHiddenMLP):
        model.set_params(hidden_layer_size=9)
        with pytest.raises(ValueError, match=r"coefs_\[0\] has shape \(6, 6\)"):
            model.fit(X, y)
        model.set_params(hidden_layer_size=6)
    else:
        model.set_params(fit_intercept=False).fit(X, y)
        model.set_params(fit_intercept=True)
        return
    assert joblib.hash(model.__dict__) == before


@each_model
def test_warm_start_tells_multilabel_from_multiclass(model):
    X, y = data()
    model = clone(model).set_params(warm_start=True).fit(X, y)
    indicator = np.eye(3, dtype=int)[y]
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X, indicator)


@pytest.mark.parametrize("change", [{"alpha": 2.0}, {"tol": 1e-3}])
@each_model
def test_clone_has_parameters_only(model, change):
    X, y = data()
    fitted = fit(clone(model).set_params(**change), X, y)
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "classes_")


@each_model
@pytest.mark.parametrize(
    "round_trip",
    [
        lambda m: pickle.loads(pickle.dumps(m)),
        lambda m: pickle.loads(pickle.dumps(m, protocol=2)),
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "pickle 2", "deepcopy", "copy"],
)
def test_copies_predict_the_same(model, round_trip):
    X, y = data()
    fitted = fit(model, X, np.array(["a", "b", "c"])[y])
    other = round_trip(fitted)
    assert_same_bits(other, fitted, X)
    assert vars(other).keys() == vars(fitted).keys()


@each_model
def test_fitted_state_is_plain(model):
    X, y = data()
    fitted = fit(model, X, y)
    plain = (np.ndarray, int, float, str, bool, list, type(None))
    for name, value in vars(fitted).items():
        assert type(value) in plain, name
        if isinstance(value, list):
            assert {type(item) for item in value} <= {np.ndarray, float}, name


def test_changing_parameters_after_fit_does_not_change_predictions():
    X, y = data()
    model = OneHiddenMLP(5, "tanh", max_iter=5, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    model.set_params(hidden_layer_size=9, skip_connections=True, alpha=3.0)
    assert_array_equal(model.predict_proba(X), before)


# Multilabel targets -------------------------------------------------------------------


def labelled():
    return make_multilabel_classification(120, 6, n_classes=4, random_state=0)


@each_model
def test_labels_are_independent_logistic_outputs(model):
    X, y = labelled()
    fitted = fit(model, X, y)
    peer = MLPClassifier((3,), max_iter=2, solver="lbfgs").fit(X, y)
    assert_array_equal(fitted.classes_, peer.classes_)
    for name in ("predict", "predict_proba"):
        one, other = getattr(fitted, name)(X), getattr(peer, name)(X)
        assert type(one) is type(other)
        assert one.shape == other.shape
        assert one.dtype == other.dtype
    raw = fitted.decision_function(X)
    assert_allclose(fitted.predict_proba(X), 1 / (1 + np.exp(-raw)))
    assert_allclose(fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)))
    assert_array_equal(fitted.predict(X), raw > 0)


@each_model
def test_sparse_indicator_is_dense_indicator(model):
    X, y = labelled()
    dense = fit(model, X, y)
    for container in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array):
        assert_same_bits(fit(model, X, container(y)), dense, X)
    assert_same_bits(fit(model, X, y.astype(bool)), dense, X)
    assert_same_bits(fit(model, X, y.astype(float)), dense, X)


def test_labels_of_logistic_nn_are_as_many_models():
    X, y = labelled()
    together = fit(LINEAR, X, y)
    alone = [LogisticNN(tol=1e-9).fit(X, y[:, k]) for k in range(4)]
    assert together.coef_.shape == (4, 6)
    assert_allclose(together.coef_, np.vstack([m.coef_ for m in alone]), atol=1e-7)
    assert_allclose(together.loss_, sum(m.loss_ for m in alone), rtol=1e-9)


@each_model
def test_a_label_that_is_always_or_never_set(model):
    X, y = labelled()
    y[:, 0], y[:, 1] = 0, 1
    fitted = fit(model, X, y)
    assert np.isfinite(fitted.predict_log_proba(X)).all()
    assert not fitted.predict(X)[:, 0].any()
    assert fitted.predict(X)[:, 1].all()


@each_model
def test_weights_of_a_multilabel_target_are_repeated_rows(model):
    X, y = labelled()
    times = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = fit(model, X, y, sample_weight=times)
    repeated = fit(model, np.repeat(X, times, 0), np.repeat(y, times, 0))
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-7)


# The training record and the outputs --------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_record_of_every_solver(solver):
    X, y = data()
    model = LogisticNN(solver=solver).fit(X, y)
    assert type(model.loss_) is float
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert model.loss_curve_[-1] == model.loss_
    assert_allclose(model.loss_curve_[0], np.log(3))
    assert np.all(np.diff(model.loss_curve_) <= 1e-15)
    assert model.n_iter_ > 1


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "trust-ncg", "trust-krylov"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("max_iter", [1, 7, 1000])
def test_record_of_the_network(activation, solver, max_iter):
    X, y = data()
    model = OneHiddenMLP(4, activation, solver=solver, max_iter=max_iter)
    model.set_params(random_state=0, tol=1e-3).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ + 1 <= max_iter + 1
    assert model.loss_curve_[-1] == model.loss_ == min(model.loss_curve_)
    assert model.converged_ == (model.n_iter_ < max_iter)


@each_model
@pytest.mark.parametrize("n_classes", [2, 3])
def test_outputs_belong_together(model, n_classes):
    X, y = data(n_classes)
    fitted = fit(model, X, y)
    p, raw = fitted.predict_proba(X), fitted.decision_function(X)
    assert p.shape == (len(X), n_classes)
    assert raw.shape == ((len(X),) if n_classes == 2 else (len(X), n_classes))
    assert_allclose(p.sum(axis=1), 1.0)
    assert_allclose(fitted.predict_log_proba(X), np.log(p), rtol=1e-9, atol=1e-12)
    assert_array_equal(fitted.predict(X), fitted.classes_[p.argmax(axis=1)])
    if n_classes == 2:
        assert_allclose(p[:, 1], 1 / (1 + np.exp(-raw)))
    else:
        assert_array_equal(raw.argmax(axis=1), p.argmax(axis=1))


@pytest.mark.parametrize("size", [1e3, 1e6, 1e30, 1e100, 1e300])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_model
def test_outputs_are_finite_at_extreme_inputs(model, n_classes, size):
    X, y = data(n_classes)
    fitted = fit(model, X, y)
    far = size * np.sign(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p, log_p = fitted.predict_proba(far), fitted.predict_log_proba(far)
    assert np.isfinite(p).all()
    assert np.isfinite(log_p).all()
    assert_allclose(p.sum(axis=1), 1.0)
    assert np.all(log_p <= 0.0)
    assert_array_equal(fitted.classes_[p.argmax(axis=1)], fitted.predict(far))


@each_model
def test_predictions_row_by_row_are_those_of_the_whole(model, large):
    X, y = large
    fitted = clone(model).set_params(max_iter=2).fit(X, y)
    whole = outputs(fitted, X)
    for rows in (slice(0, 1), slice(777, 790), slice(15_000, 20_000)):
        for name, expected in whole.items():
            part = getattr(fitted, name)(X[rows])
            assert_allclose(part, expected[rows], rtol=1e-9, atol=1e-12, err_msg=name)


def test_sigmoid_is_another_name_of_logistic():
    X, y = data()
    model = OneHiddenMLP(4, random_state=0, max_iter=10)
    one = clone(model).set_params(activation="logistic").fit(X, y)
    other = clone(model).set_params(activation="sigmoid").fit(X, y)
    assert_same_bits(other, one, X)


def test_verbose_prints_a_line_per_iteration(capsys):
    X, y = data()
    for verbose in (0, 1):
        model = LogisticNN(verbose=verbose).fit(X, y)
        lines = capsys.readouterr().out.splitlines()
        rows = [line.split() for line in lines if line.split()[0].isdigit()]
        assert len(rows) == (model.n_iter_ + 1) * verbose
        assert len(lines) <= len(rows) + 2 * verbose
    assert [int(row[0]) for row in rows] == list(range(model.n_iter_ + 1))
    assert_allclose([float(row[1]) for row in rows], model.loss_curve_, rtol=1e-6)


def test_skip_connections_hold_the_linear_model():
    # Without hidden weights the network with skip connections is LogisticNN.
    X, y = data()
    network = OneHiddenMLP(1, "identity", skip_connections=True, tol=1e-7)
    network.set_params(random_state=0).fit(X, y)
    linear = LogisticNN(tol=1e-9).fit(X, y)
    assert network.loss_ <= linear.loss_ + 1e-6
