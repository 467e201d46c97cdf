"""The context of a worker: where packs go, with which key, in which format, within which quotas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hounsfield.imaging.ingest.metadata_files import ImportMetadata
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.storage.blobs.blobs import BlobLocation
from hounsfield.storage.buckets.buckets import Buckets
from hounsfield.storage.keys.data_key import DataKey

if TYPE_CHECKING:
    # Workers know neither: what they need of them is in the context.
    from hounsfield.imaging.datastores import Datastore
    from hounsfield.imaging.image_store import ImageStore


@dataclass(frozen=True, slots=True)
class IngestContext:
    """The context of an import job, or of what requests store into a data store."""

    buckets: Buckets
    bucket: str
    blob_location: BlobLocation
    key: DataKey
    lossless_format: LosslessFormat
    bytes_per_file: int
    metadata_bytes: int
    metadata: ImportMetadata | None = None

    @classmethod
    def of(
        cls,
        image_store: ImageStore,
        datastore: Datastore,
        key: DataKey,
        bucket: str = "",
        metadata: ImportMetadata | None = None,
        buckets: Buckets | None = None,
    ) -> IngestContext:
        """Return the context for a data store; ``bucket``, ``metadata`` and ``buckets`` are those of an import job."""
        return cls(
            buckets=image_store.buckets if buckets is None else buckets,
            bucket=bucket,
            blob_location=image_store.blob_location,
            key=key,
            lossless_format=datastore.lossless_format,
            bytes_per_file=image_store.quotas.bytes_per_file,
            metadata_bytes=image_store.quotas.metadata_bytes,
            metadata=metadata,
        )
