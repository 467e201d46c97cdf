"""Buckets of the installation: ``s3://bucket/key`` behind an S3 endpoint or as local folders.

s3://bucket/prefix ─▶ Buckets.open ─┬─▶ FolderBucket   DIR/buckets/bucket/prefix...
                                    └─▶ S3Bucket       an S3 endpoint, or AWS itself
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from hounsfield.storage.buckets.bucket import (
    Bucket,
    BucketError,
    NoSuchBucketError,
    ObjectChangedError,
    ObjectEntry,
    ObjectPage,
    ObjectReader,
)
from hounsfield.storage.buckets.folder_pages import read_folder_page
from hounsfield.storage.buckets.role_credentials import AssumedRole
from hounsfield.storage.buckets.s3_bucket import list_s3_buckets, s3_bucket
from hounsfield.storage.durable_files import FULL_ERRNOS, write_file_durably

__all__ = [
    "Bucket",
    "BucketError",
    "Buckets",
    "FolderBucket",
    "ListedBucket",
    "NoSuchBucketError",
    "ObjectChangedError",
    "ObjectEntry",
    "ObjectReader",
    "S3Uri",
]

CREDENTIALS = ("access_key_id", "secret_access_key")
"""Options that are credentials."""


_FOLDER_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}", re.ASCII)


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


class _FileReader:
    def __init__(self, path: Path, etag: str | None) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._etag = etag
        self.size = os.fstat(self._descriptor).st_size
        try:
            self._check_unchanged()
        except ObjectChangedError:
            self.close()
            raise

    def _check_unchanged(self) -> None:
        if self._etag is not None and _etag(os.fstat(self._descriptor)) != self._etag:
            raise ObjectChangedError

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        self._check_unchanged()
        while len(data) < length and offset + len(data) < self.size:
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                raise BucketError("the object became shorter while it was read")
            data += more
        return data

    def close(self) -> None:
        os.close(self._descriptor)


def _etag(status: os.stat_result) -> str:
    """Return what changes with the content of a file: the time of its last change and its size."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _entry(key: str, path: Path) -> ObjectEntry:
    status = path.stat()
    return ObjectEntry(key, status.st_size, _etag(status))


def _unreadable(error: OSError) -> None:
    raise BucketError(f"a folder of the bucket cannot be read: {error.strerror}")


