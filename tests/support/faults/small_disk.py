"""A small disk of its own (Linux: tmpfs), which can be filled to its last byte while everything else goes on."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.required_tools import required_tool

MEBIBYTE = 1 << 20


class SmallDisk:
    """A disk on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / ".filling"

    def fill(self) -> None:
        """Take all that is free."""
        with self._filling.open("ab", buffering=0) as file:
            for size in (MEBIBYTE, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def fill_but(self, free: int) -> None:
        """Take what is free but for so many bytes."""
        with self._filling.open("ab", buffering=0) as file:
            found = os.statvfs(self.folder)
            file.write(bytes(max(0, found.f_bavail * found.f_frsize - free)))

    def empty(self) -> None:
        """Give back what was taken."""
        self._filling.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let it be read only, which needs that nobody has a file of it open for writing."""
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave not a byte, also of what others give up meanwhile; make room again at the end."""
        stop = threading.Event()
        filling = threading.Thread(target=self._keep_full, args=(stop,))
        self.fill()
        filling.start()
        try:
            yield
        finally:
            stop.set()
            filling.join()
            self.empty()

    def _keep_full(self, stop: threading.Event) -> None:
        while not stop.wait(0.002):
            self.fill()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Put a disk of so many bytes on a folder, which needs root."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = f"size={size},mode=0700,uid={os.getuid()}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
    required_tool(done.returncode == 0, "no disk can be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
