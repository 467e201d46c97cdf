"""``hounsfield rebuild``: the database made again of packs, journal and master keys.

checks ─▶ new database beside ─▶ in its place ─▶ report, exit code
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from hounsfield.bootstrap.rebuild import rebuild_installation
from hounsfield.cli.output import Output
from hounsfield.runtime.logs import configure_logs
from hounsfield.settings import InstallationError, SettingsError, load_settings


class NotRebuiltError(click.ClickException):
    """There is no new database."""

    exit_code = 3


def rebuild(data: Path, output: Output) -> int:
    """Rebuild an installation, print the report, and return the exit code.

    Raises
    ------
    NotRebuiltError
        It cannot be rebuilt, or must not be; nothing was changed.
    """
    configure_logs("warning")
    settings = dataclasses.replace(load_settings(), data=data)
    try:
        report = rebuild_installation(settings)
    except (InstallationError, SettingsError) as error:
        raise NotRebuiltError(str(error)) from error
    output.say(report.document(), report.lines())
    return 0 if report.is_whole else 1
