"""The displays, and what tests read from their pictures."""

import pytest

import sknn_simple
from sknn_simple import HiddenUnitsDisplay, NetworkDisplay

DISPLAYS = [
    getattr(sknn_simple, name)
    for name in sknn_simple.__all__
    if name.endswith("Display")
]
each_display = pytest.mark.parametrize("display", DISPLAYS)
each_weight_display = pytest.mark.parametrize(
    "display", [HiddenUnitsDisplay, NetworkDisplay]
)


def legend(drawn):
    return [text.get_text() for text in drawn.ax_.get_legend().get_texts()]


def texts(drawn):
    return [text.get_text() for text in drawn.ax_.texts]


def titles(drawn):
    return [panel.get_title() for panel in drawn.axes_]


def feature_names(drawn):
    if isinstance(drawn, NetworkDisplay):
        return list(drawn.unit_names[0])
    return list(drawn.feature_names)
