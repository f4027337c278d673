"""Neural networks of one and two layers for scikit-learn, trained to convergence."""

from typing import TYPE_CHECKING, Any

from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._posterior.posterior import Posterior
from sknn_simple._version import __version__

if TYPE_CHECKING:
    from sknn_simple._displays import (
        AlphaDisplay,
        CoefficientDisplay,
        HiddenUnitsDisplay,
        LossCurveDisplay,
        NetworkDisplay,
    )

__all__ = [
    "AlphaDisplay",
    "CoefficientDisplay",
    "HiddenUnitsDisplay",
    "LogisticNN",
    "LossCurveDisplay",
    "NetworkDisplay",
    "OneHiddenMLP",
    "Posterior",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import the displays on first use, because few programs draw."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sknn_simple import _displays

    return getattr(_displays, name)
