"""alpha by validation: the loss on held-out rows, along a path from strong to weak.

The loss is measured by cross-validation, or on one given validation set. Each fit of
the path begins at the same start: a network that starts at the weights of a stronger
penalty ends in worse minima, and alphas chosen in this way led to a log-loss 8 % higher
(22 tables). The path is relative to S, so that it does not depend on the scale of the
sample weights, and it ends if the loss no longer falls: weaker penalties take most of
the time.

References
----------
Friedman, J., Hastie, T., Tibshirani, R. (2010). Regularization paths for generalized
linear models via coordinate descent. Journal of Statistical Software 33(1), 1-22.
Stone, M. (1974). Cross-validatory choice and assessment of statistical predictions.
Journal of the Royal Statistical Society B 36(2), 111-147.
"""

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sknn_simple._data.canonical_order import in_canonical_order, whole
from sknn_simple._data.folds import (
    assign_folds,
    dealt_rows,
    distinct_rows,
    has_few_values,
    lost_classes,
    observations,
    strata_of,
)
from sknn_simple._data.threads import Workers, limit_blas_threads
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.history import Iterate, Observer
from sknn_simple._optim.stopping import ENDED, ENDINGS
from sknn_simple._training.callbacks import FitTask
from sknn_simple._training.heuristics import (
    ALPHAS_WITHOUT_FALL,
    CLEAR_FALL,
    FALL_ERRORS,
    FOLD_WORK,
    LARGEST_LOSS,
    LEAST_FALL,
    LITTLE_FALL,
    PATH_FACTOR,
    PATH_LENGTH,
    PATH_START,
    RARE_PART,
    SEARCH_ROWS,
)
from sknn_simple._training.problem import build_problem, make_row_blocks
from sknn_simple._training.spec import TrainSpec
from sknn_simple._training.train import Problems, Trained, train

# A fit, and whether a callback asks to end the search.
_Result = tuple[Trained, bool]


class Fold(NamedTuple):
    """The rows that a fit may use, and those on which its loss is measured."""

    data: TrainingSet
    validation: TrainingSet
    # Of the fits of a search.
    problems: Problems | None = None


class Search(NamedTuple):
    """The losses along a path, and the alpha that they choose."""

    alpha: float
    # (n_tried,), falling.
    tried: np.ndarray
    # (n_tried, n_folds): log-loss of the held-out rows of each fold.
    losses: np.ndarray
    # Why the path ended: "lowest", or "observer" or "interrupted" as in ``OUTCOMES``.
    outcome: str = "lowest"

    def table(self) -> dict[str, np.ndarray]:
        """Return alpha, and the mean, deviation and every fold of the log-loss.

        The table is empty if no alpha was tried.
        """
        if not len(self.tried):
            return {}
        folds = {f"split{k}_log_loss": loss for k, loss in enumerate(self.losses.T)}
        return {
            "alpha": self.tried,
            "mean_log_loss": self.losses.mean(axis=1),
            "std_log_loss": self.losses.std(axis=1),
            **folds,
        }


class _StopTogether(Observer):
    """Stops the fits in all threads if one of them is interrupted."""

    def __init__(self) -> None:
        self.asked = False

    def on_iteration_end(self, iterate: Iterate) -> bool:
        return self.asked


class FoldTraining(NamedTuple):
    """Fits one fold for one alpha; it can be pickled for other processes."""

    spec: TrainSpec
    start: np.ndarray
    # Of the search; alphas are its subtasks.
    task: FitTask

    def with_limited_losses(self, folds: list[Fold]) -> Self:
        """Limit the losses of held-out rows, and smooth their labels.

        The loss includes one more held-out row, with a wrong label.
        Without an error on n rows, the error rate may still be 1/n (Laplace's rule of
        succession). The loss alone would choose ever more certain networks. Log-losses
        are 0.975 of those without it for 35 tables of 60 rows, 0.997 for 42 of up to
        533 rows.
        """
        rarest = min(fold.data.shares().min() for fold in folds)
        largest = max(LARGEST_LOSS, -np.log(RARE_PART * rarest))
        held_out = sum(fold.validation.counted_rows for fold in folds)
        # Repeated splits hold out each row several times.
        most = max(f.data.counted_rows + f.validation.counted_rows for f in folds)
        held_out = min(held_out, most)
        smoothing = 1.0 / (1.0 + held_out)
        spec = self.spec._replace(smoothing=smoothing, largest_loss=float(largest))
        return self._replace(spec=spec)

    def __call__(
        self, number: int, fold: Fold, alpha: float, task: FitTask, stop: _StopTogether
    ) -> _Result:
        """Return the fit, and True if a callback asks to end the search."""
        task = task.open("fold", task_id=number)
        try:
            trained = train(
                self.spec._replace(alpha=alpha),
                fold.data,
                fold.validation,
                self.start,
                lambda problem, stopping: [stop],
                problems=fold.problems,
            )
        except ENDINGS:
            stop.asked = True
            task.end()
            raise
        if trained.outcome in ENDED:
            stop.asked = True
        return trained, task.end()


