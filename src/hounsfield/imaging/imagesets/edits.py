"""Edits of metadata (UpdateImageSetMetadata): parsing, checks, application. Pure.

    updatableAttributes, removableAttributes ─▶ parse_edits ─▶ Edits ─┬─▶ check_edits      may they be made?
                                                                      ├─▶ edited_levels    patient, study, series
                                                                      └─▶ edited_instance  one instance of the document

What a blob says at a level is one `Change`: values to set and keys to remove.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.healthimaging.edit_values import EditValueError, ElementKey, check_value, element_key
from hounsfield.dicom.healthimaging.editable_elements import UIDS, check_removable, check_uid, editable_element
from hounsfield.dicom.healthimaging.levels import Level
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import tag_of
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.imagesets.edit_document import LevelRequest, read_request

_SOP_UID: Final = "SOPInstanceUID"
_MEDIA_STORAGE_UID: Final = "MediaStorageSOPInstanceUID"


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to the values of one level, or of one instance.

    Attributes
    ----------
    values : Mapping[str, JsonValue]
        Values to set, in the form of the document.
    unchecked : Mapping[str, object]
        Values to set of elements whose value representation only the stored instance tells.
    vrs : Mapping[str, str]
        Value representations of elements without a keyword.
    removed : frozenset of str
        Keys to remove.
    """

    values: Mapping[str, JsonValue] = field(default_factory=dict)
    unchecked: Mapping[str, object] = field(default_factory=dict)
    vrs: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.values or self.unchecked or self.removed)


@dataclass(frozen=True, slots=True)
class Edits:
    """Everything one request changes.

    Attributes
    ----------
    patient, study : Change
        Changes of these levels.
    series : Mapping[str, Change]
        Changes of the series level, by Series Instance UID.
    instances : Mapping[tuple[str, str], Change]
        Changes of instances, by Series and SOP Instance UID.
    removed_instances : frozenset of (str, str)
        Instances to remove, by Series and SOP Instance UID.
    removed_series : frozenset of str
        Series to remove.
    objections : tuple of str
        What only a forced update may do.
    """

    patient: Change
    study: Change
    series: Mapping[str, Change]
    instances: Mapping[tuple[str, str], Change]
    removed_instances: frozenset[tuple[str, str]]
    removed_series: frozenset[str]
    objections: tuple[str, ...]

    @property
    def changes_uids(self) -> bool:
        """Whether a Study, Series or SOP Instance UID is changed."""
        changes = [self.study, *self.series.values(), *self.instances.values()]
        return any(not UIDS.isdisjoint(change.values) for change in changes)

    @property
    def named_instances(self) -> frozenset[str]:
        """SOP Instance UIDs of the instances that are changed or removed."""
        return frozenset(uid for _, uid in (*self.instances, *self.removed_instances))

    @property
    def mentioned_instances(self) -> frozenset[str]:
        """The named ones, and the SOP Instance UIDs that are given to them."""
        given = (change.values.get(_SOP_UID) for change in self.instances.values())
        return self.named_instances.union(str(uid) for uid in given if uid is not None)

    @property
    def whole_study(self) -> bool:
        """Whether nothing below the study level is touched."""
        return not (self.series or self.instances or self.removed_instances or self.removed_series)


@dataclass(frozen=True, slots=True)
class EditedContent:
    """What of an image set the rules look at.

    Attributes
    ----------
    is_primary : bool
        Whether it is a primary image set.
    levels : Levels
        Its patient, study and series values.
    sop_uids : Collection of str
        Those of `Edits.mentioned_instances` that are in it.
    instance_count : int
        How many instances it has.
    """

    is_primary: bool
    levels: Levels
    sop_uids: Collection[str]
    instance_count: int

    @property
    def series_uid(self) -> str:
        """Series Instance UID of the image set."""
        return str(self.levels.series.get("SeriesInstanceUID") or "")


@dataclass(frozen=True, slots=True)
class EditedInstance:
    """An instance after an edit; class and UID are what the search index and the hierarchy are made of."""

    sop_uid: str
    sop_class_uid: str | None
    fragment: bytes


