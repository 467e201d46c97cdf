"""Memory of a server that imports one file of several gigabytes.

Bound: each transcoding process holds one frame in the forms it goes through, the places of all
frames and their checksums; nobody holds the file. The file below has 2 GiB.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.corpus import write_large_multiframe
from bench.processes import tree
from bench.report import Report
from bench.scale import Run
from bench.server import Server

LIMIT_MB = 600
_SAMPLE_SECONDS = 0.1
_SHARE_EVERY = 10
_MB = 1e6


@dataclass
class Tree:
    """Memory of a process and all below it, sampled from another thread; bytes.

    ``rss`` counts pages that processes share once for each of them, ``pss`` once in all.
    """

    pid: int
    rss: int = 0
    pss: int = 0
    peaks: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Tree:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        number = 0
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.sample(share=number % _SHARE_EVERY == 0)
            number += 1

    def sample(self, *, share: bool) -> None:
        """Take the sum over the tree now, and the peak of each process as the kernel keeps it."""
        total = shared = 0
        for process in tree(self.pid):
            try:
                total += process.memory_info().rss
                self.peaks[process.pid] = _peak(process.pid)
                self.names.setdefault(process.pid, _name(process, self.pid))
                shared += process.memory_full_info().pss if share else 0
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                continue
        self.rss = max(self.rss, total)
        self.pss = max(self.pss, shared)


def _peak(pid: int) -> int:
    """Most resident memory a process ever had (VmHWM), in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _name(process: psutil.Process, first: int) -> str:
    command = " ".join(process.cmdline())
    if process.pid == first:
        return "serve"
    known = {
        "resource_tracker": "resource tracker",
        "hounsfield runner": "runner",
        "hounsfield serve": "API process",
    }
    if "multiprocessing.forkserver" in command:
        # What a fork server makes has its command line.
        return "transcoding process" if process.parent().cmdline() == process.cmdline() else "fork server"
    return next((name for part, name in known.items() if part in command), "other process")


def run(setting: Run, report: Report) -> None:
    """Measure the memory of importing one large file."""
    count = setting.scale.large_frames
    folder = setting.folder("memory")
    large = write_large_multiframe(folder / "input" / "large.dcm", count)
    small = write_large_multiframe(folder / "input" / "small.dcm", 4)
    with Server(folder / "data") as server:
        server.put("large", [large])
        server.put("small", [small])
        server.import_prefix(server.datastore(), "small")
        idle = Tree(server.pid)
        idle.sample(share=True)
        datastore_id = server.datastore()
        with Tree(server.pid) as tree:
            seconds = server.import_prefix(datastore_id, "large").seconds
            tree.sample(share=True)
    report.note(
        "bound: one frame in each transcoding process in all forms it goes through, and the places of all frames"
    )
    report.figure("size of the file", large.stat().st_size / _MB, "MB")
    report.figure("import, wall time", seconds, "s")
    report.figure("server after a small import, resident, all processes", idle.rss / _MB, "MB")
    report.figure("peak during the import, resident, all processes", tree.rss / _MB, "MB", LIMIT_MB)
    report.figure("the same, shared pages counted once", tree.pss / _MB, "MB")
    for pid, peak in sorted(tree.peaks.items(), key=lambda entry: -entry[1]):
        report.figure(f"peak of one process: {tree.names[pid]}", peak / _MB, "MB")
    report.figure("growth over the server after a small import", (tree.rss - idle.rss) / _MB, "MB")
