"""Pixel data cut into frames."""

from __future__ import annotations

import dataclasses
from struct import pack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from hounsfield.pixels.errors import FrameProblem, FramesError
from hounsfield.pixels.frames.fragments import scan_fragments
from hounsfield.pixels.frames.frames import fragments_of, frame_source, value_chunks
from hounsfield.pixels.leniencies import PixelLeniency
from support.examples import examples
from support.files.pixel_data import make_format, reader, source

SEQUENCE_END, ITEM_END = pack("<LL", 0xE0DDFFFE, 0), pack("<LL", 0xE00DFFFE, 0)
JPEGS = [b"\xff\xd8\xff" + bytes([number]) * (19 + 2 * number) + b"\xff\xd9" for number in range(1, 6)]
ANY = make_format(np.zeros((4, 4), "u1"))


def counted(count: int) -> object:
    return dataclasses.replace(ANY, number_of_frames=count)


def item(data: bytes) -> bytes:
    return pack("<LL", 0xE000FFFE, len(data)) + data


def with_table(table: bytes, fragments: list[bytes]) -> bytes:
    return item(table) + b"".join(map(item, fragments))


def halves(frames: list[bytes]) -> list[bytes]:
    return [part for frame in frames for part in (frame[:10], frame[10:])]


def problem_of(value: bytes, count: int, syntax: str = JPEGBaseline8Bit, **options: object) -> FrameProblem:
    with pytest.raises(FramesError) as caught:
        source(value, counted(count), syntax, **options)
    return caught.value.problem


