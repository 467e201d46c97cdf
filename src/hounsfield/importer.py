"""``hounsfield import``: files into the bucket folder, a job over the API, a progress bar, the summary.

PATH... ─copy─▶ DIR/buckets/imports/<run>/input ─▶ StartDICOMImportJob ─▶ poll ─▶ manifest
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session
import click
from botocore.config import Config

from hounsfield.access.credentials import root_key
from hounsfield.app import credentials_file, open_archive
from hounsfield.imaging.archive import Archive
from hounsfield.imaging.import_jobs import Progress, import_progress
from hounsfield.serving import server_of
from hounsfield.settings import Settings, load_settings
from hounsfield.storage.identifiers import new_id

BUCKET = "imports"
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 60.0
_LINES_SHOWN = 20


class ImportFailedError(Exception):
    """The import as a whole did not work."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What a finished job reports: the ``jobSummary`` of its manifest, and the lines of failure.ndjson."""

    job: dict[str, Any]
    failures: list[dict[str, Any]]

    @property
    def failed_files(self) -> int:
        """Number of files that were not imported."""
        return int(self.job["numberOfFilesWithCustomerError"]) + int(self.job["numberOfFilesWithServerError"])


def client_for(settings: Settings, url: str) -> Any:
    """Give a botocore client of the medical-imaging service for a server of ours, with the root key."""
    key = root_key(credentials_file(settings))
    return botocore.session.get_session().create_client(
        "medical-imaging",
        region_name=settings.region,
        endpoint_url=url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(inject_host_prefix=False, retries={"max_attempts": 3}),
    )


def import_paths(data: Path, datastore: str, paths: Sequence[Path]) -> int:
    """Import files and folders, printing progress and summary; give the number of files that failed.

    Raises
    ------
    ImportFailedError
        There is nothing to import, or the job failed as a whole.
    ServingError
        No server runs and none could be started.
    """
    settings = replace(load_settings(), data=data)
    with server_of(data) as url:
        client = client_for(settings, url)
        datastore_id = find_datastore(client, datastore)
        summary = run_import(settings, client, datastore_id, paths)
    print_summary(summary)
    return summary.failed_files


def find_datastore(client: Any, wanted: str) -> str:
    """Give the id of the ACTIVE data store with this id or name, made when there is none.

    Raises
    ------
    ImportFailedError
        The new data store did not become ACTIVE.
    """
    for page in client.get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE"):
        for entry in page["datastoreSummaries"]:
            if wanted in {entry["datastoreId"], entry["datastoreName"]}:
                return str(entry["datastoreId"])
    made = str(client.create_datastore(datastoreName=wanted)["datastoreId"])
    deadline = time.monotonic() + _SETTLE_SECONDS
    while client.get_datastore(datastoreId=made)["datastoreProperties"]["datastoreStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise ImportFailedError(f"The data store {made} did not become ACTIVE; is a runner running?")
        time.sleep(_POLL_SECONDS)
    return made


def run_import(settings: Settings, client: Any, datastore_id: str, paths: Sequence[Path]) -> ImportSummary:
    """Copy files in, run one job to its end and read its output files; raises `ImportFailedError`."""
    run = new_id()
    root = settings.data / "buckets" / BUCKET
    copied = _copy(paths, root / run / "input")
    if copied == 0:
        raise ImportFailedError("There are no files below the given paths.")
    job_id = client.start_dicom_import_job(
        datastoreId=datastore_id,
        dataAccessRoleArn=f"arn:{settings.partition}:iam::{settings.account_id}:role/hounsfield-import",
        inputS3Uri=f"s3://{BUCKET}/{run}/input/",
        outputS3Uri=f"s3://{BUCKET}/{run}/output/",
        jobName=f"import-{run[:8]}",
    )["jobId"]
    archive, _ = open_archive(settings)
    try:
        properties = _wait(archive, client, datastore_id, job_id, copied)
    finally:
        archive.database.close()
    if properties["jobStatus"] != "COMPLETED":
        raise ImportFailedError(f"The import job {job_id} failed: {properties.get('message', 'no reason given')}")
    output = root / properties["outputS3Uri"].removeprefix(f"s3://{BUCKET}/")
    manifest = json.loads((output / "job-output-manifest.json").read_bytes())
    failures = [json.loads(line) for line in (output / "FAILURE" / "failure.ndjson").read_bytes().splitlines()]
    shutil.rmtree(root / run / "input")
    return ImportSummary(manifest["jobSummary"], failures)


def _copy(paths: Sequence[Path], target: Path) -> int:
    count = 0
    for number, path in enumerate(paths):
        for file, name in _files(path):
            copy = target / f"{number}" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, copy)
            except OSError:
                shutil.copyfile(file, copy)
            count += 1
    return count


def _files(path: Path) -> Iterator[tuple[Path, Path]]:
    """Give each file below a path with its name within it; links are followed for files, not for folders."""
    if path.is_file():
        yield path.resolve(), Path(path.name)
        return
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file():
                yield file.resolve(), file.relative_to(path)


def _wait(archive: Archive, client: Any, datastore_id: str, job_id: str, total: int) -> dict[str, Any]:
    with click.progressbar(length=total, label="Importing") as bar:
        return _poll(archive, client, datastore_id, job_id, total, lambda progress: bar.update(progress.done - bar.pos))


def _poll(
    archive: Archive, client: Any, datastore_id: str, job_id: str, total: int, show: Callable[[Progress], object]
) -> dict[str, Any]:
    while True:
        properties: dict[str, Any] = client.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)[
            "jobProperties"
        ]
        ended = properties["jobStatus"] in {"COMPLETED", "FAILED"}
        show(Progress(total, total) if ended else import_progress(archive, job_id))
        if ended:
            return properties
        time.sleep(_POLL_SECONDS)


def print_summary(summary: ImportSummary) -> None:
    """Print what the manifest says, and the first failures with their reasons."""
    job = summary.job
    click.echo(f"Files scanned     {job['numberOfScannedFiles']:>8}")
    click.echo(f"Files imported    {job['numberOfImportedFiles']:>8}")
    click.echo(f"Files failed      {summary.failed_files:>8}")
    click.echo(f"Image sets        {job['numberOfGeneratedImageSets']:>8}")
    for line in summary.failures[:_LINES_SHOWN]:
        click.echo(f"  failed: {line['inputFile'].split('/input/', 1)[-1]}: {line['exception']['message']}")
    if len(summary.failures) > _LINES_SHOWN:
        click.echo(f"  and {len(summary.failures) - _LINES_SHOWN} more, see {job['failureOutputS3Uri']}failure.ndjson")
