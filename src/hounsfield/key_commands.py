"""``hounsfield keys``: the master keys of an installation, seen and changed beside its running servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from hounsfield.installation import database_file, database_key_file, open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.database_key import DatabaseDamagedError, DatabaseInUseError, change_database_key
from hounsfield.storage.keyring import LocalKeyring
from hounsfield.storage.keys import KeyUnavailableError
from hounsfield.storage.rotation import WrappedPlaces

RETIRE_AFTER: Final = timedelta(minutes=5)
"""How long a key must have been replaced before it can be removed: longer than any transaction that began with it."""


class KeyCommandError(click.ClickException):
    """What was asked for cannot be done; the message says why."""


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[LocalKeyring, WrappedPlaces]]:
    keyring = _keyring(settings)
    database = open_database(settings, keyring)
    try:
        yield keyring, WrappedPlaces(database, database_key_file(settings))
    finally:
        database.close()


def _keyring(settings: Settings) -> LocalKeyring:
    if not (settings.data / "keys" / "master.json").exists():
        raise KeyCommandError(f"{settings.data} is not the data folder of an installation: it has no keys/master.json")
    return open_keyring(settings)


def show(settings: Settings) -> None:
    """Print every master key with its age and what it wraps, and every key of the key service; raises `KeyCommandError`."""
    with _opened(settings) as (keyring, places):
        uses = dict(places.uses())
        services = places.service_uses()
    current = keyring.current.id
    prepared = False
    for key in keyring.keys:
        state = "current" if key.id == current else "prepared" if prepared else "old"
        prepared = prepared or key.id == current
        age = "unknown age" if key.made_at is None else _age(datetime.now(UTC) - key.made_at)
        click.echo(f"{key.id.hex()}  {state:<8}  {age:<12}  wraps {_told(uses.pop(key.id, Counter()))}")
    for missing, wrapped in uses.items():
        click.echo(f"{missing.hex()}  MISSING   {'':<12}  wraps {_told(wrapped)}")
    for arn, count in sorted(services.items()):
        click.echo(f"{arn}  key service  wraps {_told(Counter({'data key': count}))}")


def prepare(settings: Settings) -> None:
    """Make the next master key, which does not wrap anything yet; raises `KeyCommandError`."""
    key = _keyring(settings).prepare()
    click.echo(f"prepared {key.id.hex()}; copy keys/master.json to all nodes, then run `hounsfield keys rotate` on one")


def rotate(settings: Settings, *, database: bool) -> None:
    """Let a new master key wrap everything.

    Parameters
    ----------
    settings : Settings
        The installation.
    database : bool
        Whether the embedded database gets a new key too.

    Raises
    ------
    KeyCommandError
        Something is wrapped with a key that is gone, or the database cannot get a new key now.
    """
    if database and settings.database_url:
        raise KeyCommandError("--database is for the embedded database, and this installation uses PostgreSQL")
    keyring = _keyring(settings)
    if database:
        # First, because it may be refused, and nothing was changed then.
        try:
            change_database_key(database_key_file(settings), keyring, database_file(settings))
        except (DatabaseInUseError, DatabaseDamagedError) as error:
            raise KeyCommandError(str(error)) from error
        click.echo("the embedded database has a new key")
    keyring.prepare()
    key = keyring.activate()
    with _opened(settings) as (ring, places):
        try:
            done = Counter(places.rewrap(ring))
        except KeyUnavailableError as error:
            raise KeyCommandError(f"not everything could be wrapped with {key.id.hex()}: {error}") from error
    click.echo(f"{key.id.hex()} wraps from now on; wrapped with it: {_told(done)}")


def retire(settings: Settings) -> None:
    """Remove the old master keys that wrap nothing.

    Raises
    ------
    KeyCommandError
        The current key has been so for too short a time, so that work that began before may still end with an old one.
    """
    with _opened(settings) as (keyring, places):
        current, since = keyring.current.id, keyring.current_since
        known = [key.id for key in keyring.keys]
        old = known[: known.index(current)]
        if old and since is not None and (left := since + RETIRE_AFTER - datetime.now(UTC)) > timedelta(0):
            raise KeyCommandError(f"the current key is too young; try again in {left.total_seconds():.0f} s")
        uses = places.uses()
        unused = [key_id for key_id in old if key_id not in uses]
        keyring.remove(unused)
    for key_id in old:
        what = "retired" if key_id in unused else f"kept: it wraps {_told(uses[key_id])}; run `hounsfield keys rotate`"
        click.echo(f"{key_id.hex()}  {what}")
    if not old:
        click.echo("there are no old keys")


def _told(counts: Counter[str]) -> str:
    parts = [f"{count} {what}{'s' if count != 1 else ''}" for what, count in sorted(counts.items())]
    return ", ".join(parts) or "nothing"


def _age(age: timedelta) -> str:
    return f"{age.days} days old" if age.days else f"{age.seconds // 60} min old"
