"""``hounsfield import``: copies files into a bucket folder, runs an import job, shows its progress and summary.

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
import urllib3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.iam.root_credentials import AccessKey, credentials_file, root_key
from hounsfield.imaging.image_store import ImageStore, Quotas
from hounsfield.imaging.imports.jobs import read_progress
from hounsfield.imaging.quotas import exceeds
from hounsfield.server.supervisor import server_of
from hounsfield.settings import Settings, load_settings
from hounsfield.settings.tls import TlsFiles
from hounsfield.storage.identifiers import new_id

BUCKET = "imports"
ROLE = "hounsfield-import"
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 60.0
_LINES_SHOWN = 20


class ImportFailedError(Exception):
    """The import as a whole did not work."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What finished jobs report: the ``jobSummary`` of each manifest, and the lines of each failure.ndjson."""

    jobs: list[dict[str, Any]]
    failures: list[dict[str, Any]]

    def total(self, *counters: str) -> int:
        """Add up counters over all jobs."""
        return sum(int(job[counter]) for job in self.jobs for counter in counters)

    @property
    def failed_files(self) -> int:
        """Number of files that were not imported."""
        return self.total("numberOfFilesWithCustomerError", "numberOfFilesWithServerError")


def client_for(settings: Settings, url: str, profile: str | None = None) -> Any:
    """Return a botocore client of the medical-imaging service for a server of ours.

    Parameters
    ----------
    settings : Settings
        The installation.
    url : str
        The server.
    profile : str or None
        The profile of the AWS credentials file that signs; None for the root key.

    Raises
    ------
    ImportFailedError
        There is no such profile, or it has no key.
    """
    return client_with_key(
        settings, url, root_key(credentials_file(settings.data)) if profile is None else _key_of_profile(profile)
    )


def client_with_key(settings: Settings, url: str, key: AccessKey) -> Any:
    """Return a botocore client of the medical-imaging service that signs with a key, see `client_for`."""
    client = botocore.session.get_session().create_client(
        "medical-imaging",
        region_name=settings.region,
        endpoint_url=url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(inject_host_prefix=False, retries={"max_attempts": 3}),
    )
    if settings.tls is not None:
        client.meta.events.register("before-send.medical-imaging", _sender(settings.tls))
    return client


def _key_of_profile(profile: str) -> AccessKey:
    try:
        found = botocore.session.Session(profile=profile).get_credentials()
    except BotoCoreError as error:
        raise ImportFailedError(f"The profile {profile} cannot be used: {error}") from error
    if found is None or found.token:
        raise ImportFailedError(f"The profile {profile} has no access key of a user.")
    return AccessKey(found.access_key, found.secret_key)


def _sender(tls: TlsFiles) -> Callable[..., AWSResponse]:
    """Return what sends the requests of a client to the server of this machine, whose certificate may not name its address."""
    pool = urllib3.PoolManager(ssl_context=tls.own_context(), assert_hostname=False)

    def send(request: Any, **_: object) -> AWSResponse:
        answer = pool.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            body=request.body,
            preload_content=False,
            decode_content=False,
            retries=False,
        )
        return AWSResponse(request.url, answer.status, answer.headers, answer)

    return send


def import_paths(data: Path, datastore: str, paths: Sequence[Path], profile: str | None = None) -> int:
    """Import files and folders, printing progress and summary; give the number of files that failed.

    Parameters
    ----------
    data : Path
        The data folder.
    datastore : str
        Id or name of the data store.
    paths : sequence of Path
        The files and folders.
    profile : str or None
        See `client_for`.

    Raises
    ------
    ImportFailedError
        There is nothing to import, the caller may not do it, or the job failed as a whole.
    ServingError
        No server runs and none could be started.
    """
    settings = replace(load_settings(), data=data)
    check_bucket_folder(settings)
    with server_of(data) as url:
        client = client_for(settings, url, profile)
        try:
            datastore_id = find_datastore(client, datastore)
            summary = run_import(settings, client, datastore_id, paths)
        except ClientError as error:
            raise ImportFailedError(f"The server refused: {error}") from error
    print_summary(summary)
    return summary.failed_files


def check_bucket_folder(settings: Settings) -> None:
    """Make sure that buckets are folders, into which files can be copied; raises `ImportFailedError`."""
    if settings.s3_endpoint_url or settings.s3:
        raise ImportFailedError(
            "Import jobs of this installation read from S3: copy the files there and start a job with StartDICOMImportJob."
        )


