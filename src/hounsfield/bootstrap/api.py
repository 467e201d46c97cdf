"""The API process, put together from the settings; with `hounsfield.server.runner` the only place that knows all parts.

Settings ─▶ open_image_store ─┬─▶ create_app                    one per API process
                          └─▶ runner_process.run_runner     one per runner process
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog
from starlette.types import ASGIApp

from hounsfield.api.administration.api import SIGNED_FOR, AdministrationApi, administration_routes
from hounsfield.api.administration.context import Context as AdministrationContext
from hounsfield.api.dicomweb.api import DicomwebApi
from hounsfield.api.dicomweb.context import Context as DicomwebContext
from hounsfield.api.dicomweb.routes import dicomweb_routes
from hounsfield.api.healthimaging.api import HealthImagingApi, healthimaging_routes
from hounsfield.api.healthimaging.context import Context
from hounsfield.api.sts.api import StsApi, sts_routes
from hounsfield.api.sts.context import Context as StsContext
from hounsfield.audit.call_counts import CallCounter
from hounsfield.audit.trail import Trail
from hounsfield.audit.trail_folder import TrailFolder
from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.pagination import PageTokens
from hounsfield.bootstrap.audit import (
    make_administration_recorder,
    make_recorder,
    make_sts_recorder,
    open_trail,
    open_trail_folder,
)
from hounsfield.bootstrap.background_tasks import BackgroundTasks
from hounsfield.bootstrap.cluster import FALL_BACK_SECONDS, STORE_PRIORITY, open_cluster, pool_of
from hounsfield.bootstrap.console import console_routes, make_console
from hounsfield.bootstrap.image_store import make_journal_flusher, open_image_store
from hounsfield.bootstrap.installation import open_repository
from hounsfield.bootstrap.pack_presence import check_packs_present
from hounsfield.bootstrap.roles import job_roles
from hounsfield.bootstrap.start_faults import explain_start_faults
from hounsfield.bootstrap.start_reports import report_refusal
from hounsfield.bootstrap.tokens import make_token_authorizer
from hounsfield.console.browser_redirect import BrowserRedirect
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.authentication import AccessKeyHolders, Authenticator
from hounsfield.gateway.bearer_authentication import BearerAuthenticator
from hounsfield.gateway.cors import CrossOrigin
from hounsfield.gateway.dispatch import Gateway
from hounsfield.gateway.handlers import Handlers
from hounsfield.gateway.health import health_route, ready_route
from hounsfield.gateway.idle_connections import ConnectionWatch
from hounsfield.gateway.pipeline import Pipeline
from hounsfield.gateway.request_body import RequestBodyMemory
from hounsfield.gateway.response_memory import ResponseMemory
from hounsfield.gateway.route_table import RouteTable
from hounsfield.gateway.threads import Threads, rendering_threads, request_threads, session_threads, writing_threads
from hounsfield.gateway.timeouts import Timeouts
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.root_credentials import credentials_file, root_key
from hounsfield.iam.sessions.sessions import SEALED_WITH, Sessions
from hounsfield.iam.throttling import Throttle
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.metadata_document import MetadataReader
from hounsfield.imaging.ingest.scheduler import IngestScheduler
from hounsfield.imaging.last_access import AccessWriter
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.imaging.rendering.rendered import FrameRenderer
from hounsfield.imaging.retrieve.instances import prepare_statements
from hounsfield.imaging.retrieve.metadata import DicomMetadataReader
from hounsfield.imaging.search.usage import UsageReader
from hounsfield.imaging.tiering.tiers import access_precision
from hounsfield.oidc.issuer import Issuer, open_issuer
from hounsfield.runtime.logs import configure_logs
from hounsfield.runtime.standard_error import retry_standard_error
from hounsfield.runtime.worker_pool import end_with_parent, notify_refusal
from hounsfield.settings import InstallationError, Settings, SettingsError, load_settings
from hounsfield.settings.cors_origins import parse_origins
from hounsfield.settings.throttling import parse_rates
from hounsfield.settings.trusted_proxies import behind_proxies, parse_proxies
from hounsfield.storage.db.write_ahead_log import LogCheckpointer
from hounsfield.storage.keys.installation_secrets import installation_secret

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the APIs share."""

    settings: Settings
    image_store: ImageStore
    holders: AccessKeyHolders
    authenticator: Authenticator
    recorder: Recorder
    reading: Threads
    writing: Threads
    local: bool
    """Whether database and packs are on this machine, so that a quick read need not wait for a thread."""


