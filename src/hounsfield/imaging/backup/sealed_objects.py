"""Sealed objects of a backup: compressed, encrypted, and bound to their name.

    plain ─zlib─▶ AES-256-GCM under HKDF-SHA-256(key of the backup, salt) ─▶ magic · salt · ciphertext and tag

Each object has a salt of its own, and so a key of its own: the nonce can be zero. Its name is authenticated with it, so that
one object is never taken for another.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hounsfield.imaging.backup.errors import BackupDamagedError
from hounsfield.storage.keys.data_key import KEY_BYTES

_MAGIC: Final = b"HFBACK\x00\x01"
_SALT_BYTES: Final = 32
_NONCE: Final = bytes(12)
_HEAD_BYTES: Final = len(_MAGIC) + _SALT_BYTES


class BackupKey:
    """The key of the backups of an installation.

    Parameters
    ----------
    secret : bytes
        32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "BackupKey()"

    def seal(self, plain: bytes, name: str) -> bytes:
        """Compress and encrypt what is to be the object of a name."""
        salt = secrets.token_bytes(_SALT_BYTES)
        sealed = AESGCM(self._derive(salt, b"hounsfield backup")).encrypt(
            _NONCE, zlib.compress(plain, 1), name.encode()
        )
        return b"".join((_MAGIC, salt, sealed))

    def open(self, sealed: bytes, name: str) -> bytes:
        """Return what was sealed; raises `BackupDamagedError`."""
        if not sealed.startswith(_MAGIC):
            raise BackupDamagedError(f"{name} of the backup is no sealed object")
        salt = sealed[len(_MAGIC) : _HEAD_BYTES]
        cipher = AESGCM(self._derive(salt, b"hounsfield backup"))
        try:
            return zlib.decompress(cipher.decrypt(_NONCE, sealed[_HEAD_BYTES:], name.encode()))
        except (InvalidTag, zlib.error, ValueError) as error:
            raise BackupDamagedError(f"{name} of the backup was changed, or is of another backup") from error

    def code(self, text: bytes) -> str:
        """Return the code that authenticates a text that stays readable (HMAC-SHA-256, hexadecimal)."""
        return hmac.new(self._derive(b"manifest", b"hounsfield backup manifest"), text, hashlib.sha256).hexdigest()

    def _derive(self, salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt, info).derive(self._secret)
