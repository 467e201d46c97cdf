"""Segments of the journal: what was written is read, and what was changed, cut off or removed shows."""

from __future__ import annotations

import secrets

import pytest

from hounsfield.storage.journal.segments import Ending, SegmentError, SegmentName, SegmentReader, SegmentSealer

SECRET = secrets.token_bytes(32)
WRITER = "5eed" * 8


def segment(count: int = 5, number: int = 1, previous: Ending | None = None) -> tuple[SegmentName, list[bytes]]:
    """Return a segment of some records: its name, and its beginning and records."""
    sealer = SegmentSealer(SECRET, WRITER, number, previous or Ending())
    return sealer.name, [sealer.beginning, *(sealer.seal(10 + at, b"content %d" % at) for at in range(count))]


def read(name: SegmentName, data: bytes) -> tuple[list[tuple[int, bytes]], SegmentReader]:
    reader = SegmentReader(SECRET, name, data)
    return [(record.sequence, record.content) for record in reader.records()], reader


def contents(*numbers: int) -> list[tuple[int, bytes]]:
    return [(10 + at, b"content %d" % at) for at in numbers]


def test_records_come_back_in_their_order() -> None:
    name, parts = segment(previous=Ending(7, 3))
    records, reader = read(name, b"".join(parts))
    assert records == contents(0, 1, 2, 3, 4)
    assert (reader.damage, reader.count, reader.previous) == ([], 6, Ending(7, 3))
    assert SegmentName.parse(str(name)) == name


@pytest.mark.parametrize("kept", [0, 1, 11, 12, 40])
def test_what_a_killed_process_left_half_written_is_no_damage(kept: int) -> None:
    name, parts = segment()
    records, reader = read(name, b"".join(parts[:-1]) + parts[-1][:kept])
    assert (records, reader.damage) == (contents(0, 1, 2, 3), [])


def test_a_page_that_never_reached_the_disk_is_no_damage() -> None:
    name, parts = segment()
    records, reader = read(name, b"".join(parts) + bytes(4096))
    assert (len(records), reader.damage) == (5, [])


def test_no_more_than_the_beginning_is_no_damage() -> None:
    name, parts = segment()
    for length in (0, 10, 47):
        assert read(name, parts[0][:length])[0] == []


@pytest.mark.parametrize("at", [0, 5, 9, 20])
def test_a_changed_record_is_reported_and_the_rest_is_read(at: int) -> None:
    name, parts = segment()
    changed = bytearray(parts[2])
    changed[at] ^= 1
    records, reader = read(name, b"".join([*parts[:2], bytes(changed), *parts[3:]]))
    assert records == contents(0, 2, 3, 4)
    assert reader.damage


def test_a_removed_record_is_reported() -> None:
    name, parts = segment()
    records, reader = read(name, b"".join([*parts[:2], *parts[3:]]))
    assert records == contents(0, 2, 3, 4)
    assert reader.damage == ["records 2 to 2 are not there"]


def test_exchanged_records_are_reported() -> None:
    name, parts = segment()
    _, reader = read(name, b"".join([*parts[:2], parts[3], parts[2], *parts[4:]]))
    assert reader.damage


def test_another_key_opens_nothing() -> None:
    name, parts = segment()
    reader = SegmentReader(secrets.token_bytes(32), name, b"".join(parts))
    assert list(reader.records()) == []
    assert reader.damage


def test_a_segment_is_bound_to_its_name() -> None:
    name, parts = segment()
    with pytest.raises(SegmentError, match="another segment"):
        SegmentReader(SECRET, SegmentName(name.writer, 2), b"".join(parts))
    renumbered = parts[0][:40] + (2).to_bytes(8, "little") + parts[0][48:]
    _, reader = read(SegmentName(name.writer, 2), b"".join([renumbered, *parts[1:]]))
    assert reader.damage


@pytest.mark.parametrize(("at", "reason"), [(0, "no segment"), (7, "newer version")])
def test_other_files_are_refused(at: int, reason: str) -> None:
    name, parts = segment()
    data = bytearray(b"".join(parts))
    data[at] = 9
    with pytest.raises(SegmentError, match=reason):
        SegmentReader(SECRET, name, bytes(data))


@pytest.mark.parametrize(
    "name", ["journal/x/0000000000000001", "packs/a/b", f"journal/{WRITER}/1", f"journal/{WRITER}/{'g' * 16}"]
)
def test_other_names_are_no_segments(name: str) -> None:
    assert SegmentName.parse(name) is None
