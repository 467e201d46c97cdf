"""Parts of a metadata document: its levels, and where each instance stands, found without reading the instances.

    document ─▶ split_document ─▶ levels, and for each instance a range of bytes ─▶ DocumentParts.instance ─▶ its members

It is the inverse of `hounsfield.dicom.healthimaging.document.image_set_document`. Each level and each instance has ``DICOM`` as
its first member, no attribute is called so, and quotes in text are escaped, so the marker stands nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from hounsfield.dicom.healthimaging.document import DOCUMENT_END, Levels

_MARKER: Final = b'":{"DICOM":{'
_LEVELS: Final = 3


@dataclass(frozen=True, slots=True)
class DocumentParts:
    """A document that was taken apart.

    Attributes
    ----------
    levels : Levels
        Patient, study and series values.
    text : bytes
        The document.
    ranges : Mapping of str to (int, int)
        By SOP Instance UID, where the object of the instance begins and ends in the text; in the order of the document.
    """

    levels: Levels
    text: bytes = field(repr=False)
    ranges: Mapping[str, tuple[int, int]] = field(repr=False)

    def fragment(self, sop_uid: str) -> bytes:
        """Return the object of an instance as JSON; raises `KeyError`."""
        start, end = self.ranges[sop_uid]
        return self.text[start:end]

    def instance(self, sop_uid: str) -> dict[str, Any]:
        """Return the object of an instance; raises `KeyError`."""
        content: dict[str, Any] = orjson.loads(self.fragment(sop_uid))
        return content


def split_document(text: bytes) -> DocumentParts:
    """Take a document apart.

    Parameters
    ----------
    text : bytes
        What `image_set_document` wrote.

    Raises
    ------
    ValueError
        It is something else.
    """
    keys = list(_keys(text))
    first = keys[_LEVELS][0] if len(keys) > _LEVELS else len(text) - len(DOCUMENT_END)
    if len(keys) < _LEVELS or not text.endswith(DOCUMENT_END):
        raise ValueError("this is no metadata document of an image set")
    head = orjson.loads(text[:first].removesuffix(b",") + DOCUMENT_END)
    series = next(iter(head["Study"]["Series"].values()))
    levels = Levels(head["Patient"]["DICOM"], head["Study"]["DICOM"], series["DICOM"])
    instances = keys[_LEVELS:]
    # An object ends before the comma that is before the next one's UID.
    ends = [*(start - 1 for start, _ in instances[1:]), len(text) - len(DOCUMENT_END)][: len(instances)]
    ranges = {
        orjson.loads(text[start : middle + 1]): (middle + 2, end)
        for (start, middle), end in zip(instances, ends, strict=True)
    }
    return DocumentParts(levels, text, ranges)


def _keys(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the quotes around the name of each level and each instance are."""
    at = text.find(_MARKER)
    while at >= 0:
        start = text.rfind(b'"', 0, at)
        while _is_escaped(text, start):
            start = text.rfind(b'"', 0, start)
        yield start, at
        at = text.find(_MARKER, at + len(_MARKER))


def _is_escaped(text: bytes, quote: int) -> bool:
    before = quote
    while text[before - 1 : before] == b"\\":
        before -= 1
    return (quote - before) % 2 == 1
