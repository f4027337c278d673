"""When a minimisation ends, and whether that counts as converged."""

from typing import NamedTuple

import numpy as np

from sknn_simple._optim.history import History
from sknn_simple._optim.iteration import LONG_ROUNDING

# J of separable classes without a penalty has no minimum: value and gradient go to 0
# together. Below this value the tolerance no longer decreases with the value.
_SMALLEST_VALUE = 1e-6
# Nor does it decrease below this part of itself because f has fallen by little.
_SMALLEST_FALL = 0.01
# Iterations over which a decrease is measured: a single step of L-BFGS may be short by
# chance.
WINDOW = 10


class Outcome(NamedTuple):
    """Why a minimisation ended, and whether that counts as converged.

    `summary` completes the sentence "… after n iterations", and `explanation` the
    sentence "stopped after n iterations because …". `advice` tells the user what to do.
    The last two are empty if no warning is needed.
    """

    converged: bool
    summary: str
    explanation: str = ""
    advice: str = ""


OUTCOMES: dict[str, Outcome] = {
    "gradient": Outcome(True, "converged: the gradient reached its target"),
    "decrease": Outcome(True, "converged: J falls by less than tol"),
    "rounding": Outcome(True, "converged: J can fall by rounding only"),
    "early_stopping": Outcome(
        True, "ended by early stopping: the validation loss no longer falls"
    ),
    "observer": Outcome(False, "stopped by a callback"),
    "max_iter": Outcome(
        False,
        "not converged: max_iter={max_iter} was reached",
        "it reached max_iter={max_iter}",
        "Raise max_iter to go on, or tol if this accuracy is enough.",
    ),
    "no_decrease": Outcome(
        False,
        "not converged: no step lowers J",
        "the {solver} solver found no step that lowers the objective",
        "Raise tol if this accuracy is enough, or try another solver.",
    ),
    "interrupted": Outcome(
        False,
        "interrupted",
        "it was interrupted",
        "The best iterate so far is kept.",
    ),
    "lost": Outcome(
        False,
        "ended: J can no longer be evaluated",
        "J could no longer be evaluated",
        "The best iterate so far is kept.",
    ),
}


def iterations(count: int) -> str:
    """Return the number of iterations in words: "1 iteration", "2 iterations"."""
    return f"{count} iteration{'s' * (count != 1)}"


class EvaluationLost(RuntimeError):
    """f can no longer be evaluated, for example because its workers are gone."""


# What ends a minimisation from outside. The best iterate is kept.
ENDINGS = (KeyboardInterrupt, EvaluationLost)
# The outcomes of these.
ENDED = frozenset({"interrupted", "lost"})


def ended_by(error: BaseException) -> str:
    """Return the outcome of one of ``ENDINGS``."""
    return "lost" if isinstance(error, EvaluationLost) else "interrupted"


class StoppingCriteria(NamedTuple):
    """When a minimisation ends.

    Attributes
    ----------
    tol : float
        Converged if the largest absolute entry of the gradient is at most
        ``tol · min(1, max(f, 1e-6))``: relative to f, so that a minimum near 0 is as
        accurate as one near 1. With `min_decrease` it is also relative to the whole
        decrease of f.
    max_iter : int
        Largest number of iterations, over all runs that share a history.
    min_decrease : float
        The fit has also converged if over 10 iterations f fell by at most this
        fraction, of f and of its whole decrease, because at a kink the gradient need
        not be 0. On a plateau near the start the whole decrease is small. If no step
        lowers f, ten times this fraction of f is enough. 0 switches both tests off.
    near_minimum : bool
        Whether the start is the end of a minimisation that has converged. The whole
        decrease does not matter then.
    past_plateau : bool
        Whether the start is past any plateau, as the optimum of some of the rows. The
        gradient is then not compared with the whole decrease.
    """

    tol: float
    max_iter: int
    min_decrease: float = 0.0
    near_minimum: bool = False
    past_plateau: bool = False

    def threshold(self, values: list[float]) -> float:
        """Return the largest gradient entry that counts as converged at the last f."""
        largest = min(1.0, max(values[-1], _SMALLEST_VALUE))
        least = largest * (1.0 if self.past_plateau else _SMALLEST_FALL)
        return self.tol * min(largest, max(self._whole_decrease(values), least))

    def until(self, n_iter: int) -> "StoppingCriteria":
        """Return these criteria with an end after `n_iter` iterations, if earlier."""
        return self._replace(max_iter=min(self.max_iter, n_iter))

    def no_finer_than(self, limit: float) -> "StoppingCriteria":
        """Return these criteria with both tests of convergence at least so coarse."""
        return self._replace(
            tol=max(self.tol, limit), min_decrease=max(self.min_decrease, limit)
        )

    def reason(self, history: History) -> str | None:
        """Return the reason to stop, a key of ``OUTCOMES``, or None."""
        values = history.values
        if history.grad_norm <= self.threshold(values):
            return "gradient"
        if history.asked_to_stop:
            return "observer"
        scale = min(abs(values[-1]), self._whole_decrease(values))
        if self._fell_little(self.min_decrease * scale, history):
            return "decrease"
        return "max_iter" if len(values) > self.max_iter else None

    def reason_without_step(self, history: History) -> str:
        """Return the reason to stop if no step lowers f."""
        value = abs(history.values[-1])
        # A gradient g can lower f by about |g|²/2 if the curvature is near 1, to which
        # preconditioners bring it.
        if history.grad_norm**2 <= LONG_ROUNDING * value:
            return "rounding"
        # At a kink a line search may fail before the decrease is below its limit: that
        # of ten iterations is enough for each of them.
        fell_little = self._fell_little(WINDOW * self.min_decrease * value, history)
        return "decrease" if fell_little else "no_decrease"

    def _whole_decrease(self, values: list[float]) -> float:
        """Return by how much f fell, infinity if that does not matter."""
        matters = self.min_decrease > 0.0 and not self.near_minimum
        return values[0] - values[-1] if matters else np.inf

    def _fell_little(self, limit: float, history: History) -> bool:
        """Return whether f fell by at most `limit` over the last iterations."""
        values = history.values
        # A step that a trust region rejects is no evidence that f stays.
        if self.min_decrease == 0.0 or history.rejected > WINDOW // 2:
            return False
        if len(values) <= WINDOW:
            return False
        return values[-1 - WINDOW] - values[-1] <= limit
