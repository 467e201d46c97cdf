"""Keys: who wraps whom.

    master key (a file, or later a key service) ─wraps─▶ data key of each data store ─derives─▶ key of each pack
                                                └wraps─▶ key of the embedded database file

Data keys are random AES-256 keys. They are stored only wrapped, together with the data store they belong to; the wrapping
binds them to a context (such as the data store id), so that a wrapped key cannot be moved to another data store.
"""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hounsfield.storage.durable import write_file_durably

KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID_BYTES = 8


class KeyUnavailableError(Exception):
    """A key cannot be unwrapped: the master key is another one, was removed, or the wrapped bytes were changed."""


class KeyWrapper(Protocol):
    """What wraps data keys; the seam at which a key management service takes the place of the local keyring."""

    def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt ``key``, bound to ``context``."""
        ...

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt what `wrap` made; raises `KeyUnavailableError`."""
        ...


@dataclass(frozen=True, slots=True)
class DataKey:
    """The AES-256 key of one data store (32 bytes), and what is derived from it."""

    datastore_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"DataKey({self.datastore_id})"

    def for_pack(self, pack_id: str) -> AESGCM:
        """Derive the key of one pack (HKDF-SHA-256, RFC 5869, salted by the pack id)."""
        return AESGCM(HKDF(SHA256(), KEY_BYTES, pack_id.encode(), b"hounsfield pack").derive(self.secret))

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt a small value for a database column, bound to ``context`` (AES-256-GCM, random nonce first)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + _for_columns(self).encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made; raises `KeyUnavailableError` when it was changed or belongs elsewhere."""
        try:
            return _for_columns(self).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except InvalidTag as error:
            raise KeyUnavailableError(f"sealed value of {context} does not open with the key of its store") from error


@lru_cache(maxsize=256)
def _for_columns(key: DataKey) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, b"columns", b"hounsfield columns").derive(key.secret))


class LocalKeyring:
    """Master keys in one file of mode 0600: the newest wraps, all unwrap.

    Parameters
    ----------
    path : Path
        The keyring file; made with one random key when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            write_file_durably(path, _new_keyring(), mode=0o600, replace=False)
        content = json.loads(path.read_text())
        self._keys = {bytes.fromhex(entry["id"]): b64decode(entry["key"]) for entry in content["keys"]}
        self._newest = bytes.fromhex(content["keys"][-1]["id"])

    def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt ``key``, bound to ``context``, with the newest master key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._newest + nonce + AESGCM(self._keys[self._newest]).encrypt(nonce, key, context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt what `wrap` made with any key of the ring; raises `KeyUnavailableError`."""
        key_id, rest = wrapped[:_KEY_ID_BYTES], wrapped[_KEY_ID_BYTES:]
        master = self._keys.get(key_id)
        if master is None:
            raise KeyUnavailableError(f"master key {key_id.hex()} is not in the keyring")
        try:
            return AESGCM(master).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode())
        except InvalidTag as error:
            raise KeyUnavailableError(f"wrapped key does not belong to {context}") from error


def _new_keyring() -> bytes:
    entry = {"id": secrets.token_hex(_KEY_ID_BYTES), "key": b64encode(secrets.token_bytes(KEY_BYTES)).decode()}
    return json.dumps({"keys": [entry]}, indent=1).encode()


def database_key(path: Path, wrapper: KeyWrapper) -> bytes:
    """Give the 32-byte key of the embedded database, kept wrapped in ``path`` and made on first use."""
    if not path.exists():
        wrapped = wrapper.wrap(os.urandom(KEY_BYTES), "database")
        write_file_durably(path, wrapped, mode=0o600, replace=False)
    return wrapper.unwrap(path.read_bytes(), "database")


class DataKeys:
    """Unwrapped data keys, kept for a while so that not every read asks the wrapper.

    Parameters
    ----------
    wrapper : KeyWrapper
        What wraps and unwraps.
    capacity : int
        How many keys are kept.
    """

    def __init__(self, wrapper: KeyWrapper, capacity: int = 256) -> None:
        self._wrapper = wrapper
        self._unwrapped = lru_cache(maxsize=capacity)(self._unwrap)

    def make(self, datastore_id: str) -> bytes:
        """Make the data key of a new data store; gives it wrapped."""
        return self._wrapper.wrap(secrets.token_bytes(KEY_BYTES), datastore_id)

    def open(self, datastore_id: str, wrapped: bytes) -> DataKey:
        """Give the data key of a data store; raises `KeyUnavailableError`."""
        return self._unwrapped(datastore_id, wrapped)

    def _unwrap(self, datastore_id: str, wrapped: bytes) -> DataKey:
        return DataKey(datastore_id, self._wrapper.unwrap(wrapped, datastore_id))
