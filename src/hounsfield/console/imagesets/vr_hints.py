"""Hints at what a value looks like by its value representation, in words for who types one (PS3.5 Table 6.2-1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HINTS: Final[Mapping[str, str]] = {
    "AE": "Up to 16 characters",
    "AS": "Three digits and D, W, M or Y, such as 045Y",
    "AT": "A tag, such as 00100010",
    "CS": "Up to 16 capital letters, digits, spaces and underscores",
    "DA": "YYYYMMDD",
    "DS": "A decimal number of up to 16 characters",
    "DT": "YYYYMMDDHHMMSS.FFFFFF&ZZXX, as much of it as is known",
    "FD": "A number",
    "FL": "A number",
    "IS": "An integer of up to 12 characters",
    "LO": "Up to 64 characters",
    "LT": "Up to 10,240 characters, on several lines",
    "OB": "Bytes in base64",
    "OD": "Bytes in base64",
    "OF": "Bytes in base64",
    "OL": "Bytes in base64",
    "OV": "Bytes in base64",
    "OW": "Bytes in base64",
    "PN": "Family^Given^Middle^Prefix^Suffix",
    "SH": "Up to 16 characters",
    "SL": "An integer",
    "SQ": "A list of objects in JSON; the whole sequence is replaced",
    "SS": "An integer from -32,768 to 32,767",
    "ST": "Up to 1,024 characters, on several lines",
    "SV": "An integer",
    "TM": "HHMMSS.FFFFFF, as much of it as is known",
    "UC": "Text",
    "UI": "A UID of digits and dots, up to 64 characters",
    "UL": "An integer from 0",
    "UN": "Bytes in base64",
    "UR": "An address (URI)",
    "US": "An integer from 0 to 65,535",
    "UT": "Text on several lines",
    "UV": "An integer from 0",
}
_SEVERAL: Final = frozenset(_HINTS) - {"LT", "ST", "UT", "UR", "SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def vr_hint(vr: str, *, multiple: bool = False) -> str:
    """Return what a value of a value representation looks like; empty for one that is not known.

    Parameters
    ----------
    vr : str
        The value representation.
    multiple : bool
        Whether the attribute takes more than one value.
    """
    hint = _HINTS.get(vr, "")
    return f"{hint}. A backslash separates several values." if multiple and vr in _SEVERAL else hint
