"""A fit, its starts and iterations as tasks of scikit-learn's callbacks (≥ 1.9)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from sknn_simple._compat import callback_context, has_callbacks
from sknn_simple._optim.history import Iterate, Observer

# Restarts may run in threads of a worker process. There scikit-learn sends the reports
# of callbacks over one connection, without a lock.
_LOCK = threading.RLock()


class FitCallbacks(NamedTuple):
    """The arguments of the callbacks of a fit."""

    estimator: Any
    # X, y and metadata.
    callback_kwargs: dict[str, Any]
    # From parameters for raw features to fitted attributes; called only if a callback
    # asks for the fitted estimator.
    attributes: Callable[[np.ndarray], dict[str, Any]]

    @contextmanager
    def fit_task(self, **subtasks: Any) -> Iterator[Any | None]:
        """Open the task of the whole fit; yield its context, None without callbacks."""
        context = callback_context(self.estimator, **subtasks)
        if context is None:
            yield None
            return
        self.begin(context)
        yield context if has_callbacks(self.estimator) else None
        self.end(context)

    @contextmanager
    def search_task(
        self, context: Any | None, number: int | None = None
    ) -> Iterator[Any | None]:
        """Open the task of a search for alpha; yield its context, if any.

        `number` is that of the task if its siblings are not sequential.
        """
        if context is None:
            yield None
            return
        task = context.subcontext("alphas", task_id=number, max_subtasks=None)
        self.begin(task)
        yield task
        self.end(task)

    def begin(self, task: Any, **kwargs: Any) -> None:
        """Tell the callbacks that a task begins."""
        with _LOCK:
            task.call_on_fit_task_begin(
                estimator=self.estimator, **self.callback_kwargs, **kwargs
            )

    def end(self, task: Any, **kwargs: Any) -> bool:
        """Tell the callbacks that a task has ended; True if one asks to stop."""
        with _LOCK:
            return task.call_on_fit_task_end(
                estimator=self.estimator, **self.callback_kwargs, **kwargs
            )

    def without_data(self) -> "FitCallbacks":
        """Return the same without X, y and metadata, to be sent to other processes."""
        return self._replace(callback_kwargs={})


class IterationTasks(Observer):
    """Opens a task when an iteration begins and closes it when the iteration ends.

    The tasks are subtasks of `context`. `to_raw` maps θ to parameters for raw features.
    """

    def __init__(
        self,
        context: Any,
        callbacks: FitCallbacks,
        to_raw: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._context = context
        self._callbacks = callbacks
        self._to_raw = to_raw
        self._task: Any = None

    def on_iteration_begin(self, theta: np.ndarray) -> None:
        """Open the next iteration's task."""
        self._task = self._context.subcontext(task_name="iteration")
        self._callbacks.begin(self._task, **self._reconstruction(theta))

    def on_iteration_end(self, iterate: Iterate) -> bool:
        """Close the iteration's task; True if a callback asks to stop."""
        if iterate.n_iter == 0:
            return False
        task, self._task = self._task, None
        return self._callbacks.end(task, **self._reconstruction(iterate.theta))

    def on_stop(self, outcome: str) -> None:
        """Close the task of an iteration that the solver did not complete."""
        if self._task is not None:
            task, self._task = self._task, None
            self._callbacks.without_data().end(task)

    def _reconstruction(self, theta: np.ndarray) -> dict[str, Any]:
        """Return the function from which scikit-learn makes a fitted estimator."""
        attributes, to_raw = self._callbacks.attributes, self._to_raw
        return {"reconstruction_attributes": lambda: attributes(to_raw(theta))}


class RestartTasks(NamedTuple):
    """The tasks of a fit's starts; their subtasks are iterations."""

    # The task of the fit; None without callbacks.
    context: Any | None
    callbacks: FitCallbacks
    max_iter: int

    def begin(self, number: int) -> Any | None:
        """Open the task of one start and return its context."""
        if self.context is None:
            return None
        with _LOCK:
            task = self.context.subcontext(
                "start", task_id=number, max_subtasks=self.max_iter
            )
            self.callbacks.begin(task)
        return task

    def end(self, task: Any | None) -> bool:
        """Close the task; True if a callback asks to skip the other starts."""
        return False if task is None else self.callbacks.end(task)


class SearchTasks(NamedTuple):
    """The tasks of a search for alpha: the search, its alphas, and their folds."""

    # The task of the search; None without callbacks.
    context: Any | None
    callbacks: FitCallbacks

    def begin_alpha(self, n_folds: int) -> Any | None:
        """Open the task of one alpha and return its context."""
        if self.context is None:
            return None
        with _LOCK:
            task = self.context.subcontext(
                "alpha", max_subtasks=n_folds, sequential_subtasks=False
            )
            self.callbacks.begin(task)
        return task

    def begin_fold(self, task: Any | None, number: int) -> Any | None:
        """Open the task of one fold and return its context."""
        if task is None:
            return None
        with _LOCK:
            fold = task.subcontext("fold", task_id=number)
            self.callbacks.begin(fold)
        return fold

    def end(self, task: Any | None) -> bool:
        """Close a task; True if a callback asks to end the search."""
        return False if task is None else self.callbacks.end(task)
