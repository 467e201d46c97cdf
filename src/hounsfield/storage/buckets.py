"""The buckets that import jobs read from and write to: ``s3://bucket/key`` behind an S3 endpoint or as local folders.

s3://bucket/prefix ─▶ Buckets.open ─┬─▶ FolderBucket   DIR/buckets/bucket/prefix...
└─▶ S3Bucket       an S3 endpoint, or AWS itself, through obstore
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol

import obstore
from obstore.exceptions import BaseError as StoreError
from obstore.store import S3Store

from hounsfield.storage.durable import write_file_durably

_READ_AHEAD_BYTES = 4 * 1024 * 1024


class BucketError(Exception):
    """A bucket or object cannot be read or written; the message names it."""


@dataclass(frozen=True, slots=True)
class S3Uri:
    """A bucket and the key, or the start of the keys, in it."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Uri:
        """Split ``s3://bucket/key``; raises ValueError for another form."""
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object of a listing: its key and its size in bytes."""

    key: str
    size: int


class ObjectReader(Protocol):
    """Random access to the bytes of one object."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes; fewer only at the end."""
        ...

    def close(self) -> None:
        """Let go of the object."""
        ...


class Bucket(Protocol):
    """One bucket."""

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """List the object ``prefix`` and all objects in the folder ``prefix``, in no order; raises `BucketError`."""
        ...

    def open(self, entry: ObjectEntry) -> ObjectReader:
        """Open an object for reading; raises `BucketError`."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write a whole object durably; raises `BucketError`."""
        ...


class _FileReader:
    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        while len(data) < length and offset + len(data) < self.size:
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                raise BucketError("the object became shorter while it was read")
            data += more
        return data

    def close(self) -> None:
        os.close(self._descriptor)


def _unreadable(error: OSError) -> None:
    raise BucketError(f"a folder of the bucket cannot be read: {error.strerror}")


class FolderBucket:
    """A bucket kept as a folder: keys are relative paths. Nothing outside of the folder can be reached."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """Walk the files below ``prefix``; links and special files are not followed."""
        if not self._root.is_dir():
            raise BucketError(f"bucket {self._root.name} does not exist")
        start = self._path(prefix.rstrip("/"))
        if not prefix.endswith("/") and start.is_file():
            yield ObjectEntry(prefix, start.stat().st_size)
        if not start.is_dir():
            return
        for parent, _, files in os.walk(start, onerror=_unreadable):
            for file in files:
                path = Path(parent) / file
                # A name that is no text still gets an entry, so that the file is reported.
                key = os.fsencode(path.relative_to(self._root)).decode("utf-8", "backslashreplace")
                if not path.is_symlink() and path.is_file():
                    yield ObjectEntry(key, path.stat().st_size)

    def open(self, entry: ObjectEntry) -> ObjectReader:
        """Open one file."""
        try:
            return _FileReader(self._path(entry.key))
        except OSError as error:
            raise BucketError(f"object {entry.key} cannot be read: {error.strerror}") from error

    def put(self, key: str, data: bytes) -> None:
        """Write one file, aside first."""
        if not self._root.is_dir():
            raise BucketError(f"bucket {self._root.name} does not exist")
        try:
            write_file_durably(self._path(key), data, mode=0o644)
        except OSError as error:
            raise BucketError(f"object {key} cannot be written: {error.strerror}") from error

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if ".." in parts or key.startswith("/") or "\0" in key:
            raise BucketError("object keys must not contain '..', a leading slash or a zero byte")
        return self._root.joinpath(*parts)


class _S3Reader:
    """Reads ranges; small reads are served from one block read ahead, so that walking a header is one request."""

    def __init__(self, store: S3Store, entry: ObjectEntry) -> None:
        self._store = store
        self._key = entry.key
        self.size = entry.size
        self._block_at = 0
        self._block = b""

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        if self._block_at <= offset and offset + length <= self._block_at + len(self._block):
            return self._block[offset - self._block_at : offset - self._block_at + length]
        if length >= _READ_AHEAD_BYTES:
            return self._get(offset, length)
        self._block = self._get(offset, min(_READ_AHEAD_BYTES, self.size - offset))
        self._block_at = offset
        return self._block[:length]

    def _get(self, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        try:
            return obstore.get_range(self._store, self._key, start=offset, length=length).to_bytes()
        except (StoreError, OSError) as error:
            raise BucketError(f"object {self._key} cannot be read") from error

    def close(self) -> None:
        self._block = b""


class S3Bucket:
    """A bucket behind an S3 endpoint."""

    def __init__(self, store: S3Store, name: str) -> None:
        self._store = store
        self._name = name

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """List by pages; empty objects that stand for a folder, as consoles make them, are left out."""
        empty: list[ObjectEntry] = []
        folders: set[str] = set()
        try:
            # The store compares whole segments of keys, so that ``study-1`` does not list ``study-10``.
            for page in obstore.list(self._store, prefix=prefix.rstrip("/") or None):
                for entry in page:
                    found = ObjectEntry(entry["path"], entry["size"])
                    folders.update(str(parent) for parent in PurePosixPath(found.key).parents)
                    if found.size:
                        yield found
                    else:
                        empty.append(found)
            if prefix and not prefix.endswith("/"):
                yield from self._object(prefix)
        except (StoreError, OSError) as error:
            raise BucketError(f"bucket {self._name} cannot be listed") from error
        yield from (entry for entry in empty if entry.key not in folders)

    def _object(self, key: str) -> Iterator[ObjectEntry]:
        try:
            yield ObjectEntry(key, obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return

    def open(self, entry: ObjectEntry) -> ObjectReader:
        """Open one object; nothing is read yet."""
        return _S3Reader(self._store, entry)

    def put(self, key: str, data: bytes) -> None:
        """Write one object with one PUT."""
        try:
            obstore.put(self._store, key, data)
        except (StoreError, OSError) as error:
            raise BucketError(f"object {key} cannot be written to bucket {self._name}") from error


@dataclass(frozen=True, slots=True)
class Buckets:
    """How ``s3://`` is understood, in a form that can be sent to a worker process.

    Parameters
    ----------
    folder : str
        The folder of bucket folders, used when no S3 endpoint is set.
    endpoint_url : str | None
        An S3 endpoint.
    aws : bool
        Whether AWS S3 itself is meant, with the credentials of the environment.
    region : str
        The region to sign for.
    options : dict[str, str]
        More settings for the S3 client, such as credentials of their own.
    """

    folder: str
    endpoint_url: str | None = None
    aws: bool = False
    region: str = "us-east-1"
    options: dict[str, str] = field(default_factory=dict)

    def open(self, name: str) -> Bucket:
        """Give a bucket by name; whether it is there shows on first use."""
        if self.endpoint_url is None and not self.aws:
            return FolderBucket(Path(self.folder) / name)
        options = {"region": self.region, **self.options}
        if self.endpoint_url is not None:
            options["endpoint"] = self.endpoint_url
            options["virtual_hosted_style_request"] = "false"
        return _s3_bucket(name, tuple(sorted(options.items())))


@lru_cache(maxsize=64)
def _s3_bucket(name: str, options: tuple[tuple[str, str], ...]) -> S3Bucket:
    """Connect to a bucket once per process; connections are kept open for the next objects."""
    config = dict(options)
    allow_http = config.get("endpoint", "").startswith("http://")
    return S3Bucket(S3Store(name, config=config, client_options={"allow_http": allow_http}), name)  # type: ignore[arg-type]
