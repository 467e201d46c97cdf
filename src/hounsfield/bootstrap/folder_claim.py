"""Folder claim: one API and one runner on the folder of an embedded database, on one machine, as the user of its files.

    serve  ─▶ api.lock, runner.lock ─┐
    api    ─▶ api.lock               ├─ held by another process                   ─▶ refused: who holds it, and what to do
    runner ─▶ runner.lock            ┘─ free, but touched meanwhile from elsewhere ─▶ the same

The lock is the kernel's and belongs to a process, not to what it forks: it ends with the process, however that ends. Another
machine that has the folder too may not see it. So whoever holds a lock also touches its file, and who finds that another kernel
did so last first looks whether it still does.

Nodes of a PostgreSQL database may share a data folder, and claim nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import structlog

from hounsfield.bootstrap.start_faults import database_file, explain_start_faults, master_key_file
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.durable_files import make_folder_durably

API: Final = "api"
RUNNER: Final = "runner"
TOUCH_SECONDS: Final = 5.0
"""How often a held lock shows that its holder is alive."""
_SILENT_SECONDS: Final = 2.5 * TOUCH_SECONDS
"""How long another machine's lock must have been left alone."""
_LONG_AGO_SECONDS: Final = 3600.0
"""A lock that was left alone for so long is nobody's, whatever the difference of the clocks."""
_PATIENCE_SECONDS: Final = 3.0
"""How long a predecessor may take to end."""
_LOOK_SECONDS: Final = 0.1
_NETWORK: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "lustre",
    }
)
"""File systems on which SQLite promises nothing once a second machine opens the same file."""
_log = structlog.get_logger(__name__)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims a part of a folder.

    Attributes
    ----------
    pid : int
        Its process.
    host : str
        Name of its machine.
    kernel : str
        The boot id of its kernel: processes of the same one see each other's locks.
    version : str
        Its version of Hounsfield.
    """

    pid: int
    host: str
    kernel: str
    version: str

    @classmethod
    def own(cls) -> Holder:
        """Return this process."""
        kernel = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else socket.gethostname()
        return cls(os.getpid(), socket.gethostname(), kernel, version("hounsfield"))

    @classmethod
    def read(cls, file: Path) -> Holder | None:
        """Return who wrote a lock file last; None where nobody did, or it cannot be read."""
        with suppress(OSError):
            return cls.parse(file.read_text(errors="replace"))
        return None

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """Return whom the content of a lock file names; None for nobody."""
        with suppress(ValueError, KeyError, TypeError):
            content = json.loads(text)
            return cls(int(content["pid"]), str(content["host"]), str(content["kernel"]), str(content["version"]))
        return None

    def text(self) -> str:
        """Return the content of a lock file."""
        return json.dumps(
            {"pid": self.pid, "host": self.host, "kernel": self.kernel, "version": self.version}, sort_keys=True
        )


class FolderClaim:
    """Parts of a data folder that this process claims, until it ends or `release` is called."""

    def __init__(self) -> None:
        self._held: list[tuple[Path, IO[str]]] = []
        self._touch_at = time.monotonic() + TOUCH_SECONDS

    def add(self, file: Path, lock: IO[str]) -> None:
        """Keep a lock that was taken."""
        self._held.append((file, lock))

    def touch(self) -> None:
        """Show that this process is alive, every `TOUCH_SECONDS` however often this is called."""
        now = time.monotonic()
        if now < self._touch_at:
            return
        self._touch_at = now + TOUCH_SECONDS
        for file, _ in self._held:
            with suppress(OSError):
                os.utime(file)

    def keep_touching(self) -> None:
        """Touch from a thread that ends with the process."""

        def run() -> None:
            while self._held:
                time.sleep(TOUCH_SECONDS)
                self.touch()

        if self._held:
            threading.Thread(target=run, name="folder-claim", daemon=True).start()

    def release(self) -> None:
        """Let others claim the folder."""
        held, self._held = self._held, []
        for _, lock in held:
            with suppress(OSError):
                lock.truncate(0)
            lock.close()


def lock_file(data: Path, part: str) -> Path:
    """Return the lock file of a part of a data folder."""
    return data / f"{part}.lock"


def claim_folder(settings: Settings, parts: Sequence[str]) -> FolderClaim:
    """Claim parts of the data folder for this process.

    Parameters
    ----------
    settings : Settings
        The installation.
    parts : sequence of str
        `API`, `RUNNER`, or both.

    Raises
    ------
    InstallationError
        Another process has one of them, here or on another machine, or the folder belongs to another user.
    """
    check_owner(settings)
    claim = FolderClaim()
    if settings.database_url:
        return claim
    _warn_of_network(settings.data)
    with explain_start_faults(settings):
        make_folder_durably(settings.data)
        try:
            for part in parts:
                file = lock_file(settings.data, part)
                claim.add(file, _locked(settings, file, part))
        except BaseException:
            claim.release()
            raise
    return claim


def read_holder(data: Path, part: str) -> Holder | None:
    """Return who works on a part of a data folder now, as far as this machine sees; None for nobody."""
    file = lock_file(data, part)
    try:
        with file.open() as lock:
            fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return Holder.read(file)
    except OSError:
        return None
    return None


def check_owner(settings: Settings) -> None:
    """Make sure that root leaves no files of its own in the folder of another user, who could not open them.

    Raises
    ------
    InstallationError
        The folder is another user's and this process is root's.
    """
    if os.geteuid() != 0:
        return
    for known in (master_key_file(settings), database_file(settings), settings.data):
        try:
            owner = known.stat().st_uid
        except OSError:
            continue
        if owner != 0:
            name = _user_name(owner)
            raise InstallationError(
                f"{known} belongs to the user {name}, who could not open what root writes beside it; run this as "
                f"{name}, such as by `sudo -u`, or make the whole folder root's by `chown -R`"
            )
        return


def _user_name(number: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _warn_of_network(data: Path) -> None:
    """Say so where the folder is on a file system that other machines can have too, whose locks may not reach them."""
    folder = next((path for path in (data.absolute(), *data.absolute().parents) if path.exists()), data).resolve()
    with suppress(OSError):
        kinds = {
            Path(fields[1].replace("\\040", " ")): fields[2]
            for fields in map(str.split, Path("/proc/self/mounts").read_text().splitlines())
        }
        kind = next((kinds[path] for path in (folder, *folder.parents) if path in kinds), "")
        if kind in _NETWORK:
            _log.warning("embedded database on a network file system", folder=str(data), file_system=kind)


def _locked(settings: Settings, file: Path, part: str) -> IO[str]:
    """Open and lock a file, and write into it who did."""
    lock: IO[Any] = file.open("a+")
    file.chmod(0o600)
    try:
        _wait_for_lock(settings, file, lock, part)
        own = Holder.own()
        # By the same descriptor: the kernel drops the lock with the first one of the file that this process closes.
        lock.seek(0)
        before = Holder.parse(lock.read())
        if before is not None and before.kernel != own.kernel:
            _wait_for_silence(settings, file, before, part)
        lock.truncate(0)
        lock.write(own.text())
        lock.flush()
    except BaseException:
        lock.close()
        raise
    return lock


def _wait_for_lock(settings: Settings, file: Path, lock: IO[Any], part: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not _take(lock):
        if time.monotonic() > until:
            raise _in_use(settings, Holder.read(file), part)
        time.sleep(_LOOK_SECONDS)


def _wait_for_silence(settings: Settings, file: Path, before: Holder, part: str) -> None:
    """Make sure that the machine that held the lock last is gone: its clock may be another, so it is seen by what changes."""
    first = file.stat().st_mtime_ns
    if time.time() - first / 1e9 > _LONG_AGO_SECONDS:
        return
    _log.info("waiting whether another machine still has the data folder", host=before.host, seconds=_SILENT_SECONDS)
    until = time.monotonic() + _SILENT_SECONDS
    while time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        if file.stat().st_mtime_ns != first:
            raise _in_use(settings, before, part)


def _take(lock: IO[Any]) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _in_use(settings: Settings, holder: Holder | None, part: str) -> InstallationError:
    who = "another process" if holder is None else f"process {holder.pid} on {holder.host} (version {holder.version})"
    what = "serves" if part == API else "is the runner of"
    return InstallationError(
        f"{who} {what} the data folder {settings.data}; stop it first, or give this one another folder: "
        "only with HOUNSFIELD_DATABASE_URL do several servers work together"
    )
