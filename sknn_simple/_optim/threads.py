"""What a solve changes for the whole process: the threads of the BLAS.

NumPy's and SciPy's wheels each bring an OpenBLAS with its own pool of threads. A solver
that calls SciPy's LAPACK between evaluations that call NumPy's BLAS makes the two
pools spin against each other: an iteration then costs 2 to 20 times its arithmetic.
During a solve every OpenBLAS is limited to one thread, and the threads that the user
allowed work on blocks of rows instead, which is also what makes results independent of
their number.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from sknn_simple._nn.blas import openblas_libraries

Value = TypeVar("Value")


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
