"""Clients of one server that store, import, update, copy, delete, tag and search at the same time, whatever befalls it.

    Ward.work ─▶ threads that go on whatever they are answered ─▶ what they were told was done ─▶ check_ward ─▶ is it there?

What was answered with an error may be there or not, but never in part.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import requests
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from support.clients.dicomweb import part10, root, session, store, values
from support.files.synthetic import noise, slice_of, uid
from support.identities.users import command
from support.imaging.import_folders import fill, primaries_by_series, start_job
from support.imaging.imports import document, image_sets, instances
from support.imaging.stored_frames import verify_frames
from support.servers import ServerProcess, active_datastore, wait_for

IMPORTED = 8
NOT_NOW = (BotoCoreError, ClientError, requests.RequestException)


@dataclass
class Told:
    """What clients were told was done."""

    stored: set[int] = field(default_factory=set)
    """Numbers of the instances of the series that is stored one by one."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Folder of each import job, by its id."""
    updates: dict[str, list[str]] = field(default_factory=dict)
    """Patient names that an image set was given, by its id."""
    deleted: set[str] = field(default_factory=set)
    """Image sets whose deletion was taken in."""
    tags: dict[str, str] = field(default_factory=dict)
    """The last value of each tag of the data store that was taken in."""


class Ward:
    """Clients of one server that go on until they are told to stop, whatever they are answered."""

    def __init__(self, server: ServerProcess, seed: int = 0, *, rotates: bool = False) -> None:
        self.server, self.seed, self.rotates = server, seed, rotates
        self.wrong: list[str] = []
        self.told = Told()
        self.stop = threading.Event()
        self.client = server.client(connect_timeout=5, read_timeout=60)
        self.datastore = active_datastore(self.client)
        properties = self.client.get_datastore(datastoreId=self.datastore)["datastoreProperties"]
        self.arn = properties["datastoreArn"]
        for folder in range(3):
            files = [slice_of(10 + folder, number, study=2 + folder) for number in range(IMPORTED)]
            self.fill_input(f"{seed}-{folder}", files)
        # One to update, one to copy and to delete copies of.
        for study in (8, 9):
            assert store(server, self.datastore, [part10(slice_of(1, 1, study=study))]).status_code == 200
        found = primaries_by_series(self.client, self.datastore)
        self.updated = found[uid(8), uid(8, 1)]["imageSetId"]
        self.copied = found[uid(9), uid(9, 1)]["imageSetId"]

    def fill_input(self, folder: str, files: list[Any]) -> None:
        """Put files where jobs read them."""
        fill(self.server, folder, files)

    def start_job(self, folder: str) -> str:
        """Start an import job."""
        return start_job(self.server, self.client, self.datastore, folder)

    def end(self) -> None:
        """Let the clients end."""
        self.stop.set()
        for thread in self._threads:
            thread.join(180)
            assert not thread.is_alive(), "a client waits for ever"

    def work(self) -> None:
        """Start the clients."""
        jobs = [self._store, self._import, self._update, self._copy_and_delete, self._tag, self._search]
        if self.rotates:
            jobs.append(self._rotate)
        self._threads = [threading.Thread(target=self._going_on, args=(job,), daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def _going_on(self, job: Callable[[int], None]) -> None:
        turn = 0
        while not self.stop.is_set():
            try:
                job(turn)
            except ClientError as error:
                self._note(error.response["ResponseMetadata"]["HTTPStatusCode"], str(error))
            except NOT_NOW:
                pass
            turn += 1
            self.stop.wait(0.02)

    def _note(self, status: int, said: str) -> None:
        """Note an answer that a client cannot do anything with: it is to be told that it may come again."""
        if status >= 500 and status not in (503, 507):
            self.wrong.append(f"{status}: {said}")

    def _store(self, number: int) -> None:
        answer = store(self.server, self.datastore, [part10(slice_of(1, number, pixels=_pixels(number)))])
        self._note(answer.status_code, answer.text)
        if answer.status_code in (200, 202):
            sops = {value for item in values(answer.json(), "00081199") for value in values(item, "00081155")}
            if uid(1, 1, number) in sops:
                self.told.stored.add(number)

    def _import(self, turn: int) -> None:
        if turn < 3:
            folder = f"{self.seed}-{turn}"
            job = self.start_job(folder)
            self.told.jobs[job] = folder
        self.stop.wait(0.5)

    def _update(self, turn: int) -> None:
        latest = self.client.get_image_set(datastoreId=self.datastore, imageSetId=self.updated)["versionId"]
        name = f"Turn^{turn}"
        self.client.update_image_set_metadata(
            datastoreId=self.datastore,
            imageSetId=self.updated,
            latestVersionId=latest,
            updateImageSetMetadataUpdates={
                "DICOMUpdates": {
                    "updatableAttributes": f'{{"SchemaVersion": 1.1, "Patient": {{"DICOM": {{"PatientName": "{name}"}}}}}}'
                }
            },
        )
        self.told.updates.setdefault(self.updated, []).append(name)

    def _copy_and_delete(self, _: int) -> None:
        source = self.client.get_image_set(datastoreId=self.datastore, imageSetId=self.copied)
        copied = self.client.copy_image_set(
            datastoreId=self.datastore,
            sourceImageSetId=self.copied,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": source["versionId"]}},
        )["destinationImageSetProperties"]["imageSetId"]
        deadline = time.monotonic() + 5
        while not self.stop.is_set() and time.monotonic() < deadline:
            try:
                self.client.delete_image_set(datastoreId=self.datastore, imageSetId=copied)
            except ClientError:
                self.stop.wait(0.05)
                continue
            self.told.deleted.add(copied)
            return

    def _tag(self, turn: int) -> None:
        key, value = f"key-{turn % 5}", f"{turn}"
        self.told.tags.pop(key, None)
        self.client.tag_resource(resourceArn=self.arn, tags={key: value})
        self.told.tags[key] = value
        self.stop.wait(0.1)

    def _search(self, _: int) -> None:
        """Look for what is there whatever happens: found whole, or not answered."""
        answer = session(self.server).get(
            f"{root(self.server, self.datastore)}/instances?StudyInstanceUID={uid(9)}", timeout=60
        )
        found = answer.json() if answer.status_code == 200 else None
        if answer.status_code in (200, 204) and (found is None or len(found) != 1):
            self.wrong.append(f"{answer.status_code}, {found}")
        for entry in image_sets(self.client, self.datastore):
            content = document(self.client, self.datastore, entry["imageSetId"])
            if not dict(instances(content)):
                self.wrong.append(f"{entry['imageSetId']} is there without instances")

    def _rotate(self, turn: int) -> None:
        if turn == 0:
            command(self.server, "master-key", "rotate")
        self.stop.wait(1)


def _pixels(number: int) -> NDArray[Any]:
    return noise(64, 64, seed=number)


def check_ward(ward: Ward) -> None:
    """Hold what the clients were told against what is there, once nothing is wrong any more and all work has ended."""
    assert not ward.wrong, ward.wrong
    server, datastore = ward.server, ward.datastore
    wait_for(lambda: _answers(ward), "the server to answer", 120)
    for job in ward.told.jobs:
        wait_for(lambda job=job: _job(ward, job) in {"COMPLETED", "FAILED"}, "the job to end", 180)
        assert _job(ward, job) == "COMPLETED"
    found = {entry["imageSetId"]: entry for entry in image_sets(ward.client, datastore)}
    for image_set_id in found:
        wait_for(lambda one=image_set_id: not _locked(ward, one), "the image set to be unlocked", 180)
    found = {entry["imageSetId"]: entry for entry in image_sets(ward.client, datastore)}
    primaries = primaries_by_series(ward.client, datastore)
    _check_stored(ward, primaries)
    for folder in ward.told.jobs.values():
        study = 2 + int(folder.rpartition("-")[2])
        entry = primaries[uid(study), uid(study, study + 8)]
        there = dict(instances(document(ward.client, datastore, entry["imageSetId"])))
        assert there.keys() == {uid(study, study + 8, number) for number in range(IMPORTED)}
    for image_set_id, entry in found.items():
        # Whatever is visible is whole.
        content = dict(instances(document(ward.client, datastore, image_set_id)))
        assert len(content) == entry["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"]
        for instance in content.values():
            assert verify_frames(ward.client, datastore, image_set_id, instance) == 1
    assert not ward.told.deleted & found.keys()
    tags = ward.client.list_tags_for_resource(resourceArn=ward.arn)["tags"]
    assert ward.told.tags.items() <= tags.items()
    for image_set_id, names in ward.told.updates.items():
        versions = ward.client.get_paginator("list_image_set_versions").paginate(
            datastoreId=datastore, imageSetId=image_set_id
        )
        made = {
            document(ward.client, datastore, image_set_id, versionId=entry["versionId"])["Patient"]["DICOM"][
                "PatientName"
            ]
            for page in versions
            for entry in page["imageSetPropertiesList"]
            if entry["ImageSetWorkflowStatus"] == "UPDATED"
        }
        assert set(names) <= made
    wait_for(lambda: requests.get(f"{server.url}/readyz", timeout=10).status_code == 200, "it to be ready")


def _check_stored(ward: Ward, primaries: dict[tuple[str, str], dict[str, Any]]) -> None:
    if not ward.told.stored:
        return
    image_set_id = primaries[uid(1), uid(1, 1)]["imageSetId"]
    there = dict(instances(document(ward.client, ward.datastore, image_set_id)))
    missing = {number for number in ward.told.stored if uid(1, 1, number) not in there}
    assert not missing, f"acknowledged and lost: {sorted(missing)}"
    for number in ward.told.stored:
        low, high = int(np.min(_pixels(number))), int(np.max(_pixels(number)))
        (entry,) = there[uid(1, 1, number)]["ImageFrames"]
        assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == (low, high)


def _answers(ward: Ward) -> bool:
    try:
        return bool(ward.client.get_datastore(datastoreId=ward.datastore))
    except NOT_NOW:
        return False


def _job(ward: Ward, job: str) -> str:
    properties = ward.client.get_dicom_import_job(datastoreId=ward.datastore, jobId=job)["jobProperties"]
    return str(properties["jobStatus"])


def _locked(ward: Ward, image_set_id: str) -> bool:
    try:
        found = ward.client.get_image_set(datastoreId=ward.datastore, imageSetId=image_set_id)
    except ClientError:
        return False
    return bool(found["imageSetState"] == "LOCKED")
