"""Limiting the BLAS during a solve, and giving it back what it had."""

import threading

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from sknn_simple._data import threads as module
from sknn_simple._data.threads import single_blas_thread

PATIENCE = 10.0  # seconds

needs_openblas = pytest.mark.skipif(
    not module.openblas_libraries(), reason="no OpenBLAS is loaded"
)


def limits():
    """The number of threads of every OpenBLAS, as threadpoolctl sees it."""
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


@needs_openblas
def test_every_openblas_has_one_thread_inside(two_allowed):
    with single_blas_thread() as allowed:
        assert allowed == 2
        assert limits() == ones()
    assert limits() == two_allowed


@needs_openblas
def test_limits_are_restored_after_an_error(two_allowed):
    with pytest.raises(KeyboardInterrupt), single_blas_thread():
        raise KeyboardInterrupt
    assert limits() == two_allowed


@needs_openblas
def test_nested_solves_are_allowed_as_much_and_restored_once(two_allowed):
    with single_blas_thread() as outer:
        with single_blas_thread() as inner:
            assert (outer, inner) == (2, 2)
            assert limits() == ones()
        assert limits() == ones()
    assert limits() == two_allowed


@needs_openblas
def test_it_can_be_used_again(two_allowed):
    for _ in range(3):
        with single_blas_thread() as allowed:
            assert allowed == 2
    assert limits() == two_allowed


@needs_openblas
def test_the_last_of_overlapping_solves_restores(two_allowed):
    """Solves in two threads, the first of which ends while the other goes on."""
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other_solve():
        with single_blas_thread() as allowed:
            seen.append(allowed)
            inside.set()
            assert leave.wait(PATIENCE)

    other = threading.Thread(target=other_solve)
    with single_blas_thread() as allowed:
        other.start()
        assert inside.wait(PATIENCE)
    during = limits()
    leave.set()
    other.join()
    assert (allowed, seen) == (2, [2])
    assert during == ones()
    assert limits() == two_allowed


@needs_openblas
def test_any_thread_may_solve(two_allowed):
    """threadpoolctl 3.8 obeys one thread at a time, and ignores others silently."""
    seen = []

    def solve():
        with single_blas_thread() as allowed:
            inside = limits()
        seen.append((allowed, inside, limits()))

    solve()
    other = threading.Thread(target=solve)
    other.start()
    other.join()
    assert seen == [(2, ones(), two_allowed)] * 2


@needs_openblas
def test_limits_can_be_set_from_any_thread_after_a_solve():
    """A solve must not keep threadpoolctl to its own thread."""
    with single_blas_thread():
        pass
    before, seen = limits(), []

    def limit():
        with threadpool_limits(2, user_api="blas"):
            seen.append(limits())

    other = threading.Thread(target=limit)
    other.start()
    other.join()
    assert seen == [[2] * len(before)]
    assert limits() == before


@needs_openblas
def test_an_outer_limit_is_respected(two_allowed):
    with threadpool_limits(1), single_blas_thread() as allowed:
        assert allowed == 1
        assert limits() == ones()
    assert limits() == two_allowed


@needs_openblas
def test_the_limit_of_the_moment_counts_not_the_first_one_seen():
    for n_threads in (2, 1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            with single_blas_thread() as allowed:
                assert allowed == n_threads
            assert limits() == [n_threads] * len(limits())


@needs_openblas
def test_libraries_with_limits_of_their_own_get_them_back(two_allowed):
    """The wheels of NumPy and SciPy each bring an OpenBLAS."""
    libraries = module.openblas_libraries()
    own = [3 if index == 0 else 1 for index in range(len(libraries))]
    for library, n_threads in zip(libraries, own, strict=True):
        library.set_num_threads(n_threads)
    with single_blas_thread() as allowed:
        assert allowed == 3
        assert limits() == ones()
    assert [library.num_threads for library in libraries] == own


def test_another_blas_is_left_alone(monkeypatch):
    monkeypatch.setattr(module, "openblas_libraries", tuple)
    before = limits()
    with single_blas_thread() as allowed:
        assert allowed == 1
        assert limits() == before
