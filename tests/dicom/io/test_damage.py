"""Damaged files: whatever happens to the bytes, the answer is a file or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import orjson
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.document import instance_fragment
from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.part10 import BytesSource, DicomError, ReadLimits, read_part10
from support.examples import examples

FILES = Path(pydicom.__path__[0]) / "data" / "test_files"
NAMES = [
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "rtplan.dcm",
    "nested_priv_SQ.dcm",
    "UN_sequence.dcm",
    "image_dfl.dcm",
    "test-SR.dcm",
    "SC_rgb_rle_2frame.dcm",
]
LIMITS = ReadLimits(data_set_bytes=4 << 20, inflated_bytes=4 << 20, elements=20_000)


def take(data: bytes) -> None:
    """Read as an import does; anything but a file or a `DicomError` fails the test."""
    try:
        part10 = read_part10(BytesSource(data), LIMITS)
        place = part10.pixel_data
        if place is not None:
            assert 0 <= place.start < place.offset <= place.end <= part10.source.size
        assert part10.cut >= 0
        again = read_part10(BytesSource(part10.header), LIMITS)
        assert (again.elements, again.header) == (part10.elements, part10.header)
        orjson.loads(instance_fragment(instance_record(part10), None, None, []))
    except DicomError as error:
        assert 10 < len(str(error)) < 300  # noqa: PT017 - both outcomes are right


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray((FILES / draw(st.sampled_from(NAMES))).read_bytes())
    end = min(len(data), 6000)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, end - 1))
        kind = draw(st.sampled_from(["flip", "ones", "zeros", "cut", "insert", "repeat"]))
        if kind == "flip":
            data[at] = draw(st.integers(0, 255))
        elif kind == "ones":
            data[at : at + 4] = b"\xff" * 4
        elif kind == "zeros":
            data[at : at + 4] = bytes(4)
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 200))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=12))
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 400))]
        end = min(len(data), end)
        if not end:
            break
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(
    max_examples=examples(400), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)
@given(damaged())
def test_damaged_files(data: bytes) -> None:
    take(data)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"]),
)
def test_noise_behind_a_good_start(noise: bytes, syntax: bytes) -> None:
    meta = b"\2\0\x10\0UI" + len(syntax).to_bytes(2, "little") + syntax
    take(bytes(128) + b"DICM" + meta + noise)


@pytest.mark.parametrize("name", NAMES)
def test_cut_files(name: str) -> None:
    data = (FILES / name).read_bytes()
    for end in range(0, len(data), max(len(data) // 60, 1)):
        take(data[:end])
