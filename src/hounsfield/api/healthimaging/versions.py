"""ListImageSetVersions, UpdateImageSetMetadata."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.pagination import Listing
from hounsfield.api.healthimaging.parameters import optional_text, structure, text, version_number
from hounsfield.aws.protocol.model import Parameter, Parameters
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError
from hounsfield.imaging.imagesets.get import ImageSetVersion
from hounsfield.imaging.imagesets.update import update_image_set_metadata as domain_update
from hounsfield.imaging.imagesets.update_request import UpdateRequest
from hounsfield.imaging.imagesets.versions import list_image_set_versions as domain_list
from hounsfield.imaging.imagesets.workflow import NOT_THE_LATEST
from hounsfield.storage.clock import to_datetime


def list_image_set_versions(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation ListImageSetVersions."""
    listing = Listing(context.tokens, "ListImageSetVersions", parameters)
    page = domain_list(
        context.image_store,
        text(parameters, "datastoreId"),
        text(parameters, "imageSetId"),
        after=listing.after,
        limit=listing.limit,
    )
    entries = [_properties(entry) for entry in page.entries]
    return {"imageSetPropertiesList": entries, "nextToken": listing.token(page.end)}


def update_image_set_metadata(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation UpdateImageSetMetadata."""
    datastore_id = text(parameters, "datastoreId")
    image_set_id = text(parameters, "imageSetId")
    begun = domain_update(context.image_store, context.access, datastore_id, image_set_id, _request(parameters))
    updated_at = begun.created_at if begun.updated_at is None else begun.updated_at
    return {
        "datastoreId": datastore_id,
        "imageSetId": image_set_id,
        "latestVersionId": str(begun.version),
        "imageSetState": begun.state,
        "imageSetWorkflowStatus": begun.status,
        "createdAt": to_datetime(begun.created_at),
        "updatedAt": to_datetime(updated_at),
    }


def _request(parameters: Parameters) -> UpdateRequest:
    updates = structure(parameters["updateImageSetMetadataUpdates"])
    latest = version_number(text(parameters, "latestVersionId"))
    if latest is None:
        raise NotFoundError(NOT_THE_LATEST)
    force = parameters.get("force") is True
    whole_study = parameters.get("includeStudyImageSets") is True
    revert_to = optional_text(updates, "revertToVersionId")
    if revert_to is not None:
        version = version_number(revert_to)
        if version is None:
            raise NotFoundError(f"revertToVersionId: there is no version of {len(revert_to)} digits")
        return UpdateRequest(latest, revert_to=version, force=force, whole_study=whole_study)
    blobs = structure(updates["DICOMUpdates"])
    updatable, removable = _blob(blobs.get("updatableAttributes")), _blob(blobs.get("removableAttributes"))
    if updatable is None and removable is None:
        raise InvalidRequestError("DICOMUpdates must have updatableAttributes or removableAttributes")
    return UpdateRequest(latest, updatable, removable, force=force, whole_study=whole_study)


def _blob(value: Parameter | None) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _properties(entry: ImageSetVersion) -> dict[str, object]:
    return {
        "imageSetId": entry.image_set_id,
        "versionId": str(entry.version),
        "imageSetState": entry.state,
        "ImageSetWorkflowStatus": entry.workflow_status,
        "createdAt": entry.created_at,
        "updatedAt": entry.updated_at,
        "deletedAt": entry.deleted_at,
        "message": entry.message,
        "overrides": None if entry.forced is None else {"forced": entry.forced},
        "isPrimary": entry.is_primary,
    }
