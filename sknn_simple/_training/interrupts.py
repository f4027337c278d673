"""Ctrl-C in a fit: it ends the fit, and is raised only where that loses nothing."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from sknn_simple._optim.journey import Iterate
from sknn_simple._training.monitors import SilentMonitor, Theta


class Interrupts(SilentMonitor):
    """Ctrl-C during one fit, and a monitor of the minimisations in it.

    A minimisation knows how to end with its best iterate, so there Ctrl-C raises at
    once. Anywhere else an exception would lose what has been reached, or leave the
    limits of the BLAS half restored: the next minimisation raises it, at its start. A
    second Ctrl-C raises wherever the program is.

    Attributes
    ----------
    pending : bool
        Whether Ctrl-C was pressed.
    repeated : bool
        Whether it was pressed again.
    """

    def __init__(self) -> None:
        self.pending = self.repeated = False
        self._minimising = False
        self._tell: Callable[[], None] | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal; the arguments are Python's contract."""
        self.repeated, self.pending = self.pending, True
        if self.repeated or self._minimising:
            self._minimising = False
            raise KeyboardInterrupt
        if self._tell is not None:
            self._tell()

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        """Raise what has been kept; from now on Ctrl-C raises by itself."""
        if self.pending:
            raise KeyboardInterrupt
        self._minimising = True
        return False

    def abandoned(self) -> None:
        """Note the end of a minimisation."""
        self._minimising = False

    @contextmanager
    def told_to(self, request: Callable[[], None]) -> Iterator[None]:
        """Call `request` when Ctrl-C is pressed, or was pressed before."""
        self._tell = request
        try:
            if self.pending:
                request()
            yield
        finally:
            self._tell = None


# The fit that Ctrl-C is for. There is one: signals reach the main thread only.
_current = Interrupts()


def interrupts() -> Interrupts:
    """Return those of the fit in the main thread; in other threads none ever come."""
    return _current if _in_main_thread() else Interrupts()


@contextmanager
def kept_interrupts() -> Iterator[Interrupts]:
    """Handle Ctrl-C during a fit, unless the program has a handler of its own."""
    global _current
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler or not _in_main_thread():
        yield Interrupts()
        return
    before, _current = _current, Interrupts()
    try:
        signal.signal(signal.SIGINT, _current.handle)
        yield _current
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _current = before


class Interruption(SilentMonitor):
    """Ctrl-C as other threads and processes see it: a file that appears.

    Parameters
    ----------
    folder : Path
        Where it appears; a folder that is there while the fit goes on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "interrupted"
        self._process = os.getpid()

    def request(self) -> None:
        """Have the minimisations end that this is a monitor of."""
        self._file.touch()

    def requested(self) -> bool:
        """Whether they should end, as they also should when the fit has ended."""
        return self._file.exists() or not self._folder.exists()

    def ended(self, iterate: Iterate, theta: Theta) -> bool:
        """End the minimisation as if it had been interrupted itself."""
        if self.requested():
            raise KeyboardInterrupt
        return False

    def shield(self) -> None:
        """Leave Ctrl-C to the process that fits, where this is one of its workers.

        In a terminal it reaches them all, and a worker that it ends takes down the
        others with what they have reached.
        """
        handler = signal.getsignal(signal.SIGINT)
        ours = isinstance(getattr(handler, "__self__", None), Interruption | Interrupts)
        replaceable = ours or handler is signal.default_int_handler
        if os.getpid() != self._process and _in_main_thread() and replaceable:
            signal.signal(signal.SIGINT, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Ignore the signal; a worker outlives the fit, and then obeys it again."""
        if not self._folder.exists():
            signal.default_int_handler(number, frame)


@contextmanager
def shared_interruption() -> Iterator[Interruption]:
    """Hand Ctrl-C on to other threads and processes."""
    with TemporaryDirectory(prefix="sknn_simple-") as folder:
        interruption = Interruption(Path(folder))
        with interrupts().told_to(interruption.request):
            yield interruption


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