def parse_edits(updatable: bytes | None, removable: bytes | None) -> Edits:
    """Read the two blobs of a request (API shape DICOMUpdates).

    Raises
    ------
    InvalidRequestError
        They are not of the documented form, change what no request may change, or change nothing.
    """
    request = read_request(updatable, removable)
    parser = _Parser()
    patient = parser.change(request.patient, Level.PATIENT)
    study = parser.change(request.study, Level.STUDY)
    series, instances, removed_instances, removed_series = {}, {}, set(), set()
    for series_uid, entry in request.series.items():
        if entry.level.remove_whole:
            removed_series.add(series_uid)
        if change := parser.change(entry.level, Level.SERIES):
            series[series_uid] = change
        for sop_uid, level in entry.instances.items():
            change = parser.change(level, Level.INSTANCE)
            if level.remove_whole:
                parser.objections.append("an instance is removed")
                removed_instances.add((series_uid, sop_uid))
                if change:
                    raise InvalidRequestError("The same instance is changed and removed")
            elif change:
                instances[series_uid, sop_uid] = change
    edits = Edits(
        patient,
        study,
        series,
        instances,
        frozenset(removed_instances),
        frozenset(removed_series),
        tuple(dict.fromkeys(parser.objections)),
    )
    if not patient and not study and edits.whole_study:
        raise InvalidRequestError("updatableAttributes and removableAttributes change nothing")
    return edits


class _Parser:
    """Turns what is asked for at a level into a change, and collects what needs force."""

    def __init__(self) -> None:
        self.objections: list[str] = []

    def change(self, request: LevelRequest, level: Level) -> Change:
        try:
            return self._change(request, level)
        except EditValueError as error:
            raise InvalidRequestError(str(error)) from error

    def _change(self, request: LevelRequest, level: Level) -> Change:
        values: dict[str, JsonValue] = {}
        unchecked: dict[str, object] = {}
        for name, value in request.values.items():
            element = self._element(name, level)
            vr = element.vr or request.vrs.get(element.key)
            if vr is None:
                unchecked[element.key] = value
                continue
            checked = check_value(element, vr, value, request.vrs)
            self.objections += checked.objections
            check_uid(element, checked.value)
            values[element.key] = checked.value
        removed = frozenset(self._removed(name, level) for name in request.removed)
        both = removed & (values.keys() | unchecked.keys())
        if both:
            raise InvalidRequestError(f"{min(both)} is in updatableAttributes and in removableAttributes")
        return Change(values, unchecked, request.vrs, removed)

    def _removed(self, name: str, level: Level) -> str:
        element = self._element(name, level)
        check_removable(element)
        return element.key

    def _element(self, name: str, level: Level) -> ElementKey:
        found = editable_element(name, level)
        self.objections += found.objections
        return found.element


def check_edits(edits: Edits, content: EditedContent, *, forced: bool, whole_study: bool = False) -> None:
    """Check edits against the image set they are made for.

    Parameters
    ----------
    edits : Edits
        The edits.
    content : EditedContent
        The image set at its latest version.
    forced : bool
        Whether the caller gave ``force``.
    whole_study : bool
        Whether the caller gave ``includeStudyImageSets``.

    Raises
    ------
    InvalidRequestError
        A rule forbids them.
    """
    if edits.changes_uids and content.is_primary:
        raise InvalidRequestError(
            "StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID of a primary image set cannot be changed"
        )
    if edits.objections and not forced:
        raise InvalidRequestError(f"The update needs force: {'; '.join(edits.objections)}")
    if whole_study and not content.is_primary:
        raise InvalidRequestError("includeStudyImageSets is for primary image sets only")
    if whole_study and not edits.whole_study:
        raise InvalidRequestError("includeStudyImageSets is for changes of the patient and the study level only")
    _check_parents(edits, content)
    edited_levels(content.levels, edits)


