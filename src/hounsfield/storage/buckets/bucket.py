"""Bucket protocol of import jobs: list objects, read ranges, write one, check the owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class BucketError(Exception):
    """A bucket or object cannot be read or written; the message names it."""


class ObjectChangedError(BucketError):
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
