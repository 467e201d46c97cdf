"""Buckets: which there are and what is in them (Amazon S3 ListBuckets, ListObjectsV2), to choose what an import job reads.

Only the buckets of the installation can be named: folders of the data folder, or those behind its S3 endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from hounsfield.api.administration.answers import time_text
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_everything
from hounsfield.api.administration.tokens import LONGEST_TOKEN, NextPage
from hounsfield.aws.protocol.members import optional_integer, optional_text, text
from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError
from hounsfield.storage.buckets.bucket import BucketError, NoSuchBucketError

MOST_KEYS: Final = 1000


def _list(context: Context, _call: Call) -> Answer:
    with _told():
        found = context.image_store.buckets.list_all()
    return {"Buckets": [{"Name": bucket.name, "CreationDate": time_text(bucket.created_at)} for bucket in found]}


def _may_list_objects(context: Context, call: Call, action: str) -> Sequence[Permission]:
    own: dict[str, ContextValue] = {
        "s3:prefix": optional_text(call.parameters, "Prefix") or "",
        "s3:max-keys": str(_most(call)),
    }
    delimiter = optional_text(call.parameters, "Delimiter")
    if delimiter is not None:
        own["s3:delimiter"] = delimiter
    return (Permission(action, (bucket_arn(context, text(call.parameters, "Bucket")),), own),)


def _list_objects(context: Context, call: Call) -> Answer:
    parameters = call.parameters
    following = NextPage(context, call, "ListObjects", "ContinuationToken")
    with _told():
        page = context.image_store.buckets.open(text(parameters, "Bucket")).read_page(
            optional_text(parameters, "Prefix") or "",
            by_folder=optional_text(parameters, "Delimiter") is not None,
            after=following.start_text(),
            limit=_most(call),
        )
    return {
        "Contents": [
            {"Key": listed.key, "Size": listed.size, "LastModified": time_text(listed.modified_at)}
            for listed in page.objects
        ],
        "CommonPrefixes": [{"Prefix": folder} for folder in page.folders],
        "IsTruncated": page.end is not None,
        "NextContinuationToken": following.token(page.end),
    }


def bucket_arn(context: Context, bucket: str) -> str:
    """Return the ARN of a bucket; that of an object has a slash and its key after it."""
    return f"arn:{context.image_store.partition}:s3:::{bucket}"


def _most(call: Call) -> int:
    return optional_integer(call.parameters, "MaxKeys") or MOST_KEYS


@contextmanager
def _told() -> Iterator[None]:
    """Answer what is wrong with a bucket as what is wrong with the request."""
    try:
        yield
    except NoSuchBucketError as error:
        raise NotFoundError(str(error)) from error
    except BucketError as error:
        raise InvalidRequestError(str(error)) from error


OPERATIONS: Final = (
    Operation("ListBuckets", Source.S3, "s3:ListAllMyBuckets", on_everything, (), _list),
    Operation(
        "ListObjects",
        Source.S3,
        "s3:ListBucket",
        _may_list_objects,
        (
            Member("Bucket", required=True, most=255),
            Member("Prefix", most=1024, least=0, shown=False),
            Member("Delimiter", choices=("/",)),
            Member("MaxKeys", Form.INTEGER, most=MOST_KEYS),
            Member("ContinuationToken", most=LONGEST_TOKEN, shown=False),
        ),
        _list_objects,
    ),
)
