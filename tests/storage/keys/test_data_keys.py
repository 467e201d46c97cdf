"""Keys: wrapped, bound to what they belong to, and made once however many processes start together."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hounsfield.storage.db.engines import open_embedded
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import DataKeyCache
from hounsfield.storage.keys.database_key import database_key
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.master_keys import LocalKeyring


def test_a_wrapped_key_opens_only_in_its_context(tmp_path: Path) -> None:
    ring = LocalKeyring(tmp_path / "master.json")
    wrapped = ring.wrap(b"k" * 32, "store-1")
    assert ring.unwrap(wrapped, "store-1") == b"k" * 32
    with pytest.raises(KeyUnavailableError, match="does not belong"):
        ring.unwrap(wrapped, "store-2")


def test_another_keyring_does_not_open_it(tmp_path: Path) -> None:
    wrapped = LocalKeyring(tmp_path / "one.json").wrap(b"k" * 32, "c")
    with pytest.raises(KeyUnavailableError, match="not in the keyring"):
        LocalKeyring(tmp_path / "two.json").unwrap(wrapped, "c")


def test_the_keyring_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.json"
    with ThreadPoolExecutor(8) as threads:
        rings = list(threads.map(lambda _: LocalKeyring(path), range(8)))
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(path.read_text())["keys"]) == 1
    assert all(ring.unwrap(rings[0].wrap(b"x", "c"), "c") == b"x" for ring in rings)


def test_a_sealed_column_opens_only_where_it_was(tmp_path: Path) -> None:
    keys = DataKeyCache(LocalKeyring(tmp_path / "master.json"))
    key = keys.open("a" * 32, keys.make("a" * 32))
    sealed = key.seal(b"Roe^Jane", "levels:1")
    assert b"Roe" not in sealed
    assert key.open(sealed, "levels:1") == b"Roe^Jane"
    with pytest.raises(KeyUnavailableError):
        key.open(sealed, "levels:2")
    assert key.secret.hex() not in repr(key)


def test_the_database_file_is_encrypted_and_needs_its_key(tmp_path: Path) -> None:
    ring = LocalKeyring(tmp_path / "master.json")
    key = database_key(tmp_path / "database.key", ring)
    assert key == database_key(tmp_path / "database.key", ring)
    database = open_embedded(tmp_path / "h.db", key)
    first = installation_secret(database, ring, "one")
    assert first == installation_secret(database, ring, "one") != installation_secret(database, ring, "two")
    database.close()
    content = (tmp_path / "h.db").read_bytes()
    assert not content.startswith(b"SQLite format 3")
    assert b"installation" not in content
    assert b"datastores" not in content
    with pytest.raises(Exception, match="SQLITE_NOTADB"):
        open_embedded(tmp_path / "h.db", bytes(32))
