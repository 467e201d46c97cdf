"""Helper programs of multiprocessing, forked from a process that has imported what they need, instead of begun from nothing.

    ensure_running ─▶ util.spawnv_passfds ─┬─ usually ─▶ a new Python, which imports everything again
                                           └─ here    ─▶ fork: what is imported is there at once, and in memory once

Only a process of one thread may fork so. A fork server that died later is begun from nothing, as there are threads by then.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import util
from pathlib import Path
from typing import Final

from setproctitle import setproctitle

_THREADS: Final = Path("/proc/self/task")
_OF_PARENT: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_SEAM: Final = "spawnv_passfds"
_MOST_FILES: Final = 1 << 20


def may_fork() -> bool:
    """Return whether this process has one thread, and so nothing that a fork would leave half done."""
    return _THREADS.is_dir() and len(list(_THREADS.iterdir())) == 1


@contextmanager
def forked_programs() -> Iterator[None]:
    """Fork the programs that multiprocessing begins within the block."""
    usual = util.spawnv_passfds
    setattr(util, _SEAM, _fork)
    try:
        yield
    finally:
        setattr(util, _SEAM, usual)


def _fork(_program: str, arguments: Sequence[str], passed: Sequence[int]) -> int:
    """Run the code that a new Python was to run, the last argument, in a fork; return its process id."""
    code = arguments[-1]
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for number in _OF_PARENT:
            signal.signal(number, signal.SIG_DFL)
        _close_all_but(passed)
        # The module that the code names, as its command line would have it.
        setproctitle(f"hounsfield {code.split()[1]}")
        exec(code, {"__name__": "__main__"})  # noqa: S102 - of the standard library
        status = 0
    except SystemExit:
        status = 0
    except BaseException:  # noqa: BLE001 - it must never go on with what its parent does
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _close_all_but(kept: Sequence[int]) -> None:
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = max(first, descriptor + 1)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.closerange(first, _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES))
