"""Retrieve Capabilities (PS3.18 section 8.9): what the server offers, as WADL or JSON, made from its routes.

ROUTES ─▶ tree of resources ─▶ application/vnd.sun.wadl+xml or application/json
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

import orjson

from hounsfield.api.dicomweb.content_negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    JSON,
    MULTIPART,
    OCTET_STREAM,
    ZIP,
    acceptable,
)
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.resources import ROUTES, ResourceRoute, offered_routes
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.imaging.datastores import get_datastore
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.pixels.rendering.render import RenderedMediaType

WADL: Final = "application/vnd.sun.wadl+xml"
_NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"
_LABEL: Final = re.compile(r"\{(\w+)\}")

_IN_PARTS: Final = f'{MULTIPART}; type="'
_OCTETS: Final = (f'{_IN_PARTS}{OCTET_STREAM}"',)
_FILES: Final = (f'{_IN_PARTS}{DICOM}"', ZIP, *_OCTETS)
_FRAMES: Final = (
    "image/jphc",
    "image/jp2",
    "image/jpx",
    "image/jpeg",
    "image/jls",
    "image/jxl",
    "image/dicom-rle",
    "video/mpeg",
    "video/mp4",
    "video/H265",
)
_PIXELS: Final = (
    *_OCTETS,
    *(f'{_IN_PARTS}{kind}"' for kind in _FRAMES),
)
_METADATA: Final = (DICOM_JSON, JSON, f'{_IN_PARTS}{DICOM_XML}"')
_STORED: Final = (DICOM_JSON, JSON, DICOM_XML, f'{_IN_PARTS}{DICOM_XML}"')
_PICTURE: Final = tuple(str(kind) for kind in RenderedMediaType)
_PICTURES: Final = (*_PICTURE, *(f'{_IN_PARTS}{kind}"' for kind in RenderedMediaType))
MEDIA_TYPES: Final[Mapping[str, Sequence[str]]] = {
    "RetrieveCapabilities": (WADL, JSON),
    "StoreDICOM": _STORED,
    "StoreDICOMStudy": _STORED,
    "RetrieveStudy": _FILES,
    "RetrieveSeries": _FILES,
    "GetDICOMInstance": (DICOM, *_FILES),
    "RetrieveStudyMetadata": _METADATA,
    "GetDICOMSeriesMetadata": _METADATA,
    "GetDICOMInstanceMetadata": _METADATA,
    "GetDICOMInstanceFrames": (
        OCTET_STREAM,
        *_OCTETS,
        *_FRAMES,
    ),
    "GetDICOMBulkdata": (OCTET_STREAM, *_OCTETS),
    "RetrieveStudyBulkdata": _OCTETS,
    "RetrieveSeriesBulkdata": _OCTETS,
    "RetrieveInstanceBulkdata": _OCTETS,
    "RetrieveStudyPixelData": _PIXELS,
    "RetrieveSeriesPixelData": _PIXELS,
    "RetrieveInstancePixelData": _PIXELS,
    "RetrieveRenderedStudy": _PICTURES[len(_PICTURE) :],
    "RetrieveRenderedSeries": _PICTURES[len(_PICTURE) :],
    "RetrieveRenderedInstance": _PICTURES,
    "RetrieveRenderedFrames": _PICTURES,
    "RetrieveStudyThumbnail": _PICTURES,
    "RetrieveSeriesThumbnail": _PICTURES,
    "RetrieveInstanceThumbnail": _PICTURES,
    "RetrieveFrameThumbnail": _PICTURES,
    **{name: _METADATA for _, _, name in ROUTES if name.startswith("Search")},
    "DeleteStudy": (),
    "DeleteSeries": (),
    "DeleteInstance": (),
}
"""What each operation answers."""


def get_capabilities(call: Call) -> WireResponse:
    """Describe what is offered; raises `NotFoundError` when there is no such data store, and `NotAcceptableError`."""
    call.only()
    get_datastore(call.context.image_store, call.datastore_id)
    offered = offered_routes(deletes=call.context.deletes)
    if acceptable(call.accepts, WADL, parts=False):
        return WireResponse(200, [("Content-Type", WADL)], as_wadl(resources(offered), call.base, MEDIA_TYPES))
    if acceptable(call.accepts, JSON, parts=False):
        return WireResponse(200, [("Content-Type", JSON)], as_json(offered, call.base, MEDIA_TYPES))
    raise NotAcceptableError(f"Capabilities are {WADL} or {JSON}, which the Accept header does not allow.")


@dataclass(slots=True)
class Resource:
    """A resource: one segment of a path, what can be done with it, and the resources below it."""

    methods: dict[str, str] = field(default_factory=dict)
    below: dict[str, Resource] = field(default_factory=dict)


def resources(offered: Sequence[ResourceRoute]) -> Resource:
    """Return the tree of the resources that routes of method, path and name lead to."""
    root = Resource()
    for method, path, name in offered:
        place = root
        for segment in path.split("/") if path else ():
            place = place.below.setdefault(segment, Resource())
        place.methods[method] = name
    return root


def as_wadl(root: Resource, base: str, media_types: Mapping[str, Sequence[str]]) -> bytes:
    """Write a Web Application Description Language document.

    Parameters
    ----------
    root : Resource
        From `resources`.
    base : str
        URL that the resources are below.
    media_types : Mapping of str to sequence of str
        What each operation answers, by its name.
    """
    application = ET.Element("application", {"xmlns": _NAMESPACE})
    top = ET.SubElement(application, "resources", {"base": f"{base}/"})
    _add(top, root, media_types)
    document: bytes = ET.tostring(application, encoding="utf-8", xml_declaration=True)
    return document


def _add(parent: ET.Element, resource: Resource, media_types: Mapping[str, Sequence[str]]) -> None:
    for method, name in resource.methods.items():
        element = ET.SubElement(parent, "method", {"name": method, "id": name})
        response = ET.SubElement(element, "response")
        for kind in media_types.get(name, ()):
            ET.SubElement(response, "representation", {"mediaType": kind})
    for segment, below in resource.below.items():
        element = ET.SubElement(parent, "resource", {"path": segment})
        for label in _LABEL.findall(segment):
            ET.SubElement(element, "param", {"name": label, "style": "template", "required": "true"})
        _add(element, below, media_types)


def as_json(offered: Sequence[ResourceRoute], base: str, media_types: Mapping[str, Sequence[str]]) -> bytes:
    """Write the same as a JSON object: the base URL, and each operation with method, path and media types."""
    operations = [
        {"id": name, "method": method, "path": f"/{path}", "mediaTypes": list(media_types.get(name, ()))}
        for method, path, name in offered
    ]
    return orjson.dumps({"base": base, "operations": operations})
