"""All private or version-dependent names of scikit-learn that the package uses."""

from functools import partial
from inspect import signature
from typing import Any

from sklearn.base import _clone_parametrized as clone_parametrized
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import _check_monotonic_cst as check_monotonic_cst
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # older versions of scikit-learn
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:
        """An empty base class: estimators have no ``set_callbacks``."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


def callback_context(estimator: Any, **subtasks: Any) -> Any | None:
    """Return the context of a fit, None if scikit-learn has no callbacks."""
    init = getattr(estimator, "_init_callback_context", None)
    return None if init is None else init(**subtasks)


def current_context(estimator: Any) -> Any | None:
    """Return the context of the fit that an estimator is in, if any."""
    return getattr(estimator, "_callback_fit_ctx", None)


def has_callbacks(estimator: Any) -> bool:
    """Return whether an estimator has callbacks: its own, or those of a search."""
    return hasattr(estimator, "_skl_callbacks")


def drop_callbacks(state: dict[str, Any]) -> None:
    """Remove the callbacks and their contexts from the state of an estimator."""
    for name in (
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
        "_callback_fit_ctx",
        "_parent_callback_ctx",
    ):
        state.pop(name, None)


# scikit-learn ≥ 1.9 raises an error for weights that are all zero; its message does not
# name sample_weight, and that of ``_input`` does.
if "allow_all_zero_weights" in signature(check_sample_weight).parameters:
    check_sample_weight = partial(check_sample_weight, allow_all_zero_weights=True)
