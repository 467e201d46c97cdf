"""The image store of an installation, made from the settings: database, packs, buckets, keys.

Settings ─▶ open_image_store ─▶ ImageStore, which every function of the domain works on
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import structlog
from obstore.exceptions import BaseError as StoreError

from hounsfield.bootstrap.common_settings import check_common_settings
from hounsfield.bootstrap.first_start import check_first_start
from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.bootstrap.journal_position import check_journal_position
from hounsfield.bootstrap.start_faults import explain_start_faults
from hounsfield.imaging.image_store import ImageStore, Quotas
from hounsfield.imaging.tiering.pack_mover import needs_archive_location
from hounsfield.jobs.queue import WorkQueue
from hounsfield.jobs.wakeup import make_wakeup
from hounsfield.settings import InstallationError, Settings, SettingsError
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs
from hounsfield.storage.blobs.frame_cache import FrameCache
from hounsfield.storage.blobs.location_marker import BlobLocationError, check_location
from hounsfield.storage.blobs.read_cache import CachedBlobs, ReadCache
from hounsfield.storage.blobs.tiered_blobs import TieredBlobs
from hounsfield.storage.buckets.buckets import Buckets
from hounsfield.storage.durable_files import keep_private, make_folder_durably
from hounsfield.storage.free_space import FreeSpace
from hounsfield.storage.journal.journal_writer import JournalFlusher, JournalWriter
from hounsfield.storage.keys.data_key_cache import DataKeyCache
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.kms import KeyService, KeyServicePlace
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.secret_copies import JOURNAL, write_secrets

READABLE_CLASSES: Final = frozenset(
    {
        "STANDARD",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
        "REDUCED_REDUNDANCY",
        "NEARLINE",
        "COLDLINE",
        "ARCHIVE",
    }
)
"""Storage classes of S3 and Google whose objects are read without being restored first."""

_FOLDER_URL: Final = "file:///"
_log = structlog.get_logger(__name__)


def s3_credentials(settings: Settings) -> dict[str, str]:
    """Return the credentials for the S3 endpoint, nothing where those of the environment are meant."""
    if not settings.s3_access_key_id:
        return {}
    return {"access_key_id": settings.s3_access_key_id, "secret_access_key": settings.s3_secret_access_key}


def open_buckets(settings: Settings) -> Buckets:
    """Return what ``s3://`` means for import jobs."""
    return Buckets(
        folder=str((settings.data / "buckets").absolute()),
        endpoint_url=settings.s3_endpoint_url or None,
        aws=settings.s3 == "aws",
        region=settings.region,
        options=s3_credentials(settings),
    )


def make_key_service(settings: Settings) -> KeyService | None:
    """Return the key service that the settings name, None where they name none."""
    if not settings.kms_endpoint_url and settings.kms != "aws":
        return None
    return KeyService(
        KeyServicePlace(
            region=settings.region,
            endpoint_url=settings.kms_endpoint_url or None,
            access_key_id=settings.kms_access_key_id,
            secret_access_key=settings.kms_secret_access_key,
        )
    )


def blob_location(settings: Settings) -> BlobLocation:
    """Return the place of the packs; ``s3://`` means the same endpoint as for import jobs."""
    if not settings.blobs_url:
        return BlobLocation(folder=str((settings.data / "blobs").absolute()))
    if settings.blobs_url.startswith(_FOLDER_URL):
        # The object store library would make no file of it durable.
        return BlobLocation(folder=unquote(settings.blobs_url.removeprefix("file://")))
    return BlobLocation(url=settings.blobs_url, options=store_options(settings, settings.blobs_url))


def archive_location(settings: Settings) -> BlobLocation | None:
    """Return the second place of packs, None where all stay in the first; raises `SettingsError` for one that cannot be."""
    url = settings.archive_blobs_url
    if settings.archive_storage_class and settings.archive_storage_class not in READABLE_CLASSES:
        known = ", ".join(sorted(READABLE_CLASSES))
        raise SettingsError(
            f"HOUNSFIELD_ARCHIVE_STORAGE_CLASS is {settings.archive_storage_class!r}, objects must be readable at once: {known}"
        )
    if not url:
        return None
    first = blob_location(settings)
    if "://" in url and not url.startswith("file://"):
        place = BlobLocation(
            url=url, options=store_options(settings, url), storage_class=settings.archive_storage_class
        )
        same = first.url is not None and first.url.rstrip("/") == url.rstrip("/")
    else:
        folder = Path(url.removeprefix("file://")).absolute()
        place = BlobLocation(folder=str(folder))
        same = first.folder is not None and Path(first.folder).resolve() == folder.resolve()
    if same:
        raise SettingsError(f"HOUNSFIELD_ARCHIVE_BLOBS_URL is {url!r}, the place of all packs; it must be another one")
    return place


def store_options(settings: Settings, url: str) -> dict[str, str]:
    """Return the options that obstore needs for the object store of a URL: endpoint and credentials of the settings."""
    if not url.startswith("s3://"):
        return {}
    options = {"region": settings.region, **s3_credentials(settings)}
    if settings.s3_endpoint_url:
        options["endpoint"] = settings.s3_endpoint_url
    return options


