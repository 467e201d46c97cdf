"""The references between packs and image sets: which packs an image set lies in, which image sets lie in a pack.

    image set ─▶ instances ─▶ packs of fragments, data sets, frames
    pack ─▶ its contents ─▶ instance keys ─▶ instances, originals and copies ─▶ image sets

Rows are not indexed by pack: the contents of a pack say under which keys its records were written, and only instances of
those keys can refer to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from hounsfield.imaging.frame_runs import run_extents
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind, read_contents
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import frame_runs, instances
from hounsfield.storage.keys.data_key import DataKey

_IN_FRAMES: Final = frozenset(kind.value for kind in PixelKind if kind.in_frames)
_ROWS_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class ImageSetRecords:
    """What an image set holds: the keys its records were written under, and the packs they lie in."""

    source_keys: frozenset[str]
    pack_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class PackUse:
    """Who refers to a pack.

    Attributes
    ----------
    image_set_ids : frozenset of str
        The image sets with records in it, in whichever version; deleted ones too until their storage is released.
    named : bool
        Whether any row at all names the pack.
    """

    image_set_ids: frozenset[str]
    named: bool


def read_image_set_records(connection: Connection, image_set_id: str) -> ImageSetRecords:
    """Read what an image set holds, in all its versions."""
    columns = instances.c
    rows = connection.execute(
        select(columns.source_key, columns.fragment_pack_id, columns.dataset_pack_id).where(
            columns.image_set_id == image_set_id
        )
    ).all()
    keys = frozenset(row.source_key for row in rows)
    packs = {row.fragment_pack_id for row in rows} | {row.dataset_pack_id for row in rows}
    for some in in_groups(sorted(keys)):
        packs.update(
            connection.execute(select(frame_runs.c.pack_id).where(frame_runs.c.source_key.in_(some))).scalars()
        )
    return ImageSetRecords(keys, frozenset(packs))


def read_owners(blobs: Blobs, key: DataKey, pack_id: str) -> frozenset[str]:
    """Ask a pack for the keys that its records were written under; raises `BlobMissingError` and `PackDamagedError`."""
    return frozenset(label.owner for label, _ in read_contents(blobs, key, pack_id))


def read_named_packs(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[tuple[str, str]]:
    """Yield data store and id of all packs that rows name, some more than once; with conditions, of these instances only."""
    columns = instances.c
    queries = (
        select(columns.datastore_id, columns.fragment_pack_id),
        select(columns.datastore_id, columns.dataset_pack_id),
        select(columns.datastore_id, frame_runs.c.pack_id).join(
            frame_runs, columns.source_key == frame_runs.c.source_key
        ),
    )
    for query in queries:
        yield from connection.execute(query.distinct().where(*conditions).execution_options(yield_per=_ROWS_AT_ONCE))


def is_named(connection: Connection, datastore_id: str, pack_id: str) -> bool:
    """Return whether any row names a pack; looks at all rows, for where the contents of the pack cannot be read."""
    return any(connection.execute(query.limit(1)).first() is not None for query in _naming(datastore_id, pack_id))


def read_named_owners(connection: Connection, datastore_id: str, pack_id: str) -> frozenset[str]:
    """Return the keys that records of a pack were written under as rows have it, for where `read_owners` cannot ask it."""
    queries = _naming(datastore_id, pack_id)
    return frozenset(key for query in queries for key in connection.execute(query.distinct()).scalars())


def _naming(datastore_id: str, pack_id: str) -> tuple[Select[Any], ...]:
    columns = instances.c
    by_instances = select(columns.source_key).where(
        columns.datastore_id == datastore_id,
        or_(columns.fragment_pack_id == pack_id, columns.dataset_pack_id == pack_id),
    )
    return by_instances, select(frame_runs.c.source_key).where(frame_runs.c.pack_id == pack_id)


def find_pack_use(connection: Connection, pack_id: str, source_keys: Collection[str]) -> PackUse:
    """Find who refers to a pack.

    Parameters
    ----------
    connection : Connection
        The transaction to read in.
    pack_id : str
        The pack.
    source_keys : Collection[str]
        What `read_owners` gives of it.
    """
    users: set[str] = set()
    has_runs = False
    for some in in_groups(sorted(source_keys)):
        runs = select(frame_runs.c.source_key).where(frame_runs.c.source_key.in_(some), frame_runs.c.pack_id == pack_id)
        with_frames = set(connection.execute(runs).scalars())
        has_runs = has_runs or bool(with_frames)
        users.update(
            row.image_set_id
            for row in read_references(connection, some)
            if pack_id in (row.fragment_pack_id, row.dataset_pack_id) or row.source_key in with_frames
        )
    return PackUse(frozenset(users), bool(users) or has_runs)


def read_references(connection: Connection, source_keys: Sequence[str]) -> list[Any]:
    """Read the rows of instances, originals and copies, whose records were written under these keys."""
    columns = instances.c
    query = select(columns.image_set_id, columns.source_key, columns.fragment_pack_id, columns.dataset_pack_id)
    return _read_rows(connection, query, source_keys)


def _read_rows(connection: Connection, query: Select[Any], source_keys: Sequence[str]) -> list[Any]:
    """Read what a query asks for of originals and copies: each has an index of its own."""
    columns = instances.c
    originals = columns.key.in_(source_keys) & (columns.source_key == columns.key)
    copies = columns.source_key.in_(source_keys) & (columns.source_key != columns.key)
    return [row for condition in (originals, copies) for row in connection.execute(query.where(condition))]


def find_named_records(
    connection: Connection, pack_ids: Collection[str], source_keys: Collection[str]
) -> set[tuple[Label, Extent]]:
    """Find the records of packs that rows of instances name.

    Parameters
    ----------
    connection : Connection
        The transaction to read in.
    pack_ids : Collection[str]
        The packs.
    source_keys : Collection[str]
        Only records that were written under these keys.
    """
    named: set[tuple[Label, Extent]] = set()
    for some in in_groups(sorted(source_keys)):
        kinds: dict[str, RecordKind] = {}
        for row in read_places(connection, some):
            kinds[row.source_key] = RecordKind.FRAME if row.pixel_kind in _IN_FRAMES else RecordKind.BLOB
            for kind, extent in (
                (RecordKind.FRAGMENT, fragment_extent(row)),
                (RecordKind.DATASET, dataset_extent(row)),
            ):
                if extent.pack_id in pack_ids:
                    named.add((Label(kind, row.source_key), extent))
        for run in connection.execute(select(frame_runs).where(frame_runs.c.source_key.in_(sorted(kinds)))):
            if run.pack_id in pack_ids:
                label = kinds[run.source_key], run.source_key
                named.update((Label(*label, ordinal), extent) for ordinal, extent in run_extents(run))
    return named


def fragment_extent(row: Any) -> Extent:
    """Return where the JSON of a row of ``instances`` is."""
    return Extent(row.fragment_pack_id, row.fragment_offset, row.fragment_length)


def dataset_extent(row: Any) -> Extent:
    """Return where the data set of a row of ``instances`` is."""
    return Extent(row.dataset_pack_id, row.dataset_offset, row.dataset_length)


def read_places(connection: Connection, source_keys: Sequence[str]) -> list[Any]:
    """Read where the records of instances, originals and copies, are whose records were written under these keys."""
    columns = instances.c
    query = select(
        columns.key,
        columns.first_version,
        columns.image_set_id,
        columns.source_key,
        columns.instance_order,
        columns.pixel_kind,
        columns.fragment_pack_id,
        columns.fragment_offset,
        columns.fragment_length,
        columns.dataset_pack_id,
        columns.dataset_offset,
        columns.dataset_length,
    )
    return _read_rows(connection, query, source_keys)
