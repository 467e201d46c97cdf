"""Puts the parts together; the only place that knows all of them.

Settings ─▶ open_archive ─┬─▶ create_app   one per API process
                          └─▶ run_runner   one per runner process
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import types
from pathlib import Path
from typing import Final

import structlog
from anyio import CapacityLimiter
from starlette.types import ASGIApp

from hounsfield.access.credentials import credentials_file, root_key
from hounsfield.access.directory.directory import Directory
from hounsfield.access.origins import origins_of
from hounsfield.access.sessions import SEALED_WITH, Sessions
from hounsfield.access.throttling import Throttle, rates_of
from hounsfield.audit_keeping import AuditKeeper, RecordedWork, import_ended, storage_released
from hounsfield.auditing import open_trail, recorder_of
from hounsfield.aws.model import load_service
from hounsfield.aws.pagination import PageTokens
from hounsfield.aws.routing import Router
from hounsfield.dicomweb.context import Context as DicomwebContext
from hounsfield.dicomweb.door import DicomwebDoor
from hounsfield.front import Beside, front_doors, limits_of
from hounsfield.gate.bearers import Bearers
from hounsfield.gate.bodies import BodyMemory
from hounsfield.gate.callers import Holders
from hounsfield.gate.front_doors import Entrance
from hounsfield.imaging.accesses import AccessWriter
from hounsfield.imaging.archive import Archive, Quotas
from hounsfield.imaging.copying import COPY_IMAGE_SET, ImageSetCopier
from hounsfield.imaging.datastores import SETTLE_DATASTORE, DatastoreSettler
from hounsfield.imaging.deletion import DELETE_IMAGE_SET, ImageSetDeleter
from hounsfield.imaging.dicom_metadata import DicomMetadataReader
from hounsfield.imaging.import_jobs import IMPORT
from hounsfield.imaging.importing import ImportRunner
from hounsfield.imaging.indexing import FILL_INDEX, IndexFiller, schedule_indexing
from hounsfield.imaging.ingest import warm_up
from hounsfield.imaging.job_retention import FORGET_IMPORT_JOBS, ImportJobForgetter, schedule_forgetting
from hounsfield.imaging.metadata import MetadataReader
from hounsfield.imaging.orphans import SWEEP_ORPHANS, OrphanSweeper, schedule_sweep
from hounsfield.imaging.pictures import Pictures
from hounsfield.imaging.placing import second_place_needed
from hounsfield.imaging.receiving import Receiver
from hounsfield.imaging.release import RELEASE_IMAGE_SET, StorageReleaser
from hounsfield.imaging.tiers import SWEEP_TIERS, TierSweeper, access_precision, schedule_tiers
from hounsfield.imaging.updating import UPDATE_IMAGE_SET, ImageSetUpdater
from hounsfield.installation import open_database, open_keyring, open_repository
from hounsfield.jobs.bell import bell_of
from hounsfield.jobs.queue import WorkQueue
from hounsfield.jobs.runner import Alarm, Runner, WorkHandler
from hounsfield.jobs.workers import WorkerPool, end_with_parent, tell_refusal
from hounsfield.logs import configure_logs
from hounsfield.native.context import Context
from hounsfield.native.door import NativeDoor
from hounsfield.role_sources import callers_of, import_access, job_roles, sts_door
from hounsfield.settings import Settings, SettingsError, load_settings
from hounsfield.storage.blobs import BlobPlace
from hounsfield.storage.buckets import Buckets
from hounsfield.storage.data_keys import DataKeys
from hounsfield.storage.durable import keep_private, make_folder_durably
from hounsfield.storage.keyring import LocalKeyring
from hounsfield.storage.keys import KeyUnavailableError
from hounsfield.storage.kms import KeyService, KeyServicePlace
from hounsfield.storage.place_mark import PlaceRefusedError, check_place
from hounsfield.storage.secrets import installation_secret
from hounsfield.storage.tiered_blobs import TieredBlobs
from hounsfield.token_sources import open_authorizing

_KEEPING_SECONDS: Final = 5.0
DAY_SECONDS: Final = 24 * 3600.0
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

_log = structlog.get_logger(__name__)


def s3_credentials(settings: Settings) -> dict[str, str]:
    """Give the credentials for the S3 endpoint, nothing where those of the environment are meant."""
    if not settings.s3_access_key_id:
        return {}
    return {"access_key_id": settings.s3_access_key_id, "secret_access_key": settings.s3_secret_access_key}


def open_buckets(settings: Settings) -> Buckets:
    """Give what ``s3://`` means for import jobs."""
    return Buckets(
        folder=str((settings.data / "buckets").absolute()),
        endpoint_url=settings.s3_endpoint_url or None,
        aws=settings.s3 == "aws",
        region=settings.region,
        options=s3_credentials(settings),
    )


def key_service(settings: Settings) -> KeyService | None:
    """Give the key service that the settings name, None where they name none."""
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


