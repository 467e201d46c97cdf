"""DeleteImageSet."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.parameters import text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.imaging.imagesets.delete import delete_image_set as domain_delete


def delete_image_set(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation DeleteImageSet."""
    datastore_id, image_set_id = text(parameters, "datastoreId"), text(parameters, "imageSetId")
    begun = domain_delete(context.image_store, context.access, datastore_id, image_set_id)
    return {
        "datastoreId": begun.datastore_id,
        "imageSetId": begun.id,
        "imageSetState": begun.state,
        "imageSetWorkflowStatus": begun.status,
    }
