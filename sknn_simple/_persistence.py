"""The stored state of an estimator, with the version that stored it."""

import warnings
from collections.abc import Iterator
from inspect import Parameter, signature
from typing import Any, ClassVar, cast

from sklearn.base import BaseEstimator

from sknn_simple._compat import current_context, drop_callbacks, parse_version
from sknn_simple._version import __version__


class PersistenceMixin(BaseEstimator):
    """Stores and loads an estimator, also by pickle, joblib and skops."""

    # The attributes that every fitted model has.
    _model_attributes: ClassVar[tuple[str, ...]]
    # Fitted attributes that earlier versions did not store, and the parameters that
    # they used instead.
    _once_parameters: ClassVar[dict[str, str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to store, and the version of sknn_simple.

        During a fit hooks are given copies. A copy has no callbacks: a callback may
        keep it, and would then hold itself.
        """
        state = dict(cast(dict[str, Any], super().__getstate__()))
        state["_sknn_simple_version"] = __version__
        # An iterator of splits cannot be stored. After the fit it is used up as well.
        if isinstance(state.get("cv"), Iterator):
            state["cv"] = iter(())
        if current_context(self) is not None:
            drop_callbacks(state)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the stored attributes; warn if a newer sknn_simple stored them."""
        state = dict(state)
        stored_by = state.pop("_sknn_simple_version", __version__)
        if parse_version(stored_by) > parse_version(__version__):
            warnings.warn(
                f"This {type(self).__name__} was stored by sknn_simple {stored_by} and "
                f"loaded by {__version__}, whose predictions may differ. Upgrade "
                "sknn_simple, or fit the model again.",
                UserWarning,
                stacklevel=2,
            )
        # Parameters that the version did not have.
        for name, parameter in signature(type(self).__init__).parameters.items():
            if parameter.default is not Parameter.empty:
                state.setdefault(name, parameter.default)
        if self._model_attributes[0] in state:
            for name, parameter in self._once_parameters.items():
                state.setdefault(name, state[parameter])
        super().__setstate__(state)
