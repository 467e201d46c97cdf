"""QIDO-RS: search for studies, series and instances (PS3.18 section 10.6)."""

from __future__ import annotations

from typing import Final

from hounsfield.api.dicomweb.content_coding import coded
from hounsfield.api.dicomweb.content_negotiation import DICOM_XML
from hounsfield.api.dicomweb.qido_parameters import parse_search
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.wado_metadata import document_kind, xml_documents
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.dicom.json.xml import write_native_model
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.search.dicom import find_results
from hounsfield.imaging.search.dicom_results import json_array, reads_stored_data, write_results
from hounsfield.imaging.search.search_keys import SearchLevel

_MORE: Final = ("Warning", '299 hounsfield "There are additional results that can be requested"')
"""Said when there is more than the limit (PS3.18 section 8.3.4.4)."""
_UNORDERED: Final = (
    "Warning",
    '299 hounsfield "The query parameter orderby was ignored, as not all image sets may be seen"',
)


def search_studies(call: Call) -> WireResponse | StreamedResponse:
    """Operation SearchDICOMStudies; raises `NotFoundError`, `NotAcceptableError`, `InvalidRequestError`."""
    return _search(call, SearchLevel.STUDY)


def search_series(call: Call) -> WireResponse | StreamedResponse:
    """Operations SearchDICOMSeries and SearchDICOMAllSeries; errors are those of `search_studies`."""
    return _search(call, SearchLevel.SERIES)


def search_instances(call: Call) -> WireResponse | StreamedResponse:
    """Operations SearchDICOMInstances, SearchDICOMStudyInstances, SearchDICOMAllInstances; errors as `search_studies`."""
    return _search(call, SearchLevel.INSTANCE)


def _search(call: Call, level: SearchLevel) -> WireResponse | StreamedResponse:
    return coded(call, _found(call, level))


def _found(call: Call, level: SearchLevel) -> WireResponse | StreamedResponse:
    kind = document_kind(call)
    search = parse_search(call, level, any_case=call.context.descriptions_ignore_case)
    image_store = call.context.image_store
    results = find_results(image_store, call.access, search)
    objects = write_results(image_store, search, results.found, call.base)
    more = [*([_MORE] if results.more else []), *([] if results.is_ordered else [_UNORDERED])]
    if kind == DICOM_XML:
        answer = xml_documents(write_native_model(text) for text in objects)
        return StreamedResponse([*answer.headers, *more], None, answer.chunks)
    headers = [("Content-Type", kind), *more]
    if reads_stored_data(search, results.found, call.base):
        return StreamedResponse(headers, None, json_array(objects))
    return WireResponse(200, headers, b"".join(json_array(objects)))
