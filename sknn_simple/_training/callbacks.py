"""A fit, its starts and iterations as tasks of scikit-learn's callbacks (≥ 1.9)."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

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


class FitCallbacks(NamedTuple):
    """The arguments of the callbacks of a fit."""

    estimator: Any
    # X, y and metadata.
    callback_kwargs: dict[str, Any]
    # From parameters for raw features to the attributes that prediction needs, and from
    # the result of a start to all attributes. They are called only if a callback asks
    # for the fitted estimator.
    predictor: Callable[[np.ndarray], dict[str, Any]]
    record: Callable[[Any], dict[str, Any]]

    def begin_fit(self, **subtasks: Any) -> Any | None:
        """Open the task of the whole fit; return its context if there are callbacks."""
        context = callback_context(self.estimator, **subtasks)
        if context is None:
            return None
        self.begin(context)
        return context if has_callbacks(self.estimator) else None

    def end_fit(self, attributes: dict[str, Any]) -> None:
        """Close the task of the whole fit; the estimator has its attributes by now."""
        context = current_context(self.estimator)
        self.end(context, reconstruction_attributes=attributes)

    def open(self, parent: Any | None, name: str, **settings: Any) -> Any | None:
        """Open a subtask of a task and return its context; None without callbacks."""
        if parent is None:
            return None
        with _LOCK:
            task = parent.subcontext(name, **settings)
            self.begin(task)
        return task

    def begin(self, task: Any, **kwargs: Any) -> None:
        self._call(task.call_on_fit_task_begin, kwargs)

    def end(self, task: Any | None, **kwargs: Any) -> bool:
        """Tell the callbacks that a task has ended; True if one asks to stop."""
        return task is not None and self._call(task.call_on_fit_task_end, kwargs)

    def _call(self, hooks: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
        """Call the hooks of all callbacks, one thread at a time."""
        try:
            with _LOCK:
                return hooks(estimator=self.estimator, **self.callback_kwargs, **kwargs)
        except StopIteration as error:
            raise HookStopped(error) from None

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
        task = self._context.subcontext(task_name="iteration")
        self._callbacks.begin(task, **self._reconstruction(theta))
        # Set only now: a task whose hook has raised gets no other hook.
        self._task = task

    def on_iteration_end(self, iterate: Iterate) -> bool:
        """Close the iteration's task; True if a callback asks to stop."""
        if iterate.n_iter == 0:
            return False
        task, self._task = self._task, None
        return self._callbacks.end(task, **self._reconstruction(iterate.theta))

    def on_stop(self, outcome: str) -> None:
        """Close the task of an iteration that the solver did not complete."""
        task, self._task = self._task, None
        self._callbacks.without_data().end(task)

    def _reconstruction(self, theta: np.ndarray) -> dict[str, Any]:
        """Return the function from which scikit-learn makes a fitted estimator."""
        predictor, to_raw = self._callbacks.predictor, self._to_raw
        return {"reconstruction_attributes": lambda: predictor(to_raw(theta))}