def make_folds(
    cv: Any, spec: TrainSpec, data: TrainingSet, validation: TrainingSet | None
) -> list[Fold]:
    """Return the folds of a search; none if a class has too few rows.

    Given validation rows are the only fold. `cv` is a number, 5 if it is None, or as in
    ``given_folds``.
    """
    if validation is not None:
        return [Fold(data, validation)]
    if cv is not None and not isinstance(cv, Integral):
        return given_folds(cv, data)
    return cross_validation_folds(spec, data, 5 if cv is None else int(cv))


def cross_validation_folds(
    spec: TrainSpec, data: TrainingSet, n_folds: int
) -> list[Fold]:
    """Return stratified folds of about ``SEARCH_ROWS`` distinct rows at most.

    They do not depend on the order of the rows, and not on the units of the columns.
    The list is empty if a class would be missing in the training rows of a fold.
    """
    with (
        np.errstate(under="ignore"),
        limit_blas_threads as n_threads,
        Workers(n_threads) as workers,
    ):
        problem = build_problem(spec, data, workers)
        blocks = make_row_blocks(spec, problem.data, problem.transform)
        numbers = distinct_rows(blocks, workers)
    strata = strata_of(data)
    few_values = numbers.max() + 1 >= n_folds and has_few_values(data.X, numbers)
    weight = whole(data.sample_weight())
    rows, shared = observations(numbers, strata, weight, few_values=few_values)
    if shared.max() + 1 < n_folds:
        return []
    part = assign_folds(shared, strata[rows], data.weight[rows], n_folds, SEARCH_ROWS)
    data, part = dealt_rows(data, rows, part)
    splits = [(part != fold, part == fold) for fold in range(n_folds)]
    if any(lost_classes(data, rest) for rest, _ in splits):
        return []
    return [_make_fold(data, *map(np.flatnonzero, split)) for split in splits]


def _make_fold(data: TrainingSet, rest: np.ndarray, aside: np.ndarray) -> Fold:
    # Sorted here once, not for each alpha.
    rows = in_canonical_order(data.rows(rest))
    return Fold(rows, data.rows(aside))


def given_folds(cv: Any, data: TrainingSet) -> list[Fold]:
    """Return the folds of a splitter, or of an iterable of (train, test) rows.

    Raises ValueError that names cv, if it cannot split the rows, or if a split has no
    rows on one side or lacks a class in its training rows.
    """
    # Imported here: sklearn.model_selection imports more than a fit needs.
    from sklearn.model_selection import check_cv

    if isinstance(cv, type):
        raise ValueError(f"cv={cv.__name__} is a class: pass {cv.__name__}().")
    labels = data.labels()
    # A splitter numbers the rows of positive weight. An iterable of splits numbers the
    # rows that were passed to fit.
    own = np.arange(data.X.shape[0]).__getitem__
    chosen = own if hasattr(cv, "split") else data.present
    folds = []
    try:
        for split in check_cv(cv, labels, classifier=True).split(data.X, labels):
            rest, aside = map(chosen, split)
            _check_split(data, rest, aside)
            folds.append(_make_fold(data, rest, aside))
    except (IndexError, TypeError, ValueError) as error:
        is_splitter, advice = hasattr(cv, "split"), ""
        if is_splitter and ("groups" in str(error) or data.kept is not None):
            advice = (
                " A splitter gets the rows of positive weight, and no groups. Pass its "
                "splits: cv=list(splitter.split(X, y, groups))."
            )
        elif "out of bounds" in str(error):
            advice = (
                " Splits number the rows that are passed to fit: in a search or in "
                "cross_val_score, which fit parts of X, pass a number or a splitter."
            )
        name, reason = f"cv={cv}" if is_splitter else "cv", str(error).rstrip(".")
        raise ValueError(f"{name}: split {len(folds)}: {reason}.{advice}") from error
    if not folds:
        advice = ""
        if isinstance(cv, Iterator):
            advice = " It can be used once, and not be copied: pass a list."
        raise ValueError(f"cv={cv} has no splits.{advice}")
    return folds


