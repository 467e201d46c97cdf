"""Repository of identities: rows in the database, and the transactions that change them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from hounsfield.iam.identities.errors import NoSuchEntityError
from hounsfield.iam.identities.names import format_name
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.iam_tables import identities, identity_generation
from hounsfield.storage.keys.data_key import DataKey, KeyWrapper
from hounsfield.storage.keys.installation_secrets import installation_secret

_SEALED_WITH: Final = "access-keys"


@dataclass(frozen=True, slots=True)
class Repository:
    """The users, roles and policies of an installation.

    Attributes
    ----------
    database : Database
        Where they are.
    account_id, partition : str
        What their ARNs are made with.
    sealer : DataKey
        Seals the secrets of access keys; itself kept wrapped by the keyring, so that a new master key rewraps one secret.
    """

    database: Database
    account_id: str
    partition: str
    sealer: DataKey = field(repr=False)

    @classmethod
    def of(cls, database: Database, wrapper: KeyWrapper, account_id: str, partition: str) -> Repository:
        """Return the repository in a database; raises `KeyUnavailableError` with another master key."""
        sealer = DataKey(_SEALED_WITH, installation_secret(database, wrapper, _SEALED_WITH))
        return cls(database, account_id, partition, sealer)

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """Open a transaction that changes the directory; all processes notice it once it has committed.

        Changes happen one after the other: each holds the row of the generation from its beginning on.
        """
        with self.database.write() as connection:
            following = identity_generation.c.generation + 1
            connection.execute(update(identity_generation).values(generation=following))
            yield connection

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a user, role or policy (IAM User Guide, "IAM ARNs")."""
        return f"arn:{self.partition}:iam::{self.account_id}:{kind}/{name}"

    def seal(self, access_key_id: str, secret: str) -> bytes:
        """Seal the secret of an access key, so that it opens for that key only."""
        return self.sealer.seal(secret.encode(), f"access-key:{access_key_id}")

    def unseal(self, access_key_id: str, sealed: bytes) -> str:
        """Return the secret of an access key; raises `KeyUnavailableError` when it was changed or is another key's."""
        return self.sealer.open(sealed, f"access-key:{access_key_id}").decode()


def identity_row(connection: Connection, kind: IdentityKind, name: str) -> Row[Any]:
    """Return the row of a user or role, whatever the case of its name; raises `NoSuchEntityError`."""
    query = select(identities).where(identities.c.kind == kind, identities.c.name_key == name.lower())
    row = connection.execute(query).first()
    if row is None:
        raise NoSuchEntityError(f"there is no {kind} {format_name(name)}")
    return row
