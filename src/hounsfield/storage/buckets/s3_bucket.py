"""Buckets behind an S3 endpoint, or of AWS itself.

    objects ─▶ obstore: fast ranges, connections kept open
    listing, owner, objects whose keys obstore refuses or changes ─▶ botocore: takes every key that S3 has

obstore understands keys as paths: one with an empty or ``..`` segment fails its whole listing, and slashes at the ends are
left out. Here a key is what policies have decided about, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import BaseError as StoreError
from obstore.exceptions import PreconditionError
from obstore.store import S3Store

from hounsfield.storage.buckets.bucket import (
    BucketError,
    ListedObject,
    NoSuchBucketError,
    ObjectChangedError,
    ObjectEntry,
    ObjectPage,
)
from hounsfield.storage.buckets.role_credentials import AssumedRole, role_credentials

if TYPE_CHECKING:
    from obstore import GetOptions

_READ_AHEAD_BYTES = 4 * 1024 * 1024
_SECONDS = 60
_NOT_A_PATH: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")
"""Keys that obstore refuses or changes: empty, ``.`` and ``..`` segments, also at the ends, and control characters."""

_TRIES: Final = 3
"""How often an object is asked for where the answer is that to another request, as proxies give that mix them up."""

_PROBES: Final = ("111111111111", "222222222222")

Options = tuple[tuple[str, str], ...]


class _RangeReader:
    """Reads ranges; small reads are served from one block read ahead, so that walking a header is one request."""

    def __init__(self, get: Callable[[int, int], bytes], size: int) -> None:
        self._get = get
        self.size = size
        self._block_at = 0
        self._block = b""

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        if length == 0:
            return b""
        if self._block_at <= offset and offset + length <= self._block_at + len(self._block):
            return self._block[offset - self._block_at : offset - self._block_at + length]
        if length >= _READ_AHEAD_BYTES:
            return self._get(offset, length)
        self._block = self._get(offset, min(_READ_AHEAD_BYTES, self.size - offset))
        self._block_at = offset
        return self._block[:length]

    def close(self) -> None:
        self._block = b""


class S3Bucket:
    """A bucket behind an S3 endpoint.

    Parameters
    ----------
    name : str
        The bucket.
    options : tuple of (str, str)
        Settings of the S3 client: region, endpoint, credentials.
    role : AssumedRole or None
        The role whose credentials are used instead.
    """

    def __init__(self, name: str, options: Options, role: AssumedRole | None = None) -> None:
        self._name = name
        self._options = options
        self._role = role
        config = dict(options)
        allow_http = config.get("endpoint", "").startswith("http://")
        provider = None if role is None else role_credentials(role).for_obstore
        self._store = S3Store(
            name,
            config=config,  # type: ignore[arg-type]
            client_options={"allow_http": allow_http},
            credential_provider=provider,
        )

    @property
    def _client(self) -> Any:
        return s3_client(self._options, self._role)

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """List by pages; empty objects that stand for a folder, as consoles make them, are left out."""
        folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=folder):
                for found in page.get("Contents", ()):
                    if found["Size"] or not found["Key"].endswith("/"):
                        # No database keeps a zero byte in text; such an object is reported as one that cannot be read.
                        key = found["Key"].replace("\0", "\\x00")
                        yield ObjectEntry(key, found["Size"], found.get("ETag"))
            if folder != prefix:
                yield from self._object(prefix)
        except s3_errors() as error:
            raise BucketError(f"bucket {self._name} cannot be listed") from error

    def read_page(self, prefix: str, *, by_folder: bool, after: str | None, limit: int) -> ObjectPage:
        """Ask for one page of a listing."""
        options = {"Delimiter": "/"} if by_folder else {}
        if after is not None:
            options["ContinuationToken"] = after
        try:
            found = self._client.list_objects_v2(Bucket=self._name, Prefix=prefix, MaxKeys=limit, **options)
        except s3_errors() as error:
            if _status(error) == 404:
                raise NoSuchBucketError(self._name) from error
            raise BucketError(f"bucket {self._name} cannot be listed") from error
        return ObjectPage(
            [ListedObject(entry["Key"], entry["Size"], entry["LastModified"]) for entry in found.get("Contents", ())],
            [entry["Prefix"] for entry in found.get("CommonPrefixes", ())],
            found.get("NextContinuationToken"),
        )

    def find(self, key: str) -> ObjectEntry | None:
        """Ask for the size of one object."""
        try:
            return next(self._object(key), None)
        except s3_errors() as error:
            raise BucketError(f"object {key} cannot be read") from error

    def _object(self, key: str) -> Iterator[ObjectEntry]:
        try:
            found = self._client.head_object(Bucket=self._name, Key=key)
        except s3_errors() as error:
            if _status(error) == 404:
                return
            raise
        yield ObjectEntry(key, found["ContentLength"], found.get("ETag"))

    def open(self, entry: ObjectEntry) -> _RangeReader:
        """Open one object; nothing is read yet."""
        get = self._get_by_key if _NOT_A_PATH.search(entry.key) else self._get
        return _RangeReader(lambda offset, length: get(entry, offset, length), entry.size)

    def _get(self, entry: ObjectEntry, offset: int, length: int) -> bytes:
        options: GetOptions = {"range": (offset, offset + length)}
        if entry.etag is not None:
            options["if_match"] = entry.etag

        def ask() -> tuple[bytes, str | None]:
            answer = obstore.get(self._store, entry.key, options=options)
            return answer.bytes().to_bytes(), answer.meta["e_tag"]

        try:
            return _read_checked(entry, length, ask)
        except PreconditionError as error:
            raise ObjectChangedError from error
        except (StoreError, OSError, ValueError) as error:
            raise BucketError(f"object {entry.key} cannot be read") from error

    def _get_by_key(self, entry: ObjectEntry, offset: int, length: int) -> bytes:
        options = {"Range": f"bytes={offset}-{offset + length - 1}"}
        if entry.etag is not None:
            options["IfMatch"] = entry.etag

        def ask() -> tuple[bytes, str | None]:
            answer = self._client.get_object(Bucket=self._name, Key=entry.key, **options)
            return bytes(answer["Body"].read()), answer.get("ETag")

        try:
            return _read_checked(entry, length, ask)
        except s3_errors() as error:
            if _status(error) == 412:
                raise ObjectChangedError from error
            raise BucketError(f"object {entry.key} cannot be read") from error

    def put(self, key: str, data: bytes) -> None:
        """Write one object with one PUT."""
        if _NOT_A_PATH.search(key):
            self._put_by_key(key, data)
            return
        try:
            obstore.put(self._store, key, data)
        except (StoreError, OSError, ValueError) as error:
            raise BucketError(f"object {key} cannot be written to bucket {self._name}") from error

    def _put_by_key(self, key: str, data: bytes) -> None:
        try:
            self._client.put_object(Bucket=self._name, Key=key, Body=data)
        except s3_errors() as error:
            raise BucketError(f"object {key} cannot be written to bucket {self._name}") from error

    def check_owner(self, account_id: str, own_account_id: str) -> None:
        """Ask the store, which refuses a request that expects another owner (``x-amz-expected-bucket-owner``).

        A store that agrees to every owner knows nothing of owners.
        """
        if not self._is_reached(ExpectedBucketOwner=account_id):
            if self._is_reached():
                raise BucketError(f"bucket {self._name} does not belong to account {account_id}")
            raise BucketError(f"bucket {self._name} cannot be reached")
        if account_id == own_account_id:
            return
        other = next(probe for probe in _PROBES if probe != account_id)
        if self._is_reached(ExpectedBucketOwner=other):
            raise BucketError(
                f"the object store does not know who owns bucket {self._name}, it counts as one of account "
                f"{own_account_id}, not of account {account_id}"
            )

    def _is_reached(self, **options: str) -> bool:
        try:
            self._client.head_bucket(Bucket=self._name, **options)
        except s3_errors() as error:
            if _status(error) in {403, 404}:
                return False
            raise BucketError(f"bucket {self._name} cannot be reached") from error
        return True


def _read_checked(entry: ObjectEntry, length: int, ask: Callable[[], tuple[bytes, str | None]]) -> bytes:
    """Ask for bytes of an object until they are of that object and all of them came; raises `BucketError`."""
    for _ in range(_TRIES):
        data, etag = ask()
        if len(data) == length and _is_of(entry, etag):
            return data
    raise BucketError(f"object {entry.key} was asked for, and another or a part of it came")


def _is_of(entry: ObjectEntry, etag: str | None) -> bool:
    """Return whether an answer is of the object that was listed, as far as both say so."""
    return entry.etag is None or etag is None or _bare(etag) == _bare(entry.etag)


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


@lru_cache(maxsize=64)
def s3_bucket(name: str, options: Options, role: AssumedRole | None = None) -> S3Bucket:
    """Connect to a bucket once per process; connections are kept open for the next objects."""
    return S3Bucket(name, options, role)


def list_s3_buckets(options: Options, role: AssumedRole | None = None) -> list[tuple[str, datetime]]:
    """List the names of the buckets behind an S3 endpoint, and when they were made; raises `BucketError`."""
    try:
        found = s3_client(options, role).list_buckets()["Buckets"]
    except s3_errors() as error:
        raise BucketError("the buckets of the object store cannot be listed") from error
    return [(entry["Name"], entry["CreationDate"]) for entry in found]


# botocore is loaded when it is needed: most workers never do, and it would cost each of them time and memory.
@lru_cache(maxsize=8)
def s3_client(options: Options, role: AssumedRole | None = None) -> Any:
    """Return the botocore client of an S3 endpoint, made once in a process for the same options and role."""
    from botocore.config import Config
    from botocore.session import get_session

    given = dict(options)
    style = "path" if "endpoint" in given else "auto"
    session = get_session() if role is None else role_credentials(role).session()
    return session.create_client(
        "s3",
        region_name=given["region"],
        endpoint_url=given.get("endpoint"),
        aws_access_key_id=given.get("access_key_id"),
        aws_secret_access_key=given.get("secret_access_key"),
        config=Config(
            s3={"addressing_style": style},
            retries={"mode": "standard", "max_attempts": 5},
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
        ),
    )


def s3_errors() -> tuple[type[Exception], ...]:
    """Return what a client of `s3_client` raises."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


def _status(error: Exception) -> int | None:
    """Return the HTTP status of an answer that is an error; None when there was no answer."""
    response = getattr(error, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status is not None else None
