"""How a fit chooses alpha: the evidence, and the cross-validated log-loss."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknn_simple import AlphaDisplay, LogisticNN, OneHiddenMLP, Posterior

X, y = load_diabetes(return_X_y=True)
y = y > np.median(y)


def log_evidence(alpha):
    """Return the log evidence of a fit with this alpha."""
    return Posterior(LogisticNN(alpha=alpha).fit(X, y), X, y).log_evidence


_, ax = plt.subplots(figsize=(3.9, 3.4))
grid = np.geomspace(0.3, 60.0, 30)
ax.plot(grid, [log_evidence(alpha) for alpha in grid], color="#1f5fa8", lw=1.5)
rounds = {"color": "#1f5fa8", "linestyle": "none", "markersize": 7}
AlphaDisplay.from_estimator(LogisticNN().fit(X, y), ax=ax, line_kw=rounds)

_, ax = plt.subplots(figsize=(3.9, 3.4))
model = OneHiddenMLP(random_state=0).fit(X, y)
AlphaDisplay.from_estimator(model, ax=ax, line_kw={"color": "#1f5fa8"})
