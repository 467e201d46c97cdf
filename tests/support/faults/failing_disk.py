"""A disk that fails while a test says so: for the files of a server whose paths have a text in them, in all its processes."""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from support.required_tools import required_tool

_SOURCE = Path(__file__).with_name("failing_disk.c")


class DiskFault(IntEnum):
    """What befalls a call."""

    NOTHING = 0
    SHORT_WRITE = 1
    """Half of what was to be written is."""
    WRITE_ERROR = 2
    NO_ROOM = 3
    SYNC_ERROR = 4
    READ_ONLY = 5
    """Nothing is written, opened for writing, made, renamed or removed."""
    SLOW = 6
    STALLED = 7
    """Nobody is told how much room there is."""


class _Plan(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_longlong),
        ("every", ctypes.c_longlong),
        ("calls", ctypes.c_longlong),
        ("hits", ctypes.c_longlong),
        ("milliseconds", ctypes.c_longlong),
        ("root", ctypes.c_char * 512),
        ("part", ctypes.c_char * 256),
        ("trace", ctypes.c_char * 512),
    )


class FailingDisk:
    """The disk of a data folder, of processes that are started with its `environment`.

    Parameters
    ----------
    folder : Path
        Where the library and the plan are kept, beside the data folder.
    data : Path
        The data folder.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        required_tool(compiler is not None, "a C compiler is needed to let a disk fail")
        folder.mkdir(parents=True, exist_ok=True)
        library, plan = folder / "failing_disk.so", folder / "plan"
        subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
        plan.write_bytes(bytes(ctypes.sizeof(_Plan)))
        with plan.open("r+b") as file:
            self._plan = _Plan.from_buffer(mmap.mmap(file.fileno(), 0))
        self._plan.root = str(data).encode()
        self.trace_file = folder / "trace"
        self.environment = {"LD_PRELOAD": str(library), "FAILING_DISK": str(plan)}

    @property
    def hits(self) -> int:
        """How many calls failed since the last fault began."""
        return int(self._plan.hits)

    def trace(self) -> None:
        """Write down each write and each sync from now on."""
        self._plan.trace = str(self.trace_file).encode()

    def lose_what_is_not_durable(self, data: Path) -> int:
        """Overwrite what a loss of power takes, and return how many bytes that is; no process may run.

        That is what was written since the last sync of its file, and what was written before a sync that failed and not written
        again since: the kernel takes such pages for clean, so that no later sync brings them to the disk.
        """
        lost: dict[int, set[tuple[int, int]]] = {}
        pending: dict[int, set[tuple[int, int]]] = {}
        for line in self.trace_file.read_text().splitlines():
            what, offset, length, inode = line[0], *(int(word) for word in line.split()[1:])
            waiting, gone = pending.setdefault(inode, set()), lost.setdefault(inode, set())
            if what == "W":
                waiting.add((offset, offset + length))
                lost[inode] = {part for one in gone for part in _without(one, (offset, offset + length))}
                continue
            if what == "F":
                gone |= waiting
            waiting.clear()
        count = 0
        for path in [path for path in data.rglob("*") if path.is_file() and not path.is_symlink()]:
            found = path.stat()
            for begin, end in lost.get(found.st_ino, set()) | pending.get(found.st_ino, set()):
                size = min(end, found.st_size) - begin
                if size > 0:
                    with path.open("r+b") as file:
                        file.seek(begin)
                        file.write(bytes(size))
                    count += size
        return count

    @contextmanager
    def failing(self, kind: DiskFault, part: str = "", every: int = 1, milliseconds: int = 0) -> Iterator[None]:
        """Let each n-th call on files with a text in their paths fail."""
        plan = self._plan
        plan.part, plan.every, plan.calls, plan.hits, plan.milliseconds = part.encode(), every, 0, 0, milliseconds
        plan.kind = kind
        try:
            yield
        finally:
            plan.kind = DiskFault.NOTHING


def _without(one: tuple[int, int], other: tuple[int, int]) -> list[tuple[int, int]]:
    """Return what is left of a range without another."""
    parts = [(one[0], min(one[1], other[0])), (max(one[0], other[1]), one[1])]
    return [(begin, end) for begin, end in parts if begin < end]
