"""Passphrases that commands are given in a file, or ask for."""

from __future__ import annotations

from typing import BinaryIO

import click

from hounsfield.cli.installation import InvalidError


def read_passphrase(file: BinaryIO | None, *, confirm: bool) -> str:
    """Return the passphrase, asked for where no file is given; raises `InvalidError`."""
    if file is None:
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    try:
        # Some editors begin a file with a byte order mark, which nobody types who is asked for the passphrase later.
        return file.readline().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        # Without the error itself, which shows a part of it.
        raise InvalidError(f"the first line of {file.name} is no text in UTF-8; a passphrase must be one") from None
