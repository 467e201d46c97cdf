"""Default attributes of search results as DICOM JSON members (PS3.18 section 10.6.3.3).

rows of study, series, instance ──▶ members of each, remembered for the first two ──┐
address of the result, what is the same in all ─────────────────────────────────────┴──▶ members by tag
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from hounsfield.dicom.json.level_attributes import text_member
from hounsfield.imaging.retrieve.transfer_syntax_choice import (
    list_transfer_syntaxes_stored_first,
    transfer_syntax_as_stored,
)
from hounsfield.imaging.search.dicom import DicomSearch, FoundRow, Result
from hounsfield.imaging.staged_instance import PixelKind

Members = dict[int, bytes]
"""Members of a DICOM JSON object by tag."""

TRANSFER_SYNTAX: Final = 0x00020010
"""Of the file meta information; told of an instance when it is asked for by name."""
CHARACTER_SET: Final = 0x00080005
AVAILABILITY: Final = 0x00080056
MODALITIES: Final = 0x00080061
RETRIEVE_URL: Final = 0x00081190
STUDY_SERIES: Final = 0x00201206
STUDY_INSTANCES: Final = 0x00201208
SERIES_INSTANCES: Final = 0x00201209
AVAILABLE_TRANSFER_SYNTAX: Final = 0x00083002

_STUDY_UID, _SERIES_UID = 0x0020000D, 0x0020000E
_TIMEZONE, _REQUEST_ATTRIBUTES = 0x00080201, 0x00400275
_OPTIONAL: Final = frozenset({0x00081030, 0x0008103E, 0x00400244, 0x00400245})
"""Left out when there is no value; the others are there without one (PS3.18 Tables 10.6.3-3 to 10.6.3-5)."""
_REMEMBERED: Final = 4096
"""Rows whose members are kept; each takes two or three kilobytes."""


def _number_member(tag: int, vr: str, number: int) -> bytes:
    return b'"%08X":{"vr":"%b","Value":[%d]}' % (tag, vr.encode(), number)


class _Columns:
    """Columns of a table with the attributes that are in them."""

    def __init__(self, *columns: tuple[int, str, str]) -> None:
        self._attributes = tuple((tag, vr) for tag, vr, _ in columns)
        self._values = attrgetter(*(name for _, _, name in columns))

    def texts(self, row: FoundRow) -> Members:
        """Write text; what is optional and has no value is left out."""
        return {
            tag: text_member(tag, vr, text)
            for (tag, vr), text in zip(self._attributes, self._values(row), strict=True)
            if text or tag not in _OPTIONAL
        }

    def numbers(self, row: FoundRow) -> Members:
        """Write numbers, where there are any."""
        return {
            tag: _number_member(tag, vr, number)
            for (tag, vr), number in zip(self._attributes, self._values(row), strict=True)
            if number is not None
        }


_STUDY_TEXTS: Final = _Columns(
    (0x00080020, "DA", "study_date"),
    (0x00080030, "TM", "study_time"),
    (0x00080050, "SH", "accession_number"),
    (MODALITIES, "CS", "modalities"),
    (0x00080090, "PN", "referring_physician"),
    (0x00081030, "LO", "study_description"),
    (0x00100010, "PN", "patient_name"),
    (0x00100020, "LO", "patient_id"),
    (0x00100030, "DA", "patient_birth_date"),
    (0x00100040, "CS", "patient_sex"),
    (_STUDY_UID, "UI", "study_uid"),
    (0x00200010, "SH", "study_id"),
)
_STUDY_NUMBERS: Final = _Columns((STUDY_SERIES, "IS", "series_count"), (STUDY_INSTANCES, "IS", "instance_count"))
_SERIES_TEXTS: Final = _Columns(
    (0x00080060, "CS", "modality"),
    (0x0008103E, "LO", "series_description"),
    (_STUDY_UID, "UI", "study_uid"),
    (_SERIES_UID, "UI", "series_uid"),
    (0x00200011, "IS", "series_number"),
    (0x00400244, "DA", "performed_date"),
    (0x00400245, "TM", "performed_time"),
)
_INSTANCE_TEXTS: Final = _Columns(
    (0x00080016, "UI", "sop_class_uid"),
    (0x00080018, "UI", "sop_uid"),
    (0x00200013, "IS", "instance_number"),
)
_INSTANCE_NUMBERS: Final = _Columns(
    (0x00081196, "US", "warning_reason"),
    (0x00280008, "IS", "number_of_frames"),
    (0x00280010, "US", "pixel_rows"),
    (0x00280011, "US", "pixel_columns"),
    (0x00280100, "US", "bits_allocated"),
)
_CONSTANT: Final[Members] = {
    CHARACTER_SET: text_member(CHARACTER_SET, "CS", "ISO_IR 192"),
    AVAILABILITY: text_member(AVAILABILITY, "CS", "ONLINE"),
}


def default_members(search: DicomSearch, result: Result, base_url: str) -> Members:
    """Return the default attributes of a result.

    Parameters
    ----------
    search : DicomSearch
        What found it: of the levels above the result's own those are told that its path does not name.
    result : Result
        The result.
    base_url : str
        The address of the data store, without a slash at its end.
    """
    study, series, instance = result.study, result.series, result.instance
    members = {**_CONSTANT, RETRIEVE_URL: text_member(RETRIEVE_URL, "UR", _address(result, base_url))}
    if study is not None and (search.study_uid is None or series is None):
        members.update(_of_study(study))
    if series is not None and (search.series_uid is None or instance is None):
        members.update(_of_series(series))
    if series is not None and instance is not None:
        members.update(_of_instance(series, instance))
        if TRANSFER_SYNTAX in search.included.tree:
            uid = transfer_syntax_as_stored(instance.stored_transfer_syntax)
            members[TRANSFER_SYNTAX] = text_member(TRANSFER_SYNTAX, "UI", uid)
    members.update(_of_timezone(instance or series or study))
    return members


def study_object(study: FoundRow, base_url: str) -> bytes:
    """Write a study of which nothing but the default attributes is told; parameters are those of `default_members`.

    This is what lists of studies ask for, a thousand at a time.
    """
    before, after = _around_address(study)
    return b"{%b,%b,%b}" % (before, text_member(RETRIEVE_URL, "UR", _study_address(study, base_url)), after)


@lru_cache(maxsize=_REMEMBERED)
def _around_address(study: FoundRow) -> tuple[bytes, bytes]:
    """Return the members of a study before and after its address, which depends on how the server is called."""
    members = {**_CONSTANT, **_of_study(study), **_of_timezone(study)}
    parts = ([tag for tag in members if tag < RETRIEVE_URL], [tag for tag in members if tag > RETRIEVE_URL])
    before, after = (b",".join(members[tag] for tag in sorted(part)) for part in parts)
    return before, after


def _of_timezone(row: FoundRow) -> Members:
    return {_TIMEZONE: text_member(_TIMEZONE, "SH", row.timezone_offset)} if row.timezone_offset else {}


@lru_cache(maxsize=_REMEMBERED)
def _of_study(row: FoundRow) -> Members:
    return _STUDY_TEXTS.texts(row) | _STUDY_NUMBERS.numbers(row)


@lru_cache(maxsize=_REMEMBERED)
def _of_series(row: FoundRow) -> Members:
    members = _SERIES_TEXTS.texts(row)
    members[SERIES_INSTANCES] = _number_member(SERIES_INSTANCES, "IS", row.instance_count)
    if row.request_attributes:
        members[_REQUEST_ATTRIBUTES] = row.request_attributes.encode()
    return members


def _of_instance(series: FoundRow, instance: FoundRow) -> Members:
    available = list_transfer_syntaxes_stored_first(
        PixelKind(instance.pixel_kind), instance.stored_transfer_syntax, instance.bits_allocated
    )
    return {
        _STUDY_UID: text_member(_STUDY_UID, "UI", series.study_uid),
        _SERIES_UID: text_member(_SERIES_UID, "UI", series.series_uid),
        AVAILABLE_TRANSFER_SYNTAX: text_member(AVAILABLE_TRANSFER_SYNTAX, "UI", "\\".join(available)),
        **_INSTANCE_TEXTS.texts(instance),
        **_INSTANCE_NUMBERS.numbers(instance),
    }


def _study_address(row: FoundRow, base_url: str) -> str:
    return f"{base_url}/studies/{quote(row.study_uid, safe='')}"


def _address(result: Result, base_url: str) -> str:
    url = _study_address(result.series or result.study, base_url)
    if result.series is not None:
        url += f"/series/{quote(result.series.series_uid, safe='')}"
    if result.instance is not None:
        url += f"/instances/{quote(result.instance.sop_uid, safe='')}"
    return url
