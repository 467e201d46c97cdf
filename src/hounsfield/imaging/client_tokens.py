"""Client tokens: the same request sent twice within 24 hours makes one resource (CreateDatastore, StartDICOMImportJob)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from hounsfield.imaging.errors import ConflictError
from hounsfield.storage.db.job_tables import client_tokens
from hounsfield.storage.db.steady_clock import steady_ms

T = TypeVar("T")
_LIFE_MS = 24 * 3600 * 1000


def find_resource(connection: Connection, account_id: str, operation: str, token: str, parameters: Any) -> str | None:
    """Return the id of the resource that a client token made before, or None.

    Raises
    ------
    ConflictError
        The token was used with other parameters.
    """
    row = connection.execute(
        select(client_tokens).where(
            client_tokens.c.created_at >= steady_ms(connection) - _LIFE_MS,
            client_tokens.c.account_id == account_id,
            client_tokens.c.operation == operation,
            client_tokens.c.token == token,
        )
    ).first()
    if row is None:
        return None
    if row.parameters_digest != _digest(parameters):
        raise ConflictError("clientToken was used before with other parameters; use a new token for a new request")
    return str(row.resource_id)


def retry_if_raced(make: Callable[[], T]) -> T:
    """Run ``make`` again when another request with the same client token was first; it then finds that one's resource."""
    try:
        return make()
    except IntegrityError:
        return make()


def record_resource(
    connection: Connection, account_id: str, operation: str, token: str, parameters: Any, resource_id: str
) -> None:
    """Note which resource a client token made, in the transaction that makes it."""
    now = steady_ms(connection)
    connection.execute(delete(client_tokens).where(client_tokens.c.created_at < now - _LIFE_MS))
    connection.execute(
        insert(client_tokens).values(
            account_id=account_id,
            operation=operation,
            token=token,
            parameters_digest=_digest(parameters),
            resource_id=resource_id,
            created_at=now,
        )
    )


def _digest(parameters: Any) -> str:
    return hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()
