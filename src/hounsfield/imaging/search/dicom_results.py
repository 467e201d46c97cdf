"""Results of a DICOMweb search as DICOM JSON objects (PS3.18 sections 10.6.3.3 and F.2).

    row ──▶ default attributes ─────────────────────────────┐
    levels of the image set (sealed) ──▶ what is included ──┼─▶ one object, in tag order
    data set of an instance (a pack) ──▶ what is included ──┘

The default attributes are columns, so that a common search reads nothing else. What else is asked for of a study or a series
comes from the levels of its image set, and from the data set of its first instance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hounsfield.dicom.healthimaging.levels import Level, level_of
from hounsfield.dicom.json.level_attributes import document_members
from hounsfield.dicom.json.search_attributes import SERIES_ATTRIBUTES, STUDY_ATTRIBUTES
from hounsfield.dicom.json.writer import join_members
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.data_set import read_current_data_sets
from hounsfield.imaging.retrieve.data_set_json import data_set_members
from hounsfield.imaging.retrieve.instances import StoredInstance, find_current_instances, find_first_instances
from hounsfield.imaging.retrieve.level_changes import together
from hounsfield.imaging.search.default_attributes import (
    AVAILABILITY,
    AVAILABLE_TRANSFER_SYNTAX,
    CHARACTER_SET,
    MODALITIES,
    RETRIEVE_URL,
    SERIES_INSTANCES,
    STUDY_INSTANCES,
    STUDY_SERIES,
    Members,
    default_members,
    study_object,
)
from hounsfield.imaging.search.dicom import NOTHING, DicomSearch, FoundRow, Result
from hounsfield.imaging.search.search_keys import SearchLevel

_GROUP: Final = 64
_COMPUTED: Final = frozenset(
    {
        CHARACTER_SET,
        AVAILABILITY,
        RETRIEVE_URL,
        MODALITIES,
        STUDY_SERIES,
        STUDY_INSTANCES,
        SERIES_INSTANCES,
        AVAILABLE_TRANSFER_SYNTAX,
    }
)
"""What the image store says itself, whatever a data set has."""
_FILE_META_GROUP: Final = 0x0002
_OF_INSTANCES: Final = frozenset({0x00080016, 0x00080018, 0x00081196, 0x00083002, 0x00200013})
"""What tells instances apart, so that a study or a series has none of it."""


def write_results(
    image_store: ImageStore, search: DicomSearch, results: Sequence[Result], base_url: str
) -> Iterator[bytes]:
    """Write results.

    Parameters
    ----------
    image_store : ImageStore
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
    if search.level is SearchLevel.STUDY and search.included == NOTHING:
        yield from (study_object(result.study, base_url) for result in results)
        return
    for start in range(0, len(results), _GROUP):
        group = results[start : start + _GROUP]
        defaults = [default_members(search, result, base_url) for result in group]
        for members in _with_included(image_store, search, group, defaults, base_url):
            yield join_members((tag, members[tag]) for tag in sorted(members))


def reads_stored_data(search: DicomSearch, results: Sequence[Result], base_url: str) -> bool:
    """Return whether more than the rows must be read to write the answers."""
    if not results:
        return False
    defaults = default_members(search, results[0], base_url)
    return _wants_more(search, defaults)


def _wants_more(search: DicomSearch, defaults: Members) -> bool:
    included = search.included
    missing = (tag not in defaults and tag not in _COMPUTED and _belongs(search.level, tag) for tag in included.tree)
    return included.everything or bool(included.private) or any(missing)


def _belongs(level: SearchLevel, tag: int) -> bool:
    """Return whether a result of a level can have an attribute: nothing that is different from one row below it to the next."""
    if tag >> 16 == _FILE_META_GROUP:
        return False
    if level is SearchLevel.INSTANCE:
        return True
    return tag not in _OF_INSTANCES and (level is SearchLevel.SERIES or level_of(tag) is not Level.SERIES)


def _with_included(
    image_store: ImageStore, search: DicomSearch, group: Sequence[Result], defaults: Sequence[Members], base_url: str
) -> Iterator[Members]:
    """Yield the members of each result: the default ones, and what is included besides."""
    if not any(_wants_more(search, own) for own in defaults):
        yield from defaults
        return
    included = _included(image_store, search, group, base_url)
    for own, more in zip(defaults, included, strict=True):
        if search.level is SearchLevel.INSTANCE:
            # What the instance itself says goes before what its study says.
            said = {tag: text for tag, text in more.items() if tag not in _COMPUTED or tag not in own}
            yield {**own, **said}
        else:
            yield {**more, **own}


def _included(image_store: ImageStore, search: DicomSearch, group: Sequence[Result], base_url: str) -> list[Members]:
    """Return what is included of each result."""
    if search.level is SearchLevel.INSTANCE:
        wanted = [
            (result.instance.image_set_id, result.instance.sop_uid) for result in group if result.instance is not None
        ]
        stored = find_current_instances(image_store, search.datastore_id, wanted)
        members = _data_sets(image_store, stored, base_url)
        return [_chosen(search, entry) for entry in members]
    return _of_levels(image_store, search, group, base_url)


def _of_levels(image_store: ImageStore, search: DicomSearch, group: Sequence[Result], base_url: str) -> list[Members]:
    """Return what is included of studies or series: of their levels, and where these do not have it of the first instance."""
    ids = [_image_set_id(result) for result in group]
    firsts = find_first_instances(image_store, search.datastore_id, ids)
    levels = [{} if first is None else dict(document_members(together(first.image_set.levels))) for first in firsts]
    if _needs_data_sets(search):
        members = _data_sets(image_store, firsts, base_url)
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
    row: FoundRow = result.series if result.series is not None else result.study
    return str(row.id if result.series is not None else row.image_set_id)


def _data_sets(image_store: ImageStore, stored: Sequence[StoredInstance | None], base_url: str) -> list[Members]:
    """Read the members of data sets; none of what went away meanwhile."""
    read = read_current_data_sets(image_store, [instance for instance in stored if instance is not None])
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
