"""``hounsfield settings``: the settings that all nodes of an installation have alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from hounsfield.bootstrap.common_settings import accept_common_settings
from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.cli.audit_record import record_command
from hounsfield.cli.data_option import data_option
from hounsfield.cli.installation import InvalidError, check_installation_exists, report_refusals
from hounsfield.runtime.logs import configure_logs
from hounsfield.settings import load_settings


@click.group("settings")
def commands() -> None:
    """Change the settings that all nodes have alike."""


@commands.command("accept")
@data_option
def accept(data: Path) -> None:
    """Let the settings of this node count for all; the others must be stopped, and get the same before they start."""
    settings = dataclasses.replace(load_settings(), data=data)
    configure_logs("warning")
    if not settings.database_url:
        raise InvalidError("there are other nodes only with a PostgreSQL database, see HOUNSFIELD_DATABASE_URL")
    check_installation_exists(settings)
    with report_refusals(settings):
        keyring = open_keyring(settings)
        database = open_database(settings, keyring)
        try:
            with record_command(settings, database, keyring, click.get_current_context()):
                changed = accept_common_settings(settings, database, keyring)
        finally:
            database.close()
    for name in changed:
        click.echo(f"{name} is changed")
    if not changed:
        click.echo("nothing is changed")
