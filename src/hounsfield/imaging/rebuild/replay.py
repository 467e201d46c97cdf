"""Replay: changes of the journal become rows again, in the order in which they were made.

    records ─▶ apply: rows of data stores, image sets, versions, instances (with the places that packs tell), tags, jobs
            ─▶ finish: what is made of them: indexes, totals, studies, index of tags, work that waits ─▶ findings

A change says how things are, not what is to be added: made twice, or on rows that have it already, it changes nothing. So the
rows may be those of a checkpoint, or of a database that was restored, and be younger than the first changes that are made.
"""

from __future__ import annotations

from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Table, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import SETTLE_DATASTORE, DatastoreStatus
from hounsfield.imaging.frame_runs import frame_runs_of, run_row
from hounsfield.imaging.imagesets.copy import COPY_IMAGE_SET
from hounsfield.imaging.imagesets.delete import DELETE_IMAGE_SET
from hounsfield.imaging.imagesets.release_storage import RELEASE_IMAGE_SET
from hounsfield.imaging.imagesets.update import UPDATE_IMAGE_SET
from hounsfield.imaging.imports.jobs import IMPORT, JobStatus
from hounsfield.imaging.levels import IndexEntry, index_entry, open_levels
from hounsfield.imaging.rebuild.pack_places import OwnedRecords, PackPlaces
from hounsfield.imaging.staged_instance import RUN_LENGTH, PixelKind
from hounsfield.imaging.states import StorageTier, WorkflowStatus
from hounsfield.imaging.study_rows import SeriesDetails, read_series_details, refresh_studies
from hounsfield.imaging.tag_index import index_tags
from hounsfield.imaging.version_rows import stored_bytes_of
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.packs import Extent, Label, PackDamagedError, RecordKind, read_record
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import (
    datastores,
    frame_runs,
    image_set_versions,
    image_sets,
    instances,
    tags,
)
from hounsfield.storage.db.job_tables import import_jobs, work_items
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.db.steady_clock import steady_ms
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.journal.changes import (
    DATASTORE_FACTS,
    IMAGE_SET_FACTS,
    INSTANCE_FACTS,
    JOB_FACTS,
    VERSION_FACTS,
    Change,
    ChangeKind,
    ChangeRecord,
    fragment_digest,
)
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import DataKeyCache

LOST_PACK: Final = "0" * 32
"""Pack that an instance names whose records no pack has."""
_AT_ONCE: Final = 1000
_UNDER_WAY: Final = {
    WorkflowStatus.UPDATING: UPDATE_IMAGE_SET,
    WorkflowStatus.COPYING: COPY_IMAGE_SET,
    WorkflowStatus.DELETING: DELETE_IMAGE_SET,
}
_INDEXED: Final = tuple(field.name for field in fields(IndexEntry))
_DETAILS: Final = tuple(field.name for field in fields(SeriesDetails))
_TOTALS: Final = ("instance_count", "frame_count", "stored_bytes")
_NAMES: Final = {name: place for place, name in enumerate(INSTANCE_FACTS)}
_KEY, _SOURCE_KEY, _FRAGMENT = _NAMES["key"], _NAMES["source_key"], _NAMES["fragment"]
_KIND, _FRAMES, _PIXEL_BYTES = _NAMES["pixel_kind"], _NAMES["frame_count"], _NAMES["pixel_bytes"]
_FRAGMENT_BYTES: Final = _NAMES["fragment_bytes"]
_TEXT: Final = {column.name: "" for column in image_sets.c if column.name in {*_INDEXED, *_DETAILS}} | {
    "series_order": 0,
    "placed_tier": StorageTier.FREQUENT_ACCESS.value,
    "instance_count": 0,
    "frame_count": 0,
    "stored_bytes": 0,
}

Row: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Loss:
    """What could not be made again.

    Attributes
    ----------
    what : str
        What, and why, without anything of a patient.
    datastore_id, image_set_id, instance_key, pack_id : str
        Of what; empty where that is not known, or it is not about one.
    """

    what: str
    datastore_id: str = ""
    image_set_id: str = ""
    instance_key: str = ""
    pack_id: str = ""


