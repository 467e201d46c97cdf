"""Writer of the Native DICOM Model in XML (PS3.19 Annex A.1), from the DICOM JSON model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from hounsfield.dicom.values.dictionary import ENTRIES, is_private, is_private_creator

_NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_NAME_PARTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Attributes = Mapping[str, Mapping[str, Any]]


def write_native_model(json_text: bytes) -> bytes:
    """Turn the DICOM JSON model of one data set into XML.

    Parameters
    ----------
    json_text : bytes
        A JSON object, UTF-8.

    Returns
    -------
    bytes
        A document in UTF-8. Decimal strings have the digits of the JSON text; characters that XML 1.0 does not allow
        become U+FFFD.
    """
    attributes: _Attributes = json.loads(json_text, parse_float=str, parse_int=str)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">',
    ]
    _data_set(parts, attributes)
    parts.append("</NativeDicomModel>")
    return "".join(parts).encode()


def _data_set(parts: list[str], attributes: _Attributes) -> None:
    creators = {
        key: str(member["Value"][0])
        for key, member in attributes.items()
        if is_private_creator(int(key, 16)) and member.get("Value", [None])[0]
    }
    for key, member in attributes.items():
        _attribute(parts, key, member, creators)


def _attribute(parts: list[str], key: str, member: Mapping[str, Any], creators: Mapping[str, str]) -> None:
    tag = int(key, 16)
    head = f'<DicomAttribute tag="{key}" vr="{member["vr"]}"'
    entry = ENTRIES.get(tag)
    if entry is not None:
        head += f' keyword="{entry.keyword}"'
    creator = creators.get(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}") if is_private(tag) else None
    if creator is not None:
        head += f" privateCreator={quoteattr(_clean(creator))}"
    parts.append(f"{head}>")
    if "InlineBinary" in member:
        parts.append(f"<InlineBinary>{member['InlineBinary']}</InlineBinary>")
    elif "BulkDataURI" in member:
        parts.append(f"<BulkData uri={quoteattr(member['BulkDataURI'])}/>")
    for number, value in enumerate(member.get("Value", ()), 1):
        _value(parts, member["vr"], number, value)
    parts.append("</DicomAttribute>")


def _value(parts: list[str], vr: str, number: int, value: Any) -> None:
    if vr == "SQ":
        parts.append(f'<Item number="{number}">')
        _data_set(parts, value)
        parts.append("</Item>")
    elif vr == "PN":
        parts.append(f'<PersonName number="{number}">')
        for group in _GROUPS:
            if value and group in value:
                _name(parts, group, value[group])
        parts.append("</PersonName>")
    else:
        text = "" if value is None else escape(_clean(str(value)))
        parts.append(f'<Value number="{number}">{text}</Value>')


def _name(parts: list[str], group: str, text: str) -> None:
    parts.append(f"<{group}>")
    for part, component in zip(_NAME_PARTS, text.split("^"), strict=False):
        if component:
            parts.append(f"<{part}>{escape(_clean(component))}</{part}>")
    parts.append(f"</{group}>")


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
