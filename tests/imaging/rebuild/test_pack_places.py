"""Places of records, as packs tell them: all packs are read, and of two that have a record one is taken."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from hounsfield.imaging.rebuild.pack_places import PackPlaces
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs
from hounsfield.storage.blobs.packs import Label, PackWriter, RecordKind
from hounsfield.storage.identifiers import new_id, new_instance_key
from hounsfield.storage.keys.data_key import DataKey


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return BlobLocation(folder=str(tmp_path)).open()


def pack(blobs: Blobs, key: DataKey, labels: list[Label]) -> str:
    writer = PackWriter(blobs, key)
    for label in labels:
        writer.add(label, b"content")
    writer.close()
    return writer.pack_id


def test_no_pack_is_left_out_however_many_there_are(blobs: Blobs) -> None:
    key = DataKey(new_id(), secrets.token_bytes(32))
    owners = {new_instance_key() for _ in range(300)}
    for owner in owners:
        pack(blobs, key, [Label(RecordKind.DATASET, owner)])
    places = PackPlaces()
    places.read(blobs, key)
    assert set(places.owners()) == owners
    assert (places.pack_count, places.damaged) == (300, {})


def test_of_two_packs_with_a_record_the_fuller_is_taken(blobs: Blobs) -> None:
    key, owner = DataKey(new_id(), secrets.token_bytes(32)), new_instance_key()
    labels = [Label(RecordKind.FRAGMENT, owner), Label(RecordKind.DATASET, owner)]
    frames = [Label(RecordKind.FRAME, owner, ordinal) for ordinal in range(3)]
    pack(blobs, key, labels + frames[:1])
    full = pack(blobs, key, labels + frames)
    places = PackPlaces()
    places.read(blobs, key)
    found = places.of(owner)
    assert found is not None
    assert found.dataset is not None
    assert {found.dataset.pack_id, *(extent.pack_id for _, extent in found.pixels)} == {full}
    assert [ordinal for ordinal, _ in found.pixels] == [0, 1, 2]
    assert found.fragments[0].pack_id == full
    assert places.of(new_instance_key()) is None
