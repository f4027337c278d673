"""Training from several starts, one by one or in parallel, and choice of the best."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.history import Observer
from sknn_simple._optim.stopping import ENDED
from sknn_simple._training.callbacks import FitCallbacks
from sknn_simple._training.spec import TrainSpec
from sknn_simple._training.train import Trained, train

# Takes the number of a start and the start. Returns the result, and True if a callback
# asks to skip the other starts.
TrainFrom = Callable[[int, np.ndarray], tuple[Trained, bool]]


class RestartTraining(NamedTuple):
    """Trains from one start of a fit; it can be pickled for other processes."""

    spec: TrainSpec
    data: TrainingSet
    validation: TrainingSet | None
    # Whether starts are parameters for raw features.
    warm_start: bool
    # From the number of a start and the context of its task, then as ``MakeObservers``.
    observers: Callable[..., Sequence[Observer]]
    # The task of the fit, of which starts are subtasks; None without callbacks.
    context: Any | None
    callbacks: FitCallbacks

    def __call__(self, number: int, start: np.ndarray) -> tuple[Trained, bool]:
        """Train from one start, as a task of its own; True to skip the others."""
        task = self.callbacks.open(
            self.context,
            "start",
            task_id=number,
            max_subtasks=self.spec.criteria.max_iter,
        )
        trained = train(
            self.spec,
            self.data,
            self.validation,
            start,
            partial(self.observers, number, task),
            warm_start=self.warm_start,
        )
        record = partial(self.callbacks.record, trained)
        asked = self.callbacks.end(task, reconstruction_attributes=record)
        return trained, asked or trained.outcome == "observer"


def train_each(
    train_from: TrainFrom,
    starts: list[np.ndarray],
    n_jobs: int | None,
) -> list[Trained]:
    """Train from each start, in order.

    If a start was interrupted, or a callback asks to skip the others, the later ones
    are skipped.
    """
    numbered = enumerate(starts)
    if len(starts) == 1 or effective_n_jobs(n_jobs) == 1:
        results = (train_from(number, start) for number, start in numbered)
    else:
        asked: list[int] = []
        jobs = (
            delayed(_train_unless_asked)(train_from, asked, number, start)
            for number, start in numbered
        )
        results = filter(None, Parallel(n_jobs=n_jobs)(jobs))
    fits: list[Trained] = []
    for fit, leave_the_rest in results:
        fits.append(fit)
        if leave_the_rest or fit.outcome in ENDED:
            break
    return fits


def _train_unless_asked(
    train_from: TrainFrom, asked: list[int], number: int, start: np.ndarray
) -> tuple[Trained, bool] | None:
    """Train from a start; None if a callback of an earlier one asked to skip it.

    Threads share `asked`. Other processes have copies: they train from all starts, and
    `train_each` drops the results.
    """
    if asked and min(asked) < number:
        return None
    trained, leave_the_rest = train_from(number, start)
    if leave_the_rest:
        asked.append(number)
    return trained, leave_the_rest


def best(fits: list[Trained]) -> Trained:
    """Return the fit with the lowest score; it was interrupted if the last one was."""
    lowest = min(fits, key=lambda fit: fit.score)
    last = fits[-1].outcome
    return lowest._replace(outcome=last) if last in ENDED else lowest