def open_location(place: BlobLocation, setting: str) -> Blobs:
    """Connect to a place of packs that a setting names; raises `InstallationError`."""
    try:
        return place.open()
    except (StoreError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InstallationError(
            f"{setting} is {place.url!r}, which cannot be a place of packs: {reason}; "
            "it must be a folder (file://) or an object store such as s3://bucket/prefix"
        ) from error


def read_quotas(settings: Settings) -> Quotas:
    """Return the quotas that the settings name."""
    return Quotas(
        datastores=settings.quota_datastores,
        concurrent_copies=settings.quota_copies,
        concurrent_updates=settings.quota_updates,
        concurrent_deletes=settings.quota_deletes,
        copy_frames=settings.quota_copy_frames,
        update_bytes=settings.quota_update_bytes,
        tags=settings.quota_tags,
        concurrent_import_jobs=settings.quota_import_jobs,
        files_per_job=settings.quota_import_files,
        folders_per_job=settings.quota_import_folders,
        bytes_per_job=settings.quota_import_bytes,
        bytes_per_file=settings.quota_import_file_bytes,
        metadata_bytes=settings.quota_metadata_bytes,
    )


def written_folders(settings: Settings) -> list[Path]:
    """Return the folders that an installation stores in, without that of the archive; each can be a disk of its own."""
    packs = blob_location(settings).folder
    return [settings.data.absolute(), *([Path(packs)] if packs else []), settings.data.absolute() / "spool"]


def open_image_store(settings: Settings, *, cached: bool = False) -> tuple[ImageStore, LocalKeyring]:
    """Open all stores of an installation, making what is not there yet.

    Parameters
    ----------
    settings : Settings
        The installation.
    cached : bool
        Whether packs in object stores are read through the cache on the local disk, as for those who answer requests. Who
        verifies or moves packs must read them where they are.

    Raises
    ------
    SettingsError
        A setting cannot be.
    InstallationError
        What the settings name cannot be used.
    """
    with explain_start_faults(settings):
        make_folder_durably(settings.data)
        try:
            keep_private(settings.data)
        except PermissionError:
            _log.warning("the data folder is another user's, and others may look into it", folder=str(settings.data))
        make_folder_durably(settings.data / "buckets")
        return _opened(settings, cached=cached)


def _opened(settings: Settings, *, cached: bool) -> tuple[ImageStore, LocalKeyring]:
    place, second = blob_location(settings), archive_location(settings)
    blobs = open_location(place, "HOUNSFIELD_BLOBS_URL")
    check_first_start(settings, place, blobs)
    keyring = open_keyring(settings)
    database = open_database(settings, keyring)
    secret = installation_secret(database, keyring, "installation")
    if second is None and needs_archive_location(database):
        raise InstallationError(
            "HOUNSFIELD_ARCHIVE_BLOBS_URL is not set, but packs of archived image sets are there; set it as it was"
        )
    try:
        check_location(database, keyring, blobs, secret)
    except BlobLocationError as error:
        raise InstallationError(f"{place.name} cannot be the place of the packs: {error}") from error
    check_common_settings(settings, database, keyring)
    far = None if second is None else open_location(second, "HOUNSFIELD_ARCHIVE_BLOBS_URL")
    if cached:
        cache = _read_cache(settings)
        blobs = _through_cache(blobs, place, cache)
        far = None if second is None or far is None else _through_cache(far, second, cache)
    tiers = None if second is None or far is None else TieredBlobs(blobs, far, far=second.folder is None)
    image_store = ImageStore(
        database=database,
        blobs=blobs if tiers is None else tiers,
        blob_location=place,
        keys=DataKeyCache(keyring, make_key_service(settings), settings.kms_cache_seconds),
        buckets=open_buckets(settings),
        queue=WorkQueue(database, settings.lease_seconds, make_wakeup(database, settings.data)),
        account_id=settings.account_id,
        region=settings.region,
        partition=settings.partition,
        quotas=read_quotas(settings),
        job_retention_seconds=settings.job_retention_seconds,
        archive_location=second,
        tiers=tiers,
        free_space=FreeSpace(written_folders(settings), settings.free_space_floor_bytes),
        archive_free_space=FreeSpace(
            [Path(second.folder)] if second is not None and second.folder else [], settings.free_space_floor_bytes
        ),
        frame_cache=FrameCache(settings.frame_cache_bytes),
    )
    journal_key = installation_secret(database, keyring, JOURNAL)
    # Before anything is written beside the packs.
    check_journal_position(settings, image_store, journal_key)
    database.recorder = _journal(image_store, journal_key)
    return image_store, keyring


def _journal(image_store: ImageStore, secret: bytes) -> JournalWriter:
    """Return what records the changes of this process, with its key beside the packs."""
    database = image_store.database
    place, clock = image_store.blob_location, image_store.queue.clock
    # Asked for within transactions: what the database has of it is known from now on.
    clock.now()
    try:
        write_secrets(database, image_store.new_blobs)
    except OSError as error:
        # An object store that is away comes back, and the flusher tries again.
        _log.warning("the secrets beside the packs could not be looked at", error=type(error).__name__)
    return JournalWriter(database, place, image_store.new_blobs, secret, clock.now)


def make_journal_flusher(image_store: ImageStore) -> JournalFlusher:
    """Return what makes the journal of this process durable."""
    database = image_store.database
    return JournalFlusher(database, partial(write_secrets, database, image_store.new_blobs))


def read_cache_folder(settings: Settings) -> Path:
    """Return the folder of what was read of packs in object stores."""
    return settings.data.absolute() / "read-cache"


def _read_cache(settings: Settings) -> ReadCache | None:
    if settings.read_cache_bytes == 0:
        return None
    return ReadCache(read_cache_folder(settings), settings.read_cache_bytes, settings.free_space_floor_bytes)


def _through_cache(blobs: Blobs, place: BlobLocation, cache: ReadCache | None) -> Blobs:
    """Read a place through a cache, where there is one and the place is no folder."""
    if cache is None or place.url is None:
        return blobs
    return CachedBlobs(blobs, cache)
