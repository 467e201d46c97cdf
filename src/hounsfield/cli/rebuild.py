"""``hounsfield rebuild``: the database made again of packs, journal and master keys.

checks ─▶ new database beside ─▶ in its place ─▶ report, exit code
"""

from __future__ import annotations

from pathlib import Path

from hounsfield.bootstrap.rebuild import rebuild_installation
from hounsfield.cli.long_work import NotCarriedOutError, read_settings
from hounsfield.cli.output import Output
from hounsfield.settings import InstallationError, SettingsError


def rebuild(data: Path, output: Output) -> int:
    """Rebuild an installation, print the report, and return the exit code.

    Raises
    ------
    NotCarriedOutError
        It cannot be rebuilt, or must not be; nothing was changed.
    """
    settings = read_settings(data)
    try:
        report = rebuild_installation(settings)
    except (InstallationError, SettingsError) as error:
        raise NotCarriedOutError(str(error)) from error
    output.say(report.document(), report.lines())
    return 0 if report.is_whole else 1
