"""The same archive on PostgreSQL: import, read, search, and two jobs on one series at the same time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import imagecodecs
import pytest

from imports import document, frame, image_sets, instances, outcome_of, run_import
from servers import ServerProcess, active_datastore, finished_job, start_import
from synthetic import noise, save, slice_of, uid


@pytest.fixture(scope="module")
def pg_server(postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"HOUNSFIELD_DATABASE_URL": postgresql_url}
    process = ServerProcess(tmp_path_factory.mktemp("pg") / "data", settings).start()
    yield process
    process.stop()


def found_by(client: Any, datastore: str, *filters: dict[str, Any]) -> list[str]:
    answer = client.search_image_sets(datastoreId=datastore, searchCriteria={"filters": list(filters)})
    return [entry["DICOMTags"]["DICOMSeriesInstanceUID"] for entry in answer["imageSetsMetadataSummaries"]]


def test_an_import_is_read_back_and_found(pg_server: ServerProcess) -> None:
    assert not (pg_server.data / "hounsfield.db").exists()
    client = pg_server.client()
    datastore = active_datastore(client)
    checksums = {}
    for series in (1, 2):
        for number in (1, 2, 3):
            pixels = noise(130, 140, seed=series * 10 + number)
            instance = slice_of(series, number, pixels=pixels, StudyDate="20240102", StudyTime="101112.5")
            save(instance, pg_server.bucket("input") / "plain" / f"{series}-{number}.dcm")
            checksums[str(instance.SOPInstanceUID)] = zlib.crc32(pixels.tobytes())
    outcome = run_import(pg_server, client, datastore, "plain/")
    assert outcome.job["jobStatus"] == "COMPLETED"
    assert outcome.summary["numberOfImportedFiles"] == 6
    seen = {}
    for entry in image_sets(client, datastore):
        for sop_uid, instance in instances(document(client, datastore, entry["imageSetId"])):
            data, _ = frame(client, datastore, entry["imageSetId"], instance["ImageFrames"][0]["ID"])
            seen[sop_uid] = zlib.crc32(imagecodecs.htj2k_decode(data).tobytes())
    assert seen == checksums

    def equal(**value: Any) -> dict[str, Any]:
        return {"operator": "EQUAL", "values": [value]}

    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    recent = {"operator": "BETWEEN", "values": [{"updatedAt": now - hour}, {"updatedAt": now + hour}]}
    day = {
        "operator": "BETWEEN",
        "values": [
            {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20240102", "DICOMStudyTime": "101112"}},
            {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20240103"}},
        ],
    }
    both = {uid(1, 1), uid(1, 2)}
    assert set(found_by(client, datastore, equal(DICOMPatientId="P-1"))) == both
    assert found_by(client, datastore, equal(DICOMSeriesInstanceUID=uid(1, 2)), recent) == [uid(1, 2)]
    assert set(found_by(client, datastore, day)) == both
    assert set(found_by(client, datastore, equal(isPrimary=True))) == both
    assert found_by(client, datastore, equal(DICOMStudyId="other")) == []


def test_jobs_on_one_series_at_the_same_time_make_one_primary_set(pg_server: ServerProcess) -> None:
    client = pg_server.client()
    datastore = active_datastore(client)
    pg_server.bucket("output")
    for part in range(4):
        for number in range(6):
            save(slice_of(9, part * 6 + number + 1), pg_server.bucket("input") / f"part-{part}" / f"{number}.dcm")
    jobs = [start_import(client, datastore, f"s3://input/part-{part}/") for part in range(4)]
    outcomes = [outcome_of(pg_server, finished_job(client, datastore, job)) for job in jobs]
    (only,) = image_sets(client, datastore)
    assert only["isPrimary"]
    assert only["version"] == 4
    assert sorted(o.summary["imageSetsSummary"][0]["imageSetVersion"] for o in outcomes) == [1, 2, 3, 4]
    assert len(list(instances(document(client, datastore, only["imageSetId"])))) == 24
