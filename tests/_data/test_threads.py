"""The limit of BLAS threads during a fit, and the threads that work for a fit."""

import gc
import itertools
import signal
import sys
import threading
import time
import weakref
from contextlib import suppress

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from sknn_simple._data.threads import (
    BlasLimit,
    Workers,
    limit_blas_threads,
    openblas_libraries,
)

THREADS = [1, 2, 3]
PATIENCE = 10.0  # seconds after which a test that waits for a thread gives up

needs_openblas = pytest.mark.skipif(
    not openblas_libraries(), reason="no OpenBLAS is loaded"
)


def limits():
    """The number of threads of every OpenBLAS, as threadpoolctl reports it."""
    return [
        library.num_threads
        for library in ThreadpoolController().lib_controllers
        if library.internal_api == "openblas"
    ]


@pytest.fixture
def two_allowed():
    with threadpool_limits(2, user_api="blas"):
        yield [2] * len(limits())


def ones():
    return [1] * len(limits())


# limit_blas_threads -------------------------------------------------------------------


@needs_openblas
def test_every_openblas_has_one_thread_inside(two_allowed):
    with limit_blas_threads as allowed:
        assert allowed == 2
        assert limits() == ones()
    assert limits() == two_allowed


@needs_openblas
def test_limits_are_restored_after_an_error(two_allowed):
    with pytest.raises(KeyboardInterrupt), limit_blas_threads:
        raise KeyboardInterrupt
    assert limits() == two_allowed


@needs_openblas
def test_fits_at_the_same_time_share_the_threads(two_allowed):
    """The limits are restored once, after the last of them."""
    with limit_blas_threads as first:
        with limit_blas_threads as second, limit_blas_threads as third:
            assert (first, second, third) == (2, 1, 1)
            assert limits() == ones()
        assert limits() == ones()
    assert limits() == two_allowed


@needs_openblas
def test_one_fit_after_another_has_all_threads(two_allowed):
    for _ in range(3):
        with limit_blas_threads as allowed:
            assert allowed == 2
    assert limits() == two_allowed


@needs_openblas
def test_the_last_of_overlapping_fits_restores(two_allowed):
    """Fits in two threads: the one that started first ends while the other runs."""
    inside, leave = threading.Event(), threading.Event()

    def other_fit():
        with limit_blas_threads:
            inside.set()
            assert leave.wait(PATIENCE)

    other = threading.Thread(target=other_fit)
    with limit_blas_threads:
        other.start()
        assert inside.wait(PATIENCE)
    during = limits()
    leave.set()
    other.join()
    assert during == ones()
    assert limits() == two_allowed


@needs_openblas
def test_a_fit_may_run_in_any_thread(two_allowed):
    """threadpoolctl 3.8 obeys one thread at a time, and ignores others silently."""
    found = []

    def fit():
        with limit_blas_threads as allowed:
            inside = limits()
        found.append((allowed, inside, limits()))

    fit()
    other = threading.Thread(target=fit)
    other.start()
    other.join()
    assert found == [(2, ones(), two_allowed)] * 2


@needs_openblas
def test_any_thread_can_set_limits_after_a_fit():
    """A fit must not leave threadpoolctl bound to its own thread."""
    with limit_blas_threads:
        pass
    before, found = limits(), []

    def limit():
        with threadpool_limits(2, user_api="blas"):
            found.append(limits())

    other = threading.Thread(target=limit)
    other.start()
    other.join()
    assert found == [[2] * len(before)]
    assert limits() == before


@needs_openblas
def test_an_outer_limit_is_respected(two_allowed):
    with threadpool_limits(1), limit_blas_threads as allowed:
        assert allowed == 1
        assert limits() == ones()
    assert limits() == two_allowed


