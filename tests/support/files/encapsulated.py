"""Multi-frame files whose pixel data is encapsulated, whole or with faults that real files have."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

from support.files.synthetic import slice_of

ITEM = 0xE000FFFE
SEQUENCE_END = struct.pack("<LL", 0xE0DDFFFE, 0)


def ramp(rows: int = 64, columns: int = 64, seed: int = 0) -> NDArray[Any]:
    """Return a frame of 12 bits in which no neighbours are alike."""
    return ((np.arange(rows * columns) * 7 + 311 * seed) % 4096).astype("<u2").reshape(rows, columns)


def colours(rows: int = 32, columns: int = 32, seed: int = 0) -> NDArray[Any]:
    """Return a smooth frame of three samples of 8 bits."""
    y, x = np.mgrid[0:rows, 0:columns]
    planes = [(x * 3 + seed * 20) % 200, (y * 4) % 180 + 10, np.full_like(x, 60 + 10 * seed)]
    return np.stack(planes, axis=-1).astype("u1")


def item(data: bytes) -> bytes:
    """Return an item with some content, padded to even length."""
    data += b"\0" * (len(data) % 2)
    return struct.pack("<LL", ITEM, len(data)) + data


def offsets(frames: Sequence[Sequence[bytes]]) -> bytes:
    """Return the basic offset table of frames, each a list of its fragments."""
    sizes = [sum(len(item(fragment)) for fragment in fragments) for fragments in frames]
    return b"".join(struct.pack("<L", sum(sizes[:number])) for number in range(len(sizes)))


def file_of(
    frames: Sequence[bytes | Sequence[bytes]],
    transfer_syntax: str,
    like: NDArray[Any],
    *,
    table: bool = True,
    end: bytes = SEQUENCE_END,
    number: int = 1,
    **elements: Any,
) -> bytes:
    """Write a P10 file by hand, so that nothing that is wrong in it gets mended.

    Parameters
    ----------
    frames : sequence of bytes or of sequences of bytes
        Encoded frames, or the fragments of each.
    transfer_syntax : str
        Its UID.
    like : numpy.ndarray
        What a decoded frame is like; gives Rows, Columns, samples and depth.
    table : bool
        Whether the basic offset table is filled.
    end : bytes
        What stands where the sequence delimiter should.
    number : int
        Of the instance; the series is another one for each.
    elements
        Elements that differ, by keyword; None takes one away.
    """
    fragments = [[frame] if isinstance(frame, bytes) else list(frame) for frame in frames]
    colour = like.ndim == 3
    described = {
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsStored": 8 if colour else 12,
        "HighBit": 7 if colour else 11,
        "NumberOfFrames": len(frames),
        **({"PlanarConfiguration": 0} if colour else {}),
        **elements,
    }
    wanted = {name: value for name, value in described.items() if value is not None}
    # The shape of a single frame, with the samples of a pixel taken apart.
    plain = like[..., 0] if colour else like
    dataset = slice_of(number, number, study=number, pixels=plain, **wanted)
    for name, value in described.items():
        if value is None and name in dataset:
            del dataset[name]
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    value = item(offsets(fragments) if table else b"") + b"".join(item(one) for some in fragments for one in some)
    return _before_pixels(dataset) + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + value + end


def _before_pixels(dataset: Dataset) -> bytes:
    """Write a data set without its pixel data; pydicom knows not every transfer syntax, and would refuse it."""
    del dataset.PixelData
    dataset.file_meta.FileMetaInformationVersion = b"\0\1"
    dataset.file_meta.ImplementationClassUID = "2.25.7"
    buffer = DicomBytesIO()
    buffer.write(bytes(128) + b"DICM")
    write_file_meta_info(buffer, dataset.file_meta)
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def jpeg(samples: NDArray[Any]) -> bytes:
    """Encode as JPEG baseline, components as they are."""
    return bytes(imagecodecs.jpeg8_encode(samples, 95, colorspace="YCBCR", outcolorspace="YCBCR", subsampling="444"))


def jpeg_lossless(samples: NDArray[Any]) -> bytes:
    """Encode as JPEG lossless (process 14)."""
    return bytes(imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=16))


def jpeg_2000(samples: NDArray[Any]) -> bytes:
    """Encode as a raw JPEG 2000 codestream, lossless."""
    return bytes(imagecodecs.jpeg2k_encode(samples, 0, codecformat="j2k", reversible=True))


def run_length(samples: NDArray[Any]) -> bytes:
    """Encode one sample of 16 bits as RLE Lossless."""
    planes = [
        imagecodecs.packbits_encode(plane.tobytes()) for plane in ((samples >> 8).astype("u1"), samples.astype("u1"))
    ]
    planes = [plane + b"\0" * (len(plane) % 2) for plane in planes]
    return struct.pack("<16L", 2, 64, 64 + len(planes[0]), *[0] * 13) + b"".join(planes)
