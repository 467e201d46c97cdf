"""Puts the parts together; the only place that knows all of them.

Settings ─▶ open_archive ─┬─▶ create_app   one per API process
                          └─▶ run_runner   one per runner process
"""

from __future__ import annotations

import signal
import threading
import types

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.access.credentials import credentials_file, root_key
from hounsfield.access.principals import root_of
from hounsfield.aws.model import load_service
from hounsfield.aws.pagination import PageTokens
from hounsfield.aws.routing import Router
from hounsfield.aws.sigv4 import Verifier
from hounsfield.imaging.archive import Archive
from hounsfield.imaging.copying import COPY_IMAGE_SET, ImageSetCopier
from hounsfield.imaging.datastores import SETTLE_DATASTORE, DatastoreSettler
from hounsfield.imaging.deletion import DELETE_IMAGE_SET, ImageSetDeleter
from hounsfield.imaging.import_jobs import IMPORT
from hounsfield.imaging.importing import ImportRunner
from hounsfield.imaging.ingest import warm_up
from hounsfield.imaging.metadata import MetadataReader
from hounsfield.imaging.orphans import SWEEP_ORPHANS, OrphanSweeper, schedule_sweep
from hounsfield.imaging.release import RELEASE_IMAGE_SET, StorageReleaser
from hounsfield.imaging.updating import UPDATE_IMAGE_SET, ImageSetUpdater
from hounsfield.jobs.bell import bell_of
from hounsfield.jobs.queue import WorkQueue
from hounsfield.jobs.runner import Alarm, Runner, WorkHandler
from hounsfield.jobs.workers import WorkerPool, end_with_parent
from hounsfield.logs import configure_logs
from hounsfield.native.context import Context
from hounsfield.native.door import NativeDoor
from hounsfield.settings import Settings, SettingsError, load_settings
from hounsfield.storage.blobs import BlobPlace
from hounsfield.storage.buckets import Buckets
from hounsfield.storage.database import Database, open_embedded, open_postgresql
from hounsfield.storage.durable import make_folder_durably
from hounsfield.storage.keys import DataKeys, KeyUnavailableError, LocalKeyring, database_key
from hounsfield.storage.secrets import installation_secret


def open_keyring(settings: Settings) -> LocalKeyring:
    """Open the keyring of the data folder, made at first start."""
    return LocalKeyring(settings.data / "keys" / "master.json")


def open_database(settings: Settings, keyring: LocalKeyring) -> Database:
    """Open the database that the settings name, migrated to the newest schema."""
    if settings.database_url:
        return open_postgresql(settings.database_url)
    return open_embedded(
        settings.data / "hounsfield.db", database_key(settings.data / "keys" / "database.key", keyring)
    )


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


def blob_place(settings: Settings) -> BlobPlace:
    """Give the place of the packs; ``s3://`` means the same endpoint as for import jobs."""
    if not settings.blobs_url:
        return BlobPlace(folder=str((settings.data / "blobs").absolute()))
    options = {}
    if settings.blobs_url.startswith("s3://"):
        options = {"region": settings.region, **s3_credentials(settings)}
        if settings.s3_endpoint_url:
            options["endpoint"] = settings.s3_endpoint_url
    return BlobPlace(url=settings.blobs_url, options=options)


def open_archive(settings: Settings) -> tuple[Archive, LocalKeyring]:
    """Open all stores of an installation, making what is not there yet."""
    make_folder_durably(settings.data)
    make_folder_durably(settings.data / "buckets")
    keyring = open_keyring(settings)
    database = open_database(settings, keyring)
    try:
        installation_secret(database, keyring, "installation")
    except KeyUnavailableError as error:
        raise SettingsError(
            f"{settings.data / 'keys' / 'master.json'} is not the master key of this database; every node needs the same one"
        ) from error
    place = blob_place(settings)
    archive = Archive(
        database=database,
        blobs=place.open(),
        blob_place=place,
        keys=DataKeys(keyring),
        buckets=open_buckets(settings),
        queue=WorkQueue(database, settings.lease_seconds, bell_of(database, settings.data)),
        account_id=settings.account_id,
        region=settings.region,
        partition=settings.partition,
    )
    return archive, keyring


def create_app() -> ASGIApp:
    """Make the ASGI application of one API process, from the settings of the environment."""
    settings = load_settings()
    configure_logs(settings.log_level)
    end_with_parent()
    return make_app(settings)


def make_app(settings: Settings) -> ASGIApp:
    """Put the front doors together."""
    archive, keyring = open_archive(settings)
    key = root_key(credentials_file(settings.data))
    secrets = {key.id: key.secret}
    context = Context(
        archive=archive,
        metadata=MetadataReader(archive, settings.metadata_cache_bytes),
        tokens=PageTokens(installation_secret(archive.database, keyring, "page-tokens")),
        local=not (settings.database_url or settings.blobs_url),
    )
    native = NativeDoor(
        context=context,
        router=Router(load_service()),
        verifier=None if settings.insecure_no_auth else Verifier(settings.region, "medical-imaging", secrets.get),
        principal=root_of(settings.partition, settings.account_id),
        max_body_bytes=settings.max_body_bytes,
    )
    return front_doors(native)


def front_doors(native: ASGIApp) -> ASGIApp:
    """Send each request to its door, by path alone; what is no other's is the native API's.

    Paths are compared here and not by patterns, so that no path, however odd, misses the door that checks signatures.
    """

    async def doors(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["path"] == "/healthz":
            await PlainTextResponse("ok\n")(scope, receive, send)
        else:
            await native(scope, receive, send)

    return doors


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    # The first use of a thread imports what it needs, which no request should wait for.
    await run_in_threadpool(int)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def run_runner(settings: Settings) -> None:
    """Run a runner until SIGTERM or SIGINT."""
    configure_logs(settings.log_level)
    end_with_parent()
    archive, _ = open_archive(settings)
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: types.FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    schedule_sweep(archive)
    pool = WorkerPool(settings.import_processes, warm_up)
    imports: dict[str, WorkHandler] = {IMPORT: ImportRunner(archive, pool, stop)}
    # Short work has slots of its own: it never waits for imports, which may themselves wait for it to unlock an image set.
    short: dict[str, WorkHandler] = {
        SETTLE_DATASTORE: DatastoreSettler(archive),
        UPDATE_IMAGE_SET: ImageSetUpdater(archive),
        COPY_IMAGE_SET: ImageSetCopier(archive),
        DELETE_IMAGE_SET: ImageSetDeleter(archive),
        RELEASE_IMAGE_SET: StorageReleaser(archive, settings.release_after_seconds),
        SWEEP_ORPHANS: OrphanSweeper(archive, delete=settings.delete_orphans),
    }
    alarm = Alarm()
    beside = [
        threading.Thread(target=archive.queue.listen, args=(alarm.ring, stop), name="listener"),
        threading.Thread(target=Runner(archive.queue, short, stop, alarm=alarm).run, name="short-work"),
    ]
    for thread in beside:
        thread.start()
    try:
        Runner(archive.queue, imports, stop, slots=settings.import_slots, alarm=alarm).run()
    finally:
        stop.set()
        for thread in beside:
            thread.join()
        pool.close()
