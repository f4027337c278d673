"""Training from several starts, one by one or in parallel, and choice of the best."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.history import Observer
from sknn_simple._optim.stopping import ENDED
from sknn_simple._training.callbacks import FitTask
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
    # From the number of a start and its task, then as ``MakeObservers``.
    observers: Callable[..., Sequence[Observer]]
    # Of the fit; starts are its subtasks.
    task: FitTask

    def __call__(self, number: int, start: np.ndarray) -> tuple[Trained, bool]:
        """Train from one start, as a task of its own; True to skip the others."""
        most = self.spec.criteria.max_iter
        task = self.task.open("start", task_id=number, max_subtasks=most)
        trained = train(
            self.spec,
            self.data,
            self.validation,
            start,
            partial(self.observers, number, task),
            warm_start=self.warm_start,
        )
        asked = task.end(reconstruction_attributes=partial(task.record, trained))
        return trained, asked or trained.outcome == "observer"


def train_each(
    train_from: TrainFrom,
    starts: list[np.ndarray],
    n_jobs: int | None,
) -> list[Trained]:
    """Train from each start, in order.

    If a start was interrupted, or a callback asks to skip the others, the later ones
    are skipped. Ctrl-C while this process waits for others ends them; the starts that
    have ended are kept. It is raised if there are none.
    """
    numbered = enumerate(starts)
    if len(starts) == 1 or effective_n_jobs(n_jobs) == 1:
        results = (train_from(number, start) for number, start in numbered)
        return _wanted(results)
    asked: list[int] = []
    jobs = (
        delayed(_train_unless_asked)(train_from, asked, number, start)
        for number, start in numbered
    )
    ended: dict[int, tuple[Trained, bool] | None] = {}
    interrupted = False
    try:
        # Results are entered one by one: Ctrl-C leaves those that have come.
        ended.update(_as_they_end(jobs, n_jobs))
    except KeyboardInterrupt:
        if not any(ended.values()):
            raise
        interrupted = True
    fits = _wanted(filter(None, (ended[number] for number in sorted(ended))))
    if interrupted:
        fits[-1] = fits[-1]._replace(outcome="interrupted")
    return fits


def _wanted(results: Iterable[tuple[Trained, bool]]) -> list[Trained]:
    """Return the fits up to the first after which the others are skipped."""
    fits: list[Trained] = []
    for fit, leave_the_rest in results:
        fits.append(fit)
        if leave_the_rest or fit.outcome in ENDED:
            break
    return fits


def _as_they_end(jobs: Iterable[Any], n_jobs: int | None) -> Iterable[Any]:
    """Return the results of jobs in the order in which these end."""
    try:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:
        # joblib < 1.4, and some backends, return all results at the end.
        parallel = Parallel(n_jobs=n_jobs)
    return parallel(jobs)


def _train_unless_asked(
    train_from: TrainFrom, asked: list[int], number: int, start: np.ndarray
) -> tuple[int, tuple[Trained, bool] | None]:
    """Train from a start; None if a callback of an earlier one asked to skip it.

    Threads share `asked`. Other processes have copies: they train from all starts, and
    `train_each` drops the results.
    """
    if asked and min(asked) < number:
        return number, None
    trained, leave_the_rest = train_from(number, start)
    if leave_the_rest:
        asked.append(number)
    return number, (trained, leave_the_rest)


def best(fits: list[Trained]) -> Trained:
    """Return the fit with the lowest score; it was interrupted if the last one was."""
    lowest = min(fits, key=lambda fit: fit.score)
    last = fits[-1].outcome
    return lowest._replace(outcome=last) if last in ENDED else lowest
