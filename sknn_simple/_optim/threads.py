"""BLAS threads during a solve.

NumPy's and SciPy's wheels each bring an OpenBLAS with its own pool of threads. A solver
that calls SciPy's LAPACK between evaluations that call NumPy's BLAS makes the two
pools spin against each other: an iteration then costs 2 to 20 times its arithmetic.
During a solve every OpenBLAS is limited to one thread, and the threads that the user
allowed work on blocks of rows instead, which is also what makes results independent of
their number.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _openblas_libraries() -> tuple:
    """Return threadpoolctl's handles of the loaded OpenBLAS; looked up once."""
    return tuple(
        library
        for library in ThreadpoolController().lib_controllers
        if library.internal_api == "openblas"
    )


class _Limit:
    """Counts the solves in progress: the first sets the limits, the last restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._allowed: list[int] = []

    def enter(self) -> int:
        libraries = _openblas_libraries()
        with self._lock:
            if self._depth == 0:
                self._allowed = [library.num_threads for library in libraries]
                for library in libraries:
                    library.set_num_threads(1)
            self._depth += 1
            return max(self._allowed, default=1)

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                for library, allowed in zip(
                    _openblas_libraries(), self._allowed, strict=True
                ):
                    library.set_num_threads(allowed)


_LIMIT = _Limit()


@contextmanager
def single_blas_thread() -> Iterator[int]:
    """Limit every OpenBLAS to one thread; yield how many were allowed before.

    Where the BLAS is another one, nothing is limited and 1 is yielded: it keeps its own
    threads. Solves may nest or run side by side in threads of one process.
    """
    allowed = _LIMIT.enter()
    try:
        yield allowed
    finally:
        _LIMIT.leave()
