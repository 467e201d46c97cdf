"""Rotation of the master key: everything that the keyring wraps is wrapped anew.

    make a key, let it wrap ─▶ data keys of data stores, row by row ─▶ secrets of the installation ─▶ key of the database
    ─▶ data keys beside the packs, in each place of packs ─▶ secrets beside the packs, in the first

`WRAPPED` lists the columns; whatever else wants to be wrapped by the keyring is one entry more. Packs are not touched: what
seals them are the data keys, which stay the same. Every step is whole by itself, so that it does not matter where it ends,
and servers run on meanwhile: each unwraps with all keys, and reads the keyring again when it meets one it does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, select, update

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import datastores, secrets
from hounsfield.storage.keys.database_key import rewrap_database_key
from hounsfield.storage.keys.installation_secrets import secret_context
from hounsfield.storage.keys.key_files import KeyFileError
from hounsfield.storage.keys.kms import is_of_service, service_key_of
from hounsfield.storage.keys.master_keys import LocalKeyring, wrapping_key
from hounsfield.storage.keys.pack_keys import read_pack_key, write_pack_key
from hounsfield.storage.keys.secret_copies import read_secrets, write_secrets


@dataclass(frozen=True, slots=True)
class WrappedColumn:
    """A column whose values the keyring wraps.

    Attributes
    ----------
    what : str
        What the values are, for people.
    name : Column
        Tells the rows apart.
    wrapped : Column
        The wrapped values.
    context : callable
        From the name of a row to what the wrapping is bound to.
    """

    what: str
    name: Column[str]
    wrapped: Column[bytes]
    context: Callable[[str], str]


WRAPPED: Final = (
    WrappedColumn("data key", datastores.c.id, datastores.c.wrapped_key, str),
    WrappedColumn("secret", secrets.c.name, secrets.c.wrapped, secret_context),
)
"""All columns of the database that hold what the keyring wrapped."""
DATABASE_KEY: Final = "database key"
PACK_KEY: Final = "pack key"
"""A data key beside the packs."""
COPIED: Final = "pack secret"
"""A secret of the installation beside the packs."""


@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """Where everything is that the keyring wraps.

    Attributes
    ----------
    database : Database
        Has the columns of `WRAPPED`.
    database_key : Path
        The file with the key of the embedded database; need not be there.
    packs : sequence of Blobs
        The places of the packs, beside which data keys are kept; that of new packs first.
    """

    database: Database
    database_key: Path
    packs: Sequence[Blobs] = ()

    def rewrap(self, keyring: LocalKeyring) -> Iterator[str]:
        """Wrap everything with the current master key that is wrapped with another; gives what it wrapped, thing by thing.

        Raises
        ------
        KeyUnavailableError
            Something was wrapped with a key that is gone.
        OSError
            A place of the packs cannot be reached; what is in the database is wrapped by then.
        """
        current = keyring.current.id
        for column in WRAPPED:
            for name, wrapped in self._values(column):
                if is_of_service(wrapped) or wrapping_key(wrapped) == current:
                    continue
                context = column.context(name)
                anew = keyring.wrap(keyring.unwrap(wrapped, context), context)
                statement = update(column.wrapped.table).where(column.name == name, column.wrapped == wrapped)
                with self.database.write() as connection:
                    connection.execute(statement.values({column.wrapped: anew}))
                yield column.what
        if rewrap_database_key(self.database_key, keyring, current):
            yield DATABASE_KEY
        for datastore_id, _ in self._values(WRAPPED[0]):
            for place in self.packs:
                if write_pack_key(self.database, place, datastore_id):
                    yield PACK_KEY
        for place in self.packs[:1]:
            if write_secrets(self.database, place):
                yield from (COPIED for _ in self._values(WRAPPED[1]))

    def uses(self) -> Mapping[bytes, Counter[str]]:
        """Count what each master key wraps, by its id and by what it is; raises OSError where packs cannot be reached."""
        found: dict[bytes, Counter[str]] = {}
        for column in WRAPPED:
            for _, wrapped in self._values(column):
                if not is_of_service(wrapped):
                    found.setdefault(wrapping_key(wrapped), Counter())[column.what] += 1
        for path in (self.database_key, self.database_key.with_name(f"{self.database_key.name}.next")):
            if path.exists():
                found.setdefault(wrapping_key(path.read_bytes()), Counter())[DATABASE_KEY] += 1
        for what, wrapped in self._beside_packs():
            found.setdefault(wrapping_key(wrapped), Counter())[what] += 1
        return found

    def _beside_packs(self) -> Iterator[tuple[str, bytes]]:
        """List what the keyring wrapped beside the packs; what is missing or damaged is written anew by a server."""
        for datastore_id, _ in self._values(WRAPPED[0]):
            for place in self.packs:
                with suppress(BlobMissingError, KeyFileError):
                    wrapped = read_pack_key(place, datastore_id)
                    if not is_of_service(wrapped):
                        yield PACK_KEY, wrapped
        for place in self.packs[:1]:
            with suppress(BlobMissingError, KeyFileError):
                yield from ((COPIED, wrapped) for wrapped in read_secrets(place).values())

    def service_uses(self) -> Counter[str]:
        """Count the data keys that each key of a key service wraps, by its ARN."""
        column = WRAPPED[0]
        return Counter(service_key_of(wrapped) for _, wrapped in self._values(column) if is_of_service(wrapped))

    def _values(self, column: WrappedColumn) -> list[tuple[str, bytes]]:
        query: Any = select(column.name, column.wrapped).order_by(column.name)
        with self.database.read() as connection:
            return [(str(name), bytes(wrapped)) for name, wrapped in connection.execute(query)]
