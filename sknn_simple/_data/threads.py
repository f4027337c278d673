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
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
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
    """A limit of one thread for all libraries, and the number of fits that need it.

    Fits that run at the same time share one limit: the first sets it, and the last
    restores the state before the first. Otherwise the limit might never be removed.
    Other BLAS libraries keep their threads.
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
        """Restore the state before the first fit if this is the last one."""
        with self._lock:
            self._n_fits -= 1
            if self._n_fits == 0:
                self._restore()

    def _restore(self) -> None:
        for library, n_threads in self._before:
            _set_num_threads(library, n_threads)


_of_process = BlasLimit()


def limit_blas_threads() -> BlasLimit:
    """Return the limit of the process, to be used in a ``with`` statement."""
    return _of_process


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
    """The threads of one fit: the calling thread, and a pool of `n_threads` - 1.

    If no more threads can be started, because of a limit of the process or at the end
    of the program, those that there are do the work.
    """

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def run(self, work: Callable[[int], None], count: int) -> None:
        """Call ``work(0)`` … ``work(count - 1)``, each once, in any order."""
        if count == 1 or self._n_threads == 1:
            for index in range(count):
                work(index)
            return
        indices = deque(range(count))  # which threads may change at the same time
        # NumPy's error state belongs to a thread.
        errors = np.geterr()

        def work_off() -> None:
            with np.errstate(**errors):
                while True:
                    try:
                        index = indices.popleft()
                    except IndexError:  # all are taken
                        return
                    work(index)

        # The calling thread works as well, so that one thread less must be woken.
        helpers = min(self._n_threads, count) - 1
        futures: list[Future[None]] = []
        try:
            self._submit(work_off, helpers, futures)
            work_off()
        finally:
            # After Ctrl-C in the calling thread no other thread may go on writing.
            indices.clear()
            wait(futures)
        for future in futures:
            future.result()

    def _submit(
        self, task: Callable[[], None], count: int, futures: list[Future[None]]
    ) -> None:
        """Add `count` futures, or fewer if no more threads can be started."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._n_threads - 1)
        try:
            while len(futures) < count:
                futures.append(self._executor.submit(task))
        except RuntimeError:
            # The pool has queued the task for which it could start no thread. Another
            # of its threads might take it at any time, so that the pool must end.
            self._executor.shutdown(cancel_futures=True)
            self._executor = None
            self._n_threads = 1 + len(futures)
            # `wait` would wait for a cancelled future.
            futures[:] = [future for future in futures if not future.cancelled()]
