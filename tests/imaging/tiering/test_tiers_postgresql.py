"""Storage tiers on PostgreSQL, where transactions run at the same time: nobody waits for a lock that a reader would need."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.files.synthetic import slice_of
from support.imaging.imports import document
from support.imaging.stored_series import deleted, imported, settled, verified
from support.imaging.tiers import ARCHIVED, FREQUENT, QUICK, Bell, accessed, archived, comes_to, packs_in, rested, tier
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("tiers-on-postgresql")
    environment = {
        **QUICK,
        "HOUNSFIELD_DATABASE_URL": postgresql_url,
        "HOUNSFIELD_ARCHIVE_BLOBS_URL": str(folder / "second"),
        "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
    }
    process = ServerProcess(folder / "data", environment).start()
    yield process
    process.stop()


def test_packs_follow_their_image_sets(on_postgresql: ServerProcess) -> None:
    client = on_postgresql.client()
    datastore = active_datastore(client)
    first, second = on_postgresql.data / "blobs", on_postgresql.data.parent / "second"
    (source,) = imported(on_postgresql, client, datastore, slice_of())
    packs = packs_in(first, datastore)
    answer = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    settled(client, datastore, copy)
    settled(client, datastore, source)
    archived(on_postgresql, client, datastore, source)
    assert packs_in(first, datastore) == packs
    archived(on_postgresql, client, datastore, copy)
    wait_for(lambda: (packs_in(first, datastore), packs_in(second, datastore)) == (set(), packs), "the packs to go")
    assert len(verified(client, datastore, copy)) == 1
    comes_to(client, datastore, copy, FREQUENT)
    assert tier(client, datastore, source) == ARCHIVED
    wait_for(lambda: (packs_in(first, datastore), packs_in(second, datastore)) == (packs, set()), "the packs to return")
    deleted(client, datastore, copy)
    wait_for(lambda: packs_in(second, datastore) == packs, "the packs to go with the archived source alone")
    deleted(client, datastore, source)
    wait_for(lambda: not packs_in(first, datastore) | packs_in(second, datastore), "all packs to go")


def test_a_locked_image_set_holds_up_no_other(on_postgresql: ServerProcess, postgresql_url: str) -> None:
    client = on_postgresql.client()
    datastore = active_datastore(client)
    wakeup = Bell(on_postgresql, client)
    held, idle = imported(on_postgresql, client, datastore, slice_of(), slice_of(2))
    rested(on_postgresql, held, days=1)
    before = accessed(client, datastore, held)
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("SELECT id FROM image_sets WHERE id = %s FOR UPDATE", (held,))
        document(client, datastore, held)
        wakeup.wait()
        archived(on_postgresql, client, datastore, idle)
        assert accessed(client, datastore, held) == before
        connection.rollback()
    wait_for(lambda: accessed(client, datastore, held) > before, "the access to be written after all")
