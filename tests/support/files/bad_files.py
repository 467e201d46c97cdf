"""Files that are wrong in one way each, all of one patient whose name must never be told.

Each is made from a good slice; what is wrong is in its name.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from support.files.synthetic import noise, slice_of, uid

PATIENT_NAME = "Quodlibet^Zenobia"
PATIENT_ID = "GEHEIM-4711"
SECRETS = ("Quodlibet", "Zenobia", PATIENT_ID)
_NO_ATTRIBUTES = "DICOM attributes does not exist"
_PIXEL_DATA = struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW")
_NUMBERS = iter(range(1, 100_000))


def good(**elements: object) -> Dataset:
    """A slice of the patient, alone in its series."""
    return slice_of(next(_NUMBERS), study=80, **{"PatientName": PATIENT_NAME, "PatientID": PATIENT_ID, **elements})


def written(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    encoding = {"implicit_vr": False, "little_endian": True} if dataset.file_meta.TransferSyntaxUID.is_private else {}
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True, **encoding)
    return stream.getvalue()


def _without(keyword: str) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(written(good())))
    del dataset[keyword]
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _without_transfer_syntax() -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(written(good())))
    stream = io.BytesIO()
    del dataset.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def _with_length(keyword: str, length: int) -> bytes:
    """Change the 16-bit length of an explicit element."""
    data = written(good())
    tag = pydicom.datadict.tag_for_keyword(keyword)
    assert tag is not None
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    at = data.index(head, 132) + 6
    return data[:at] + struct.pack("<H", length) + data[at + 2 :]


def _up_to_data_set() -> tuple[bytes, bytes]:
    """A file cut where its data set begins."""
    data = written(good())
    at = data.index(struct.pack("<HH2s", 0x0008, 0x0008, b"CS"))
    return data[:at], data[at:]


def _deep_sequence(depth: int) -> bytes:
    opening = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    closing = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    head, body = _up_to_data_set()
    at = body.index(_PIXEL_DATA)
    return head + body[:at] + opening * depth + closing * depth + body[at:]


def _many_items(count: int) -> bytes:
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * count
    sequence = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(items)) + items
    head, body = _up_to_data_set()
    at = body.index(_PIXEL_DATA)
    return head + body[:at] + sequence + body[at:]


def _deflated(change: Callable[[bytes], bytes]) -> bytes:
    dataset = good()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = written(dataset)
    group_length = struct.unpack_from("<L", data, 140)[0]
    start = 144 + group_length
    return data[:start] + change(data[start:])


def _bomb(_: bytes) -> bytes:
    """A gigabyte of zeros in a megabyte, after the beginning of a data set."""
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    head = struct.pack("<HH2sH", 0x0008, 0x0060, b"CS", 2) + b"CT"
    name = PATIENT_NAME.encode().ljust(18)
    head += struct.pack("<HH2sH", 0x0010, 0x0010, b"PN", len(name)) + name
    head += struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0x7FFFFFF0)
    zeros = bytes(1 << 24)
    return packer.compress(head) + b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()


def encoded(codestreams: list[bytes], syntax: str, offset_table: bool = True, **elements: object) -> Dataset:
    dataset = good(**elements)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(codestreams, has_bot=offset_table)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def j2k(pixels: np.ndarray | None = None) -> bytes:
    pixels = noise(64, 64, seed=3) if pixels is None else pixels
    return bytes(imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k"))


def _claiming(codestream: bytes, columns: int, rows: int) -> bytes:
    """Let the SIZ segment of a codestream claim another size, in one tile."""
    changed = bytearray(codestream)
    struct.pack_into(">LL", changed, 8, columns, rows)
    struct.pack_into(">LL", changed, 24, columns, rows)
    return bytes(changed)


def _with_lying_fragment() -> bytes:
    data = written(encoded([j2k()], JPEG2000Lossless))
    at = data.rindex(b"\xff\x4f\xff\x51") - 4
    return data[:at] + struct.pack("<L", 0x7FFFFFF0) + data[at + 4 :]


def _cut(size: int) -> bytes:
    """A good file without its last bytes."""
    return written(good())[:-size]


def _cut_at_pixels(after: int) -> bytes:
    whole = written(good())
    return whole[: whole.index(_PIXEL_DATA) + after]


def _twice_pixels() -> bytes:
    whole = written(good())
    return whole + whole[whole.index(_PIXEL_DATA) :]


FAILING: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.dcm": (bytes, _NO_ATTRIBUTES),
    "text.txt": (lambda: PATIENT_NAME.encode() * 50, _NO_ATTRIBUTES),
    "zeros.bin": (lambda: bytes(5000), _NO_ATTRIBUTES),
    "random.bin": (lambda: np.random.default_rng(5).bytes(50_000), _NO_ATTRIBUTES),
    "preamble.dcm": (lambda: bytes(128) + b"DICM", _NO_ATTRIBUTES),
    "meta-only.dcm": (lambda: _up_to_data_set()[0], _NO_ATTRIBUTES),
    "truncated-in-pixels.dcm": (lambda: _cut(1000), "(7FE0,0010)"),
    "truncated-in-value.dcm": (lambda: _cut_at_pixels(-1), "the file is truncated or the length is wrong"),
    "truncated-in-header.dcm": (lambda: _cut_at_pixels(5), "ends inside an element header"),
    "length-beyond.dcm": (lambda: _with_length("PatientName", 0xFFF0), "(0010,0010)"),
    "no-transfer-syntax.dcm": (_without_transfer_syntax, "TransferSyntaxUID does not exist"),
    "no-study.dcm": (lambda: _without("StudyInstanceUID"), "StudyInstanceUID does not exist"),
    "no-series.dcm": (lambda: _without("SeriesInstanceUID"), "SeriesInstanceUID does not exist"),
    "no-instance.dcm": (lambda: _without("SOPInstanceUID"), "SOPInstanceUID does not exist"),
    "long-id.dcm": (lambda: written(good(PatientID=PATIENT_ID * 40)), "PatientID"),
    "long-name.dcm": (lambda: written(good(PatientName=PATIENT_NAME * 40)), "PatientName"),
    "deep.dcm": (lambda: _deep_sequence(10_000), "nested deeper than"),
    "items.dcm": (lambda: _many_items(2_000_000), "elements"),
    "bomb.dcm": (lambda: _deflated(_bomb), "inflates to more than"),
    "deflate-damaged.dcm": (lambda: _deflated(lambda data: b"\xff" * len(data)), "cannot be inflated"),
    "deflate-cut.dcm": (lambda: _deflated(lambda data: data[: len(data) // 2]), "ends before the end of its stream"),
    "fragment-beyond.dcm": (_with_lying_fragment, "fragment"),
    "two-pixel-data.dcm": (_twice_pixels, "second pixel data"),
}
"""Every file that cannot be imported: how it is made, and what the message must name."""


@cache
def warned() -> tuple[tuple[str, Dataset, int, str], ...]:
    """Return name, data set, reason code and what the message must name, of every file imported with a warning."""
    return tuple(_warned())


def _warned() -> Iterator[tuple[str, Dataset, int, str]]:
    stream, large = j2k(), noise(64, 64, seed=3)
    yield "frames-too-many.dcm", good(NumberOfFrames=1000), 0xB111, "1000 frames"
    yield "frames-absurd.dcm", good(NumberOfFrames=2_000_000_000), 0xB111, "2000000000 frames"
    yield "frames-negative.dcm", good(NumberOfFrames=-5), 0xB110, "NumberOfFrames"
    yield "rows-absurd.dcm", good(Rows=65535, Columns=65535), 0xB110, "8192 bytes"
    yield "bits-odd.dcm", good(BitsAllocated=7), 0xB110, "BitsAllocated"
    yield "rows-zero.dcm", good(Rows=0), 0xB110, "Rows"
    yield "j2k-fewer.dcm", encoded([stream, stream], JPEG2000Lossless, NumberOfFrames=3), 0xB111, "NumberOfFrames"
    yield "j2k-damaged.dcm", encoded([stream[:200] + bytes(400)], JPEG2000Lossless), 0xB100, "codestream"
    yield "j2k-not.dcm", encoded([b"no codestream at all"], JPEG2000Lossless), 0xB100, "SOC"
    yield "j2k-cut.dcm", encoded([stream[: len(stream) // 2]], JPEG2000Lossless), 0xB100, "cut off"
    bomb = _claiming(stream, 60_000, 60_000)
    yield "j2k-bomb.dcm", encoded([bomb], JPEG2000Lossless, Rows=60_000, Columns=60_000), 0xB100, "7200000000 bytes"
    yield "j2k-other-size.dcm", encoded([bomb], JPEG2000Lossless), 0xB100, "60000"
    yield "jls-not.dcm", encoded([bytes(100)], JPEGLSLossless), 0xB100, "JPEG"
    yield "rle-damaged.dcm", encoded([b"\xff" * 200], RLELossless), 0xB100, "RLE"
    yield "rle-short.dcm", encoded([struct.pack("<16L", 2, 64, 66, *[0] * 13) + bytes(6)], RLELossless), 0xB100, "RLE"
    unknown = encoded([bytes(large.tobytes())], JPEG2000Lossless)
    unknown.file_meta.TransferSyntaxUID = uid(9, 9)
    yield "unknown-syntax.dcm", unknown, 0xB120, "not supported"
    yield "uid-invalid.dcm", good(FrameOfReferenceUID="1.2.3..4"), 0xB201, "FrameOfReferenceUID"
    yield "value-long.dcm", good(StudyDescription="x" * 100), 0xB202, "StudyDescription"
    table = encoded([stream, stream], JPEG2000, NumberOfFrames=2)
    table.PixelData = table.PixelData[:8] + struct.pack("<LL", 0, 12345) + table.PixelData[16:]
    yield "offset-table.dcm", table, 0xB112, "offset table"
