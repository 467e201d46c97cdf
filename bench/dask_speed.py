"""Import of a CT series by the workers of a Dask cluster: two against one, and one against a process of the server's machine.

one process of the runner ─┐
one worker                ─┼─ in turn, several rounds ─▶ medians
two workers               ─┘

On few processors the wall time shows the machine, not the workers. What shows them is processor time: how much of the work the
busier of two workers has, of what one alone would have. That of the runner beside them must be small.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import write_ct_series
from bench.processes import processor_seconds
from bench.report import Report, median, median_ratio
from bench.scale import Run
from bench.server import BenchmarkError, Server, free_port
from hounsfield.bootstrap.cluster import read_cluster_state
from hounsfield.imaging.imports.batches import FILES_PER_SHARE
from hounsfield.settings import Settings

LIMIT = 1.8
_END_SECONDS = 30


@dataclass(frozen=True)
class _Taken:
    """Seconds of an import: on the clock, and of the processors, by who used them."""

    wall: float
    server: float
    cluster: float
    busiest: float


class _Cluster:
    """A scheduler and workers on the loopback address."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.workers = workers
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        host, _, port = self.address.partition(":")
        self._start("scheduler", "--host", host, "--port", port, "--no-dashboard", "--no-jupyter")
        for number in range(self.workers):
            put_aside = str(self._folder / f"worker-{number}")
            options = ("--no-nanny", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard")
            self._start("worker", f"tcp://{self.address}", *options, "--local-directory", put_aside)

    def _start(self, *arguments: str) -> None:
        program = str(Path(sys.executable).with_name("dask"))
        with (self._folder / "cluster.log").open("ab") as log:
            self._started.append(subprocess.Popen([program, *arguments], stdout=log, stderr=log))

    def processor_seconds(self) -> list[float]:
        """Return the processor time of the scheduler, then of each worker with its processes."""
        return [processor_seconds(process.pid) for process in self._started]

    def stop(self) -> None:
        scheduler, *workers = self._started
        # A worker that is asked to end at the same moment as its scheduler may hang (distributed 2026.8).
        for ending in (workers, [scheduler]):
            for process in ending:
                process.terminate()
            for process in ending:
                process.wait(_END_SECONDS)


def run(setting: Run, report: Report) -> None:
    """Measure imports with one process, one worker and two workers."""
    count = setting.scale.series_instances
    paths = write_ct_series(setting.corpus / "ct", count)
    folder = setting.folder("dask-speed")
    local: list[_Taken] = []
    one: list[_Taken] = []
    two: list[_Taken] = []
    with (
        _serving(folder / "local", paths, None) as import_local,
        _serving(folder / "one", paths, 1) as import_by_one,
        _serving(folder / "two", paths, 2) as import_by_two,
    ):
        for _ in range(setting.scale.rounds):
            local.append(import_local())
            one.append(import_by_one())
            two.append(import_by_two())
    batches = -(-count // max(1, min(FILES_PER_SHARE, -(-count // 8))))
    report.note(
        f"{count} CT files of 512 × 512, {os.cpu_count()} processors for everything; rounds in turn, medians. "
        "Speed by processor time: that of one worker alone / that of the busier of two"
    )
    ratio = median_ratio([alone.busiest for alone in one], [both.busiest for both in two])
    report.figure("speed of two workers / of one, by processor time", ratio, "×", LIMIT, at_most=False)
    ratio = median_ratio([alone.wall for alone in one], [both.wall for both in two])
    report.figure("– by wall time, on the same processors", ratio, "×")
    ratio = median_ratio([both.server for both in two], [both.busiest for both in two])
    report.figure("processor time of the server / of the busier of two workers", ratio, "×")
    more = [
        (alone.server + alone.cluster - here.server) / batches * 1000 for alone, here in zip(one, local, strict=True)
    ]
    report.figure("processor time of a batch by a worker, beyond that here", median(more), "ms")
    ratio = median_ratio([alone.server + alone.cluster for alone in one], [here.server for here in local])
    report.figure("processor time of an import by a worker / by a process here", ratio, "×")
    report.details.update(
        local=[vars(taken) for taken in local],
        one=[vars(taken) for taken in one],
        two=[vars(taken) for taken in two],
        batches=batches,
    )


@contextmanager
def _serving(folder: Path, paths: Sequence[Path], workers: int | None) -> Iterator[Callable[[], _Taken]]:
    """Run a server, with a cluster or without; gives what imports the series once and says what it took."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = None if workers is None else _Cluster(folder, workers)
    executor = "" if cluster is None else f"dask://{cluster.address}"
    try:
        if cluster is not None:
            cluster.start()
        with Server(folder / "data", import_workers=1, executor=executor) as server:
            server.put("series", list(paths))
            if cluster is not None:
                _wait_for_workers(folder / "data", cluster)
            server.import_prefix(server.datastore(), "series")

            def spent_there() -> list[float]:
                return [] if cluster is None else cluster.processor_seconds()

            def measured() -> _Taken:
                os.sync()
                datastore_id = server.datastore()
                here, there = processor_seconds(server.pid), spent_there()
                job = server.import_prefix(datastore_id, "series")
                used = [after - before for before, after in zip(there, spent_there(), strict=True)]
                return _Taken(job.seconds, processor_seconds(server.pid) - here, sum(used), max([0.0, *used[1:]]))

            yield measured
    finally:
        if cluster is not None:
            cluster.stop()


def _wait_for_workers(data: Path, cluster: _Cluster) -> None:
    settings = Settings(data=data, executor=f"dask://{cluster.address}")
    deadline = time.monotonic() + _END_SECONDS * 4
    while (state := read_cluster_state(settings)) is None or state.threads < cluster.workers:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"the workers did not join: {state}")
