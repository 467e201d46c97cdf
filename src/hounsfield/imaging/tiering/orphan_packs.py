"""Orphaned packs: no row refers to them; they are found, and deleted where the installation asks for that.

Packs become orphans when a process dies between writing a pack and the rows that name it, or between forgetting the rows of
a deleted image set and deleting its packs. A pack is an orphan when it is older than a day and neither a row of the data
store nor the result of an unfinished import job names it, nor compaction has it.

    old blobs ─▶ named by results of unfinished jobs? ─▶ named by rows? ─▶ noted ─▶ the same a day later? ─▶ delete

What clocks say may be wrong, and a pack that is being stored looks like an orphan until its rows are written. So two sweeps
must agree, a day apart by the time of the installation (`hounsfield.storage.db.steady_clock`), and the first of them must have
been before this process began: nothing that is younger than the process is deleted.

Nothing is deleted unless it is asked for: with a database that was lost, or put back from an older copy, the packs it does
not know are the images that are still to be saved.

The order matters: a job that ends in between moves its packs from its results to rows, and rows are looked at last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Final

import structlog
from sqlalchemy import Connection, delete, select

from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.files import read_file_records
from hounsfield.imaging.tiering.noted_packs import list_noted_ids
from hounsfield.imaging.tiering.pack_references import read_named_packs
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.blobs.open_uploads import abort_open_uploads
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import datastores, instances
from hounsfield.storage.db.insert_missing import insert_missing
from hounsfield.storage.db.job_tables import import_files, import_jobs
from hounsfield.storage.db.orphan_pack_table import orphan_packs
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError

SWEEP_ORPHANS: Final = "sweep-orphans"
_DAY_SECONDS: Final = 24 * 3600
_DAY_MS: Final = _DAY_SECONDS * 1000
_log = structlog.get_logger(__name__)


def schedule_sweep(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that sweeps again and again."""
    image_store.queue.schedule(SWEEP_ORPHANS)


class OrphanSweeper:
    """Counts the orphans of all data stores once a day, and deletes them where that is asked for.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    delete : bool
        Whether orphans are deleted.
    """

    def __init__(self, image_store: ImageStore, *, delete: bool) -> None:
        self._image_store = image_store
        self._delete = delete
        self._began = image_store.queue.clock.now()

    def run(self, item: WorkItem) -> None:
        """Sweep, and come again a day later."""
        self.sweep()
        self.abort_uploads(a_day_ago(self._image_store))
        self._image_store.queue.release_lease(item, _DAY_SECONDS, failed=False)

    def give_up(self, item: WorkItem) -> None:
        """Go on trying: the work is never over."""
        self.run(item)

    def sweep(self) -> int:
        """Find the orphans of all data stores and deal with them; give how many there were."""
        with self._image_store.database.read() as connection:
            query = select(datastores.c.id).where(datastores.c.account_id == self._image_store.account_id)
            datastore_ids = connection.execute(query).scalars().all()
        count = 0
        for datastore_id in datastore_ids:
            try:
                count += self._sweep(datastore_id)
            except KeyUnavailableError:
                _log.warning("orphans of a data store without its key are left", datastore=datastore_id)
        return count

    def abort_uploads(self, before_ms: int) -> int:
        """Abort uploads of packs that were begun before a moment, whose writers are gone; give how many there were.

        They hold nothing that can be read, so that this asks for no setting.
        """
        count = 0
        for place in self._image_store.blob_locations:
            try:
                count += abort_open_uploads(place, "packs", before_ms)
            except OSError as error:
                _log.warning("open uploads cannot be aborted", reason=str(error))
        if count:
            _log.info("uploads that nobody completes aborted", uploads=count)
        return count

    def _sweep(self, datastore_id: str) -> int:
        now = self._image_store.queue.clock.now()
        old = list(self._image_store.blobs.names(f"packs/{datastore_id}/", before_ms=a_day_ago(self._image_store)))
        orphans: set[str] = set()
        if old:
            named = list_packs_of_jobs(self._image_store, datastore_id) | list_noted_ids(
                self._image_store, datastore_id
            )
            with self._image_store.database.read() as connection:
                of_datastore = instances.c.datastore_id == datastore_id
                named.update(pack_id for _, pack_id in read_named_packs(connection, of_datastore))
            orphans = {name for name in old if PurePosixPath(name).name not in named}
        first_seen = self._noted(datastore_id, orphans, now)
        # What was noted in the millisecond in which the process began may have been noted by itself.
        due = [name for name in sorted(orphans) if first_seen[name] <= now - _DAY_MS and first_seen[name] < self._began]
        if self._delete:
            for name in due:
                self._image_store.blobs.delete(name)
        if orphans:
            deleted = len(due) if self._delete else 0
            _log.warning("packs that no row names", datastore=datastore_id, packs=len(orphans), deleted=deleted)
        return len(orphans)

    def _noted(self, datastore_id: str, orphans: Collection[str], now: int) -> dict[str, int]:
        """Note the orphans of a data store, and forget what is none any more; give when a sweep first found each."""
        columns = orphan_packs.c
        own = columns.datastore_id == datastore_id
        query = select(columns.name, columns.first_seen_at).where(own)
        with self._image_store.database.read() as connection:
            known = {row.name: row.first_seen_at for row in connection.execute(query)}
        if known.keys() == set(orphans):
            return known
        with self._image_store.database.write() as connection:
            # Looked at once more where nobody else writes: a sweep of another process may have noted some in between.
            known = {row.name: row.first_seen_at for row in connection.execute(query)}
            new = [name for name in sorted(orphans) if name not in known]
            for some in in_groups([name for name in known if name not in orphans]):
                connection.execute(delete(orphan_packs).where(own, columns.name.in_(some)))
            for some in in_groups(new):
                rows = [{"datastore_id": datastore_id, "name": name, "first_seen_at": now} for name in some]
                # On PostgreSQL a sweep of another process may be at it at the same time.
                insert_missing(connection, orphan_packs, rows)
        return {**known, **dict.fromkeys(new, now)}


def list_packs_of_jobs(image_store: ImageStore, datastore_id: str) -> set[str]:
    """Return the packs that the results of unfinished import jobs lie in; raises `KeyUnavailableError`."""
    with image_store.database.read() as connection:
        if not _jobs_with_results(connection, datastore_id):
            return set()
    key = fetch_key(image_store, get_datastore(image_store, datastore_id))
    with image_store.database.read() as connection:
        return read_packs_of_jobs(connection, key)


def read_packs_of_jobs(connection: Connection, key: DataKey) -> set[str]:
    """Return the packs that the results of unfinished import jobs of a data store lie in, by its key."""
    named: set[str] = set()
    for job_id in _jobs_with_results(connection, key.datastore_id):
        for record in read_file_records(connection, job_id, key):
            if record.instance is not None:
                named |= record.instance.pack_ids
    return named


def _jobs_with_results(connection: Connection, datastore_id: str) -> Sequence[str]:
    jobs = select(import_files.c.job_id).distinct().join(import_jobs, import_jobs.c.id == import_files.c.job_id)
    return connection.execute(jobs.where(import_jobs.c.datastore_id == datastore_id)).scalars().all()


def a_day_ago(image_store: ImageStore) -> int:
    """Return a time that was a day ago by the time of the installation and by the clock of this machine."""
    return min(image_store.queue.clock.now(), now_ms()) - _DAY_MS
