"""Snapshots of image sets: all their rows, as one state of the database has them."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.copy import COPY_IMAGE_SET
from hounsfield.imaging.imagesets.delete import DELETE_IMAGE_SET
from hounsfield.imaging.imagesets.release_storage import RELEASE_IMAGE_SET
from hounsfield.imaging.imagesets.update import UPDATE_IMAGE_SET
from hounsfield.imaging.staged_instance import FrameRun
from hounsfield.imaging.study_rows import SeriesDetails, read_series_details
from hounsfield.imaging.tags import tags_of_image_sets
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import frame_runs, image_set_versions, image_sets, instances
from hounsfield.storage.db.job_tables import work_items
from hounsfield.storage.db.study_tables import studies
from hounsfield.storage.db.tag_table import image_set_tags

_WORK: Final = (UPDATE_IMAGE_SET, COPY_IMAGE_SET, DELETE_IMAGE_SET, RELEASE_IMAGE_SET)


@dataclass(frozen=True, slots=True)
class ImageSetSnapshot:
    """The rows of an image set.

    Attributes
    ----------
    row : Row
        Of the table of image sets.
    versions : Sequence of Row
        By version.
    instances : Sequence of Row
        Of all versions.
    runs : Mapping of str to tuple of FrameRun
        Of the pixel data, by source key.
    foreign_keys : frozenset of str
        Source keys whose records another image set answers for, because they were written for it.
    series : SeriesDetails
        What its first instance says of the series.
    tags : Mapping of str to str
        Its tags.
    indexed_tags : Sequence of Row
        Its rows in the index of tags.
    study_updated_at : int or None
        When the row of its study was changed; None where there is none.
    twice : int
        How many of its current instances are in another primary image set too; 0 for one that is not primary.
    work : frozenset of str
        Kinds of work that wait for it.
    any_work : frozenset of str
        Kinds of work that wait for any image set.
    """

    row: Row[Any]
    versions: Sequence[Row[Any]]
    instances: Sequence[Row[Any]]
    runs: Mapping[str, tuple[FrameRun, ...]]
    foreign_keys: frozenset[str]
    series: SeriesDetails
    tags: Mapping[str, str]
    indexed_tags: Sequence[Row[Any]]
    study_updated_at: int | None
    twice: int
    work: frozenset[str]
    any_work: frozenset[str]


def read_snapshots(
    connection: Connection, image_store: ImageStore, datastore_id: str, image_set_ids: Sequence[str]
) -> list[ImageSetSnapshot]:
    """Read the rows of image sets, those of them that are there, in the order of their ids.

    Parameters
    ----------
    connection : Connection
        From `hounsfield.storage.db.database.Database.read_snapshot`.
    image_store : ImageStore
        For the names of tags.
    datastore_id : str
        Data store of all of them.
    image_set_ids : Sequence of str
        At most some hundred.
    """
    columns = image_sets.c
    query = select(image_sets).where(columns.datastore_id == datastore_id, columns.id.in_(image_set_ids))
    rows = connection.execute(query.order_by(columns.id)).all()
    ids = [row.id for row in rows]
    versions = _by_image_set(connection, image_set_versions, ids, image_set_versions.c.version)
    own_instances = _by_image_set(connection, instances, ids, instances.c.sop_uid, instances.c.first_version)
    indexed = _by_image_set(connection, image_set_tags, ids, image_set_tags.c.tag_key)
    tags = tags_of_image_sets(connection, image_store, datastore_id, ids)
    any_work = _waiting(connection)
    snapshots = []
    for row in rows:
        own = own_instances[row.id]
        source_keys = sorted({instance.source_key for instance in own})
        snapshots.append(
            ImageSetSnapshot(
                row=row,
                versions=versions[row.id],
                instances=own,
                runs=_read_runs(connection, source_keys),
                foreign_keys=_foreign_keys(connection, row.id, own),
                series=read_series_details(connection, row.id),
                tags=tags.get(image_store.image_set_arn(datastore_id, row.id), {}),
                indexed_tags=indexed[row.id],
                study_updated_at=_study_updated_at(connection, row),
                twice=_in_another_primary(connection, row, own) if row.is_primary and row.deleted_at is None else 0,
                work=frozenset(kind for kind, subject in any_work if subject == row.id),
                any_work=frozenset(kind for kind, _ in any_work),
            )
        )
    return snapshots


def _by_image_set(
    connection: Connection, table: Any, image_set_ids: Sequence[str], *order: Any
) -> defaultdict[str, list[Row[Any]]]:
    found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for some in in_groups(image_set_ids):
        for row in connection.execute(select(table).where(table.c.image_set_id.in_(some)).order_by(*order)):
            found[row.image_set_id].append(row)
    return found


def _read_runs(connection: Connection, source_keys: Sequence[str]) -> dict[str, tuple[FrameRun, ...]]:
    found: defaultdict[str, list[FrameRun]] = defaultdict(list)
    columns = frame_runs.c
    for some in in_groups(source_keys):
        query = (
            select(frame_runs).where(columns.source_key.in_(some)).order_by(columns.source_key, columns.first_ordinal)
        )
        for row in connection.execute(query):
            lengths = tuple(array("I", row.lengths[: len(row.lengths) // 4 * 4]))
            found[row.source_key].append(FrameRun(row.first_ordinal, row.pack_id, row.first_offset, lengths))
    return {key: tuple(runs) for key, runs in found.items()}


def _foreign_keys(connection: Connection, image_set_id: str, rows: Iterable[Row[Any]]) -> frozenset[str]:
    """Return the keys of copied records that the original answers for, or of several copies another one."""
    copied = sorted({row.source_key for row in rows if row.source_key != row.key})
    columns = instances.c
    foreign: set[str] = set()
    for some in in_groups(copied):
        originals = select(columns.key).where(columns.key.in_(some), columns.source_key == columns.key)
        foreign.update(connection.execute(originals).scalars())
        copies = (
            select(columns.source_key, func.min(columns.image_set_id).label("first"))
            .where(columns.source_key.in_(some), columns.source_key != columns.key)
            .group_by(columns.source_key)
        )
        foreign.update(row.source_key for row in connection.execute(copies) if row.first < image_set_id)
    return frozenset(foreign)


def _study_updated_at(connection: Connection, row: Row[Any]) -> int | None:
    query = select(studies.c.updated_at).where(
        studies.c.datastore_id == row.datastore_id, studies.c.study_uid == row.study_uid
    )
    found: int | None = connection.execute(query).scalar()
    return found


def _in_another_primary(connection: Connection, image_set: Row[Any], rows: Collection[Row[Any]]) -> int:
    current = sorted({row.sop_uid for row in rows if row.last_version is None})
    count = 0
    for some in in_groups(current):
        query = (
            select(func.count())
            .select_from(instances)
            .join(image_sets, image_sets.c.id == instances.c.image_set_id)
            .where(
                instances.c.datastore_id == image_set.datastore_id,
                instances.c.sop_uid.in_(some),
                instances.c.last_version.is_(None),
                image_sets.c.id != image_set.id,
                image_sets.c.is_primary,
                image_sets.c.deleted_at.is_(None),
            )
        )
        count += int(connection.execute(query).scalar_one())
    return count


def _waiting(connection: Connection) -> list[tuple[str, str]]:
    query = select(work_items.c.kind, work_items.c.subject_id).where(work_items.c.kind.in_(_WORK))
    return [(row.kind, row.subject_id) for row in connection.execute(query)]
