"""Reading everything back: each frame of each image set, compared with its checksum.

SearchImageSets ─▶ GetImageSetMetadata ─▶ frames ─▶ GetImageFrame ─▶ CRC-32 of its pixels
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import imagecodecs
from numpy.typing import NDArray


class ChecksumError(Exception):
    """A frame that was read back is not what went in."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """An image frame, as the metadata of its image set describe it.

    Attributes
    ----------
    image_set_id, frame_id : str
        What GetImageFrame names.
    checksum : int
        CRC-32 of the frame at full resolution.
    lossless : bool
        Whether it is kept as lossless HTJ2K, so that the checksum is that of its pixels, else that of its bytes.
    """

    image_set_id: str
    frame_id: str
    checksum: int
    lossless: bool


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance with its frames.

    Attributes
    ----------
    series_uid, instance_uid : str
        Its UIDs.
    number : int or None
        InstanceNumber.
    frames : tuple of StoredFrame
        In their order.
    """

    series_uid: str
    instance_uid: str
    number: int | None
    frames: tuple[StoredFrame, ...]


@dataclass(frozen=True, slots=True)
class StoredImageSet:
    """An image set with its instances."""

    modality: str
    instances: tuple[StoredInstance, ...]

    @property
    def frame_count(self) -> int:
        """Number of frames of all instances."""
        return sum(len(instance.frames) for instance in self.instances)


def stored_image_sets(client: Any, datastore_id: str) -> list[StoredImageSet]:
    """Return all image sets of a data store."""
    return [
        StoredImageSet(
            found["DICOMTags"].get("DICOMSeriesModality", ""),
            tuple(_instances(client, datastore_id, found["imageSetId"])),
        )
        for page in client.get_paginator("search_image_sets").paginate(datastoreId=datastore_id, searchCriteria={})
        for found in page["imageSetsMetadataSummaries"]
    ]


def _instances(client: Any, datastore_id: str, image_set_id: str) -> Iterator[StoredInstance]:
    answer = client.get_image_set_metadata(datastoreId=datastore_id, imageSetId=image_set_id)
    document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    for series_uid, series in document["Study"]["Series"].items():
        for instance_uid, instance in series["Instances"].items():
            lossless = instance.get("ChecksumType") == "DECOMPRESSED"
            number = instance["DICOM"].get("InstanceNumber")
            yield StoredInstance(
                series_uid,
                instance_uid,
                None if number is None else int(number),
                tuple(_frames(image_set_id, instance["ImageFrames"], lossless=lossless)),
            )


def _frames(image_set_id: str, entries: Sequence[dict[str, Any]], *, lossless: bool) -> Iterator[StoredFrame]:
    for entry in entries:
        checksum = entry["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]
        yield StoredFrame(image_set_id, entry["ID"], checksum, lossless)


def checked_frame(client: Any, datastore_id: str, frame: StoredFrame) -> NDArray[Any] | None:
    """Fetch a frame and compare it with its checksum.

    Returns
    -------
    ndarray or None
        Its pixels, shape (rows, columns) or (rows, columns, samples); None where it is kept as it came.

    Raises
    ------
    ChecksumError
        It is not what went in.
    """
    answer = client.get_image_frame(
        datastoreId=datastore_id,
        imageSetId=frame.image_set_id,
        imageFrameInformation={"imageFrameId": frame.frame_id},
    )
    data: bytes = answer["imageFrameBlob"].read()
    pixels = imagecodecs.htj2k_decode(data, planar=False) if frame.lossless else None
    if imagecodecs.deflate_crc32(data if pixels is None else pixels.tobytes()) != frame.checksum:
        raise ChecksumError(f"Frame {frame.frame_id} of image set {frame.image_set_id} does not have its checksum.")
    return pixels
