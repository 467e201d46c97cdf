"""Typed values of parsed parameters, and of those that have a form of their own."""

from __future__ import annotations

from hounsfield.aws.protocol.members import (
    mapping,
    moment,
    optional_integer,
    optional_text,
    structure,
    structures,
    text,
)

__all__ = [
    "mapping",
    "moment",
    "optional_integer",
    "optional_text",
    "structure",
    "structures",
    "text",
    "version_number",
]

_MOST_VERSION_DIGITS = 9


def version_number(version: str) -> int | None:
    """Read an image set version, None when it is larger than any can be; the model allows any number of digits."""
    digits = version.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_VERSION_DIGITS else None