class Counting:
    """A file in memory that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0
        self.reads = 0

    def __call__(self, offset: int, size: int) -> bytes:
        self.bytes_read += size
        self.reads += 1
        return self.data[offset : offset + size]


@given(
    frames=st.lists(
        st.binary(min_size=2, max_size=80).map(lambda data: data + b"\0" * (len(data) % 2)), min_size=1, max_size=8
    ),
    fragments=st.integers(1, 4),
)
@settings(max_examples=examples(60), deadline=None)
def test_frames_with_a_basic_offset_table_come_back(frames: list[bytes], fragments: int) -> None:
    frames = [frame + b"\0" * 8 for frame in frames]
    value = encapsulate(frames, fragments_per_frame=fragments, has_bot=True) + SEQUENCE_END
    found = source(value, counted(len(frames)), JPEG2000Lossless)
    assert [found[number] for number in range(len(found))] == frames
    assert found.notes == ()


@given(frames=st.lists(st.binary(min_size=1, max_size=81), min_size=1, max_size=8))
@settings(max_examples=examples(60), deadline=None)
def test_frames_with_an_extended_offset_table_come_back_without_padding(frames: list[bytes]) -> None:
    value, offsets, lengths = encapsulate_extended(frames)
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    exact = pack(f"<{len(frames)}Q", *map(len, frames))
    for sizes, expected in ((lengths, padded), (exact, frames)):
        found = source(
            value + SEQUENCE_END, counted(len(frames)), JPEG2000Lossless, extended_offset_table=(offsets, sizes)
        )
        assert [found[number] for number in range(len(found))] == expected
        assert found.notes == ()


@pytest.mark.parametrize("delimiter", [b"", pack("<LL", 0xE0DDFFFE, 0)])
def test_frames_without_any_table(delimiter: bytes) -> None:
    one_each = source(with_table(b"", JPEGS) + delimiter, counted(5), JPEGBaseline8Bit)
    assert [one_each[number] for number in range(5)] == JPEGS
    several_each = source(with_table(b"", halves(JPEGS)) + delimiter, counted(5), JPEGBaseline8Bit)
    assert [several_each[number] for number in range(5)] == JPEGS
    assert [note.leniency for note in several_each.notes] == ([] if delimiter else [PixelLeniency.NO_DELIMITER])
    single = source(with_table(b"", halves(JPEGS[:1])) + delimiter, counted(1), JPEGBaseline8Bit)
    assert single[0] == JPEGS[0]


def test_frames_are_found_as_pydicom_finds_them() -> None:
    value = with_table(b"", halves(JPEGS))
    found = source(value, counted(5), JPEGBaseline8Bit)
    assert [found[number] for number in range(5)] == list(generate_frames(value, number_of_frames=5))


@pytest.mark.parametrize(
    "table", [pack("<5L", 0, 3, 5, 7, 9), pack("<5L", 0, 0, 0, 0, 0), pack("<2L", 0, 40), b"abc", b"\xff" * 20]
)
def test_a_wrong_table_is_a_warning_when_frames_are_found_all_the_same(table: bytes) -> None:
    for fragments in (JPEGS, halves(JPEGS)):
        found = source(with_table(table, fragments), counted(5), JPEGBaseline8Bit)
        assert [found[number] for number in range(5)] == JPEGS
        assert [note.leniency for note in found.notes[1:]] == [PixelLeniency.BASIC_OFFSET_TABLE]
        assert "basic offset table" in found.notes[1].text()


def test_a_wrong_extended_table_falls_back_to_the_basic_one() -> None:
    value = encapsulate(JPEGS, fragments_per_frame=2, has_bot=True)
    found = source(value, counted(5), JPEGBaseline8Bit, extended_offset_table=(b"\0" * 40, b"\1" * 40))
    assert [found[number] for number in range(5)] == JPEGS
    assert "ExtendedOffsetTable" in found.notes[-1].text()


def test_what_is_wrong_with_fragments_is_told_apart() -> None:
    noise = [bytes([number]) * 12 for number in range(7)]
    assert problem_of(with_table(b"", noise), 3) is FrameProblem.NUMBER_MISMATCH
    assert problem_of(with_table(b"", noise), 8) is FrameProblem.NUMBER_MISMATCH
    assert problem_of(with_table(pack("<2L", 0, 20), noise[:2]), 1) is FrameProblem.NUMBER_MISMATCH
    assert problem_of(with_table(pack("<3L", 0, 1, 2), noise), 3) is FrameProblem.OFFSET_TABLE
    assert problem_of(b"\0" * 40, 1) is FrameProblem.EXTRACTION
    assert problem_of(b"", 1) is FrameProblem.EXTRACTION
    assert problem_of(with_table(b"", JPEGS)[:-3], 5) is FrameProblem.EXTRACTION
    assert problem_of(item(b"") + b"\x01\x02\x03\x04\x05\x06\x07\x08", 1) is FrameProblem.EXTRACTION


def test_fragments_of_native_frames_add_up_to_their_size() -> None:
    format_ = make_format(np.zeros((3, 5), "u1"), number_of_frames=3)
    frames = [bytes([number]) * 15 + b"\0" for number in range(3)]
    pieces = [piece for frame in frames for piece in (frame[:6], b"", frame[6:])]
    found = source(with_table(b"", pieces) + SEQUENCE_END, format_, "1.2.840.10008.1.2.1.98")
    assert [found[number] for number in range(3)] == frames
    for wrong in ([*pieces[:-1], pieces[-1][2:]], [b"".join(pieces[:4]), *pieces[4:]]):
        with pytest.raises(FramesError):
            source(with_table(b"", wrong) + SEQUENCE_END, format_, "1.2.840.10008.1.2.1.98")


def test_several_run_length_frames_are_not_taken_for_one() -> None:
    frame = pack("<16L", 1, 64, *[0] * 14) + b"\x0f" + bytes(16) + b"\0"
    found = source(with_table(b"", [frame] * 3) + SEQUENCE_END, counted(1), RLELossless)
    assert [found[number] for number in range(len(found))] == [frame] * 3


@pytest.mark.parametrize("table", [b"", pack("<5L", 0, 34, 70, 108, 148)], ids=["no table", "table"])
@pytest.mark.parametrize("count", [1, 3, 4, 6, 100])
def test_codestreams_with_beginning_and_end_count_where_the_number_does_not_agree(table: bytes, count: int) -> None:
    for fragments in (JPEGS, halves(JPEGS)):
        found = source(with_table(table, fragments) + SEQUENCE_END, counted(count), JPEGBaseline8Bit)
        assert [found[number] for number in range(len(found))] == JPEGS
        (note,) = found.notes
        assert (note.leniency, note.total) == (PixelLeniency.NUMBER_OF_FRAMES, 5)


@pytest.mark.parametrize("fault", ["no end", "no start", "zeros behind", "item delimiter behind"])
def test_a_number_that_does_not_agree_is_refused_where_codestreams_leave_a_doubt(fault: str) -> None:
    frames, end = list(JPEGS), SEQUENCE_END
    if fault == "no end":
        frames[-1] = frames[-1][:-2]
    elif fault == "no start":
        frames[2] = b"\0\0\0" + frames[2][3:]
    else:
        end = bytes(16) if fault == "zeros behind" else ITEM_END
    assert problem_of(with_table(b"", frames) + end, 3) is FrameProblem.NUMBER_MISMATCH


@pytest.mark.parametrize(
    ("end", "leniency"),
    [
        (SEQUENCE_END, None),
        (b"", PixelLeniency.NO_DELIMITER),
        (SEQUENCE_END[:4], PixelLeniency.NO_DELIMITER),
        (SEQUENCE_END[:7], PixelLeniency.NO_DELIMITER),
        (bytes(3), PixelLeniency.ZEROS),
        (bytes(8), PixelLeniency.ZEROS),
        (bytes(1 << 20), PixelLeniency.ZEROS),
        (ITEM_END, PixelLeniency.ITEM_DELIMITER),
        (SEQUENCE_END + b"whatever", None),
    ],
)
def test_what_some_writers_end_with_is_read(end: bytes, leniency: PixelLeniency | None) -> None:
    found = source(with_table(b"", JPEGS) + end, counted(5), JPEGBaseline8Bit)
    assert [found[number] for number in range(5)] == JPEGS
    assert [note.leniency for note in found.notes] == ([] if leniency is None else [leniency])


@pytest.mark.parametrize(
    "end", [b"abc", bytes(20) + b"\1", bytes((1 << 20) + 1), ITEM_END[:4] + b"\1\0\0\0", b"\xff\xfe"]
)
def test_other_ends_are_refused(end: bytes) -> None:
    assert problem_of(with_table(b"", JPEGS) + end, 5) is FrameProblem.EXTRACTION


def test_a_file_that_ends_early_is_told_when_the_frame_is_read() -> None:
    value = with_table(b"", JPEGS)
    found = frame_source(
        reader(value[:-10]), 0, None, len(value), counted(5), JPEGBaseline8Bit, little_endian=True, vr="OB"
    )
    with pytest.raises(FramesError, match="bytes too early"):
        found[4]
    with pytest.raises(IndexError):
        found[5]


def test_large_fragments_are_jumped_over() -> None:
    frames = [bytes(1 << 20)] * 16
    read = Counting(encapsulate(frames, has_bot=False))
    found = frame_source(read, 0, None, len(read.data), counted(16), JPEG2000Lossless, little_endian=True, vr="OB")
    assert len(found) == 16
    assert read.bytes_read < 1000


def test_small_fragments_are_read_together() -> None:
    read = Counting(encapsulate([b"\1" * 100] * 10_000, has_bot=False))
    frame_source(read, 0, None, len(read.data), counted(10_000), JPEG2000Lossless, little_endian=True, vr="OB")
    assert read.reads < 30


@given(data=st.data())
@settings(max_examples=examples(150), deadline=None)
def test_damaged_values_give_frames_or_our_error(data: st.DataObject) -> None:
    value = bytearray(encapsulate(JPEGS, fragments_per_frame=2, has_bot=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    value = value[: data.draw(st.integers(0, len(value)))]
    try:
        found = source(bytes(value), counted(data.draw(st.integers(1, 7))), JPEGBaseline8Bit)
        total = sum(len(found[number]) for number in range(len(found)))
    except FramesError:
        return
    assert 0 < total <= len(value)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_native_frames_in_both_byte_orders(bits: int, vr: str) -> None:
    frames = np.random.default_rng(bits).integers(0, 1 << bits, (4, 3, 5), dtype=f"u{bits // 8}")
    format_ = make_format(frames[0], number_of_frames=4)
    little = frames.astype(f"<u{bits // 8}").tobytes()
    big = frames.astype(f">u{bits // 8}").tobytes()
    if bits == 8 and vr == "OW":
        big = np.frombuffer(little, "u2").byteswap().tobytes()
    for value, syntax in ((little, ExplicitVRLittleEndian), (big, ExplicitVRBigEndian)):
        found = source(value, format_, syntax, vr=vr)
        assert b"".join(found[number] for number in range(4)) == little


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), count=st.integers(1, 9), words=st.booleans())
@settings(max_examples=examples(80), deadline=None)
def test_packed_frames_begin_at_a_byte_wherever_they_lie(rows: int, columns: int, count: int, words: bool) -> None:
    bits = np.random.default_rng(rows * 100 + columns).integers(0, 2, (count, rows * columns), dtype="u1")
    value = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    value += b"\0" * (len(value) % 2)
    format_ = make_format(
        np.zeros((rows, columns), "u1"), bits_allocated=1, bits_stored=1, high_bit=0, number_of_frames=count
    )
    if words:
        found = source(np.frombuffer(value, "u2").byteswap().tobytes(), format_, ExplicitVRBigEndian, vr="OW")
    else:
        found = source(value, format_, ExplicitVRLittleEndian, vr="OB")
    assert [found[number] for number in range(count)] == [np.packbits(row, bitorder="little").tobytes() for row in bits]


def test_native_lengths_that_do_not_fit() -> None:
    format_ = make_format(np.zeros((5, 5), "u1"), number_of_frames=3)
    assert len(source(bytes(76), format_, ExplicitVRLittleEndian)) == 3
    assert len(source(bytes(90), format_, ExplicitVRLittleEndian)) == 3
    for size, problem in (
        (74, FrameProblem.EXTRACTION),
        (50, FrameProblem.NUMBER_MISMATCH),
        (100, FrameProblem.NUMBER_MISMATCH),
    ):
        with pytest.raises(FramesError) as caught:
            source(bytes(size), format_, ExplicitVRLittleEndian)
        assert caught.value.problem is problem


def test_native_pixel_data_of_undefined_length_is_refused() -> None:
    with pytest.raises(FramesError, match="undefined length"):
        frame_source(reader(bytes(16)), 0, None, 16, ANY, ExplicitVRLittleEndian, little_endian=True, vr="OW")


def test_chrominance_that_is_not_subsampled_after_all_is_seen_by_its_length() -> None:
    format_ = make_format(np.zeros((4, 6, 3), "u1"), photometric_interpretation="YBR_FULL_422", number_of_frames=2)
    assert [len(source(bytes(size), format_, ExplicitVRLittleEndian)[1]) for size in (96, 144)] == [48, 72]


@pytest.mark.parametrize("chunk", [2, 7, 64, 1 << 20])
def test_whole_values_come_in_chunks_that_tell_the_fragments(chunk: int) -> None:
    value = encapsulate(JPEGS, fragments_per_frame=2, has_bot=True)
    chunks = list(value_chunks(reader(value), 0, None, len(value), chunk_bytes=chunk))
    assert b"".join(chunks) == b"".join(JPEGS)
    assert max(len(part) for part in chunks) <= chunk
    places = scan_fragments(reader(value), 0, len(value))
    fragments = [value[start : start + size] for start, size in zip(places.starts, places.lengths, strict=True)]
    found = fragments_of([len(part) for part in chunks], chunk_bytes=chunk)
    assert [b"".join(chunks[index] for index in indices) for indices in found] == fragments
    native = list(value_chunks(reader(value), 3, 50, 53, chunk_bytes=chunk))
    assert b"".join(native) == value[3:53]
    assert len(fragments_of([len(part) for part in native], chunk_bytes=chunk)) == 1


def test_a_broken_sequence_of_items_is_given_as_it_lies() -> None:
    value = with_table(b"", JPEGS)[:-3]
    assert b"".join(value_chunks(reader(value), 0, None, len(value))) == value
    with pytest.raises(FramesError, match="bytes too early"):
        list(value_chunks(reader(value), 0, len(value) + 5, len(value) + 5))
