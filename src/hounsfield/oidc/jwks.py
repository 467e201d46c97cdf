"""Public keys of an issuer (JSON Web Key Set, RFC 7517), fetched on demand and cached for a bounded time.

key id ─▶ KeySource.key ─┬─ kept and fresh ───────────────────────▶ key
                         ├─ kept and old, or key id unknown ─▶ fetch, at most every so often
                         └─ issuer down ─▶ the kept keys go on, for a bounded time
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, OctKey, RSAKey, import_key

from hounsfield.oidc.discovery import DiscoveryError, fetch_discovery, fetch_document, url_in
from hounsfield.oidc.errors import InvalidTokenError, IssuerUnavailableError
from hounsfield.oidc.fetch import Fetcher, UnreachableError
from hounsfield.settings.jwks_lifetime import JwksLifetime

_log = structlog.get_logger(__name__)

MOST_KEYS: Final = 100
SMALLEST_RSA_BITS: Final = 2048


class KeySetError(ValueError):
    """The issuer's document is not what it must be; the message says what, for logs."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of an issuer that may check signatures."""

    id: str | None
    key: Key


def read_key_set(document: bytes) -> tuple[PublicKey, ...]:
    """Read a key set, leaving out keys that do not check signatures or are too weak.

    Raises
    ------
    KeySetError
        It is not a key set, or has no key that can be used.
    """
    try:
        keys = orjson.loads(document)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise KeySetError("the key set is not a JSON object with keys") from None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise KeySetError(f"keys of the key set must be a list of at most {MOST_KEYS}")
    usable = tuple(key for entry in keys if (key := _public_key(entry)) is not None)
    if not usable:
        raise KeySetError("the key set has no public key for signatures")
    return usable


def _public_key(entry: object) -> PublicKey | None:
    if not isinstance(entry, dict) or entry.get("use") not in {None, "sig"} or entry.get("kty") == "oct":
        return None
    identifier = entry.get("kid")
    if not (identifier is None or isinstance(identifier, str)):
        return None
    # A private half that an issuer published by mistake is not taken up.
    public = {name: value for name, value in entry.items() if name not in {"d", "p", "q", "dp", "dq", "qi", "oth"}}
    try:
        key = import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, OctKey) or (isinstance(key, RSAKey) and key.public_key.key_size < SMALLEST_RSA_BITS):
        return None
    return PublicKey(identifier, key)


@dataclass(frozen=True, slots=True)
class _FetchedKeys:
    keys: Sequence[PublicKey]
    fetched_at: float

    def find(self, key_id: str | None) -> Key | None:
        """Return the key of an id; where the token names none, the only key there is."""
        if key_id is None:
            return self.keys[0].key if len(self.keys) == 1 else None
        return next((entry.key for entry in self.keys if entry.id == key_id), None)


class KeySource:
    """The keys of one issuer; for use by several threads.

    Parameters
    ----------
    issuer : str
        Its identifier, the URL of its discovery document without the end.
    jwks_url : str
        Where its keys are; empty to ask the discovery document (OpenID Connect Discovery 1.0, section 4).
    fetcher : Fetcher
        Sends requests.
    jwks_lifetime : JwksLifetime
        How long keys are kept.
    clock : callable
        Seconds, never going back.
    """

    def __init__(
        self,
        issuer: str,
        jwks_url: str,
        fetcher: Fetcher,
        jwks_lifetime: JwksLifetime,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._fetcher = fetcher
        self._lifetime = jwks_lifetime
        self._clock = clock
        self._kept = _FetchedKeys((), float("-inf"))
        self._tried_at = float("-inf")
        self._failed = False
        self._fetching = threading.Lock()

    def key(self, key_id: str | None) -> Key:
        """Return the key with an id; may send requests.

        Raises
        ------
        InvalidTokenError
            The issuer has no such key.
        IssuerUnavailableError
            Its keys cannot be fetched.
        """
        if not self._has(key_id, self._lifetime.fresh_seconds):
            self._renew(key_id)
        if not self._has_any(self._lifetime.most_seconds):
            raise IssuerUnavailableError("there are no keys of the issuer")
        key = self._kept.find(key_id)
        if key is not None:
            return key
        if self._failed:
            raise IssuerUnavailableError("the key is not among those kept, and newer ones cannot be fetched")
        raise InvalidTokenError("the issuer has no key with the kid of the token")

    def _has_any(self, seconds: float) -> bool:
        return self._clock() - self._kept.fetched_at <= seconds

    def _has(self, key_id: str | None, seconds: float) -> bool:
        return self._has_any(seconds) and self._kept.find(key_id) is not None

    def _renew(self, key_id: str | None) -> None:
        """Fetch the keys, unless that was tried just now; who has an old key does not wait for one who does so already."""
        old = self._has(key_id, self._lifetime.most_seconds)
        if not self._fetching.acquire(blocking=not old):
            return
        try:
            # Whoever waited finds what the one before fetched.
            known = self._has(key_id, self._lifetime.fresh_seconds)
            if not known and self._clock() - self._tried_at >= self._lifetime.pause_seconds:
                self._fetch()
        finally:
            self._fetching.release()

    def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            location = self._jwks_url or url_in(fetch_discovery(self._fetcher, self._issuer), "jwks_uri")
            keys = read_key_set(fetch_document(self._fetcher, location))
        except (UnreachableError, DiscoveryError, KeySetError) as error:
            self._failed = True
            _log.error("keys of the token issuer cannot be fetched", issuer=self._issuer, reason=str(error))
            return
        self._kept, self._failed = _FetchedKeys(keys, self._clock()), False
