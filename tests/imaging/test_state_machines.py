"""The state machines of data stores, jobs and image sets, row by row, in a real database; and every step not in a row."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import product
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import (
    DATASTORE_TRANSITIONS,
    SETTLE_DATASTORE,
    DatastoreEvent,
    DatastoreStatus,
    data_key,
    delete_datastore,
    get_datastore,
)
from hounsfield.imaging.errors import ConflictError, NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.workflow import (
    TRANSITIONS,
    LockedImageSet,
    Trigger,
    begin,
    check_readable,
    claim,
    fail,
    insert_version,
    succeed,
    under_way,
    unlock,
)
from hounsfield.imaging.imports.jobs import (
    JOB_TRANSITIONS,
    JobEvent,
    JobStatus,
    NewImportJob,
    get_import_job,
    move_job,
    start_import_job,
)
from hounsfield.imaging.levels import index_entry
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.storage.db.image_set_tables import datastores, image_set_versions, image_sets
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.data_key import DataKey
from support.imaging.image_stores import new_datastore, settle

# The tables of the specification, written down a second time; in the order of the service's guide.
DATASTORE_ROWS = {
    ("CREATING", "settle"): "ACTIVE",
    ("CREATING", "give-up"): "CREATE_FAILED",
    ("ACTIVE", "delete"): "DELETING",
    ("DELETING", "settle"): "DELETED",
    ("DELETING", "give-up"): "DELETED",
}
JOB_ROWS = {
    ("SUBMITTED", "begin"): "IN_PROGRESS",
    ("SUBMITTED", "fail"): "FAILED",
    ("IN_PROGRESS", "complete"): "COMPLETED",
    ("IN_PROGRESS", "fail"): "FAILED",
}
IMAGE_SET_ROWS = {
    # trigger: status during, after success, after failure, whether a version is made, whether it can be read meanwhile
    "update": ("UPDATING", "UPDATED", "UPDATE_FAILED", True, False),
    "update-sibling": ("UPDATING_FOR_STUDY_CONSISTENCY", "UPDATED", "UPDATE_FAILED", True, False),
    "copy-source": ("COPYING_WITH_READ_ONLY_ACCESS", None, None, False, True),
    "copy-new": ("COPYING", "COPIED", "COPY_FAILED", True, False),
    "copy-into": ("COPYING", "COPIED", "COPY_FAILED", True, False),
    "delete": ("DELETING", "DELETED", None, False, False),
}
SETTLED = [
    status
    for status in WorkflowStatus
    if status.endswith("ED") and status not in {WorkflowStatus.DELETED, WorkflowStatus.IMPORT_FAILED}
]
"""Statuses that an ACTIVE image set can have."""


@pytest.fixture(scope="module")
def store(image_store: ImageStore) -> str:
    return new_datastore(image_store)


def test_the_tables_are_those_of_the_service() -> None:
    assert {(str(s), str(e)): str(n) for (s, e), n in DATASTORE_TRANSITIONS.items()} == DATASTORE_ROWS
    assert {(str(s), str(e)): str(n) for (s, e), n in JOB_TRANSITIONS.items()} == JOB_ROWS
    assert {
        str(trigger): (row.during, row.success, row.failure, row.new_version, row.readable)
        for trigger, row in TRANSITIONS.items()
    } == IMAGE_SET_ROWS
    assert {trigger for trigger, row in TRANSITIONS.items() if row.ends_as is not ImageSetState.ACTIVE} == {
        Trigger.DELETE
    }


@pytest.mark.parametrize(("status", "event"), list(product(DatastoreStatus, DatastoreEvent)), ids=str)
def test_a_data_store_goes_where_its_table_says(
    image_store: ImageStore, status: DatastoreStatus, event: DatastoreEvent
) -> None:
    store = new_datastore(image_store)
    with image_store.database.write() as connection:
        connection.execute(update(datastores).where(datastores.c.id == store).values(status=status))
        if event is not DatastoreEvent.DELETE:
            image_store.queue.enqueue(connection, SETTLE_DATASTORE, store)
    expected = DATASTORE_ROWS.get((status, event))
    if event is not DatastoreEvent.DELETE:
        settle(image_store, give_up=event is DatastoreEvent.GIVE_UP)
    elif expected is not None or status is DatastoreStatus.DELETING:  # which is deleted once more without effect
        assert delete_datastore(image_store, store).status is DatastoreStatus.DELETING
    else:
        with pytest.raises(NotFoundError if status is DatastoreStatus.DELETED else ConflictError, match=store):
            delete_datastore(image_store, store)
    assert get_datastore(image_store, store).status == (expected or status)


@pytest.mark.parametrize(("status", "event"), list(product(JobStatus, JobEvent)), ids=str)
def test_a_job_goes_where_its_table_says(
    image_store: ImageStore, store: str, status: JobStatus, event: JobEvent
) -> None:
    new = NewImportJob(store, new_id(), "arn:aws:iam::000000000000:role/r", "s3://in/", "s3://out/")
    job = start_import_job(image_store, new)
    assert job.status is JobStatus.SUBMITTED
    with image_store.database.write() as connection:
        connection.execute(update(import_jobs).where(import_jobs.c.id == job.id).values(status=status))
    expected = JOB_ROWS.get((status, event))
    with image_store.database.write() as connection:
        if expected is None:
            with pytest.raises(ConflictError, match=f"{job.id} is {status}"):
                move_job(connection, job.id, event, message="told")
        else:
            move_job(connection, job.id, event, message="told")
    shown = get_import_job(image_store, store, job.id)
    assert (shown.status, shown.message) == ((expected, "told") if expected else (status, None))


class ImageSet:
    """An image set that is nothing but its rows."""

    def __init__(self, image_store: ImageStore, store: str, state: ImageSetState, status: WorkflowStatus) -> None:
        self.image_store = image_store
        self.key: DataKey = data_key(image_store, get_datastore(image_store, store))
        levels = Levels({"PatientID": "P-1"}, {"StudyInstanceUID": "1.2"}, {"SeriesInstanceUID": "1.2.3"})
        self.id = new_id()
        version = LockedImageSet(
            id=self.id,
            datastore_id=store,
            version=1,
            state=state,
            status=status,
            is_primary=False,
            created_at=1000,
            updated_at=None,
            levels=levels,
            request=None,
        )
        with image_store.database.write() as connection:
            connection.execute(
                insert(image_sets).values(
                    id=self.id,
                    datastore_id=store,
                    is_primary=False,
                    state=state,
                    latest_version=1,
                    created_at=1000,
                    updated_at=1000,
                    last_accessed_at=1000,
                    storage_tier=StorageTier.FREQUENT_ACCESS,
                    instance_count=0,
                    **asdict(index_entry(levels)),
                )
            )
            insert_version(connection, self.key, version)

    def begun(self, trigger: Trigger) -> LockedImageSet:
        with self.image_store.database.write() as connection:
            return begin(connection, self.key, claim(connection, self.key, self.id, 1), trigger, request=b"asked")

    def shown(self) -> tuple[str, str, int, str | None]:
        """State, status, version and message, of the image set and of its latest version alike."""
        with self.image_store.database.read() as connection:
            row: Any = connection.execute(
                select(image_set_versions, image_sets.c.state.label("of_set"))
                .join(image_sets, image_sets.c.id == image_set_versions.c.image_set_id)
                .where(image_sets.c.id == self.id, image_set_versions.c.version == image_sets.c.latest_version)
            ).one()
        assert row.of_set == row.state
        return row.state, row.workflow_status, row.version, row.message


@pytest.mark.parametrize("before", SETTLED)
@pytest.mark.parametrize("trigger", Trigger)
def test_an_image_set_goes_through_each_row(
    image_store: ImageStore, store: str, trigger: Trigger, before: WorkflowStatus
) -> None:
    during, success, failure, new_version, readable = IMAGE_SET_ROWS[trigger]
    for ends_well in (True, False):
        one = ImageSet(image_store, store, ImageSetState.ACTIVE, before)
        begun = one.begun(trigger)
        version = 2 if new_version else 1
        assert one.shown() == ("LOCKED", during, version, None)
        assert (begun.state, begun.status, begun.version) == ("LOCKED", during, version)
        if not readable:
            with pytest.raises(ConflictError, match=during):
                check_readable(one.id, during)
        else:
            check_readable(one.id, during)
        with image_store.database.write() as connection:
            held = under_way(connection, one.key, one.id)
            assert held.request == (b"asked" if new_version else None)
            if not new_version:
                unlock(connection, held, before)
            elif ends_well:
                succeed(connection, one.key, held, trigger)
            else:
                fail(connection, held, trigger, "INVALID_REQUEST: no")
        if not new_version:
            assert one.shown() == ("ACTIVE", before, 1, None)
        else:
            end = ("ACTIVE", success, 2, None) if ends_well else ("ACTIVE", failure, 2, "INVALID_REQUEST: no")
            assert one.shown() == end


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("locked_by", Trigger)
def test_a_locked_image_set_begins_nothing(
    image_store: ImageStore, store: str, trigger: Trigger, locked_by: Trigger
) -> None:
    one = ImageSet(image_store, store, ImageSetState.ACTIVE, WorkflowStatus.CREATED)
    one.begun(locked_by)
    before = one.shown()
    for latest in (None, 1, 2, 3):
        with image_store.database.write() as connection, pytest.raises(ConflictError, match=f"{one.id} is LOCKED"):
            begin(connection, one.key, claim(connection, one.key, one.id, latest), trigger)
    assert one.shown() == before


@pytest.mark.parametrize("trigger", Trigger)
def test_a_deleted_image_set_begins_nothing(image_store: ImageStore, store: str, trigger: Trigger) -> None:
    one = ImageSet(image_store, store, ImageSetState.DELETED, WorkflowStatus.DELETED)
    with image_store.database.write() as connection, pytest.raises(NotFoundError, match=one.id):
        begin(connection, one.key, claim(connection, one.key, one.id), trigger)
    assert one.shown() == ("DELETED", "DELETED", 1, None)


@pytest.mark.parametrize("latest", [0, 2, 10**9])
def test_another_version_than_the_latest_begins_nothing(image_store: ImageStore, store: str, latest: int) -> None:
    one = ImageSet(image_store, store, ImageSetState.ACTIVE, WorkflowStatus.CREATED)
    with image_store.database.write() as connection, pytest.raises(NotFoundError, match="not the latest"):
        claim(connection, one.key, one.id, latest)
    with image_store.database.write() as connection, pytest.raises(NotFoundError, match="does not exist"):
        claim(connection, replace(one.key, datastore_id="0" * 32), one.id, 1)
    assert one.shown() == ("ACTIVE", "CREATED", 1, None)


def test_each_status_of_the_model_is_in_a_row_or_at_an_end() -> None:
    named = {status for row in IMAGE_SET_ROWS.values() for status in row[:3] if status}
    # Imports write a version in one transaction: CREATED or IMPORTED is all that is ever seen of it.
    assert named | {"CREATED", "IMPORTED", "IMPORTING", "IMPORT_FAILED"} == set(WorkflowStatus)
