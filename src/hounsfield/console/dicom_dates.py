"""Dates and times of DICOM (VRs DA and TM, PS3.5 section 6.2) as the reader's locale has them.

    20240102, 101112.5 ─▶ <time datetime="2024-01-02T10:11:12">2024-01-02 10:11:12</time> ─▶ 2 Jan 2024, 10:11:12

They have no time zone: what the scanner's clock said is shown wherever it is read. What is no whole date is shown as it is.
"""

from __future__ import annotations

import re
from datetime import date, time
from typing import Final

from markupsafe import Markup

_DATE: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_TIME: Final = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?(?:\.[0-9]{1,6})?")


def show_dicom_date(value: str | None, of_day: str | None = None) -> Markup:
    """Return a date, and a time where there is one, as an element; a dash where there is neither.

    Parameters
    ----------
    value : str or None
        Of VR DA.
    of_day : str or None
        Of VR TM.
    """
    day = _day(value)
    if day is None:
        return Markup("{}").format(" ".join(part for part in (value, of_day) if part) or "–")
    clock = _clock(of_day)
    if clock is None:
        rest = f" {of_day}" if of_day else ""
        return Markup('<time datetime="{0}">{0}</time>{1}').format(day.isoformat(), rest)
    return Markup('<time datetime="{0}T{1}">{0} {1}</time>').format(day.isoformat(), clock.isoformat())


def read_date(text: str) -> str:
    """Return a date of a form, ``2024-01-02``, as DICOM writes it; anything else as it is."""
    return text.replace("-", "") if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else text


def _day(value: str | None) -> date | None:
    found = _DATE.fullmatch(value or "")
    try:
        return date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None


def _clock(value: str | None) -> time | None:
    found = _TIME.fullmatch(value or "")
    try:
        return time.fromisoformat(":".join(part or "00" for part in found.groups())) if found else None
    except ValueError:
        return None
