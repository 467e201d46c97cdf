"""Dates (DA) and times (TM) in one spelling: older files write them as ACR-NEMA did (PS3.5 section 6.2)."""

from __future__ import annotations

import re
from typing import Final

_DATE: Final = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})")
_TIME: Final = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]{1,6})?))?")


def normalise_date(text: str) -> str:
    """Return a date ``yyyy.mm.dd`` as ``yyyymmdd``, and any other text as it is."""
    found = _DATE.fullmatch(text)
    return "".join(found.groups()) if found else text


def normalise_time(text: str) -> str:
    """Return a time ``hh:mm``, ``hh:mm:ss`` or ``hh:mm:ss.frac`` without colons, and any other text as it is."""
    found = _TIME.fullmatch(text)
    return "".join(found.groups("")) if found else text
