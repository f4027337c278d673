"""How a fit chooses alpha: the evidence, and the cross-validated log-loss."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknn_simple import AlphaDisplay, LogisticNN, OneHiddenMLP

X, y = load_diabetes(return_X_y=True)
y = y > np.median(y)
for model in (LogisticNN(), OneHiddenMLP(random_state=0)):
    _, ax = plt.subplots(figsize=(3.9, 3.4))
    AlphaDisplay.from_estimator(model.fit(X, y), ax=ax, line_kw={"color": "#1f5fa8"})
