"""Training from several starts: joblib over them, interrupts, and the best of all."""

from collections.abc import Callable

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sknn_simple._training import Trained

# From a start and its number to what training from it gave, and whether a callback asks
# to leave the other starts out.
TrainFrom = Callable[[int, np.ndarray], tuple[Trained, bool]]


def train_each(
    train_from: TrainFrom,
    starts: list[np.ndarray],
    n_jobs: int | None,
    untrained: Callable[[], Trained],
) -> list[Trained]:
    """Return what each start leads to, in their order.

    After an interrupt the starts that have not ended are left out. One after the other,
    the current one gives its best iterate so far; in parallel that is lost with its
    worker, and if none had ended, `untrained` gives the first start as it is.
    """
    if len(starts) == 1 or effective_n_jobs(n_jobs) == 1:
        return _in_turn(train_from, starts)
    fits: list[Trained] = []
    try:
        for fit, leave_the_rest in _parallel(n_jobs)(
            delayed(train_from)(number, start) for number, start in enumerate(starts)
        ):
            fits.append(fit)
            if leave_the_rest:
                break
    except KeyboardInterrupt:
        fits = fits or [untrained()]
        fits[-1] = _interrupted(fits[-1])
    return fits


def _parallel(n_jobs: int | None) -> Parallel:
    """Return what hands over each fit as it ends, where joblib's backend can."""
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:  # "multiprocessing" hands over all of them at the end
        return Parallel(n_jobs=n_jobs)


def _in_turn(train_from: TrainFrom, starts: list[np.ndarray]) -> list[Trained]:
    fits: list[Trained] = []
    for number, start in enumerate(starts):
        fit, leave_the_rest = train_from(number, start)
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
