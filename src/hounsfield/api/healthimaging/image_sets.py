"""GetImageSet, GetImageSetMetadata, GetImageFrame."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.media_types import acceptable, frame_media_type, media_type
from hounsfield.api.healthimaging.parameters import optional_text, structure, text, version_number
from hounsfield.aws.protocol.model import Parameters
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.imagesets import get as domain
from hounsfield.imaging.retrieve.image_frame import StoredImageFrame, get_image_frame
from hounsfield.pixels.codecs.jph import HEADER_BYTES, SIZE_BYTES, jph_header, put_boxes

_JSON = "application/json"
_BOXED = "image/jph"
_ROOM = bytes(HEADER_BYTES)


def get_image_set(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation GetImageSet."""
    found = domain.get_image_set(
        context.image_store, text(parameters, "datastoreId"), text(parameters, "imageSetId"), _version(parameters)
    )
    return {
        "datastoreId": found.datastore_id,
        "imageSetId": found.image_set_id,
        "versionId": str(found.version),
        "imageSetState": found.state,
        "imageSetWorkflowStatus": found.workflow_status,
        "createdAt": found.created_at,
        # As in the guide's example of a first version; only ListImageSetVersions is seen to leave it out there.
        "updatedAt": found.updated_at or found.created_at,
        "deletedAt": found.deleted_at,
        "message": found.message,
        "imageSetArn": found.arn,
        "overrides": None if found.forced is None else {"forced": found.forced},
        "isPrimary": found.is_primary,
        "lastAccessedAt": found.last_accessed_at,
        "storageTier": found.storage_tier,
    }


def get_image_set_metadata(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation GetImageSetMetadata; the document is always compressed, whatever the client accepts."""
    document = context.metadata.read(
        text(parameters, "datastoreId"), text(parameters, "imageSetId"), _version(parameters)
    )
    return {"imageSetMetadataBlob": document, "contentType": _JSON, "contentEncoding": "gzip"}


def get_frame(context: Context, parameters: Parameters, accept: str | None) -> Mapping[str, object] | StreamedResponse:
    """API operation GetImageFrame."""
    information = structure(parameters["imageFrameInformation"])
    frame = get_image_frame(
        context.image_store,
        text(parameters, "datastoreId"),
        text(parameters, "imageSetId"),
        text(information, "imageFrameId"),
        before=_room_before,
    )
    kind = media_type(frame)
    acceptable(kind, accept)
    return _frame_result(frame, kind)


def _frame_result(frame: StoredImageFrame, kind: str) -> Mapping[str, object] | StreamedResponse:
    if frame.chunk_count > 1:
        return StreamedResponse([("Content-Type", kind)], frame.size, frame.chunks)
    data = next(frame.chunks, b"")
    if frame.is_shared:
        before = jph_header(bytes(data[:SIZE_BYTES])) if kind == _BOXED else b""
        return StreamedResponse([("Content-Type", kind)], len(before) + len(data), (before, data))
    if kind == _BOXED:
        if not isinstance(data, bytearray):
            raise TypeError("a frame that room was left before must be one that can be written to")
        put_boxes(data)
    return {"imageFrameBlob": data, "contentType": kind}


def _room_before(transfer_syntax: str) -> bytes:
    """Leave room for the boxes of a frame, which are made of what it says of itself."""
    return _ROOM if frame_media_type(transfer_syntax) == _BOXED else b""


def _version(parameters: Parameters) -> int | None:
    version = optional_text(parameters, "versionId")
    if version is None:
        return None
    number = version_number(version)
    if number is None:
        raise NotFoundError(f"image set {text(parameters, 'imageSetId')} has no version of {len(version)} digits")
    return number
