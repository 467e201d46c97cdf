"""Import jobs over folders of the input bucket, and what they leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from support.files.synthetic import save
from support.imaging.imports import Outcome, document, image_sets, instances, outcome_of
from support.servers import ServerProcess, finished_job, start_import

INPUT = "input"


def fill(server: ServerProcess, folder: str, datasets: Iterable[Dataset]) -> Path:
    """Write data sets as numbered files into a folder of the input bucket."""
    path = server.bucket(INPUT) / folder
    for number, dataset in enumerate(datasets):
        save(dataset, path / f"{number:05d}.dcm")
    return path


def copy_in(server: ServerProcess, folder: str, source: Path) -> Path:
    """Copy a folder of files into the input bucket."""
    return Path(shutil.copytree(source, server.bucket(INPUT) / folder))


def start_job(server: ServerProcess, client: Any, datastore_id: str, folder: str, **parameters: Any) -> str:
    """Start the import of a folder of the input bucket; the output goes to the bucket ``results``."""
    server.bucket("results")
    return start_import(client, datastore_id, f"s3://{INPUT}/{folder}/", "s3://results/", **parameters)


def import_folder(
    server: ServerProcess, client: Any, datastore_id: str, folder: str, seconds: float = 120.0
) -> Outcome:
    """Import a folder of the input bucket to the end, which must be COMPLETED."""
    job = finished_job(client, datastore_id, start_job(server, client, datastore_id, folder), seconds)
    assert job["jobStatus"] == "COMPLETED", job
    return outcome_of(server, job)


def check_counters(outcome: Outcome) -> None:
    """Check that the manifest counts what the lines tell, file by file."""
    summary = outcome.summary
    assert summary["numberOfImportedFiles"] == len(outcome.success)
    failed = summary["numberOfFilesWithCustomerError"] + summary["numberOfFilesWithServerError"]
    assert failed == len(outcome.failure)
    server_errors = [
        line for line in outcome.failure if line["exception"]["exceptionType"] == "InternalServerException"
    ]
    assert summary["numberOfFilesWithServerError"] == len(server_errors)
    assert summary["numberOfScannedFiles"] == len(outcome.success) + len(outcome.failure)
    assert summary["numberOfGeneratedImageSets"] == len(summary["imageSetsSummary"])
    told = {line["importResponse"]["imageSetId"] for line in outcome.success}
    assert told == {entry["imageSetId"] for entry in summary["imageSetsSummary"]}
    succeeded, failures = (
        [line["inputFile"] for line in outcome.success],
        [line["inputFile"] for line in outcome.failure],
    )
    assert len(set(succeeded)) == len(succeeded)
    assert len(set(failures)) == len(failures)
    assert not set(succeeded) & set(failures)
    assert {line["inputFile"] for line in outcome.warning} <= set(succeeded)


def primaries_by_series(client: Any, datastore_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the primary image set of each series, by study and series UID; two of one series are an error."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in image_sets(client, datastore_id):
        if entry["isPrimary"]:
            tags = entry["DICOMTags"]
            series = tags["DICOMStudyInstanceUID"], tags["DICOMSeriesInstanceUID"]
            assert series not in found, f"two primary image sets of one series: {found[series]} and {entry}"
            found[series] = entry
    return found


def sop_instances(client: Any, datastore_id: str, image_set_id: str, **version: str) -> dict[str, dict[str, Any]]:
    """Return the instances of an image set version by SOP Instance UID."""
    return dict(instances(document(client, datastore_id, image_set_id, **version)))
