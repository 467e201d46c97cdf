"""The commands ``hounsfield`` and ``aws``, as programs that start at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from support.as_installed import as_installed
from support.preloaded import PreloadedProcess, Preloader

OWN_VARIABLES: Final = ("HOUNSFIELD_", "AWS_")
"""What the names of variables begin with that the programs read when they run, and nothing reads before."""
_HOUNSFIELD: Final = (
    "hounsfield.cli.main",
    "hounsfield.server.supervisor",
    "hounsfield.server.runner",
    "hounsfield.server.granian_server",
    "hounsfield.bootstrap.api",
    "hounsfield.bootstrap.start_faults",
    *(
        f"hounsfield.cli.{group}"
        for group in ("access_keys", "audit", "datastores", "master_keys", "policies", "roles", "users")
    ),
    "hounsfield.cli.console_link",
    "hounsfield.cli.import_command",
)
"""What ``hounsfield serve`` imports before it forks, and what the other commands import."""
_AWS: Final = ("awscli.clidriver", "awscli.handlers", "awscli.formatter", "botocore.httpsession", "botocore.signers")


def environment_of_programs() -> dict[str, str]:
    """Return the environment of a program that sees what is installed with it, and has no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*OWN_VARIABLES, "PYTEST_"))}
    return {**kept, **as_installed()}


@cache
def hounsfield_preloader() -> Preloader:
    """Return what starts ``hounsfield``."""
    preloader = Preloader(_HOUNSFIELD, environment_of_programs())
    preloader.command("hounsfield", "hounsfield")
    return preloader


@cache
def aws_preloader() -> Preloader:
    """Return what starts the AWS CLI."""
    preloader = Preloader(_AWS, environment_of_programs() | {"PYTHONPATH": ""})
    preloader.command("aws", "awscli")
    return preloader


def hounsfield(
    *arguments: str, environment: Mapping[str, str] | None = None, given: str = "", stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, as a process of its own.

    Parameters
    ----------
    environment : mapping or None
        Variables beside those of all programs.
    given : str
        What it finds on standard input.
    stdout : int or None
        Descriptor that it prints to; None to capture that.
    """
    variables = {**environment_of_programs(), **(environment or {})}
    return hounsfield_preloader().run(["hounsfield", *arguments], variables, given=given, stdout=stdout)


def begin_hounsfield(*arguments: str, environment: Mapping[str, str], log: Path) -> PreloadedProcess:
    """Start a command of ours, as a process of its own.

    Parameters
    ----------
    environment : mapping
        Variables beside those of all programs.
    log : Path
        File for all that it prints.
    """
    with log.open("wb") as file:
        output = file.fileno()
        variables = {**environment_of_programs(), **environment}
        return hounsfield_preloader().start(["hounsfield", *arguments], variables, 0, output, output)


def path_of_programs() -> str:
    """Return a ``PATH`` for shells: the programs beside this Python, of which ``hounsfield`` and ``aws`` start at once."""
    folders = (hounsfield_preloader().folder, aws_preloader().folder, Path(sys.executable).parent)
    return os.pathsep.join([*map(str, folders), os.environ["PATH"]])
