"""Packs that a state of the database names: those of rows, and those of results of unfinished import jobs."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from hounsfield.imaging.tiering.orphan_packs import read_packs_of_jobs
from hounsfield.imaging.tiering.pack_references import read_named_packs
from hounsfield.storage.blobs.packs import pack_name
from hounsfield.storage.db.image_set_tables import datastores
from hounsfield.storage.db.job_tables import import_files, import_jobs
from hounsfield.storage.keys.data_key import DataKey


def find_named_packs(connection: Connection, open_key: Callable[[str, bytes], DataKey]) -> list[str]:
    """Return the blob names of all packs that are needed, sorted.

    Parameters
    ----------
    connection : Connection
        All of whose statements see one state.
    open_key : callable
        Opens the wrapped data key of a data store; called for those only that have unfinished import jobs.

    Raises
    ------
    KeyUnavailableError
        Such a key cannot be had.
    """
    named = {pack_name(datastore_id, pack_id) for datastore_id, pack_id in read_named_packs(connection)}
    with_results = (
        select(datastores.c.id, datastores.c.wrapped_key)
        .distinct()
        .join(import_jobs, import_jobs.c.datastore_id == datastores.c.id)
        .join(import_files, import_files.c.job_id == import_jobs.c.id)
        .where(import_files.c.sealed_instance.is_not(None))
    )
    for datastore_id, wrapped in connection.execute(with_results).all():
        key = open_key(datastore_id, bytes(wrapped))
        named.update(pack_name(datastore_id, pack_id) for pack_id in read_packs_of_jobs(connection, key))
    return sorted(named)
