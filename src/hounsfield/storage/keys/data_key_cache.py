"""Cache of unwrapped data keys.

    open ─┬─ wrapped by the local keyring ─▶ unwrapped here, kept
          └─ wrapped by a key service ─┬─ kept and young ─▶ given; past half its life it is asked for anew, beside
                                       └─ else ─▶ KeyNotCachedError ─▶ whoever runs the work calls `fetch` and begins again
    fetch ─▶ one call of the service for all who wait

`open` never waits, because it is called in the event loop and within transactions of the database. A key of the service is
kept for a bounded time: when it is disabled or may not be used any more, what it protects cannot be read after that time.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, ParamSpec, TypeVar

from cachetools import LRUCache

from hounsfield.storage.keys.data_key import KEY_BYTES, DataKey, KeyServiceDownError, KeyUnavailableError, KeyWrapper
from hounsfield.storage.keys.kms import KeyService, UnusableKeyError, is_of_service

P = ParamSpec("P")
T = TypeVar("T")

MOST_FETCHES: Final = 5
"""How often a work may be begun again because it needed another key."""
_CAPACITY = 1024
_REFUSAL_SECONDS = 1.0
_REFRESH_AGAIN_SECONDS = 5.0


class KeyNotCachedError(Exception):
    """A data key must be fetched, which takes a while: call `fetch` where one may wait, then begin again."""

    def __init__(self, fetch: Callable[[], object]) -> None:
        super().__init__("a data key is not at hand")
        self.fetch = fetch

    def __reduce__(self) -> tuple[type[KeyNotCachedError], tuple[Callable[[], object]]]:
        return KeyNotCachedError, (_fetch_elsewhere,)


def _fetch_elsewhere() -> None:
    raise KeyUnavailableError("the data key can be fetched by the process only that asked for it")


def run_fetching_keys(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do ``work``, again whenever it needed a key that was not at hand, which is then fetched here.

    What ``work`` had begun when it met such a key must have been undone: a transaction that was rolled back is.

    Raises
    ------
    KeyUnavailableError
        The key cannot be had.
    """
    for _ in range(MOST_FETCHES):
        try:
            return work(*args, **kwargs)
        except KeyNotCachedError as needed:
            needed.fetch()
    return work(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the service said of a key: until when it counts, and from when on it is asked again; monotonic seconds."""

    until: float
    renew_from: float
    key: DataKey | None
    error: KeyUnavailableError | None = None

    def given(self) -> DataKey:
        if self.key is not None:
            return self.key
        # A new one: that which is kept has the traceback of whoever met it first.
        raise KeyUnavailableError("the key cannot be had") if self.error is None else type(self.error)(str(self.error))


_Name = tuple[str, bytes]
"""A data store and its wrapped key."""


class DataKeyCache:
    """The data keys of all data stores.

    Parameters
    ----------
    keyring : KeyWrapper
        Wraps data keys that no key service wraps.
    service : KeyService or None
        The key service, where there is one.
    life_seconds : float
        How long a key of the service is used before the service must have been asked again.
    """

    def __init__(self, keyring: KeyWrapper, service: KeyService | None = None, life_seconds: float = 300.0) -> None:
        self._keyring = keyring
        self._service = service
        self._life_seconds = life_seconds
        self._unwrapped = lru_cache(maxsize=_CAPACITY)(self._unwrap_locally)
        self._lock = threading.Lock()
        self._answers: LRUCache[_Name, _Answer] = LRUCache(_CAPACITY)
        self._asked: dict[_Name, Future[DataKey]] = {}

    def make(self, datastore_id: str, service_key_arn: str | None = None) -> bytes:
        """Make the data key of a new data store; gives it wrapped.

        Parameters
        ----------
        datastore_id : str
            The data store.
        service_key_arn : str or None
            The key of the key service that wraps it; None for the local keyring.

        Raises
        ------
        UnusableKeyError
            The key of the service cannot be that of a data store.
        KeyUnavailableError
            It must not be used by this installation, or the service does not answer.
        """
        if service_key_arn is None:
            return self._keyring.wrap(secrets.token_bytes(KEY_BYTES), datastore_id)
        if self._service is None:
            raise UnusableKeyError("this installation has no key service, see HOUNSFIELD_KMS_ENDPOINT_URL")
        return self._service.make(service_key_arn, datastore_id)

    def open(self, datastore_id: str, wrapped: bytes) -> DataKey:
        """Return the data key of a data store, without waiting for anything.

        Raises
        ------
        KeyUnavailableError
            It cannot be had.
        KeyNotCachedError
            It must be fetched first.
        """
        if not is_of_service(wrapped):
            return self._unwrapped(datastore_id, wrapped)
        name = (datastore_id, wrapped)
        with self._lock:
            answer = self._answers.get(name)
        now = time.monotonic()
        if answer is None or now >= answer.until:
            raise KeyNotCachedError(lambda: self.fetch(datastore_id, wrapped))
        if now >= answer.renew_from:
            self._renew_beside(name)
        return answer.given()

    def fetch(self, datastore_id: str, wrapped: bytes) -> DataKey:
        """Return the data key of a data store, waiting for the key service where needed; raises `KeyUnavailableError`."""
        try:
            return self.open(datastore_id, wrapped)
        except KeyNotCachedError:
            return self._asked_once((datastore_id, wrapped))

    def _asked_once(self, name: _Name) -> DataKey:
        """Ask the service, or wait for the answer to what another thread has asked."""
        while True:
            mine = self._begin(name)
            if mine is not None:
                return self._ask(name, mine)
            asked = self._asked.get(name)
            if asked is not None:
                return asked.result()

    def _renew_beside(self, name: _Name) -> None:
        mine = self._begin(name)
        if mine is None:
            return
        try:
            threading.Thread(target=self._renew, args=(name, mine), name="key-renewal", daemon=True).start()
        except RuntimeError as error:
            # There is no room for a thread now; whoever needs the key next tries again.
            with self._lock:
                del self._asked[name]
            mine.set_exception(KeyServiceDownError(str(error)))

    def _renew(self, name: _Name, mine: Future[DataKey]) -> None:
        try:
            self._ask(name, mine)
        except KeyUnavailableError:
            # Logged where the service was asked; what it means is kept for whoever opens the key next.
            return

    def _begin(self, name: _Name) -> Future[DataKey] | None:
        """Return what the answer goes to; None when another thread is asking already."""
        with self._lock:
            if name in self._asked:
                return None
            mine = self._asked[name] = Future()
            return mine

    def _ask(self, name: _Name, mine: Future[DataKey]) -> DataKey:
        # The life begins before the answer: a key that is disabled meanwhile is not used for longer.
        asked_at = time.monotonic()
        try:
            key = self._unwrap_by_service(*name)
        except BaseException as error:
            if isinstance(error, KeyUnavailableError):
                self._keep(name, self._refusal(name, error))
            mine.set_exception(error)
            raise
        else:
            self._keep(name, _Answer(asked_at + self._life_seconds, asked_at + self._life_seconds / 2, key))
            mine.set_result(key)
            return key
        finally:
            with self._lock:
                del self._asked[name]

    def _refusal(self, name: _Name, error: KeyUnavailableError) -> _Answer:
        now = time.monotonic()
        with self._lock:
            known = self._answers.get(name)
        if isinstance(error, KeyServiceDownError) and known is not None and known.key is not None and now < known.until:
            # Nobody said that the key must not be used: it serves for as long as it would have.
            return _Answer(known.until, now + _REFRESH_AGAIN_SECONDS, known.key)
        return _Answer(now + _REFUSAL_SECONDS, now + _REFUSAL_SECONDS, None, error)

    def _keep(self, name: _Name, answer: _Answer) -> None:
        with self._lock:
            self._answers[name] = answer

    def _unwrap_by_service(self, datastore_id: str, wrapped: bytes) -> DataKey:
        if self._service is None:
            raise KeyUnavailableError("the data store needs a key service, and this installation names none")
        return DataKey(datastore_id, self._service.unwrap(wrapped, datastore_id))

    def _unwrap_locally(self, datastore_id: str, wrapped: bytes) -> DataKey:
        return DataKey(datastore_id, self._keyring.unwrap(wrapped, datastore_id))
