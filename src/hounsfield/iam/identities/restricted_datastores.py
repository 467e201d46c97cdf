"""Restricted data stores: the permission on the data store alone shows none of its image sets.

AWS HealthImaging has no such setting. It is the operator's: no request changes it.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from hounsfield.iam.identities.errors import NoSuchEntityError
from hounsfield.iam.identities.names import format_name
from hounsfield.iam.identities.repository import Repository
from hounsfield.storage.db.iam_tables import explicit_datastores
from hounsfield.storage.db.image_set_tables import datastores


def restrict_datastore(repository: Repository, datastore_id: str) -> None:
    """Let image sets of a data store be seen by those only who are allowed them; all processes know within a second.

    Raises
    ------
    NoSuchEntityError
        There is no such data store.
    """
    with repository.change() as connection:
        _check_there(connection, repository, datastore_id)
        if datastore_id not in _restricted(connection):
            connection.execute(insert(explicit_datastores).values(datastore_id=datastore_id))


def unrestrict_datastore(repository: Repository, datastore_id: str) -> None:
    """Let the permission on a data store be enough for its image sets again, as at AWS; raises as `restrict_datastore`."""
    with repository.change() as connection:
        _check_there(connection, repository, datastore_id)
        connection.execute(delete(explicit_datastores).where(explicit_datastores.c.datastore_id == datastore_id))


def restricted_datastores(repository: Repository) -> list[str]:
    """Return the ids of the data stores in which each image set must be allowed."""
    with repository.database.read() as connection:
        return sorted(_restricted(connection))


def _restricted(connection: Connection) -> set[str]:
    return set(connection.execute(select(explicit_datastores.c.datastore_id)).scalars())


def _check_there(connection: Connection, repository: Repository, datastore_id: str) -> None:
    query = select(datastores.c.id).where(
        datastores.c.id == datastore_id, datastores.c.account_id == repository.account_id
    )
    if connection.execute(query).first() is None:
        raise NoSuchEntityError(f"there is no data store {format_name(datastore_id)}")