@dataclass(slots=True)
class DatastoreSource:
    """What a data store is made again of.

    Attributes
    ----------
    wrapped_key : bytes
        Its data key, wrapped as it stands beside the packs.
    key : DataKey or None
        The same, opened; None where it cannot be.
    places : PackPlaces
        Where its records are.
    """

    wrapped_key: bytes
    key: DataKey | None
    places: PackPlaces = field(default_factory=PackPlaces)


def open_source(datastore_id: str, wrapped: bytes, keys: DataKeyCache, packs: Blobs) -> DatastoreSource:
    """Return what a data store is made of, by its wrapped data key, which may be empty; raises OSError.

    Parameters
    ----------
    datastore_id : str
        Which data store.
    wrapped : bytes
        Its data key.
    keys : DataKeyCache
        Opens the key.
    packs : Blobs
        Where its packs are.
    """
    places = PackPlaces()
    try:
        key = keys.fetch(datastore_id, wrapped) if wrapped else None
    except KeyUnavailableError:
        key = None
    if key is not None:
        places.read(packs, key)
    return DatastoreSource(wrapped, key, places)


def _upsert(table: Table, names: Sequence[str], keys: Sequence[str], constants: Mapping[str, Any]) -> Any:
    """Return what writes rows of a table, whether they are there or not, for each kind of database."""
    found = {}
    for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert)):
        statement = make(table).values(dict(constants))
        changed = {name: statement.excluded[name] for name in names if name not in keys}
        found[dialect] = PreparedStatement(statement.on_conflict_do_update(index_elements=keys, set_=changed), names)
    return found


_INSTANCE_ROW: Final = tuple(column.name for column in instances.c)
_PUT: Final = {
    "image_sets": _upsert(image_sets, IMAGE_SET_FACTS, ["id"], _TEXT),
    "versions": _upsert(image_set_versions, VERSION_FACTS, ["image_set_id", "version"], {}),
    "instances": _upsert(instances, _INSTANCE_ROW, ["key", "first_version"], {}),
    "runs": _upsert(frame_runs, [column.name for column in frame_runs.c], ["source_key", "first_ordinal"], {}),
    "jobs": _upsert(import_jobs, JOB_FACTS, ["id"], {}),
    "datastores": _upsert(datastores, (*DATASTORE_FACTS, "wrapped_key"), ["id"], {}),
}
_END: Final = PreparedStatement(
    update(instances).where(
        instances.c.key == bindparam("the_key"), instances.c.first_version == bindparam("the_first")
    ),
    ["last_version"],
)
_DERIVE: Final = PreparedStatement(
    update(image_sets).where(image_sets.c.id == bindparam("the_id")), [*_INDEXED, *_DETAILS, *_TOTALS, "placed_tier"]
)


