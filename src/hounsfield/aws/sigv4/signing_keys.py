"""Signing keys and signatures of Signature Version 4.

secret access key ─HMAC date─▶ ─HMAC region─▶ ─HMAC service─▶ ─HMAC "aws4_request"─▶ signing key ─HMAC─▶ signature
"""

from __future__ import annotations

import hashlib
import hmac
from threading import Lock
from typing import TypeAlias

from cachetools import LRUCache

CacheKey: TypeAlias = tuple[str, str, bytes]


def signing_key(secret_access_key: str, scope: str) -> bytes:
    """Derive the key that signs in a scope.

    Parameters
    ----------
    secret_access_key : str
        The secret.
    scope : str
        ``<date>/<region>/<service>/aws4_request``.

    Returns
    -------
    bytes
        32 bytes.
    """
    key = b"AWS4" + secret_access_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return key


def sign(key: bytes, text: bytes) -> str:
    """Sign a text.

    Parameters
    ----------
    key : bytes
        Signing key.
    text : bytes
        String to sign.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hmac.digest(key, text, hashlib.sha256).hex()


class SigningKeys:
    """Signing keys derived before, the least used of them forgotten first. It keeps digests of secrets, not secrets.

    Parameters
    ----------
    size : int
        Most keys to keep.
    """

    def __init__(self, size: int) -> None:
        self._keys: LRUCache[CacheKey, bytes] = LRUCache(size)
        self._lock = Lock()

    def get(self, access_key_id: str, secret_access_key: str, scope: str) -> bytes:
        """Return the signing key, derived anew only when it is not kept.

        Parameters
        ----------
        access_key_id, secret_access_key : str
            Credentials; with another secret the key is another.
        scope : str
            ``<date>/<region>/<service>/aws4_request``.
        """
        place = (access_key_id, scope, hashlib.sha256(secret_access_key.encode()).digest())
        with self._lock:
            key = self._keys.get(place)
        if key is None:
            key = signing_key(secret_access_key, scope)
            with self._lock:
                self._keys[place] = key
        return key
