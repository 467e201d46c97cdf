"""The journal of an image store: each change is in it before anybody is answered, and no process that dies takes one along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from hounsfield.bootstrap.image_store import open_image_store, written_folders
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tags import TaggedResource, tag_resource, untag_resource
from hounsfield.settings import load_settings
from hounsfield.storage.blobs.blobs import write_blob
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.journal_table import journal_outbox
from hounsfield.storage.journal import journal_writer
from hounsfield.storage.journal.changes import ChangeRecord, pack_changes
from hounsfield.storage.journal.journal_reader import JournalReader
from hounsfield.storage.journal.journal_writer import JournalWriter, read_settled_snapshot
from hounsfield.storage.journal.segments import Ending, SegmentSealer
from hounsfield.storage.keys.installation_secrets import secret_context
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.secret_copies import JOURNAL, read_secrets, write_secrets
from support.imaging.image_stores import new_datastore
from support.servers import wait_for


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    image_store, _ = open_image_store(load_settings({"HOUNSFIELD_DATA": str(tmp_path)}))
    yield image_store
    image_store.database.close()


def journal_key(image_store: ImageStore, data: Path) -> bytes:
    wrapped = read_secrets(image_store.new_blobs)[JOURNAL]
    return LocalKeyring(data / "keys" / "master.json").unwrap(wrapped, secret_context(JOURNAL))


def read_journal(image_store: ImageStore, data: Path) -> list[ChangeRecord]:
    """Read the journal by what stands beside the packs and the master key."""
    with JournalReader(image_store.new_blobs, journal_key(image_store, data)) as reader:
        records = list(reader.records())
        assert reader.damage == []
        assert [record.sequence for record in records] == sorted({record.sequence for record in records})
    return records


def kinds(records: list[ChangeRecord]) -> list[str]:
    return [change[0] for record in records for change in record.changes]


def in_outbox(image_store: ImageStore) -> list[int]:
    with image_store.database.read() as connection:
        return list(connection.execute(select(journal_outbox.c.sequence).order_by(journal_outbox.c.sequence)).scalars())


def journal_of(image_store: ImageStore) -> JournalWriter:
    writer = image_store.database.recorder
    assert isinstance(writer, JournalWriter)
    return writer


def test_a_change_is_in_the_folder_when_its_transaction_returns(store: ImageStore, tmp_path: Path) -> None:
    made = new_datastore(store)
    tag_resource(store, TaggedResource(made), {"ward": "7"})
    untag_resource(store, TaggedResource(made), ["ward"])
    changes = [change for record in read_journal(store, tmp_path) for change in record.changes]
    assert [change[1][3] for change in changes if change[0] == "datastore"] == ["CREATING", "ACTIVE"]
    assert [change[2] for change in changes if change[0] == "tags"] == [{"ward": "7"}, {}]


def test_a_folder_on_another_disk_is_one_like_that_in_the_data_folder(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/another%20disk"
    settings = load_settings({"HOUNSFIELD_DATA": str(tmp_path / "data"), "HOUNSFIELD_BLOBS_URL": url})
    image_store, _ = open_image_store(settings)
    new_datastore(image_store)
    disk = tmp_path / "another disk"
    assert image_store.blob_location.folder == str(disk)
    assert disk in written_folders(settings)
    assert any(path.is_file() for path in (disk / "journal").rglob("*"))
    assert not (tmp_path / "data" / "blobs").exists()
    image_store.database.close()


def test_nothing_of_it_can_be_read_without_the_key(store: ImageStore, tmp_path: Path) -> None:
    tag_resource(store, TaggedResource(new_datastore(store)), {"ward": "a very particular value"})
    written = [path.read_bytes() for path in (tmp_path / "blobs" / "journal").rglob("*") if path.is_file()]
    assert written
    assert not any(b"particular" in data for data in written)


def test_what_is_durable_leaves_the_database_but_for_the_last(store: ImageStore, tmp_path: Path) -> None:
    made = new_datastore(store)
    before = in_outbox(store)
    assert len(before) == 3
    journal_of(store).look()
    assert in_outbox(store) == before[-1:]
    tag_resource(store, TaggedResource(made), {"a": "b"})
    assert in_outbox(store) == [before[-1], before[-1] + 1]
    assert kinds(read_journal(store, tmp_path)) == ["origin", "datastore", "datastore", "tags"]


def test_what_a_dead_process_left_is_written_by_another(store: ImageStore, tmp_path: Path) -> None:
    new_datastore(store)
    left = pack_changes([["tags", "arn:of:a:dead:process", {}]], 1, 1)
    with store.database.write() as connection:
        connection.execute(insert(journal_outbox).values(content=left))
    writer = journal_of(store)
    assert writer.take_leftovers() == 0, "it may be alive"
    assert writer.take_leftovers() == 2, "that of the origin, which nobody wrote, and that"
    assert writer.take_leftovers() == 0
    assert kinds(read_journal(store, tmp_path)) == ["origin", "datastore", "datastore", "tags"]


def test_a_change_is_made_though_the_journal_cannot_be_written(store: ImageStore, tmp_path: Path) -> None:
    obstacle = tmp_path / "blobs" / "journal"
    obstacle.write_text("")
    made = new_datastore(store)
    writer = journal_of(store)
    with pytest.raises(OSError, match="journal"):
        writer.flush()
    obstacle.unlink()
    writer.look()
    assert kinds(read_journal(store, tmp_path)) == ["origin", "datastore", "datastore"]
    assert len(in_outbox(store)) == 1
    assert store.blobs.size(f"keys/{made}.json")


def test_what_was_rolled_back_is_not_recorded(store: ImageStore, tmp_path: Path) -> None:
    made = new_datastore(store)
    with pytest.raises(Exception, match="tags"):
        tag_resource(store, TaggedResource(made), {str(number): "x" for number in range(60)})
    tag_resource(store, TaggedResource(made), {"a": "b"})
    assert kinds(read_journal(store, tmp_path)).count("tags") == 1


def test_secrets_beside_the_packs_follow_the_database(store: ImageStore, tmp_path: Path) -> None:
    place = store.new_blobs
    there = read_secrets(place)
    assert {"installation", JOURNAL, "blob-place"} <= there.keys()
    assert not write_secrets(store.database, place)
    for damage in (b"", b"{}", b"[1]", b'{"format": "hounsfield secrets", "version": 1, "secrets": {"a": 1}}'):
        (tmp_path / "blobs" / "keys" / "secrets.json").write_bytes(damage)
        with pytest.raises(ValueError, match=r"secrets\.json"):
            read_secrets(store.blob_location.open())
    assert write_secrets(store.database, place)
    assert read_secrets(store.blob_location.open()) == there


def test_secrets_of_a_newer_version_are_not_read(store: ImageStore, tmp_path: Path) -> None:
    file = tmp_path / "blobs" / "keys" / "secrets.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": 2}))
    with pytest.raises(ValueError, match="version 2"):
        read_secrets(store.blob_location.open())


def test_a_gap_in_the_records_is_told(store: ImageStore, tmp_path: Path) -> None:
    for _ in range(3):
        new_datastore(store)
    secret = journal_key(store, tmp_path)
    with JournalReader(store.new_blobs, secret) as reader:
        # The origin waits for the first flush of a server.
        assert reader.missing() == [(1, 1)]
        assert not reader.begins_with_database
        assert reader.missing(1) == []
        assert [record.sequence for record in reader.records(4)] == [5, 6, 7]
    journal_of(store).look()
    with JournalReader(store.new_blobs, secret) as reader:
        assert reader.missing() == []
        assert reader.begins_with_database
        last = list(reader.records())[-1]
        assert list(reader.records(until_ms=0)) == list(reader.records())[:1]
        assert list(reader.records(until_ms=last.wall_ms))[-1] == last


def test_two_records_of_one_sequence_are_told_where_they_differ(store: ImageStore, tmp_path: Path) -> None:
    """As they are when a database that was put back from an older copy went on beside the journal of the newer one."""
    new_datastore(store)
    journal_of(store).look()
    secret = journal_key(store, tmp_path)
    with JournalReader(store.new_blobs, secret) as reader:
        last = list(reader.records())[-1]
    for writer, changes, damaged in (("a" * 32, last.changes, False), ("b" * 32, [["tags", "arn", {}]], True)):
        sealer = SegmentSealer(secret, writer, 1, Ending())
        record = sealer.seal(last.sequence, pack_changes(changes, last.wall_ms, last.steady_ms))
        write_blob(store.new_blobs, str(sealer.name), sealer.beginning + record)
        with JournalReader(store.new_blobs, secret) as reader:
            assert any("is another one" in found.what for found in reader.damage) is damaged


def test_a_snapshot_of_a_backup_has_all_sequences_up_to_its_highest(postgresql_url: str, tmp_path: Path) -> None:
    """A transaction that has its sequence and is not committed yet is waited for: a later one has a higher sequence."""
    settings = load_settings({"HOUNSFIELD_DATA": str(tmp_path), "HOUNSFIELD_DATABASE_URL": postgresql_url})
    image_store, _ = open_image_store(settings)
    database, insert_record = image_store.database, journal_writer._insert
    content = pack_changes([], 1, 1)

    def sequences() -> set[int]:
        with read_settled_snapshot(database) as connection:
            return set(connection.execute(select(journal_outbox.c.sequence)).scalars())

    try:
        with ThreadPoolExecutor(1) as pool:
            with database.write() as slow:
                first = insert_record(slow, content)
                with database.write() as quick:
                    second = insert_record(quick, content)
                found = pool.submit(sequences)
                wait_for(lambda: waits_for_lock(database), "the snapshot to wait")
            assert {first, second} <= found.result(60)
    finally:
        database.close()


def waits_for_lock(database: Database) -> bool:
    with database.read() as connection:
        query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(connection.execute(query).scalar())
