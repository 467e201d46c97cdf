"""The cache on disk for packs in an object store: the same bytes, within its size, whatever becomes of its files."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hounsfield.storage.blobs.blobs import BlobMissingError, FolderBlobs, write_blob
from hounsfield.storage.blobs.packs import Extent, Label, PackWriter, RecordKind, pack_name, read_record
from hounsfield.storage.blobs.read_cache import KEPT_UNREAD_SECONDS, CachedBlobs, ReadCache, read_counts
from hounsfield.storage.keys.data_key import DataKey
from support.faults.small_disk import small_disk
from support.servers import wait_for

KEY = DataKey("d" * 32, bytes(32))
SIZE = 10_000


class Place:
    """A pack of some records in a store, and a cache before it."""

    def __init__(self, folder: Path, capacity: int = 1_000_000, floor: int = 0, cache: Path | None = None) -> None:
        self.store = FolderBlobs(folder / "store")
        self.folder = cache or folder / "cache"
        self.cache = ReadCache(self.folder, capacity, floor)
        self.blobs = CachedBlobs(self.store, self.cache)
        writer = PackWriter(self.store, KEY)
        self.records = [random.Random(n).randbytes(SIZE) for n in range(20)]
        self.labels = [Label(RecordKind.FRAME, "o", n) for n in range(20)]
        self.extents = [writer.add(label, data) for label, data in zip(self.labels, self.records, strict=True)]
        writer.close()
        self.name = pack_name(KEY.datastore_id, writer.pack_id)

    def read(self, number: int) -> bytes:
        return read_record(self.blobs, KEY, self.extents[number], self.labels[number])

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*/*/*") if path.is_file())

    def counted(self) -> tuple[int, int]:
        return self.cache.counts.hits, self.cache.counts.misses


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_was_read_once_is_read_here(place: Place) -> None:
    assert [place.read(n) for n in (3, 3, 4, 3)] == [place.records[n] for n in (3, 3, 4, 3)]
    assert place.counted() == (2, 2)
    assert place.cache.counts.hit_bytes == 2 * place.extents[3].length
    # Another process of the machine finds it too, and nothing on the disk is plain.
    other = CachedBlobs(place.store, ReadCache(place.folder, 1_000_000))
    assert read_record(other, KEY, place.extents[3], place.labels[3]) == place.records[3]
    assert not any(place.records[n][:64] in path.read_bytes() for path in place.files() for n in (3, 4))


def test_what_all_processes_read_is_told(place: Place) -> None:
    place.read(1)
    place.read(1)
    other = CachedBlobs(place.store, ReadCache(place.folder, 1_000_000))
    for number in (1, 2):
        read_record(other, KEY, place.extents[number], place.labels[number])
    told = wait_for(lambda: (found := read_counts(place.folder))[1].misses == 2 and found, "both to be counted")
    size, counts = told
    assert (counts.hits, counts.misses, counts.hit_bytes) == (2, 2, 2 * place.extents[1].length)
    assert size > 2 * SIZE
    for path in (place.folder / "counts").iterdir():
        path.write_bytes(b'{"hits": "many", "else": 1}')
    assert read_counts(place.folder)[1].hits == 0


@pytest.mark.parametrize("damage", ["cut", "changed", "longer", "empty", "other"])
def test_a_broken_file_is_read_from_the_store_again(place: Place, damage: str) -> None:
    place.read(1)
    (path,) = place.files()
    content = path.read_bytes()
    broken = {
        "cut": content[:-20],
        "changed": content[:50] + bytes([content[50] ^ 1]) + content[51:],
        "longer": content + b"x",
        "empty": b"",
        "other": os.urandom(len(content)),
    }[damage]
    path.write_bytes(broken)
    assert place.read(1) == place.records[1]
    assert place.cache.counts.broken == 1
    assert path.read_bytes() == content


def test_what_is_deleted_goes(place: Place) -> None:
    place.read(1)
    place.blobs.delete(place.name)
    assert place.files() == []
    with pytest.raises(BlobMissingError):
        place.read(2)


def test_it_stays_within_its_size_and_what_was_read_last_stays(tmp_path: Path) -> None:
    place = Place(tmp_path, capacity=10 * SIZE)
    begun = time.time() - 1000
    for number in range(20):
        place.read(number)
        path = place.folder / KEY.datastore_id / place.extents[number].pack_id
        file = path / f"{place.extents[number].offset}-{place.extents[number].length}"
        os.utime(file, (begun + number, begun + number))
    assert place.cache.sweep() <= 10 * SIZE
    assert sum(path.stat().st_size for path in place.files()) <= 10 * SIZE
    hits = place.cache.counts.hits
    place.read(19)
    assert place.cache.counts.hits == hits + 1


def test_what_nobody_reads_goes_and_so_does_what_a_killed_process_left(place: Place) -> None:
    place.read(1)
    (read,) = place.files()
    old = time.time() - KEPT_UNREAD_SECONDS - 60
    place.read(2)
    os.utime(read, (old, old))
    left = read.with_name(".aside-1234")
    left.write_bytes(b"half")
    os.utime(left, (old, old))
    place.cache.sweep()
    assert len(place.files()) == 1
    assert read not in place.files()


def test_records_too_large_and_other_blobs_are_not_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, capacity=4 * SIZE)
    place.read(1)
    write_blob(place.blobs, "keys/one", b"secret")
    assert place.blobs.read("keys/one", 0, 6) == b"secret"
    assert place.blobs.size("keys/one") == 6
    assert list(place.blobs.names("keys/")) == ["keys/one"]
    assert place.files() == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", 256 * 1024):
        yield tmp_path / "small"


def test_a_full_disk_takes_nothing_and_reads_go_on(tmp_path: Path, small: Path) -> None:
    place = Place(tmp_path, cache=small / "cache", capacity=100_000_000)
    (small / "filler").write_bytes(bytes(200 * 1024))
    for _ in range(2):
        assert [place.read(n) for n in range(20)] == place.records
    assert not [path for path in place.files() if path.name.startswith(".aside")]


def test_room_that_is_to_stay_free_does(tmp_path: Path) -> None:
    place = Place(tmp_path, floor=1 << 60)
    assert place.read(1) == place.records[1]
    assert place.files() == []


def test_a_folder_that_cannot_be_made_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    place = Place(tmp_path, cache=tmp_path / "file" / "cache")
    assert place.read(1) == place.records[1]


def test_a_range_that_the_pack_does_not_have_is_missing(place: Place) -> None:
    with pytest.raises(BlobMissingError):
        read_record(place.blobs, KEY, Extent(place.extents[0].pack_id, 1 << 30, 100), place.labels[0])
    assert place.files() == []
