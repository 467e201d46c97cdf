"""CopyImageSet."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.copiable_attributes import chosen_instances
from hounsfield.api.healthimaging.parameters import structure, text, version_number
from hounsfield.aws.protocol.model import Parameters
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets import copy as domain
from hounsfield.imaging.imagesets.copy_request import CopyDestination, CopyRequest
from hounsfield.imaging.imagesets.workflow import NOT_THE_LATEST, LockedImageSet
from hounsfield.storage.clock import to_datetime


def copy_image_set(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation CopyImageSet."""
    datastore_id = text(parameters, "datastoreId")
    begun = domain.copy_image_set(context.image_store, context.access, datastore_id, _request(parameters))
    return {
        "datastoreId": datastore_id,
        "sourceImageSetProperties": _properties(context.image_store, begun.source),
        "destinationImageSetProperties": _properties(context.image_store, begun.destination),
    }


def _request(parameters: Parameters) -> CopyRequest:
    information = structure(parameters["copyImageSetInformation"])
    source = structure(information["sourceImageSet"])
    destination = None
    if information.get("destinationImageSet") is not None:
        given = structure(information["destinationImageSet"])
        destination = CopyDestination(text(given, "imageSetId"), _version(given))
    chosen = None
    if source.get("DICOMCopies") is not None:
        chosen = chosen_instances(text(structure(source["DICOMCopies"]), "copiableAttributes"))
    return CopyRequest(
        source_id=text(parameters, "sourceImageSetId"),
        source_version=_version(source),
        chosen=chosen,
        destination=destination,
        force=parameters.get("force") is True,
        promote=parameters.get("promoteToPrimary") is True,
    )


def _version(given: Parameters) -> int:
    version = version_number(text(given, "latestVersionId"))
    if version is None:
        raise NotFoundError(NOT_THE_LATEST)
    return version


def _properties(image_store: ImageStore, held: LockedImageSet) -> dict[str, object]:
    return {
        "imageSetId": held.id,
        "latestVersionId": str(held.version),
        "imageSetState": held.state,
        "imageSetWorkflowStatus": held.status,
        "createdAt": to_datetime(held.created_at),
        "updatedAt": to_datetime(held.created_at if held.updated_at is None else held.updated_at),
        "imageSetArn": image_store.image_set_arn(held.datastore_id, held.id),
    }
