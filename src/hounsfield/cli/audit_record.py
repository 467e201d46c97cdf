"""Audit records of commands that change users, keys and policies.

command ─▶ chain of its own opened, or the command refused ─▶ done ─▶ record, durable ─▶ chain ended
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import click

from hounsfield.audit.cloudtrail_record import RecordBuilder
from hounsfield.audit.events import AuditEvent, Category, Failure, Json, Origin
from hounsfield.bootstrap.installation import audit_key, open_chain
from hounsfield.iam.principals import root_of
from hounsfield.settings import Settings
from hounsfield.storage.db.database import Database
from hounsfield.storage.keys.master_keys import LocalKeyring

SOURCE: Final = "iam.amazonaws.com"
READS: Final = frozenset({"list", "show"})
_NOUNS: Final = {"access-key": "key", "master-key": "keys"}
"""What events call a group of another name, so that one search finds the records of all versions."""


@contextmanager
def record_command(
    settings: Settings,
    database: Database,
    keyring: LocalKeyring,
    context: click.Context,
    source: str = SOURCE,
    name: str | None = None,
) -> Iterator[None]:
    """Record the command that is carried out meanwhile, also one that fails; those that only show something are not.

    Parameters
    ----------
    settings : Settings
        The installation.
    database, keyring
        For the key of the audit trail.
    context : click.Context
        Of the command.
    source : str
        Service that the record names.
    name : str or None
        What the record calls the command; None for what is made of its name.

    Raises
    ------
    SettingsError
        The audit trail cannot be written; nothing is done then.
    OSError
        The command was carried out, but could not be recorded.
    """
    if context.info_name in READS:
        yield
        return
    chain = open_chain(settings, database, audit_key(database, keyring), "command")
    began, failure = time.time(), None
    try:
        yield
    except BaseException as error:
        # The words of the error are for the operator, who may have given anything.
        failure = Failure(type(error).__name__, "The command failed.")
        raise
    finally:
        event = AuditEvent(
            name=name or event_name(context),
            source=source,
            time=began,
            origin=Origin("localhost", "hounsfield"),
            category=Category.MANAGEMENT,
            read_only=False,
            principal=root_of(settings.partition, settings.account_id),
            parameters=_shown(context.params),
            failure=failure,
            additional={"operatingSystemUser": _user(), "command": context.command_path},
        )
        chain.add([RecordBuilder(settings.account_id, settings.region).record(event)])
        chain.sync()
        chain.close()


def event_name(context: click.Context) -> str:
    """Return the event of a command: ``CreateUser`` for ``hounsfield user create``, ``Demo`` for ``hounsfield demo``."""
    group = context.parent.info_name if context.parent is not None and context.parent.parent is not None else ""
    noun = _NOUNS.get(group or "", group)
    return "".join(word.capitalize() for part in (context.info_name, noun) for word in (part or "").split("-"))


def _shown(arguments: Mapping[str, object]) -> dict[str, Json]:
    shown: dict[str, Json] = {}
    for name, value in arguments.items():
        if value is None or value == () or name in {"data", "as_json"}:
            continue
        first, *rest = name.split("_")
        shown[first + "".join(word.capitalize() for word in rest)] = _value(value)
    return shown


def _value(value: object) -> Json:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return [_value(entry) for entry in value]
    # Of a file only what the operator called it.
    return str(getattr(value, "name", value))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # The user of the process is not in the list of users, as in some containers.
        return "unknown"