def find_datastore(client: Any, wanted: str) -> str:
    """Return the id of the ACTIVE data store with this id or name, made when there is none.

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


def run_import(
    settings: Settings,
    client: Any,
    datastore_id: str,
    paths: Sequence[Path],
    *,
    role: str = ROLE,
    job_name: str | None = None,
) -> ImportSummary:
    """Copy files in, run jobs to their end and read their output files.

    One job takes as many files as the quotas allow; what is more goes into further jobs.

    Parameters
    ----------
    settings : Settings
        The installation.
    client : botocore client
        Of the medical-imaging service.
    datastore_id : str
        The data store.
    paths : sequence of Path
        The files and folders.
    role : str
        Name of the role that the jobs read and write the bucket with.
    job_name : str or None
        Name of the jobs; None for one that is new.

    Raises
    ------
    ImportFailedError
        There are no files, or a job failed as a whole.
    """
    files = [(file, Path(str(number)) / name) for number, path in enumerate(paths) for file, name in _files(path)]
    if not files:
        raise ImportFailedError("There are no files below the given paths.")
    image_store, _ = open_image_store(settings)
    summary = ImportSummary([], [])
    try:
        with click.progressbar(length=len(files), label="Importing") as bar:
            for share in _shares(files, image_store.quotas):
                done = _Job(settings, client, image_store, datastore_id, role, job_name).run(share, bar)
                summary.jobs.append(done[0])
                summary.failures.extend(done[1])
    finally:
        image_store.database.close()
    return summary


def _shares(files: Sequence[tuple[Path, Path]], quotas: Quotas) -> Iterator[list[tuple[Path, Path]]]:
    share: list[tuple[Path, Path]] = []
    size = 0
    for file, name in files:
        length = file.stat().st_size
        full = exceeds(len(share) + 1, quotas.files_per_job) or exceeds(size + length, quotas.bytes_per_job)
        if share and full:
            yield share
            share, size = [], 0
        share.append((file, name))
        size += length
    yield share


@dataclass(frozen=True, slots=True)
class _Job:
    settings: Settings
    client: Any
    image_store: ImageStore
    datastore_id: str
    role: str
    name: str | None

    def run(self, files: Sequence[tuple[Path, Path]], bar: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Run one job; gives the summary of its manifest and its failures."""
        run = new_id()
        root = self.settings.data / "buckets" / BUCKET
        try:
            for file, name in files:
                _put(file, root / run / "input" / name)
            return self._finished(run, len(files), bar)
        finally:
            # Copies of patient data must not stay behind, whatever happens.
            shutil.rmtree(root / run / "input", ignore_errors=True)

    def _finished(self, run: str, count: int, bar: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        job_id = self.client.start_dicom_import_job(
            datastoreId=self.datastore_id,
            dataAccessRoleArn=f"arn:{self.settings.partition}:iam::{self.settings.account_id}:role/{self.role}",
            inputS3Uri=f"s3://{BUCKET}/{run}/input/",
            outputS3Uri=f"s3://{BUCKET}/{run}/output/",
            jobName=self.name or f"import-{run[:8]}",
        )["jobId"]
        start = bar.pos
        properties = self._wait(job_id, count, lambda done: bar.update(start + done - bar.pos))
        if properties["jobStatus"] != "COMPLETED":
            raise ImportFailedError(f"The import job {job_id} failed: {properties.get('message', 'no reason given')}")
        return outcome_of(self.settings, properties)

    def _wait(self, job_id: str, total: int, show: Callable[[int], object]) -> dict[str, Any]:
        while True:
            answer = self.client.get_dicom_import_job(datastoreId=self.datastore_id, jobId=job_id)
            properties: dict[str, Any] = answer["jobProperties"]
            ended = properties["jobStatus"] in {"COMPLETED", "FAILED"}
            show(total if ended else read_progress(self.image_store, job_id).done)
            if ended:
                return properties
            time.sleep(_POLL_SECONDS)


def outcome_of(settings: Settings, job: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the ``jobSummary`` of the manifest of a finished job, and the lines of its failure.ndjson.

    Parameters
    ----------
    settings : Settings
        The installation.
    job : dict
        ``jobProperties`` of GetDICOMImportJob.
    """
    output = settings.data / "buckets" / BUCKET / job["outputS3Uri"].removeprefix(f"s3://{BUCKET}/")
    manifest = json.loads((output / "job-output-manifest.json").read_bytes())
    failures = [json.loads(line) for line in (output / "FAILURE" / "failure.ndjson").read_bytes().splitlines()]
    return manifest["jobSummary"], failures


def _put(file: Path, copy: Path) -> None:
    """Put a file into the bucket folder, as a link to the same bytes where that is possible."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, copy)
    except OSError:
        shutil.copyfile(file, copy)


def _unreadable(error: OSError) -> None:
    raise ImportFailedError(f"{error.filename} cannot be read: {error.strerror}")


def _files(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file below a path with its name within it; links are followed for files, not for folders."""
    if path.is_file():
        yield path.resolve(), Path(path.name)
        return
    for folder, _, names in os.walk(path, onerror=_unreadable):
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file():
                yield file.resolve(), file.relative_to(path)


def print_summary(summary: ImportSummary) -> None:
    """Print what the manifest says, and the first failures with their reasons."""
    print_counts(summary)
    for line in summary.failures[:_LINES_SHOWN]:
        click.echo(f"  failed: {line['inputFile'].split('/input/', 1)[-1]}: {line['exception']['message']}")
    if len(summary.failures) > _LINES_SHOWN:
        where = ", ".join(f"{job['failureOutputS3Uri']}failure.ndjson" for job in summary.jobs)
        click.echo(f"  and {len(summary.failures) - _LINES_SHOWN} more, see {where}")


def print_counts(summary: ImportSummary) -> None:
    """Print how many files were imported, and how many were not."""
    click.echo(f"Files scanned     {summary.total('numberOfScannedFiles'):>8}")
    click.echo(f"Files imported    {summary.total('numberOfImportedFiles'):>8}")
    click.echo(f"Files failed      {summary.failed_files:>8}")
    click.echo(f"Image sets        {summary.total('numberOfGeneratedImageSets'):>8}")
