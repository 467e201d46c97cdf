"""Damaged DICOM files on their whole way: read, described, cut into frames, decoded. Only the errors that are documented."""

from __future__ import annotations

from functools import cache

import orjson
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.document import instance_fragment
from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.io.part10 import read_part10
from hounsfield.dicom.json.metadata_file import MetadataFile
from hounsfield.dicom.json.reader import elements_of_json
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.pixel_description import pixel_format, pixel_frames
from hounsfield.pixels.codecs.decode import decode_frame
from hounsfield.pixels.errors import FramesError, PixelError
from support.files.named_values import FILES, marked
from support.fuzzing import damaged, fuzz

VRS = [
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OW", "PN"),
    *("SH", "SL", "SQ", "SS", "ST", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT"),
]
LIMITS = ReadLimits(data_set_bytes=4 << 20, inflated_bytes=4 << 20, elements=20_000)


@cache
def originals() -> list[bytes]:
    """The real files of pydicom that are not large, of every transfer syntax it has."""
    found = [path.read_bytes() for path in sorted(FILES.rglob("*.dcm"))]
    return [data for data in found if len(data) < 150_000]


files = st.deferred(lambda: st.sampled_from(originals()))


def take(data: bytes) -> None:
    try:
        part10 = read_part10(BytesSource(data), LIMITS)
        orjson.loads(instance_fragment(instance_record(part10), None, None, []))
    except DicomError as error:
        assert 10 < len(str(error)) < 300  # noqa: PT017 - both outcomes are right
        return
    try:
        format_ = pixel_format(part10)
        frames = pixel_frames(part10, format_)
        for index in range(min(len(frames), 2)):
            decode_frame(frames[index], part10.transfer_syntax, format_)
    except (PixelError, FramesError, DicomError) as error:
        assert 10 < len(str(error)) < 400  # noqa: PT017


@fuzz(damaged(files, within=3000), examples=150)
def test_damaged_heads_and_data_sets(data: bytes) -> None:
    take(data)


@fuzz(damaged(files), examples=150)
def test_damage_anywhere(data: bytes) -> None:
    take(data)


@fuzz(st.binary(max_size=600), st.sampled_from(["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]))
def test_noise_behind_a_good_start(noise: bytes, syntax: str) -> None:
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    take(bytes(128) + b"DICM" + b"\2\0\x10\0UI" + len(value).to_bytes(2, "little") + value + noise)


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=12),
        st.sampled_from(["1", "1.5", "NaN", "20240101", "AAAA", "=", "\\", "00100010"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["vr", "Value", "InlineBinary", "BulkDataURI", "Alphabetic", "00100010"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)
attributes = st.fixed_dictionaries(
    {
        "vr": st.sampled_from(
            [
                *[
                    "AE",
                    "AS",
                    "AT",
                    "CS",
                    "DA",
                    "DS",
                    "DT",
                    "FD",
                    "FL",
                    "IS",
                    "LO",
                    "LT",
                    "OB",
                    "OW",
                    "PN",
                    "SH",
                    "SL",
                    "SQ",
                    "SS",
                    "ST",
                    "TM",
                    "UC",
                    "UI",
                    "UL",
                    "UN",
                    "UR",
                    "US",
                    "UT",
                ],
                "XX",
                "",
            ]
        )
    },
    optional={
        "Value": st.one_of(json_values, st.lists(json_values, max_size=4)),
        "InlineBinary": json_values,
        "BulkDataURI": json_values,
    },
)
data_sets = st.dictionaries(
    st.sampled_from(
        [
            "00100010",
            "00100020",
            "00080005",
            "00081140",
            "00091001",
            "00090010",
            "7FE00010",
            "0020000D",
            "short",
            "0010001Z",
        ]
    ),
    st.one_of(attributes, json_values),
    max_size=5,
)


@fuzz(data_sets, st.booleans(), examples=120)
def test_any_json_is_elements_or_refused(data_set: dict[str, object], little_endian: bool) -> None:
    try:
        elements = elements_of_json(data_set, little_endian=little_endian)
    except DicomError as error:
        assert str(error)  # noqa: PT017
        return
    assert [element.tag for element in elements] == sorted(element.tag for element in elements)
    assert all(len(element.value) % 2 == 0 for element in elements if isinstance(element.value, bytes))


@fuzz(
    st.one_of(
        st.binary(max_size=200),
        damaged(st.just(b'[{"00080018":{"vr":"UI","Value":["1.2"]}},{"00100010":{"vr":"PN"}}]')),
    )
)
def test_any_metadata_file_is_read_or_refused(data: bytes) -> None:
    try:
        file = MetadataFile(data)
    except DicomError as error:
        assert str(error)  # noqa: PT017
        return
    assert list(file.data_sets("1.2")) is not None


@fuzz(st.deferred(lambda: st.sampled_from(marked())), examples=200)
def test_no_message_quotes_a_value(file: tuple[str, bytes]) -> None:
    """Whatever element holds a patient's name by mistake, refusals and warnings do not repeat it."""
    where, data = file
    told = []
    try:
        part10 = read_part10(BytesSource(data), LIMITS)
        record = instance_record(part10)
        told += [warning.message for warning in record.warnings]
        format_ = pixel_format(part10)
        frames = pixel_frames(part10, format_)
        told += [note.text() for note in frames.notes]
        decode_frame(frames[0], part10.transfer_syntax, format_)
    except (DicomError, PixelError, FramesError) as error:
        told.append(str(error))
    assert not any("ZZDOE" in message for message in told), (where, told)