@needs_openblas
def test_the_limit_at_the_start_of_each_fit_counts():
    for n_threads in (2, 1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            with limit_blas_threads as allowed:
                assert allowed == n_threads
            assert limits() == [n_threads] * len(limits())


@needs_openblas
def test_every_library_gets_its_own_limit_back(two_allowed):
    """The wheels of NumPy and SciPy each bring an OpenBLAS."""
    libraries = openblas_libraries()
    own = [3 if index == 0 else 1 for index in range(len(libraries))]
    for library, n_threads in zip(libraries, own, strict=True):
        library.set_num_threads(n_threads)
    with limit_blas_threads as allowed:
        assert allowed == 3
        assert limits() == ones()
    assert [library.num_threads for library in libraries] == own


def test_without_an_openblas_there_is_one_thread_and_no_limit(two_allowed):
    limit = BlasLimit(tuple)
    for _ in range(2):
        assert limit.__enter__() == 1
        assert limits() == two_allowed
    limit.__exit__()
    limit.__exit__()
    assert limits() == two_allowed


class Library:
    """Stands for an OpenBLAS; Ctrl-C comes at the first call that sets a limit."""

    def __init__(self, error=None):
        self.num_threads = 2
        self.error = error

    def set_num_threads(self, n_threads):
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.num_threads = n_threads


def test_ctrl_c_while_limits_are_set_leaves_none():
    libraries = Library(), Library(KeyboardInterrupt())
    limit = BlasLimit(lambda: libraries)
    with pytest.raises(KeyboardInterrupt):
        limit.__enter__()
    assert [library.num_threads for library in libraries] == [2, 2]
    assert limit.__enter__() == 2
    assert [library.num_threads for library in libraries] == [1, 1]
    limit.__exit__()
    assert [library.num_threads for library in libraries] == [2, 2]


signals_reach_threads = pytest.mark.skipif(
    sys.platform == "win32", reason="its threads get no signals"
)


# Workers ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("n_threads", THREADS)
def test_run_calls_every_index_once(n_threads, count):
    found = []
    with Workers(n_threads) as workers:
        workers.run(found.append, count)
        workers.run(found.append, count)
    assert sorted(found) == sorted([*range(count), *range(count)])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_run_works_on_as_many_threads_as_allowed(n_threads):
    together = threading.Barrier(n_threads, timeout=PATIENCE)

    def meet(_):
        together.wait()

    with Workers(n_threads) as workers:
        # Passes only if n_threads calls are in progress at the same time.
        workers.run(meet, n_threads)


def test_workers_can_be_restarted_with_another_number_of_threads():
    workers, before = Workers(1), set(threading.enumerate())
    for n_threads in (2, 1, 3):
        together = threading.Barrier(n_threads, timeout=PATIENCE)

        def meet(_, together=together):
            together.wait()

        with workers.restarted(n_threads) as same:
            assert same is workers
            workers.run(meet, n_threads)
        assert set(threading.enumerate()) == before


def test_one_thread_means_the_calling_thread():
    threads = []
    with Workers(1) as workers:
        workers.run(lambda _: threads.append(threading.get_ident()), 5)
    assert set(threads) == {threading.get_ident()}


@pytest.mark.parametrize("n_threads", THREADS)
def test_no_thread_is_left_after_exit(n_threads):
    before = set(threading.enumerate())
    with Workers(n_threads) as workers:
        workers.run(lambda _: None, 10)
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("n_threads", THREADS)
def test_no_thread_is_left_after_an_error(n_threads):
    def fail(_):
        raise ZeroDivisionError

    def use():
        with Workers(n_threads) as workers:
            workers.run(fail, 10)

    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        use()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("failing", [0, 3, 9])
@pytest.mark.parametrize("n_threads", THREADS)
def test_an_error_in_any_call_is_raised(n_threads, failing):
    def work(index):
        if index == failing:
            raise ZeroDivisionError(index)

    with Workers(n_threads) as workers:
        with pytest.raises(ZeroDivisionError, match=str(failing)):
            workers.run(work, 10)
        # The workers can be used again.
        found = []
        workers.run(found.append, 10)
        assert sorted(found) == list(range(10))


def test_an_interrupt_of_the_caller_waits_for_the_helpers():
    """Work that goes on after `run` would write into arrays that others now own."""
    caller, busy, finished = threading.current_thread(), threading.Event(), []

    def work(index):
        if threading.current_thread() is caller:
            assert busy.wait(PATIENCE)
            raise KeyboardInterrupt
        busy.set()
        threading.Event().wait(0.05)
        finished.append(index)

    with Workers(2) as workers:
        with pytest.raises(KeyboardInterrupt):
            workers.run(work, 50)
        assert len(finished) == 1  # the call in progress, and none after it


def test_work_is_not_kept_for_helpers_that_come_too_late():
    class Work:
        def __call__(self, index):
            pass

    with Workers(2) as workers:
        kept = []
        for _ in range(1000):
            work = Work()
            kept.append(weakref.ref(work))
            workers.run(work, 2)
        del work
        # A helper may look at the last one now.
        assert sum(each() is not None for each in kept) <= 1


@signals_reach_threads
@pytest.mark.usefixtures("signals_are_interrupts")
def test_an_interrupt_of_the_caller_that_waits_for_the_helpers():
    caller, busy, finished = threading.get_ident(), threading.Event(), []

    def work(index):
        if threading.get_ident() == caller:
            assert busy.wait(PATIENCE)
        else:
            busy.set()
            threading.Event().wait(0.05)
            signal.pthread_kill(caller, signal.SIGINT)
            threading.Event().wait(0.05)
            finished.append(index)

    with Workers(2) as workers:
        with pytest.raises(KeyboardInterrupt):
            workers.run(work, 2)
        assert len(finished) == 1


@signals_reach_threads
@pytest.mark.usefixtures("signals_are_interrupts")
def test_an_interrupt_is_raised_although_the_work_of_the_caller_failed():
    caller, busy = threading.get_ident(), threading.Event()

    def work(index):
        if threading.get_ident() == caller:
            assert busy.wait(PATIENCE)
            raise ZeroDivisionError
        busy.set()
        threading.Event().wait(0.05)
        signal.pthread_kill(caller, signal.SIGINT)
        threading.Event().wait(0.05)

    with Workers(2) as workers, pytest.raises(KeyboardInterrupt):
        workers.run(work, 2)


@pytest.mark.timeout(120)
def test_an_interrupt_at_any_step_of_the_caller_ends():
    def use(step):
        """Return whether there is such a step."""
        steps = itertools.count()

        def trace(frame, event, argument):
            # Python drops an exception of a callback of weak references, for example.
            if frame.f_globals["__name__"] not in {Workers.__module__, "threading"}:
                return None
            frame.f_trace_opcodes = True
            if next(steps) == step:
                raise KeyboardInterrupt
            return trace

        workers, before = Workers(3), sys.gettrace()
        workers.run(lambda _: None, 3)  # so that its threads have started
        sys.settrace(trace)
        try:
            with workers:
                workers.run(lambda _: None, 3)
            return False
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)

    threads = set(threading.enumerate())
    n_steps = next(step for step in itertools.count() if not use(step))
    assert n_steps > 50
    end = time.monotonic() + PATIENCE
    while not set(threading.enumerate()) <= threads and time.monotonic() < end:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("fails", ["caller", "helper"])
