"""The audit trail of an installation: where it is, its key, and the parts of one process, put together from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hounsfield.access.audit.chain_writer import ChainWriter
from hounsfield.access.audit.records import RecordMaker
from hounsfield.access.audit.sealing import seal_abandoned
from hounsfield.access.audit.trail import Trail
from hounsfield.gate.recording import Recorder
from hounsfield.imaging.archive import Archive
from hounsfield.settings import Settings, SettingsError
from hounsfield.storage.database import Database
from hounsfield.storage.keys import KeyWrapper
from hounsfield.storage.secrets import installation_secret

SERVICE: Final = "medical-imaging.amazonaws.com"
SECURITY_TOKENS: Final = "sts.amazonaws.com"


def audit_folder(settings: Settings) -> Path:
    """Give the folder of the audit trail."""
    return settings.data / "audit"


def audit_key(database: Database, wrapper: KeyWrapper) -> bytes:
    """Give the key that seals the audit trail, the same for all processes of an installation."""
    return installation_secret(database, wrapper, "audit")


def open_trail(settings: Settings, archive: Archive, wrapper: KeyWrapper, role: str) -> Trail:
    """Open the audit trail of this process; raises `SettingsError` when its folder cannot be written."""
    folder = audit_folder(settings)
    key = audit_key(archive.database, wrapper)
    try:
        seal_abandoned(folder, key)
        chain = ChainWriter(
            folder, key, role, file_bytes=settings.audit_file_bytes, file_seconds=settings.audit_file_seconds
        )
    except OSError as error:
        raise SettingsError(f"the audit trail cannot be written to {folder}: {error.strerror}") from error
    return Trail(chain, RecordMaker(archive.account_id, archive.region), SERVICE)


def recorder_of(settings: Settings, archive: Archive, trail: Trail) -> Recorder:
    """Give what records the calls of the doors to images."""
    return Recorder(
        trail,
        SERVICE,
        archive.datastore_arn(""),
        data_events=settings.audit_data_events,
        on_failure=settings.audit_on_failure,
    )


def sts_recorder_of(settings: Settings, trail: Trail) -> Recorder:
    """Give what records the calls of the Security Token Service; what they touch are roles."""
    return Recorder(
        trail,
        SECURITY_TOKENS,
        f"arn:{settings.partition}:iam::{settings.account_id}:",
        on_failure=settings.audit_on_failure,
    )
