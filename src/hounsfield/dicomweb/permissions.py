"""The permission each DICOMweb operation needs: the IAM action of its name on the data store."""

from __future__ import annotations

from hounsfield.access.permissions import Permission
from hounsfield.imaging.archive import Archive


def permission_of(operation: str, datastore_id: str, archive: Archive) -> Permission:
    """Name what a request needs."""
    return Permission(f"medical-imaging:{operation}", [archive.datastore_arn(datastore_id)])