class Replay:
    """Makes changes again.

    Parameters
    ----------
    blobs : Blobs
        Where the packs are, for the JSON of instances that were edited.
    source_of : callable
        Gives what a data store is made of; asked once for each.
    archived : bool
        Whether packs can be in two places.

    Attributes
    ----------
    losses : list of Loss
        What could not be made again so far.
    latest_ms : int
        The latest time of the installation of the changes that were made.
    """

    def __init__(self, blobs: Blobs, source_of: Callable[[str], DatastoreSource], *, archived: bool) -> None:
        self._blobs = blobs
        self._source_of = source_of
        self._archived = archived
        self._sources: dict[str, DatastoreSource] = {}
        self._datastore_of: dict[str, str] = {}
        self._tagged: dict[str, dict[str, str]] = {}
        self._digests: dict[tuple[str, int], str] = {}
        self._known_digests: defaultdict[str, set[str]] = defaultdict(set)
        self._incomplete: dict[tuple[str, int], Loss] = {}
        self._unknown: set[str] = set()
        self._undecided: dict[tuple[str, int], Row] = {}
        self._released: set[bytes] = set()
        self._studies: defaultdict[str, set[str]] = defaultdict(set)
        self._begun: list[Row] = []
        self._runs: list[Row] = []
        self._with_runs: set[bytes] = set()
        self.losses: list[Loss] = []
        self.latest_ms = 0

    @property
    def sources(self) -> Mapping[str, DatastoreSource]:
        """What was used, by data store."""
        return self._sources

    def is_released(self, source_key: str) -> bool:
        """Return whether an image set was released that had records under this key."""
        return bytes.fromhex(source_key) in self._released

    def apply(self, connection: Connection, record: ChangeRecord) -> None:
        """Make the changes of a record."""
        for change in record.changes:
            self._make(connection, change)
        self.latest_ms = max(self.latest_ms, record.steady_ms)

    def _make(self, connection: Connection, change: Change) -> None:
        kind, *rest = change
        if kind == ChangeKind.BEGUN:
            self._begin(connection, *rest)
            return
        if kind in {ChangeKind.ENDED, ChangeKind.REPLACED, ChangeKind.RELEASED}:
            self.write_waiting(connection)
        maker = _MAKERS.get(kind)
        if maker is not None:
            maker(self, connection, *rest)
        elif kind != ChangeKind.ORIGIN:
            self.losses.append(Loss(f"a change of the kind {kind} is not known: it is of a newer version"))

    def _make_datastore(self, connection: Connection, values: list[Any]) -> None:
        row = dict(zip(DATASTORE_FACTS, values, strict=False))
        source = self._source(row["id"])
        if source.key is None and row["status"] == DatastoreStatus.ACTIVE:
            self.losses.append(Loss("its data key beside the packs does not open", row["id"]))
        _put(connection, "datastores", [{**row, "wrapped_key": source.wrapped_key}])

    def _source(self, datastore_id: str) -> DatastoreSource:
        found = self._sources.get(datastore_id)
        if found is None:
            found = self._sources[datastore_id] = self._source_of(datastore_id)
        return found

    def _make_image_set(self, connection: Connection, values: list[Any]) -> None:
        row = dict(zip(IMAGE_SET_FACTS, values, strict=False))
        row["is_primary"] = bool(row["is_primary"])
        if row["datastore_id"] not in self._sources and not self._is_datastore(connection, row["datastore_id"]):
            self._lose(row["id"], row["datastore_id"], "its data store is not known")
            return
        self._datastore_of[row["id"]] = row["datastore_id"]
        # Two primary image sets of a series may stand beside each other until the later changes are made.
        _put(connection, "image_sets", [row])

    def _is_datastore(self, connection: Connection, datastore_id: str) -> bool:
        query = select(datastores.c.id).where(datastores.c.id == datastore_id)
        return connection.execute(query).first() is not None

    def _knows(self, connection: Connection, image_set_id: str) -> bool:
        """Return whether an image set is there; one whose beginning was lost is told once."""
        if image_set_id in self._datastore_of:
            return True
        query = select(image_sets.c.datastore_id).where(image_sets.c.id == image_set_id)
        found = connection.execute(query).scalar()
        if found is None:
            self._lose(image_set_id, "", "the journal does not have its beginning")
            return False
        self._datastore_of[image_set_id] = found
        return True

    def _lose(self, image_set_id: str, datastore_id: str, what: str) -> None:
        if image_set_id not in self._unknown:
            self._unknown.add(image_set_id)
            self.losses.append(Loss(what, datastore_id, image_set_id))

    def _extend(self, connection: Connection, image_set_id: str, version: int, now: int, indexed: bool) -> None:
        if not self._knows(connection, image_set_id):
            return
        values: Row = {
            "latest_version": version,
            "updated_at": now,
            "last_accessed_at": now,
            "storage_tier": StorageTier.FREQUENT_ACCESS.value,
        }
        if not indexed:
            values["index_version"] = 0
        connection.execute(update(image_sets).where(image_sets.c.id == image_set_id).values(values))

    def _make_version(self, connection: Connection, values: list[Any]) -> None:
        row = dict(zip(VERSION_FACTS, values, strict=False))
        if not self._knows(connection, row["image_set_id"]):
            return
        row["is_primary"] = bool(row["is_primary"])
        row["forced"] = None if row["forced"] is None else bool(row["forced"])
        for name in ("sealed_levels", "sealed_request"):
            row[name] = None if row[name] is None else b64decode(row[name])
        _put(connection, "versions", [row])

    def _begin(
        self,
        connection: Connection,
        image_set_id: str,
        datastore_id: str,
        first: int,
        last: int | None,
        rows: list[Any],
    ) -> None:
        if not self._knows(connection, image_set_id):
            return
        source = self._source(datastore_id)
        place = {
            "image_set_id": image_set_id,
            "datastore_id": datastore_id,
            "first_version": first,
            "last_version": last,
        }
        for values in rows:
            row = dict(zip(INSTANCE_FACTS[:-1], values, strict=False)) | place
            row["source_key"] = source_key = values[_SOURCE_KEY] or values[_KEY]
            digest = self._digest(values, source_key, first)
            records = source.places.of(source_key)
            row |= self._places(source, row, records, digest)
            self._begun.append(row)
            self._note_runs(source_key, records)
        if len(self._begun) >= _AT_ONCE:
            self.write_waiting(connection)

    def _digest(self, values: list[Any], source_key: str, first: int) -> str | None:
        given = values[_FRAGMENT] if len(values) > _FRAGMENT else None
        if isinstance(given, list):
            given = self._digests.get((given[0], given[1]))
        if given is not None:
            self._digests[values[_KEY], first] = given
            self._known_digests[source_key].add(given)
        return given

    def _places(self, source: DatastoreSource, row: Row, records: OwnedRecords | None, digest: str | None) -> Row:
        """Return where the records of an instance are; what is missing is noted, for it may be released later."""
        lost = Extent(LOST_PACK, 0, 0)
        fragment = dataset = lost
        wrong = ""
        if records is None:
            wrong = "no pack has its records"
        else:
            fragment = self._fragment(source, row, records, digest) or lost
            dataset = records.dataset or lost
            wrong = _wrong_records(row, records, fragment, dataset)
        name = (row["key"], row["first_version"])
        if wrong:
            self._incomplete[name] = Loss(wrong, row["datastore_id"], row["image_set_id"], row["key"])
        else:
            self._incomplete.pop(name, None)
        return _fragment_columns(fragment) | {
            "dataset_pack_id": dataset.pack_id,
            "dataset_offset": dataset.offset,
            "dataset_length": dataset.length,
        }

    def _fragment(self, source: DatastoreSource, row: Row, records: OwnedRecords, digest: str | None) -> Extent | None:
        """Find the JSON of an instance among those of its source key: that of the import, or that of an edit."""
        if len(records.fragments) == 1 and digest is None:
            return records.fragments[0]
        others = self._known_digests.get(row["source_key"], set())
        opened = [(extent, self._open(source, extent, row["source_key"])) for extent in records.fragments]
        found = [(extent, text) for extent, text in opened if text is not None]
        if digest is not None:
            return next((extent for extent, text in found if fragment_digest(text) == digest), None)
        # Edits that come later in the journal may have JSON of the same length: this is looked at again in the end.
        self._undecided[row["key"], row["first_version"]] = row
        sized = [(extent, text) for extent, text in found if len(text) == row["fragment_bytes"]]
        # An edit may have brought back what was imported; then it does not matter which of the two it is.
        imported = [extent for extent, text in sized if fragment_digest(text) not in others] or [
            one for one, _ in sized
        ]
        beside = [extent for extent in imported if records.dataset and extent.pack_id == records.dataset.pack_id]
        return next(iter(beside or imported), None)

    def _decide(self, connection: Connection) -> None:
        """Find the JSON of the import again, where there is also JSON of edits, all of which are known now."""
        for (key, first), row in list(self._undecided.items()):
            source = self._source(row["datastore_id"])
            records = source.places.of(row["source_key"])
            found = None if records is None else self._fragment(source, row, records, None)
            if found is None:
                continue
            place = _fragment_columns(found)
            if place != {name: row[name] for name in place}:
                own = (instances.c.key == key, instances.c.first_version == first)
                connection.execute(update(instances).where(*own).values(place))

    def _open(self, source: DatastoreSource, extent: Extent, owner: str) -> bytes | None:
        if source.key is None:
            return None
        try:
            return read_record(self._blobs, source.key, extent, Label(RecordKind.FRAGMENT, owner))
        except (PackDamagedError, BlobMissingError):
            return None

    def _note_runs(self, source_key: str, records: OwnedRecords | None) -> None:
        name = bytes.fromhex(source_key)
        if records is None or name in self._with_runs:
            return
        self._with_runs.add(name)
        for first, start, lengths in frame_runs_of(records.pixels, RUN_LENGTH):
            self._runs.append(run_row(source_key, first, start.pack_id, start.offset, lengths))

    def write_waiting(self, connection: Connection) -> None:
        """Write rows that are held to be written many at once; to be called before a transaction ends."""
        if self._begun:
            _put(connection, "instances", self._begun)
            self._begun = []
        if self._runs:
            _put(connection, "runs", self._runs)
            self._runs = []

    def _end(self, connection: Connection, last_version: int, rows: list[Any]) -> None:
        _END.run_each(
            connection, [{"the_key": key, "the_first": first, "last_version": last_version} for key, first in rows]
        )

    def _replace(self, connection: Connection, image_set_id: str, last_version: int, sop_uids: list[str]) -> None:
        if self._knows(connection, image_set_id):
            columns = instances.c
            for some in in_groups(sop_uids):
                connection.execute(
                    update(instances)
                    .where(
                        columns.image_set_id == image_set_id,
                        columns.sop_uid.in_(some),
                        columns.last_version.is_(None),
                        columns.first_version <= last_version,
                    )
                    .values(last_version=last_version)
                )

    def _release(self, connection: Connection, image_set_id: str) -> None:
        keys = connection.execute(select(instances.c.source_key).where(instances.c.image_set_id == image_set_id))
        self._released.update(bytes.fromhex(key) for key in keys.scalars())
        if self._knows(connection, image_set_id):
            # Its packs are looked at in the end.
            self._source(self._datastore_of[image_set_id])
        connection.execute(delete(instances).where(instances.c.image_set_id == image_set_id))

    def _set_tags(self, connection: Connection, arn: str, wanted: dict[str, str]) -> None:
        connection.execute(delete(tags).where(tags.c.resource_arn == arn))
        rows = [{"resource_arn": arn, "tag_key": key, "tag_value": value} for key, value in wanted.items()]
        if rows:
            connection.execute(insert(tags), rows)
        _, found, image_set_id = arn.rpartition("/imageset/")
        if found:
            self._tagged[image_set_id] = wanted

    def _make_job(self, connection: Connection, values: list[Any]) -> None:
        _put(connection, "jobs", [dict(zip(JOB_FACTS, values, strict=False))])

    def _forget_jobs(self, connection: Connection, job_ids: list[str]) -> None:
        for some in in_groups(job_ids):
            connection.execute(delete(import_jobs).where(import_jobs.c.id.in_(some)))

    def _access(self, connection: Connection, moments: dict[str, int]) -> None:
        columns = image_sets.c
        for image_set_id, moment in moments.items():
            connection.execute(
                update(image_sets)
                .where(columns.id == image_set_id, columns.deleted_at.is_(None), columns.last_accessed_at <= moment)
                .values(last_accessed_at=moment, storage_tier=StorageTier.FREQUENT_ACCESS)
            )

    def _set_tier(self, connection: Connection, tier: str, image_set_ids: list[str]) -> None:
        for some in in_groups(image_set_ids):
            connection.execute(update(image_sets).where(image_sets.c.id.in_(some)).values(storage_tier=tier))

    def derive_image_sets(self, connection: Connection) -> None:
        """Make what rows of the image sets that were changed have of their levels and instances, whose indexes are there."""
        self._decide(connection)
        if self._released:
            self._forget_runs(connection)
        for some in in_groups(sorted(self._datastore_of)):
            self._derive_some(connection, some)
        self._leave_one_primary(connection)

    def _leave_one_primary(self, connection: Connection) -> None:
        """Leave one primary image set of a series where values or changes are lost, so that there seem to be several."""
        columns = image_sets.c
        series = (columns.datastore_id, columns.study_uid, columns.series_uid)
        primary = columns.is_primary & columns.deleted_at.is_(None)
        several = select(*series).where(primary).group_by(*series).having(func.count() > 1)
        for place in connection.execute(several).all():
            own = [column == value for column, value in zip(series, place, strict=True)]
            query = select(columns.id).where(primary, *own).order_by(columns.updated_at.desc(), columns.id)
            for image_set_id in list(connection.execute(query).scalars())[1:]:
                connection.execute(update(image_sets).where(columns.id == image_set_id).values(is_primary=False))
                self._lose(image_set_id, place.datastore_id, "another image set is the primary one of its series")

    def derive_others(self, connection: Connection) -> None:
        """Make what follows from the rows of image sets, whose indexes are there, and find what is not whole."""
        for datastore_id, uids in self._studies.items():
            refresh_studies(connection, datastore_id, uids)
        for image_set_id, wanted in self._tagged.items():
            if self._knows(connection, image_set_id):
                index_tags(connection, image_set_id, wanted)
        self._enqueue(connection)
        self._find_losses(connection)

    def _forget_runs(self, connection: Connection) -> None:
        """Remove the places of pixel data that nobody reads any more."""
        own = exists().where(instances.c.key == frame_runs.c.source_key)
        copied = exists().where(
            instances.c.source_key == frame_runs.c.source_key, instances.c.source_key != instances.c.key
        )
        connection.execute(delete(frame_runs).where(~own, ~copied))

    def _derive_some(self, connection: Connection, image_set_ids: Sequence[str]) -> None:
        columns, versions = image_sets.c, image_set_versions.c
        totals = _read_totals(connection, image_set_ids)
        query = (
            select(
                columns.id,
                columns.datastore_id,
                columns.study_uid,
                columns.is_primary,
                columns.latest_version,
                columns.deleted_at,
                versions.sealed_levels,
            )
            .outerjoin(
                image_set_versions,
                (versions.image_set_id == columns.id) & (versions.version == columns.latest_version),
            )
            .where(columns.id.in_(image_set_ids))
        )
        rows = []
        for row in connection.execute(query):
            levels = self._levels(row)
            entry = index_entry(levels)
            count, frames, size = totals.get(row.id, (0, 0, 0))
            rows.append(
                {
                    "the_id": row.id,
                    **asdict(entry),
                    **asdict(read_series_details(connection, row.id)),
                    "instance_count": count,
                    "frame_count": frames,
                    "stored_bytes": size,
                    "placed_tier": ""
                    if self._archived and row.deleted_at is None
                    else StorageTier.FREQUENT_ACCESS.value,
                }
            )
            if row.is_primary:
                self._studies[row.datastore_id].update({entry.study_uid, row.study_uid} - {""})
        _DERIVE.run_each(connection, rows)

    def _levels(self, row: Any) -> Levels:
        key = self._source(row.datastore_id).key
        if row.sealed_levels and key is not None:
            try:
                return open_levels(key, row.id, row.latest_version, row.sealed_levels)
            except (KeyUnavailableError, ValueError):
                self._lose(row.id, row.datastore_id, "its values do not open")
        elif row.sealed_levels is None:
            self._lose(row.id, row.datastore_id, f"version {row.latest_version} is missing")
        return Levels({}, {}, {})

    def _enqueue(self, connection: Connection) -> None:
        """Have done what was under way, unless it waits already."""
        now = steady_ms(connection)
        columns, versions = image_sets.c, image_set_versions.c
        wanted: dict[tuple[str, str], int] = {}
        under_way = (
            select(columns.id, versions.workflow_status)
            .join(
                image_set_versions,
                (versions.image_set_id == columns.id) & (versions.version == columns.latest_version),
            )
            .where(versions.workflow_status.in_(list(_UNDER_WAY)), columns.deleted_at.is_(None))
        )
        for row in connection.execute(under_way):
            wanted[_UNDER_WAY[WorkflowStatus(row.workflow_status)], row.id] = now
        holding = exists().where(instances.c.image_set_id == columns.id)
        for row in connection.execute(
            select(columns.id, columns.deleted_at).where(columns.deleted_at.is_not(None), holding)
        ):
            wanted[RELEASE_IMAGE_SET, row.id] = min(now, row.deleted_at)
        settling = datastores.c.status.in_([DatastoreStatus.CREATING, DatastoreStatus.DELETING])
        for row in connection.execute(select(datastores.c.id).where(settling)):
            wanted[SETTLE_DATASTORE, row.id] = now
        running = import_jobs.c.status.in_([JobStatus.SUBMITTED, JobStatus.IN_PROGRESS])
        for row in connection.execute(select(import_jobs.c.id).where(running)):
            wanted[IMPORT, row.id] = now
        waiting = {
            (row.kind, row.subject_id) for row in connection.execute(select(work_items.c.kind, work_items.c.subject_id))
        }
        rows = [
            {"id": new_id(), "kind": kind, "subject_id": subject, "available_at": now, "since": since, "attempts": 0}
            for (kind, subject), since in wanted.items()
            if (kind, subject) not in waiting
        ]
        if rows:
            connection.execute(insert(work_items), rows)

    def _find_losses(self, connection: Connection) -> None:
        """Find what is not whole among what there is in the end."""
        for some in in_groups(sorted({key for key, _ in self._incomplete})):
            query = select(instances.c.key, instances.c.first_version).where(instances.c.key.in_(some))
            for row in connection.execute(query):
                loss = self._incomplete.get((row.key, row.first_version))
                if loss is not None:
                    self.losses.append(loss)
        columns, versions = image_sets.c, image_set_versions.c
        incomplete = (
            select(
                columns.id, columns.datastore_id, columns.latest_version, func.count(versions.version).label("present")
            )
            .outerjoin(image_set_versions, versions.image_set_id == columns.id)
            .group_by(columns.id, columns.datastore_id, columns.latest_version)
            .having(func.count(versions.version) != columns.latest_version)
        )
        for row in connection.execute(incomplete):
            self._lose(
                row.id, row.datastore_id, f"{row.present} of its {row.latest_version} versions are in the journal"
            )


