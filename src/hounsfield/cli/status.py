"""``hounsfield status``: how an installation stands, with or without a running server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.status import OpenInstallation, StatusSection, describe_server, read_status
from hounsfield.cli.installation import RefusedError, check_installation_exists, report_refusals
from hounsfield.cli.output import Json, Output
from hounsfield.runtime.logs import configure_logs
from hounsfield.settings import load_settings

EXIT_CODES: Final = {"ok": 0, "attention": 1, "unreadable": 3}
"""Exit codes by results; 2 is for options that cannot be."""
_FORMAT: Final = "hounsfield status"
_VERSION: Final = 1


def show_status(data: Path, output: Output) -> int:
    """Print the status of an installation, and return the exit code."""
    settings = dataclasses.replace(load_settings(), data=data)
    # What is wrong is said by the sections, in one way.
    configure_logs("critical")
    try:
        check_installation_exists(settings)
        with report_refusals(settings):
            image_store, keyring = open_image_store(settings)
    except RefusedError as error:
        server = StatusSection("server")
        describe_server(settings, server)
        return _say([server], output, unreadable=error.message)
    try:
        return _say(list(read_status(OpenInstallation(settings, image_store, keyring))), output)
    finally:
        image_store.database.close()


def _say(sections: Iterable[StatusSection], output: Output, *, unreadable: str | None = None) -> int:
    sections = list(sections)
    problems = [*([] if unreadable is None else [unreadable]), *(text for each in sections for text in each.problems)]
    result = "unreadable" if unreadable is not None else "attention" if problems else "ok"
    document: Json = {
        "format": _FORMAT,
        "version": _VERSION,
        "result": result,
        "problems": problems,
        **{section.name: section.facts for section in sections},
    }
    width = max(len(section.name) for section in sections)
    lines = [
        f"{section.name if first else '':<{width}}  {line}"
        for section in sections
        for first, line in zip((True, *(False for _ in section.lines)), section.lines, strict=False)
    ]
    output.say(document, [*lines, *(f"PROBLEM: {problem}" for problem in problems), f"result: {result}"])
    return EXIT_CODES[result]
