"""The audit trail as a part of a verification: its findings beside those of what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hounsfield.audit.anchors import read_anchors
from hounsfield.audit.verify import verify
from hounsfield.bootstrap.installation import audit_folder, audit_key
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.settings import Settings
from hounsfield.storage.db.database import Database
from hounsfield.storage.keys.data_key import KeyWrapper


def verify_audit_trail(
    settings: Settings, database: Database, wrapper: KeyWrapper
) -> tuple[list[Finding], Counter[str]]:
    """Check the audit trail of this machine; gives what is wrong with it, and how many records were read."""
    anchors = read_anchors(database)
    found = verify(audit_folder(settings), audit_key(database, wrapper), anchors, only_folder=not settings.database_url)

    def findings() -> Iterator[Finding]:
        for one in found.findings:
            kind = FindingKind.AUDIT_TRAIL_WRONG if one.problem else FindingKind.AUDIT_TRAIL_NOTE
            yield Finding(kind=kind, what=f"{one.place}: {one.text}")

    return list(findings()), Counter(audit_records=found.records)
