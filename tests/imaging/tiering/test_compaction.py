"""Compaction merges small packs and erases released records; whatever is read is the same before and after."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.frame_runs import run_extents
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.compaction import COMPACT, CompactionTimes, Compactor
from hounsfield.imaging.tiering.compaction_status import read_compaction_status
from hounsfield.imaging.tiering.noted_packs import NotedPack, NotedState, list_noted, note_packs
from hounsfield.jobs.queue import WorkItem, WorkQueue
from hounsfield.settings import load_settings
from hounsfield.storage.blobs.pack_rewrite import PackRewrite, RewrittenPack, rewrite_pack
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind, pack_name, read_records
from hounsfield.storage.db.compaction_tables import noted_packs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import frame_runs, instances
from hounsfield.storage.identifiers import new_id
from support.clients.dicomweb import part10, store
from support.faults.data_rules import check_data_rules
from support.faults.mortal_blobs import KilledError, MortalBlobs, Mortality
from support.files.synthetic import slice_of, uid
from support.identities.users import command
from support.imaging.compactions import QUIET, answers, compacted, image_store_of, owners, packs
from support.imaging.imports import image_sets
from support.imaging.imports import instances as documented
from support.imaging.stored_series import deleted, pack_files, settled
from support.imaging.updates import Store
from support.servers import ServerProcess, wait_for


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("compaction") / "data", QUIET).start()
    yield process
    process.stop()


def stored(server: ServerProcess, datastore: str, series: int, count: int) -> None:
    """Store the slices of a series, each with a request of its own."""
    for number in range(1, count + 1):
        assert store(server, datastore, [part10(slice_of(series, number))]).status_code == 200


def copied(own: Store, source: str) -> str:
    """Copy an image set into a new one, and return that."""
    answer = own.client.copy_image_set(
        datastoreId=own.id,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": own.get(source)["versionId"]}},
    )
    copy = str(answer["destinationImageSetProperties"]["imageSetId"])
    settled(own.client, own.id, copy)
    settled(own.client, own.id, source)
    return copy


def edited(own: Store, image_set: str, series: int, number: int, text: str) -> None:
    """Change an element of an instance, which writes a pack with its JSON alone."""
    instance = {"DICOM": {"ImageComments": text}}
    update = {"Study": {"Series": {uid(1, series): {"Instances": {uid(1, series, number): instance}}}}}
    own.ask(image_set, own.get(image_set)["versionId"], update=update)
    assert settled(own.client, own.id, image_set)["imageSetWorkflowStatus"] == "UPDATED"


def released(quiet: ServerProcess, own: Store, image_set: str) -> None:
    """Delete an image set, and wait until its storage is released."""
    deleted(own.client, own.id, image_set)
    with image_store_of(quiet) as image_store:
        query = select(instances.c.key).where(instances.c.image_set_id == image_set).limit(1)

        def is_forgotten() -> bool:
            with image_store.database.read() as connection:
                return connection.execute(query).first() is None

        wait_for(is_forgotten, "the rows of the image set to be forgotten")


def taken(image_store: ImageStore) -> WorkItem:
    """Take the work item of compaction as soon as the runner does not have it."""
    item = wait_for(lambda: image_store.queue.take(COMPACT, "somebody"), "the work item to be free")
    assert item is not None
    return item


def by_series(own: Store) -> dict[str, str]:
    """Return the image set of each series."""
    found = {}
    for entry in image_sets(own.client, own.id):
        (series_uid,) = own.document(entry["imageSetId"])["Study"]["Series"]
        found[series_uid] = entry["imageSetId"]
    return found


def test_whatever_is_read_is_the_same(quiet: ServerProcess) -> None:
    own = Store(quiet, quiet.client())
    stored(quiet, own.id, 1, 9)
    stored(quiet, own.id, 2, 5)
    found = by_series(own)
    first, second = found[uid(1, 1)], found[uid(1, 2)]
    edited(own, first, 1, 3, "once")
    edited(own, first, 1, 3, "twice")
    copied(own, first)
    edited(own, first, 1, 4, "once more")
    edited(own, second, 2, 1, "other")
    edited(own, second, 2, 2, "another")
    own.ask(first, own.get(first)["versionId"], revert="2")
    settled(own.client, own.id, first)
    before = answers(quiet, own.client, own.id)
    assert len(pack_files(quiet, own.id)) == 14 + 5
    done = compacted(quiet)
    assert (done["packs_rewritten"], done["packs_written"], done["packs_left"]) == (19, 2, 0)
    with image_store_of(quiet) as image_store:
        kinds = [{label.kind for label, _ in contents} for contents in packs(image_store, own.id).values()]
        (large,) = (contents for contents in packs(image_store, own.id).values() if len(contents) > 10)
    assert sorted(kinds, key=len) == [{RecordKind.FRAGMENT}, set(RecordKind) - {RecordKind.BLOB, RecordKind.CONTENTS}]
    order = [label.kind for label, _ in sorted(large, key=lambda record: record[1].offset)]
    assert order == [RecordKind.FRAME] * 14 + [RecordKind.FRAGMENT] * 14 + [RecordKind.DATASET] * 14
    # The places that the server keeps are of packs that are gone.
    assert answers(quiet, own.client, own.id) == before
    assert compacted(quiet)["packs_written"] == 0, "what was merged is not merged again"
    edited(own, first, 1, 2, "and now")
    quiet.stop()
    quiet.start()
    after = answers(quiet, quiet.client(), own.id)
    assert {name: after[name] for name in before if name[0] in {"document", "frame"}} == {
        name: data for name, data in before.items() if name[0] in {"document", "frame"}
    }
    check_data_rules(quiet)


def test_bytes_of_deleted_image_sets_go_from_packs_that_others_use(quiet: ServerProcess) -> None:
    own = Store(quiet, quiet.client())
    stored(quiet, own.id, 1, 4)
    stored(quiet, own.id, 2, 4)
    found = by_series(own)
    gone, stays = found[uid(1, 1)], found[uid(1, 2)]
    for number in (1, 2, 3):
        edited(own, gone, 1, number, "of the one that goes")
        edited(own, stays, 2, number, "of the one that stays")
    compacted(quiet)
    with image_store_of(quiet) as image_store:
        assert len(packs(image_store, own.id)) == 2
        assert len(owners(image_store, own.id)) == 8
        released(quiet, own, gone)
        (status,) = (one for one in read_compaction_status(image_store) if one.datastore_id == own.id)
        assert (status.packs_to_erase, status.dead_bytes > 0) == (2, True)
        before = answers(quiet, own.client, own.id)
        done = compacted(quiet)
        assert (done["packs_rewritten"], done["packs_deleted"]) == (2, 2)
        kept = {row["ImageFrames"][0]["ID"][:24] for _, row in documented(own.document(stays))}
        assert owners(image_store, own.id) == kept
        assert answers(quiet, own.client, own.id) == before
        copy = copied(own, stays)
        released(quiet, own, stays)
        (status,) = (one for one in read_compaction_status(image_store) if one.datastore_id == own.id)
        assert status.packs_to_erase == 1, "a copy shares all but the JSON from before the edits"
        released(quiet, own, copy)
        assert packs(image_store, own.id) == {}
    check_data_rules(quiet)


def test_a_damaged_pack_is_left_and_named_and_others_go_on(quiet: ServerProcess) -> None:
    own = Store(quiet, quiet.client())
    stored(quiet, own.id, 1, 8)
    bad, cut, *_ = sorted(pack_files(quiet, own.id))
    content = bytearray(bad.read_bytes())
    content[80] ^= 1
    bad.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-30])
    done = compacted(quiet, exit_code=1)
    assert done["packs_left"] == 2
    there = pack_files(quiet, own.id)
    assert {bad, cut} < there
    assert len(there) < 8
    assert compacted(quiet)["packs_written"] == 0
    status = command(quiet, "compact", "--status").stdout
    assert "2 packs are left alone for now" in status


def test_a_damaged_pack_that_a_dead_process_was_writing_stops_nothing(quiet: ServerProcess) -> None:
    own = Store(quiet, quiet.client())
    stored(quiet, own.id, 1, 6)
    written = NotedPack(
        new_id(), own.id, "", NotedState.WRITTEN, only_edits=False, bytes=0, dead_bytes=0, dead_since=None, noted_at=0
    )
    with image_store_of(quiet) as image_store, image_store.database.write() as connection:
        note_packs(connection, [written])
    path = quiet.data / "blobs" / pack_name(own.id, written.pack_id)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(min(pack_files(quiet, own.id)).read_bytes()[:-30])
    done = compacted(quiet, exit_code=1)
    assert (done["packs_rewritten"], done["packs_left"]) == (6, 1)
    assert path.exists()
    assert compacted(quiet)["packs_left"] == 0, "it is left alone for a day"


def test_a_full_disk_ends_the_pass_and_loses_nothing(quiet: ServerProcess) -> None:
    own = Store(quiet, quiet.client())
    stored(quiet, own.id, 1, 6)
    before = pack_files(quiet, own.id)

    def refuse(_: PackRewrite) -> RewrittenPack:
        raise OSError(errno.ENOSPC, "No space left on device")

    with image_store_of(quiet) as image_store:
        item = taken(image_store)
        counts = Compactor(image_store, CompactionTimes(0, 0, 0), refuse, threading.Event()).run_pass(
            item, at_once=True
        )
        image_store.queue.release_lease(item, 300.0, failed=False)
        assert counts["packs_left"] > 0
        assert pack_files(quiet, own.id) == before
        assert {pack.state for pack in noted(image_store, own.id)} == {NotedState.KEPT}
        with image_store.database.write() as connection:
            # The clock of one process may be ahead of that of the next.
            connection.execute(update(noted_packs).values(noted_at=noted_packs.c.noted_at + 60_000))
    assert compacted(quiet)["packs_rewritten"] >= 5
    assert len(pack_files(quiet, own.id)) < 4


def test_two_at_a_time_are_refused(quiet: ServerProcess) -> None:
    with image_store_of(quiet) as image_store:
        item = taken(image_store)
        with image_store.queue.renewed(item):
            result = command(quiet, "compact")
        image_store.queue.release_lease(item, 300.0, failed=False)
    assert result.exit_code == 3
    assert "a runner is compacting packs just now" in result.output


class MortalQueue(WorkQueue):
    """The queue of a process that dies before its n-th transaction."""

    def __init__(self, queue: WorkQueue, database: Database, step: Mortality) -> None:
        super().__init__(database, queue.lease_seconds)
        self._step = step

    def hold(self, connection: Connection, item: WorkItem) -> None:
        self._step(lambda: super(MortalQueue, self).hold(connection, item))


def pass_of(image_store: ImageStore, mortality: Mortality) -> bool:
    """Make a pass in a process that dies at some step, before or after it; tell whether it came to its end."""
    blobs = MortalBlobs(image_store.blobs, mortality)
    queue = MortalQueue(image_store.queue, image_store.database, mortality)
    mortal = replace(image_store, blobs=blobs, queue=queue)
    compactor = Compactor(
        mortal, CompactionTimes(0, 0, 0), lambda task: rewrite_pack(blobs, task, lambda _: None), threading.Event()
    )
    item = taken(image_store)
    try:
        compactor.run_pass(item, at_once=True)
    except KilledError:
        return False
    finally:
        image_store.queue.release_lease(item, 0.0, failed=False)
    return True


def contents_of(image_store: ImageStore, datastore: str) -> dict[tuple[str, int, str], bytes]:
    """Read every record that rows name: by instance, version and kind, frames by their ordinals."""
    key = fetch_key(image_store, get_datastore(image_store, datastore))
    found = {}
    with image_store.database.read() as connection:
        rows = connection.execute(select(instances).where(instances.c.datastore_id == datastore)).all()
        for row in rows:
            fragment = Extent(row.fragment_pack_id, row.fragment_offset, row.fragment_length)
            dataset = Extent(row.dataset_pack_id, row.dataset_offset, row.dataset_length)
            wanted = {"fragment": (fragment, Label(RecordKind.FRAGMENT, row.source_key))}
            wanted["dataset"] = (dataset, Label(RecordKind.DATASET, row.source_key))
            runs = select(frame_runs).where(frame_runs.c.source_key == row.source_key)
            for run in connection.execute(runs):
                for ordinal, extent in run_extents(run):
                    wanted[f"frame {ordinal}"] = (extent, Label(RecordKind.FRAME, row.source_key, ordinal))
            for name, data in zip(wanted, read_records(image_store.blobs, key, list(wanted.values())), strict=True):
                found[row.key, row.first_version, name] = data
            found[row.key, row.first_version, "edited"] = bytes([fragment.pack_id != dataset.pack_id])
    return found


@pytest.mark.parametrize("stride", [17, pytest.param(3, marks=pytest.mark.slow)])
def test_a_process_that_dies_at_any_step_leaves_everything_readable(
    quiet: ServerProcess, tmp_path: Path, stride: int
) -> None:
    own = Store(quiet, quiet.client())
    stored(quiet, own.id, 1, 3)
    stored(quiet, own.id, 2, 3)
    compacted(quiet)
    found = by_series(own)
    released(quiet, own, found[uid(1, 1)])
    for number in (1, 2):
        edited(own, found[uid(1, 2)], 2, number, "edited")
    copied(own, found[uid(1, 2)])
    stored(quiet, own.id, 3, 4)
    quiet.stop()
    moment, deaths, alive = 3, 0, False
    while not alive:
        data = tmp_path / str(moment)
        shutil.copytree(quiet.data, data, ignore=shutil.ignore_patterns("*.pipe", "audit"))
        image_store, _ = open_image_store(load_settings({**quiet.environment, "HOUNSFIELD_DATA": str(data)}))
        before = contents_of(image_store, own.id)
        alive = pass_of(image_store, Mortality(moment))
        deaths += not alive
        assert contents_of(image_store, own.id) == before
        assert pass_of(image_store, Mortality(None))
        assert contents_of(image_store, own.id) == before
        assert owners(image_store, own.id) == {key for key, _, _ in before} - copies_of(image_store, own.id)
        named = {pack.pack_id for pack in noted(image_store, own.id)}
        assert set(packs(image_store, own.id)) == named, "no pack is left behind"
        image_store.database.close()
        shutil.rmtree(data)
        moment += stride
    assert deaths > 45 / stride
    quiet.start()


def copies_of(image_store: ImageStore, datastore: str) -> set[str]:
    """Return the keys of instances that have no records of their own."""
    query = select(instances.c.key).where(
        instances.c.datastore_id == datastore, instances.c.key != instances.c.source_key
    )
    with image_store.database.read() as connection:
        return set(connection.execute(query).scalars())


def noted(image_store: ImageStore, datastore: str) -> list[NotedPack]:
    """Return the noted packs of a data store."""
    with image_store.database.read() as connection:
        return list_noted(connection, datastore)
