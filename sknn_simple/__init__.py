"""Neural networks of one and two layers for scikit-learn, trained to convergence."""

from sknn_simple._displays import (
    HiddenUnitsDisplay,
    LossCurveDisplay,
    NetworkDisplay,
)
from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP

__version__ = "0.1.0.dev0"

__all__ = [
    "HiddenUnitsDisplay",
    "LogisticNN",
    "LossCurveDisplay",
    "NetworkDisplay",
    "OneHiddenMLP",
    "__version__",
]