def create_app(wait: Callable[[], bool]) -> ASGIApp:
    """Make the ASGI application of one API process, from the settings of the environment; ends it when they cannot be.

    Parameters
    ----------
    wait : callable
        Waits before another try where the installation cannot be opened; False when there is to be none.
    """
    settings = load_settings()
    configure_logs(settings.log_level)
    retry_standard_error()
    end_with_parent()
    while True:
        try:
            with explain_start_faults(settings):
                return make_app(settings)
        except InstallationError as error:
            if not wait():
                _refuse(error)
            _log.error("API process waits", reason=str(error))
        except SettingsError as error:
            _refuse(error)


def _refuse(error: SettingsError) -> NoReturn:
    """End this process, and have none started in its place."""
    report_refusal(str(error))
    notify_refusal()
    raise SystemExit(2) from error


def make_app(settings: Settings) -> Gateway:
    """Return the ASGI application of an API process."""
    image_store, keyring = open_image_store(settings, cached=True)
    if image_store.blob_location.folder is not None:
        # In a bucket a runner looks for them.
        check_packs_present(settings, image_store)
    prepare_statements(image_store)
    repository = open_repository(settings, image_store.database, keyring)
    directory = Directory(repository)
    sessions = Sessions(installation_secret(image_store.database, keyring, SEALED_WITH), directory)
    holders = AccessKeyHolders.of(
        root_key(credentials_file(settings.data)), directory, sessions, settings.account_id, settings.partition
    )
    trail = open_trail(settings, image_store, keyring, "api")
    local = not (settings.database_url or settings.blobs_url)
    shared = _Shared(
        settings,
        image_store,
        holders,
        _authenticator(settings, holders, "medical-imaging"),
        make_recorder(settings, image_store, trail),
        request_threads(local=local),
        writing_threads(settings.database_wait_seconds),
        local,
    )
    issuer = None if settings.issuer is None else open_issuer(settings.issuer)
    token_authorizer = make_token_authorizer(settings, issuer)
    # Who stores does not wait long for the workers of a cluster.
    cluster = pool_of(open_cluster(settings), STORE_PRIORITY, FALL_BACK_SECONDS)
    receiver = Receiver(image_store, settings.store_processes, cluster)
    accesses = AccessWriter(
        image_store.database,
        image_store.accesses,
        every_seconds=settings.access_flush_seconds,
        precision_seconds=access_precision(settings.archive_after_seconds),
    )
    tasks = BackgroundTasks(
        accesses,
        receiver,
        directory,
        token_authorizer,
        trail,
        settings.audit_on_failure,
        make_journal_flusher(image_store),
        LogCheckpointer(image_store.database),
        image_store.free_space,
    )
    page_tokens = PageTokens(installation_secret(image_store.database, keyring, "page-tokens"))
    most_header_bytes = settings.max_header_bytes
    console = make_console(settings, image_store, keyring, holders, trail, issuer)
    table = RouteTable(
        (
            _healthimaging(shared, page_tokens),
            _dicomweb(shared, BearerAuthenticator(token_authorizer, directory, image_store), receiver),
            _sts(shared, issuer, trail),
            _administration(shared, repository, trail, open_trail_folder(settings, image_store, keyring), page_tokens),
        ),
        (
            health_route(most_header_bytes),
            ready_route(most_header_bytes, tasks.why_not_ready),
            *console_routes(console),
        ),
    )
    gateway, console.pipeline = _gateway(shared, table, tasks, console.bodies)
    return gateway


def _authenticator(settings: Settings, holders: AccessKeyHolders, service: str) -> Authenticator:
    """Return what authenticates the callers of a service."""
    if settings.insecure_no_auth:
        return Authenticator.everybody(holders)
    return Authenticator.by_signature(settings.region, holders, service)


