"""The content of an image set at a version: values by level, as GetImageSetMetadata gives them.

GetImageSetMetadata ─▶ ImageSetContent ─▶ value(level, key, instance)
                                      └─▶ differences(one version, another)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hounsfield.console.calls import Calls
from hounsfield.console.imagesets import metadata
from hounsfield.console.imagesets.image_set import image_set_api_path
from hounsfield.console.imagesets.metadata import in_thread, instance_order, read_instance, unpack
from hounsfield.dicom.healthimaging.document_parts import DocumentParts
from hounsfield.dicom.healthimaging.levels import Level
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import tag_of
from hounsfield.dicom.values.errors import tag_text

LEVELS: Final = (Level.PATIENT, Level.STUDY, Level.SERIES)
"""Levels that an image set has once."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A SOP instance of an image set.

    Attributes
    ----------
    uid : str
        SOP Instance UID.
    values : mapping
        Values of its own level by key.
    vrs : mapping
        Value representations of elements without a keyword.
    frame_count : int
        How many frames it has.
    """

    uid: str
    values: Mapping[str, JsonValue]
    vrs: Mapping[str, str]
    frame_count: int

    @property
    def number(self) -> str:
        """Instance Number without the blanks around it; empty where it has none."""
        return show_value(self.values.get("InstanceNumber")).strip()

    @property
    def title(self) -> str:
        """What pages call it."""
        return f"Instance {self.number}" if self.number else self.uid


@dataclass(frozen=True, slots=True)
class ImageSetContent:
    """Everything that the metadata of an image set says.

    Attributes
    ----------
    series_uid : str
        Series Instance UID.
    levels : mapping
        Values of the patient, study and series by key.
    instances : mapping
        Instances by SOP Instance UID, by ascending instance number.
    """

    series_uid: str
    levels: Mapping[Level, Mapping[str, JsonValue]]
    instances: Mapping[str, Instance]

    def values(self, level: Level, sop_uid: str = "") -> Mapping[str, JsonValue]:
        """Return the values of a level; of an instance by its UID."""
        return self.instances[sop_uid].values if level is Level.INSTANCE else self.levels[level]

    def vr_of(self, key: str) -> str | None:
        """Return the value representation of an element without a keyword, where an instance has it."""
        return next((one.vrs[key] for one in self.instances.values() if key in one.vrs), None)

    def text(self, key: str) -> str:
        """Return a value of the patient, study or series as text; empty where there is none."""
        return next((show_value(self.levels[level][key]) for level in LEVELS if key in self.levels[level]), "")

    @property
    def frame_count(self) -> int:
        """How many frames all instances have."""
        return sum(one.frame_count for one in self.instances.values())


async def read_content(
    calls: Calls, datastore_id: str, image_set_id: str, version: str | None = None
) -> ImageSetContent:
    """Read the metadata of an image set at a version, the latest without one, in a thread; raises `ApiError`."""
    answer = await calls.post(
        f"{image_set_api_path(datastore_id, image_set_id)}/getImageSetMetadata",
        query={"version": version},
    )
    return await in_thread(lambda: content_of(unpack(answer.body)))


def content_of(document: DocumentParts) -> ImageSetContent:
    """Arrange a metadata document."""
    levels = document.levels
    instances = [_instance(read_instance(document, uid)) for uid in document.ranges]
    return ImageSetContent(
        show_value(levels.series.get("SeriesInstanceUID")),
        {Level.PATIENT: levels.patient, Level.STUDY: levels.study, Level.SERIES: levels.series},
        {one.uid: one for one in sorted(instances, key=lambda one: instance_order(one.number, one.uid))},
    )


def _instance(found: metadata.Instance) -> Instance:
    return Instance(found.sop_uid, found.data_set, found.vrs, len(found.frames))


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two contents.

    Attributes
    ----------
    where : str
        Level, or the instance.
    key : str
        The attribute; empty where a whole instance is in one of them only.
    before, after : JsonValue
        Its value in each; None where it has none.
    """

    where: str
    key: str
    before: JsonValue
    after: JsonValue


def level_differences(before: ImageSetContent, after: ImageSetContent) -> list[Difference]:
    """Compare patient, study and series; an empty element is as good as none."""
    return [
        difference
        for level in LEVELS
        for difference in _compared(level.value, before.levels[level], after.levels[level])
    ]


def differences(before: ImageSetContent, after: ImageSetContent) -> Iterator[Difference]:
    """Compare two versions of an image set."""
    yield from level_differences(before, after)
    for uid, instance in before.instances.items():
        if uid in after.instances:
            yield from _compared(instance.title, instance.values, after.instances[uid].values)
        else:
            yield Difference(instance.title, "", "there", None)
    for uid, instance in after.instances.items():
        if uid not in before.instances:
            yield Difference(instance.title, "", None, "there")


def _compared(where: str, before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> Iterator[Difference]:
    for key in sorted({*before, *after}, key=lambda key: tag_of(key) or 0):
        one, other = before.get(key), after.get(key)
        if one != other and (one or other or 0 in (one, other)):
            yield Difference(where, key, one, other)


def show_value(value: JsonValue) -> str:
    """Return a value as it is typed: several are separated by backslashes, as DICOM does it; sequences are JSON."""
    if value is None:
        return ""
    if isinstance(value, list) and not any(isinstance(one, dict) for one in value):
        return "\\".join(show_value(one) for one in value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, indent=1)
    return str(value)


def show_tag(key: str) -> str:
    """Return the tag of a key as DICOM writes it; empty where the key stands for none."""
    tag = tag_of(key)
    return "" if tag is None else tag_text(tag)