def test_nothing_of_failed_work_is_kept(fails):
    class Work:
        def __init__(self):
            self.caller, self.busy = threading.get_ident(), threading.Event()

        def __call__(self, index):
            is_caller = threading.get_ident() == self.caller
            if is_caller:
                assert self.busy.wait(PATIENCE)
            self.busy.set()
            if is_caller == (fails == "caller"):
                raise ZeroDivisionError

    def use(workers):
        work = Work()
        with suppress(ZeroDivisionError):
            workers.run(work, 2)
            pytest.fail("no error")
        return weakref.ref(work)

    gc.disable()
    try:
        with Workers(2) as workers:
            kept = use(workers)
            workers.run(lambda _: None, 2)
        assert kept() is None
    finally:
        gc.enable()


def test_an_error_in_one_helper_waits_for_the_others():
    caller, failed, busy = (
        threading.current_thread(),
        threading.Event(),
        threading.Event(),
    )
    first, release, finished = threading.Lock(), threading.Event(), []

    def work(index):
        if threading.current_thread() is caller:
            assert failed.wait(PATIENCE)
        elif first.acquire(blocking=False):
            assert busy.wait(PATIENCE)
            failed.set()
            raise ZeroDivisionError
        else:
            busy.set()
            release.wait(0.1)
            finished.append(index)

    with Workers(3) as workers:
        with pytest.raises(ZeroDivisionError):
            workers.run(work, 3)
        still_working = not finished
        release.set()
    assert not still_working


def test_the_helpers_have_the_error_state_of_the_caller():
    """NumPy's error state belongs to a thread."""
    together, states = threading.Barrier(2, timeout=PATIENCE), []

    def note(_):
        together.wait()
        states.append(np.geterr()["under"])

    with Workers(2) as workers, np.errstate(under="raise"):
        workers.run(note, 2)
    assert states == ["raise", "raise"]
