"""Single values of elements: the first text, the first integer."""

from __future__ import annotations

from struct import Struct
from typing import Final

from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.elements import Element

CUSTOM_CHARSET_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Text whose encoding follows Specific Character Set (PS3.5 section 6.1.2.3)."""

FIXED_CHARSET_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
"""Text in the default repertoire."""

SINGLE_TEXT_VRS: Final = frozenset({"LT", "ST", "UR", "UT"})
"""Text in which a backslash is a character, not a separator, and leading blanks count (PS3.5 section 6.2)."""

NUMBERS: Final[dict[str, tuple[Struct, Struct]]] = {
    vr: (Struct(f"<{code}"), Struct(f">{code}"))
    for vr, code in {
        "US": "H",
        "SS": "h",
        "UL": "L",
        "SL": "l",
        "UV": "Q",
        "SV": "q",
        "FL": "f",
        "FD": "d",
    }.items()
}
"""Binary numbers: how one of them is laid out in little and in big endian order."""


def strip_text(text: str, vr: str) -> str:
    """Remove the padding of one text value (PS3.5 section 6.2).

    Parameters
    ----------
    text : str
        One value.
    vr : str
        Its value representation.

    Returns
    -------
    str
        Without trailing blanks and zero bytes; without leading blanks too where they do not count. A UID ends at its first
        zero byte, as for all who read it as a string of C.
    """
    if vr == "UI":
        return text.strip(" \0").partition("\0")[0].rstrip(" ")
    return text.rstrip(" \0") if vr in SINGLE_TEXT_VRS or vr == "UC" else text.strip(" \0")


def first_text(element: Element, charset: CharacterSet) -> str | None:
    """Read the first value of a text element, stripped; None when it is empty or no text."""
    raw, vr = element.value, element.vr
    if not isinstance(raw, bytes):
        return None
    if vr in CUSTOM_CHARSET_VRS:
        text = charset.decode(raw, person_name=vr == "PN")
    elif vr in FIXED_CHARSET_VRS:
        text = raw.decode("latin-1")
    else:
        return None
    if vr not in SINGLE_TEXT_VRS:
        text = text.partition("\\")[0]
    return (strip_text(text, vr).strip() if vr in ("DS", "IS") else strip_text(text, vr)) or None


def first_integer(element: Element, *, little_endian: bool) -> int | None:
    """Read the first value of a numeric element; None when it is empty, malformed or not integral."""
    raw, vr = element.value, element.vr
    if not isinstance(raw, bytes):
        return None
    if vr in ("IS", "DS"):
        try:
            number = float(raw.decode("latin-1").partition("\\")[0].strip(" \0"))
            return int(number) if number.is_integer() else None
        except ValueError:
            return None
    if vr not in NUMBERS or vr in ("FL", "FD"):
        return None
    layout = NUMBERS[vr][0 if little_endian else 1]
    if len(raw) < layout.size:
        return None
    value: int = layout.unpack_from(raw)[0]
    return value
