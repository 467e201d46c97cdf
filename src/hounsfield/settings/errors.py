"""Errors of settings: the name as the environment has it, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PREFIX = "HOUNSFIELD_"


class SettingsError(ValueError):
    """A setting has a value that cannot be."""


class InstallationError(SettingsError):
    """What the settings name cannot be used: keys, a database, a folder, an address; one sentence says why and what to do."""


@contextmanager
def fault_of(name: str) -> Iterator[None]:
    """Name the setting in what a check of its value says."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}: {error}") from error
