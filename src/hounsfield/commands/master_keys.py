"""``hounsfield keys``: the master keys of an installation, seen and changed beside its running servers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from hounsfield.commands.opening import InvalidError, RefusedError
from hounsfield.commands.recording import recorded
from hounsfield.installation import database_file, database_key_file, open_database, open_keyring
from hounsfield.settings import Settings, load_settings
from hounsfield.storage.database_errors import DatabaseDamagedError
from hounsfield.storage.database_key import DatabaseInUseError, change_database_key
from hounsfield.storage.keyring import LocalKeyring
from hounsfield.storage.keys import KeyUnavailableError
from hounsfield.storage.rotation import WrappedPlaces

RETIRE_AFTER: Final = timedelta(minutes=5)
"""How long a key must have been replaced before it can be removed: longer than any transaction that began with it."""

_data = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: load_settings().data,
    show_default="HOUNSFIELD_DATA, or ./data",
    help="Folder of everything that is kept.",
)


@click.group("keys")
def commands() -> None:
    """List, rotate and retire the master keys of the installation."""


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[LocalKeyring, WrappedPlaces]]:
    keyring = _keyring(settings)
    database = open_database(settings, keyring)
    try:
        with recorded(settings, database, keyring, click.get_current_context(), "kms.amazonaws.com"):
            yield keyring, WrappedPlaces(database, database_key_file(settings))
    finally:
        database.close()


def _settings(data: Path) -> Settings:
    return dataclasses.replace(load_settings(), data=data)


def _keyring(settings: Settings) -> LocalKeyring:
    master = settings.data / "keys" / "master.json"
    if not master.is_file():
        raise RefusedError(f"{settings.data} is not a data folder: {master} is not there")
    return open_keyring(settings)


@commands.command("list")
@_data
def show(data: Path) -> None:
    """List the master keys and the keys of the key service, with what they wrap."""
    with _opened(_settings(data)) as (keyring, places):
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


@commands.command("prepare")
@_data
def prepare(data: Path) -> None:
    """Make the next master key without using it, so that it can be copied to all nodes first."""
    with _opened(_settings(data)) as (keyring, _):
        key = keyring.prepare()
    click.echo(f"prepared {key.id.hex()}; copy keys/master.json to all nodes, then run `hounsfield keys rotate` on one")


@commands.command("rotate")
@_data
@click.option("--database", is_flag=True, help="Also encrypt the embedded database anew; the server must be stopped.")
def rotate(data: Path, database: bool) -> None:
    """Make a new master key, or take the prepared one, and wrap everything with it; servers may run."""
    settings = _settings(data)
    if database and settings.database_url:
        raise InvalidError("--database is for the embedded database, and this installation uses PostgreSQL")
    keyring = _keyring(settings)
    if database:
        # First, because it may be refused, and nothing was changed then.
        try:
            change_database_key(database_key_file(settings), keyring, database_file(settings))
        except (DatabaseInUseError, DatabaseDamagedError) as error:
            raise RefusedError(str(error)) from error
        click.echo("the embedded database has a new key")
    keyring.prepare()
    key = keyring.activate()
    with _opened(settings) as (ring, places):
        try:
            done = Counter(places.rewrap(ring))
        except KeyUnavailableError as error:
            raise RefusedError(f"not everything could be wrapped with {key.id.hex()}: {error}") from error
    click.echo(f"{key.id.hex()} wraps from now on; wrapped with it: {_told(done)}")


@commands.command("retire")
@_data
def retire(data: Path) -> None:
    """Remove the master keys that nothing is wrapped with any more."""
    with _opened(_settings(data)) as (keyring, places):
        current, since = keyring.current.id, keyring.current_since
        known = [key.id for key in keyring.keys]
        old = known[: known.index(current)]
        if old and since is not None and (left := since + RETIRE_AFTER - datetime.now(UTC)) > timedelta(0):
            raise RefusedError(f"the current key is too young; try again in {left.total_seconds():.0f} s")
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
