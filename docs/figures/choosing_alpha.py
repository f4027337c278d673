"""How a fit chooses alpha: the evidence, and the cross-validated log-loss."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknn_simple import AlphaDisplay, LogisticNN, OneHiddenMLP

X, y = load_diabetes(return_X_y=True)
y = y > np.median(y)
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.4))
for ax, model in zip(axes, (LogisticNN(), OneHiddenMLP(random_state=0)), strict=True):
    AlphaDisplay.from_estimator(model.fit(X, y), ax=ax, line_kw={"color": "#1f5fa8"})
