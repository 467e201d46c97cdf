"""Durable files: write aside, fsync, rename, fsync the folder."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where there is no room for what is written; it passes once there is."""

REFUSING_ERRNOS: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE})
"""What the system says where it lets nothing be written or opened, as a disk that became read-only after an error."""

_known: set[Path] = set()
_SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
_FEW_SHARDS: Final = 8


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder_durably(folder: Path, mode: int = 0o700) -> None:
    """Make ``folder`` and its missing parents, each name durable."""
    if folder.is_dir():
        if folder not in _known:
            # Whoever made it may have died before its name was durable.
            sync_folder(folder.parent)
            _known.add(folder)
        return
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for path in reversed(missing):
        path.mkdir(mode=mode, exist_ok=True)
        sync_folder(path.parent)


def make_shard_durably(folder: Path) -> None:
    """Make one of the 256 folders, ``00`` to ``ff``, that the files of its parent are spread over, its name durable.

    A parent with more than a few of them gets them all, with one fsync instead of one for each.

    Parameters
    ----------
    folder : Path
        The one that is needed; any other folder is made as `make_folder_durably` makes it.
    """
    if folder in _known and folder.is_dir():
        return
    parent = folder.parent
    if folder.name not in _SHARDS or not parent.is_dir() or len(list(parent.iterdir())) <= _FEW_SHARDS:
        make_folder_durably(folder)
        return
    make_folder_durably(parent)
    shards = [parent / name for name in _SHARDS]
    for shard in shards:
        shard.mkdir(mode=0o700, exist_ok=True)
    sync_folder(parent)
    _known.update(shards)


def keep_private(folder: Path) -> None:
    """Take a folder, and so everything in it, away from other users of the machine where they have it.

    Raises
    ------
    PermissionError
        The folder is another user's.
    """
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        folder.chmod(mode & 0o700)


def write_file_durably(path: Path, data: bytes, mode: int = 0o600, *, replace: bool = True) -> None:
    """Write a whole file so that it is either absent or complete, also after a crash.

    With ``replace=False`` an existing file wins, so that several processes may make the same file for the first time.
    """
    make_folder_durably(path.parent)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            aside.replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
            aside.unlink()
        sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)
