"""Supervised threads: one that ends by an error is restarted, and readiness reports it.

start ─▶ run ─┬─▶ returns: it was asked to end
              └─▶ raises ─▶ logged ─▶ a pause ─▶ run
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

import structlog

_PAUSE_SECONDS: Final = 1.0
_WELL_SECONDS: Final = 10.0
"""How long a thread must have run since it was begun again to be as good as before."""
_log = structlog.get_logger(__name__)
_all: Final = weakref.WeakSet["SupervisedThread"]()


class SupervisedThread:
    """A thread that goes on after errors that nobody foresaw.

    Parameters
    ----------
    name : str
        What it is called, in the log and in what `failing_threads` gives.
    run : callable
        What it does; it returns when it is asked to end. All that it must not lose is kept by its owner, not on its stack.
    stop : threading.Event or None
        Set when it is asked to end: it is not begun again then.
    daemon : bool
        Whether the process may end without it.
    """

    def __init__(
        self, name: str, run: Callable[[], object], stop: threading.Event | None = None, *, daemon: bool = True
    ) -> None:
        self.name = name
        self._run = run
        self._stop = stop or threading.Event()
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._live, name=name, daemon=daemon)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        _all.add(self)

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Return whether it was begun and has not ended."""
        return self._thread.is_alive()

    @property
    def is_failing(self) -> bool:
        """Whether it ended by an error and has not worked for a while since."""
        return self._failed_at is not None and time.monotonic() - self._failed_at < _WELL_SECONDS

    def _live(self) -> None:
        while True:
            try:
                self._run()
            except Exception as error:  # noqa: BLE001 - the last resort of a thread that must go on
                self._failed_at = time.monotonic()
                _log.critical("thread begun again", thread=self.name, error=type(error).__name__, exc_info=error)
                if not self._stop.wait(_PAUSE_SECONDS):
                    continue
            return


def failing_threads() -> list[str]:
    """Return the names of the lasting threads of this process that are failing."""
    return sorted({thread.name for thread in list(_all) if thread.is_failing})
