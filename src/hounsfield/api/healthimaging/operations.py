"""The handlers of the operations; an operation without one answers that it is not implemented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hounsfield.api.healthimaging import datastores, image_sets, import_jobs, tags
from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.copy import copy_image_set
from hounsfield.api.healthimaging.delete import delete_image_set
from hounsfield.api.healthimaging.search import search
from hounsfield.api.healthimaging.versions import list_image_set_versions, update_image_set_metadata
from hounsfield.aws.protocol.model import Parameters
from hounsfield.gateway.responses import StreamedResponse

Result = Mapping[str, object] | StreamedResponse


@dataclass(frozen=True, slots=True)
class Handler:
    """The function of an operation, and what it needs.

    Attributes
    ----------
    run : Callable
        Takes the context, the parsed parameters, and the Accept header where it asks for it; returns the members of the result.
    quick : bool
        Whether it is a short read that may run in the event loop when all it reads is on this machine.
    asks_caller : bool
        Whether it has to know who calls.
    asks_accept : bool
        Whether it has to know which media types the client accepts.
    """

    run: Callable[[Context, Parameters, str | None], Result]
    quick: bool = False
    asks_caller: bool = False
    asks_accept: bool = False


def _plain(
    function: Callable[[Context, Parameters], Result], *, quick: bool = False, asks_caller: bool = False
) -> Handler:
    return Handler(lambda context, parameters, _: function(context, parameters), quick, asks_caller)


HANDLERS: Mapping[str, Handler] = {
    "CreateDatastore": _plain(datastores.create_datastore),
    "GetDatastore": _plain(datastores.get_datastore),
    "ListDatastores": _plain(datastores.list_datastores),
    "DeleteDatastore": _plain(datastores.delete_datastore),
    "StartDICOMImportJob": _plain(import_jobs.start_import_job, asks_caller=True),
    "GetDICOMImportJob": _plain(import_jobs.get_import_job),
    "ListDICOMImportJobs": _plain(import_jobs.list_import_jobs),
    "GetImageSet": _plain(image_sets.get_image_set, quick=True),
    "GetImageSetMetadata": _plain(image_sets.get_image_set_metadata),
    "GetImageFrame": Handler(image_sets.get_frame, quick=True, asks_accept=True),
    "SearchImageSets": _plain(search, asks_caller=True),
    "ListImageSetVersions": _plain(list_image_set_versions),
    "UpdateImageSetMetadata": _plain(update_image_set_metadata, asks_caller=True),
    "CopyImageSet": _plain(copy_image_set, asks_caller=True),
    "DeleteImageSet": _plain(delete_image_set, asks_caller=True),
    "TagResource": _plain(tags.tag_resource),
    "UntagResource": _plain(tags.untag_resource),
    "ListTagsForResource": _plain(tags.list_tags_for_resource),
}
