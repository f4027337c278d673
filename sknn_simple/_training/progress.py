"""The table that ``verbose`` prints."""

import time

from sknn_simple._optim.history import Iterate, Observer
from sknn_simple._optim.stopping import OUTCOMES, iterations
from sknn_simple._training.early_stopping import EarlyStopping


class ProgressTable(Observer):
    """Prints a line per iteration, and one at the end.

    A line has the iteration, J, the validation loss if there is one, the largest entry
    of the gradient, the target value of that entry, and the seconds. With several
    starts each line begins with the number of the start. `early_stopping` must observe
    an iteration before this table does.
    """

    def __init__(
        self,
        title: str,
        max_iter: int,
        start: int,
        n_starts: int,
        early_stopping: EarlyStopping | None,
    ) -> None:
        self._begun = time.perf_counter()
        self._max_iter = max_iter
        self._early_stopping = early_stopping
        self._n_iter = 0
        self._prefix = f"{start:>5}  " if n_starts > 1 else ""
        columns = ["start"] if n_starts > 1 else []
        columns += [f"{'iteration':>9}", f"{'J':>13}"]
        columns += [f"{'validation':>13}"] if early_stopping else []
        columns += [f"{'gradient':>9}", f"{'target':>9}", f"{'seconds':>8}"]
        of = f", start {start} of {n_starts}" if n_starts > 1 else ""
        print_line(f"{title}{of}\n" + "  ".join(columns))

    def on_iteration_end(self, iterate: Iterate) -> bool:
        self._n_iter = iterate.n_iter
        columns = [f"{iterate.n_iter:>9}", f"{iterate.value:>13.8f}"]
        if self._early_stopping:
            columns.append(f"{self._early_stopping.curve[-1]:>13.8f}")
        columns += [f"{iterate.grad_norm:>9.2e}", f"{iterate.target:>9.2e}"]
        seconds = time.perf_counter() - self._begun
        print_line(f"{self._prefix}{'  '.join(columns)}  {seconds:>8.3f}")
        return False

    def on_message(self, text: str) -> None:
        print_line(f"{self._prefix}{text}")

    def on_stop(self, outcome: str) -> None:
        explanation = OUTCOMES[outcome].summary.format(max_iter=self._max_iter)
        print_line(f"{self._prefix}{explanation} after {iterations(self._n_iter)}")


def print_line(text: str) -> None:
    """Print a line at once."""
    # A single write, because starts in several processes share the output.
    print(f"{text}\n", end="", flush=True)
