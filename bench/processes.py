"""The processes of a server: a process and all below it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil


def tree(pid: int) -> Iterator[psutil.Process]:
    """Give a process and all below it; any of them may end while it is looked at."""
    first = psutil.Process(pid)
    yield first
    yield from first.children(recursive=True)


def processor_seconds(pid: int) -> float:
    """Give the processor time that the living processes of a tree have used, in seconds."""
    seconds = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds
