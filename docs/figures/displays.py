"""One picture of each display, for its page: the function has the name of the class."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

import sknn_simple
from sknn_simple import LogisticNN, OneHiddenMLP

FLOWERS = {"class_names": ["setosa", "versicolor", "virginica"]}


def AlphaDisplay():
    """Draw the cross-validated log-loss along the path."""
    X, y = load_breast_cancer(return_X_y=True)
    model = OneHiddenMLP(10, random_state=0).fit(X, y)
    _, ax = plt.subplots(figsize=(5.2, 3.6))
    sknn_simple.AlphaDisplay.from_estimator(model, ax=ax)


def CoefficientDisplay():
    """Draw the largest coefficients and their intervals."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = LogisticNN().fit(X, y)
    _, ax = plt.subplots(figsize=(5.2, 3.6))
    sknn_simple.CoefficientDisplay.from_estimator(
        model, X, y, ax=ax, max_features=8, class_names=["malignant", "benign"]
    )


def HiddenUnitsDisplay():
    """Draw the weights of hidden units as pictures."""
    X, y = load_digits(return_X_y=True)
    model = OneHiddenMLP(8, alpha=10.0, random_state=0).fit(X, y)
    _, ax = plt.subplots(figsize=(5.2, 3))
    sknn_simple.HiddenUnitsDisplay.from_estimator(model, X, image_shape=(8, 8), ax=ax)


def LossCurveDisplay():
    """Draw J of two networks."""
    X, y = load_iris(return_X_y=True)
    _, ax = plt.subplots(figsize=(5.2, 3.6))
    for units in (2, 20):
        model = OneHiddenMLP(units, random_state=0).fit(X, y)
        sknn_simple.LossCurveDisplay.from_estimator(
            model, name=f"{units} hidden units", ax=ax
        )


def NetworkDisplay():
    """Draw a network of three hidden units."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = OneHiddenMLP(3, random_state=0).fit(X, y)
    _, ax = plt.subplots(figsize=(5.2, 3.8))
    sknn_simple.NetworkDisplay.from_estimator(model, X, ax=ax, **FLOWERS)
