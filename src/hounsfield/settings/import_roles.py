"""What roles of import jobs are, as the settings name it; `hounsfield.iam.sessions.import_job_roles` tells what each means."""

from __future__ import annotations

from enum import StrEnum


class ImportRoles(StrEnum):
    """What roles of import jobs are (setting ``import_roles``)."""

    OPEN = "open"
    STRICT = "strict"
    STS = "sts"
