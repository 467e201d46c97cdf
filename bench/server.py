"""A real server process to measure: started on a free port with settings of its own, and stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.corpus import link_into
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.cli.import_command import client_for
from hounsfield.imaging.image_store import ImageStore
from hounsfield.server.supervisor import is_ready
from hounsfield.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
BUCKET = "bench"
_ROLE = "arn:aws:iam::000000000000:role/bench"
_DROPPED = ("HOUNSFIELD_", "AWS_", "PYTHONDONTWRITEBYTECODE")
_READY_SECONDS = 240
_JOB_SECONDS = 3600
_POLL_SECONDS = 0.02
_JOB_POLL_SECONDS = 0.25


class BenchmarkError(Exception):
    """What is to be measured did not work."""


@dataclass(frozen=True)
class ImportedJob:
    """A finished import job: its id, and the wall time from being submitted to its end, by its own time stamps.

    They are exact without asking often, which would take processor time from what is measured.
    """

    job_id: str
    seconds: float


class ProcessOnPort:
    """A process that listens on a free loopback port, as a context manager.

    Parameters
    ----------
    arguments : Sequence[str]
        What Python runs; the port is appended.
    log : Path
        Where its output goes.
    environment : dict[str, str]
        Settings; no others of the same names reach the process.
    """

    def __init__(self, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._arguments = arguments
        self._log = log
        self._environment = environment or {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the first process."""
        if self._process is None:
            raise BenchmarkError("the server was not started")
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it answers on its health route."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments, "--port", str(self.port)],
                env={**kept, **self._environment},
                cwd=PROJECT,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not is_ready(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"the server did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process and wait for it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def __enter__(self) -> Any:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Server(ProcessOnPort):
    """``hounsfield serve`` on a data folder.

    Parameters
    ----------
    data : Path
        The data folder.
    **settings
        Settings beside it, by their names.
    """

    def __init__(self, data: Path, **settings: int | str) -> None:
        data.mkdir(parents=True, exist_ok=True)
        environment = {f"HOUNSFIELD_{name.upper()}": str(value) for name, value in settings.items()}
        super().__init__(
            ["-m", "hounsfield", "serve", "--data", str(data)],
            data.with_name(f"{data.name}.log"),
            # Some corpora are rows only.
            {"HOUNSFIELD_LOG_LEVEL": "warning", "HOUNSFIELD_SERVE_WITHOUT_PACKS": "true", **environment},
        )
        self.settings = replace(Settings(data=data), **settings)  # type: ignore[arg-type]
        self._client: Any = None

    @property
    def client(self) -> Any:
        """A botocore client with the root key."""
        if self._client is None:
            self._client = client_for(self.settings, self.url)
        return self._client

    def image_store(self) -> ImageStore:
        """Open the stores beside the running server, to look into them."""
        return open_image_store(self.settings)[0]

    def put(self, prefix: str, paths: list[Path]) -> None:
        """Put files into the bucket."""
        link_into(self.settings.data / "buckets" / BUCKET / prefix, paths)

    def datastore(self) -> str:
        """Make a data store and wait until it is ACTIVE."""
        identifier = str(self.client.create_datastore()["datastoreId"])
        deadline = time.monotonic() + _READY_SECONDS
        while self.client.get_datastore(datastoreId=identifier)["datastoreProperties"]["datastoreStatus"] != "ACTIVE":
            if time.monotonic() > deadline:
                raise BenchmarkError("the data store did not become ACTIVE")
            time.sleep(_POLL_SECONDS)
        return identifier

    def import_prefix(self, datastore_id: str, prefix: str) -> ImportedJob:
        """Run an import job over all files put below a prefix."""
        deadline = time.monotonic() + _JOB_SECONDS
        job_id = self.client.start_dicom_import_job(
            datastoreId=datastore_id,
            dataAccessRoleArn=_ROLE,
            inputS3Uri=f"s3://{BUCKET}/{prefix}/",
            outputS3Uri=f"s3://{BUCKET}/out/",
        )["jobId"]
        while True:
            job = self.client.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)["jobProperties"]
            if job["jobStatus"] == "COMPLETED":
                self._check_manifest(job)
                return ImportedJob(job_id, (job["endedAt"] - job["submittedAt"]).total_seconds())
            if job["jobStatus"] == "FAILED" or time.monotonic() > deadline:
                raise BenchmarkError(f"the import job is {job['jobStatus']}: {job.get('message')}")
            time.sleep(_JOB_POLL_SECONDS)

    def _check_manifest(self, job: dict[str, Any]) -> None:
        output = self.settings.data / "buckets" / job["outputS3Uri"].removeprefix("s3://")
        summary = json.loads((output / "job-output-manifest.json").read_bytes())["jobSummary"]
        if summary["numberOfImportedFiles"] != summary["numberOfScannedFiles"]:
            raise BenchmarkError(f"not all files were imported: {summary}")

    def image_set(self, datastore_id: str) -> str:
        """Return the id of the only image set of a data store."""
        found = self.client.search_image_sets(datastoreId=datastore_id, searchCriteria={})["imageSetsMetadataSummaries"]
        if len(found) != 1:
            raise BenchmarkError(f"one image set was expected, there are {len(found)}")
        return str(found[0]["imageSetId"])


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
