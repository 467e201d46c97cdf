"""Opening, rate, signals and progress of commands that work long on an installation: one way in, one bound, one end for all.

--data ─▶ installation opened, or exit code 3 ─▶ work, at a rate, until a signal ─▶ lines on how far it is
"""

from __future__ import annotations

import dataclasses
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.cli.installation import InvalidError, RefusedError, check_installation_exists, report_refusals
from hounsfield.imaging.image_store import ImageStore
from hounsfield.runtime.logs import configure_logs
from hounsfield.settings import Settings, load_settings
from hounsfield.storage.keys.master_keys import LocalKeyring

_RATE: Final = re.compile(r"(?P<number>[1-9][0-9]{0,14})(?P<unit>[kMG]?)")
_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_TOLD_SECONDS: Final = 5.0
_TOLD_LOG_SECONDS: Final = 60.0


class NotCarriedOutError(click.ClickException):
    """What a command is for was not done, or not to its end; 1 is for what was done and found something, 2 for options."""

    exit_code = 3


def read_settings(data: Path) -> Settings:
    """Return the settings of the installation in a data folder; from now on the log has warnings only."""
    configure_logs("warning")
    return dataclasses.replace(load_settings(), data=data)


@contextmanager
def opened_installation(data: Path) -> Iterator[tuple[Settings, ImageStore, LocalKeyring]]:
    """Yield the settings, the stores and the master keys of an installation.

    Raises
    ------
    NotCarriedOutError
        There is no installation, or it cannot be opened.
    InvalidError
        A setting cannot be.
    """
    settings = read_settings(data)
    try:
        check_installation_exists(settings)
        with report_refusals(settings):
            image_store, keyring = open_image_store(settings)
    except RefusedError as error:
        raise NotCarriedOutError(error.message) from error
    try:
        yield settings, image_store, keyring
    finally:
        image_store.database.close()


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