def blob_place(settings: Settings) -> BlobPlace:
    """Give the place of the packs; ``s3://`` means the same endpoint as for import jobs."""
    if not settings.blobs_url:
        return BlobPlace(folder=str((settings.data / "blobs").absolute()))
    return BlobPlace(url=settings.blobs_url, options=_store_options(settings, settings.blobs_url))


def archive_place(settings: Settings) -> BlobPlace | None:
    """Give the second place of packs, None where all stay in the first; raises `SettingsError` for one that cannot be."""
    url = settings.archive_blobs_url
    if settings.archive_storage_class and settings.archive_storage_class not in READABLE_CLASSES:
        known = ", ".join(sorted(READABLE_CLASSES))
        raise SettingsError(
            f"HOUNSFIELD_ARCHIVE_STORAGE_CLASS is {settings.archive_storage_class!r}, objects must be readable at once: {known}"
        )
    if not url:
        return None
    first = blob_place(settings)
    if "://" in url and not url.startswith("file://"):
        place = BlobPlace(url=url, options=_store_options(settings, url), storage_class=settings.archive_storage_class)
        same = first.url is not None and first.url.rstrip("/") == url.rstrip("/")
    else:
        folder = Path(url.removeprefix("file://")).absolute()
        place = BlobPlace(folder=str(folder))
        same = first.folder is not None and Path(first.folder).resolve() == folder.resolve()
    if same:
        raise SettingsError(f"HOUNSFIELD_ARCHIVE_BLOBS_URL is {url!r}, the place of all packs; it must be another one")
    return place


def _store_options(settings: Settings, url: str) -> dict[str, str]:
    if not url.startswith("s3://"):
        return {}
    options = {"region": settings.region, **s3_credentials(settings)}
    if settings.s3_endpoint_url:
        options["endpoint"] = settings.s3_endpoint_url
    return options


def quotas_of(settings: Settings) -> Quotas:
    """Give the quotas that the settings name."""
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


def open_archive(settings: Settings) -> tuple[Archive, LocalKeyring]:
    """Open all stores of an installation, making what is not there yet."""
    make_folder_durably(settings.data)
    try:
        keep_private(settings.data)
    except PermissionError:
        _log.warning("the data folder is another user's, and others may look into it", folder=str(settings.data))
    make_folder_durably(settings.data / "buckets")
    keyring = open_keyring(settings)
    database = open_database(settings, keyring)
    try:
        secret = installation_secret(database, keyring, "installation")
    except KeyUnavailableError as error:
        raise SettingsError(
            f"{settings.data / 'keys' / 'master.json'} is not the master key of this database; every node needs the same one"
        ) from error
    place = blob_place(settings)
    second = archive_place(settings)
    if second is None and second_place_needed(database):
        raise SettingsError("HOUNSFIELD_ARCHIVE_BLOBS_URL is not set, but packs of archived image sets are there")
    blobs = place.open()
    try:
        check_place(database, keyring, blobs, secret)
    except PlaceRefusedError as error:
        raise SettingsError(f"{place.folder or place.url} cannot be the place of the packs: {error}") from error
    tiers = None if second is None else TieredBlobs(blobs, second.open(), far=second.folder is None)
    archive = Archive(
        database=database,
        blobs=blobs if tiers is None else tiers,
        blob_place=place,
        keys=DataKeys(keyring, key_service(settings), settings.kms_cache_seconds),
        buckets=open_buckets(settings),
        queue=WorkQueue(database, settings.lease_seconds, bell_of(database, settings.data)),
        account_id=settings.account_id,
        region=settings.region,
        partition=settings.partition,
        quotas=quotas_of(settings),
        job_retention_seconds=settings.job_retention_seconds,
        archive_place=second,
        tiers=tiers,
    )
    return archive, keyring


def create_app() -> ASGIApp:
    """Make the ASGI application of one API process, from the settings of the environment; ends it when they cannot be."""
    settings = load_settings()
    configure_logs(settings.log_level)
    end_with_parent()
    try:
        return make_app(settings)
    except SettingsError as error:
        _log.error("cannot start", reason=str(error))
        tell_refusal()
        raise SystemExit(2) from error


