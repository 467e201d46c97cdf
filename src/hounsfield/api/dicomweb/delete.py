"""Deletion of studies, series and instances: DELETE on their resources, where the installation allows it.

study, series  ─▶ the primary image sets, all or none ─▶ 204; they are gone for every reader at once
instance       ─▶ an update of its image set          ─▶ 202; it is gone when the update is done
last instance  ─▶ its image set                       ─▶ 204
"""

from __future__ import annotations

import orjson

from hounsfield.api.dicomweb.request import Call
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.imagesets.delete import delete_image_sets_at_once
from hounsfield.imaging.imagesets.update import update_image_set_metadata
from hounsfield.imaging.imagesets.update_request import UpdateRequest
from hounsfield.imaging.retrieve.instances import find_image_set, find_instance, find_primary_image_sets, list_instances


def delete_study(call: Call) -> WireResponse:
    """Delete the primary image sets of a study.

    Raises
    ------
    NotFoundError
        There is no such study.
    AccessDeniedError
        One of them may not be deleted; none is.
    ConflictError
        One of them is being changed; none is deleted.
    """
    call.only()
    # All of them: one that may not be deleted is not left out, but keeps the others from being deleted.
    image_sets = find_primary_image_sets(call.context.image_store, UNLIMITED, call.datastore_id, call.labels["study"])
    return _deleted(call, [image_set.image_set_id for image_set in image_sets])


def delete_series(call: Call) -> WireResponse:
    """Delete the primary image set of a series; raises as `delete_study` does."""
    call.only()
    labels = call.labels
    found = find_image_set(call.context.image_store, call.access, call.datastore_id, labels["study"], labels["series"])
    return _deleted(call, [found.image_set_id])


def delete_instance(call: Call) -> WireResponse:
    """Remove an instance from the primary image set of its series; raises as `delete_study` does."""
    call.only()
    image_store, labels = call.context.image_store, call.labels
    uids = (labels["study"], labels["series"], labels["instance"])
    found = find_instance(image_store, call.access, call.datastore_id, *uids)
    image_set = found.image_set
    if len(list_instances(image_store, image_set)) == 1:
        return _deleted(call, [image_set.image_set_id])
    removal: dict[str, object] = {"Study": {"Series": {labels["series"]: {"Instances": {labels["instance"]: {}}}}}}
    request = UpdateRequest(image_set.version, removable=orjson.dumps({"SchemaVersion": 1.1, **removal}), force=True)
    update_image_set_metadata(image_store, call.access, call.datastore_id, image_set.image_set_id, request)
    return WireResponse(202, [], b"")


def _deleted(call: Call, image_set_ids: list[str]) -> WireResponse:
    delete_image_sets_at_once(call.context.image_store, call.access, call.datastore_id, image_set_ids)
    return WireResponse(204, [], b"")