def _check_split(data: TrainingSet, rest: np.ndarray, aside: np.ndarray) -> None:
    if rest.ndim != 1 or aside.ndim != 1:
        raise ValueError("its row numbers must be one-dimensional arrays.")
    if not len(rest) or not len(aside):
        raise ValueError("it has no rows of positive weight on one side.")
    lost = lost_classes(data, rest)
    if lost and data.multilabel:
        raise ValueError(
            f"its training rows do not contain both values of the labels {lost}."
        )
    if lost:
        raise ValueError(
            f"its training rows do not contain every class: {lost} are missing."
        )


def search_alpha(
    training: FoldTraining,
    folds: list[Fold],
    n_jobs: int | None,
    announce: Callable[[str], None],
) -> Search:
    """Return the alpha near which the mean log-loss over the folds is lowest.

    Without folds it is the alpha of the spec. joblib trains `n_jobs` folds at the same
    time; if that is 1, threads of this process share them. `announce` is called with a
    line of text after each alpha and at the end.
    """
    if not folds:
        return Search(training.spec.alpha, np.array([]), np.array([]))
    path = _ValidationPath(training.with_limited_losses(folds), folds, n_jobs, announce)
    of_shares = float(np.mean([fold.data.loss_of_shares() for fold in folds]))
    total = np.mean([fold.data.total_weight for fold in folds])
    # Rounding must not lead to other alphas in another order of the rows.
    first = float(f"{PATH_START * training.spec.alpha_unit * total:.12g}")
    try:
        for k in range(PATH_LENGTH):
            if not path.try_alpha(first / PATH_FACTOR**k) or path.is_over(of_shares):
                break
        for k in range(1, PATH_LENGTH):
            if not path.begins_too_weak(of_shares):
                break
            path.try_alpha(first * PATH_FACTOR**k)
    except ENDINGS:
        path.outcome = "interrupted"
    alphas, losses = path.table()
    if not len(alphas):
        return Search(training.spec.alpha, alphas, losses, path.outcome)
    best = _near_minimum(alphas, losses.mean(axis=1))
    announce(f"alpha={best:.3g} is chosen; the fit of all rows follows")
    return Search(best, alphas, losses, path.outcome)


