"""What was deleted and waits to be erased is erased, though the database was lost meanwhile, or comes from a backup."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from hounsfield.storage.db.image_set_tables import instances
from support.backup.installations import backed_up, restored
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.compactions import QUIET, compacted, image_store_of, owners
from support.imaging.imports import image_sets
from support.imaging.lost_databases import kill, lose_database
from support.servers import ServerProcess, active_datastore, wait_for


def named_and_written(server: ServerProcess, datastore: str) -> tuple[set[str], set[str]]:
    """Keys that rows name, and keys that have records in packs."""
    with image_store_of(server) as image_store:
        with image_store.database.read() as connection:
            named = set(connection.execute(select(instances.c.source_key)).scalars())
        return named, owners(image_store, datastore)


def test_after_a_rebuild_and_after_a_restore(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {**QUIET, "HOUNSFIELD_COMPACTION_GRACE_SECONDS": "3600"}).start()
    client = server.client()
    datastore = active_datastore(client)
    files = [part10(slice_of(series, pixels=noise(8, 8))) for series in range(1, 7)]
    assert store(server, datastore, files).status_code == 200
    # One pack for all, and the old ones, which wait for their grace time.
    assert compacted(server)["packs_written"] == 1
    deleted = image_sets(client, datastore)[0]["imageSetId"]
    client.delete_image_set(datastoreId=datastore, imageSetId=deleted)
    wait_for(lambda: len(named_and_written(server, datastore)[0]) == 5, "the storage to be released")
    kill(server)
    named, written = named_and_written(server, datastore)
    assert len(written - named) == 1, "nothing is erased yet"
    (tmp_path / "passphrase").write_text("backup of the ward")
    options = ("--passphrase-file", str(tmp_path / "passphrase"))
    backed_up(server, tmp_path / "backup", *options)
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0, "other users of the machine see it"
    copy = restored(tmp_path / "backup", tmp_path / "restored", *options, environment=QUIET)
    lose_database(server)
    result = command(server, "rebuild")
    assert result.exit_code == 0, result.output
    server.environment.update(QUIET)
    for one in (server, copy):
        # The time of an installation goes on where it was last written down, which may be a moment before its notes.
        wait_for(lambda one=one: is_erased(one, datastore), "the records to be erased")  # type: ignore[misc]
        assert named_and_written(one, datastore)[0] == named


def is_erased(server: ServerProcess, datastore: str) -> bool:
    compacted(server)
    named, written = named_and_written(server, datastore)
    return named == written
