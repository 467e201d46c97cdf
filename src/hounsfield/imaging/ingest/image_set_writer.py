"""The writer of image set versions: a plan becomes rows, in the transaction of the caller.

ExistingImageSets (read) ─▶ group_instances (pure) ─▶ PlannedVersion (ids, versions, contents) ─▶ write_versions (rows)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.healthimaging.record import Grouping
from hounsfield.imaging.frame_runs import run_row
from hounsfield.imaging.grouping_keys import SeriesKey, variant_of
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.ingest.content import ImageSetContent, KnownSizes, compute_content
from hounsfield.imaging.ingest.grouping import Assignment, Destination, ExistingImageSets, PrimaryImageSet
from hounsfield.imaging.instance_columns import InstanceColumns, read_columns
from hounsfield.imaging.levels import index_entry
from hounsfield.imaging.quotas import exceeds
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.imaging.study_rows import INDEX_VERSION, refresh_series, refresh_studies
from hounsfield.imaging.tag_index import follow_image_sets
from hounsfield.imaging.version_rows import VersionRow, insert_version_row
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import frame_runs, image_sets, instances
from hounsfield.storage.db.prepared import PreparedStatement, PreparedValueStatement
from hounsfield.storage.journal.changes import note_begun, note_extended, note_made, note_replaced
from hounsfield.storage.keys.data_key import DataKey

_GROUPING: Final = tuple(image_sets.c[field.name] for field in fields(Grouping))
_PRIMARIES: Final = PreparedValueStatement(
    lambda studies: select(image_sets.c.id, image_sets.c.latest_version, image_sets.c.state, *_GROUPING).where(
        image_sets.c.datastore_id == bindparam("datastore"),
        image_sets.c.study_uid.in_(studies),
        image_sets.c.is_primary,
        image_sets.c.deleted_at.is_(None),
    )
)
_OWNERS: Final = PreparedValueStatement(
    lambda uids: (
        select(instances.c.sop_uid, image_sets.c.study_uid, image_sets.c.series_uid)
        .join(image_sets, image_sets.c.id == instances.c.image_set_id)
        .where(
            instances.c.datastore_id == bindparam("datastore"),
            instances.c.sop_uid.in_(uids),
            instances.c.last_version.is_(None),
            image_sets.c.is_primary,
            image_sets.c.deleted_at.is_(None),
        )
    )
)
_EXTEND: Final = PreparedStatement(
    update(image_sets).where(image_sets.c.id == bindparam("image_set")),
    [
        "latest_version",
        "updated_at",
        "last_accessed_at",
        "storage_tier",
        "instance_count",
        "frame_count",
        "stored_bytes",
    ],
)
"""Without what is searched by: SQLite writes the entries of all indexes that a statement names a column of, changed or not."""
_INSERT_INSTANCES: Final = PreparedStatement(insert(instances), [column.name for column in instances.c])
_INDEX_COLUMNS: Final = tuple(field.name for field in fields(InstanceColumns))
_INSERT_RUNS: Final = PreparedStatement(insert(frame_runs), [column.name for column in frame_runs.c])


@dataclass(frozen=True, slots=True)
class PlannedVersion:
    """An assignment with its image set id and version fixed, and what the image set has by it."""

    assignment: Assignment
    destination: Destination
    content: ImageSetContent


def read_existing_image_sets(
    connection: Connection, datastore_id: str, staged: Sequence[StagedInstance]
) -> ExistingImageSets:
    """Read what the data store holds that matters to the staged instances."""
    studies = sorted({instance.grouping.study_uid for instance in staged})
    primaries: dict[SeriesKey, PrimaryImageSet] = {}
    for some in in_groups(studies):
        for row in _PRIMARIES.rows(connection, some, {"datastore": datastore_id}):
            image_set_id, version, state, *grouping = row
            locked = state == ImageSetState.LOCKED
            primary = PrimaryImageSet(image_set_id, version, variant_of(Grouping(*grouping)), locked)
            primaries[SeriesKey(row.study_uid, row.series_uid)] = primary
    return ExistingImageSets(primaries, _read_owners(connection, datastore_id, staged))


def _read_owners(connection: Connection, datastore_id: str, staged: Sequence[StagedInstance]) -> dict[str, SeriesKey]:
    owners: dict[str, SeriesKey] = {}
    for some in in_groups(sorted({instance.sop_uid for instance in staged})):
        rows = _OWNERS.rows(connection, some, {"datastore": datastore_id})
        owners.update({row.sop_uid: SeriesKey(row.study_uid, row.series_uid) for row in rows})
    return owners


def find_denied(
    connection: Connection, access: ImageSetAccess, datastore_id: str, plan: Sequence[Assignment]
) -> list[int]:
    """List the instances of a plan that would go into image sets which are there already and which the caller is denied."""
    if not access.is_limited:
        return []
    there = {assignment.extends.image_set_id for assignment in plan if assignment.extends is not None}
    denied = access.denied(connection, datastore_id, there)
    return [
        ordinal
        for assignment in plan
        if assignment.extends is not None and assignment.extends.image_set_id in denied
        for ordinal in (*assignment.ordinals, *assignment.superseded)
    ]


def plan_versions(
    connection: Connection,
    key: DataKey,
    plan: Sequence[Assignment],
    staged: Mapping[int, StagedInstance],
    job_id: str,
    sizes: KnownSizes,
) -> list[PlannedVersion]:
    """Fix ids, versions and contents: a new set begins with version 1, an existing one gets its next version.

    The id of a new set follows from the job and its first file, so that whoever writes the output files of a job, also one
    that lost its lease without knowing, writes the same.

    Parameters
    ----------
    connection : Connection
        Sees what the plan was made from.
    key : DataKey
        The key of the data store.
    plan : Sequence of Assignment
        Where the instances go.
    staged : Mapping of int to StagedInstance
        The instances by file ordinal.
    job_id : str
        What is particular to the job or request.
    sizes : KnownSizes
        What is remembered of image sets.
    """
    versions = []
    for assignment in plan:
        primary = assignment.extends
        if primary is None:
            name = f"{job_id}:{assignment.ordinals[0]}:{assignment.is_primary}"
            image_set_id, version = hashlib.sha256(name.encode()).hexdigest()[:32], 1
        else:
            image_set_id, version = primary.image_set_id, primary.version + 1
        destination = Destination(
            image_set_id, version, assignment.is_primary, assignment.ordinals, assignment.superseded
        )
        versions.append(
            PlannedVersion(assignment, destination, compute_content(connection, key, assignment, staged, sizes))
        )
    return versions


def write_versions(
    connection: Connection,
    key: DataKey,
    versions: Sequence[PlannedVersion],
    staged: Mapping[int, StagedInstance],
) -> None:
    """Write image set versions with their instances and frames, and bring the studies they belong to up to date."""
    study_uids: set[str] = set()
    for planned in versions:
        _write_version(connection, key, planned, staged)
        if planned.destination.is_primary:
            study_uids.add(planned.assignment.series.study_uid)
    refresh_series(connection, [planned.destination.image_set_id for planned in versions])
    follow_image_sets(
        connection, [entry.destination.image_set_id for entry in versions if entry.assignment.extends is not None]
    )
    refresh_studies(connection, key.datastore_id, study_uids)


def _write_version(
    connection: Connection, key: DataKey, planned: PlannedVersion, staged: Mapping[int, StagedInstance]
) -> None:
    entering = [staged[ordinal] for ordinal in planned.assignment.ordinals]
    if planned.assignment.extends is None:
        _insert_image_set(connection, key, planned, entering)
    else:
        _extend_image_set(connection, key, planned, entering)
    version = planned.destination.version
    _insert_instances(connection, key.datastore_id, planned.destination, entering, last_version=None)
    # A file that another of its job replaced is in no version, but its packs must be known, to go with the image set.
    replaced = [staged[ordinal] for ordinal in planned.assignment.superseded]
    _insert_instances(connection, key.datastore_id, planned.destination, replaced, last_version=version - 1)


def _insert_image_set(
    connection: Connection, key: DataKey, planned: PlannedVersion, entering: Sequence[StagedInstance]
) -> None:
    now = now_ms()
    destination, content = planned.destination, planned.content
    row = {
        "id": destination.image_set_id,
        "datastore_id": key.datastore_id,
        "is_primary": destination.is_primary,
        "state": ImageSetState.ACTIVE,
        "latest_version": destination.version,
        "created_at": now,
        "updated_at": now,
        "last_accessed_at": now,
        "storage_tier": StorageTier.FREQUENT_ACCESS,
        "instance_count": content.count,
        "frame_count": content.frames,
        "stored_bytes": content.stored_bytes,
        "index_version": INDEX_VERSION if _are_indexed(entering) else 0,
        **asdict(index_entry(content.levels)),
    }
    connection.execute(insert(image_sets).values(row))
    note_made(connection, row)
    _insert_version(
        connection, key, destination, WorkflowStatus.CREATED, content.levels, created_at=now, updated_at=None
    )


def _extend_image_set(
    connection: Connection, key: DataKey, planned: PlannedVersion, entering: Sequence[StagedInstance]
) -> None:
    now = now_ms()
    destination, content = planned.destination, planned.content
    if content.replaces:
        current = (instances.c.image_set_id == destination.image_set_id, instances.c.last_version.is_(None))
        for some in in_groups([instance.sop_uid for instance in entering]):
            connection.execute(
                update(instances)
                .where(*current, instances.c.sop_uid.in_(some))
                .values(last_version=destination.version - 1)
            )
            note_replaced(connection, destination.image_set_id, destination.version - 1, some)
    changed = {
        "latest_version": destination.version,
        "updated_at": now,
        "last_accessed_at": now,
        "storage_tier": StorageTier.FREQUENT_ACCESS.value,
        "instance_count": content.count,
        "frame_count": content.frames,
        "stored_bytes": content.stored_bytes,
    }
    if _are_indexed(entering) and _keeps_search_columns(content):
        _EXTEND.run(connection, {**changed, "image_set": destination.image_set_id})
    else:
        connection.execute(
            update(image_sets)
            .where(image_sets.c.id == destination.image_set_id)
            .values(
                **changed,
                index_version=image_sets.c.index_version if _are_indexed(entering) else 0,
                **asdict(index_entry(content.levels)),
            )
        )
    note_extended(connection, destination.image_set_id, destination.version, now, indexed=_are_indexed(entering))
    created_at = now if content.created_at is None else content.created_at
    _insert_version(
        connection,
        key,
        destination,
        WorkflowStatus.IMPORTED,
        content.levels,
        created_at=created_at,
        updated_at=now,
    )


def _keeps_search_columns(content: ImageSetContent) -> bool:
    """Return whether what an image set is searched by is what it was in its version before."""
    before, after = content.levels_before, content.levels
    return before is not None and (before == after or index_entry(before) == index_entry(after))


def _insert_version(
    connection: Connection,
    key: DataKey,
    destination: Destination,
    status: WorkflowStatus,
    levels: Levels,
    *,
    created_at: int,
    updated_at: int | None,
) -> None:
    version = VersionRow(
        image_set_id=destination.image_set_id,
        version=destination.version,
        state=ImageSetState.ACTIVE,
        workflow_status=status,
        is_primary=destination.is_primary,
        created_at=created_at,
        updated_at=updated_at,
    )
    insert_version_row(connection, key, version, levels)


def _insert_instances(
    connection: Connection,
    datastore_id: str,
    destination: Destination,
    entering: Sequence[StagedInstance],
    *,
    last_version: int | None,
) -> None:
    if not entering:
        return
    rows = [
        {
            "key": instance.key,
            "image_set_id": destination.image_set_id,
            "datastore_id": datastore_id,
            "sop_uid": instance.sop_uid,
            "sop_class_uid": instance.sop_class_uid,
            "first_version": destination.version,
            "last_version": last_version,
            "source_key": instance.key,
            "stored_transfer_syntax": instance.stored_transfer_syntax,
            "pixel_kind": instance.pixel_kind.value,
            "frame_count": instance.frame_count,
            "fragment_pack_id": instance.pack_id,
            "fragment_offset": instance.fragment.offset,
            "fragment_length": instance.fragment.length,
            "dataset_pack_id": instance.pack_id,
            "dataset_offset": instance.dataset.offset,
            "dataset_length": instance.dataset.length,
            "fragment_bytes": instance.fragment_bytes,
            "pixel_bytes": instance.pixel_bytes,
            **_index_columns(instance.index or read_columns({})),
        }
        for instance in entering
    ]
    _INSERT_INSTANCES.run_each(connection, rows)
    note_begun(connection, rows, destination.version, last_version)
    runs = [
        run_row(instance.key, run.first_ordinal, run.pack_id, run.first_offset, run.lengths)
        for instance in entering
        for run in instance.runs
    ]
    if runs:
        _INSERT_RUNS.run_each(connection, runs)


def _index_columns(index: InstanceColumns) -> dict[str, object]:
    return {name: getattr(index, name) for name in _INDEX_COLUMNS}


def _are_indexed(entering: Sequence[StagedInstance]) -> bool:
    return all(instance.index is not None for instance in entering)


def find_oversized(versions: Iterable[PlannedVersion], quota: int) -> dict[int, str]:
    """Find the files that would make the metadata of their image set too large; nothing of them is taken in.

    Parameters
    ----------
    versions : Iterable of PlannedVersion
        Where instances are to go, and what the image sets then have.
    quota : int
        Bytes that the metadata document of an image set may have, before compression.

    Returns
    -------
    dict of int to str
        The reason by file ordinal.
    """
    reasons: dict[int, str] = {}
    for planned in versions:
        size, assignment = planned.content.metadata_bytes, planned.assignment
        if exceeds(size, quota):
            reason = f"The metadata of the image set would have {size} bytes, the quota is {quota}"
            reasons.update(dict.fromkeys((*assignment.ordinals, *assignment.superseded), reason))
    return reasons
