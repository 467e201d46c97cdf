"""Edits of metadata as they are typed into a form, checked before they are sent (API operation UpdateImageSetMetadata).

form ─▶ TypedEdit ─▶ check_edit(content) ─▶ CheckedEdit: before, after, problem, objections
                                                 └─▶ updates_of ─▶ updatableAttributes, removableAttributes
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import uuid4

import orjson

from hounsfield.console.imagesets.image_set_content import ImageSetContent, show_value
from hounsfield.dicom.healthimaging.edit_values import BINARY_VRS, VRS, EditValueError, check_value, element_key
from hounsfield.dicom.healthimaging.editable_elements import UIDS, check_removable, check_uid, editable_element
from hounsfield.dicom.healthimaging.levels import Level, level_of
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS

ALL_INSTANCES: Final = "all"
_TEXTS: Final = CUSTOM_CHARSET_VRS | FIXED_CHARSET_VRS


@dataclass(frozen=True, slots=True)
class TypedEdit:
    """One attribute to change, as it was typed.

    Attributes
    ----------
    key : str
        Keyword, or eight hexadecimal digits.
    remove : bool
        Whether it is to be removed; else it gets a value.
    value : str
        Its new value, see `hounsfield.console.imagesets.image_set_content.show_value`; None for the present one that nobody
        typed over yet.
    instance : str
        For an attribute of instances: SOP Instance UID, instance number, or ``all``.
    vr : str
        Value representation of an element without a keyword.
    """

    key: str
    remove: bool = False
    value: str | None = None
    instance: str = ""
    vr: str = ""


@dataclass(frozen=True, slots=True)
class CheckedEdit:
    """An edit beside what there is now.

    Attributes
    ----------
    typed : TypedEdit
        The edit.
    level : Level or None
        At which level the attribute is; None where there is no such attribute.
    vr : str
        Value representation; empty where it is not known.
    is_keyword : bool
        Whether the dictionary knows the attribute.
    multiple : bool
        Whether it takes more than one value.
    is_there : bool
        Whether it is there now.
    before : JsonValue
        Its value now.
    after : JsonValue
        What is sent.
    instances : tuple of str
        SOP Instance UIDs that are changed; empty for the other levels.
    varies : bool
        Whether the instances have different values now.
    where : str
        Level or instance, in words; empty where the instance is not known.
    problem : str
        Why it cannot be sent; empty where it can.
    objections : tuple of str
        What needs force.
    """

    typed: TypedEdit
    level: Level | None = None
    vr: str = ""
    is_keyword: bool = True
    multiple: bool = False
    is_there: bool = False
    before: JsonValue = None
    after: JsonValue = None
    instances: tuple[str, ...] = ()
    varies: bool = False
    where: str = ""
    problem: str = ""
    objections: tuple[str, ...] = field(default=())

    @property
    def key(self) -> str:
        """Keyword, or eight hexadecimal digits."""
        return self.typed.key

    @property
    def of_instance(self) -> bool:
        """Whether each instance has a value of its own."""
        return self.level is Level.INSTANCE

    @property
    def shown(self) -> str:
        """What the field of the new value has."""
        return show_value(self.before) if self.typed.value is None else self.typed.value

    @property
    def is_long(self) -> bool:
        """Whether the value needs a field of several lines."""
        return self.vr in ("LT", "ST", "UT", "SQ") or self.vr in BINARY_VRS


def check_edit(typed: TypedEdit, content: ImageSetContent, *, is_primary: bool) -> CheckedEdit:
    """Check an edit against the rules of the API and what is there now."""
    try:
        element = element_key(typed.key)
        level = level_of(element.tag)
    except EditValueError as error:
        return CheckedEdit(typed, problem=_sentence(error))
    vr = element.vr or content.vr_of(element.key) or typed.vr
    typed = TypedEdit(element.key, typed.remove, typed.value, typed.instance, typed.vr)
    chosen: Sequence[str] = ("",)
    where, problem = level.value, ""
    if level is Level.INSTANCE:
        chosen, where, problem = _instances(typed.instance, content)
    holders = [uid for uid in chosen if element.key in content.values(level, uid)] if not problem else []
    values = [content.values(level, uid)[element.key] for uid in holders]
    varies = any(value != values[0] for value in values) or 0 < len(holders) < len(chosen)
    found = CheckedEdit(
        typed,
        level,
        vr,
        is_keyword=element.vr is not None,
        multiple=element.multiple,
        is_there=bool(holders),
        before=values[0] if values and not varies else None,
        varies=varies,
        where=where,
        problem=problem,
    )
    if problem:
        return found
    try:
        return _checked(found, chosen, holders, content, is_primary=is_primary)
    except EditValueError as error:
        return replace(found, problem=_sentence(error))


def _checked(
    found: CheckedEdit, chosen: Sequence[str], holders: Sequence[str], content: ImageSetContent, *, is_primary: bool
) -> CheckedEdit:
    level = found.level or Level.INSTANCE
    allowed = editable_element(found.key, level)
    element = allowed.element
    if is_primary and element.key in UIDS:
        raise EditValueError(f"{element.key} of a primary image set cannot be changed")
    if found.typed.remove:
        check_removable(element)
        if not holders:
            raise EditValueError(f"{element.key} is not there")
        changed = tuple(uid for uid in holders if uid)
        return replace(found, instances=changed, objections=allowed.objections)
    if not found.vr:
        raise EditValueError(f"Choose the value representation of {element.key}")
    if found.vr not in VRS and found.is_keyword is False:
        raise EditValueError(f"{found.vr} is not a value representation of DICOM")
    vrs = {key: vr for one in content.instances.values() for key, vr in one.vrs.items()}
    checked = check_value(element, found.vr, _json_value(found.vr, found.shown, multiple=element.multiple), vrs)
    check_uid(element, checked.value)
    present = [content.values(level, uid).get(element.key) for uid in chosen]
    if len(holders) == len(chosen) and all(value == checked.value for value in present):
        raise EditValueError(f"This is the value of {element.key} already")
    changed = tuple(uid for uid in chosen if uid)
    return replace(found, after=checked.value, instances=changed, objections=(*allowed.objections, *checked.objections))


def _sentence(error: EditValueError) -> str:
    return f"{error}."


def _instances(typed: str, content: ImageSetContent) -> tuple[Sequence[str], str, str]:
    """Return the instances that were typed, their name, and what is wrong with them."""
    instances = content.instances
    if typed == ALL_INSTANCES or (not typed and len(instances) == 1):
        return tuple(instances), f"All {len(instances)} instances" if len(instances) > 1 else "Instance", ""
    if typed in instances:
        return (typed,), instances[typed].title, ""
    if not typed:
        return (), "", "Choose the instance, or type all for all of them."
    numbered = [one.uid for one in instances.values() if one.number == typed]
    if len(numbered) == 1:
        return numbered, instances[numbered[0]].title, ""
    reason = "Several instances have" if numbered else "No instance has"
    return (), "", f"{reason} this number. Choose one by its SOP Instance UID."


def _json_value(vr: str, text: str, *, multiple: bool) -> object:
    """Read a value as it is typed; what cannot be read is left to the check, which says what is wanted."""
    if vr == "SQ":
        try:
            return orjson.loads(text or "[]")
        except orjson.JSONDecodeError as error:
            raise EditValueError(
                f"A sequence is typed as a list of objects in JSON; line {error.lineno} is not JSON"
            ) from error
    if text == "":
        return None
    if vr in _TEXTS:
        return text.split("\\") if multiple else text
    if vr in BINARY_VRS:
        return "".join(text.split())
    parts = [_number(vr, part.strip()) for part in text.split("\\")]
    return parts if multiple or len(parts) > 1 else parts[0]


def _number(vr: str, text: str) -> object:
    if vr == "AT":
        return text.translate({ord(letter): None for letter in "(), "})
    for read in (int, float) if vr not in ("FL", "FD") else (float,):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def duplicates(edits: Sequence[CheckedEdit]) -> set[int]:
    """Return the positions of edits of what an earlier one changes already."""
    seen: set[tuple[str, str]] = set()
    found = set()
    for number, edit in enumerate(edits):
        targets = {(edit.key, uid) for uid in edit.instances or ("",)}
        if targets & seen:
            found.add(number)
        seen |= targets
    return found


def updates_of(edits: Iterable[CheckedEdit], content: ImageSetContent) -> dict[str, str]:
    """Return the member DICOMUpdates of a request."""
    blobs: dict[str, dict[str, Any]] = {}
    for edit in edits:
        name = "removableAttributes" if edit.typed.remove else "updatableAttributes"
        blob = blobs.setdefault(name, {"SchemaVersion": 1.1})
        for place in _places(blob, edit, content.series_uid):
            place.setdefault("DICOM", {})[edit.key] = edit.after
            if not edit.is_keyword and not edit.typed.remove:
                place.setdefault("DICOMVRs", {})[edit.key] = edit.vr
    return {name: base64.b64encode(orjson.dumps(blob)).decode() for name, blob in blobs.items()}


def _places(blob: dict[str, Any], edit: CheckedEdit, series_uid: str) -> list[dict[str, Any]]:
    """Return the objects of a document that the edit goes into."""
    if edit.level is Level.PATIENT:
        return [blob.setdefault("Patient", {})]
    study = blob.setdefault("Study", {})
    if edit.level is Level.STUDY:
        return [study]
    series = study.setdefault("Series", {}).setdefault(series_uid, {})
    if edit.level is Level.SERIES:
        return [series]
    instances = series.setdefault("Instances", {})
    return [instances.setdefault(uid, {}) for uid in edit.instances]


def new_uid() -> str:
    """Return a UID that nothing has yet: one made of a random UUID (PS3.5 section B.2)."""
    return f"2.25.{uuid4().int}"


def removal_of(sop_uids: Iterable[str], series_uid: str) -> Mapping[str, str]:
    """Return the member DICOMUpdates of a request that removes whole instances."""
    blob = {
        "SchemaVersion": 1.1,
        "Study": {"Series": {series_uid: {"Instances": {uid: {} for uid in sop_uids}}}},
    }
    return {"removableAttributes": base64.b64encode(orjson.dumps(blob)).decode()}
