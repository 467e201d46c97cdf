"""Free space: whether the file systems that an installation writes to take more.

    thread, every second ─▶ FreeSpace.look ─▶ statvfs of each folder ─▶ a trouble, or none ─▶ the log, once an episode
    request, piece of work ─▶ FreeSpace.require ─▶ goes on, or DiskTroubleError

A request only looks at what the thread found last, so that a file system that does not answer holds up nobody.
What is below the floor is for what goes on meanwhile: deletions, the database's own log, the audit trail, what was begun.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import structlog

from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.runtime.supervised_threads import SupervisedThread

_LOOK_SECONDS: Final = 1.0
_STALLED_SECONDS: Final = 10.0
_LEAST_FILES: Final = 1_024
_PARTS_OF_MARGIN: Final = 16
"""An episode ends once a 16th of the floor more is free: files come and go, and the log is not to tell of each."""
_log = structlog.get_logger(__name__)


class DiskTrouble(Enum):
    """Why a file system takes nothing more."""

    FULL = "has too little room"
    READ_ONLY = "is read-only"
    STALLED = "does not answer"


class DiskTroubleError(PicklableError):
    """Nothing more is written just now.

    Parameters
    ----------
    trouble : DiskTrouble
        Why.
    """

    def __init__(self, trouble: DiskTrouble) -> None:
        super().__init__(f"a disk of the service {trouble.value}")
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class DiskState:
    """What is known of the file system of a folder.

    Attributes
    ----------
    folder : Path
        The folder, or what there is of the way to it.
    total_bytes, free_bytes : int
        Its size, and what is left for the user who runs Hounsfield.
    free_files : int or None
        How many files more it takes; None where it does not count them.
    is_read_only : bool
        Whether it is mounted so.
    """

    folder: Path
    total_bytes: int
    free_bytes: int
    free_files: int | None
    is_read_only: bool

    def trouble(self, floor_bytes: int) -> DiskTrouble | None:
        """Return why it takes nothing more where so many bytes are to stay free; None where it does."""
        if self.is_read_only:
            return DiskTrouble.READ_ONLY
        few_files = self.free_files is not None and self.free_files < _LEAST_FILES
        return DiskTrouble.FULL if floor_bytes and (self.free_bytes < floor_bytes or few_files) else None


def read_disk_states(folders: Sequence[Path]) -> list[DiskState]:
    """Read the state of each file system once, by the first folder that is on it.

    Raises
    ------
    OSError
        The file system cannot be asked.
    """
    states: dict[int, DiskState] = {}
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        device = there.stat().st_dev
        if device in states:
            continue
        found = os.statvfs(there)
        states[device] = DiskState(
            folder=there,
            total_bytes=found.f_blocks * found.f_frsize,
            free_bytes=found.f_bavail * found.f_frsize,
            free_files=found.f_favail if found.f_files else None,
            is_read_only=bool(found.f_flag & os.ST_RDONLY),
        )
    return list(states.values())


class FreeSpace:
    """The file systems of some folders, and whether they take more.

    Parameters
    ----------
    folders : sequence of Path
        The folders; those that are on one file system count once.
    floor_bytes : int
        How many bytes are to stay free on each; 0 to fill it.
    """

    def __init__(self, folders: Sequence[Path] = (), floor_bytes: int = 0) -> None:
        self._folders = tuple(folders)
        self._floor_bytes = floor_bytes
        self._states: list[DiskState] | None = None
        self._troubles: dict[Path, DiskTrouble] = {}
        self._asking_since: float | None = None
        self._is_stalled = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = SupervisedThread("free-space", self._watch, self._stop)

    def start(self) -> None:
        """Begin to look every second."""
        if self._folders:
            self.look()
            self._thread.start()

    def stop(self) -> None:
        """End; a file system that does not answer is not waited for."""
        self._stop.set()

    @property
    def trouble(self) -> DiskTrouble | None:
        """Why nothing more is to be written; None where it can be."""
        since = self._asking_since
        if since is not None and time.monotonic() - since > _STALLED_SECONDS:
            if not self._is_stalled:
                self._is_stalled = True
                _log.error("disk does not answer", seconds=_STALLED_SECONDS)
            return DiskTrouble.STALLED
        return next(iter(self._troubles.values()), None)

    def require(self, size: int = 0, *, anew: bool = False) -> None:
        """Make sure that so many bytes more can be taken, and the floor stays.

        Parameters
        ----------
        size : int
            How many bytes.
        anew : bool
            Look at the file systems first, which waits for them.

        Raises
        ------
        DiskTroubleError
            They cannot.
        """
        trouble = self.look() if anew else self.trouble
        if trouble is None and size and self._floor_bytes:
            lacking = any(state.free_bytes - size < self._floor_bytes for state in self._states or ())
            trouble = DiskTrouble.FULL if lacking else None
        if trouble is not None:
            raise DiskTroubleError(trouble)

    def look(self) -> DiskTrouble | None:
        """Look at the file systems now, and return what `trouble` says then; it waits for them."""
        if not self._folders:
            return None
        with self._lock:
            self._asking_since = time.monotonic()
            try:
                self._states = states = read_disk_states(self._folders)
            except OSError as error:
                _log.warning("disk cannot be asked", error=type(error).__name__)
            else:
                self._note(states)
            finally:
                self._asking_since = None
            if self._is_stalled:
                self._is_stalled = False
                _log.warning("disk answers again")
        return self.trouble

    def _note(self, states: Sequence[DiskState]) -> None:
        """Keep what is wrong with each file system, and log what began and what is over."""
        troubles: dict[Path, DiskTrouble] = {}
        for state in states:
            before = self._troubles.get(state.folder)
            margin = self._floor_bytes // _PARTS_OF_MARGIN if before is DiskTrouble.FULL else 0
            trouble = state.trouble(self._floor_bytes + margin)
            if trouble is not None:
                troubles[state.folder] = trouble
            if trouble is not before:
                _tell(state, trouble, self._floor_bytes)
        self._troubles = troubles

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.look()


def _tell(state: DiskState, trouble: DiskTrouble | None, floor_bytes: int) -> None:
    facts = {
        "folder": str(state.folder),
        "free_bytes": state.free_bytes,
        "floor_bytes": floor_bytes,
        "free_files": state.free_files,
    }
    if trouble is DiskTrouble.FULL:
        _log.error("disk nearly full, nothing more is stored", **facts)
    elif trouble is DiskTrouble.READ_ONLY:
        _log.error("disk is read-only, nothing is stored", **facts)
    else:
        _log.warning("disk takes writes again", **facts)
