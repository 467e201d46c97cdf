"""A small disk that can be filled to its last byte, and emptied again."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of its own, at ``folder``."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave not a byte, also of what others give up meanwhile; make room again at the end."""
        stop = threading.Event()
        filling = threading.Thread(target=self._keep_full, args=(stop,))
        self._fill()
        filling.start()
        try:
            yield
        finally:
            stop.set()
            filling.join()
            self._ballast.unlink()

    def _keep_full(self, stop: threading.Event) -> None:
        while not stop.wait(0.002):
            self._fill()

    def _fill(self) -> None:
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            piece = _PIECE
            while piece:
                try:
                    os.write(descriptor, bytes(piece))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
        finally:
            os.close(descriptor)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a file system in memory of so many MB, which needs an account that may mount."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a disk that can be filled needs an account that may mount one")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
