"""Open multipart uploads of processes that died, and their removal.

    uploads below the place of the packs ─▶ begun before a moment? ─▶ abort

A store keeps the parts of such an upload, and charges for them, until somebody aborts it. Only S3 needs this: the blocks of
Azure that are not committed go by themselves after a week. obstore does not list uploads, botocore does.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from hounsfield.storage.blobs.blobs import BlobLocation
from hounsfield.storage.buckets.s3_bucket import s3_client, s3_errors
from hounsfield.storage.clock import to_ms


def abort_open_uploads(place: BlobLocation, folder: str, before_ms: int) -> int:
    """Abort the uploads of a place that were begun before a moment, and are still open.

    Parameters
    ----------
    place : BlobLocation
        Where blobs are; nothing is done for one that is no S3 bucket.
    folder : str
        Folder of the blobs within the place.
    before_ms : int
        The moment, in milliseconds since 1970-01-01 UTC by the clock of the store.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    OSError
        The store does not list them, or does not abort one.
    """
    if place.url is None or not place.url.startswith("s3://"):
        return 0
    url = urlsplit(place.url)
    prefix = f"{url.path.strip('/')}/{folder.strip('/')}/".lstrip("/")
    client = s3_client(tuple(sorted(place.options.items())))
    count = 0
    try:
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=url.netloc, Prefix=prefix):
            for upload in page.get("Uploads", ()):
                if to_ms(upload["Initiated"]) < before_ms:
                    client.abort_multipart_upload(Bucket=url.netloc, Key=upload["Key"], UploadId=upload["UploadId"])
                    count += 1
    except s3_errors() as error:
        raise OSError(f"open uploads of {place.url} could not be aborted: {type(error).__name__}") from error
    return count
