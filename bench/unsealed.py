"""The API as it would be without encryption at rest, to be measured and for nothing else: there is no such option.

python -m bench.unsealed --data DIR --port PORT     DIR is made by `unseal`

The copy has its records in plain at the same places, with as many bytes behind each as its seal had, and its database in plain.
Everything is read along the same way, but for the ciphers.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2
from sqlalchemy import select

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.installation import database_file, database_key_file, open_keyring
from hounsfield.imaging.image_store import ImageStore
from hounsfield.server.supervisor import serve_api
from hounsfield.settings import Settings
from hounsfield.storage.blobs import packs
from hounsfield.storage.db.image_set_tables import datastores
from hounsfield.storage.keys.data_key import DataKey
from hounsfield.storage.keys.database_key import database_key


def unseal(data: Path, target: Path) -> None:
    """Copy the data folder of a stopped server, with its packs and its database in plain."""
    settings = Settings(data=data)
    left_out = shutil.ignore_patterns("buckets", "hounsfield.db*", "work.pipe", "spool")
    shutil.copytree(data, target, ignore=left_out)
    connection = sqlcipher3.dbapi2.connect(str(database_file(settings)), isolation_level=None)
    key = database_key(database_key_file(settings), open_keyring(settings))
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    connection.execute("ATTACH DATABASE ? AS plain KEY ''", (str(target / "hounsfield.db"),))
    connection.execute("SELECT sqlcipher_export('plain')")
    connection.close()
    image_store, _ = open_image_store(settings)
    with image_store.database.read() as rows:
        stores = rows.execute(select(datastores.c.id, datastores.c.wrapped_key)).all()
    for store in stores:
        key = image_store.keys.open(store.id, store.wrapped_key)
        for name in image_store.blobs.names(f"packs/{store.id}/"):
            _unseal_pack(image_store, key, Path(name).name, target / "blobs" / name)
    image_store.database.close()


def _unseal_pack(image_store: ImageStore, key: DataKey, pack_id: str, copy: Path) -> None:
    with copy.open("r+b") as file:
        for label, extent in packs.read_contents(image_store.blobs, key, pack_id):
            plain = packs.read_record(image_store.blobs, key, extent, label)
            file.seek(extent.offset)
            file.write(plain + bytes(packs.SEAL_BYTES))


class _NoCipher:
    """Stands where the cipher of a pack stands."""

    def decrypt(self, _nonce: bytes, sealed: bytes, _context: bytes) -> bytes:
        return sealed[: -packs.SEAL_BYTES]

    def decrypt_into(self, _nonce: bytes, sealed: bytes, _context: bytes, into: memoryview) -> int:
        into[:] = memoryview(sealed)[: -packs.SEAL_BYTES]
        return len(into)


class _PlainConnection(sqlcipher3.dbapi2.Connection):  # type: ignore[misc]
    """A connection that is given no key."""

    def execute(self, sql: str, *parameters: Any) -> Any:
        return super().execute("SELECT 1" if sql.startswith("PRAGMA key") else sql, *parameters)


def main() -> None:
    """Serve until SIGTERM; the processes that answer are forked from this one, and have no ciphers either."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    connect = sqlcipher3.dbapi2.connect
    sqlcipher3.dbapi2.connect = lambda *args, **kwargs: connect(*args, factory=_PlainConnection, **kwargs)
    packs._cipher = lambda _key, _pack_id: _NoCipher()  # type: ignore[assignment]  # noqa: SLF001
    serve_api(Settings(data=arguments.data), "127.0.0.1", arguments.port)


if __name__ == "__main__":
    main()
