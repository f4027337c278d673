"""Iterations of a minimisation as tasks of scikit-learn's callbacks (≥ 1.9)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sknn_simple._compat import callback_context, has_callbacks
from sknn_simple._optim.journey import Iterate
from sknn_simple._training.monitors import Theta

# Restarts may run in threads of a worker process, where scikit-learn sends what hooks
# report over one connection that it does not lock.
_HOOKS = threading.RLock()


class IterationTasks:
    """Opens a task when an iteration begins and closes it when the iteration ends.

    Parameters
    ----------
    context : CallbackContext
        The task whose subtasks the iterations are.
    estimator : object
        The estimator in its fit.
    data : dict
        X, y and metadata as the hooks are given them.
    attributes : callable
        From parameters to the fitted attributes; called only if a hook asks for the
        fitted estimator.
    """

    def __init__(
        self,
        context: Any,
        estimator: Any,
        data: dict[str, Any],
        attributes: Callable[[np.ndarray], dict[str, Any]],
    ) -> None:
        self._context = context
        self._estimator = estimator
        self._data = data
        self._attributes = attributes
        self._task: Any = None

    def begins(self, theta: Theta) -> None:
        """Open the next iteration's task."""
        self._task = self._context.subcontext(task_name="iteration")
        with _HOOKS:
            self._task.call_on_fit_task_begin(
                estimator=self._estimator,
                **self._data,
                reconstruction_attributes=lambda: self._attributes(theta()),
            )

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        """Close the iteration's task; True if a callback asks to stop."""
        if iterate.n_iter == 0:
            return False
        task, self._task = self._task, None
        with _HOOKS:
            return task.call_on_fit_task_end(
                estimator=self._estimator,
                **self._data,
                reconstruction_attributes=lambda: self._attributes(theta()),
            )

    def abandoned(self) -> None:
        """Close the task of an iteration that the solver did not complete."""
        if self._task is not None:
            task, self._task = self._task, None
            with _HOOKS:
                task.call_on_fit_task_end(estimator=self._estimator)


@contextmanager
def fit_task(
    estimator: Any, hooks: dict[str, Any], **subtasks: Any
) -> Iterator[Any | None]:
    """Open the task of a whole fit; yield its context, None where nobody listens.

    Parameters
    ----------
    estimator : object
        The estimator in its fit.
    hooks : dict
        X, y and metadata as the hooks are given them.
    **subtasks
        ``max_subtasks`` and ``sequential_subtasks`` of the context.
    """
    context = callback_context(estimator, **subtasks)
    if context is None:
        yield None
        return
    context.call_on_fit_task_begin(estimator=estimator, **hooks)
    yield context if has_callbacks(estimator) else None
    context.call_on_fit_task_end(estimator=estimator, **hooks)


class StartTasks:
    """The tasks of a fit's starts; their subtasks are iterations.

    Parameters
    ----------
    context : CallbackContext or None
        The task of the fit; None where nobody listens.
    estimator : object
        The estimator in its fit.
    hooks : dict
        X, y and metadata as the hooks are given them.
    max_iter : int
        Largest number of iterations of a start.
    """

    def __init__(
        self, context: Any | None, estimator: Any, hooks: dict[str, Any], max_iter: int
    ) -> None:
        self._context = context
        self._estimator = estimator
        self._hooks = hooks
        self._max_iter = max_iter

    def begin(self, number: int) -> Any | None:
        """Open the task of one start and return its context."""
        if self._context is None:
            return None
        with _HOOKS:
            task = self._context.subcontext(
                "start", task_id=number, max_subtasks=self._max_iter
            )
            task.call_on_fit_task_begin(estimator=self._estimator, **self._hooks)
        return task

    def end(self, task: Any | None) -> bool:
        """Close the task; True if a callback asks to leave the other starts out."""
        if task is None:
            return False
        with _HOOKS:
            return task.call_on_fit_task_end(estimator=self._estimator, **self._hooks)
