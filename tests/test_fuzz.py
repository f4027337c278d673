"""Any input at all makes a sound model."""

import warnings

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from checks import X, Y, assert_sound
from models import NETWORK_SOLVERS
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._optim.minimize import SOLVERS

MAGNITUDES = st.sampled_from(
    [0.0, 1e-300, 1e-160, 1e-150, 1e-40, 1e-9, 1e-3, 1.0, 10.0, 1e6, 1e30, 1e90, 1e99]
)


@st.composite
def data_sets(draw):
    """X, y and weights: any shape and type, odd columns, extreme magnitudes."""
    n, p = draw(st.integers(2, 25)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([np.float64, np.float64, np.float32, np.int64]))
    small = st.integers(-3, 3) if dtype == np.int64 else st.floats(-4, 4, width=32)
    features = draw(hnp.arrays(np.float64, (n, p), elements=small))
    if dtype == np.float64:
        features = features * draw(hnp.arrays(float, p, elements=MAGNITUDES))
        features = features + draw(hnp.arrays(float, p, elements=MAGNITUDES))
    if draw(st.booleans()):
        features[:, 0] = features[0, 0]
    if draw(st.booleans()):
        features = np.column_stack([features, features[:, -1]])
    features = features.astype(dtype)
    n_classes = draw(st.integers(2, min(4, n)))
    codes = draw(hnp.arrays(int, n, elements=st.integers(0, n_classes - 1)))
    codes[:2] = [0, 1]
    labels = draw(st.sampled_from([np.arange(4), np.array(list("abcd")), np.eye(4)]))
    y = labels[codes].astype(int) if labels.ndim == 2 else labels[codes]
    weight = draw(
        st.none()
        | hnp.arrays(float, n, elements=st.sampled_from([0.0, 1e-12, 0.5, 1.0, 1e9]))
    )
    if weight is not None:
        weight[:2] = 1.0
    if draw(st.booleans()):
        features = sparse.csr_array(features)
    return features, y, weight


PENALTIES = st.sampled_from([0, 1e-8, 1.0, 1e4])


def assert_sound_fit(model, features, y, weight):
    with warnings.catch_warnings():
        # Whether the iterations suffice is not the question here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, y, sample_weight=weight)
    assert_sound(model, features, y)


slow = settings(suppress_health_check=[HealthCheck.too_slow])


@slow
@given(
    data_sets(),
    PENALTIES | st.just("auto"),
    st.sampled_from(["auto", *SOLVERS]),
    st.booleans(),
    st.booleans(),
)
def test_any_input_makes_a_sound_logistic_nn(
    data_set, alpha, solver, standardize, fit_intercept
):
    model = LogisticNN(
        alpha,
        solver=solver,
        standardize=standardize,
        fit_intercept=fit_intercept,
        max_iter=100,
    )
    assert_sound_fit(model, *data_set)


@slow
@given(
    data_sets(),
    PENALTIES,
    st.sampled_from(list(ACTIVATIONS)),
    st.sampled_from(NETWORK_SOLVERS),
    st.booleans(),
    st.booleans(),
    st.integers(1, 6),
)
@example((X, Y, None), 0, "relu", "newton-cg", True, False, 3)
def test_any_input_makes_a_sound_network(
    data_set, alpha, activation, solver, standardize, skip, n_hidden
):
    model = OneHiddenMLP(
        n_hidden,
        activation,
        alpha=alpha,
        solver=solver,
        standardize=standardize,
        skip_connections=skip,
        max_iter=30,
        random_state=0,
    )
    assert_sound_fit(model, *data_set)
