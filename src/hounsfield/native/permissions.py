"""The permission each operation needs: its IAM action, which bears its name, and the resources it touches.

Source: Service Authorization Reference, AWS HealthImaging.

path ─▶ permission_of ─▶ required before the body is looked at
parsed body ─▶ permission_of_parameters ─▶ required before anything is done
"""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.access.permissions import Permission
from hounsfield.aws.parameters import Parameters
from hounsfield.imaging.archive import Archive
from hounsfield.native.wire import structure, text


def permission_of(operation: str, path: Mapping[str, str], archive: Archive) -> Permission:
    """Name what a request needs by its path.

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


def permission_of_parameters(operation: str, parameters: Parameters, archive: Archive) -> Permission | None:
    """Name what a request needs besides, for a resource that only its body names; None when there is none.

    Parameters
    ----------
    operation : str
        Operation name.
    parameters : Parameters
        The validated parameters. A copy writes its source, which is in the path, and ``destinationImageSet``.
    archive : Archive
        The archive, for the account and region of ARNs.
    """
    if operation != "CopyImageSet":
        return None
    destination = structure(parameters["copyImageSetInformation"]).get("destinationImageSet")
    if destination is None:
        return None
    datastore_id, image_set_id = text(parameters, "datastoreId"), text(structure(destination), "imageSetId")
    return Permission(
        f"medical-imaging:{operation}",
        [archive.image_set_arn(datastore_id, image_set_id), archive.datastore_arn(datastore_id)],
    )