def make_app(settings: Settings) -> Entrance:
    """Put the front doors together."""
    archive, keyring = open_archive(settings)
    directory = Directory(open_repository(settings, archive.database, keyring))
    sessions = Sessions(installation_secret(archive.database, keyring, SEALED_WITH), directory)
    holders = Holders.of(
        root_key(credentials_file(settings.data)), directory, sessions, settings.account_id, settings.partition
    )
    context = Context(
        archive=archive,
        metadata=MetadataReader(archive, settings.metadata_cache_bytes),
        tokens=PageTokens(installation_secret(archive.database, keyring, "page-tokens")),
        local=not (settings.database_url or settings.blobs_url),
        job_roles=job_roles(settings, directory, archive),
    )
    callers = callers_of(settings, holders, "medical-imaging")
    throttle = Throttle(rates_of(settings.throttling, settings.throttle_rates), settings.api_workers)
    trail = open_trail(settings, archive, keyring, "api")
    recorder = recorder_of(settings, archive, trail)
    accesses = AccessWriter(
        archive.database,
        archive.accesses,
        every_seconds=settings.access_flush_seconds,
        precision_seconds=access_precision(settings.archive_after_days * DAY_SECONDS),
    )
    bodies = BodyMemory(settings.body_memory_bytes)
    native = NativeDoor(
        context=context,
        router=Router(load_service()),
        callers=callers,
        throttle=throttle,
        recorder=recorder,
        max_body_bytes=settings.max_body_bytes,
        bodies=bodies,
    )
    receiver = Receiver(archive, settings.store_processes)
    issuer = None if settings.issuer is None else settings.issuer.open()
    authorizing = open_authorizing(settings, issuer)
    dicomweb = DicomwebDoor(
        context=DicomwebContext(
            archive=archive,
            metadata=DicomMetadataReader(archive),
            receiver=receiver,
            store_slots=asyncio.Semaphore(2 * receiver.processes),
            spool=settings.data / "spool",
            local=context.local,
            pictures=Pictures(archive, settings.rendered_cache_bytes),
            rendering_slots=CapacityLimiter(os.cpu_count() or 1),
            deletes=settings.dicomweb_delete,
            classic_searches=settings.classic_search_actions,
        ),
        callers=callers,
        bearers=Bearers(authorizing, directory, archive),
        throttle=throttle,
        recorder=recorder,
        max_unproven_bytes=settings.max_body_bytes,
        max_store_bytes=settings.max_store_bytes,
        bodies=bodies,
        public_url=settings.public_url,
    )
    origins = origins_of(settings.cors_origins)
    beside = Beside(accesses, receiver, directory, authorizing, trail)
    sts = sts_door(settings, archive, holders, issuer, trail, bodies)
    return front_doors(native, dicomweb, sts, origins, beside, limits_of(settings))


def run_runner(settings: Settings) -> None:
    """Run a runner until SIGTERM or SIGINT."""
    configure_logs(settings.log_level)
    end_with_parent()
    archive, keyring = open_archive(settings)
    directory = Directory(open_repository(settings, archive.database, keyring))
    directory.start()
    access_of = import_access(job_roles(settings, directory, archive), archive)
    trail = open_trail(settings, archive, keyring, "runner")
    keeper = AuditKeeper.of(settings, archive, keyring)
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: types.FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    schedule_sweep(archive)
    schedule_forgetting(archive)
    schedule_tiers(archive)
    schedule_indexing(archive)
    pool = WorkerPool(settings.import_processes, warm_up)
    imports: dict[str, WorkHandler] = {
        IMPORT: RecordedWork(ImportRunner(archive, pool, stop, access_of), trail, import_ended(archive))
    }
    # Short work has slots of its own: it never waits for imports, which may themselves wait for it to unlock an image set.
    short: dict[str, WorkHandler] = {
        SETTLE_DATASTORE: DatastoreSettler(archive),
        UPDATE_IMAGE_SET: ImageSetUpdater(archive),
        COPY_IMAGE_SET: ImageSetCopier(archive),
        DELETE_IMAGE_SET: ImageSetDeleter(archive),
        RELEASE_IMAGE_SET: RecordedWork(
            StorageReleaser(archive, settings.release_after_seconds), trail, storage_released(archive)
        ),
        SWEEP_ORPHANS: OrphanSweeper(archive, delete=settings.delete_orphans),
        FORGET_IMPORT_JOBS: ImportJobForgetter(archive),
    }
    # Moving packs takes long and never ends; whoever waits for an update must not wait for it, nor for an index.
    moving: dict[str, WorkHandler] = {
        FILL_INDEX: IndexFiller(archive, stop),
        SWEEP_TIERS: TierSweeper(
            archive,
            archive_after_seconds=settings.archive_after_days * DAY_SECONDS,
            every_seconds=settings.tier_sweep_seconds,
            stop=stop,
        ),
    }
    alarm = Alarm()
    beside = [
        threading.Thread(target=archive.queue.listen, args=(alarm.ring, stop), name="listener"),
        threading.Thread(target=Runner(archive.queue, short, stop, alarm=alarm).run, name="short-work"),
        threading.Thread(target=Runner(archive.queue, moving, stop, slots=2).run, name="long-work"),
    ]
    # A bucket that does not answer must not keep the process from ending; what is not delivered then is later.
    keeping = threading.Thread(target=keeper.run, args=(stop,), name="audit-keeper", daemon=True)
    keeping.start()
    trail.start()
    for thread in beside:
        thread.start()
    try:
        Runner(archive.queue, imports, stop, slots=settings.import_slots, alarm=alarm).run()
    finally:
        stop.set()
        for thread in beside:
            thread.join()
        pool.close()
        directory.stop()
        trail.stop()
        keeping.join(_KEEPING_SECONDS)
