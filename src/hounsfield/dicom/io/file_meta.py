"""File meta information of the files we write (PS3.10 section 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hounsfield.dicom.io.dataset_writer import write_data_set
from hounsfield.dicom.values.elements import Element

IMPLEMENTATION_CLASS_UID: Final = "2.25.187899844603898261502700961858175127472"
"""Names Hounsfield as the writer of a file; made once from a UUID (PS3.5 section B.2)."""
IMPLEMENTATION_VERSION_NAME: Final = "HOUNSFIELD"

_GROUP_LENGTH: Final = 0x00020000
_VERSION: Final = 0x00020001
_SOP_CLASS_UID: Final = 0x00020002
_SOP_INSTANCE_UID: Final = 0x00020003
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_IMPLEMENTATION_CLASS_UID: Final = 0x00020012
_IMPLEMENTATION_VERSION_NAME: Final = 0x00020013


def preamble_and_meta(kept: Iterable[Element], sop_class_uid: str, sop_uid: str, transfer_syntax: str) -> bytes:
    """Write everything before the data set.

    Parameters
    ----------
    kept : Iterable of Element
        File meta information of the file that came in. Application entity titles and private information stay; what
        tells of the file and its writer is replaced.
    sop_class_uid, sop_uid : str
        Of the data set that follows.
    transfer_syntax : str
        Encoding of the data set that follows.

    Returns
    -------
    bytes
        An empty preamble (the old one may tell of a file that is no more), the prefix and group 0002.
    """
    elements = {element.tag: element for element in kept if element.tag >> 16 == 2}
    elements[_VERSION] = Element(_VERSION, "OB", b"\0\1")
    for tag, vr, text in (
        (_SOP_CLASS_UID, "UI", sop_class_uid),
        (_SOP_INSTANCE_UID, "UI", sop_uid),
        (_TRANSFER_SYNTAX_UID, "UI", transfer_syntax),
        (_IMPLEMENTATION_CLASS_UID, "UI", IMPLEMENTATION_CLASS_UID),
        (_IMPLEMENTATION_VERSION_NAME, "SH", IMPLEMENTATION_VERSION_NAME),
    ):
        elements[tag] = Element(tag, vr, text.encode("ascii", "replace"))
    elements.pop(_GROUP_LENGTH, None)
    content = write_data_set(elements.values())
    length = write_data_set([Element(_GROUP_LENGTH, "UL", len(content).to_bytes(4, "little"))])
    return bytes(128) + b"DICM" + length + content
