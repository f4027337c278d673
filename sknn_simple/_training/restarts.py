"""Training from several starts: joblib over them, interrupts, and the best of all."""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._training.callbacks import StartTasks
from sknn_simple._training.interrupts import (
    Interruption,
    interrupts,
    shared_interruption,
)
from sknn_simple._training.monitors import Monitor
from sknn_simple._training.problem import Recipe
from sknn_simple._training.train import Trained, train

# From a start, its number and further monitors to what training from it gave, and
# whether a callback asks to leave the other starts out.
TrainFrom = Callable[[int, np.ndarray, Sequence[Monitor]], tuple[Trained, bool]]


class StartTraining(NamedTuple):
    """How a fit trains from each of its starts: a ``TrainFrom`` that can be pickled.

    Attributes
    ----------
    recipe : Recipe
        What to minimise, and how.
    data, validation : TrainingSet
        The rows to train on, and those to watch, if any.
    start_is_raw : bool
        Whether starts hold parameters for raw features.
    monitors : callable
        From a start's number and the context of its task to what watches it.
    tasks : StartTasks
        The tasks of the starts.
    """

    recipe: Recipe
    data: TrainingSet
    validation: TrainingSet | None
    start_is_raw: bool
    monitors: Callable[[int, Any], list[Monitor]]
    tasks: StartTasks

    def __call__(
        self, number: int, start: np.ndarray, watching: Sequence[Monitor]
    ) -> tuple[Trained, bool]:
        """Train from one start, as a task of its own; True to leave out the others."""
        task = self.tasks.begin(number)
        monitors = [*self.monitors(number, task), *watching]
        trained = self._train(self.recipe, start, monitors)
        return trained, self.tasks.end(task)

    def untrained(self, start: np.ndarray) -> Trained:
        """Return a start as it is, for an interrupt that leaves nothing else."""
        limits = self.recipe.limits.until(0)
        return self._train(self.recipe._replace(limits=limits), start, [])

    def _train(
        self, recipe: Recipe, start: np.ndarray, monitors: Sequence[Monitor]
    ) -> Trained:
        return train(
            recipe,
            self.data,
            self.validation,
            start,
            monitors,
            start_is_raw=self.start_is_raw,
        )


def train_each(
    train_from: TrainFrom,
    starts: list[np.ndarray],
    n_jobs: int | None,
    untrained: Callable[[], Trained],
) -> list[Trained]:
    """Return what each start leads to, in their order.

    After an interrupt those that have begun give their best iterates so far, and the
    others are left out. `untrained` gives the first start as it is, for an interrupt
    that leaves nothing else.
    """
    if len(starts) == 1 or effective_n_jobs(n_jobs) == 1:
        return _in_turn(train_from, starts)
    fits: list[Trained] = []
    left = False
    with shared_interruption() as interruption:
        jobs = (
            delayed(_train_unless_interrupted)(train_from, number, start, interruption)
            for number, start in enumerate(starts)
        )
        try:
            for fit, leave_the_rest in filter(None, _parallel(n_jobs)(jobs)):
                if not left:
                    fits.append(fit)
                if leave_the_rest and not interruption.requested():
                    # Not `break`: joblib's threads would go on training.
                    left = True
                    interruption.request()
        except KeyboardInterrupt:
            interruption.request()
            if interrupts().repeated:
                raise
        except BrokenExecutor:
            # Ctrl-C in a terminal reaches the workers too, and ends those that it finds
            # before their first start.
            if not interruption.requested():
                raise
        if interruption.requested() and not left:
            fits = fits or [untrained()]
            fits[-1] = _interrupted(fits[-1])
    return fits


def _parallel(n_jobs: int | None) -> Parallel:
    """Return what hands over each fit as it ends, where joblib's backend can."""
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:  # "multiprocessing" hands over all of them at the end
        return Parallel(n_jobs=n_jobs)


def _train_unless_interrupted(
    train_from: TrainFrom, number: int, start: np.ndarray, interruption: Interruption
) -> tuple[Trained, bool] | None:
    """Train from one of several starts at a time; None where it need not begin."""
    interruption.shield()
    if interruption.requested():
        return None
    return train_from(number, start, [interruption])


def _in_turn(train_from: TrainFrom, starts: list[np.ndarray]) -> list[Trained]:
    fits: list[Trained] = []
    for number, start in enumerate(starts):
        fit, leave_the_rest = train_from(number, start, [])
        fits.append(fit)
        if leave_the_rest or fit.result.outcome == "interrupted":
            break
    return fits


def best(fits: list[Trained]) -> Trained:
    """Return the fit of lowest score; interrupted if any of them was."""
    lowest = min(fits, key=lambda fit: fit.score)
    if any(fit.result.outcome == "interrupted" for fit in fits):
        return _interrupted(lowest)
    return lowest


def _interrupted(fit: Trained) -> Trained:
    return fit._replace(result=fit.result._replace(outcome="interrupted"))
