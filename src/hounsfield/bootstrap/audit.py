"""The audit trail of a process, and the recorders of its APIs, made from the settings."""

from __future__ import annotations

from typing import Final

from hounsfield.audit.cloudtrail_record import RecordBuilder
from hounsfield.audit.trail import Trail
from hounsfield.audit.trail_folder import TrailFolder
from hounsfield.audit.uid_redaction import leave_uid_plain, make_uid_sealer
from hounsfield.audit.unknown_callers import UnknownCallers
from hounsfield.bootstrap.installation import audit_folder, audit_key, open_chain
from hounsfield.gateway.audit_record import Recorder
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import Settings
from hounsfield.settings.audit_uids import UidRecording
from hounsfield.storage.keys.data_key import KeyWrapper

SERVICE: Final = "medical-imaging.amazonaws.com"
IDENTITIES: Final = "iam.amazonaws.com"
SECURITY_TOKENS: Final = "sts.amazonaws.com"


def open_trail(settings: Settings, image_store: ImageStore, wrapper: KeyWrapper, role: str) -> Trail:
    """Open the audit trail of this process; raises `SettingsError` when its folder cannot be written."""
    key = audit_key(image_store.database, wrapper)
    chain = open_chain(settings, image_store.database, key, role)
    uid = leave_uid_plain if settings.audit_uids is UidRecording.PLAIN else make_uid_sealer(key)
    maker = RecordBuilder(image_store.account_id, image_store.region, uid)
    return Trail(chain, maker, SERVICE, UnknownCallers(settings.audit_unproven_per_second))


def open_trail_folder(settings: Settings, image_store: ImageStore, wrapper: KeyWrapper) -> TrailFolder:
    """Return the folder of the audit trail, for looking things up in it."""
    return TrailFolder(
        audit_folder(settings), audit_key(image_store.database, wrapper), is_only=not settings.database_url
    )


def make_recorder(settings: Settings, image_store: ImageStore, trail: Trail) -> Recorder:
    """Return what records the calls of the APIs of images."""
    return Recorder(
        trail,
        SERVICE,
        image_store.datastore_arn(""),
        data_events=settings.audit_data_events,
        on_failure=settings.audit_on_failure,
    )


def make_sts_recorder(settings: Settings, trail: Trail) -> Recorder:
    """Return what records the calls of the Security Token Service; what they touch are roles."""
    return Recorder(
        trail,
        SECURITY_TOKENS,
        f"arn:{settings.partition}:iam::{settings.account_id}:",
        on_failure=settings.audit_on_failure,
    )


def make_administration_recorder(settings: Settings, image_store: ImageStore, trail: Trail) -> Recorder:
    """Return what records the calls of administration; each of its operations names the service it is of."""
    return Recorder(
        trail,
        IDENTITIES,
        image_store.datastore_arn(""),
        (f"arn:{settings.partition}:iam::{settings.account_id}:", f"arn:{settings.partition}:s3:::"),
        on_failure=settings.audit_on_failure,
    )
