"""What the examples of the CLI's guide are about: a data store with an image set for each that changes one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from support.files.synthetic import save, slice_of
from support.imaging.imports import document, instances, run_import
from support.servers import ServerProcess, active_datastore, wait_for

SEARCHED = "1.2.840.99999999.84710745.943275268089"
"""The series that the search examples look for."""
CHANGING = ("copy-", "delete-image-set", "update-", "list-image-set-versions")
"""Beginnings of the examples that change an image set, so that each has its own."""
WITH_ANOTHER = {"copy-image-set-3", "update-image-set-metadata-7"}
"""Examples that need an image set that is not primary: force changes no UID of a primary one and copies into none."""


@dataclass(frozen=True)
class Place:
    """An image set with its series and its first instance."""

    image_set_id: str
    series_uid: str
    sop_uid: str


@dataclass
class Guide:
    """What the examples are about."""

    server: ServerProcess
    client: Any
    datastore_id: str
    job_id: str = ""
    primary: dict[str, Place] = field(default_factory=dict)
    other: dict[str, Place] = field(default_factory=dict)

    @classmethod
    def made(cls, server: ServerProcess, client: Any, examples: Iterable[str]) -> Guide:
        """Make the data store and import what the examples need."""
        guide = cls(server, client, active_datastore(client, datastoreName="TestDatastore123"))
        slices = list(_slices(name for name in examples if name.startswith(CHANGING)))
        guide.primary = _imported(guide, "cli-guide", slices)
        others = []
        for name, dataset in slices:
            if name in WITH_ANOTHER:
                dataset.PatientID = "SOMEBODY-ELSE"
                dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.9"
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
                others.append((name, dataset))
        guide.other = _imported(guide, "cli-guide-other", others)
        return guide

    def place(self, example: str) -> Place:
        """Return the image set of an example; that of the reading ones where it has none of its own."""
        others = self.other if example == "update-image-set-metadata-7" else self.primary
        return others.get(example, self.primary["reading"])

    def arn(self, example: str) -> str:
        """Return what a tag example is about: the first of a page tags a data store, the second an image set."""
        store = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{self.datastore_id}"
        return store if example.endswith("-1") else f"{store}/imageset/{self.place(example).image_set_id}"

    def shown(self, image_set_id: str) -> dict[str, Any]:
        """Wait until an image set is no longer LOCKED, and return its properties."""

        def properties() -> dict[str, Any] | None:
            found = self.client.get_image_set(datastoreId=self.datastore_id, imageSetId=image_set_id)
            return None if found["imageSetState"] == "LOCKED" else dict(found)

        return wait_for(properties, "the image set to be no longer LOCKED")

    def document(self, example: str) -> dict[str, Any]:
        return document(self.client, self.datastore_id, self.place(example).image_set_id)

    def instance(self, example: str) -> dict[str, Any]:
        found: dict[str, Any] = dict(instances(self.document(example)))[self.place(example).sop_uid]
        return found


def _slices(changing: Iterable[str]) -> Iterator[tuple[str, Dataset]]:
    for study, name in enumerate([*changing, "reading"], start=600):
        for number in (1, 2):
            dataset = slice_of(study=study, number=number)
            dataset.add_new(0x00190010, "LO", "GEMS_ACQU_01")
            dataset.add_new(0x00090010, "LO", "GEMS_IDEN_01")
            dataset.add_new(0x00091001, "LO", "GE_GENESIS_FF")
            yield name, dataset
    found = {"PatientID": "SUBJECT08701", "StudyDate": "19991122", "StudyTime": "140728", "SeriesInstanceUID": SEARCHED}
    yield "searched", slice_of(study=599, **found)


def _imported(guide: Guide, folder: str, slices: list[tuple[str, Dataset]]) -> dict[str, Place]:
    for name, dataset in slices:
        path = guide.server.bucket("input") / folder / f"{name}={dataset.InstanceNumber}.dcm"
        save(dataset, path)
    outcome = run_import(guide.server, guide.client, guide.datastore_id, f"{folder}/")
    assert outcome.failure == []
    guide.job_id = outcome.job["jobId"]
    first = dict(reversed(slices))
    places = {}
    for line in outcome.success:
        name = line["inputFile"].rpartition("/")[2].partition("=")[0]
        dataset = first[name]
        places[name] = Place(
            line["importResponse"]["imageSetId"], str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)
        )
    return places
