"""Checks of values against their value representation (PS3.5 section 6.2) and against the service's own limits.

A value that breaks its VR gives a warning; a value beyond the limits of HealthImaging makes the file fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from hounsfield.dicom.values.charsets import CharacterSet, character_set
from hounsfield.dicom.values.dictionary import TAGS, element_name, key_of
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.errors import DicomError
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, SINGLE_TEXT_VRS, first_integer
from hounsfield.dicom.values.warnings import ImportWarning, WarningCode

MAXIMUM_LENGTHS: Final[dict[str, int]] = {
    "PatientName": 256,
    "PatientID": 256,
    "PatientBirthDate": 18,
    "PatientSex": 16,
    "StudyInstanceUID": 256,
    "SeriesInstanceUID": 256,
    "SOPInstanceUID": 256,
    "StudyID": 256,
    "StudyDescription": 256,
    "AccessionNumber": 256,
    "StudyDate": 18,
    "StudyTime": 28,
}
"""Characters an element may have to be imported at all (HealthImaging's DICOM element constraints)."""

MAXIMUM_VALUES: Final[dict[str, int]] = {
    "NumberOfStudyRelatedSeries": 1_000_000,
    "NumberOfStudyRelatedInstances": 1_000_000,
}
"""Largest value of an element to be imported at all."""

_LENGTHS: Final = {
    "AE": 16,
    "AS": 4,
    "CS": 16,
    "DA": 8,
    "DS": 16,
    "DT": 26,
    "IS": 12,
    "LO": 64,
    "LT": 10240,
    "PN": 64,
    "SH": 16,
    "ST": 1024,
    "TM": 14,
}
"""Characters a value may have by PS3.5 Table 6.2-1; of a person name each component group."""

_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_RELAXED_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_UID_LENGTH: Final = 64
_RELAXED_UID_LENGTH: Final = 256
_RELAXED_UID_TAGS: Final = frozenset(
    TAGS[keyword]
    for keyword in (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "TreatmentSessionUID",
        "ManufacturerDeviceClassUID",
        "DeviceUID",
        "AcquisitionUID",
    )
)
_REMEMBERED_UIDS: Final = 4096
_UNSUSPICIOUS: Final = {"SQ": -1, "UI": 0, **_LENGTHS}
"""Bytes up to which a value cannot break its VR; sequences are always looked into."""

_MAXIMUM_TAGS: Final = {TAGS[keyword]: limit for keyword, limit in MAXIMUM_LENGTHS.items()}
_MAXIMUM_VALUE_TAGS: Final = {TAGS[keyword]: limit for keyword, limit in MAXIMUM_VALUES.items()}
_LIMITED_TAGS: Final = frozenset({*_MAXIMUM_TAGS, *_MAXIMUM_VALUE_TAGS})
_LONGEST_CHECKED: Final = 1 << 20
"""Bytes of a value up to which it is looked at; longer ones are not searched by."""

_REPORTED: Final = 16
"""Warnings of one code that are written out; a broken sequence of thousands of items says no more than that."""


def check_maximums(elements: Iterable[Element], charset: CharacterSet, *, little_endian: bool) -> None:
    """Check the limits an element must keep for the file to be imported.

    Parameters
    ----------
    elements : Iterable of Element
        Top level of the data set.
    charset : CharacterSet
        Of the top level.
    little_endian : bool
        Byte order of the data set.

    Raises
    ------
    DicomError
        Names the keyword and the limit.
    """
    for element in [element for element in elements if element[0] in _LIMITED_TAGS]:
        raw = element.value
        limit = _MAXIMUM_TAGS.get(element.tag)
        if limit is not None and isinstance(raw, bytes) and len(raw) > limit:
            length = len(_decoded(element, raw, charset).strip(" \0"))
            if length > limit:
                raise DicomError(
                    f"DICOM attribute {key_of(element.tag)} has {length} characters, but at most {limit} are allowed"
                )
        most = _MAXIMUM_VALUE_TAGS.get(element.tag)
        if most is not None:
            number = first_integer(element, little_endian=little_endian)
            if number is not None and number > most:
                raise DicomError(f"DICOM attribute {key_of(element.tag)} must not be greater than {most}")


def check_values(elements: Iterable[Element], charset: CharacterSet) -> tuple[ImportWarning, ...]:
    """Check UIDs and lengths of values in a data set and its items.

    Parameters
    ----------
    elements : Iterable of Element
        Top level of the data set.
    charset : CharacterSet
        Of the top level.

    Returns
    -------
    tuple of ImportWarning
        `WarningCode.INVALID_UID_FORMAT` and `WarningCode.INVALID_DICOM_VALUE_LENGTH`, once per element tag.
    """
    found: dict[tuple[WarningCode, int], str] = {}
    for element, code, text in _violations(elements, charset):
        found.setdefault((code, element.tag), text)
    result = []
    for code in (WarningCode.INVALID_UID_FORMAT, WarningCode.INVALID_DICOM_VALUE_LENGTH):
        texts = [text for (other, _), text in found.items() if other is code]
        result += [ImportWarning(code, text) for text in texts[:_REPORTED]]
        if len(texts) > _REPORTED:
            result.append(ImportWarning(code, f"{len(texts) - _REPORTED} more elements have the same violation."))
    return tuple(result)


def _violations(elements: Iterable[Element], charset: CharacterSet) -> Iterator[tuple[Element, WarningCode, str]]:
    """Find values that break their VR, items included."""
    unsuspicious = _UNSUSPICIOUS.get
    for element in elements:
        tag, vr, raw = element
        if len(raw) <= unsuspicious(vr, _LONGEST_CHECKED):
            continue
        if isinstance(raw, tuple):
            for item in raw:
                yield from _violations(item, _item_charset(item, charset))
        elif len(raw) > _LONGEST_CHECKED:
            continue
        elif vr == "UI":
            if not _is_uid(tag, raw):
                yield element, WarningCode.INVALID_UID_FORMAT, f"{element_name(tag)} is not a valid UID."
        elif vr in _LENGTHS:
            length = _longest(element, raw, charset)
            if length > _LENGTHS[vr]:
                yield (
                    element,
                    WarningCode.INVALID_DICOM_VALUE_LENGTH,
                    f"{element_name(tag)} has a value of {length} characters, but {vr} allows {_LENGTHS[vr]}.",
                )


def _item_charset(item: tuple[Element, ...], charset: CharacterSet) -> CharacterSet:
    for element in item:
        if element.tag == SPECIFIC_CHARACTER_SET and isinstance(element.value, bytes):
            return character_set(element.value)
    return charset


def _is_uid(tag: int, raw: bytes) -> bool:
    """Check all UIDs of an element (PS3.5 section 9.1); some elements have relaxed rules."""
    relaxed = tag in _RELAXED_UID_TAGS
    return _are_uids(raw, relaxed) if len(raw) <= _RELAXED_UID_LENGTH else _are_uids.__wrapped__(raw, relaxed)


@lru_cache(maxsize=_REMEMBERED_UIDS)
def _are_uids(raw: bytes, relaxed: bool) -> bool:
    """Check UIDs once; the slices of a series share most of theirs."""
    pattern, limit = (_RELAXED_UID, _RELAXED_UID_LENGTH) if relaxed else (_UID, _UID_LENGTH)
    for part in raw.decode("latin-1").split("\\"):
        uid = part.strip(" \0")
        if uid and (len(uid) > limit or pattern.fullmatch(uid) is None):
            return False
    return True


def _longest(element: Element, raw: bytes, charset: CharacterSet) -> int:
    """Return the length in characters of the longest value of an element, without padding."""
    text = _decoded(element, raw, charset)
    if element.vr in SINGLE_TEXT_VRS:
        return len(text.rstrip(" \0"))
    parts = re.split(r"[\\=]", text) if element.vr == "PN" else text.split("\\")
    return max(len(part.strip(" \0")) for part in parts)


def _decoded(element: Element, raw: bytes, charset: CharacterSet) -> str:
    if element.vr in CUSTOM_CHARSET_VRS:
        return charset.decode(raw, person_name=element.vr == "PN")
    return raw.decode("latin-1")
