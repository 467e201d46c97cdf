"""Threads that copy packs: some at once, with no more of the work waiting for them than they take next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def copy_by_threads(
    works: Iterator[Work], copy: Callable[[Work], Result], threads: int, ended: Callable[[Work, Result], None]
) -> None:
    """Copy by several threads, and tell of each piece of work by this one, in the order in which they end.

    Parameters
    ----------
    works : iterator
        What is to be copied; asked by this thread as far as it is needed.
    copy : callable
        Copies one; what it raises ends all.
    threads : int
        How many there are.
    ended : callable
        Is told of each, and what came of it.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="packs")
    under_way: dict[Future[Result], Work] = {}

    def begin(count: int) -> None:
        for work in islice(works, count):
            under_way[pool.submit(copy, work)] = work

    try:
        begin(threads * 2)
        while under_way:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                ended(under_way.pop(future), future.result())
                begin(1)
    finally:
        pool.shutdown(cancel_futures=True)
