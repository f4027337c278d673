"""Models that are stored, copied and sent to other processes predict the same."""

import copy
import importlib.util
import os
import pickle
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknn_simple
from models import independent_classes, labels, outputs
from sknn_simple import LogisticNN, OneHiddenMLP

CLASSES = [LogisticNN, OneHiddenMLP]
KEPT = sorted((Path(__file__).parent / "data" / "models").glob("*/*.pkl"))

X, y = independent_classes(3)
indicator = labels(60, 5, 3)[1]
words = np.array(["a", "b", "c"])[y]

X32 = X.astype(np.float32)

# Estimator, rows and target.
FITS = {
    "logistic": (LogisticNN(), X, y),
    "logistic two classes": (LogisticNN(class_weight="balanced"), X, y > 0),
    "logistic words": (LogisticNN(class_weight={"a": 2}), X, words),
    "logistic labels": (LogisticNN(fit_intercept=False), X, indicator),
    "logistic float32": (LogisticNN(tol=1e-3), X32, y),
    "logistic bounds": (LogisticNN(monotonic_cst=[1, 0, -1, 0, 0]), X, y > 0),
    "mlp": (OneHiddenMLP(3, random_state=0), X, y),
    "mlp restarts": (
        OneHiddenMLP(
            3, "tanh", alpha=1.0, skip_connections=True, n_init=3, random_state=0
        ),
        X,
        words.astype(object),
    ),
    "mlp early": (
        OneHiddenMLP(3, "gelu", early_stopping=True, random_state=0),
        X,
        indicator,
    ),
    "mlp float32": (OneHiddenMLP(3, "silu", random_state=0), X32, y > 0),
    "mlp generator": (
        OneHiddenMLP(3, "softplus", random_state=np.random.RandomState(0)),
        X,
        y > 0,
    ),
}


@pytest.fixture(scope="module", params=FITS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    estimator, rows, target = FITS[name]
    return clone(estimator).fit(rows, target)


@pytest.fixture(scope="module")
def rows(name):
    return FITS[name][1]


def assert_same_predictions(model, other, rows):
    for name, expected in outputs(model, rows).items():
        assert_array_equal(getattr(other, name)(rows), expected)


def assert_same_state(model, other):
    assert type(other) is type(model)
    assert set(vars(other)) == set(vars(model))
    for name, value in vars(model).items():
        if name != "random_state":
            assert repr(getattr(other, name)) == repr(value)


# Round trips --------------------------------------------------------------------------


def through_joblib(model, path, **settings):
    joblib.dump(model, path / "model", **settings)
    return joblib.load(path / "model")


COPIES = {
    **{
        f"pickle {protocol}": lambda model, path, protocol=protocol: pickle.loads(
            pickle.dumps(model, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "joblib": lambda model, path: through_joblib(model, path),
    "joblib compressed": lambda model, path: through_joblib(model, path, compress=3),
    "copy": lambda model, path: copy.copy(model),
    "deepcopy": lambda model, path: copy.deepcopy(model),
}


@pytest.mark.parametrize("how", COPIES)
def test_copy_is_the_same_model(model, rows, how, tmp_path):
    other = COPIES[how](model, tmp_path)
    assert_same_state(model, other)
    assert_same_predictions(model, other, rows)


def test_memory_mapped_model_predicts_the_same(model, rows, tmp_path):
    joblib.dump(model, tmp_path / "model")
    other = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_same_predictions(model, other, rows)


def test_deep_copy_shares_no_array(model):
    def arrays(value):
        if isinstance(value, list):
            return [array for entry in value for array in arrays(entry)]
        return [value] if isinstance(value, np.ndarray) else []

    other = copy.deepcopy(model)
    for name, value in vars(model).items():
        copied = arrays(getattr(other, name))
        for one, two in zip(arrays(value), copied, strict=True):
            assert not np.shares_memory(one, two)


def test_estimator_fits_the_same_after_pickling(name):
    estimator, rows, target = FITS[name]
    model = clone(estimator)  # a generator as random_state is then at its start
    other = pickle.loads(pickle.dumps(model)).fit(rows, target)
    assert_same_predictions(model.fit(rows, target), other, rows)


def test_models_predict_the_same_in_another_process(tmp_path):
    models = [
        (clone(estimator).fit(rows, target), rows)
        for estimator, rows, target in FITS.values()
    ]
    joblib.dump(models, tmp_path / "joblib")
    (tmp_path / "pickle").write_bytes(pickle.dumps(models))
    code = (
        "import joblib, pickle, sys\n"
        "folder = sys.argv[1]\n"
        "with open(folder + '/pickle', 'rb') as file:\n"
        "    models = pickle.load(file) + joblib.load(folder + '/joblib')\n"
        "joblib.dump([m.predict_proba(X) for m, X in models], folder + '/out')\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found = joblib.load(tmp_path / "out")
    for (model, rows), probability in zip(2 * models, found, strict=True):
        assert_array_equal(probability, model.predict_proba(rows))


def test_fitted_state_is_plain(model):
    def assert_plain(value):
        if type(value) is list:
            for entry in value:
                assert_plain(entry)
        elif type(value) is dict:
            assert all(type(key) is str for key in value)
            assert_plain(list(value.values()))
        elif type(value) is np.ndarray:
            assert value.dtype.kind in "fiubUO"
            if value.dtype.kind == "O":
                assert all(type(entry) is str for entry in value)
        else:
            assert type(value) in (bool, int, float, str)

    for name, value in vars(model).items():
        if name not in model.get_params():
            assert_plain(value)


# Parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_come_back(cls):
    params = {
        **cls().get_params(),
        "alpha": 0.25,
        "class_weight": {0: 1.0, 1: 3.0},
        "monotonic_cst": {"x0": 1},
        "solver": "newton-cg",
        "verbose": 0,
        "warm_start": True,
    }
    model = cls(**params)
    assert model.get_params() == params
    assert cls().set_params(**params).get_params() == params
    assert clone(model).get_params() == params
    assert copy.deepcopy(model).get_params() == params
    assert pickle.loads(pickle.dumps(model)).get_params() == params


def test_clone_is_not_fitted(model):
    cloned = clone(model)
    assert set(vars(cloned)) == set(model.get_params())


# Versions ---------------------------------------------------------------------------


class StoredBy:
    """Pickles as a model does in another version of the package."""

    def __init__(self, version, model):
        self.version, self.model = version, model

    def __reduce__(self):
        state = {**self.model.__getstate__(), "_sknn_simple_version": self.version}
        return object.__new__, (type(self.model),), state


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("version", ["999.0.0", "999.0.0.dev0", "999.1rc1"])
def test_model_of_a_newer_version_loads_with_a_warning(cls, version):
    model = cls(random_state=0) if cls is OneHiddenMLP else cls()
    stored = pickle.dumps(StoredBy(version, model.fit(X, y)))
    message = f"This {cls.__name__} was stored by sknn_simple {version} and loaded by"
    with pytest.warns(UserWarning, match=message) as warned:
        other = pickle.loads(stored)
    assert Path(warned[0].filename) == Path(__file__)
    assert_same_predictions(model, other, X)
    assert_same_state(model, other)


@pytest.mark.parametrize("version", ["0.0.1", sknn_simple.__version__])
def test_model_of_an_older_version_loads_silently(version):
    stored = pickle.dumps(StoredBy(version, LogisticNN()))
    assert_same_state(LogisticNN(), pickle.loads(stored))


def test_models_are_stored_with_their_version():
    state = LogisticNN().__getstate__()
    assert state["_sknn_simple_version"] == sknn_simple.__version__


def test_state_without_a_version_is_taken():
    model = LogisticNN().fit(X, y)
    other = LogisticNN.__new__(LogisticNN)
    state = dict(vars(model))
    other.__setstate__(state)
    assert_same_state(model, other)
    assert state == vars(model)


@pytest.mark.parametrize("path", KEPT, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_models_of_earlier_versions_predict_the_same(path):
    numpy_1 = importlib.util.find_spec("numpy._core") is None
    if numpy_1 and "numpy-1" not in path.parent.name:
        pytest.skip("NumPy < 1.26.1 loads no array that NumPy 2 has pickled")
    model = pickle.loads(path.read_bytes())
    with np.load(path.parent / "expected.npz") as expected:
        rows = expected[f"{path.stem}.X"]
        probability = model.predict_proba(rows)
        assert probability.dtype == rows.dtype
        # The versions of BLAS may sum in different orders.
        rtol = 1e-10 if rows.dtype == np.float64 else 1e-4
        assert_allclose(probability, expected[f"{path.stem}.probability"], rtol=rtol)
        assert_array_equal(model.predict(rows), expected[f"{path.stem}.label"])
    # Parameters that the version did not have are at their defaults.
    assert model.get_params().keys() == type(model)().get_params().keys()
    repr(clone(model))


def test_models_of_this_version_are_kept():
    names = {path.stem for path in KEPT}
    assert len(names) >= 9
    assert {name.split("_")[0] for name in names} == {"logistic", "mlp"}


# skops ---------------------------------------------------------------------------


def test_skops_has_only_the_classes_to_trust(model, rows, tmp_path):
    io = pytest.importorskip("skops.io")
    io.dump(model, tmp_path / "model.skops")
    untrusted = io.get_untrusted_types(file=tmp_path / "model.skops")
    cls = type(model)
    assert untrusted == [f"{cls.__module__}.{cls.__qualname__}"]
    other = io.load(tmp_path / "model.skops", trusted=untrusted)
    assert_same_state(model, other)
    assert_same_predictions(model, other, rows)


def test_skops_has_only_the_class_of_a_pipeline_to_trust():
    io = pytest.importorskip("skops.io")
    model = make_pipeline(StandardScaler(), OneHiddenMLP(3, random_state=0)).fit(X, y)
    stored = io.dumps(model)
    trusted = io.get_untrusted_types(data=stored)
    assert trusted == ["sknn_simple._mlp.OneHiddenMLP"]
    other = io.loads(stored, trusted=trusted)
    assert_array_equal(other.predict_proba(X), model.predict_proba(X))


def test_skops_warns_of_a_newer_version(tmp_path):
    io = pytest.importorskip("skops.io")
    with ZipFile(BytesIO(io.dumps(LogisticNN()))) as stored:
        schema = stored.read("schema.json").decode()
    assert schema.count(sknn_simple.__version__) == 1
    with ZipFile(tmp_path / "newer.skops", "w") as newer:
        newer.writestr(
            "schema.json", schema.replace(sknn_simple.__version__, "999.0.0")
        )
    with pytest.warns(UserWarning, match="stored by sknn_simple 999"):
        io.load(tmp_path / "newer.skops", trusted=["sknn_simple._logistic.LogisticNN"])
