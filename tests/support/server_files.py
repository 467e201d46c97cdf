"""What is in the files below a folder of a server that runs: it writes aside, renames and removes meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from support.servers import wait_for


def paths_below(folder: Path) -> Iterator[Path]:
    """Return folders and files below a folder; those that go while they are looked for may be among them."""
    for place, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            yield Path(place) / name


def kept_files(folder: Path) -> dict[Path, bytes]:
    """Read all files below a folder, again until none of them goes meanwhile: it would be there by another name."""

    def read() -> tuple[dict[Path, bytes]] | None:
        try:
            found = {
                path: path.read_bytes() for path in paths_below(folder) if path.is_file() and not path.is_symlink()
            }
        except FileNotFoundError:
            return None
        return (found,)

    return wait_for(read, "the files to stay while they are read")[0]
