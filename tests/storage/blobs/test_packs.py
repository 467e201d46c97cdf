"""Packs and blobs: what goes in comes out, what was changed is noticed, what was not committed is not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from hounsfield.storage.blobs.blobs import BlobMissingError, BlobWriter, FolderBlobs, ObjectBlobs
from hounsfield.storage.blobs.packs import (
    Extent,
    Label,
    PackDamagedError,
    PackWriter,
    RecordKind,
    check_pack,
    copy_pack,
    pack_name,
    read_contents,
    read_record,
    read_record_within,
    read_records,
)
from hounsfield.storage.keys.data_key import DataKey
from support.examples import examples

KEY = DataKey("d" * 32, bytes(range(32)))
LABELS = st.builds(Label, st.sampled_from(RecordKind), st.sampled_from(["a" * 24, "b" * 24]), st.integers(0, 5))


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def written(blobs: FolderBlobs, records: list[tuple[Label, bytes]]) -> list[Extent]:
    pack = PackWriter(blobs, KEY)
    extents = [pack.add(label, data) for label, data in records]
    pack.close()
    return extents


@settings(deadline=None)
@given(records=st.lists(st.tuples(LABELS, st.binary(max_size=300)), max_size=20), order=st.randoms())
def test_records_come_back_in_any_order_alone_and_together(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[Label, bytes]], order: object
) -> None:
    blobs = FolderBlobs(tmp_path_factory.mktemp("blobs"))
    extents = written(blobs, records)
    wanted = list(zip(extents, (label for label, _ in records), strict=True))
    assert [read_record(blobs, KEY, *one) for one in wanted] == [data for _, data in records]
    shuffled = list(range(len(records)))
    order.shuffle(shuffled)
    assert read_records(blobs, KEY, [wanted[i] for i in shuffled]) == [records[i][1] for i in shuffled]


def test_a_pack_lists_its_records_without_a_database(blobs: FolderBlobs) -> None:
    records = [(Label(RecordKind.FRAME, "a" * 24, n), os.urandom(50 + n)) for n in range(5)]
    extents = written(blobs, records)
    listed = read_contents(blobs, KEY, extents[0].pack_id)
    assert listed == list(zip((label for label, _ in records), extents, strict=True))


@pytest.mark.parametrize("kind", ["folder", "objects"])
@settings(deadline=None, max_examples=examples(60))
@given(files=st.lists(st.tuples(st.lists(st.sampled_from([0, 7, 300, 90_000]), max_size=4), st.booleans()), max_size=6))
def test_what_is_taken_back_is_not_in_the_pack_and_no_nonce_is_used_twice(
    tmp_path_factory: pytest.TempPathFactory, kind: str, files: list[tuple[list[int], bool]]
) -> None:
    place = FolderBlobs(tmp_path_factory.mktemp("blobs")) if kind == "folder" else ObjectBlobs(MemoryStore())
    pack = PackWriter(place, KEY)
    nonces: list[int] = []
    kept: list[tuple[Label, bytes, Extent]] = []
    for owner, (sizes, stays) in enumerate(files):
        pack.mark()
        records = [(Label(RecordKind.FRAME, f"{owner:024d}", n), os.urandom(size)) for n, size in enumerate(sizes)]
        added = [(label, data, pack.add(label, data)) for label, data in records]
        nonces.extend(extent.offset for _, _, extent in added)
        if stays:
            kept.extend(added)
        else:
            pack.rewind()
    pack.close()
    assert len(set(nonces)) == len(nonces)
    assert [read_record(place, KEY, extent, label) for label, _, extent in kept] == [data for _, data, _ in kept]
    assert read_contents(place, KEY, pack.pack_id) == [(label, extent) for label, _, extent in kept]
    rest = place.size(pack_name(KEY.datastore_id, pack.pack_id)) - sum(extent.length for _, _, extent in kept)
    assert rest < 400 + 100 * len(nonces)


def test_a_pack_goes_back_to_its_mark_only(blobs: FolderBlobs) -> None:
    for place in (blobs, ObjectBlobs(MemoryStore())):
        pack = PackWriter(place, KEY)
        with pytest.raises(ValueError, match="marked"):
            pack.rewind()
        pack.abort()


def test_a_frame_is_never_given_for_another(blobs: FolderBlobs) -> None:
    first, second = (Label(RecordKind.FRAME, "a" * 24, n) for n in range(2))
    extents = written(blobs, [(first, b"one"), (second, b"two")])
    with pytest.raises(PackDamagedError):
        read_record(blobs, KEY, extents[0], second)


@settings(deadline=None)
@given(position=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_every_changed_bit_of_a_record_is_noticed_alone_and_within_an_answer(
    tmp_path_factory: pytest.TempPathFactory, position: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("blobs")
    blobs = FolderBlobs(folder)
    label = Label(RecordKind.FRAME, "a" * 24)
    (extent,) = written(blobs, [(label, b"0123456789" * 10)])
    path = folder / pack_name(KEY.datastore_id, extent.pack_id)
    content = bytearray(path.read_bytes())
    content[extent.offset + int(position * extent.length)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(PackDamagedError):
        read_record(blobs, KEY, extent, label)
    with pytest.raises(PackDamagedError):
        read_record_within(blobs, KEY, extent, label, b"before", b"after")


@settings(deadline=None)
@given(data=st.binary(max_size=300), before=st.binary(max_size=30), after=st.binary(max_size=30))
def test_a_frame_is_read_into_its_place(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, before: bytes, after: bytes
) -> None:
    blobs = FolderBlobs(tmp_path_factory.mktemp("blobs"))
    label = Label(RecordKind.FRAME, "a" * 24)
    (extent,) = written(blobs, [(label, data)])
    assert read_record_within(blobs, KEY, extent, label, before, after) == before + data + after


def test_what_is_stored_deflated_is_not_read_into_a_place(blobs: FolderBlobs) -> None:
    label = Label(RecordKind.FRAGMENT, "a" * 24)
    (extent,) = written(blobs, [(label, b"{}")])
    with pytest.raises(ValueError, match="fragment"):
        read_record_within(blobs, KEY, extent, label, b"", b"")


def test_the_key_of_another_data_store_opens_nothing(blobs: FolderBlobs) -> None:
    label = Label(RecordKind.FRAME, "a" * 24)
    (extent,) = written(blobs, [(label, b"frame")])
    with pytest.raises(PackDamagedError):
        read_record(blobs, DataKey(KEY.datastore_id, bytes(32)), extent, label)


def test_nothing_of_a_record_is_readable_in_the_file(blobs: FolderBlobs, tmp_path: Path) -> None:
    text = b"DOE^JOHN" * 40
    (extent,) = written(blobs, [(Label(RecordKind.DATASET, "a" * 24), text)])
    assert b"DOE" not in (tmp_path / "blobs" / pack_name(KEY.datastore_id, extent.pack_id)).read_bytes()


def test_an_uncommitted_blob_is_not_there(blobs: FolderBlobs, tmp_path: Path) -> None:
    writer = blobs.create("packs/one")
    writer.write(b"half")
    assert list(blobs.names("packs")) == []
    with pytest.raises(BlobMissingError):
        blobs.read("packs/one", 0, 1)
    writer.abort()
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []


def test_a_cut_pack_is_noticed(blobs: FolderBlobs, tmp_path: Path) -> None:
    (extent,) = written(blobs, [(Label(RecordKind.FRAME, "a" * 24), b"frame" * 100)])
    path = tmp_path / "blobs" / pack_name(KEY.datastore_id, extent.pack_id)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(PackDamagedError, match="trailer"):
        read_contents(blobs, KEY, extent.pack_id)
    with pytest.raises(BlobMissingError, match="ends before"):
        blobs.read(pack_name(KEY.datastore_id, extent.pack_id), 0, 10_000)


class DamagingBlobs:
    """A place that stores one bit of each blob wrongly and says nothing."""

    def __init__(self, blobs: FolderBlobs) -> None:
        self._blobs = blobs

    def create(self, name: str) -> BlobWriter:
        writer = self._blobs.create(name)
        write, done = writer.write, []

        def damaged(data: bytes) -> None:
            write(data if done else data[:200] + bytes([data[200] ^ 1]) + data[201:])
            done.append(True)

        writer.write = damaged
        return writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)


@pytest.fixture
def elsewhere(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "elsewhere")


RECORDS = [(Label(RecordKind.FRAME, "a" * 24, number), bytes([number]) * 5000) for number in range(4)]


def path_of(blobs: FolderBlobs, pack_id: str) -> Path:
    return blobs._root / pack_name(KEY.datastore_id, pack_id)


def test_a_pack_is_copied_whole_also_over_what_a_dead_process_left(blobs: FolderBlobs, elsewhere: FolderBlobs) -> None:
    extents = written(blobs, RECORDS)
    pack_id = extents[0].pack_id
    wanted = path_of(blobs, pack_id).read_bytes()
    copy = path_of(elsewhere, pack_id)
    for left in (None, wanted, wanted[:-50], wanted[:100] + b"?" + wanted[101:]):
        if left is not None:
            copy.write_bytes(left)
        copy_pack(KEY, pack_id, blobs, elsewhere)
        assert copy.read_bytes() == wanted
        assert list(copy.parent.iterdir()) == [copy]
    with pytest.raises(BlobMissingError):
        copy_pack(KEY, "0" * 32, blobs, elsewhere)


def test_a_copy_that_does_not_read_back_is_no_copy(blobs: FolderBlobs, elsewhere: FolderBlobs) -> None:
    pack_id = written(blobs, RECORDS)[0].pack_id
    with pytest.raises(OSError, match="does not read back"):
        copy_pack(KEY, pack_id, blobs, DamagingBlobs(elsewhere))
    assert not path_of(elsewhere, pack_id).exists()
    check_pack(blobs, KEY, pack_id)


def test_a_damaged_pack_is_not_copied(blobs: FolderBlobs, elsewhere: FolderBlobs) -> None:
    extents = written(blobs, RECORDS)
    path = path_of(blobs, extents[0].pack_id)
    data = bytearray(path.read_bytes())
    data[extents[2].offset + 7] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(PackDamagedError, match="frame 2"):
        copy_pack(KEY, extents[0].pack_id, blobs, elsewhere)
    assert not path_of(elsewhere, extents[0].pack_id).exists()
