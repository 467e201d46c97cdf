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
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hounsfield.imaging.backup.errors import BackupDamagedError
from hounsfield.storage.keys.data_key import KEY_BYTES

_MAGIC: Final = b"HFBACK\x00\x01"
_SALT_BYTES: Final = 32
_NONCE: Final = bytes(12)
_HEAD_BYTES: Final = len(_MAGIC) + _SALT_BYTES


class StreamCode:
    """Code over the bytes of a pack: AES-256-GMAC, several times faster than a SHA-256, and nobody else can make one.

    Parameters
    ----------
    key : bytes
        32 bytes.
    nonce : bytes
        12 bytes, another one for each pack.
    """

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._nonce = nonce
        self._encryptor = Cipher(AES(key), GCM(nonce)).encryptor()

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._encryptor.authenticate_additional_data(data)

    def text(self) -> str:
        """Return nonce and code in hexadecimal digits; nothing can be taken in afterwards."""
        self._encryptor.finalize()
        return f"{self._nonce.hex()}{self._encryptor.tag.hex()}"


class BackupKey:
    """The key of the backups of an installation.

    Parameters
    ----------
    secret : bytes
        32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._packs = self._derive(b"packs", b"hounsfield backup packs")

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

    def begin_code(self, known: str | None = None) -> StreamCode:
        """Return what makes the code of a pack; with the nonce of a known one, to be compared with it.

        Raises
        ------
        BackupDamagedError
            The known one is no code.
        """
        try:
            nonce = secrets.token_bytes(len(_NONCE)) if known is None else bytes.fromhex(known)[: len(_NONCE)]
            return StreamCode(self._packs, nonce)
        except ValueError as error:
            raise BackupDamagedError("a list of packs in the backup is not of its form") from error

    def _derive(self, salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt, info).derive(self._secret)
