"""Bucket protocol: list objects, whole or by pages, read ranges, write one, check the owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hounsfield.runtime.picklable_error import PicklableError


class BucketError(Exception):
    """A bucket or object cannot be read or written; the message names it."""


class NoSuchBucketError(PicklableError, BucketError):
    """There is no bucket of the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"bucket {name} does not exist")


class ObjectChangedError(PicklableError, BucketError):
    """An object is no longer the one that was listed."""

    def __init__(self) -> None:
        super().__init__("The object was replaced or changed after the job had listed it")


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object of a listing.

    Attributes
    ----------
    key : str
        Its key.
    size : int
        Its size in bytes.
    etag : str or None
        What changes with its content; None where that is not known, a change is then not noticed.
    """

    key: str
    size: int
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a page of a listing.

    Attributes
    ----------
    key : str
        Its key.
    size : int
        Its size in bytes.
    modified_at : datetime
        When it was written, with its time zone.
    """

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a listing, in the order of the keys.

    Attributes
    ----------
    objects : list of ListedObject
        The objects.
    folders : list of str
        Beginnings of keys up to the delimiter, each standing for all objects whose keys begin so.
    end : str or None
        What the next page is asked for with; None when this is the last.
    """

    objects: list[ListedObject]
    folders: list[str]
    end: str | None


class ObjectReader(Protocol):
    """Random access to the bytes of one object."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes, fewer only at the end; raises `ObjectChangedError` and `BucketError`."""
        ...

    def close(self) -> None:
        """Let go of the object."""
        ...


class Bucket(Protocol):
    """One bucket."""

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """List the object ``prefix`` and all objects in the folder ``prefix``, in no order; raises `BucketError`."""
        ...

    def read_page(self, prefix: str, *, by_folder: bool, after: str | None, limit: int) -> ObjectPage:
        """Read one page of the objects whose keys begin with ``prefix`` (S3 operation ListObjectsV2).

        Parameters
        ----------
        prefix : str
            What the keys begin with, letter by letter; it need not end at a slash.
        by_folder : bool
            Whether keys that go on beyond the next slash are told as one folder.
        after : str or None
            The end of the page before this one.
        limit : int
            Objects and folders together, at most.

        Raises
        ------
        NoSuchBucketError
            There is no such bucket.
        BucketError
            It cannot be listed.
        """
        ...

    def find(self, key: str) -> ObjectEntry | None:
        """Return one object, None when there is none of the key; raises `BucketError`."""
        ...

    def open(self, entry: ObjectEntry) -> ObjectReader:
        """Open an object for reading; raises `ObjectChangedError` and `BucketError`."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write a whole object durably; raises `BucketError`, and `OSError` where there is no room just now."""
        ...

    def check_owner(self, account_id: str, own_account_id: str) -> None:
        """Make sure that the bucket belongs to an account.

        Parameters
        ----------
        account_id : str
            The account that is to own it, 12 digits.
        own_account_id : str
            The account of this installation: where nobody knows owners, all buckets are its own.

        Raises
        ------
        BucketError
            It belongs to another account, or cannot be reached.
        """
        ...
