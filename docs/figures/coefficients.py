"""Coefficients with and without a penalty, and the effects of a network."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknn_simple import CoefficientDisplay, LogisticNN, OneHiddenMLP

X, progress = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
y = (progress > np.median(progress)).astype(int)
models = {
    "LogisticNN, alpha=0": LogisticNN(alpha=0),
    "LogisticNN": LogisticNN(),
    "OneHiddenMLP": OneHiddenMLP(random_state=0),
}
for title, model in models.items():
    _, ax = plt.subplots(figsize=(3.9, 3.4))
    CoefficientDisplay.from_estimator(
        model.fit(X, y), X, y, ax=ax, point_kw={"color": "#1f5fa8"}
    )
    ax.set_title(title, fontsize="medium")
