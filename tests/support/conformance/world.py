"""What the conformance suite works on: one data store with image sets, a job and tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from support.files.synthetic import save, slice_of
from support.imaging.imports import document, instances, run_import
from support.servers import ROLE, ServerProcess, active_datastore

KEPT, UPDATED, COPIED, DELETED = range(1, 5)
"""Series of the data store, one image set each; only ``KEPT`` stays as it was imported."""


@dataclass(frozen=True)
class World:
    """Identifiers of what is there.

    ``image_sets`` are by series number, ``frame_id`` is a frame of the kept one.
    """

    datastore_id: str
    image_sets: dict[int, str]
    frame_id: str
    job_id: str
    arn: str

    @property
    def ids(self) -> dict[str, str]:
        """The members of requests that name what is there."""
        return {
            "datastoreId": self.datastore_id,
            "imageSetId": self.image_sets[KEPT],
            "sourceImageSetId": self.image_sets[KEPT],
            "jobId": self.job_id,
            "resourceArn": self.arn,
            "dataAccessRoleArn": ROLE,
        }


def settled_world(server: ServerProcess, client: Any, folder: str, more: Iterable[Dataset] = ()) -> World:
    """Make a data store, import the four series and whatever more of other series, and tag it."""
    datastore_id = active_datastore(client, datastoreName=folder, tags={"suite": "conformance"})
    slices = [slice_of(series, number) for series in (KEPT, UPDATED, COPIED, DELETED) for number in (1, 2)]
    for dataset in (*slices, *more):
        name = f"{dataset.SeriesNumber}-{dataset.InstanceNumber}.dcm"
        save(dataset, server.bucket("input") / folder / name)
    outcome = run_import(server, client, datastore_id, f"{folder}/")
    assert outcome.failure == []
    found = {
        int(line["inputFile"].rpartition("/")[2].partition("-")[0]): line["importResponse"]["imageSetId"]
        for line in outcome.success
    }
    (_, instance), *_ = instances(document(client, datastore_id, found[KEPT]))
    arn = client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreArn"]
    return World(datastore_id, found, instance["ImageFrames"][0]["ID"], outcome.job["jobId"], arn)
