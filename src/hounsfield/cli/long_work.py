"""Rate, signals and progress of commands that work for long: a bound, an end, and lines on how far they are."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from hounsfield.cli.installation import InvalidError

_RATE: Final = re.compile(r"(?P<number>[1-9][0-9]{0,14})(?P<unit>[kMG]?)")
_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_TOLD_SECONDS: Final = 5.0
_TOLD_LOG_SECONDS: Final = 60.0


def parse_rate(text: str | None) -> int:
    """Return bytes a second, 0 for no bound; raises `InvalidError`."""
    if text is None:
        return 0
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidError(f"--rate {text!r} is no rate: it is a number of bytes a second, such as 50000000 or 50M")
    return int(found["number"]) * _UNITS[found["unit"]]


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that an interrupt sets, so that what was done is kept and can be gone on with."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ProgressLines:
    """Lines on standard error on how far a command is: every few seconds in a terminal, once a minute elsewhere."""

    def __init__(self) -> None:
        self._seconds = _TOLD_SECONDS if sys.stderr.isatty() else _TOLD_LOG_SECONDS
        self._told_at = time.monotonic()

    def tell(self, what: str, done: int, total: int) -> None:
        """Write how much is done, where that was not said a moment ago; ``total`` is 0 where it is not known."""
        now = time.monotonic()
        if now - self._told_at >= self._seconds:
            self._told_at = now
            click.echo(f"{done} of {total} {what}" if total else f"{done} {what}", err=True)
