"""Parsers of values that conditions compare: numbers, moments, booleans, networks, bytes.

Each function reads a text and gives None when it is not of its kind. Texts are of a policy or of a request.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, TypeAlias

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_MOMENT: Final = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:[Tt](?P<hour>\d\d):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?(?P<zone>[Zz]|[+-]\d\d:?\d\d))?)?)?",
    re.ASCII,
)
_TRUTHS: Final = {"true": True, "false": False}


def parse_number(text: str) -> Decimal | None:
    """Read an integer or decimal number."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


@lru_cache(maxsize=1024)
def parse_moment(text: str) -> Decimal | None:
    """Read a date in a form of ISO 8601 that W3C names (``2026-07-01T00:00:00Z``, down to the year), or seconds since 1970.

    Returns
    -------
    Decimal or None
        Seconds since 1970-01-01 UTC.
    """
    found = _MOMENT.fullmatch(text)
    # Four digits are a year, as W3C has it; all other digits are seconds.
    if found is None:
        return parse_number(text)
    parts = found.groupdict()
    try:
        date = datetime(
            int(parts["year"]),
            int(parts["month"] or 1),
            int(parts["day"] or 1),
            int(parts["hour"] or 0),
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
            tzinfo=_zone(parts["zone"]),
        )
        seconds = (date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
    return seconds + Decimal(f"0.{parts['fraction'] or 0}")


def _zone(text: str | None) -> tzinfo:
    if text is None or text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))


def parse_boolean(text: str) -> bool | None:
    """Read ``true`` or ``false``."""
    return _TRUTHS.get(text.lower())


def parse_network(text: str) -> Network | None:
    """Read a network in CIDR form, or an address, which stands for itself alone."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """Read an address; an IPv4 address in the form of IPv6 is one of IPv4."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def parse_base64(text: str) -> bytes | None:
    """Read base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
