"""Training from several starts: joblib over them, interrupts, and the best of all."""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sknn_simple._interrupts import Interruption, interrupts, shared_interruption
from sknn_simple._monitors import Monitor
from sknn_simple._training import Trained

# From a start, its number and further monitors to what training from it gave, and
# whether a callback asks to leave the other starts out.
TrainFrom = Callable[[int, np.ndarray, Sequence[Monitor]], tuple[Trained, bool]]


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
