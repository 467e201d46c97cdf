"""The installation that commands open, and how they report refusals.

--data, settings ─▶ with_directory ─▶ command(repository, output, …) ─▶ exit code 0
                                         └─ DirectoryError ─▶ message, 1; InvalidInputError ─▶ message, 2
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from hounsfield.cli.data_option import data_option
from hounsfield.cli.output import Output
from hounsfield.iam.credentials_file import ProfileError
from hounsfield.iam.identities.errors import DirectoryError, InvalidInputError
from hounsfield.iam.identities.repository import Repository
from hounsfield.runtime.logs import configure_logs
from hounsfield.settings import InstallationError, Settings, SettingsError, load_settings

Command = TypeVar("Command", bound=Callable[..., None])
IDENTITIES: Final = "iam.amazonaws.com"
"""Service that commands on users, roles and policies are recorded under."""
_REFUSED: Final = 1
_INVALID: Final = 2


class RefusedError(click.ClickException):
    """What was asked for cannot be done as things are."""

    exit_code = _REFUSED


class InvalidError(click.ClickException):
    """What was given is not of its form."""

    exit_code = _INVALID


def with_directory(command: Callable[..., None]) -> Callable[..., None]:
    """Open the users and roles of ``--data`` for a command, which gets the repository and its output first."""

    @data_option
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def run(data: Path, as_json: bool, **arguments: Any) -> None:
        with open_directory(data, click.get_current_context()) as repository:
            command(repository, Output(as_json=as_json), **arguments)

    return run


@contextmanager
def open_directory(
    data: Path, context: click.Context, *, source: str = IDENTITIES, event: str | None = None
) -> Iterator[Repository]:
    """Open the users and roles of a data folder, and record the command.

    Parameters
    ----------
    data : Path
        The data folder.
    context : click.Context
        Of the command.
    source : str
        Service that the record names.
    event : str or None
        What the record calls the command; None for what is made of its name.

    Raises
    ------
    RefusedError
        There is no installation, its database cannot be opened, or what is done meanwhile is refused.
    InvalidError
        What is done meanwhile is refused for what was given.
    """
    # Everything is read in only now, when the arguments are known to be well-formed.
    from hounsfield.bootstrap.installation import open_database, open_keyring, open_repository
    from hounsfield.cli.audit_record import record_command

    settings = dataclasses.replace(load_settings(), data=data)
    configure_logs("warning")
    check_installation_exists(settings)
    with report_refusals(settings):
        keyring = open_keyring(settings)
        database = open_database(settings, keyring)
        try:
            with record_command(settings, database, keyring, context, source, event):
                yield open_repository(settings, database, keyring)
        finally:
            database.close()


def check_installation_exists(settings: Settings) -> None:
    """Make sure that there is an installation in the data folder; raises `RefusedError`."""
    from hounsfield.bootstrap.first_start import RESTORING
    from hounsfield.bootstrap.start_faults import database_file, database_key_file, master_key_file

    master = master_key_file(settings)
    try:
        if master.exists():
            return
        why = f"{master} is not there"
        if (settings.data / RESTORING).exists():
            raise RefusedError(
                f"a restore into {settings.data} has not ended; run `hounsfield restore` again, it goes on where it was"
            )
        for of_installation in (database_key_file(settings), database_file(settings)):
            if of_installation.exists():
                raise RefusedError(
                    f"{master} is missing, and {of_installation} cannot be read without it; put it back from its copy, "
                    "or import it with `hounsfield master-key import`"
                )
    except OSError as error:
        why = f"{master} cannot be looked for: {error.strerror}"
    raise RefusedError(
        f"{settings.data} is not a data folder: {why}; `hounsfield serve --data {settings.data}` makes a new one"
    )


@contextmanager
def report_refusals(settings: Settings) -> Iterator[None]:
    """Carry a command out, as a block.

    Raises
    ------
    RefusedError
        What it needs cannot be opened, or what it is to do is refused.
    InvalidError
        It is refused for what was given, or a setting cannot be.
    """
    from hounsfield.bootstrap.start_faults import explain_start_faults

    try:
        with explain_start_faults(settings):
            yield
    except (InvalidInputError, ProfileError) as error:
        raise InvalidError(str(error)) from error
    except (DirectoryError, InstallationError) as error:
        raise RefusedError(str(error)) from error
    except SettingsError as error:
        raise InvalidError(str(error)) from error
