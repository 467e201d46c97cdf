"""The whole way on PostgreSQL: import, read back, replace, search, and jobs that race."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, store
from support.faults.failing_postgresql import writes_fail
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import (
    check_counters,
    fill,
    import_folder,
    primaries_by_series,
    sop_instances,
    start_job,
)
from support.imaging.imports import frame, image_sets, outcome_of
from support.imaging.stored_frames import decoded_frame, verify_frames
from support.imaging.stored_series import imported
from support.requests.zero_characters import check_zeros_are_refused
from support.search.brute_force import check_filters, check_sorts, populate
from support.servers import ServerProcess, active_datastore, finished_job, wait_for


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[ServerProcess]:
    environment = {"HOUNSFIELD_DATABASE_URL": postgresql_url, "HOUNSFIELD_IMPORT_SLOTS": "4"}
    process = ServerProcess(tmp_path_factory.mktemp("on-postgresql") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def pg(on_postgresql: ServerProcess) -> Any:
    return on_postgresql.client()


def test_what_is_imported_is_read_back(on_postgresql: ServerProcess, pg: Any) -> None:
    datastore_id = active_datastore(pg)
    old, new = noise(300, 200, seed=1), noise(300, 200, seed=2)
    fill(on_postgresql, "first", [slice_of(number=1, pixels=old), slice_of(number=2)])
    fill(on_postgresql, "second", [slice_of(number=1, pixels=new)])
    outcome = import_folder(on_postgresql, pg, datastore_id, "first")
    check_counters(outcome)
    image_set_id = outcome.success[0]["importResponse"]["imageSetId"]
    check_counters(import_folder(on_postgresql, pg, datastore_id, "second"))
    assert pg.get_image_set(datastoreId=datastore_id, imageSetId=image_set_id)["versionId"] == "2"
    for version, pixels in (("1", old), ("2", new)):
        instances = sop_instances(pg, datastore_id, image_set_id, versionId=version)
        assert len(instances) == 2
        (entry,) = instances[uid(1, 1, 1)]["ImageFrames"]
        assert np.array_equal(decoded_frame(pg, datastore_id, image_set_id, entry), pixels)
    assert not (on_postgresql.data / "hounsfield.db").exists()


def test_searches_find_what_brute_force_finds(on_postgresql: ServerProcess, pg: Any) -> None:
    datastore_id = active_datastore(pg)
    populate(on_postgresql, pg, datastore_id, "searched")
    assert check_filters(pg, datastore_id) > 100
    for page in (4, 50):
        check_sorts(pg, datastore_id, page)


def test_jobs_at_once_on_one_series_make_one_primary_set(on_postgresql: ServerProcess, pg: Any) -> None:
    datastore_id = active_datastore(pg)
    for job in range(6):
        fill(on_postgresql, f"race-{job}", [slice_of(number=10 * job + n) for n in range(4)])
    jobs = [start_job(on_postgresql, pg, datastore_id, f"race-{job}") for job in range(6)]
    jobs += [start_job(on_postgresql, pg, datastore_id, "race-0") for _ in range(2)]
    outcomes = [outcome_of(on_postgresql, finished_job(pg, datastore_id, job)) for job in jobs]
    assert all(outcome.job["jobStatus"] == "COMPLETED" for outcome in outcomes)
    (entry,) = primaries_by_series(pg, datastore_id).values()
    assert entry["version"] == 8
    assert sorted(o.success[0]["importResponse"]["imageSetVersion"] for o in outcomes) == list(range(1, 9))
    instances = sop_instances(pg, datastore_id, entry["imageSetId"])
    assert instances.keys() == {uid(1, 1, 10 * job + n) for job in range(6) for n in range(4)}
    for instance in instances.values():
        assert verify_frames(pg, datastore_id, entry["imageSetId"], instance) == 1


def test_what_is_not_there_is_not_found(pg: Any) -> None:
    datastore_id = active_datastore(pg)
    for version in ("1", "99999999999", "999999999999999999999"):
        with pytest.raises(ClientError) as caught:
            pg.get_image_set(datastoreId=datastore_id, imageSetId="0" * 32, versionId=version)
        assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_text_with_zero_bytes_and_large_ordinals_do_no_harm(on_postgresql: ServerProcess, pg: Any) -> None:
    """PostgreSQL has no text with zero bytes, and no integers beyond the type of a column; the embedded database has both."""
    datastore_id = active_datastore(pg)
    damaged = slice_of(PatientName="Roe\0Jane", StudyDescription="He\0ad", BodyPartExamined="\0")
    fill(on_postgresql, "zero", [damaged, slice_of(2, InstanceNumber=2**31 - 1, SeriesNumber="4294967296")])
    outcome = import_folder(on_postgresql, pg, datastore_id, "zero")
    assert outcome.failure == []
    first, second = (
        line["importResponse"]["imageSetId"] for line in sorted(outcome.success, key=lambda x: x["inputFile"])
    )
    tags = {entry["imageSetId"]: entry["DICOMTags"] for entry in image_sets(pg, datastore_id)}
    assert (tags[first]["DICOMPatientName"], tags[first]["DICOMStudyDescription"]) == ("RoeJane", "Head")
    assert "DICOMSeriesNumber" not in tags[second]
    for image_set_id in (first, second):
        (instance,) = sop_instances(pg, datastore_id, image_set_id).values()
        assert verify_frames(pg, datastore_id, image_set_id, instance) == 1
    key = instance["ImageFrames"][0]["ID"][:24]
    for ordinal in ("00000001", "7fffffff", "80000000", "ffffffff"):
        assert _code(frame, pg, datastore_id, second, key + ordinal) == "ResourceNotFoundException"
    for member in ("DICOMPatientId", "DICOMAccessionNumber", "DICOMStudyId"):
        criteria = {"filters": [{"operator": "EQUAL", "values": [{member: "P\0-1"}]}]}
        assert _code(pg.search_image_sets, datastoreId=datastore_id, searchCriteria=criteria) == "ValidationException"


def _code(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return str(caught.value.response["Error"]["Code"])


def test_texts_with_a_zero_character_are_refused(on_postgresql: ServerProcess, pg: Any) -> None:
    datastore_id = active_datastore(pg)
    (image_set,) = imported(on_postgresql, pg, datastore_id, slice_of())
    check_zeros_are_refused(on_postgresql, pg, datastore_id, image_set)


@pytest.mark.parametrize(
    ("state", "stored", "status"),
    [("53100", 507, 503), ("XX001", 500, 500), ("57014", 503, 503), ("40P01", 503, 503), ("58030", 503, 503)],
)
def test_failures_of_the_database_are_told_as_what_they_are(
    on_postgresql: ServerProcess, pg: Any, state: str, stored: int, status: int
) -> None:
    datastore_id = active_datastore(pg)
    arn = pg.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreArn"]
    packs = on_postgresql.data / "blobs" / "packs" / datastore_id
    with writes_fail(on_postgresql.environment["HOUNSFIELD_DATABASE_URL"], "instances", state):
        answer = store(on_postgresql, datastore_id, [part10(slice_of())])
        assert (answer.status_code, "retry-after" in answer.headers) == (stored, stored != 500)
    with writes_fail(on_postgresql.environment["HOUNSFIELD_DATABASE_URL"], "tags", state):
        with pytest.raises(ClientError) as caught:
            pg.tag_resource(resourceArn=arn, tags={"ward": "3"})
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert image_sets(pg, datastore_id) == []
    wait_for(lambda: not [path for path in packs.rglob("*") if path.is_file()], "the pack of the request to go")
    assert store(on_postgresql, datastore_id, [part10(slice_of())]).status_code == 200
    pg.tag_resource(resourceArn=arn, tags={"ward": "3"})
