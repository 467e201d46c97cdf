"""A pass beside a server at work: imports, edits, copies, deletions and the release of storage are no damage."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore

SECONDS = 2.0
ENVIRONMENT = {
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
}


class Work:
    """Clients that change image sets until they are told to stop; counts what they did."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.client = server.client()
        self.datastore = active_datastore(self.client)
        self.stop = threading.Event()
        self.done: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def start(self) -> list[threading.Thread]:
        jobs = (self.store, self.update, self.copy, self.delete, self.tag)
        threads = [threading.Thread(target=self._going_on, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        return threads

    def _going_on(self, job: Callable[[], None]) -> None:
        while not self.stop.is_set():
            with suppress(ClientError, IndexError):
                job()
                self.done[job.__name__] += 1
            self.stop.wait(0.01)

    def store(self) -> None:
        number = next(self._numbers)
        files = [
            part10(slice_of(series, number, study=1 + number % 3, pixels=noise(32, 32, seed=number)))
            for series in (1, 2)
        ]
        assert store(self.server, self.datastore, files).status_code == 200

    def _some(self, turn: int) -> str:
        found = image_sets(self.client, self.datastore)
        return str(found[turn % len(found)]["imageSetId"])

    def update(self) -> None:
        turn = next(self._numbers)
        chosen = self._some(turn)
        latest = self.client.get_image_set(datastoreId=self.datastore, imageSetId=chosen)["versionId"]
        if turn % 3 == 0 and latest != "1":
            change: dict[str, object] = {"revertToVersionId": "1"}
        else:
            name = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": f"Turn^{turn}"}}}
            change = {"DICOMUpdates": {"updatableAttributes": json.dumps(name)}}
        self.client.update_image_set_metadata(
            datastoreId=self.datastore,
            imageSetId=chosen,
            latestVersionId=latest,
            updateImageSetMetadataUpdates=change,
        )

    def copy(self) -> None:
        chosen = self._some(next(self._numbers))
        latest = self.client.get_image_set(datastoreId=self.datastore, imageSetId=chosen)["versionId"]
        self.client.copy_image_set(
            datastoreId=self.datastore,
            sourceImageSetId=chosen,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": latest}},
        )

    def delete(self) -> None:
        if len(image_sets(self.client, self.datastore)) > 6:
            self.client.delete_image_set(datastoreId=self.datastore, imageSetId=self._some(next(self._numbers)))

    def tag(self) -> None:
        chosen = self.client.get_image_set(datastoreId=self.datastore, imageSetId=self._some(next(self._numbers)))
        self.client.tag_resource(resourceArn=chosen["imageSetArn"], tags={"Turn": str(next(self._numbers))})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("beside")
    process = ServerProcess(folder / "data", ENVIRONMENT).start()
    yield process
    process.stop()


def test_changes_are_no_damage(server: ServerProcess) -> None:
    work = Work(server)
    work.store()
    threads = work.start()
    passes = 0
    until = time.monotonic() + SECONDS
    try:
        while passes < 2 or time.monotonic() < until:
            result = command(server, "verify", "--json", "--processes", "1")
            report = json.loads(result.stdout)
            assert report["findings"] == []
            assert result.exit_code == 0
            passes += 1
    finally:
        work.stop.set()
        for thread in threads:
            thread.join(60)
    assert all(work.done[name] for name in ("store", "update", "copy", "delete", "tag"))
