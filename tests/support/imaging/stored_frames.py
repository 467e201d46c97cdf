"""Checking an image frame as a client gets it against what its metadata promise."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from support.imaging.imports import frame

_DEPTH = 42
"""Where the SIZ segment of a codestream has the precision and the sign of its first component."""


def codestream_of(boxed: bytes) -> bytes:
    """Take the codestream out of a JPH file by walking its boxes (ISO/IEC 15444-1 Annex I)."""
    position, names = 0, []
    while position < len(boxed):
        length, name = struct.unpack_from(">L4s", boxed, position)
        names.append(name)
        if name == b"jp2c":
            assert length in {0, len(boxed) - position}, "the codestream box does not reach to the end"
            assert names == [b"jP  ", b"ftyp", b"jp2h", b"jp2c"]
            return boxed[position + 8 :]
        assert length >= 8, f"a box {name!r} of {length} bytes"
        position += length
    raise AssertionError("the file has no codestream box")


def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Sizes of the resolutions with a checksum: halved, rounding up, while 128 x 128 pixels or more are left."""
    sizes = [(width, height)]
    while (width := -(-width // 2)) * (height := -(-height // 2)) >= 128 * 128:
        sizes.append((width, height))
    return sizes[::-1]


def stays_in_range(samples: NDArray[Any], halvings: int, codestream: bytes) -> bool:
    """Return whether no smaller resolution can go beyond the range of the samples' precision.

    The low band of the 5/3 transform reaches a quarter of the span beyond either end in each direction; where it leaves the
    range, decoders differ: checksums are of limited samples, this decoder limits none.
    """
    low, high = int(samples.min()), int(samples.max())
    margin = (high - low) * (2.25**halvings - 1) / 2 + 4 * halvings
    depth = codestream[_DEPTH]
    span = 1 << (depth & 0x7F) + 1
    smallest = -span // 2 if depth & 0x80 else 0
    return smallest <= low - margin and high + margin < smallest + span


def decoded_frame(client: Any, datastore_id: str, image_set_id: str, entry: dict[str, Any]) -> NDArray[Any]:
    """Fetch a transcoded frame, check it against its metadata entry at every resolution, and return its samples."""
    data, kind = frame(client, datastore_id, image_set_id, entry["ID"])
    assert kind == "image/jph"
    codestream = codestream_of(data)
    assert codestream[:2] == b"\xff\x4f"
    assert entry["FrameSizeInBytes"] == len(codestream)
    samples = imagecodecs.htj2k_decode(data, planar=False)
    levels = entry["PixelDataChecksumFromBaseToFullResolution"]
    sizes = [(level["Width"], level["Height"]) for level in levels]
    assert sizes == level_sizes(samples.shape[1], samples.shape[0]), f"{sizes} for samples of shape {samples.shape}"
    assert zlib.crc32(np.ascontiguousarray(samples)) == levels[-1]["Checksum"], f"checksum of {samples.shape}"
    for skipped, level in enumerate(reversed(levels)):
        if skipped and stays_in_range(samples, skipped, codestream):
            reduced = imagecodecs.htj2k_decode(data, planar=False, skipres=skipped)
            assert reduced.shape[:2] == (level["Height"], level["Width"])
            assert zlib.crc32(np.ascontiguousarray(reduced)) == level["Checksum"], f"{skipped} below full resolution"
    return samples


def kept_frame(client: Any, datastore_id: str, image_set_id: str, entry: dict[str, Any]) -> bytes:
    """Fetch a frame kept as it came and check it against its metadata entry."""
    data, _ = frame(client, datastore_id, image_set_id, entry["ID"])
    assert entry["FrameSizeInBytes"] == len(data)
    assert entry["MinPixelValue"] is None
    assert entry["MaxPixelValue"] is None
    (checksum,) = entry["PixelDataChecksumFromBaseToFullResolution"]
    assert checksum["Checksum"] == zlib.crc32(data)
    return data


def verify_frames(client: Any, datastore_id: str, image_set_id: str, instance: dict[str, Any]) -> int:
    """Fetch and check all frames of an instance; return how many there are."""
    for entry in instance["ImageFrames"]:
        if instance["ChecksumType"] == "DECOMPRESSED":
            decoded_frame(client, datastore_id, image_set_id, entry)
        else:
            kept_frame(client, datastore_id, image_set_id, entry)
    return len(instance["ImageFrames"])
