"""What a solve changes for the whole process: the threads of the BLAS.

NumPy's and SciPy's wheels each bring an OpenBLAS with its own pool of threads. A solver
that calls SciPy's LAPACK between evaluations that call NumPy's BLAS makes the two
pools spin against each other: an iteration then costs 2 to 20 times its arithmetic.
During a solve every OpenBLAS is limited to one thread, and the threads that the user
allowed work on blocks of rows instead, which is also what makes results independent of
their number.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Generic, Self, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

Value = TypeVar("Value")


@cache
def openblas_libraries() -> tuple[Any, ...]:
    """Return threadpoolctl's handles of the loaded OpenBLAS."""
    return tuple(
        library
        for library in ThreadpoolController().lib_controllers
        if library.internal_api == "openblas"
    )


class SharedContext(Generic[Value]):
    """A context of the whole process: the first thread enters it, the last leaves it.

    Several fits may run side by side. If each set a limit and restored what it found,
    one would restore what another had set, for good.

    Parameters
    ----------
    factory : callable
        Returns the context manager; called when nobody is inside.
    """

    def __init__(self, factory: Callable[[], AbstractContextManager[Value]]) -> None:
        self._factory = factory
        self._lock = threading.Lock()
        self._depth = 0
        self._context: AbstractContextManager[Value]
        self._value: Value

    @property
    def depth(self) -> int:
        """How many are inside."""
        return self._depth

    @contextmanager
    def __call__(self) -> Iterator[Value]:
        """Enter; yield what the context yielded to the first that entered it."""
        with self._lock:
            if self._depth == 0:
                self._context = self._factory()
                self._value = self._context.__enter__()
            self._depth += 1
            value = self._value
        try:
            yield value
        finally:
            with self._lock:
                self._depth -= 1
                if self._depth == 0:
                    self._context.__exit__(None, None, None)


def _set_num_threads(library: Any, num_threads: int) -> None:
    """Set the threads of one library, from whichever thread this is.

    threadpoolctl ≥ 3.7 obeys only the thread that called first; a fit may run in any.
    """
    forget = getattr(type(library), "clear_controlling_thread", None)
    if forget is not None:
        forget(force=True)
    library.set_num_threads(num_threads)
    if forget is not None:
        forget(force=True)


@contextmanager
def _limited_openblas() -> Iterator[int]:
    libraries = openblas_libraries()
    allowed = [library.num_threads for library in libraries]
    for library in libraries:
        _set_num_threads(library, 1)
    try:
        yield max(allowed, default=1)
    finally:
        for library, number in zip(libraries, allowed, strict=True):
            _set_num_threads(library, number)


# Limits every OpenBLAS to one thread and yields how many were allowed before. Another
# BLAS is left alone, with 1 yielded: it keeps its own threads.
single_blas_thread = SharedContext(_limited_openblas)


class Workers:
    """A pool of threads for the duration of a fit; one thread means none.

    Parameters
    ----------
    n_threads : int
        The number of threads that work on lanes at the same time.
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
        # The calling thread takes its share, so the pool holds one thread less and a
        # handover is saved at each evaluation.
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._n_threads - 1)
        helpers = min(self._n_threads, count) - 1
        queue = iter(range(count))
        lock = threading.Lock()
        # NumPy's error state is each thread's own.
        errors = np.geterr()

        def help_out() -> None:
            with np.errstate(**errors):
                _take(queue, lock, work)

        futures = [self._executor.submit(help_out) for _ in range(helpers)]
        try:
            _take(queue, lock, work)
        finally:
            # An interrupt in the calling thread must not leave others writing.
            with lock:
                _exhaust(queue)
            wait(futures)
        for future in futures:
            future.result()


def _take(
    queue: Iterator[int], lock: threading.Lock, work: Callable[[int], None]
) -> None:
    while True:
        with lock:
            index = next(queue, None)
        if index is None:
            return
        work(index)


def _exhaust(queue: Iterable[int]) -> None:
    for _ in queue:
        pass
