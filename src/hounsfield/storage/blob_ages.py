"""When blobs were written, for finding those that nobody came to need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import obstore

from hounsfield.storage.blobs import BlobPlace
from hounsfield.storage.clock import to_ms


def names_older_than(place: BlobPlace, prefix: str, moment_ms: int) -> Iterator[str]:
    """List the blobs below the folder ``prefix`` that were written before a moment.

    Parameters
    ----------
    place : BlobPlace
        Where the blobs are.
    prefix : str
        Folder, with or without a slash at its end.
    moment_ms : int
        Milliseconds since 1970-01-01 UTC.

    Returns
    -------
    Iterator[str]
        Names of blobs; in a folder also of files that were left behind before it was committed.
    """
    if place.folder is not None:
        return _in_folder(Path(place.folder), prefix, moment_ms)
    return _in_store(place.object_store(), prefix, moment_ms)


def _in_folder(root: Path, prefix: str, moment_ms: int) -> Iterator[str]:
    for folder, _, files in os.walk(root / prefix):
        for file in files:
            path = Path(folder) / file
            try:
                written_ms = path.stat().st_mtime_ns // 1_000_000
            except FileNotFoundError:
                continue
            if written_ms < moment_ms:
                yield str(path.relative_to(root))


def _in_store(store: obstore.store.ObjectStore, prefix: str, moment_ms: int) -> Iterator[str]:
    for page in obstore.list(store, prefix=prefix):
        yield from (entry["path"] for entry in page if to_ms(entry["last_modified"]) < moment_ms)
