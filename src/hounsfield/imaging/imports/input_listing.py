"""The listing of the input of an import job, within the quotas."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from hounsfield.imaging.image_store import Quotas
from hounsfield.imaging.imports.files import JobFile
from hounsfield.imaging.ingest.files import InputFile
from hounsfield.imaging.quotas import exceeds
from hounsfield.storage.buckets.bucket_access import BucketAccess, BucketUse
from hounsfield.storage.buckets.buckets import BucketError, Buckets, ObjectEntry, S3Uri


class JobFailedError(Exception):
    """The job as a whole cannot run; the message becomes the message of the job."""


def check_permitted(access: BucketAccess, uses: Iterable[BucketUse]) -> None:
    """Make sure that a job may do something with its buckets; raises `JobFailedError`."""
    refusal = access.refusal(uses)
    if refusal is not None:
        raise JobFailedError(refusal)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is below the input location: DICOM files to import, and metadata files that are used but not imported."""

    files: list[JobFile]
    metadata: list[JobFile]


def scan(buckets: Buckets, input_uri: str, quotas: Quotas, metadata_keys: Collection[str] = ()) -> Listing:
    """List all objects below ``input_uri``, recursively, in the order of their keys.

    Parameters
    ----------
    buckets : Buckets
        Where the input is.
    input_uri : str
        The input location.
    quotas : Quotas
        Those of a job hold.
    metadata_keys : Collection of str
        Keys of objects that are not files to import.

    Raises
    ------
    JobFailedError
        The bucket cannot be listed, there is nothing to import in it, or a quota of a job is exceeded.
    """
    uri = S3Uri.parse(input_uri)
    tally = _Tally(quotas, uri.key.rstrip("/").count("/") + 1 if uri.key else 0)
    files: list[ObjectEntry] = []
    metadata: list[ObjectEntry] = []
    try:
        for entry in buckets.open(uri.bucket).list(uri.key):
            of_metadata = entry.key in metadata_keys
            (metadata if of_metadata else files).append(entry)
            tally.add(entry, counted=not of_metadata)
    except BucketError as error:
        raise JobFailedError(f"The input location cannot be read: {error}") from error
    if not files:
        raise JobFailedError("The input location has no objects")
    # One order for both, so that every file of the job has an ordinal of its own.
    ordinals = {entry.key: ordinal for ordinal, entry in enumerate(sorted([*files, *metadata], key=_key))}
    return Listing(_input_files(files, ordinals), _input_files(metadata, ordinals))


def _key(entry: ObjectEntry) -> str:
    return entry.key


def _input_files(entries: list[ObjectEntry], ordinals: dict[str, int]) -> list[JobFile]:
    return [InputFile(ordinals[entry.key], entry) for entry in sorted(entries, key=_key)]


@dataclass(slots=True)
class _Tally:
    """Counts files, folders and bytes while they are listed, so that a listing without end stops at a quota."""

    quotas: Quotas
    depth: int
    files: int = 0
    size: int = 0
    folders: set[str] = field(default_factory=set)

    def add(self, entry: ObjectEntry, *, counted: bool) -> None:
        """Count one object; raises `JobFailedError`."""
        self.files += counted
        self.size += entry.size
        folder = entry.key.rpartition("/")[0]
        while folder.count("/") >= self.depth and folder not in self.folders and folder:
            self.folders.add(folder)
            folder = folder.rpartition("/")[0]
        for found, quota, what in (
            (self.files, self.quotas.files_per_job, "files"),
            (self.size, self.quotas.bytes_per_job, "bytes"),
            (len(self.folders), self.quotas.folders_per_job, "folders"),
        ):
            if exceeds(found, quota):
                raise JobFailedError(f"The input has more than {quota} {what}, the quota of an import job")
