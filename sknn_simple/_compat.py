"""Every private or version-dependent name of scikit-learn, and nothing else."""

from functools import partial
from inspect import signature

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.validation import (
    _check_monotonic_cst as check_monotonic_cst,
)
from sklearn.utils.validation import (
    _check_sample_weight,
)

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:
        """Stands for nothing: ``set_callbacks`` is absent."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


# scikit-learn ≥ 1.9 refuses weights that are all zero, without naming sample_weight.
_ZEROS_ARE_CHECKED = (
    "allow_all_zero_weights" in signature(_check_sample_weight).parameters
)
check_sample_weight = (
    partial(_check_sample_weight, allow_all_zero_weights=True)
    if _ZEROS_ARE_CHECKED
    else _check_sample_weight
)

__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_monotonic_cst",
    "check_sample_weight",
    "fit_context",
    "with_callbacks",
]
