"""Common settings: those that all nodes of an installation must have alike, compared whenever a process starts.

    first node   its common settings ─▶ sealed in the database
    other nodes  their common settings ─▶ compared ─▶ refused where one differs, by its name

They decide what an answer says (ARNs), where work reads and writes (buckets, archive, key service), who is let in, and what is
recorded or released. With other values on two nodes it would depend on chance which of them count. An embedded database has one
node, whose settings are its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

import orjson
import structlog
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from hounsfield.settings import PREFIX, Settings, SettingsError
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.keys.data_key import KeyWrapper
from hounsfield.storage.keys.installation_secrets import secret_context

COMMON: Final = (
    "account_id",
    "archive_after_days",
    "archive_blobs_url",
    "archive_storage_class",
    "audit_data_events",
    "audit_on_failure",
    "audit_uids",
    "classic_search_actions",
    "descriptions_ignore_case",
    "import_roles",
    "job_retention_seconds",
    "kms",
    "kms_endpoint_url",
    "oidc_audience",
    "oidc_issuer",
    "oidc_roles",
    "partition",
    "region",
    "release_after_seconds",
    "s3",
    "s3_endpoint_url",
)
"""The settings that all nodes have alike."""
_ROW: Final = "common-settings"
_SHOWN: Final = frozenset({"account_id", "partition", "region"})
"""Those whose values are told: the others may be long, or a URL that has a password in it."""

_log = structlog.get_logger(__name__)


def check_common_settings(settings: Settings, database: Database, wrapper: KeyWrapper) -> None:
    """Make sure that a node has the settings of the others; those of the first one are kept.

    Parameters
    ----------
    settings : Settings
        Those of this node.
    database : Database
        Where those of the others are.
    wrapper : KeyWrapper
        Seals them.

    Raises
    ------
    SettingsError
        Some differ; the message names them, and says what to do.
    """
    if not settings.database_url:
        return
    own = _common(settings)
    with database.read() as connection:
        known = _known(connection, wrapper)
    if known is None:
        # Of several nodes that start at the same time, one is the first.
        with contextlib.suppress(IntegrityError), database.write() as connection:
            connection.execute(insert(secrets).values(name=_ROW, wrapped=_sealed(own, wrapper)))
        with database.read() as connection:
            known = _known(connection, wrapper) or own
    different = _different(own, known)
    if different:
        raise SettingsError(
            f"all nodes need the same settings, and this one differs from the others: {', '.join(different)}; set them as "
            "the others have them, or stop all nodes, change them on all, and run `hounsfield settings accept` on one"
        )
    if own.keys() - known.keys():
        # A newer version has more of them.
        with database.write() as connection:
            _keep(connection, {**own, **known}, wrapper)


def accept_common_settings(settings: Settings, database: Database, wrapper: KeyWrapper) -> list[str]:
    """Make the settings of this node those of all.

    Returns
    -------
    list of str
        The names of the variables that had other values before.
    """
    own = _common(settings)
    with database.write() as connection:
        known = _known(connection, wrapper)
        if known is None:
            connection.execute(insert(secrets).values(name=_ROW, wrapped=_sealed(own, wrapper)))
            return []
        _keep(connection, {**known, **own}, wrapper)
    changed = [_variable(name) for name in sorted(own) if name in known and known[name] != own[name]]
    _log.warning("common settings accepted", changed=changed)
    return changed


def forget_common_settings(database: Database) -> None:
    """Forget what the nodes had alike, so that those of the first node that starts count: they may be other machines now."""
    with database.write() as connection:
        connection.execute(secrets.delete().where(secrets.c.name == _ROW))


def _common(settings: Settings) -> dict[str, str]:
    values = {name: str(getattr(settings, name)) for name in COMMON}
    # A folder may be mounted elsewhere on another node, and the empty name stands for a role by what S3 is.
    url = settings.archive_blobs_url
    values["archive_blobs_url"] = "a folder" if url and ("://" not in url or url.startswith("file://")) else url
    values["import_roles"] = str(settings.job_roles)
    return values


def _different(own: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    return [
        f"{_variable(name)} is {own[name]}, there it is {known[name]}" if name in _SHOWN else _variable(name)
        for name in sorted(own)
        if name in known and known[name] != own[name]
    ]


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _known(connection: Connection, wrapper: KeyWrapper) -> dict[str, str] | None:
    sealed = connection.execute(select(secrets.c.wrapped).where(secrets.c.name == _ROW)).scalar()
    if sealed is None:
        return None
    known: dict[str, str] = orjson.loads(wrapper.unwrap(sealed, secret_context(_ROW)))
    return known


def _keep(connection: Connection, values: Mapping[str, str], wrapper: KeyWrapper) -> None:
    connection.execute(update(secrets).where(secrets.c.name == _ROW).values(wrapped=_sealed(values, wrapper)))


def _sealed(values: Mapping[str, str], wrapper: KeyWrapper) -> bytes:
    return wrapper.wrap(orjson.dumps(values), secret_context(_ROW))
