"""Threads: during a fit each OpenBLAS uses one thread, and threads share row blocks.

The wheels of NumPy and SciPy each contain an OpenBLAS with its own pool of threads. If
a solver calls SciPy's LAPACK between evaluations that call NumPy's BLAS, the threads of
one pool spin while the other works: an iteration takes 2 to 20 times as long as its
arithmetic. Therefore `limit_blas_threads` limits every OpenBLAS to one thread, and the
`Workers` of a fit divide its row blocks among the threads that the user allowed. The
result of a fit then does not depend on the number of threads either.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Self

import numpy as np
from threadpoolctl import ThreadpoolController


@cache
def openblas_libraries() -> tuple[Any, ...]:
    """Return threadpoolctl's handles of all loaded OpenBLAS; the search takes ms."""
    return tuple(
        library
        for library in ThreadpoolController().lib_controllers
        if library.internal_api == "openblas"
    )


class BlasLimit:
    """A limit of one thread for all libraries, shared by the fits that run.

    The first of them sets it, and the last restores the state before the first.
    Otherwise the limit might never be removed. Other BLAS libraries keep their threads.
    """

    def __init__(
        self, find: Callable[[], tuple[Any, ...]] = openblas_libraries
    ) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._n_fits = 0
        self._before: list[tuple[Any, int]] = []

    def __enter__(self) -> int:
        """Set the limit if no fit has; return the number of threads for this fit.

        It is the number of threads allowed for OpenBLAS, divided by the number of fits
        that run now, but at least 1.
        """
        with self._lock:
            if self._n_fits == 0:
                libraries = self._find()
                self._before = [(each, each.num_threads) for each in libraries]
                try:
                    for library in libraries:
                        _set_num_threads(library, 1)
                except BaseException:  # such as Ctrl-C
                    self._restore()
                    raise
            self._n_fits += 1
            allowed = max((n_threads for _, n_threads in self._before), default=1)
            return max(1, allowed // self._n_fits)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._n_fits -= 1
            if self._n_fits == 0:
                self._restore()

    def _restore(self) -> None:
        for library, n_threads in self._before:
            _set_num_threads(library, n_threads)


# The limit of the process, for ``with`` statements.
limit_blas_threads = BlasLimit()


def _set_num_threads(library: Any, n_threads: int) -> None:
    # threadpoolctl ≥ 3.7 accepts calls only from the first thread that set a limit, but
    # fits may run in any thread. The second `clear` removes this thread as the owner.
    clear = getattr(type(library), "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
    library.set_num_threads(n_threads)
    if clear is not None:
        clear(force=True)


class Workers:
    """The threads of one fit: the calling thread, and `n_threads` - 1 helpers.

    If no more threads can be started, because of a limit of the process or at the end
    of the program, those that there are do the work.
    """

    def __init__(self, n_threads: int) -> None:
        self._tasks: SimpleQueue[_Indices | None] = SimpleQueue()
        self._helpers: list[threading.Thread] = []
        self._n_threads = n_threads

    def restarted(self, n_threads: int) -> Self:
        """Return the same object for another ``with``: what refers to it may last."""
        self._tasks.put(None)  # Ctrl-C may have come before the end of `__exit__`
        self._tasks, self._n_threads = SimpleQueue(), n_threads
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._n_threads = 1
        self._tasks.put(None)
        while self._helpers:
            self._helpers.pop().join()

    def __del__(self) -> None:
        # Ctrl-C may have come before the end of `__exit__`.
        self._tasks.put(None)

    def run(self, work: Callable[[int], None], count: int) -> None:
        """Call ``work(0)`` … ``work(count - 1)``, each once, in any order.

        An error of any call is raised, or Ctrl-C. No thread is at work any more then,
        unless Ctrl-C came twice within microseconds.
        """
        if count == 1 or self._n_threads == 1:
            for index in range(count):
                work(index)
            return
        indices = _Indices(work, count)
        # The calling thread works as well, so that one thread less must be woken.
        n_helpers = self._start(min(self._n_threads, count) - 1)
        interrupt = None
        try:
            for _ in range(n_helpers):
                self._tasks.put(indices)
            indices.work_off()
        finally:
            while True:
                try:
                    self._withdraw()
                    indices.end()
                    break
                except BaseException as error:
                    interrupt = error
            try:
                if interrupt is not None:
                    raise interrupt
            finally:
                interrupt = None  # its traceback would keep the arrays of this frame
        indices.raise_failure()

    def _start(self, count: int) -> int:
        """Start helpers until there are `count`; return how many there are."""
        try:
            while len(self._helpers) < count:
                # A daemon: Ctrl-C within `start` may leave a thread that cannot begin.
                helper = threading.Thread(
                    target=_help, args=(self._tasks,), daemon=True
                )
                helper.start()
                self._helpers.append(helper)
        except RuntimeError as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # within `start`
                raise error.__context__ from None
            # No more can be started: do not try again.
            self._n_threads = 1 + len(self._helpers)
        return min(count, len(self._helpers))

    def _withdraw(self) -> None:
        """Drop the work that no helper has taken: it would keep its arrays."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()


class _Indices:
    """The indices of one `Workers.run`, which its threads take and work on.

    Ctrl-C may come between any two steps of the calling thread, also within the `wait`
    of ``concurrent.futures``, which then never unlocks its futures, so that their
    threads hang. Here threads share only locks, lists, deques and a SimpleQueue, whose
    operations are single steps.
    """

    def __init__(self, work: Callable[[int], None], count: int) -> None:
        self._work = work
        self._left = deque(range(count))
        # Each is locked by a helper at work. After Ctrl-C within `end` the calling
        # thread may hold one, and must be able to lock it again.
        self._busy: list[Any] = []
        self._error_state = np.geterr()  # which belongs to a thread
        self._failures: list[BaseException] = []

    def work_off(self) -> None:
        """Take an index and work on it, until all are taken."""
        while True:
            try:
                index = self._left.popleft()
            except IndexError:
                return
            self._work(index)

    def help(self) -> None:
        """Work in another thread than the calling one."""
        lock = threading.RLock()
        with lock, np.errstate(**self._error_state):
            self._busy.append(lock)
            try:
                self.work_off()
            except BaseException as failure:
                self._failures.append(failure)

    def end(self) -> None:
        """Drop the indices not yet taken, and wait for the helpers that have begun.

        A helper that begins later finds no index. After Ctrl-C, call this again.
        """
        self._left.clear()
        for lock in self._busy:
            with lock:
                pass

    def raise_failure(self) -> None:
        """Raise the first error of a helper, if there is one."""
        try:
            if self._failures:
                raise self._failures[0]
        finally:
            self._failures.clear()  # their tracebacks would keep the arrays


def _help(tasks: "SimpleQueue[_Indices | None]") -> None:
    while (task := tasks.get()) is not None:
        task.help()
        del task  # its arrays may be large
    # For the next helper: Ctrl-C may have kept the fit from knowing how many there are.
    tasks.put(None)
