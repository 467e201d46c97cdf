"""``hounsfield backup`` and ``hounsfield restore``.

options ─▶ generation made, or brought back ─▶ audit record ─▶ report, exit code
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import click

from hounsfield.bootstrap.backup import BackupOrder, BroughtForward, back_up, backup_location, check_target, restore
from hounsfield.bootstrap.image_store import make_key_service
from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.cli.audit_record import record_command
from hounsfield.cli.installation import InvalidError, RefusedError, report_refusals
from hounsfield.cli.long_work import (
    NotCarriedOutError,
    ProgressLines,
    opened_installation,
    parse_rate,
    read_settings,
    stopped_by_signals,
)
from hounsfield.cli.output import Output, moment
from hounsfield.cli.passphrases import read_passphrase
from hounsfield.imaging.backup.errors import BackupError
from hounsfield.imaging.backup.manifests import list_generations, read_manifest
from hounsfield.imaging.backup.place import BackupPlace, explain_trouble
from hounsfield.imaging.backup.point_in_time import choose_for_moment
from hounsfield.imaging.backup.pruning import Pruned, Retention
from hounsfield.imaging.backup.restore import RestoreResult, choose_generation, open_generation
from hounsfield.imaging.backup.runs import BackupRun, RunState
from hounsfield.imaging.backup.wrapped_keys import KeyProtection, needs_passphrase
from hounsfield.jobs.runner import StoppedError
from hounsfield.settings import Settings
from hounsfield.storage.clock import to_ms
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.keys.key_export import LEAST_PASSPHRASE

SOURCE: Final = "backup.amazonaws.com"
"""Service that backups and restores are recorded under."""


def make_backup(
    data: Path,
    target: str,
    *,
    passphrase_file: BinaryIO | None,
    kms_key: str | None,
    rate: str | None,
    retention: Retention,
    anew: bool,
    output: Output,
) -> int:
    """Make a generation, print what it has, and return the exit code.

    Raises
    ------
    NotCarriedOutError
        There is no new generation; the message says why.
    InvalidError
        An option cannot be.
    """
    if kms_key is not None and passphrase_file is not None:
        raise InvalidError("--passphrase-file and --kms-key exclude each other")
    bound = parse_rate(rate)
    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file, confirm=False)
    if passphrase is not None and len(passphrase) < LEAST_PASSPHRASE:
        raise InvalidError(f"a passphrase must have at least {LEAST_PASSPHRASE} characters")
    with _explained(target), opened_installation(data) as (settings, image_store, keyring):
        order = BackupOrder(KeyProtection(passphrase, make_key_service(settings), kms_key), anew, bound, retention)
        with (
            stopped_by_signals() as stop,
            record_command(settings, image_store.database, keyring, click.get_current_context(), SOURCE),
        ):
            run, pruned = back_up(settings, image_store, keyring, target, order, ProgressLines().tell, stop)
    output.say(_run_json(run, pruned), _run_lines(run, pruned))
    return 0 if run.state is RunState.COMPLETE else 1


def list_backup(data: Path, target: str, output: Output) -> int:
    """Print the generations of a backup, the oldest first; raises `NotCarriedOutError`."""
    settings = read_settings(data)
    documents: list[Mapping[str, str | int]] = []
    with _explained(target), report_refusals(settings):
        place = BackupPlace(backup_location(settings, target), make=False)
        complete, _ = list_generations(place)
        for generation in complete:
            try:
                found = read_manifest(place, generation)
            except BackupError as error:
                documents.append({"generation": generation, "problem": str(error)})
                continue
            documents.append(
                {
                    "generation": generation,
                    "time": moment(found.time),
                    "packs": found.packs,
                    "bytes": found.pack_bytes,
                    "imageSets": found.rows.get("image_sets", 0),
                    "lostPacks": found.lost,
                    "software": found.software,
                }
            )
    output.say(documents, [_generation_line(each) for each in documents] or ["no complete generation"])
    return 0


def _generation_line(document: Mapping[str, str | int]) -> str:
    if "problem" in document:
        return f"{document['generation']}  {document['problem']}"
    lost = f", {document['lostPacks']} packs lost" if document["lostPacks"] else ""
    return f"{document['generation']}  {document['packs']} packs of {document['bytes']} bytes{lost}"


def restore_backup(
    data: Path,
    source: str,
    *,
    generation: str | None,
    to: str | None,
    passphrase_file: BinaryIO | None,
    output: Output,
) -> int:
    """Restore a generation, print what came back, and return the exit code.

    Raises
    ------
    NotCarriedOutError
        Nothing that can be used was restored; the message says why.
    InvalidError
        An option cannot be.
    """
    if generation is not None and to is not None:
        raise InvalidError("--generation and --to exclude each other")
    until = None if to is None else _moment(to)
    settings = read_settings(data)

    given: list[str] = []

    def protection(document: bytes, name: str) -> KeyProtection:
        # Asked for once, also where the keys of two generations are opened.
        if needs_passphrase(document, name) and not given:
            given.append(read_passphrase(passphrase_file, confirm=False))
        return KeyProtection(given[0] if given else None, make_key_service(settings))

    with _explained(source), report_refusals(settings):
        place = BackupPlace(backup_location(settings, source), make=False)
        what = name = journal_of = choose_generation(place, generation)
        if until is not None:
            name, journal_of = choose_for_moment(place, until)
            what = f"{name} to {to}"
        check_target(settings, place.name, what)
        chosen = open_generation(place, name, protection)
        forward = None
        if until is not None:
            later = chosen if journal_of == name else open_generation(place, journal_of, protection)
            forward = BroughtForward(to_ms(until), later)
        with stopped_by_signals() as stop:
            result = restore(settings, place, chosen, what, ProgressLines().tell, stop, forward)
        keyring = open_keyring(settings)
        database = open_database(settings, keyring)
        try:
            with record_command(settings, database, keyring, click.get_current_context(), SOURCE):
                pass
        finally:
            database.close()
    output.say(_result_json(name, result), _result_lines(settings, name, result))
    return 1 if result.problems else 0


@contextmanager
def _explained(place: str) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise NotCarriedOutError(error.message) from error
    except StoppedError as error:
        raise NotCarriedOutError("interrupted; the same command goes on from what is there") from error
    except BackupError as error:
        raise NotCarriedOutError(str(error)) from error
    except DatabaseTroubleError as error:
        raise NotCarriedOutError(f"{error}; run the command again") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NotCarriedOutError(explain_trouble(error.filename or place, error)) from error


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError(f"--to {text!r} is no time: it is one such as 2026-03-14T09:15:30Z") from None
    if found.tzinfo is None:
        raise InvalidError(f"--to {text!r} has no time zone: end it with Z for UTC, or with an offset such as +01:00")
    return found.astimezone(UTC)


def _run_json(run: BackupRun, pruned: Pruned) -> dict[str, str | int | list[str]]:
    return {
        "generation": run.id,
        "target": run.target,
        "state": run.state.value,
        "packs": run.packs,
        "bytes": run.bytes,
        "copiedBytes": run.copied_bytes,
        "prunedGenerations": list(pruned.generations),
        "prunedPacks": pruned.packs,
    }


def _run_lines(run: BackupRun, pruned: Pruned) -> list[str]:
    lines = [f"generation {run.id}: {run.packs} packs of {run.bytes} bytes, {run.copied_bytes} bytes copied"]
    if run.state is RunState.LOST_PACKS:
        lines.append("some packs are lost or unreadable here, and are not in it; `hounsfield verify` names them")
    if pruned.generations or pruned.packs:
        lines.append(f"{len(pruned.generations)} old generations and {pruned.packs} packs that no other needs removed")
    if pruned.unreadable:
        lines.append(
            f"generation {pruned.unreadable} cannot be read, so no pack was removed; remove its folder if you give it up"
        )
    return lines


def _result_json(generation: str, result: RestoreResult) -> dict[str, str | int | list[str]]:
    return {
        "generation": generation,
        "packs": result.packs,
        "bytes": result.bytes,
        "rows": result.rows,
        "journalRecords": result.records,
        "problems": result.problems,
    }


def _result_lines(settings: Settings, generation: str, result: RestoreResult) -> list[str]:
    return [
        *(f"PROBLEM  {problem}" for problem in result.problems),
        f"generation {generation}: {result.packs} packs of {result.bytes} bytes and {result.rows} rows restored",
        *([f"brought forward by {result.records} records of the journal"] if result.records else []),
        f"run `hounsfield verify --data {settings.data}`, then start the server",
    ]
