"""A Dask cluster for tests: a scheduler and workers, as real processes on the loopback address."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from support.as_installed import as_installed
from support.programs import environment_of_programs
from support.required_tools import required_tool
from support.servers import LOOKED_INTO, free_port


class DaskCluster:
    """A scheduler, and the workers that were started.

    Parameters
    ----------
    folder : Path
        For logs and what workers put aside.
    security : tuple of str
        Options of ``dask scheduler`` and ``dask worker`` for TLS.
    """

    def __init__(self, folder: Path, security: tuple[str, ...] = ()) -> None:
        required_tool(_program().exists(), "Dask is not installed")
        self.folder = folder
        self.port = free_port()
        self.url = f"dask{'+tls' if security else ''}://127.0.0.1:{self.port}"
        self._security = security
        self._scheme = "tls" if security else "tcp"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self) -> dict[str, str]:
        """Return the settings of a server that uses the cluster."""
        return {"HOUNSFIELD_EXECUTOR": self.url, **as_installed("dask")}

    def start_scheduler(self) -> None:
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-jupyter"
        )

    def start_worker(
        self, name: str, environment: dict[str, str] | None = None, *more: str, nanny: bool = False
    ) -> None:
        address = f"{self._scheme}://127.0.0.1:{self.port}"
        options = ["--name", name, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
        options += ["--local-directory", str(self.folder / name), *([] if nanny else ["--no-nanny"])]
        self.workers[name] = self._start("worker", address, *options, *more, environment=environment)

    def _start(self, kind: str, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / "cluster.log").open("ab") as log:
            return subprocess.Popen(
                [str(_program()), kind, *arguments, *self._security],
                env={**environment_of_programs(), **as_installed("dask"), **LOOKED_INTO, **(environment or {})},
                stdout=log,
                stderr=log,
            )

    def log_text(self) -> str:
        return (self.folder / "cluster.log").read_text(errors="replace")

    def task_processes(self, name: str) -> list[psutil.Process]:
        """The processes beside a worker that work on its tasks."""
        forked = psutil.Process(self.workers[name].pid).children(recursive=True)
        return [process for process in forked if not process.children() and process.parent() in forked]

    def stop(self) -> None:
        # A worker that is asked to end at the same moment as its scheduler may hang (distributed 2026.8).
        for started in (list(self.workers.values()), [] if self.scheduler is None else [self.scheduler]):
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _program() -> Path:
    return Path(sys.executable).parent / "dask"


@contextmanager
def dask_cluster(folder: Path, *names: str, security: tuple[str, ...] = ()) -> Iterator[DaskCluster]:
    """Run a scheduler and workers of some names."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder, security)
    try:
        cluster.start_scheduler()
        for name in names:
            cluster.start_worker(name)
        yield cluster
    finally:
        cluster.stop()


def open_by(process: psutil.Process, file: Path) -> bool:
    """Return whether a process has a file open."""
    try:
        return any(Path(opened.path).samefile(file) for opened in process.open_files())
    except (psutil.Error, OSError):
        return False


def joined(log: str, name: str) -> bool:
    """Return whether a log tells that a worker was let in."""
    return any("cluster worker joined" in line and f'"worker": "{name}"' in line for line in log.splitlines())
