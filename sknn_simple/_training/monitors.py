"""What may watch a minimisation: a printed table, and early stopping."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sknn_simple._optim.journey import Iterate
from sknn_simple._optim.problem import Problem

Theta = Callable[[], np.ndarray]


class Monitor(Protocol):
    """Follows the iterations of one minimisation; `theta` gives the parameters."""

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        """Note an iteration's end (0: the start); True asks to stop."""
        ...

    def begins(self, theta: Theta) -> None:
        """Note that a next iteration begins."""
        ...

    def abandoned(self) -> None:
        """Note the end: an iteration that has begun and not ended came to nothing."""
        ...


class SilentMonitor:
    """A monitor that does nothing; what others derive from."""

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        return False

    def begins(self, theta: Theta) -> None:
        return None

    def abandoned(self) -> None:
        return None


class Monitors:
    """Several monitors as the observer that a minimisation takes.

    Parameters
    ----------
    monitors : sequence of Monitor
        All of them see every iteration, also when an earlier one asks to stop.
    to_original : callable
        From a problem and a point in its coordinates to the network's parameters;
        called only where a monitor asks for them.
    """

    def __init__(
        self,
        monitors: Sequence[Monitor],
        to_original: Callable[[Problem, np.ndarray], np.ndarray],
    ) -> None:
        self._monitors = monitors
        self._to_original = to_original

    def ended(self, iterate: Iterate) -> bool:
        """Tell every monitor; True if one of them asks to stop."""
        theta = self._theta(iterate.problem, iterate.x)
        asked = [monitor.ended(iterate, theta) for monitor in self._monitors]
        return any(asked)

    def begins(self, problem: Problem, x: np.ndarray) -> None:
        """Tell every monitor."""
        for monitor in self._monitors:
            monitor.begins(self._theta(problem, x))

    def abandoned(self) -> None:
        """Tell every monitor."""
        for monitor in self._monitors:
            monitor.abandoned()

    def _theta(self, problem: Problem, x: np.ndarray) -> Theta:
        return lambda: self._to_original(problem, x)


class ProgressTable(SilentMonitor):
    """Prints a line per iteration: iteration, J, largest gradient entry, seconds.

    Parameters
    ----------
    title : str
        What is trained.
    start, n_starts : int
        Which of how many starts; where there are several, each line tells it.
    """

    def __init__(self, title: str, start: int, n_starts: int) -> None:
        self._begun = time.perf_counter()
        self._start = ""
        columns = f"{'iteration':>9}  {'J':>14}  {'gradient':>10}  {'seconds':>8}"
        if n_starts > 1:
            self._start = f"{start:>5}  "
            title = f"{title}, start {start} of {n_starts}"
            columns = f"start  {columns}"
        # One write: starts in several processes share the output.
        print(f"{title}\n{columns}\n", end="", flush=True)

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        seconds = time.perf_counter() - self._begun
        print(
            f"{self._start}{iterate.n_iter:>9}  {iterate.value:>14.8g}"
            f"  {iterate.grad_norm:>10.3g}  {seconds:>8.3f}\n",
            end="",
            flush=True,
        )
        return False


class EarlyStopping(SilentMonitor):
    """Keeps the iterate of lowest validation loss; stops when it falls no more.

    Parameters
    ----------
    validation_loss : callable
        The log-loss of parameters on the validation set.
    patience : int
        Iterations without improvement after which to stop.

    References
    ----------
    Prechelt, L. (1998). Early stopping - but when? In: Neural Networks: Tricks of the
    Trade.
    """

    def __init__(
        self, validation_loss: Callable[[np.ndarray], float], patience: int
    ) -> None:
        self._validation_loss = validation_loss
        self._patience = patience
        self.curve: list[float] = []
        self.best: Iterate | None = None
        self.triggered = False

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        loss = self._validation_loss(theta())
        if not self.curve or loss < min(self.curve):
            self.best = iterate
        self.curve.append(loss)
        since_best = len(self.curve) - 1 - int(np.argmin(self.curve))
        self.triggered = since_best >= self._patience
        return self.triggered
