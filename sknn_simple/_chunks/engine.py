"""The calls to Dask: call, sum in a fixed order, collect and persist.

A sum adds up to eight parts at a time, in their order. Its bits therefore depend on
the parts, not on the workers that compute them.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from sknn_simple._data.training_set import TrainingSet
from sknn_simple._optim.stopping import EvaluationLost

# A value that Dask computes later.
Lazy = Any

# Parts that one task adds. With more of them a task waits longer for the last part, and
# with fewer of them there are more tasks, at about a millisecond each.
ADDED_PARTS = 8
# A value of its own costs each evaluation a task and its way to the other workers.
SMALL_BYTES = 2**16
# Seconds between two looks at whether there are workers.
LOOK = 1.0


class Engine:
    """Computes lazy values: with a client's workers, or with Dask's local scheduler.

    After `patience` seconds without any worker they count as lost.
    """

    def __init__(self, client: Any | None, patience: float) -> None:
        self.client = client
        self._patience = patience

    def call(self, function: Callable[..., Any], *arguments: Any) -> Lazy:
        """Return ``function(*arguments)`` as a lazy value; arguments may be lazy."""
        import dask

        return dask.delayed(function, pure=False, traverse=False)(*arguments)

    def send(self, value: Any) -> Any:
        """Return a value as an argument of many calls.

        A large one is sent once to each worker, and a small one with each call.
        """
        import dask
        from distributed.protocol import pickle

        # θ goes with every pass over the rows: it is not pickled twice.
        is_array = isinstance(value, np.ndarray)
        size = value.nbytes if is_array else len(pickle.dumps(value))
        if size <= SMALL_BYTES:
            return value
        return dask.delayed(value, pure=False, traverse=False)

    def keep(self, value: Any) -> Any:
        """Return the same, kept on the workers: later calls need the value, too."""
        sent = self.send(value)
        return sent if sent is value else self.persist([sent])[0]

    def total(self, parts: Sequence[Lazy]) -> Lazy:
        """Return the sum of all parts, added in a fixed order."""
        parts = list(parts)
        while len(parts) > 1:
            parts = [
                self.call(added, *parts[start : start + ADDED_PARTS])
                for start in range(0, len(parts), ADDED_PARTS)
            ]
        return parts[0]

    def collect(self, values: Sequence[Lazy]) -> list[Any]:
        """Compute all values and return them.

        Raises
        ------
        EvaluationLost
            If there is no worker left, workers died several times while they computed a
            value, or the client was closed.
        """
        import dask

        if self.client is None:
            return list(dask.compute(*values))
        return self._with_workers(values)

    def persist(self, values: Sequence[Lazy]) -> list[Lazy]:
        """Compute all values and keep them on the workers; they stay lazy."""
        if self.client is None:
            return list(values)
        return self.client.persist(list(values))

    def _with_workers(self, values: Sequence[Lazy]) -> list[Any]:
        """Compute all values; a worker that dies is replaced by another."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        client: Any = self.client
        futures: list[Any] = []
        try:
            futures = client.compute(list(values))
            self._wait(client, futures)
            return client.gather(futures)
        except KeyboardInterrupt:
            client.cancel(futures)
            raise
        except KilledWorker as error:
            raise EvaluationLost(
                f"Dask workers died while they worked on the rows ({error}). If they "
                "ran out of memory, use smaller chunks, or persist=False."
            ) from error
        except Exception as error:
            lost = isinstance(error, CancelledError | CommClosedError)
            if client.status == "running" and not lost:
                raise
            raise EvaluationLost(
                f"The Dask client was closed, or lost the fit: {error}"
            ) from error

    def _wait(self, client: Any, futures: list[Any]) -> None:
        from distributed import TimeoutError, wait

        last_seen = time.monotonic()
        while True:
            try:
                with client.as_current():  # there may be another one, or no default
                    wait(futures, timeout=LOOK)
                return
            except TimeoutError:
                if client.status != "running":
                    raise
                if client.nthreads():
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > self._patience:
                    client.cancel(futures)
                    raise EvaluationLost(
                        "No worker of the Dask cluster is left."
                    ) from None


def added(*parts: Any) -> Any:
    """Return the sum of parts, in their order: numbers, arrays, or tuples of them.

    Parts that are None count as 0.
    """
    present = [part for part in parts if part is not None]
    if not present:
        return None
    if isinstance(present[0], tuple):
        return tuple(added(*column) for column in zip(*present, strict=True))
    total = present[0]
    for part in present[1:]:
        total = total + part
    return total


def at_aligned_addresses(value: Any) -> Any:
    """Return arrays at aligned addresses, copied if they are not; others as they are.

    What Dask sends lies anywhere in a message. NumPy multiplies arrays that are not
    aligned in another order, with other bits.
    """
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, TrainingSet):
        X, y, weight = map(at_aligned_addresses, (value.X, value.y, value.weight))
        return value._replace(X=X, y=y, weight=weight)
    if sparse.issparse(value) and not value.data.flags.aligned:
        return value.copy()
    return value
