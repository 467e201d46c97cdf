"""``hounsfield master-key``: list, rotate, retire, export and import the master keys, beside running servers."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

import click

from hounsfield.bootstrap.image_store import archive_location, blob_location, open_location
from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.bootstrap.start_faults import database_file, database_key_file, master_key_file
from hounsfield.cli.audit_record import record_command
from hounsfield.cli.data_option import data_option
from hounsfield.cli.installation import InvalidError, RefusedError, check_installation_exists, report_refusals
from hounsfield.cli.passphrase_option import passphrase_option
from hounsfield.cli.passphrases import read_passphrase
from hounsfield.settings import Settings, load_settings
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.db.errors import DatabaseDamagedError
from hounsfield.storage.durable_files import sync_folder, write_file_durably
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.database_key import DatabaseInUseError, change_database_key
from hounsfield.storage.keys.key_export import ExportError, export_keys, import_keys
from hounsfield.storage.keys.master_keys import KeyringError, LocalKeyring
from hounsfield.storage.keys.rotation import WrappedKeys

RETIRE_AFTER: Final = timedelta(minutes=5)
"""How long a key must have been replaced before it can be removed: longer than any transaction that began with it."""


@click.group("master-key")
def commands() -> None:
    """List, rotate, retire, export and import the master keys of the installation."""


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[LocalKeyring, WrappedKeys]]:
    check_installation_exists(settings)
    with report_refusals(settings):
        keyring = open_keyring(settings)
        database = open_database(settings, keyring)
        try:
            with record_command(settings, database, keyring, click.get_current_context(), "kms.amazonaws.com"):
                yield keyring, WrappedKeys(database, database_key_file(settings), _pack_places(settings))
        finally:
            database.close()


def _pack_places(settings: Settings) -> list[Blobs]:
    """Return the places of packs, beside which data keys are kept."""
    second = archive_location(settings)
    first = open_location(blob_location(settings), "HOUNSFIELD_BLOBS_URL")
    return [first] if second is None else [first, open_location(second, "HOUNSFIELD_ARCHIVE_BLOBS_URL")]


def _settings(data: Path) -> Settings:
    return dataclasses.replace(load_settings(), data=data)


@commands.command("list")
@data_option
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
@data_option
def prepare(data: Path) -> None:
    """Make the next master key without using it, so that it can be copied to all nodes first."""
    with _opened(_settings(data)) as (keyring, _):
        key = keyring.prepare()
    click.echo(
        f"prepared {key.id.hex()}; copy keys/master.json to all nodes, then run `hounsfield master-key rotate` on one"
    )


@commands.command("rotate")
@data_option
@click.option("--database", is_flag=True, help="Also encrypt the embedded database anew; the server must be stopped.")
def rotate(data: Path, database: bool) -> None:
    """Make a new master key, or take the prepared one, and wrap everything with it; servers may run."""
    settings = _settings(data)
    if database and settings.database_url:
        raise InvalidError("--database is for the embedded database, and this installation uses PostgreSQL")
    check_installation_exists(settings)
    with report_refusals(settings):
        keyring = open_keyring(settings)
        if database:
            # First, because it may be refused, and nothing was changed then.
            try:
                change_database_key(database_key_file(settings), keyring, database_file(settings))
            except (DatabaseInUseError, DatabaseDamagedError) as error:
                raise RefusedError(str(error)) from error
            click.echo("the embedded database has a new key")
        else:
            # What cannot be opened is not to be wrapped: nothing was changed then either.
            open_database(settings, keyring).close()
        keyring.prepare()
        key = keyring.activate()
    with _opened(settings) as (ring, places):
        try:
            done = Counter(places.rewrap(ring))
        except KeyUnavailableError as error:
            raise RefusedError(f"not everything could be wrapped with {key.id.hex()}: {error}") from error
        except OSError as error:
            raise RefusedError(
                f"the data keys beside the packs could not all be wrapped with {key.id.hex()}: {error}; run the command again"
            ) from error
    click.echo(f"{key.id.hex()} wraps from now on; wrapped with it: {_told(done)}")


@commands.command("retire")
@data_option
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
        what = (
            "retired"
            if key_id in unused
            else f"kept: it wraps {_told(uses[key_id])}; run `hounsfield master-key rotate`"
        )
        click.echo(f"{key_id.hex()}  {what}")
    if not old:
        click.echo("there are no old keys")


@commands.command("export")
@data_option
@passphrase_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(data: Path, passphrase_file: BinaryIO | None, file: Path) -> None:
    """Write a copy of the master keys to FILE, sealed with a passphrase, to be kept in another place."""
    if file.exists():
        raise RefusedError(f"{file} is there already; choose another name")
    passphrase = read_passphrase(passphrase_file, confirm=True)
    with _opened(_settings(data)) as (keyring, _):
        try:
            sealed = export_keys(keyring.content, passphrase)
        except ExportError as error:
            raise InvalidError(str(error)) from error
        _write_new(file, sealed)
        count = len(keyring.keys)
    click.echo(
        f"{file} holds {count} master key{'s' if count != 1 else ''}; keep it and the passphrase in different places"
    )


@commands.command("import")
@data_option
@passphrase_option
@click.argument("file", type=click.File("rb"))
def import_command(data: Path, passphrase_file: BinaryIO | None, file: BinaryIO) -> None:
    """Put the master keys of FILE, which `hounsfield master-key export` wrote, into a data folder that has none."""
    settings = _settings(data)
    passphrase = read_passphrase(passphrase_file, confirm=False)
    try:
        content = import_keys(file.read(), passphrase)
    except ExportError as error:
        raise RefusedError(f"{file.name} cannot be imported: {error}") from error
    master = master_key_file(settings)
    with report_refusals(settings):
        write_file_durably(master, content.text(), mode=0o600, replace=False)
        try:
            there = LocalKeyring(master).content
        except KeyringError as error:
            raise RefusedError(f"{master} is in the way, {error}; move it away first") from error
    if (dict(there.keys), there.current) != (dict(content.keys), content.current):
        raise RefusedError(f"{master} holds other keys, which are left as they are; move it away first")
    click.echo(f"{master} holds {len(content.keys)} master key{'s' if len(content.keys) != 1 else ''}")


def _write_new(file: Path, data: bytes) -> None:
    """Write a file that must not be there yet, durably and for its owner alone."""
    # Not written aside and linked: the sticks that such a copy goes to know no links.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        sync_folder(file.absolute().parent)
    except BaseException:
        file.unlink()
        raise


def _told(counts: Counter[str]) -> str:
    parts = [f"{count} {what}{'s' if count != 1 else ''}" for what, count in sorted(counts.items())]
    return ", ".join(parts) or "nothing"


def _age(age: timedelta) -> str:
    return f"{age.days} days old" if age.days else f"{age.seconds // 60} min old"
