"""Elements that a metadata update can change (API operation UpdateImageSetMetadata). Pure.

key, level ─▶ editable_element ─▶ the element, and what only a forced update may disregard
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hounsfield.dicom.healthimaging.edit_values import EditValueError, ElementKey, element_key
from hounsfield.dicom.healthimaging.levels import Level, level_of
from hounsfield.dicom.values.decode import JsonValue, is_encoding_only
from hounsfield.dicom.values.dictionary import is_private

UIDS: Final = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"})
"""What the hierarchy is made of: it can be changed by force in an image set that is not primary, and never removed."""
_IDENTIFYING: Final = UIDS | {"StudyID"}
_GENERATED: Final = frozenset(
    {
        "SchemaVersion",
        "DatastoreID",
        "ImageSetID",
        "PixelData",
        "FloatPixelData",
        "DoubleFloatPixelData",
        "Checksum",
        "Width",
        "Height",
        "MinPixelValue",
        "MaxPixelValue",
        "FrameSizeInBytes",
    }
)
_LONGEST_UID: Final = 256  # By force; DICOM allows 64 characters (PS3.5 section 9.1).
_FILE_META_GROUP: Final = 0x0002


@dataclass(frozen=True, slots=True)
class EditableElement:
    """An element that an update may name at a level.

    Attributes
    ----------
    element : ElementKey
        The element.
    objections : tuple of str
        What only a forced update may disregard.
    """

    element: ElementKey
    objections: tuple[str, ...]


def editable_element(name: str, level: Level) -> EditableElement:
    """Find the element behind a key that an update has at a level.

    Parameters
    ----------
    name : str
        The key.
    level : Level
        Where the update has it.

    Raises
    ------
    EditValueError
        There is no such element, it belongs to another level, or no update can change it.
    """
    if name in _GENERATED:
        raise EditValueError(f"{name} is made by the service and cannot be changed")
    element = element_key(name)
    if element.tag >> 16 == _FILE_META_GROUP or is_encoding_only(element.tag):
        raise EditValueError(f"{element.key} describes the file, not the instance, and cannot be changed")
    if level_of(element.tag) is not level:
        raise EditValueError(f"{element.key} belongs to the level {level_of(element.tag).value}, not to {level.value}")
    objections = []
    if is_private(element.tag):
        objections.append(f"{element.key} is private")
    elif element.vr is None:
        objections.append(f"{element.key} is not an element of the DICOM standard")
    if element.key in _IDENTIFYING:
        objections.append(f"{element.key} identifies what others refer to")
    return EditableElement(element, tuple(objections))


def check_removable(element: ElementKey) -> None:
    """Make sure that an element can be removed; raises `EditValueError`."""
    if element.key in UIDS:
        raise EditValueError(f"{element.key} cannot be removed")


def check_uid(element: ElementKey, value: JsonValue) -> None:
    """Make sure that a UID of the hierarchy gets a value that can be one; raises `EditValueError`."""
    if element.key not in UIDS:
        return
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_UID or set(value) - set("0123456789."):
        raise EditValueError(f"{element.key} must be one UID of digits and dots, up to 64 characters")
