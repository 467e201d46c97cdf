"""Threads that a process cannot do without: begun again after errors that nobody foresaw, and told of."""

from __future__ import annotations

import threading

from hounsfield.runtime.supervised_threads import SupervisedThread, failing_threads
from support.servers import wait_for


def test_a_thread_that_ends_by_an_error_is_begun_again_and_told_of() -> None:
    begun: list[int] = []
    stop = threading.Event()

    def work() -> None:
        begun.append(1)
        if len(begun) < 3:
            raise MemoryError
        stop.wait()

    thread = SupervisedThread("mortal", work, stop)
    assert not thread.is_alive()
    thread.start()
    wait_for(lambda: len(begun) == 3, "the third beginning")
    assert thread.is_alive()
    assert "mortal" in failing_threads()
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_a_thread_that_was_asked_to_end_is_not_begun_again() -> None:
    begun: list[int] = []
    stop = threading.Event()

    def work() -> None:
        begun.append(1)
        stop.wait()
        raise ValueError

    thread = SupervisedThread("asked", work, stop)
    thread.start()
    stop.set()
    thread.join(60)
    assert (begun, thread.is_alive()) == ([1], False)


def test_a_thread_that_returns_is_not_begun_again() -> None:
    begun: list[int] = []
    thread = SupervisedThread("done", lambda: begun.append(1))
    thread.start()
    thread.join(60)
    assert begun == [1]
    assert "done" not in failing_threads()
