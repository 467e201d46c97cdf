"""The browser of buckets: what is at an address ``s3://bucket/prefix``, folder by folder.

    ""                ─▶ ListBuckets ─▶ the buckets
    s3://bucket/ct/   ─▶ ListObjects ─▶ folders and files of one page

What cannot be looked at is told in the place of the list, as one may still type an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hounsfield.console.calls import ApiError
from hounsfield.console.visit import Visit

SCHEME: Final = "s3://"
_A_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Folder:
    """A bucket or a folder.

    Attributes
    ----------
    name : str
        Its own name.
    address : str
        Its address, with a slash at its end.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class BucketView:
    """What is at an address.

    Attributes
    ----------
    address : str
        The address; empty for the list of buckets.
    way : sequence of Folder
        The bucket and the folders that lead there, from above.
    folders : sequence of Folder
        Buckets or folders there.
    files : sequence of mapping
        Files there: ``Key``, ``Size``, ``LastModified``, and ``name``.
    next_page : str or None
        Token of the next page.
    error : ApiError or None
        Why nothing is shown.
    """

    address: str
    way: Sequence[Folder] = ()
    folders: Sequence[Folder] = ()
    files: Sequence[Mapping[str, Any]] = field(default=())
    next_page: str | None = None
    error: ApiError | None = None


async def browse(visit: Visit, address: str, page: str | None = None) -> BucketView:
    """Look at what is at an address.

    Parameters
    ----------
    visit : Visit
        Who looks.
    address : str
        ``s3://bucket/prefix``, or nothing for the buckets.
    page : str, optional
        Token of a page after the first.
    """
    try:
        if not address:
            return BucketView("", folders=await list_buckets(visit))
        return await _view_folder(visit, address, page)
    except ApiError as error:
        return BucketView(address, _way(address), error=error)


async def list_buckets(visit: Visit) -> Sequence[Folder]:
    """Return the buckets; raises `ApiError`."""
    visit.require("s3:ListAllMyBuckets")
    found = await visit.calls.administration("ListBuckets")
    return [Folder(one["Name"], f"{SCHEME}{one['Name']}/") for one in found["Buckets"]]


async def _view_folder(visit: Visit, address: str, page: str | None) -> BucketView:
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    if not address.startswith(SCHEME) or not bucket:
        raise ApiError(400, "ValidationException", "An address has the form s3://bucket/folder/.", "")
    found = await visit.calls.administration(
        "ListObjects",
        Bucket=bucket,
        Prefix=prefix or None,
        Delimiter="/",
        MaxKeys=_A_PAGE,
        ContinuationToken=page or None,
    )
    above = prefix[: prefix.rfind("/") + 1]
    return BucketView(
        address,
        _way(address),
        [
            Folder(one["Prefix"].removeprefix(above), f"{SCHEME}{bucket}/{one['Prefix']}")
            for one in found["CommonPrefixes"]
        ],
        [{**one, "name": one["Key"].removeprefix(above)} for one in found["Contents"]],
        found.get("NextContinuationToken"),
    )


def _way(address: str) -> Sequence[Folder]:
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    if not bucket:
        return ()
    way = [Folder(bucket, f"{SCHEME}{bucket}/")]
    for name in prefix.split("/")[:-1]:
        way.append(Folder(name, f"{way[-1].address}{name}/"))
    return way