class _ValidationPath:
    """The alphas that were tried, and the losses of the folds for each."""

    def __init__(
        self,
        training: FoldTraining,
        folds: list[Fold],
        n_jobs: int | None,
        announce: Callable[[str], None],
    ) -> None:
        self.outcome = "lowest"
        self._training, self._n_jobs = training, n_jobs
        self._folds = [fold._replace(problems=Problems()) for fold in folds]
        self._announce = announce
        self._tried: dict[float, list[float]] = {}
        # The mean of J over the folds at the last alpha.
        self._objective = np.inf

    def try_alpha(self, alpha: float) -> bool:
        """Try an alpha; return False if the search ends, with another outcome."""
        fits, asked = _fit_folds(self._training, self._folds, alpha, self._n_jobs)
        if any(fit.outcome in ENDED for fit in fits):
            self.outcome = "interrupted"
            return False
        self._tried[alpha] = [fit.held_out_loss for fit in fits]
        self._objective = float(np.mean([fit.loss for fit in fits]))
        self._announce(_line(alpha, self._tried[alpha]))
        if asked:
            self.outcome = "observer"
        return not asked

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the alphas, falling, and the losses, (n_tried, n_folds)."""
        alphas = sorted(self._tried, reverse=True)
        return np.array(alphas), np.array([self._tried[alpha] for alpha in alphas])

    def is_over(self, of_shares: float) -> bool:
        """Return whether the lowest mean loss no longer falls.

        A fall counts if it is larger than its error, from the standard error of the
        differences, fold by fold, or if it is large; but not if it is small compared
        with `of_shares`, the loss of the class shares. While all losses are equal the
        weights are still 0. If little has been learned, the path goes on for several
        alphas after that without a fall: before a network learns what no column tells
        alone, it first overfits. While the held-out loss is below J of the training
        rows, the penalty costs more than overfitting: after a line a network may learn
        a curve.
        """
        losses = list(self._tried.values())
        means = np.mean(losses, axis=1)
        least, clear = LEAST_FALL * of_shares, CLEAR_FALL * means[0]
        ranges = np.maximum.accumulate(means) - np.minimum.accumulate(means)
        n_equal = np.count_nonzero(ranges <= least)
        learned_little = means.min() > (1.0 - LITTLE_FALL) * of_shares
        last = ALPHAS_WITHOUT_FALL if learned_little else 1
        if len(means) - n_equal < last or means[-1] < self._objective:
            return False
        before, now = np.argmin(means[:-last]), np.argmin(means)
        falls = np.subtract(losses[before], losses[now])
        return falls.mean() <= max(least, min(FALL_ERRORS * _error(falls), clear))

    def begins_too_weak(self, of_shares: float) -> bool:
        """Return whether a stronger penalty than those tried is worth a trial.

        At the strongest one the loss is lowest, but clearly above `of_shares`: with
        many more columns than rows the network is not constant there. 0.8 to 0.9 of
        the log-loss for noise of 40 to 60 rows and 1,000 to 8,000 columns.
        """
        if self.outcome != "lowest" or not self._tried:
            return False
        means = self.table()[1].mean(axis=1)
        return np.argmin(means) == 0 and means[0] > (1.0 + LEAST_FALL) * of_shares


def _near_minimum(alphas: np.ndarray, means: np.ndarray) -> float:
    """Return the alpha with the lowest loss, or one half a step from it.

    It is the nearest to the minimum of the parabola through the lowest loss and both
    neighbours, as a function of log α. Finer steps gain no more (22 tables).
    """
    best = int(np.argmin(means))
    if not 0 < best < len(means) - 1:
        return float(alphas[best])
    stronger, lowest, weaker = means[best - 1 : best + 2]
    offset = 0.5 * (stronger - weaker) / (stronger - 2.0 * lowest + weaker)
    return float(alphas[best] * PATH_FACTOR ** (-0.5 * np.round(2.0 * offset)))


def _error(values: np.ndarray) -> float:
    """Return the standard error of the mean; 0 if there is one value only."""
    count = len(values)
    return float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0


def _line(alpha: float, losses: list[float]) -> str:
    spread = f" ± {_error(np.array(losses)):.4f}" if len(losses) > 1 else ""
    return f"alpha={alpha:.3g}: validation log-loss {np.mean(losses):.4f}{spread}"


def _fit_folds(
    training: FoldTraining, folds: list[Fold], alpha: float, n_jobs: int | None
) -> tuple[list[Trained], bool]:
    """Return the fits of all folds, in order, and True if a callback asks to stop."""
    task = training.task.open(
        "alpha", max_subtasks=len(folds), sequential_subtasks=False
    )
    stop = _StopTogether()
    in_jobs = len(folds) > 1 and effective_n_jobs(n_jobs) > 1
    try:
        if in_jobs:
            results = Parallel(n_jobs=n_jobs)(
                delayed(training)(number, fold, alpha, task, stop)
                for number, fold in enumerate(folds)
            )
        else:
            results = _in_threads(
                lambda number: training(number, folds[number], alpha, task, stop),
                len(folds),
                training.spec.network.layout.size * len(folds[0].data.weight),
            )
    except ENDINGS:
        stop.asked = True
        task.end()
        raise
    asked = task.end() or any(asked for _, asked in results)
    return [fit for fit, _ in results], asked


def _in_threads(
    fit: Callable[[int], _Result], count: int, work: float
) -> list[_Result]:
    """Return ``fit(0)`` … ``fit(count - 1)``, from threads of this process.

    If a fold has little work (rows × parameters), threads wait for Python's lock.
    """
    results: dict[int, _Result] = {}
    with limit_blas_threads as n_threads:
        pass  # a limit that is held here would count as one more fit
    with Workers(n_threads if work >= FOLD_WORK else 1) as workers:
        workers.run(lambda number: results.update({number: fit(number)}), count)
    return [results[number] for number in range(count)]
