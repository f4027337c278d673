"""Plots of a fitted network. Matplotlib is imported only when a plot is drawn."""

from sknn_simple._displays.alpha import AlphaDisplay
from sknn_simple._displays.coefficients import CoefficientDisplay
from sknn_simple._displays.hidden_units import HiddenUnitsDisplay
from sknn_simple._displays.loss_curve import LossCurveDisplay
from sknn_simple._displays.network import NetworkDisplay

__all__ = [
    "AlphaDisplay",
    "CoefficientDisplay",
    "HiddenUnitsDisplay",
    "LossCurveDisplay",
    "NetworkDisplay",
]