class FolderBucket:
    """A bucket kept as a folder: keys are relative paths. Nothing outside of the folder can be reached.

    An object has one key, which policies know it by: spellings that only a file system takes for the same are refused.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """Walk the files below ``prefix``; links and special files are not followed."""
        self._check_exists()
        start = self._path(prefix.removesuffix("/")) if prefix else self._root
        try:
            if not prefix.endswith("/") and start.is_file():
                yield _entry(prefix, start)
            if not start.is_dir():
                return
        except OSError as error:
            raise BucketError(f"{prefix} cannot be read: {error.strerror}") from error
        for parent, _, files in os.walk(start, onerror=_unreadable):
            for file in files:
                path = Path(parent) / file
                # A name that is no text still gets an entry, so that the file is reported.
                key = os.fsencode(path.relative_to(self._root)).decode("utf-8", "backslashreplace")
                if not path.is_symlink() and path.is_file():
                    yield _entry(key, path)

    def read_page(self, prefix: str, *, by_folder: bool, after: str | None, limit: int) -> ObjectPage:
        """Read one page of the files below the folder that the last slash of ``prefix`` leads to."""
        self._check_exists()
        folder = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._root
        return read_folder_page(folder, prefix, by_folder=by_folder, after=after, limit=limit)

    def find(self, key: str) -> ObjectEntry | None:
        """Look for one file."""
        self._check_exists()
        path = self._path(key)
        try:
            return _entry(key, path) if path.is_file() else None
        except OSError as error:
            raise BucketError(f"object {key} cannot be read: {error.strerror}") from error

    def open(self, entry: ObjectEntry) -> ObjectReader:
        """Open one file."""
        try:
            return _FileReader(self._path(entry.key), entry.etag)
        except OSError as error:
            raise BucketError(f"object {entry.key} cannot be read: {error.strerror}") from error

    def put(self, key: str, data: bytes) -> None:
        """Write one file, aside first."""
        self._check_exists()
        try:
            write_file_durably(self._path(key), data, mode=0o644)
        except OSError as error:
            if error.errno in FULL_ERRNOS:
                # It is not the bucket's fault, and passes.
                raise
            raise BucketError(f"object {key} cannot be written: {error.strerror}") from error

    def check_owner(self, account_id: str, own_account_id: str) -> None:
        """Compare with the account of this installation, whose all bucket folders are."""
        if account_id != own_account_id:
            raise BucketError(
                f"bucket {self._root.name} belongs to account {own_account_id}, not to account {account_id}"
            )

    def _check_exists(self) -> None:
        if not self._root.is_dir():
            raise NoSuchBucketError(self._root.name)

    def _path(self, key: str) -> Path:
        parts = _segments(key)
        path = self._root.joinpath(*parts)
        if _has_link(self._root, parts):
            raise BucketError("object keys must not lead over a symbolic link")
        return path


def _segments(key: str) -> list[str]:
    """Cut the key of an object in a folder; raises `BucketError` when another key would be the same file."""
    segments = key.split("/")
    if "\0" in key or not {"", ".", ".."}.isdisjoint(segments):
        raise BucketError(
            "keys in a bucket folder must be in their shortest form: without '.', '..' or empty segments, "
            "a slash at the beginning or a zero byte"
        )
    return segments


def _has_link(root: Path, parts: list[str]) -> bool:
    """Return whether something on the way to a file of a bucket is a link, which could lead out of it."""
    path = root
    for part in parts:
        path = path / part
        try:
            if path.is_symlink():
                return True
        except OSError as error:
            raise BucketError(f"an object cannot be reached: {error.strerror}") from error
    return False


@dataclass(frozen=True, slots=True)
class ListedBucket:
    """A bucket by its name, and when it was made; None where that is not known."""

    name: str
    created_at: datetime | None = None


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
    role : AssumedRole | None
        The role whose credentials are used instead.
    """

    folder: str
    endpoint_url: str | None = None
    aws: bool = False
    region: str = "us-east-1"
    options: dict[str, str] = field(default_factory=dict)
    role: AssumedRole | None = None

    @property
    def remote(self) -> bool:
        """Whether buckets are behind an endpoint, not folders."""
        return self.endpoint_url is not None or self.aws

    def under(self, role_arn: str, session: str) -> Buckets:
        """Return the same buckets, used with the credentials of a role."""
        role = AssumedRole(
            role_arn,
            session,
            self.region,
            self.options.get("access_key_id", ""),
            self.options.get("secret_access_key", ""),
        )
        own = {name: value for name, value in self.options.items() if name not in CREDENTIALS}
        return replace(self, options=own, role=role)

    def check_prefix(self, uri: S3Uri) -> None:
        """Make sure that keys can begin so where the buckets are; raises `BucketError`."""
        if not self.remote and uri.key:
            _segments(uri.key.removesuffix("/"))

    def open(self, name: str) -> Bucket:
        """Return a bucket by name; whether it is there shows on first use.

        Raises
        ------
        BucketError
            The name is none of a bucket, and could lead out of the folder of buckets.
        """
        if not self.remote:
            if not _FOLDER_NAME.fullmatch(name):
                raise BucketError("bucket names have letters, digits, '.', '-' and '_', and do not begin with a '.'")
            return FolderBucket(Path(self.folder) / name)
        return s3_bucket(name, self._s3_options, self.role)

    def list_all(self) -> list[ListedBucket]:
        """List the buckets by their names: the folders, or those that the object store shows (S3 operation ListBuckets).

        Raises
        ------
        BucketError
            The object store does not answer, or refuses to.
        """
        if self.remote:
            return [ListedBucket(*found) for found in list_s3_buckets(self._s3_options, self.role)]
        try:
            folders = [entry.name for entry in Path(self.folder).iterdir() if entry.is_dir()]
        except OSError as error:
            raise BucketError(f"the folder of buckets cannot be read: {error.strerror}") from error
        return [ListedBucket(name) for name in sorted(folders) if _FOLDER_NAME.fullmatch(name)]

    @property
    def _s3_options(self) -> tuple[tuple[str, str], ...]:
        options = {"region": self.region, **self.options}
        if self.endpoint_url is not None:
            options["endpoint"] = self.endpoint_url
            options["virtual_hosted_style_request"] = "false"
        return tuple(sorted(options.items()))
