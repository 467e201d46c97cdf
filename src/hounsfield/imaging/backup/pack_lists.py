"""Lists of packs of a generation: name, size and code of each, in sealed objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from hounsfield.imaging.backup.errors import BackupDamagedError
from hounsfield.imaging.backup.manifests import GENERATIONS
from hounsfield.imaging.backup.place import BackupPlace, ObjectDigest, PackDigest
from hounsfield.imaging.backup.sealed_objects import BackupKey

_FOLDER: Final = "packs"


def list_name(generation: str, number: int) -> str:
    """Return the name of a list of packs."""
    return f"{GENERATIONS}/{generation}/{_FOLDER}/{number:06d}"


def write_pack_list(place: BackupPlace, key: BackupKey, name: str, packs: Mapping[str, PackDigest]) -> ObjectDigest:
    """Write a list of packs."""
    entries = [[pack, written.size, written.code] for pack, written in packs.items()]
    return place.write(name, key.seal(orjson.dumps(entries), name), durable=False)


def read_pack_list(place: BackupPlace, key: BackupKey, name: str) -> Iterator[tuple[str, PackDigest]]:
    """Yield the packs of a list; raises `BackupDamagedError` and `BackupIncompleteError`."""
    return parse_pack_list(key.open(place.read(name), name), name)


def parse_pack_list(text: bytes, name: str) -> Iterator[tuple[str, PackDigest]]:
    """Yield the packs of the list of a name, which was opened; raises `BackupDamagedError`."""
    try:
        for pack, size, code in orjson.loads(text):
            yield pack, PackDigest(size, code)
    except (TypeError, ValueError) as error:
        raise BackupDamagedError(f"{name} of the backup is not of its form") from error


def find_pack_lists(place: BackupPlace, generation: str) -> list[str]:
    """Return the names of the lists of a generation that may not be complete."""
    return sorted(place.sizes(f"{GENERATIONS}/{generation}/{_FOLDER}/"))
