"""The image store: the database, packs, keys, buckets and queue that every function of the domain works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hounsfield.imaging.damage_notes import DamageNotes
from hounsfield.imaging.last_access import PendingAccesses
from hounsfield.jobs.queue import WorkQueue
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs
from hounsfield.storage.blobs.frame_cache import FrameCache
from hounsfield.storage.blobs.frame_index import FrameIndex
from hounsfield.storage.blobs.tiered_blobs import TieredBlobs
from hounsfield.storage.buckets.buckets import Buckets
from hounsfield.storage.db.database import Database
from hounsfield.storage.free_space import FreeSpace
from hounsfield.storage.keys.data_key_cache import DataKeyCache
from hounsfield.storage.lru_cache import SharedCache

_DECODED_INSTANCES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Quotas:
    """Quotas of AWS HealthImaging with its defaults; 0 stands for none, see `hounsfield.imaging.quotas`."""

    datastores: int = 100
    concurrent_import_jobs: int = 100
    files_per_job: int = 5_000
    folders_per_job: int = 10_000
    bytes_per_job: int = 10 * 1024**3
    bytes_per_file: int = 10 * 1024**3
    metadata_bytes: int = 50 * 1024**2
    update_bytes: int = 10 * 1024
    concurrent_updates: int = 100
    concurrent_copies: int = 100
    concurrent_deletes: int = 100
    copy_frames: int = 1_000
    tags: int = 50


class Decoding(Enum):
    """What is known of frames that nobody decoded when they came."""

    WHOLE = "all decode"
    BROKEN = "at least one does not decode"


@dataclass(frozen=True, slots=True)
class ImageStore:
    """The stores behind the domain and the account they belong to.

    New packs go to ``blob_location``. With an archive location, ``tiers`` is both of them and ``blobs`` the same object, so
    that whoever reads or deletes a pack need not know where it is. ``free_space`` is that of everything but the archive
    location, which has its own.
    """

    database: Database
    blobs: Blobs
    blob_location: BlobLocation
    keys: DataKeyCache
    buckets: Buckets
    queue: WorkQueue
    account_id: str = "000000000000"
    region: str = "us-east-1"
    partition: str = "aws"
    quotas: Quotas = field(default_factory=Quotas)
    job_retention_seconds: float = 90 * 24 * 3600.0
    archive_location: BlobLocation | None = None
    tiers: TieredBlobs | None = None
    free_space: FreeSpace = field(default_factory=FreeSpace)
    archive_free_space: FreeSpace = field(default_factory=FreeSpace)
    accesses: PendingAccesses = field(default_factory=PendingAccesses)
    damage_notes: DamageNotes = field(default_factory=DamageNotes)
    frame_index: FrameIndex = field(default_factory=FrameIndex)
    frame_cache: FrameCache = field(default_factory=FrameCache)
    decoding: SharedCache[str, Decoding] = field(default_factory=lambda: SharedCache(_DECODED_INSTANCES, lambda _: 1))
    """Whether all frames of an instance decode, by its source key; of those that this process tried."""

    @property
    def pack_locations(self) -> tuple[Blobs, ...]:
        """All places of packs, opened, each by itself."""
        return (self.blobs,) if self.tiers is None else (self.tiers.frequent, self.tiers.archived)

    @property
    def new_blobs(self) -> Blobs:
        """The place that new packs go to, by itself."""
        return self.blobs if self.tiers is None else self.tiers.frequent

    @property
    def blob_locations(self) -> tuple[BlobLocation, ...]:
        """All places where packs can be."""
        return (self.blob_location,) if self.archive_location is None else (self.blob_location, self.archive_location)

    def datastore_arn(self, datastore_id: str) -> str:
        """Return the ARN of a data store."""
        return f"arn:{self.partition}:medical-imaging:{self.region}:{self.account_id}:datastore/{datastore_id}"

    def image_set_arn(self, datastore_id: str, image_set_id: str) -> str:
        """Return the ARN of an image set."""
        return f"{self.datastore_arn(datastore_id)}/imageset/{image_set_id}"
