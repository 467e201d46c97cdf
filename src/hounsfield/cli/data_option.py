"""The option ``--data`` of commands: which installation they work on."""

from __future__ import annotations

from pathlib import Path

import click

from hounsfield.settings import load_settings

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: load_settings().data,
    show_default="HOUNSFIELD_DATA, or ./data",
    help="Folder of everything that is kept.",
)
