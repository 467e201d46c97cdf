"""The permission each operation needs (spec 12.1): its IAM action, which bears its name, and the resources of its path."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.access.permissions import Permission
from hounsfield.imaging.archive import Archive


def permission_of(operation: str, path: Mapping[str, str], archive: Archive) -> Permission:
    """Name what a request needs.

    Parameters
    ----------
    operation : str
        Operation name.
    path : Mapping[str, str]
        The labels of its path, not yet validated.
    archive : Archive
        The archive, for the account and region of ARNs.
    """
    resources = []
    datastore_id = path.get("datastoreId")
    image_set_id = path.get("imageSetId") or path.get("sourceImageSetId")
    if datastore_id is not None:
        resources.append(archive.datastore_arn(datastore_id))
        if image_set_id is not None:
            resources.append(archive.image_set_arn(datastore_id, image_set_id))
    elif "resourceArn" in path:
        resources.append(path["resourceArn"])
    return Permission(f"medical-imaging:{operation}", resources or ["*"])
