"""Puts the front doors together; with `hounsfield.server.runner` the only place that knows all parts.

Settings ─▶ open_image_store ─┬─▶ create_app                    one per API process
                          └─▶ runner_process.run_runner     one per runner process
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog
from starlette.types import ASGIApp

from hounsfield.api.dicomweb.app import DicomwebDoor
from hounsfield.api.dicomweb.context import Context as DicomwebContext
from hounsfield.api.healthimaging.app import NativeDoor
from hounsfield.api.healthimaging.context import Context
from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.pagination import PageTokens
from hounsfield.aws.protocol.routing import Router
from hounsfield.bootstrap.application import Beside, Between, front_doors, limits_of
from hounsfield.bootstrap.audit import make_recorder, open_trail
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.installation import open_repository
from hounsfield.bootstrap.roles import callers_of, job_roles, sts_door
from hounsfield.bootstrap.start_faults import explain_start_faults
from hounsfield.bootstrap.start_reports import report_refusal
from hounsfield.bootstrap.tokens import make_token_authorizer
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.authentication import Callers, Holders
from hounsfield.gateway.bearer_authentication import Bearers
from hounsfield.gateway.dispatch import Entrance
from hounsfield.gateway.request_body import BodyMemory
from hounsfield.gateway.response_memory import AnswerMemory
from hounsfield.gateway.threads import Threads, rendering_threads, request_threads, writing_threads
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.root_credentials import credentials_file, root_key
from hounsfield.iam.sessions.sessions import SEALED_WITH, Sessions
from hounsfield.iam.throttling import Throttle
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.metadata_document import MetadataReader
from hounsfield.imaging.ingest.scheduler import IngestScheduler
from hounsfield.imaging.last_access import AccessWriter
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.imaging.rendering.rendered import FrameRenderer
from hounsfield.imaging.retrieve.instances import prepare
from hounsfield.imaging.retrieve.metadata import DicomMetadataReader
from hounsfield.imaging.tiering.tiers import access_precision
from hounsfield.oidc.issuer import open_issuer
from hounsfield.runtime.logs import configure_logs
from hounsfield.runtime.standard_error import retry_standard_error
from hounsfield.runtime.worker_pool import end_with_parent, notify_refusal
from hounsfield.settings import InstallationError, Settings, SettingsError, load_settings
from hounsfield.settings.cors_origins import parse_origins
from hounsfield.settings.throttling import parse_rates
from hounsfield.settings.trusted_proxies import parse_proxies
from hounsfield.storage.db.write_ahead_log import LogCheckpointer
from hounsfield.storage.keys.installation_secrets import installation_secret

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _AtEveryDoor:
    """What the doors have in common."""

    callers: Callers
    throttle: Throttle
    recorder: Recorder
    bodies: BodyMemory
    answers: AnswerMemory
    threads: Threads
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


def make_app(settings: Settings) -> Entrance:
    """Put the front doors together."""
    image_store, keyring = open_image_store(settings)
    prepare(image_store)
    directory = Directory(open_repository(settings, image_store.database, keyring))
    sessions = Sessions(installation_secret(image_store.database, keyring, SEALED_WITH), directory)
    holders = Holders.of(
        root_key(credentials_file(settings.data)), directory, sessions, settings.account_id, settings.partition
    )
    trail = open_trail(settings, image_store, keyring, "api")
    local = not (settings.database_url or settings.blobs_url)
    shared = _AtEveryDoor(
        callers=callers_of(settings, holders, "medical-imaging"),
        throttle=Throttle(parse_rates(settings.throttling, settings.throttle_rates), settings.api_workers),
        recorder=make_recorder(settings, image_store, trail),
        bodies=BodyMemory(settings.body_memory_bytes),
        answers=AnswerMemory(settings.answer_memory_bytes),
        threads=request_threads(local=local),
        writing=writing_threads(settings.database_wait_seconds),
        local=local,
    )
    issuer = None if settings.issuer is None else open_issuer(settings.issuer)
    token_authorizer = make_token_authorizer(settings, issuer)
    receiver = Receiver(image_store, settings.store_processes)
    accesses = AccessWriter(
        image_store.database,
        image_store.accesses,
        every_seconds=settings.access_flush_seconds,
        precision_seconds=access_precision(settings.archive_after_seconds),
    )
    page_tokens = PageTokens(installation_secret(image_store.database, keyring, "page-tokens"))
    return front_doors(
        _native_door(settings, image_store, shared, directory, page_tokens),
        _dicomweb_door(settings, image_store, shared, Bearers(token_authorizer, directory, image_store), receiver),
        sts_door(settings, image_store, holders, issuer, trail, shared.bodies),
        Between(
            parse_origins(settings.cors_origins),
            parse_proxies(settings.trusted_proxies),
            settings.max_header_bytes,
            settings.insecure_no_auth,
        ),
        Beside(
            accesses,
            receiver,
            directory,
            token_authorizer,
            trail,
            settings.audit_on_failure,
            LogCheckpointer(image_store.database),
        ),
        limits_of(settings),
    )


def _native_door(
    settings: Settings, image_store: ImageStore, shared: _AtEveryDoor, directory: Directory, page_tokens: PageTokens
) -> NativeDoor:
    context = Context(
        image_store=image_store,
        metadata=MetadataReader(image_store, settings.metadata_cache_bytes),
        tokens=page_tokens,
        local=shared.local,
        job_roles=job_roles(settings, directory, image_store),
    )
    return NativeDoor(
        context=context,
        router=Router(load_service()),
        callers=shared.callers,
        throttle=shared.throttle,
        recorder=shared.recorder,
        max_body_bytes=settings.max_body_bytes,
        bodies=shared.bodies,
        answers=shared.answers,
        threads=shared.threads,
        writing=shared.writing,
    )


def _dicomweb_door(
    settings: Settings, image_store: ImageStore, shared: _AtEveryDoor, bearers: Bearers, receiver: Receiver
) -> DicomwebDoor:
    context = DicomwebContext(
        image_store=image_store,
        metadata=DicomMetadataReader(image_store),
        receiver=receiver,
        scheduler=IngestScheduler(receiver.workers),
        spool=settings.data / "spool",
        local=shared.local,
        renderer=FrameRenderer(image_store, settings.rendered_cache_bytes),
        deletes=settings.dicomweb_delete,
        classic_searches=settings.classic_search_actions,
        descriptions_ignore_case=settings.descriptions_ignore_case,
    )
    return DicomwebDoor(
        context=context,
        callers=shared.callers,
        bearers=bearers,
        throttle=shared.throttle,
        recorder=shared.recorder,
        max_unproven_bytes=settings.max_body_bytes,
        max_store_bytes=settings.max_store_bytes,
        bodies=shared.bodies,
        answers=shared.answers,
        threads=shared.threads,
        writing=shared.writing,
        rendering=rendering_threads(),
        public_url=settings.public_url,
    )
