"""Exports of the master keys, sealed with a passphrase.

    passphrase ─scrypt─▶ key ─AES-256-GCM─▶ {"format": "hounsfield master keys", "version": 1, "kdf": …, "sealed": …}

What the file says of itself is authenticated with what it holds. Scrypt (RFC 7914) takes 128 MiB and some tenths of a second
for each guess of the passphrase.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hounsfield.storage.keys.data_key import KEY_BYTES
from hounsfield.storage.keys.master_keys import KeyringContent, KeyringError

FORMAT: Final = "hounsfield master keys"
VERSION: Final = 1
LEAST_PASSPHRASE: Final = 12
"""Characters of a passphrase."""
_KDF: Final = "scrypt"
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16
_MOST_BYTES: Final = 1024 * 1024
_MOST_MEMORY: Final = 1024**3


class ExportError(ValueError):
    """A file is no export of master keys, or does not open with the passphrase; the message says which."""


@dataclass(frozen=True, slots=True)
class _Scrypt:
    """Parameters of scrypt (RFC 7914, section 2): cost, block size, parallelization."""

    n: int = 2**17
    r: int = 8
    p: int = 1

    def key(self, passphrase: str, salt: bytes) -> bytes:
        try:
            return Scrypt(salt, KEY_BYTES, self.n, self.r, self.p).derive(passphrase.encode())
        except (MemoryError, ValueError) as error:
            # OpenSSL says so too where the numbers do not fit together.
            raise ExportError(
                "what it asks of scrypt cannot be done here, or there is not enough memory for it"
            ) from error

    def check(self) -> None:
        whole = self.n > 1 and self.n & (self.n - 1) == 0 and self.r > 0 and 0 < self.p <= 16
        if not whole or 128 * self.n * self.r > _MOST_MEMORY:
            raise ExportError("it asks for another effort than this Hounsfield makes")


def export_keys(content: KeyringContent, passphrase: str) -> bytes:
    """Seal the master keys with a passphrase.

    Raises
    ------
    ExportError
        The passphrase is too short.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise ExportError(f"a passphrase must have at least {LEAST_PASSPHRASE} characters")
    kdf, salt, nonce = _Scrypt(), secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(kdf.key(passphrase, salt)).encrypt(nonce, content.text(), _authenticated(kdf, salt))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kdf": {"name": _KDF, **asdict(kdf), "salt": b64encode(salt).decode()},
        "nonce": b64encode(nonce).decode(),
        "sealed": b64encode(sealed).decode(),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def import_keys(data: bytes, passphrase: str) -> KeyringContent:
    """Open what `export_keys` made.

    Raises
    ------
    ExportError
        It is something else, damaged, of a newer version, or the passphrase is another one.
    """
    try:
        document = orjson.loads(data[:_MOST_BYTES])
        named, version, described = document["format"], document["version"], document["kdf"]
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise ExportError("it is no export of master keys, or is damaged") from error
    if named != FORMAT:
        raise ExportError("it is no export of master keys")
    if version != VERSION:
        raise ExportError(f"it is of version {version}, this Hounsfield reads {VERSION}")
    if isinstance(described, dict) and described.get("name") != _KDF:
        raise ExportError(f"it is sealed with another function than {_KDF}, which this Hounsfield reads")
    try:
        kdf = _Scrypt(int(described["n"]), int(described["r"]), int(described["p"]))
        salt, nonce, sealed = (
            b64decode(text, validate=True) for text in (described["salt"], document["nonce"], document["sealed"])
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ExportError("it is no export of master keys, or is damaged") from error
    kdf.check()
    if len(nonce) != _NONCE_BYTES:
        raise ExportError("it is no export of master keys, or is damaged")
    try:
        return KeyringContent.parse(AESGCM(kdf.key(passphrase, salt)).decrypt(nonce, sealed, _authenticated(kdf, salt)))
    except (InvalidTag, KeyringError) as error:
        raise ExportError("the passphrase is another one, or the file was changed") from error


def _authenticated(kdf: _Scrypt, salt: bytes) -> bytes:
    return orjson.dumps([FORMAT, VERSION, _KDF, kdf.n, kdf.r, kdf.p, salt.hex()])
