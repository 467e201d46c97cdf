"""Results of a DICOMweb search as DICOM JSON objects (PS3.18 sections 10.6.3.3 and F.2).

    row ──▶ default attributes ─────────────────────────────┐
    levels of the image set (sealed) ──▶ what is included ──┼─▶ one object, in tag order
    data set of an instance (a pack) ──▶ what is included ──┘

The default attributes are columns, so that a common search reads nothing else. What else is asked for of a study or a series
comes from the levels of its image set, and from the data set of its first instance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hounsfield.dicom.json_model import joined
from hounsfield.dicom.level_attributes import document_members, text_members
from hounsfield.dicom.levels import Level, level_of
from hounsfield.dicom.search_attributes import SERIES_ATTRIBUTES, STUDY_ATTRIBUTES
from hounsfield.imaging.archive import Archive
from hounsfield.imaging.current_data_set import current_data_sets
from hounsfield.imaging.data_set_json import data_set_members
from hounsfield.imaging.dicom_search import DicomSearch, Result
from hounsfield.imaging.instance_reading import StoredInstance, current_instances, first_instances
from hounsfield.imaging.level_changes import together
from hounsfield.imaging.renditions import transfer_syntax_as_stored
from hounsfield.imaging.search_keys import SearchLevel

Members = dict[int, bytes]

_GROUP: Final = 64
_STUDY_TEXTS: Final = (
    (0x00080020, "DA", "study_date"),
    (0x00080030, "TM", "study_time"),
    (0x00080050, "SH", "accession_number"),
    (0x00080061, "CS", "modalities"),
    (0x00080090, "PN", "referring_physician"),
    (0x00081030, "LO", "study_description"),
    (0x00100010, "PN", "patient_name"),
    (0x00100020, "LO", "patient_id"),
    (0x00100030, "DA", "patient_birth_date"),
    (0x00100040, "CS", "patient_sex"),
    (0x0020000D, "UI", "study_uid"),
    (0x00200010, "SH", "study_id"),
)
_SERIES_TEXTS: Final = (
    (0x00080060, "CS", "modality"),
    (0x0008103E, "LO", "series_description"),
    (0x0020000D, "UI", "study_uid"),
    (0x0020000E, "UI", "series_uid"),
    (0x00200011, "IS", "series_number"),
    (0x00400244, "DA", "performed_date"),
    (0x00400245, "TM", "performed_time"),
)
_INSTANCE_TEXTS: Final = (
    (0x00080016, "UI", "sop_class_uid"),
    (0x00080018, "UI", "sop_uid"),
    (0x00200013, "IS", "instance_number"),
)
_INSTANCE_NUMBERS: Final = (
    (0x00081196, "US", "warning_reason"),
    (0x00280008, "IS", "number_of_frames"),
    (0x00280010, "US", "pixel_rows"),
    (0x00280011, "US", "pixel_columns"),
    (0x00280100, "US", "bits_allocated"),
)
_OPTIONAL: Final = frozenset({0x00081030, 0x0008103E, 0x00400244, 0x00400245})
"""Left out when there is no value; the others are there without one (PS3.18 Tables 10.6.3-3 to 10.6.3-5)."""
_STUDY_UID, _SERIES_UID = 0x0020000D, 0x0020000E
_CHARACTER_SET, _AVAILABILITY, _RETRIEVE_URL = 0x00080005, 0x00080056, 0x00081190
_TIMEZONE, _MODALITIES, _REQUEST_ATTRIBUTES = 0x00080201, 0x00080061, 0x00400275
_STUDY_SERIES, _STUDY_INSTANCES, _SERIES_INSTANCES = 0x00201206, 0x00201208, 0x00201209
_AVAILABLE_TRANSFER_SYNTAX = 0x00083002
_COMPUTED: Final = frozenset(
    {
        _CHARACTER_SET,
        _AVAILABILITY,
        _RETRIEVE_URL,
        _MODALITIES,
        _STUDY_SERIES,
        _STUDY_INSTANCES,
        _SERIES_INSTANCES,
        _AVAILABLE_TRANSFER_SYNTAX,
    }
)
"""What the archive says itself, whatever a data set has."""
_FILE_META_GROUP: Final = 0x0002
_OF_INSTANCES: Final = frozenset({0x00080016, 0x00080018, 0x00081196, 0x00083002, 0x00200013})
"""What tells instances apart, so that a study or a series has none of it."""
_CONSTANT: Final[Members] = dict(text_members([(_CHARACTER_SET, "CS", "ISO_IR 192"), (_AVAILABILITY, "CS", "ONLINE")]))


def answers(archive: Archive, search: DicomSearch, results: Sequence[Result], base_url: str) -> Iterator[bytes]:
    """Write results.

    Parameters
    ----------
    archive : Archive
        Where they were found.
    search : DicomSearch
        What found them.
    results : Sequence of Result
        The results.
    base_url : str
        The address of the data store, without a slash at its end.

    Yields
    ------
    bytes
        A DICOM JSON object for each result, in their order; only some of them are in memory at a time where data sets are
        read.
    """
    for start in range(0, len(results), _GROUP):
        group = results[start : start + _GROUP]
        defaults = [_default_members(search, result, base_url) for result in group]
        included = _included(archive, search, group, defaults, base_url)
        for own, more in zip(defaults, included, strict=True):
            if search.level is SearchLevel.INSTANCE:
                # What the instance itself says goes before what its study says.
                said = {tag: text for tag, text in more.items() if tag not in _COMPUTED or tag not in own}
                members = {**own, **said}
            else:
                members = {**more, **own}
            yield joined((tag, members[tag]) for tag in sorted(members))


def reads_more(search: DicomSearch, results: Sequence[Result], base_url: str) -> bool:
    """Tell whether more than the rows must be read to write the answers."""
    if not results:
        return False
    defaults = _default_members(search, results[0], base_url)
    return _wants_more(search, defaults)


def _default_members(search: DicomSearch, result: Result, base_url: str) -> Members:
    """Give the default attributes; of the levels above, too, where the path does not name what they are of."""
    study, series, instance = result.study, result.series, result.instance
    row: Any = instance or series or study
    texts = [(_RETRIEVE_URL, "UR", _address(result, base_url))]
    numbers: list[tuple[int, str, int | None]] = []
    if study is not None and (search.study_uid is None or series is None):
        texts += _texts(study, _STUDY_TEXTS)
        numbers += [(_STUDY_SERIES, "IS", study.series_count), (_STUDY_INSTANCES, "IS", study.instance_count)]
    if series is not None and (search.series_uid is None or instance is None):
        texts += _texts(series, _SERIES_TEXTS)
        numbers.append((_SERIES_INSTANCES, "IS", series.instance_count))
    if series is not None and instance is not None:
        texts += [(_STUDY_UID, "UI", series.study_uid), (_SERIES_UID, "UI", series.series_uid)]
        texts += _texts(instance, _INSTANCE_TEXTS)
        texts.append((_AVAILABLE_TRANSFER_SYNTAX, "UI", transfer_syntax_as_stored(instance.stored_transfer_syntax)))
        numbers += [(tag, vr, getattr(instance, column)) for tag, vr, column in _INSTANCE_NUMBERS]
    if row.timezone_offset:
        texts.append((_TIMEZONE, "SH", row.timezone_offset))
    members = {**_CONSTANT, **dict(text_members(texts))}
    for tag, vr, number in numbers:
        if number is not None:
            members[tag] = b'"%08X":{"vr":"%b","Value":[%d]}' % (tag, vr.encode(), number)
    if _SERIES_INSTANCES in members and series is not None and series.request_attributes:
        members[_REQUEST_ATTRIBUTES] = series.request_attributes.encode()
    return members


def _texts(row: Any, columns: Sequence[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    values = [(tag, vr, getattr(row, column)) for tag, vr, column in columns]
    return [(tag, vr, text) for tag, vr, text in values if text or tag not in _OPTIONAL]


def _address(result: Result, base_url: str) -> str:
    study: Any = result.series or result.study
    url = f"{base_url}/studies/{quote(study.study_uid, safe='')}"
    if result.series is not None:
        url += f"/series/{quote(result.series.series_uid, safe='')}"
    if result.instance is not None:
        url += f"/instances/{quote(result.instance.sop_uid, safe='')}"
    return url


def _wants_more(search: DicomSearch, defaults: Members) -> bool:
    included = search.included
    missing = (tag not in defaults and tag not in _COMPUTED and _belongs(search.level, tag) for tag in included.tree)
    return included.everything or bool(included.private) or any(missing)


def _belongs(level: SearchLevel, tag: int) -> bool:
    """Whether a result of a level can have an attribute: nothing that is different from one row below it to the next."""
    if tag >> 16 == _FILE_META_GROUP:
        return False
    if level is SearchLevel.INSTANCE:
        return True
    return tag not in _OF_INSTANCES and (level is SearchLevel.SERIES or level_of(tag) is not Level.SERIES)


def _included(
    archive: Archive, search: DicomSearch, group: Sequence[Result], defaults: Sequence[Members], base_url: str
) -> list[Members]:
    """Give what is included of each result."""
    if not any(_wants_more(search, own) for own in defaults):
        return [{} for _ in group]
    if search.level is SearchLevel.INSTANCE:
        wanted = [
            (result.instance.image_set_id, result.instance.sop_uid) for result in group if result.instance is not None
        ]
        stored = current_instances(archive, search.datastore_id, wanted)
        members = _data_sets(archive, stored, base_url)
        return [_chosen(search, entry) for entry in members]
    return _of_levels(archive, search, group, base_url)


def _of_levels(archive: Archive, search: DicomSearch, group: Sequence[Result], base_url: str) -> list[Members]:
    """Give what is included of studies or series: of their levels, and where these do not have it of the first instance."""
    ids = [_image_set_id(result) for result in group]
    firsts = first_instances(archive, search.datastore_id, ids)
    levels = [{} if first is None else dict(document_members(together(first.image_set.levels))) for first in firsts]
    if _needs_data_sets(search):
        members = _data_sets(archive, firsts, base_url)
        levels = [
            {**{tag: text for tag, text in own.items() if level_of(tag) is Level.INSTANCE}, **above}
            for own, above in zip(members, levels, strict=True)
        ]
    return [_chosen(search, entry) for entry in levels]


def _needs_data_sets(search: DicomSearch) -> bool:
    included = search.included
    named = [tag for tag in included.tree if _belongs(search.level, tag)]
    return included.everything or bool(included.private) or any(level_of(tag) is Level.INSTANCE for tag in named)


def _image_set_id(result: Result) -> str:
    row: Any = result.series if result.series is not None else result.study
    return str(row.id if result.series is not None else row.image_set_id)


def _data_sets(archive: Archive, stored: Sequence[StoredInstance | None], base_url: str) -> list[Members]:
    """Read the members of data sets; none of what went away meanwhile."""
    read = current_data_sets(archive, [instance for instance in stored if instance is not None])
    return [{} if instance is None else dict(data_set_members(next(read), base_url)) for instance in stored]


def _chosen(search: DicomSearch, members: Mapping[int, bytes]) -> Members:
    allowed = {tag: text for tag, text in members.items() if _belongs(search.level, tag)}
    chosen = search.included.chosen(allowed)
    if search.included.everything:
        chosen.update((tag, text) for tag, text in allowed.items() if _is_of_all(search.level, tag))
    return chosen


def _is_of_all(level: SearchLevel, tag: int) -> bool:
    if level is SearchLevel.INSTANCE:
        return True
    return tag in (STUDY_ATTRIBUTES if level is SearchLevel.STUDY else SERIES_ATTRIBUTES)


def json_array(objects: Iterator[bytes]) -> Iterator[bytes]:
    """Put objects into a JSON array."""
    separator = b"["
    for text in objects:
        yield separator + text
        separator = b","
    yield b"[]" if separator == b"[" else b"]"
