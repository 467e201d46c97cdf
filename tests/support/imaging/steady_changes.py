"""Clients of a server that change image sets all the time: store, update, revert, copy, delete, tag."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for


class SteadyChanges:
    """Clients that change image sets of a data store of their own; counts what they did."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.client = server.client()
        self.datastore = active_datastore(self.client)
        self.stop = threading.Event()
        self.done: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Work for the length of a block, in which each kind of change must succeed at least once."""
        self.store()
        jobs = (self.store, self.update, self.copy, self.delete, self.tag)
        threads = [threading.Thread(target=self._going_on, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield
            wait_for(lambda: all(self.done[job.__name__] for job in jobs), "each kind of change")
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(60)

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
