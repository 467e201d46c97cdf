"""Compaction beside clients that store, read, change and delete: nobody is refused for it, and the rules of the data hold.

On the embedded database with packs in a folder, and on PostgreSQL with packs in a bucket; and with the command killed again
and again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hounsfield.imaging.tiering.compaction_status import read_compaction_status
from support.clients.dicomweb import get, part10, store
from support.faults.data_rules import check_data_rules
from support.files.synthetic import slice_of
from support.imaging.compactions import QUIET, answers, compacted, image_store_of
from support.imaging.imports import document, frame, image_sets, instances
from support.imaging.steady_changes import SteadyChanges
from support.imaging.stored_series import pack_files
from support.programs import environment_of_programs
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.object_store import ObjectStore

SECONDS = 15.0
BUSY = {
    **QUIET,
    "HOUNSFIELD_COMPACTION_AFTER_SECONDS": "0.2",
    "HOUNSFIELD_COMPACTION_GRACE_SECONDS": "1",
    "HOUNSFIELD_ERASE_AFTER_SECONDS": "0.5",
}
BUCKET = "compacted-packs"
REFUSALS = {"ResourceNotFoundException", "ConflictException"}

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", "bucket"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    environment = dict(BUSY)
    if request.param == "bucket":
        s3: ObjectStore = request.getfixturevalue("s3")
        s3.client.create_bucket(Bucket=BUCKET)
        environment |= {
            **s3.environment(),
            "HOUNSFIELD_DATABASE_URL": request.getfixturevalue("postgresql_url"),
            "HOUNSFIELD_BLOBS_URL": f"s3://{BUCKET}/there",
            "HOUNSFIELD_READ_CACHE_BYTES": "0",
        }
    process = ServerProcess(tmp_path / "data", environment).start()
    yield process
    process.stop()


class Readers:
    """Clients that read whatever there is, again and again, and keep what went wrong."""

    def __init__(self, server: ServerProcess, datastore: str) -> None:
        self.server, self.datastore = server, datastore
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()

    def read(self, stop: threading.Event) -> None:
        client = self.server.client()
        while not stop.is_set():
            for entry in image_sets(client, self.datastore):
                try:
                    self._read(client, entry["imageSetId"])
                except ClientError as error:
                    if error.response["Error"]["Code"] not in REFUSALS:
                        self.wrong.append(str(error))

    def _read(self, client: object, image_set: str) -> None:
        found = document(client, self.datastore, image_set)
        self.done["documents"] += 1
        (series_uid,) = found["Study"]["Series"]
        study_uid = found["Study"]["DICOM"]["StudyInstanceUID"]
        for sop_uid, instance in instances(found):
            for entry in instance["ImageFrames"]:
                frame(client, self.datastore, image_set, entry["ID"])
                self.done["frames"] += 1
            path = f"studies/{study_uid}/series/{series_uid}/instances/{sop_uid}?imageSetId={image_set}"
            answer = get(self.server, self.datastore, path)
            self.done["files"] += answer.status_code == 200
            if answer.status_code not in {200, 404, 409}:
                self.wrong.append(f"{answer.status_code} {answer.text[:200]}")


def test_nobody_is_refused_while_packs_are_compacted(busy: ServerProcess) -> None:
    work = SteadyChanges(busy)
    readers, stop = Readers(busy, work.datastore), threading.Event()
    threads = [threading.Thread(target=readers.read, args=(stop,)) for _ in range(2)]
    until = time.monotonic() + SECONDS
    with work.going_on(), image_store_of(busy) as image_store:
        for thread in threads:
            thread.start()
        try:
            wait_for(
                lambda: (
                    time.monotonic() > until
                    and any(one.packs_deleted > 20 for one in read_compaction_status(image_store))
                ),
                "some packs to be compacted and deleted",
                120,
            )
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert readers.wrong == []
    assert min(readers.done.values()) > 0
    lines = [json.loads(line) for line in busy.log_text().splitlines() if "pack damaged" in line]
    # A pack that is read when its last image set is released is of none.
    assert [line for line in lines if line.get("image_set_count") != 0] == []
    check_data_rules(busy)


def test_the_command_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    environment = {**QUIET, "HOUNSFIELD_COMPACTION_RATE": "60000"}
    server = ServerProcess(tmp_path / "data", environment).start()
    datastore = active_datastore(server.client())
    for number in range(1, 25):
        assert store(server, datastore, [part10(slice_of(number % 3, number))]).status_code == 200
    before = answers(server, server.client(), datastore)
    chance = random.Random(16)
    for _ in range(12):
        command = [sys.executable, "-m", "hounsfield", "compact", "--data", str(server.data)]
        process = subprocess.Popen(
            command,
            env={**environment_of_programs(), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(0.5, 8))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert answers(server, server.client(), datastore) == before
    server.stop()
    server.environment["HOUNSFIELD_COMPACTION_RATE"] = "0"
    wait_for(lambda: compacted(server) or True, "the lease of the last one to run out")
    assert len(pack_files(server, datastore)) < 24
    server.start()
    assert answers(server, server.client(), datastore) == before
    check_data_rules(server)
    server.stop()
