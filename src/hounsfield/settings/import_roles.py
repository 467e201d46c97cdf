"""Modes of import job roles; see `hounsfield.iam.sessions.import_job_roles`."""

from __future__ import annotations

from enum import StrEnum


class ImportRoles(StrEnum):
    """What roles of import jobs are (setting ``import_roles``)."""

    OPEN = "open"
    STRICT = "strict"
    STS = "sts"
