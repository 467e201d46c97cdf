"""Errors of backup and restore; each message says what is wrong, and what would be right."""

from __future__ import annotations


class BackupError(Exception):
    """A backup or a restore cannot be carried out."""


class BackupDamagedError(BackupError):
    """Something in the place of the backup is not as it was written."""


class BackupIncompleteError(BackupError):
    """Something that the backup needs is not there: it was cut short, or is being written."""
