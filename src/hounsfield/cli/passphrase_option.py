"""The option ``--passphrase-file`` of commands that wrap or open keys."""

from __future__ import annotations

import click

passphrase_option = click.option(
    "--passphrase-file",
    type=click.File("rb"),
    help="A file whose first line is the passphrase; - for standard input.  [default: it is asked for]",
)
