"""Changes of a transaction, as the journal keeps them.

    a function that writes rows ─▶ note_*(connection, …)          what it touched, or the rows it began
    the transaction ends        ─▶ NotedChanges.read(connection)  rows as they stand: facts, nothing that can be made of others
                                ─▶ pack_changes                   one record, deflated where it is long

Rows of data stores, image sets, versions, tags and jobs are read back when the transaction ends, so that a record tells what
was written, whoever wrote it. What comes in with new instances is noted as it is written: nothing else is written as often.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson
from sqlalchemy import Connection, bindparam, select

from hounsfield.storage.db.database import NOTED_CHANGES
from hounsfield.storage.db.image_set_tables import datastores, image_set_versions, image_sets, tags
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.db.prepared import PreparedStatement

Change: TypeAlias = "list[Any]"
"""A kind (`ChangeKind`) and what belongs to it, as JSON."""


class ChangeKind:
    """Kinds of changes, with what follows the kind; a list of values is in the order of the tuple that is named."""

    ORIGIN: Final = "origin"
    """Nothing: the database begins here."""
    DATASTORE: Final = "datastore"
    """Values (`DATASTORE_FACTS`)."""
    IMAGE_SET: Final = "image-set"
    """Values (`IMAGE_SET_FACTS`)."""
    VERSION: Final = "version"
    """Values (`VERSION_FACTS`)."""
    EXTENDED: Final = "extended"
    """Image set, its latest version now, the time, and whether its index may be of the newest form."""
    BEGUN: Final = "begun"
    """Image set, data store, first version, last version or None, rows (`INSTANCE_FACTS`)."""
    ENDED: Final = "ended"
    """Last version, list of key and first version."""
    REPLACED: Final = "replaced"
    """Image set, last version, SOP Instance UIDs of the rows that end with it."""
    RELEASED: Final = "released"
    """Image set whose rows of instances go."""
    TAGS: Final = "tags"
    """ARN, all tags it has now."""
    JOB: Final = "job"
    """Values (`JOB_FACTS`)."""
    JOBS_FORGOTTEN: Final = "jobs-forgotten"
    """Ids."""
    ACCESSED: Final = "accessed"
    """Time of the last access by image set."""
    CHECKPOINT_END: Final = "checkpoint-end"
    """Nothing: all before it is the whole checkpoint."""
    TIER: Final = "tier"
    """Storage tier, image sets."""


DATASTORE_FACTS: Final = tuple(column.name for column in datastores.c if column.name != "wrapped_key")
"""The wrapped key itself stands beside the packs (`hounsfield.storage.keys.pack_keys`)."""
IMAGE_SET_FACTS: Final = (
    "id",
    "datastore_id",
    "is_primary",
    "state",
    "latest_version",
    "created_at",
    "updated_at",
    "deleted_at",
    "last_accessed_at",
    "storage_tier",
    "index_version",
)
VERSION_FACTS: Final = (
    "image_set_id",
    "version",
    "state",
    "workflow_status",
    "is_primary",
    "forced",
    "message",
    "created_at",
    "updated_at",
    "sealed_levels",
    "sealed_request",
)
INSTANCE_COLUMNS: Final = (
    "key",
    "source_key",
    "sop_uid",
    "sop_class_uid",
    "stored_transfer_syntax",
    "pixel_kind",
    "frame_count",
    "fragment_bytes",
    "pixel_bytes",
    "instance_number",
    "instance_order",
    "pixel_rows",
    "pixel_columns",
    "bits_allocated",
    "number_of_frames",
    "warning_reason",
    "performed_date",
    "performed_time",
    "timezone_offset",
)
INSTANCE_FACTS: Final = (*INSTANCE_COLUMNS, "fragment")
"""``source_key`` is None where it is the key. ``fragment`` tells which JSON an instance has where its source key has several:
None for that of the import, a digest (`fragment_digest`), or key and first version of a row that has the same."""
JOB_FACTS: Final = tuple(column.name for column in import_jobs.c if column.name != "scanned_at")
_VALUES: Final = INSTANCE_COLUMNS[2:]
_DEFLATE_FROM: Final = 16 * 1024
_PLAIN, _DEFLATED = b"\x00", b"\x01"


def _one(table: Any, names: Sequence[str], *keys: str) -> PreparedStatement:
    conditions = [table.c[key] == bindparam(f"the_{key}") for key in keys]
    return PreparedStatement(select(*(table.c[name] for name in names)).where(*conditions))


_DATASTORE: Final = _one(datastores, DATASTORE_FACTS, "id")
_IMAGE_SET: Final = _one(image_sets, IMAGE_SET_FACTS, "id")
_VERSION: Final = _one(image_set_versions, VERSION_FACTS, "image_set_id", "version")
_VERSIONS: Final = _one(image_set_versions, VERSION_FACTS, "image_set_id")
_TAGS: Final = _one(tags, ("tag_key", "tag_value"), "resource_arn")
_JOB: Final = _one(import_jobs, JOB_FACTS, "id")


@dataclass(slots=True)
class NotedChanges:
    """What a transaction has touched.

    Attributes
    ----------
    datastores, jobs, tags : dict of str to None
        Ids and ARNs, in their order.
    image_sets : dict of str to set of int or None
        Versions that were touched of each image set; None for all it has.
    others : list of Change
        What is noted as it is written.
    """

    datastores: dict[str, None] = field(default_factory=dict)
    jobs: dict[str, None] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    image_sets: dict[str, set[int] | None] = field(default_factory=dict)
    others: list[Change] = field(default_factory=list)

    def read(self, connection: Connection) -> list[Change]:
        """Return the changes, with the rows that were touched as the transaction sees them now."""
        found: list[Change] = []
        for name in self.datastores:
            rows = _DATASTORE.rows(connection, {"the_id": name})
            found += ([ChangeKind.DATASTORE, list(row)] for row in rows)
        for name in self.image_sets:
            found += ([ChangeKind.IMAGE_SET, list(row)] for row in _IMAGE_SET.rows(connection, {"the_id": name}))
        found += self.others
        for name, versions in self.image_sets.items():
            if versions is None:
                rows = _VERSIONS.rows(connection, {"the_image_set_id": name})
            else:
                given = ({"the_image_set_id": name, "the_version": version} for version in sorted(versions))
                rows = [row for parameters in given for row in _VERSION.rows(connection, parameters)]
            found += ([ChangeKind.VERSION, version_values(row)] for row in rows)
        for arn in self.tags:
            rows = _TAGS.rows(connection, {"the_resource_arn": arn})
            found.append([ChangeKind.TAGS, arn, {row.tag_key: row.tag_value for row in rows}])
        for name in self.jobs:
            found += ([ChangeKind.JOB, list(row)] for row in _JOB.rows(connection, {"the_id": name}))
        return found


def version_values(row: Any) -> list[Any]:
    """Return a row of a version, in the order of `VERSION_FACTS`, with bytes as text."""
    return [b64encode(value).decode() if isinstance(value, (bytes, memoryview)) else value for value in row]


def instance_values(row: Mapping[str, Any], fragment: object = None) -> list[Any]:
    """Return a row of an instance in the order of `INSTANCE_FACTS`."""
    key, source_key = row["key"], row["source_key"]
    return [key, None if source_key == key else source_key, *[row[name] for name in _VALUES], fragment]


def fragment_digest(fragment: bytes) -> str:
    """Return what tells the JSON of an edited instance from all others of its source key."""
    return hashlib.sha256(fragment).hexdigest()[:32]


def _noted(connection: Connection) -> NotedChanges:
    noted: NotedChanges | None = connection.info.get(NOTED_CHANGES)
    if noted is None:
        noted = connection.info[NOTED_CHANGES] = NotedChanges()
    return noted


def note_datastore(connection: Connection, datastore_id: str) -> None:
    """Note that the row of a data store was written."""
    _noted(connection).datastores[datastore_id] = None


def note_job(connection: Connection, job_id: str) -> None:
    """Note that the row of an import job was written."""
    _noted(connection).jobs[job_id] = None


def note_tags(connection: Connection, arn: str) -> None:
    """Note that tags of a resource were written or removed."""
    _noted(connection).tags[arn] = None


def note_image_set(connection: Connection, image_set_id: str, version: int | None = None) -> None:
    """Note that the row of an image set was written, and with ``version`` that of a version too."""
    versions = _noted(connection).image_sets.setdefault(image_set_id, set())
    if versions is not None and version is not None:
        versions.add(version)


def note_made(connection: Connection, row: Mapping[str, Any]) -> None:
    """Note the row of an image set that was written."""
    _noted(connection).others.append([ChangeKind.IMAGE_SET, [row.get(name) for name in IMAGE_SET_FACTS]])


def note_extended(connection: Connection, image_set_id: str, version: int, now: int, *, indexed: bool) -> None:
    """Note that instances came into an image set with a version.

    Parameters
    ----------
    connection : Connection
        The transaction.
    image_set_id : str
        Which image set.
    version : int
        Its latest version now.
    now : int
        When it was updated, and accessed, in milliseconds since 1970-01-01 UTC.
    indexed : bool
        Whether what came is in the newest form of the index.
    """
    _noted(connection).others.append([ChangeKind.EXTENDED, image_set_id, version, now, indexed])


def note_version(connection: Connection, row: Mapping[str, Any]) -> None:
    """Note the row of a version that was written."""
    _noted(connection).others.append([ChangeKind.VERSION, version_values([row.get(name) for name in VERSION_FACTS])])


def note_all_versions(connection: Connection, image_set_id: str) -> None:
    """Note that the row of an image set was written, and those of all its versions."""
    _noted(connection).image_sets[image_set_id] = None


def note_begun(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    first_version: int,
    last_version: int | None,
    fragments: Sequence[object] | None = None,
) -> None:
    """Note rows of instances that were written.

    Parameters
    ----------
    connection : Connection
        The transaction.
    rows : Sequence of Mapping
        The rows, all of one image set.
    first_version, last_version : int, int or None
        From when to when they are valid.
    fragments : Sequence or None
        Which JSON each has, as `INSTANCE_FACTS` tells; None where each has that of its import.
    """
    if not rows:
        return
    given = [None] * len(rows) if fragments is None else fragments
    values = [instance_values(row, fragment) for row, fragment in zip(rows, given, strict=True)]
    place = (rows[0]["image_set_id"], rows[0]["datastore_id"])
    _noted(connection).others.append([ChangeKind.BEGUN, *place, first_version, last_version, values])


def note_ended(connection: Connection, last_version: int, rows: Iterable[tuple[str, int]]) -> None:
    """Note rows of instances, by key and first version, that end with a version."""
    ended = [list(row) for row in rows]
    if ended:
        _noted(connection).others.append([ChangeKind.ENDED, last_version, ended])


def note_replaced(connection: Connection, image_set_id: str, last_version: int, sop_uids: Iterable[str]) -> None:
    """Note that the valid rows of instances of an image set end with a version."""
    _noted(connection).others.append([ChangeKind.REPLACED, image_set_id, last_version, list(sop_uids)])


def note_released(connection: Connection, image_set_id: str) -> None:
    """Note that an image set has no rows of instances any more."""
    note_all_versions(connection, image_set_id)
    _noted(connection).others.append([ChangeKind.RELEASED, image_set_id])


def note_jobs_forgotten(connection: Connection, job_ids: Iterable[str]) -> None:
    """Note that import jobs were removed."""
    _noted(connection).others.append([ChangeKind.JOBS_FORGOTTEN, list(job_ids)])


def note_accessed(connection: Connection, moments: Mapping[str, int]) -> None:
    """Note when image sets were accessed last."""
    if moments:
        _noted(connection).others.append([ChangeKind.ACCESSED, dict(moments)])


def note_tier(connection: Connection, tier: str, image_set_ids: Iterable[str]) -> None:
    """Note the storage tier of image sets."""
    moved = list(image_set_ids)
    if moved:
        _noted(connection).others.append([ChangeKind.TIER, str(tier), moved])


def pack_changes(changes: Sequence[Change], wall_ms: int, steady_ms: int) -> bytes:
    """Return the content of a record."""
    text = orjson.dumps({"w": wall_ms, "s": steady_ms, "c": changes})
    return _PLAIN + text if len(text) < _DEFLATE_FROM else _DEFLATED + zlib.compress(text, 1)


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """What one transaction changed.

    Attributes
    ----------
    sequence : int
        Its place among all records of the installation: of two that change the same thing, the later one has the higher.
    wall_ms, steady_ms : int
        When it was made, in milliseconds since 1970-01-01 UTC by the wall clock, and by the clock of the installation.
    changes : list of Change
        The changes, in the order in which they are made again.
    """

    sequence: int
    wall_ms: int
    steady_ms: int
    changes: list[Change]

    @classmethod
    def unpack(cls, sequence: int, content: bytes) -> ChangeRecord:
        """Read what `pack_changes` gave; ValueError for anything else."""
        kind, text = content[:1], content[1:]
        if kind not in (_PLAIN, _DEFLATED):
            raise ValueError("the content is of an unknown kind")
        try:
            found = orjson.loads(text if kind == _PLAIN else zlib.decompress(text))
            return cls(sequence, int(found["w"]), int(found["s"]), list(found["c"]))
        except (zlib.error, KeyError, TypeError) as error:
            raise ValueError("the content is no record") from error