def _gateway(
    shared: _Shared, table: RouteTable, tasks: BackgroundTasks, bodies: RequestBodyMemory
) -> tuple[Gateway, ASGIApp]:
    """Return the application of the process, and the pipeline inside it, which the console calls."""
    settings = shared.settings
    origins = parse_origins(settings.cors_origins)
    handlers = Handlers(
        image_store=shared.image_store,
        buckets=Throttle(parse_rates(settings.throttling, settings.throttle_rates), settings.api_workers),
        cross_origins=CrossOrigin(origins) if origins else None,
        loopback_origins=origins if settings.insecure_no_auth else None,
        bodies=bodies,
        most_header_bytes=settings.max_header_bytes,
        local=shared.local,
    )
    pipeline = Pipeline(table, handlers, ResponseMemory(settings.answer_memory_bytes))
    timeouts = Timeouts(settings.body_timeout_seconds, settings.answer_timeout_seconds, settings.least_bytes_per_second)
    gateway = Gateway(
        table,
        behind_proxies(BrowserRedirect(pipeline), parse_proxies(settings.trusted_proxies)),
        timeouts,
        ConnectionWatch(settings.header_timeout_seconds, timeouts),
        tasks.start,
        tasks.stop,
    )
    return gateway, pipeline


def _healthimaging(shared: _Shared, page_tokens: PageTokens) -> HealthImagingApi:
    settings, image_store = shared.settings, shared.image_store
    service = load_service()
    return HealthImagingApi(
        context=Context(
            image_store=image_store,
            metadata=MetadataReader(image_store, settings.metadata_cache_bytes),
            tokens=page_tokens,
            job_roles=job_roles(settings, shared.holders.directory, image_store),
        ),
        service=service,
        routes=healthimaging_routes(service, settings.max_body_bytes, shared.reading, shared.writing),
        recorder=shared.recorder,
        authenticator=shared.authenticator,
        most_unproven_bytes=settings.max_body_bytes,
        parsing=shared.reading,
    )


def _dicomweb(shared: _Shared, bearer: BearerAuthenticator, receiver: Receiver) -> DicomwebApi:
    settings, image_store = shared.settings, shared.image_store
    context = DicomwebContext(
        image_store=image_store,
        metadata=DicomMetadataReader(image_store),
        receiver=receiver,
        scheduler=IngestScheduler(receiver.workers),
        spool=settings.data / "spool",
        renderer=FrameRenderer(image_store, settings.rendered_cache_bytes),
        deletes=settings.dicomweb_delete,
        classic_searches=settings.classic_search_actions,
        descriptions_ignore_case=settings.descriptions_ignore_case,
    )
    return DicomwebApi(
        context=context,
        routes=dicomweb_routes(
            deletes=settings.dicomweb_delete,
            most_store_bytes=settings.max_store_bytes,
            reading=shared.reading,
            writing=shared.writing,
            rendering=rendering_threads(),
        ),
        recorder=shared.recorder,
        authenticator=shared.authenticator,
        bearer=bearer,
        most_unproven_bytes=settings.max_body_bytes,
        public_url=settings.public_url,
    )


def _administration(
    shared: _Shared, repository: Repository, trail: Trail, trail_folder: TrailFolder, page_tokens: PageTokens
) -> AdministrationApi:
    settings, holders, image_store = shared.settings, shared.holders, shared.image_store
    return AdministrationApi(
        context=AdministrationContext(
            repository=repository,
            directory=holders.directory,
            image_store=image_store,
            root_key_id=holders.root_key.id,
            job_roles=job_roles(settings, holders.directory, image_store),
            tokens=page_tokens,
            trail=trail_folder,
            calls=CallCounter(trail_folder.path),
            usage=UsageReader(image_store),
        ),
        routes=administration_routes(shared.reading, shared.writing),
        recorder=make_administration_recorder(settings, image_store, trail),
        authenticator=_authenticator(settings, holders, SIGNED_FOR),
        parsing=shared.reading,
    )


def _sts(shared: _Shared, issuer: Issuer | None, trail: Trail) -> StsApi:
    settings, holders = shared.settings, shared.holders
    return StsApi(
        context=StsContext(holders.directory, holders.sessions, issuer, settings.partition, settings.account_id),
        service=load_service("sts"),
        routes=sts_routes(session_threads()),
        recorder=make_sts_recorder(settings, trail),
        authenticator=_authenticator(settings, holders, "sts"),
    )
