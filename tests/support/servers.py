"""A real server process for tests: started on a free loopback port, stopped by the process id that was started."""

from __future__ import annotations

import configparser
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import boto3
from botocore.config import Config

from support.preloaded import PreloadedProcess
from support.programs import OWN_VARIABLES, environment_of_programs, hounsfield_preloader

T = TypeVar("T")
ROLE = "arn:aws:iam::000000000000:role/import"


LOOKED_INTO = {"HOUNSFIELD_CORE_DUMPS": "true"}
"""Tests look which files the processes have open, and need not be run by root."""


def _own_ports() -> Iterator[int]:
    """Return ports again and again that no other process of the same run of pytest gives, from any of them on.

    They are below those that the kernel takes for outgoing connections (Linux: 32768 and more), so that a server that is
    stopped and started again finds its port as it left it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(10_000 + worker, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    return itertools.islice(itertools.cycle(own), random.randrange(len(own)), None)


_ports = _own_ports()
REFUSED_BY_BROWSERS = 10_080
"""The one port of those that browsers open nothing at (Fetch standard, "port blocking")."""


def free_port() -> int:
    """Return a port of the loopback address that is free, and stays so until somebody is told of it."""
    for port in itertools.islice(_ports, 1000):
        if port == REFUSED_BY_BROWSERS:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_for(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Wait until ``condition`` gives something true, and give that.

    It is asked for more seldom the longer it takes, as asking takes processor time from those that are waited for.
    """
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        assert waited < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(min(0.1, 0.02 + waited / 20))


class ServerProcess:
    """``hounsfield serve`` on a data folder.

    It is forked from a process that has imported what it needs, unless ``from_scratch`` asks for one that Python starts, or
    it needs something that is set before Python starts.
    """

    def __init__(
        self,
        data: Path,
        environment: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        *,
        from_scratch: bool = False,
    ) -> None:
        self.data = data
        self.from_scratch = from_scratch
        self.environment = environment or {}
        self.arguments = arguments
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | PreloadedProcess | None = None
        self.standard_error: int | None = None
        """Where standard error goes; None for the log."""
        self.prepare: Callable[[], None] | None = None
        """What the new process does before it becomes the command."""

    def start(self) -> ServerProcess:
        command = ["hounsfield", "serve", "--data", str(self.data), "--port", str(self.port), *self.arguments]
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = (self.data.parent / f"{self.data.name}.log").open("ab")
        environment = {**environment_of_programs(), **LOOKED_INTO, **self.environment}
        output = self.log.fileno()
        errors = output if self.standard_error is None else self.standard_error
        if (
            self.from_scratch
            or self.prepare is not None
            or not hounsfield_preloader().takes(environment, OWN_VARIABLES)
        ):
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=environment,
                stdout=output,
                stderr=errors,
                preexec_fn=self.prepare,  # noqa: PLW1509 - the tests that use it have no threads then
            )
        else:
            self.process = hounsfield_preloader().start(command, environment, 0, output, errors)
        try:
            # A machine that does much else at the same time takes long to import all of it three times.
            wait_for(self._ready, "the server to become ready", seconds=240)
        except BaseException:
            self.stop()
            raise
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.log_text()}"
        try:
            with urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def log_text(self) -> str:
        return Path(self.log.name).read_text(errors="replace")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def key(self) -> tuple[str, str]:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.data / "credentials")
        return parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]

    def client(self, *, key: tuple[str, str] | None = None, retrying: bool = False, **config: Any) -> Any:
        """Make a client that signs with a key, the root key unless another is given."""
        identifier, secret = key or self.key()
        return boto3.client(
            "medical-imaging",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=identifier,
            aws_secret_access_key=secret,
            config=Config(inject_host_prefix=False, retries={"max_attempts": 5 if retrying else 0}, **config),
        )

    def bucket(self, name: str) -> Path:
        path = self.data / "buckets" / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def active_datastore(client: Any, **parameters: Any) -> str:
    """Make a data store and wait until it is ACTIVE."""
    identifier = client.create_datastore(**parameters)["datastoreId"]
    wait_for(
        lambda: client.get_datastore(datastoreId=identifier)["datastoreProperties"]["datastoreStatus"] == "ACTIVE",
        "the data store to become ACTIVE",
    )
    return identifier


def start_import(client: Any, datastore_id: str, source: str, target: str = "s3://output/", **parameters: Any) -> str:
    return client.start_dicom_import_job(
        datastoreId=datastore_id, dataAccessRoleArn=ROLE, inputS3Uri=source, outputS3Uri=target, **parameters
    )["jobId"]


def finished_job(client: Any, datastore_id: str, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
    """Wait until a job is COMPLETED or FAILED and return its properties."""

    def finished() -> dict[str, Any] | None:
        job = client.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)["jobProperties"]
        return job if job["jobStatus"] in {"COMPLETED", "FAILED"} else None

    return wait_for(finished, "the import job to end", seconds)
