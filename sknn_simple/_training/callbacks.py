"""A fit, its starts and iterations as tasks of scikit-learn's callbacks (≥ 1.9)."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from sknn_simple._compat import callback_context, current_context, has_callbacks
from sknn_simple._optim.history import Iterate, Observer

# Restarts may run in threads of a worker process. There scikit-learn sends the reports
# of callbacks over one connection, without a lock.
_LOCK = threading.RLock()


class HookStopped(Exception):
    """Carries a StopIteration of a hook to ``fit``.

    On the way SciPy would take it for a request to stop, and a generator would turn it
    into a RuntimeError.
    """

    def __init__(self, error: StopIteration) -> None:
        super().__init__(error)
        self.error = error


class FitTask(NamedTuple):
    """A task of a fit, and the arguments of the callbacks that are told of it."""

    estimator: Any
    # X, y and metadata.
    callback_kwargs: dict[str, Any]
    # From parameters for raw features to the attributes that prediction needs, and from
    # the result of a start to all attributes. They are called only if a callback asks
    # for the fitted estimator.
    predictor: Callable[[np.ndarray], dict[str, Any]]
    record: Callable[[Any], dict[str, Any]]
    # scikit-learn's context of the task; None without callbacks.
    context: Any | None = None

    def begin_fit(self, **subtasks: Any) -> Self:
        """Begin the task of the whole fit, and return it."""
        task = self._replace(context=callback_context(self.estimator, **subtasks))
        if task.context is not None:
            task.begin()
        if has_callbacks(self.estimator):
            return task
        return self.without_data()  # X and y are not sent to other processes

    def end_fit(self, attributes: dict[str, Any]) -> None:
        """Close the task of the whole fit; the estimator has its attributes by now."""
        task = self._replace(context=current_context(self.estimator))
        task.end(reconstruction_attributes=attributes)

    def open(self, name: str, **settings: Any) -> Self:
        """Begin a subtask and return it; without callbacks the task itself."""
        if self.context is None:
            return self
        with _LOCK:
            task = self._replace(context=self.context.subcontext(name, **settings))
            task.begin()
        return task

    def begin(self, **kwargs: Any) -> None:
        self._call("call_on_fit_task_begin", kwargs)

    def end(self, **kwargs: Any) -> bool:
        """Tell the callbacks that the task has ended; True if one asks to stop."""
        return self.context is not None and self._call("call_on_fit_task_end", kwargs)

    def _call(self, hooks: str, kwargs: dict[str, Any]) -> Any:
        """Call the hooks of all callbacks, one thread at a time."""
        call, known = getattr(self.context, hooks), self.callback_kwargs
        try:
            with _LOCK:
                return call(estimator=self.estimator, **known, **kwargs)
        except StopIteration as error:
            raise HookStopped(error) from None

    def without_data(self) -> Self:
        """Return the same without X, y and metadata."""
        return self._replace(callback_kwargs={})


@dataclass
class IterationTasks(Observer):
    """Begins a task when an iteration begins and ends it when the iteration ends.

    They are subtasks of `parent`; `task` is that of the iteration that has begun.
    `to_raw` maps θ to parameters for raw features.
    """

    parent: FitTask
    to_raw: Callable[[np.ndarray], np.ndarray]
    task: FitTask | None = None

    def on_iteration_begin(self, theta: np.ndarray) -> None:
        context: Any = self.parent.context
        task = self.parent._replace(context=context.subcontext("iteration"))
        task.begin(**self._reconstruction(theta))
        # Set only now: a task whose hook has raised gets no other hook.
        self.task = task

    def on_iteration_end(self, iterate: Iterate) -> bool:
        """End the iteration's task; True if a callback asks to stop."""
        task, self.task = self.task, None
        return task is not None and task.end(**self._reconstruction(iterate.theta))

    def on_stop(self, outcome: str) -> None:
        """End the task of an iteration that the solver did not complete."""
        task, self.task = self.task, None
        if task is not None:
            task.without_data().end()

    def _reconstruction(self, theta: np.ndarray) -> dict[str, Any]:
        """Return the function from which scikit-learn makes a fitted estimator."""
        predictor, to_raw = self.parent.predictor, self.to_raw
        return {"reconstruction_attributes": lambda: predictor(to_raw(theta))}
