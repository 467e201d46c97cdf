"""The table of DICOMweb operations and their handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from hounsfield.api.dicomweb.capabilities import get_capabilities
from hounsfield.api.dicomweb.delete import delete_instance, delete_series, delete_study
from hounsfield.api.dicomweb.qido import search_instances, search_series, search_studies
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.stow import store
from hounsfield.api.dicomweb.wado import get_instance, get_series, get_study
from hounsfield.api.dicomweb.wado_bulk_data import get_all_bulk_data, get_bulk_data, get_pixel_data
from hounsfield.api.dicomweb.wado_frames import get_instance_frames
from hounsfield.api.dicomweb.wado_metadata import get_instance_metadata, get_series_metadata, get_study_metadata
from hounsfield.api.dicomweb.wado_rendered import (
    get_rendered_frames,
    get_rendered_instance,
    get_rendered_series,
    get_rendered_study,
    get_thumbnail,
)
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse

Answer = WireResponse | StreamedResponse


@dataclass(frozen=True, slots=True)
class Operation:
    """A DICOMweb operation.

    Attributes
    ----------
    name : str
        Its name; that of the IAM action it needs, unless ``action`` says another.
    read : callable or None
        Carries it out where it has no body; runs in a thread unless it is quick.
    take : callable or None
        Carries it out where it has a body, which it reads as it arrives.
    action : str
        The IAM action, for what HealthImaging does not have: the one that gives the same away.
    quick : bool
        Whether it is a short read that may run in the event loop when all it reads is on this machine.
    renders : bool
        Whether it needs the processor for long, and gets a thread of those that render.
    orders : bool
        Whether it takes ``orderby``.
    """

    name: str
    read: Callable[[Call], Answer] | None = None
    take: Callable[[Call, AsyncIterator[bytes]], Awaitable[Answer]] | None = None
    action: str = ""
    quick: bool = False
    renders: bool = False
    orders: bool = False


def _rendering(name: str, read: Callable[[Call], Answer]) -> Operation:
    """Return an operation that answers pictures, which show what frames do."""
    return Operation(name, read, action="GetDICOMInstanceFrames", renders=True)


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("StoreDICOM", take=store),
        Operation("StoreDICOMStudy", take=store),
        Operation("SearchDICOMStudies", search_studies, orders=True),
        Operation("SearchDICOMSeries", search_series),
        Operation("SearchDICOMAllSeries", search_series),
        Operation("SearchDICOMInstances", search_instances),
        Operation("SearchDICOMStudyInstances", search_instances),
        Operation("SearchDICOMAllInstances", search_instances),
        Operation("RetrieveStudy", get_study, action="GetDICOMInstance"),
        Operation("RetrieveStudyMetadata", get_study_metadata, action="GetDICOMSeriesMetadata"),
        Operation("RetrieveSeries", get_series, action="GetDICOMInstance"),
        Operation("GetDICOMSeriesMetadata", get_series_metadata),
        Operation("GetDICOMInstance", get_instance),
        Operation("GetDICOMInstanceMetadata", get_instance_metadata),
        Operation("GetDICOMInstanceFrames", get_instance_frames, quick=True),
        Operation("GetDICOMBulkdata", get_bulk_data),
        # With the pixel data it gives away what whole instances do.
        Operation("RetrieveStudyBulkdata", get_all_bulk_data, action="GetDICOMInstance"),
        Operation("RetrieveSeriesBulkdata", get_all_bulk_data, action="GetDICOMInstance"),
        Operation("RetrieveInstanceBulkdata", get_all_bulk_data, action="GetDICOMInstance"),
        Operation("RetrieveStudyPixelData", get_pixel_data, action="GetDICOMInstanceFrames"),
        Operation("RetrieveSeriesPixelData", get_pixel_data, action="GetDICOMInstanceFrames"),
        Operation("RetrieveInstancePixelData", get_pixel_data, action="GetDICOMInstanceFrames"),
        _rendering("RetrieveRenderedStudy", get_rendered_study),
        _rendering("RetrieveRenderedSeries", get_rendered_series),
        _rendering("RetrieveRenderedInstance", get_rendered_instance),
        _rendering("RetrieveRenderedFrames", get_rendered_frames),
        _rendering("RetrieveStudyThumbnail", get_thumbnail),
        _rendering("RetrieveSeriesThumbnail", get_thumbnail),
        _rendering("RetrieveInstanceThumbnail", get_thumbnail),
        _rendering("RetrieveFrameThumbnail", get_thumbnail),
        Operation("RetrieveCapabilities", get_capabilities, action="GetDatastore"),
        Operation("DeleteStudy", delete_study, action="DeleteImageSet"),
        Operation("DeleteSeries", delete_series, action="DeleteImageSet"),
        # It removes the image set with its last instance, which UpdateImageSetMetadata alone could not.
        Operation("DeleteInstance", delete_instance, action="DeleteImageSet"),
    )
}
