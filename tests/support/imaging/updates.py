"""Asking for updates of image sets, waiting for their end, and reading what came of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydicom.dataset import Dataset

from support.files.synthetic import slice_of, uid
from support.imaging.imports import document, image_sets, instances
from support.imaging.stored_series import imported
from support.servers import ServerProcess, active_datastore, wait_for

NOT_THE_LATEST = "Requested version(s) of ImageSet(s) is not the latest."


class Store:
    """A data store of one test, with the calls that its tests make again and again."""

    def __init__(self, server: ServerProcess, client: Any) -> None:
        self.server, self.client = server, client
        self.id = active_datastore(client)

    def imported(self, *slices: Dataset) -> list[str]:
        """Import slices in one job; return the image set of each file, in order."""
        return imported(self.server, self.client, self.id, *slices)

    def series(self, count: int = 3, **elements: Any) -> str:
        return self.imported(*(slice_of(number=number, **elements) for number in range(1, count + 1)))[0]

    def non_primary(self) -> str:
        """Import a series twice, the second time with another patient: give the set that is not primary."""
        self.imported(slice_of())
        return self.imported(*(slice_of(number=number, PatientID="P-OTHER") for number in (1, 2)))[0]

    def get(self, image_set_id: str, **version: str) -> dict[str, Any]:
        return dict(self.client.get_image_set(datastoreId=self.id, imageSetId=image_set_id, **version))

    def document(self, image_set_id: str, **version: str) -> dict[str, Any]:
        return document(self.client, self.id, image_set_id, **version)

    def versions(self, image_set_id: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("list_image_set_versions").paginate(
            datastoreId=self.id, imageSetId=image_set_id
        )
        return [entry for page in pages for entry in page["imageSetPropertiesList"]]

    def summary(self, image_set_id: str) -> dict[str, Any]:
        return next(entry for entry in image_sets(self.client, self.id) if entry["imageSetId"] == image_set_id)

    def ask(
        self,
        image_set_id: str,
        latest: str,
        *,
        update: Any = None,
        remove: Any = None,
        revert: str | None = None,
        **how: bool,
    ) -> dict[str, Any]:
        """Call UpdateImageSetMetadata."""
        updates: dict[str, Any] = {} if revert is None else {"revertToVersionId": revert}
        blobs = {"updatableAttributes": update, "removableAttributes": remove}
        given = {
            name: value if isinstance(value, bytes) else json.dumps({"SchemaVersion": 1.1, **value}).encode()
            for name, value in blobs.items()
            if value is not None
        }
        if given:
            updates["DICOMUpdates"] = given
        answer = self.client.update_image_set_metadata(
            datastoreId=self.id,
            imageSetId=image_set_id,
            latestVersionId=latest,
            updateImageSetMetadataUpdates=updates,
            **how,
        )
        return dict(answer)

    def settled(self, image_set_id: str) -> dict[str, Any]:
        """Wait until an image set is no longer LOCKED."""

        def active() -> dict[str, Any] | None:
            found = self.get(image_set_id)
            return None if found["imageSetState"] == "LOCKED" else found

        return wait_for(active, "the image set to be unlocked")

    def change(self, image_set_id: str, latest: str, **what: Any) -> dict[str, Any]:
        """Update and wait for the end; return the properties."""
        self.ask(image_set_id, latest, **what)
        return self.settled(image_set_id)

    def updated(self, image_set_id: str, latest: str, **what: Any) -> dict[str, Any]:
        """Update to a success; return the document."""
        found = self.change(image_set_id, latest, **what)
        assert (found["imageSetState"], found["imageSetWorkflowStatus"]) == ("ACTIVE", "UPDATED"), found
        assert found["versionId"] == str(int(latest) + 1)
        return self.document(image_set_id)


def patient(**values: Any) -> dict[str, Any]:
    return {"Patient": {"DICOM": values}}


def study(**values: Any) -> dict[str, Any]:
    return {"Study": {"DICOM": values}}


def series(series_uid: str = uid(1, 1), **values: Any) -> dict[str, Any]:
    return {"Study": {"Series": {series_uid: {"DICOM": values}}}}


def instance(number: int, content: dict[str, Any], series_uid: str = uid(1, 1)) -> dict[str, Any]:
    return {"Study": {"Series": {series_uid: {"Instances": {uid(1, 1, number): content}}}}}


def by_uid(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(instances(found))


def refused(
    store: Store, image_set: str, latest: str, text: str, code: str = "ValidationException", **what: Any
) -> None:
    """Check that an update is refused and that no version was made."""
    with pytest.raises(ClientError) as error:
        store.ask(image_set, latest, **what)
    assert error.value.response["Error"]["Code"] == code, error.value
    assert text in error.value.response["Error"]["Message"]
    found = store.get(image_set)
    assert (found["versionId"], found["imageSetState"]) == (latest, "ACTIVE")