def _fragment_columns(place: Extent) -> Row:
    return {
        "fragment_pack_id": place.pack_id,
        "fragment_offset": place.offset,
        "fragment_length": place.length,
    }


def _wrong_records(row: Row, records: OwnedRecords, fragment: Extent, dataset: Extent) -> str:
    """Say what is missing of the records of an instance; empty where nothing is."""
    if fragment.pack_id == LOST_PACK:
        return "no pack has its JSON as it is in the version"
    if dataset.pack_id == LOST_PACK:
        return "no pack has its data set"
    count = len(records.pixels)
    if row["pixel_kind"] in _IN_FRAMES and count != row["frame_count"]:
        return f"packs have {count} of its {row['frame_count']} frames"
    if sum(extent.length for _, extent in records.pixels) != row["pixel_bytes"]:
        return "packs do not have all of its pixel data"
    return ""


_IN_FRAMES: Final = frozenset(kind.value for kind in PixelKind if kind.in_frames)
_MAKERS: Final[Mapping[str, Callable[..., None]]] = {
    ChangeKind.DATASTORE: Replay._make_datastore,  # noqa: SLF001 - of its own module
    ChangeKind.IMAGE_SET: Replay._make_image_set,  # noqa: SLF001
    ChangeKind.EXTENDED: Replay._extend,  # noqa: SLF001
    ChangeKind.VERSION: Replay._make_version,  # noqa: SLF001
    ChangeKind.ENDED: Replay._end,  # noqa: SLF001
    ChangeKind.REPLACED: Replay._replace,
    ChangeKind.RELEASED: Replay._release,  # noqa: SLF001
    ChangeKind.TAGS: Replay._set_tags,  # noqa: SLF001
    ChangeKind.JOB: Replay._make_job,  # noqa: SLF001
    ChangeKind.JOBS_FORGOTTEN: Replay._forget_jobs,  # noqa: SLF001
    ChangeKind.ACCESSED: Replay._access,  # noqa: SLF001
    ChangeKind.TIER: Replay._set_tier,  # noqa: SLF001
}


def _put(connection: Connection, what: str, rows: Sequence[Row]) -> None:
    _PUT[what][connection.dialect.name].run_each(connection, rows)


def _read_totals(connection: Connection, image_set_ids: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    columns = instances.c
    query = (
        select(
            columns.image_set_id,
            func.count().label("members"),
            func.sum(columns.frame_count).label("frames"),
            func.sum(stored_bytes_of(columns)).label("bytes"),
        )
        .where(columns.image_set_id.in_(image_set_ids), columns.last_version.is_(None))
        .group_by(columns.image_set_id)
    )
    return {row.image_set_id: (int(row.members), int(row.frames), int(row.bytes)) for row in connection.execute(query)}
