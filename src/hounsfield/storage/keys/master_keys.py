"""Master keys of an installation, in a file of mode 0600: the current one wraps, all unwrap.

    prepare ─▶ a further key, which only unwraps ─▶ activate ─▶ it wraps from now on ─▶ retire: the old one goes

Running processes see what another process does to the file: who wraps looks whether it changed, who meets an unknown key
reads it again. Each change replaces the file as a whole.
"""

from __future__ import annotations

import fcntl
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hounsfield.storage.durable_files import write_file_durably
from hounsfield.storage.keys.data_key import KEY_BYTES, KeyUnavailableError

_NONCE_BYTES = 12
_KEY_ID_BYTES = 8


class KeyringError(KeyUnavailableError):
    """The file of the master keys cannot be read, or is not as it was written; the message says why."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key that wraps keys.

    Attributes
    ----------
    id : bytes
        8 bytes, with which everything begins that it wrapped.
    secret : bytes
        32 bytes.
    made_at : datetime or None
        When it was made; None where that was not noted yet.
    """

    id: bytes
    secret: bytes = field(repr=False)
    made_at: datetime | None = None

    @classmethod
    def new(cls) -> MasterKey:
        """Make a random key."""
        return cls(secrets.token_bytes(_KEY_ID_BYTES), secrets.token_bytes(KEY_BYTES), _now())


@dataclass(frozen=True, slots=True)
class KeyringContent:
    """What the file of a keyring holds.

    Attributes
    ----------
    keys : Mapping of bytes to MasterKey
        The keys by their ids, oldest first.
    current : bytes
        Id of the one that wraps.
    since : datetime or None
        Since when it does.
    """

    keys: Mapping[bytes, MasterKey]
    current: bytes
    since: datetime | None

    @classmethod
    def parse(cls, text: bytes) -> KeyringContent:
        """Read it; raises `KeyringError` when it is not as it was written."""
        try:
            content = json.loads(text)
            found = [
                MasterKey(bytes.fromhex(entry["id"]), b64decode(entry["key"]), _moment(entry.get("made")))
                for entry in content["keys"]
            ]
            current = bytes.fromhex(content["current"]) if "current" in content else found[-1].id
            ring = cls(MappingProxyType({key.id: key for key in found}), current, _moment(content.get("since")))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
            raise KeyringError("it is damaged") from error
        whole = all(len(key.id) == _KEY_ID_BYTES and len(key.secret) == KEY_BYTES for key in found)
        if not whole or current not in ring.keys:
            raise KeyringError("it is damaged")
        return ring

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt what a key of the ring wrapped, bound to ``context``; raises `KeyUnavailableError`."""
        key_id, rest = wrapping_key(wrapped), wrapped[_KEY_ID_BYTES:]
        master = self.keys.get(key_id)
        if master is None:
            raise KeyUnavailableError(f"master key {key_id.hex()} is not in the keyring")
        try:
            return AESGCM(master.secret).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyUnavailableError(f"wrapped key does not belong to {context}") from error

    def text(self) -> bytes:
        """Write it."""
        entries = [
            {"id": key.id.hex(), "key": b64encode(key.secret).decode()}
            | ({} if key.made_at is None else {"made": key.made_at.isoformat()})
            for key in self.keys.values()
        ]
        since = {} if self.since is None else {"since": self.since.isoformat()}
        return json.dumps({"keys": entries, "current": self.current.hex(), **since}, indent=1).encode()


class LocalKeyring:
    """Master keys in one file.

    Parameters
    ----------
    path : Path
        The keyring file; made with one random key when it does not exist.

    Raises
    ------
    KeyringError
        The file cannot be read or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            key = MasterKey.new()
            content = KeyringContent({key.id: key}, key.id, key.made_at)
            write_file_durably(path, content.text(), mode=0o600, replace=False)
        self._ring, self._seen = self._read()

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """All keys, oldest first, as they are in the file now."""
        self._look()
        return tuple(self._ring.keys.values())

    @property
    def current(self) -> MasterKey:
        """The key that wraps."""
        self._look()
        return self._ring.keys[self._ring.current]

    @property
    def current_since(self) -> datetime | None:
        """Since when it wraps; None where that was not noted."""
        self._look()
        return self._ring.since

    def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt ``key``, bound to ``context``, with the current master key."""
        master = self.current
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return master.id + nonce + AESGCM(master.secret).encrypt(nonce, key, context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt what `wrap` made with any key of the ring; raises `KeyUnavailableError`."""
        if wrapping_key(wrapped) not in self._ring.keys:
            self._look()
        return self._ring.unwrap(wrapped, context)

    def prepare(self) -> MasterKey:
        """Add a key that does not wrap yet, for all nodes to have before one uses it; gives one that is prepared already."""
        with self._changing() as ring:
            newest = list(ring.keys.values())[-1]
            if newest.id != ring.current:
                return newest
            made = MasterKey.new()
            self._write(replace(ring, keys={**ring.keys, made.id: made}))
            return made

    def activate(self) -> MasterKey:
        """Let the newest key wrap from now on."""
        with self._changing() as ring:
            newest = list(ring.keys.values())[-1]
            if newest.id != ring.current:
                self._write(replace(ring, current=newest.id, since=_now()))
            return newest

    def remove(self, key_ids: Collection[bytes]) -> None:
        """Forget keys; raises `ValueError` for the current one."""
        with self._changing() as ring:
            if ring.current in key_ids:
                raise ValueError("the current master key cannot be removed")
            self._write(replace(ring, keys={name: key for name, key in ring.keys.items() if name not in key_ids}))

    @contextmanager
    def _changing(self) -> Iterator[KeyringContent]:
        """Keep all others from changing the file, and give what it holds."""
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._ring, self._seen = self._read()
            yield self._ring

    def _write(self, ring: KeyringContent) -> None:
        write_file_durably(self._path, ring.text(), mode=0o600)
        self._ring, self._seen = self._read()

    def _look(self) -> None:
        """Read the file again when it is another one than it was."""
        try:
            changed = _identity(self._path) != self._seen
        except OSError as error:
            raise KeyringError(f"it cannot be read: {error.strerror}") from error
        if changed:
            self._ring, self._seen = self._read()

    def _read(self) -> tuple[KeyringContent, tuple[int, int]]:
        # Looked at before it is read: should it be replaced in between, it is read again the next time.
        try:
            seen = _identity(self._path)
            return KeyringContent.parse(self._path.read_bytes()), seen
        except OSError as error:
            raise KeyringError(f"it cannot be read: {error.strerror}") from error

    @property
    def content(self) -> KeyringContent:
        """What the file holds now."""
        self._look()
        return self._ring


def wrapping_key(wrapped: bytes) -> bytes:
    """Return the id of the master key that wrapped something."""
    return wrapped[:_KEY_ID_BYTES]


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
