"""Access to buckets: which a job may use, and what is refused.

ImportRunner ─▶ BucketAccess.refusal(uses) ─▶ None, or why not
             └▶ BucketAccess.buckets       ─▶ objects, with the credentials that go with it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hounsfield.storage.buckets.buckets import Buckets


class BucketAction(StrEnum):
    """What is done with a bucket, by its name in policies."""

    LIST = "s3:ListBucket"
    READ = "s3:GetObject"
    WRITE = "s3:PutObject"


@dataclass(frozen=True, slots=True)
class BucketUse:
    """Something that is to be done with a bucket.

    Attributes
    ----------
    action : BucketAction
        What.
    bucket : str
        The bucket.
    key : str
        The key of the object, letter by letter as it is opened; of a listing, the object or folder that is listed.
    """

    action: BucketAction
    bucket: str
    key: str

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What a listing asks for: a folder is listed with a slash at its end, whether it was named so or not."""
        return (self.key,) if not self.key or self.key.endswith("/") else (self.key, f"{self.key}/")


class BucketAccess(Protocol):
    """Buckets as somebody may use them."""

    @property
    def buckets(self) -> Buckets:
        """The buckets."""
        ...

    def refusal(self, uses: Iterable[BucketUse]) -> str | None:
        """Say why something may not be done, without naming keys; None when everything may."""
        ...


@dataclass(frozen=True, slots=True)
class OwnAccess:
    """Buckets as the installation itself may use them: only the store says what is refused.

    Attributes
    ----------
    buckets : Buckets
        The buckets.
    """

    buckets: Buckets

    def refusal(self, uses: Iterable[BucketUse]) -> str | None:
        """Refuse nothing."""
        del uses
        return None
