"""The metadata document of an image set (GetImageSetMetadata).

    record + frames ─▶ instance_fragment ─▶ stored bytes, one object per instance
    levels + fragments of a version ─▶ image_set_document ─▶ one JSON document, in chunks

An instance is serialised once, when it comes in. A document is those bytes joined, so that an image set of thousands
of instances is answered without parsing any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from hounsfield.dicom.healthimaging.record import InstanceRecord
from hounsfield.dicom.values.decode import JsonValue

SCHEMA_VERSION: Final = "1.1"
ID_DIGITS: Final = 32
"""Hexadecimal digits of the id of a data store or an image set."""
_CHUNK: Final = 1 << 16
DOCUMENT_END: Final = b"}}}}}"
"""What follows the last instance."""


@dataclass(frozen=True, slots=True)
class FrameEntry:
    """One frame as the document describes it.

    Attributes
    ----------
    frame_id : str
        32 hexadecimal digits.
    checksums : Sequence of (int, int, int)
        Width and height in pixels and CRC32, smallest resolution first and full resolution last.
    min_value, max_value : int or None
        Smallest and largest stored pixel value; None for frames stored as they came.
    size : int
        Stored frame in bytes.
    """

    frame_id: str
    checksums: Sequence[tuple[int, int, int]]
    min_value: int | None
    max_value: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Values kept once per image set.

    Attributes
    ----------
    patient, study, series : dict
        Values by keyword in alphabetical order; `series` and `study` hold the UIDs.
    """

    patient: dict[str, JsonValue]
    study: dict[str, JsonValue]
    series: dict[str, JsonValue]

    def to_json(self) -> bytes:
        """Serialise.

        Returns
        -------
        bytes
            UTF-8 JSON object with the members ``Patient``, ``Study`` and ``Series``.
        """
        return orjson.dumps({"Patient": self.patient, "Study": self.study, "Series": self.series})

    @classmethod
    def from_json(cls, data: bytes) -> Levels:
        """Read what `to_json` wrote.

        Parameters
        ----------
        data : bytes
            UTF-8 JSON.

        Returns
        -------
        Levels
            Equal to the one that was written.

        Raises
        ------
        ValueError
            When the bytes are not such an object.
        """
        members = orjson.loads(data)
        try:
            return cls(members["Patient"], members["Study"], members["Series"])
        except (KeyError, TypeError) as error:
            raise ValueError("Levels are a JSON object with the members Patient, Study and Series") from error


def instance_fragment(
    record: InstanceRecord,
    stored_transfer_syntax: str | None,
    checksum_type: str | None,
    frames: Sequence[FrameEntry],
) -> bytes:
    """Serialise one instance as it stands in a document.

    Parameters
    ----------
    record : InstanceRecord
        Its metadata.
    stored_transfer_syntax : str or None
        Transfer syntax its frames are stored in; the key is left out when None.
    checksum_type : str or None
        ``DECOMPRESSED`` or ``COMPRESSED``; the key is left out when None.
    frames : Sequence of FrameEntry
        Frames in order; empty when there is no pixel data.

    Returns
    -------
    bytes
        UTF-8 JSON object.
    """
    content: dict[str, object] = {"DICOM": record.attributes, "DICOMVRs": record.vrs}
    if stored_transfer_syntax is not None:
        content["StoredTransferSyntaxUID"] = stored_transfer_syntax
    if checksum_type is not None:
        content["ChecksumType"] = checksum_type
    content["ImageFrames"] = [_frame(frame) for frame in frames]
    return orjson.dumps(content)


def image_set_document(
    datastore_id: str, image_set_id: str, levels: Levels, instances: Iterable[tuple[str, bytes]]
) -> Iterator[bytes]:
    """Assemble the document of an image set.

    Parameters
    ----------
    datastore_id, image_set_id : str
        Identifiers of 32 hexadecimal digits.
    levels : Levels
        Patient, study and series values.
    instances : Iterable of (str, bytes)
        SOP Instance UID and fragment of each instance, sorted by UID.

    Yields
    ------
    bytes
        Parts of the UTF-8 JSON document, 64 KiB or a little more each.
    """
    parts = [_head(datastore_id, image_set_id, levels)]
    size = len(parts[0])
    separator = b""
    for sop_uid, fragment in instances:
        parts += (separator, orjson.dumps(sop_uid), b":", fragment)
        size += len(fragment)
        separator = b","
        if size >= _CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(DOCUMENT_END)
    yield b"".join(parts)


def document_size(levels: Levels, instances: Iterable[tuple[str, int]]) -> int:
    """Return the size of the document of an image set without making it.

    Parameters
    ----------
    levels : Levels
        Patient, study and series values.
    instances : Iterable of (str, int)
        SOP Instance UID of each instance and the size of its fragment in bytes.

    Returns
    -------
    int
        Bytes of all chunks of `image_set_document` together.
    """
    sizes = [len(orjson.dumps(sop_uid)) - len('""') + size for sop_uid, size in instances]
    return document_size_of_totals(levels, len(sizes), sum(sizes))


def document_size_of_totals(levels: Levels, count: int, total: int) -> int:
    """Return the size of the document of an image set; ``total`` is that of all SOP Instance UIDs and fragments together.

    Of a UID as JSON writes it; none of digits and dots needs more characters there.
    """
    head = _head("0" * ID_DIGITS, "0" * ID_DIGITS, levels)
    return len(head) + total + count * len(b'"":,') - (1 if count else 0) + len(DOCUMENT_END)


def _head(datastore_id: str, image_set_id: str, levels: Levels) -> bytes:
    """Return the document up to its first instance."""
    series_uid = levels.series.get("SeriesInstanceUID")
    return b"".join(
        (
            b'{"SchemaVersion":' + orjson.dumps(SCHEMA_VERSION),
            b',"DatastoreID":' + orjson.dumps(datastore_id),
            b',"ImageSetID":' + orjson.dumps(image_set_id),
            b',"Patient":{"DICOM":' + orjson.dumps(levels.patient),
            b'},"Study":{"DICOM":' + orjson.dumps(levels.study),
            b',"Series":{' + orjson.dumps(str(series_uid or "")) + b':{"DICOM":' + orjson.dumps(levels.series),
            b',"Instances":{',
        )
    )


def _frame(frame: FrameEntry) -> dict[str, object]:
    return {
        "ID": frame.frame_id,
        "PixelDataChecksumFromBaseToFullResolution": [
            {"Width": width, "Height": height, "Checksum": checksum} for width, height, checksum in frame.checksums
        ],
        "MinPixelValue": frame.min_value,
        "MaxPixelValue": frame.max_value,
        "FrameSizeInBytes": frame.size,
    }
