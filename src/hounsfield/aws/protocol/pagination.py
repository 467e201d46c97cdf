"""Page tokens, which hold their position themselves: the server keeps nothing.

    place (JSON values) ─▶ seal ─▶ base64url( version · nonce · AES-256-GCM(JSON) ) ─▶ client ─▶ open ─▶ place

The context (operation and parameters) is authenticated too, so a token opens only for the request it was made for. The
place is encrypted, because tokens travel in URLs and a place may be a study date.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets as random_source
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import TypeAlias

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hounsfield.aws.protocol.errors import ValidationException

JsonValue: TypeAlias = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None

MAX_TOKEN_CHARACTERS = 8192
"""Longest token the service model permits (NextToken)."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,8192}")
_VERSION = b"\x01"
_NONCE_BYTES = 12
_MIN_SECRET_BYTES = 16
_PURPOSE = b"hounsfield page token"
_NOT_IN_CONTEXT = frozenset({"nextToken", "maxResults"})


class PageTokens:
    """Makes and opens page tokens.

    Parameters
    ----------
    secret : bytes
        Secret of the installation, at least 16 bytes; the same on every server that shares the data.

    Raises
    ------
    ValueError
        The secret is too short.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _MIN_SECRET_BYTES:
            message = f"The secret for page tokens must have at least {_MIN_SECRET_BYTES} bytes."
            raise ValueError(message)
        self._cipher = AESGCM(hmac.digest(secret, _PURPOSE, hashlib.sha256))

    def seal(self, values: JsonValue, context: str) -> str:
        """Make a token.

        Parameters
        ----------
        values : JSON value
            The place where the next page begins.
        context : str
            What the token is bound to, see `page_context`.

        Returns
        -------
        str
            The token, at most 8,192 characters of ``[A-Za-z0-9_-]``.

        Raises
        ------
        ValueError
            The values are too large for a token.
        """
        nonce = random_source.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, orjson.dumps(values), context.encode())
        token = urlsafe_b64encode(_VERSION + nonce + sealed).rstrip(b"=").decode()
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise ValueError("The values of a page token are too large for the 8,192 characters a token may have.")
        return token

    def open(self, token: str, context: str) -> JsonValue:
        """Read a token.

        Parameters
        ----------
        token : str
            The token as the client sent it.
        context : str
            What it must be bound to.

        Returns
        -------
        JSON value
            The values it was made of.

        Raises
        ------
        ValidationException
            The token was not made here, was changed, or belongs to another request.
        """
        if not _TOKEN.fullmatch(token):
            raise _refused()
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except Base64Error:
            raise _refused() from None
        nonce, sealed = raw[1 : 1 + _NONCE_BYTES], raw[1 + _NONCE_BYTES :]
        if raw[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise _refused()
        try:
            content = self._cipher.decrypt(nonce, sealed, context.encode())
        except InvalidTag:
            raise _refused() from None
        values: JsonValue = orjson.loads(content)
        return values


def page_context(operation: str, parameters: Mapping[str, object]) -> str:
    """Name what a page token is bound to.

    Parameters
    ----------
    operation : str
        Operation name.
    parameters : mapping
        Parsed parameters of the request. The token itself and the page size do not count: a client may change the size
        from page to page.

    Returns
    -------
    str
        Operation name and a digest of the parameters.
    """
    bound = {name: value for name, value in parameters.items() if name not in _NOT_IN_CONTEXT}
    digest = hashlib.sha256(orjson.dumps(bound, default=_hexadecimal, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{operation}:{digest}"


def _hexadecimal(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    message = f"Parameters of a request have no values of type {type(value).__name__}."
    raise TypeError(message)


def _refused() -> ValidationException:
    message = (
        "1 validation error detected: Value at 'nextToken' failed to satisfy constraint: "
        "Member must be a token returned by the same operation with the same parameters"
    )
    return ValidationException(message)
