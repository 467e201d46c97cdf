"""Frames kept in memory: the same bytes as from the pack, for the same frame only, and not more of them than is allowed."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.storage.blobs.blobs import FolderBlobs
from hounsfield.storage.blobs.frame_cache import FrameCache
from hounsfield.storage.blobs.packs import Extent, Label, PackDamagedError, PackWriter, RecordKind, pack_name
from hounsfield.storage.keys.data_key import DataKey

KEY = DataKey("d" * 32, bytes(range(32)))
OWNER = "a" * 24
ROOM = 1024 * 1024


class CountedBlobs(FolderBlobs):
    """Blobs that count what is read of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.reads: Counter[int] = Counter()

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads[offset] += 1
        return super().read(name, offset, length)


@pytest.fixture
def blobs(tmp_path: Path) -> CountedBlobs:
    return CountedBlobs(tmp_path)


def written(blobs: FolderBlobs, frames: list[bytes]) -> list[tuple[Extent, Label]]:
    pack = PackWriter(blobs, KEY)
    labels = [Label(RecordKind.FRAME, OWNER, number) for number in range(len(frames))]
    places = [(pack.add(label, data), label) for label, data in zip(labels, frames, strict=True)]
    pack.close()
    return places


@settings(deadline=None)
@given(
    frames=st.lists(st.binary(max_size=3000), min_size=1, max_size=6),
    asked=st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=20), st.binary(max_size=20)), max_size=30),
    capacity=st.sampled_from([0, 1500, 6000, ROOM]),
)
def test_frames_are_what_was_written_whatever_was_asked_before(
    tmp_path_factory: pytest.TempPathFactory,
    frames: list[bytes],
    asked: list[tuple[int, bytes, bytes]],
    capacity: int,
) -> None:
    blobs = FolderBlobs(tmp_path_factory.mktemp("blobs"))
    places = written(blobs, frames)
    kept = FrameCache(capacity)
    for number, before, after in asked:
        which = number % len(frames)
        given_frame = kept.read(blobs, KEY, *places[which], before, after)
        assert given_frame == before + frames[which] + after
        # What was given is the caller's: writing to it changes nothing for others.
        given_frame[:] = bytes(len(given_frame))


def test_a_frame_is_read_once_while_there_is_room(blobs: CountedBlobs) -> None:
    places = written(blobs, [b"1" * 300, b"2" * 300])
    kept = FrameCache(ROOM)
    for _ in range(3):
        for extent, label in places:
            kept.read(blobs, KEY, extent, label, b"", b"")
    assert set(blobs.reads.values()) == {1}


def test_without_room_each_frame_is_read_anew(blobs: CountedBlobs) -> None:
    ((extent, label),) = written(blobs, [b"1" * 300])
    for kept in (FrameCache(0), FrameCache(100)):
        blobs.reads.clear()
        for _ in range(3):
            kept.read(blobs, KEY, extent, label, b"", b"")
        assert blobs.reads[extent.offset] == 3


def test_what_was_asked_longest_ago_makes_room(blobs: CountedBlobs) -> None:
    places = written(blobs, [bytes([number]) * 1000 for number in range(3)])
    kept = FrameCache(3500)
    for which in (0, 1, 0, 2, 0, 1):
        kept.read(blobs, KEY, *places[which], b"", b"")
    assert [blobs.reads[extent.offset] for extent, _ in places] == [1, 2, 1]


@pytest.mark.parametrize("wrong", ["ordinal", "owner", "kind", "length", "data store"])
def test_a_kept_frame_is_never_given_for_another(blobs: CountedBlobs, wrong: str) -> None:
    ((extent, label),) = written(blobs, [b"1" * 300])
    kept = FrameCache(ROOM)
    kept.read(blobs, KEY, extent, label, b"", b"")
    key = KEY
    if wrong == "ordinal":
        label = replace(label, ordinal=1)
    elif wrong == "owner":
        label = replace(label, owner="b" * 24)
    elif wrong == "kind":
        label = replace(label, kind=RecordKind.BLOB)
    elif wrong == "length":
        extent = replace(extent, length=extent.length - 1)
    else:
        key = DataKey("e" * 32, bytes(32))
        path = blobs.folder / pack_name(key.datastore_id, extent.pack_id)
        path.parent.mkdir(parents=True)
        shutil.copy(blobs.folder / pack_name(KEY.datastore_id, extent.pack_id), path)
    with pytest.raises(PackDamagedError):
        kept.read(blobs, key, extent, label, b"", b"")


def test_a_damaged_frame_is_not_kept(blobs: CountedBlobs) -> None:
    ((extent, label),) = written(blobs, [b"1" * 300])
    path = blobs.folder / pack_name(KEY.datastore_id, extent.pack_id)
    whole = path.read_bytes()
    path.write_bytes(whole[: extent.offset] + b"\0" + whole[extent.offset + 1 :])
    kept = FrameCache(ROOM)
    with pytest.raises(PackDamagedError):
        kept.read(blobs, KEY, extent, label, b"", b"")
    path.write_bytes(whole)
    assert kept.read(blobs, KEY, extent, label, b"", b"") == b"1" * 300
