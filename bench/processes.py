"""What processes use: those of a server, a process and all below it, or this one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cost:
    """Wall time and processor time, in seconds."""

    wall: float
    processor: float


def tree(pid: int) -> Iterator[psutil.Process]:
    """Yield a process and all below it; any of them may end while it is looked at."""
    first = psutil.Process(pid)
    yield first
    yield from first.children(recursive=True)


def processor_seconds(pid: int) -> float:
    """Return the processor time that the living processes of a tree have used, in seconds."""
    seconds = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def cost_of(work: Callable[[], object]) -> Cost:
    """Do something, and return its cost to this process and those below it, ended ones too."""
    began, before = time.perf_counter(), _own_seconds()
    work()
    return Cost(time.perf_counter() - began, _own_seconds() - before)


def _own_seconds() -> float:
    ended = os.times()
    return processor_seconds(os.getpid()) + ended.children_user + ended.children_system
