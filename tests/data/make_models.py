"""Write the models that later versions must load: python tests/data/make_models.py.

They go to a folder named after the versions that wrote them. A folder once released is
never written again: its models stand for the files that users have.
"""

import pickle
from pathlib import Path

import numpy as np
import sklearn

import sknn_simple
from sknn_simple import LogisticNN, OneHiddenMLP

FOLDER = Path(__file__).parent / "models"

N_SAMPLES, N_FEATURES = 40, 4
UNITS = np.array([1.0, 1e-3, 50.0, 0.2])
ORIGINS = np.array([0.0, 0.5, 1000.0, -3.0])


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return raw features, and three scores from which targets are made."""
    generator = np.random.RandomState(0)
    Z = generator.standard_normal((N_SAMPLES, N_FEATURES))
    scores = np.column_stack([Z[:, 0] + Z[:, 1], Z[:, 2] * Z[:, 0], -Z[:, 1] - Z[:, 3]])
    scores += 0.5 * generator.standard_normal(scores.shape)
    return Z * UNITS + ORIGINS, scores


def models() -> dict[str, tuple]:
    """Return name: (fitted model, rows to predict)."""
    X, scores = data()
    binary = np.where(scores[:, 0] > 0.0, "yes", "no")
    multiclass = scores.argmax(axis=1) + 1
    multilabel = (scores > 0.0).astype(int)
    single = (X - ORIGINS).astype(np.float32)
    unfitted = {
        "logistic_binary": (LogisticNN(class_weight={"no": 1.0, "yes": 2.0}), binary),
        "logistic_bounded": (LogisticNN(monotonic_cst=[1, 1, 0, -1]), binary),
        "logistic_multiclass": (LogisticNN(0.1, fit_intercept=False), multiclass),
        "logistic_multilabel": (LogisticNN(), multilabel),
        "logistic_float32": (LogisticNN(tol=1e-3), multiclass),
        "mlp_binary": (OneHiddenMLP(3, random_state=0), binary),
        "mlp_multiclass": (
            OneHiddenMLP(3, "gelu", skip_connections=True, n_init=2, random_state=0),
            multiclass,
        ),
        "mlp_multilabel": (
            OneHiddenMLP(3, "softplus", early_stopping=True, random_state=0),
            multilabel,
        ),
        "mlp_float32": (
            OneHiddenMLP(3, "tanh", skip_connections=True, random_state=0),
            multiclass,
        ),
    }
    fitted = {}
    for name, (model, y) in unfitted.items():
        rows = single if name.endswith("float32") else X
        fitted[name] = (model.fit(rows, y), rows[:10])
    return fitted


def main() -> None:
    """Write models, the rows to predict and what is predicted."""
    folder = (
        FOLDER / f"{sknn_simple.__version__}-scikit-learn-{sklearn.__version__}"
        f"-numpy-{np.__version__}"
    )
    fitted = models()
    folder.mkdir(parents=True)
    expected = {}
    for name, (model, X) in fitted.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model, protocol=4))
        expected[f"{name}.X"] = X
        expected[f"{name}.probability"] = model.predict_proba(X)
        expected[f"{name}.label"] = model.predict(X)
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    main()
