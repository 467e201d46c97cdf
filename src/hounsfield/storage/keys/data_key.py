"""Data keys, and the protocol of what wraps them.

    master key (a file) ─────wraps─▶ data key of each data store ──derives─▶ key of each pack
                          ├──wraps─▶ secrets of the installation
                          └──wraps─▶ key of the embedded database file
    key of a key service ─┴──wraps─▶ data keys of the data stores made with it

Data keys are random AES-256 keys. They are stored only wrapped, together with the data store they belong to; the wrapping
binds them to a context (such as the data store id), so that a wrapped key cannot be moved to another data store.

`hounsfield.storage.keys.master_keys` holds the master keys, `hounsfield.storage.keys.kms` asks a key service, and
`hounsfield.storage.keys.data_key_cache` keeps what was unwrapped for a while.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyUnavailableError(Exception):
    """A key cannot be had: it is another one, was removed or disabled, must not be used, or its wrapped bytes were changed."""


class KeyServiceDownError(KeyUnavailableError):
    """The key service does not answer, or not now; nobody said that the key must not be used."""


class KeyWrapper(Protocol):
    """What wraps keys and secrets of this installation: the local keyring."""

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
