"""Listing the input of an import job, within the quotas."""

from __future__ import annotations

from hounsfield.imaging.archive import Quotas
from hounsfield.imaging.import_files import InputFile
from hounsfield.storage.buckets import BucketError, Buckets, S3Uri


class JobFailedError(Exception):
    """The job as a whole cannot run; the message becomes the message of the job."""


def scan(buckets: Buckets, input_uri: str, quotas: Quotas) -> list[InputFile]:
    """List all objects below ``input_uri``, recursively, in the order of their keys.

    Raises
    ------
    JobFailedError
        The bucket cannot be listed, there is nothing in it, or a quota of a job is exceeded.
    """
    uri = S3Uri.parse(input_uri)
    entries = []
    total = 0
    folders = set()
    try:
        for entry in buckets.open(uri.bucket).list(uri.key):
            if entry.key.endswith("/"):
                continue
            entries.append(entry)
            total += entry.size
            folders.add(entry.key.rpartition("/")[0])
            if len(entries) > quotas.files_per_job:
                raise JobFailedError(
                    f"The input has more than {quotas.files_per_job} files, the quota of an import job"
                )
            if total > quotas.bytes_per_job:
                raise JobFailedError(
                    f"The input has more than {quotas.bytes_per_job} bytes, the quota of an import job"
                )
            if len(folders) > quotas.folders_per_job:
                raise JobFailedError(
                    f"The input has more than {quotas.folders_per_job} folders, the quota of an import job"
                )
    except BucketError as error:
        raise JobFailedError(f"The input location cannot be read: {error}") from error
    if not entries:
        raise JobFailedError("The input location has no objects")
    entries.sort(key=lambda entry: entry.key)
    return [InputFile(ordinal, entry.key, entry.size) for ordinal, entry in enumerate(entries)]
