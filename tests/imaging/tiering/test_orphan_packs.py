"""Packs that no row refers to are found and deleted; all others stay, also those that only an unfinished job knows."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.imports.jobs import JobStatus, get_import_job, read_progress
from hounsfield.imaging.tiering.orphan_packs import OrphanSweeper
from hounsfield.settings import Settings
from hounsfield.storage.db.clock_table import steady_clock
from support.files.synthetic import noise, slice_of
from support.imaging.import_folders import fill, start_job
from support.imaging.imports import outcome_of
from support.imaging.orphan_sweeps import HOUR_MS, swept
from support.imaging.stored_series import deleted, imported, pack_files, settled, verified
from support.processes import runners
from support.servers import ServerProcess, active_datastore, finished_job, wait_for

FILES = 120
"""Enough that the job is not done when its first outcomes are noted."""

TWO_DAYS_AGO = time.time() - 2 * 24 * 3600


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(
        tmp_path / "data",
        {
            "HOUNSFIELD_LEASE_SECONDS": "1.5",
            "HOUNSFIELD_IMPORT_WORKERS": "1",
            "HOUNSFIELD_RELEASE_AFTER_SECONDS": "1e9",
        },
    ).start()
    yield process
    process.stop()


def aged(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (TWO_DAYS_AGO, TWO_DAYS_AGO))


def test_only_old_packs_without_rows_go(own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    source, _ = imported(own, client, datastore, slice_of(), slice_of(2))
    answer = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    settled(client, datastore, copy)
    settled(client, datastore, source)
    imported(own, client, datastore, slice_of(pixels=noise(64, 64, seed=77)))
    deleted(client, datastore, source)
    live = pack_files(own, datastore)
    assert len(live) == 3
    some = next(iter(live))
    old, young, left = (some.with_name(name) for name in ("f" * 32, "e" * 32, f".{'d' * 32}.{'0' * 16}"))
    for path in (old, young, left):
        shutil.copy(some, path)
    aged(*live, old, left)
    before = pack_files(own, datastore)
    assert before == live | {old, young, left}
    assert swept(Settings(data=own.data)) == 2
    assert swept(Settings(data=own.data), hours_later=23) == 2
    assert pack_files(own, datastore) == before, "two sweeps must agree, a day apart"
    # What is none any more is looked at anew when it is one again.
    left.unlink()
    assert swept(Settings(data=own.data)) == 1
    shutil.copy(some, left)
    aged(left)
    assert swept(Settings(data=own.data), hours_later=2) == 2
    assert pack_files(own, datastore) == live | {young, left}
    assert swept(Settings(data=own.data), hours_later=25) == 1
    assert pack_files(own, datastore) == live | {young}
    assert len(verified(client, datastore, copy)) == 1
    assert swept(Settings(data=own.data)) == 0


def test_a_sweeper_deletes_nothing_that_is_younger_than_itself(own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    imported(own, client, datastore, slice_of())
    image_store, _ = open_image_store(Settings(data=own.data))
    sweeper = OrphanSweeper(image_store, delete=True)
    (some,) = pack_files(own, datastore)
    orphan = some.with_name("f" * 32)
    shutil.copy(some, orphan)
    aged(orphan)
    for _ in range(3):
        assert sweeper.sweep() == 1
        with image_store.database.write() as connection:
            connection.execute(update(steady_clock).values(ms=steady_clock.c.ms + 24 * HOUR_MS))
            image_store.queue.clock.follow(connection)
    assert orphan.exists()
    image_store.database.close()
    assert swept(Settings(data=own.data)) == 1
    assert pack_files(own, datastore) == {some}


def test_packs_of_an_unfinished_job_stay(own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    fill(own, "long", [slice_of(number=number, pixels=noise(512, 512, seed=number)) for number in range(FILES)])
    job_id = start_job(own, client, datastore, "long")
    image_store, _ = open_image_store(Settings(data=own.data))
    wait_for(lambda: read_progress(image_store, job_id).done > 0, "the first outcomes of the job to be noted")
    for runner in runners(own):
        runner.kill()
    own.stop()
    assert get_import_job(image_store, datastore, job_id).status is JobStatus.IN_PROGRESS
    aged(*pack_files(own, datastore))
    # What the job had not noted yet is written again when it goes on, and may go.
    image_store.database.close()
    swept(Settings(data=own.data))
    swept(Settings(data=own.data), hours_later=25)
    assert len(pack_files(own, datastore)) > 0
    own.start()
    client = own.client()
    outcome = outcome_of(own, finished_job(client, datastore, job_id))
    assert (outcome.job["jobStatus"], outcome.failure) == ("COMPLETED", [])
    (image_set,) = {line["importResponse"]["imageSetId"] for line in outcome.success}
    assert len(verified(client, datastore, image_set)) == FILES
