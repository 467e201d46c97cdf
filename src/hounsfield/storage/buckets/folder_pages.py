"""Pages of the objects of a bucket folder, in the order of their keys, as S3 has them.

A folder is named with a slash at its end and sorts so: ``a.dcm`` comes before ``a/b.dcm``, whatever the file system says. Only
the folders that a page leads through are read, and of their files only those on the page are looked at closer.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from hounsfield.storage.buckets.bucket import BucketError, ListedObject, ObjectPage


@dataclass(frozen=True, slots=True, order=True)
class _Name:
    """A file or, with a slash at its end, a folder: its key, and where it is."""

    key: str
    path: str

    @property
    def is_folder(self) -> bool:
        return self.key.endswith("/")


def read_folder_page(folder: Path, prefix: str, *, by_folder: bool, after: str | None, limit: int) -> ObjectPage:
    """Read one page of the files below a folder.

    Parameters
    ----------
    folder : Path
        The folder that the last slash of the prefix leads to; there need not be one.
    prefix : str
        What the keys begin with.
    by_folder, after, limit
        See `hounsfield.storage.buckets.bucket.Bucket.read_page`; ``after`` is a key.

    Raises
    ------
    BucketError
        A folder cannot be read.
    """
    base = prefix[: prefix.rfind("/") + 1]
    if by_folder:
        names = heapq.nsmallest(limit + 1, (n for n in _names(folder, base, prefix) if after is None or n.key > after))
    else:
        names = list(islice(_files(folder, base, prefix, after or ""), limit + 1))
    end = names[limit - 1].key if len(names) > limit else None
    names = names[:limit]
    objects = [listed for name in names if not name.is_folder and (listed := _listed(name)) is not None]
    return ObjectPage(objects, [name.key for name in names if name.is_folder], end)


def _names(folder: Path | str, base: str, prefix: str) -> Iterator[_Name]:
    """Yield what is in a folder and begins with the prefix; links and special files are left out."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # A name that is no text still gets an entry, so that it is seen.
                key = base + os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                if not key.startswith(prefix):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield _Name(f"{key}/", entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield _Name(key, entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise BucketError(f"a folder of the bucket cannot be read: {error.strerror}") from error


def _files(folder: Path, base: str, prefix: str, after: str) -> Iterator[_Name]:
    """Yield all files below a folder whose keys begin with the prefix and come after another key, in their order."""
    open_folders = [iter(sorted(_names(folder, base, prefix)))]
    while open_folders:
        name = next(open_folders[-1], None)
        if name is None:
            open_folders.pop()
        elif not name.is_folder:
            if name.key > after:
                yield name
        elif name.key > after or after.startswith(name.key):
            open_folders.append(iter(sorted(_names(name.path, name.key, prefix))))


def _listed(name: _Name) -> ListedObject | None:
    """Return what is told of a file; None when it went away meanwhile."""
    try:
        status = os.lstat(name.path)
    except OSError:
        return None
    return ListedObject(name.key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
