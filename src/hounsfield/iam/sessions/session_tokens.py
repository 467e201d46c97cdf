"""Session tokens: the sealed content of a role session, so that no node has to keep it.

    SessionContent ─▶ JSON ─deflate─▶ AES-256-GCM, bound to the access key id ─▶ base64 ─▶ token
    token, access key id ─▶ SessionContent, or InvalidSessionError

The key is derived from a secret that all processes of an installation share. A token says nothing to whoever holds it, and one
of which a single bit was changed, or that comes with another access key id, does not open.
"""

from __future__ import annotations

import secrets as random_source
import zlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MOST_TOKEN_CHARACTERS: Final = 4096
"""Longest token; what would make a longer one is refused when the session begins."""

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
MOST_PACKED_BYTES: Final = MOST_TOKEN_CHARACTERS // 4 * 3 - len(_VERSION) - _NONCE_BYTES - _TAG_BYTES
"""Most bytes of deflated content."""


class InvalidSessionError(Exception):
    """The session token is none of this installation's, not of this access key, or its role is gone."""


class ExpiredSessionError(Exception):
    """The time of the session token is over."""


class SessionTooLargeError(Exception):
    """Session policies and session tags together are more than a token may hold."""


@dataclass(frozen=True, slots=True)
class SessionContent:
    """What is known of a session.

    Attributes
    ----------
    secret : str
        Its secret access key.
    role_id, role_arn : str
        Its role.
    name : str
        Its name.
    issued_at, expires_at : int
        Seconds since 1970-01-01 UTC.
    policies : tuple of str
        Its session policies, JSON.
    policy_arns : tuple of str
        Managed policies that are session policies.
    tags : Mapping of str to str
        Its session tags.
    transitive : tuple of str
        Keys of those that go over to sessions begun from it.
    provider : str
        Issuer of the web identity it was given for.
    source_identity : str
        Who began it.
    """

    secret: str = field(repr=False)
    role_id: str
    role_arn: str
    name: str
    issued_at: int
    expires_at: int
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, repr=False)
    transitive: tuple[str, ...] = ()
    provider: str = ""
    source_identity: str = ""


class TokenSealer:
    """Makes and opens session tokens.

    Parameters
    ----------
    secret : bytes
        A secret of the installation.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, b"hounsfield session token").derive(secret))

    def seal(self, access_key_id: str, content: SessionContent) -> str:
        """Make the token of a session.

        Raises
        ------
        SessionTooLargeError
            It would be longer than `MOST_TOKEN_CHARACTERS`.
        """
        packed = pack(content)
        if len(packed) > MOST_PACKED_BYTES:
            raise SessionTooLargeError(
                f"packed they have {len(packed)} bytes, at most {MOST_PACKED_BYTES} are possible"
            )
        nonce = random_source.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, packed, _VERSION + access_key_id.encode())
        return b64encode(_VERSION + nonce + sealed).decode()

    def open(self, access_key_id: str, token: str) -> SessionContent:
        """Read the token of a session, whether or not its time is over.

        Raises
        ------
        InvalidSessionError
            It is not one made here for this access key.
        """
        if len(token) > MOST_TOKEN_CHARACTERS:
            raise InvalidSessionError
        try:
            sealed = b64decode(token, validate=True)
        except (Base64Error, ValueError):
            raise InvalidSessionError from None
        # Of the last character some bits may not count: another text for the same bytes is not a token either.
        if b64encode(sealed) != token.encode() or sealed[:1] != _VERSION:
            raise InvalidSessionError
        body = sealed[len(_VERSION) :]
        try:
            packed = self._cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _VERSION + access_key_id.encode())
        except (InvalidTag, ValueError):
            raise InvalidSessionError from None
        return _unpack(packed)


def pack(content: SessionContent) -> bytes:
    """Return the content as it is sealed; its size is what counts against `MOST_PACKED_BYTES`."""
    return zlib.compress(orjson.dumps(asdict(content)), 9)


def _unpack(packed: bytes) -> SessionContent:
    """Read what `pack` made, and nobody else: it was sealed."""
    values = orjson.loads(zlib.decompress(packed))
    for name in ("policies", "policy_arns", "transitive"):
        values[name] = tuple(values[name])
    return SessionContent(**values)
