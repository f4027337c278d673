"""The record of a minimisation, shared by all its runs, and its observers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sknn_simple._optim.iteration import ROUNDING


class Iterate(NamedTuple):
    """One iterate, as observers receive it."""

    # 0 is the start.
    n_iter: int
    theta: np.ndarray
    # f(θ).
    value: float
    # The largest absolute entry of the gradient over u.
    grad_norm: float
    # The `grad_norm` at which the minimisation has converged.
    target: float


class Observer:
    """The events of a minimisation; this class ignores them all."""

    def on_iteration_begin(self, theta: np.ndarray) -> None:
        """Called when an iteration begins at θ."""

    def on_iteration_end(self, iterate: Iterate) -> bool:
        """Called at the start (n_iter 0) and after an iteration; True asks to stop."""
        return False

    def on_message(self, text: str) -> None:
        """Called with a sentence about the minimisation, for people."""

    def on_stop(self, outcome: str) -> None:
        """Called at the end, with a key of ``OUTCOMES``.

        If the last iteration has begun but not ended, it found no step.
        """


@dataclass
class History:
    """f at the start and after each iteration, over all runs of a minimisation.

    Each of the observers observes every iteration, even if an earlier one asks to stop.
    """

    observers: Sequence[Observer] = ()
    # f; if it rises by rounding only, the previous value is recorded again.
    values: list[float] = field(default_factory=list)
    # The largest absolute entry of the gradient at the last iterate.
    grad_norm: float = np.inf
    # Iterations in a row that did not lower f.
    rejected: int = 0
    asked_to_stop: bool = False
    # Whether the start of the next run is a new iterate, not the last one.
    moved: bool = False
    # That of the last run.
    solver: str = ""
    iteration_is_open: bool = False

    @property
    def n_iter(self) -> int:
        return len(self.values) - 1

    def add(self, theta: np.ndarray, value: float, norm: float, target: float) -> None:
        """Record the start or the end of an iteration."""
        before = self.values[-1] if self.values else np.inf
        self.rejected = 0 if value < before else self.rejected + 1
        value = _without_rounding_rise(before, value)
        iterate = Iterate(len(self.values), theta, value, norm, target)
        self.values.append(value)
        self.grad_norm = norm
        self.iteration_is_open = self.moved = False
        asked = [observer.on_iteration_end(iterate) for observer in self.observers]
        self.asked_to_stop = any(asked)

    def restate(self, value: float, norm: float) -> None:
        """Replace the last value and norm by those that the next run computes.

        The next run may evaluate f more exactly, or measure the gradient in other
        coordinates. What it decreases is compared with its own value of the start.
        """
        self.values[-1] = _without_rounding_rise(self.values[-1], value)
        self.grad_norm = norm

    def announce(self, text: str) -> None:
        for observer in self.observers:
            observer.on_message(text)

    def begin_iteration(self, theta: np.ndarray) -> None:
        """Call the observers, once per iteration."""
        if not self.iteration_is_open:
            self.iteration_is_open = True
            for observer in self.observers:
                observer.on_iteration_begin(theta)

    def begin_step(self, theta: np.ndarray) -> None:
        """Begin an iteration from θ that the start of the next run ends."""
        self.begin_iteration(theta)
        self.moved = True

    def stop(self, outcome: str) -> None:
        for observer in self.observers:
            observer.on_stop(outcome)


def _without_rounding_rise(before: float, value: float) -> float:
    return before if before < value <= before + ROUNDING * abs(before) else value
