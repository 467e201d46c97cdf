"""Manifests: what a generation of a backup consists of, written last. A generation without one does not exist.

parts written ─▶ durable ─▶ manifest.json: names, sizes, checksums, counts, code over all of it
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from hounsfield.imaging.backup.errors import BackupDamagedError, BackupError
from hounsfield.imaging.backup.place import BackupPlace, ObjectDigest
from hounsfield.imaging.backup.sealed_objects import BackupKey
from hounsfield.storage.identifiers import new_id

FORMAT: Final = "hounsfield backup"
VERSION: Final = 1
MARK: Final = "backup.json"
"""Name of the object that says whose backup a place holds."""
GENERATIONS: Final = "generations"
_MANIFEST: Final = "manifest.json"
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_TIME: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class BackupMark:
    """Whose backup a place holds.

    Attributes
    ----------
    backup : str
        Id of the backup, made with the place.
    installation : str
        Id of the installation, which tells it from all others.
    """

    backup: str
    installation: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation consists of.

    Attributes
    ----------
    generation : str
        Its name, which begins with its time.
    backup, installation : str
        Whose it is.
    software : str
        Version of Hounsfield that wrote it.
    schema : str
        Revision of the tables.
    engine : str
        Database it was written from, ``sqlite`` or ``postgresql``.
    moment : int
        The time of the snapshot, in milliseconds since 1970-01-01 UTC.
    steady : int
        The same by the time of the installation (`hounsfield.storage.db.steady_clock`).
    keys : str
        Name of the object of the master keys.
    wrapped_key : bytes
        Key of the backup, wrapped by the master key.
    rows : Mapping of str to int
        Rows of each table.
    tables, pack_lists : Mapping of str to ObjectDigest
        Objects that hold them.
    grown, files : Mapping of str to ObjectDigest
        Objects that list the parts of files that only grow, and that hold small files; at most one each.
    packs, pack_bytes : int
        Packs of the generation, and their bytes.
    lost : int
        Packs that rows name and that were nowhere to be found.
    """

    generation: str
    backup: str
    installation: str
    software: str
    schema: str
    engine: str
    moment: int
    steady: int
    keys: str
    wrapped_key: bytes
    rows: Mapping[str, int]
    tables: Mapping[str, ObjectDigest]
    pack_lists: Mapping[str, ObjectDigest]
    grown: Mapping[str, ObjectDigest]
    files: Mapping[str, ObjectDigest]
    packs: int
    pack_bytes: int
    lost: int

    @property
    def time(self) -> datetime:
        """The time in its name."""
        return generation_time(self.generation)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as a JSON document, without its code."""
        return {
            "format": FORMAT,
            "version": VERSION,
            **asdict(self),
            "wrapped_key": b64encode(self.wrapped_key).decode(),
        }


def new_generation() -> str:
    """Return the name of a generation that begins now; names sort by time, within a second by its thousandths."""
    now = datetime.now(UTC)
    return f"{now.strftime(_TIME)}-{now.microsecond // 1000:03x}{secrets.randbits(20):05x}"


def generation_time(generation: str) -> datetime:
    """Return when a generation began."""
    return datetime.strptime(generation.partition("-")[0], _TIME).replace(tzinfo=UTC)


def manifest_name(generation: str) -> str:
    """Return the name of the manifest of a generation."""
    return f"{GENERATIONS}/{generation}/{_MANIFEST}"


def list_generations(place: BackupPlace) -> tuple[list[str], list[str]]:
    """Return the generations of a place that are complete, and those that have no manifest, each oldest first."""
    complete: set[str] = set()
    begun: set[str] = set()
    for name in place.sizes(f"{GENERATIONS}/"):
        _, generation, *rest = name.split("/")
        if _NAME.fullmatch(generation):
            (complete if rest == [_MANIFEST] else begun).add(generation)
    return sorted(complete), sorted(begun - complete)


def read_mark(place: BackupPlace) -> BackupMark | None:
    """Return whose backup a place holds; None where it holds none.

    Raises
    ------
    BackupDamagedError
        The mark is not as it was written.
    BackupError
        A newer version wrote it.
    """
    if not place.has(MARK):
        return None
    content = _parse(place.read(MARK), MARK)
    try:
        return BackupMark(str(content["backup"]), str(content["installation"]))
    except KeyError as error:
        raise BackupDamagedError(f"{MARK} of {place.name} is damaged") from error


def write_mark(place: BackupPlace, installation: str) -> BackupMark:
    """Mark an empty place as that of the backups of an installation."""
    mark = BackupMark(new_id(), installation)
    content = {"format": FORMAT, "version": VERSION, **asdict(mark)}
    place.write(MARK, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return mark


def write_manifest(place: BackupPlace, manifest: Manifest, key: BackupKey) -> None:
    """Write a manifest, by which the generation comes to exist."""
    content = manifest.to_json()
    document = {**content, "code": key.code(_authenticated(content))}
    place.write(manifest_name(manifest.generation), orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))


def read_manifest(place: BackupPlace, generation: str, key: BackupKey | None = None) -> Manifest:
    """Read a manifest, and check its code where the key is at hand.

    Raises
    ------
    BackupIncompleteError
        There is none.
    BackupDamagedError
        It is not as it was written.
    BackupError
        A newer version wrote it.
    """
    name = manifest_name(generation)
    content = _parse(place.read(name), name)
    code = str(content.pop("code", ""))
    if key is not None and not secrets.compare_digest(key.code(_authenticated(content)), code):
        raise BackupDamagedError(f"{name} of the backup was changed, or is of another backup")
    try:
        parts = {
            part: {
                str(each): ObjectDigest(int(entry["size"]), str(entry["sha256"]))
                for each, entry in content[part].items()
            }
            for part in ("tables", "pack_lists", "grown", "files")
        }
        values = {field: content[field] for field in Manifest.__slots__ if field not in parts}
        found = Manifest(**{**values, **parts, "wrapped_key": b64decode(values["wrapped_key"], validate=True)})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BackupDamagedError(f"{name} of the backup is damaged") from error
    if found.generation != generation:
        raise BackupDamagedError(f"{name} of the backup is that of another generation")
    return found


def _parse(document: bytes, name: str) -> dict[str, Any]:
    try:
        content = orjson.loads(document)
        kind, version = content.pop("format"), content.pop("version")
    except (AttributeError, KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise BackupDamagedError(f"{name} of the backup is damaged") from error
    if kind != FORMAT:
        raise BackupDamagedError(f"{name} is no part of a backup of Hounsfield")
    if version != VERSION:
        raise BackupError(f"{name} is of version {version}, this Hounsfield reads {VERSION}; use the one that wrote it")
    return dict(content)


def _authenticated(content: Mapping[str, Any]) -> bytes:
    bare = {name: value for name, value in content.items() if name not in {"format", "version", "code"}}
    return orjson.dumps([FORMAT, VERSION, bare], option=orjson.OPT_SORT_KEYS)