def _check_parents(edits: Edits, content: EditedContent) -> None:
    series = {*edits.series, *edits.removed_series, *(uid for uid, _ in (*edits.instances, *edits.removed_instances))}
    if not series <= {content.series_uid}:
        raise InvalidRequestError("A Series Instance UID of the request is not that of the image set")
    sop_uids = set(content.sop_uids)
    if not edits.named_instances <= sop_uids:
        raise InvalidRequestError("A SOP Instance UID of the request is not in the image set")
    removed = {uid for _, uid in edits.removed_instances}
    empties = removed and len(removed) >= content.instance_count
    if edits.removed_series or empties:
        raise InvalidRequestError("An image set keeps at least one instance; to remove all of them, delete it")
    left = sop_uids - removed
    renamed = {
        uid: change.values[_SOP_UID] for (_, uid), change in edits.instances.items() if _SOP_UID in change.values
    }
    if len({renamed.get(uid, uid) for uid in left}) != len(left):
        raise InvalidRequestError("SOPInstanceUID must be unique within an image set")


def edited_levels(levels: Levels, edits: Edits, *, missing_allowed: bool = False) -> Levels:
    """Make the patient, study and series values of the new version.

    Parameters
    ----------
    levels : Levels
        Those of the version before.
    edits : Edits
        The edits.
    missing_allowed : bool
        Whether removing what is not there is no error, as for the other image sets of a study.

    Raises
    ------
    InvalidRequestError
        An attribute to be removed is not there.
    """
    series = edits.series.get(str(levels.series.get("SeriesInstanceUID") or ""), Change())
    changed = [
        _changed(values, change, missing_allowed=missing_allowed)
        for values, change in ((levels.patient, edits.patient), (levels.study, edits.study), (levels.series, series))
    ]
    patient, study, series_values = (dict(sorted(values.items())) for values in changed)
    return Levels(patient, study, series_values)


def edited_instance(fragment: bytes, change: Change) -> EditedInstance:
    """Change one instance of the document.

    Parameters
    ----------
    fragment : bytes
        The instance as it is stored (`hounsfield.dicom.healthimaging.document.instance_fragment`).
    change : Change
        What to change; a new SOP Instance UID also goes to the file meta information.

    Raises
    ------
    InvalidRequestError
        An attribute to be removed is not there, or the value representation of a new private element is not known.
    """
    content = orjson.loads(fragment)
    vrs = {**content["DICOMVRs"], **change.vrs}
    values = {**change.values, **_checked_late(change, vrs)}
    if _SOP_UID in values and _MEDIA_STORAGE_UID in content["DICOM"]:
        values[_MEDIA_STORAGE_UID] = values[_SOP_UID]
    attributes = _changed(content["DICOM"], Change(values, removed=change.removed), missing_allowed=False)
    attributes = dict(sorted(attributes.items(), key=lambda entry: tag_of(entry[0]) or 0))
    used = _keys_of(attributes)
    content["DICOM"] = attributes
    content["DICOMVRs"] = {key: vrs[key] for key in sorted(vrs) if key in used}
    sop_class = attributes.get("SOPClassUID")
    return EditedInstance(
        str(attributes[_SOP_UID]), sop_class if isinstance(sop_class, str) else None, orjson.dumps(content)
    )


def _checked_late(change: Change, vrs: Mapping[str, str]) -> dict[str, JsonValue]:
    values = {}
    for key, value in change.unchecked.items():
        if key not in vrs:
            raise InvalidRequestError(f"DICOMVRs must give the value representation of {key}")
        try:
            values[key] = check_value(element_key(key), vrs[key], value, vrs).value
        except EditValueError as error:
            raise InvalidRequestError(str(error)) from error
    return values


def _changed(values: Mapping[str, JsonValue], change: Change, *, missing_allowed: bool) -> dict[str, JsonValue]:
    missing = change.removed - values.keys()
    if missing and not missing_allowed:
        raise InvalidRequestError(f"{min(missing)} is to be removed but is not there")
    return {**{key: value for key, value in values.items() if key not in change.removed}, **change.values}


def _keys_of(value: JsonValue) -> set[str]:
    """Collect the keys of an object and of all objects in it."""
    if isinstance(value, dict):
        return set(value).union(*(_keys_of(entry) for entry in value.values()))
    if isinstance(value, list):
        return set().union(*(_keys_of(entry) for entry in value))
    return set()
