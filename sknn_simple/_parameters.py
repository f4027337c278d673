"""Options of parameters: their order in messages, and the one that was meant."""

import difflib
from collections.abc import Iterable
from typing import Any

from sknn_simple._compat import StrOptions


class Options(StrOptions):
    """Strings that a parameter accepts.

    scikit-learn's class keeps a set, which messages list in another order in each
    process.
    """

    def __init__(self, options: Iterable[str]) -> None:
        options = tuple(options)
        super().__init__(set(options))
        self.options = options


def suggestion(estimator: Any, message: str) -> str:
    """Return " Did you mean …?" for a parameter whose value is a misspelt option."""
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name, None)
        if not isinstance(value, str) or f"'{name}'" not in message:
            continue
        options = [
            option
            for constraint in constraints
            if isinstance(constraint, Options)
            for option in constraint.options
        ]
        close = difflib.get_close_matches(value.lower(), options, n=1, cutoff=0.5)
        return f" Did you mean {close[0]!r}?" if close else ""
    return ""
