"""WADO-RS metadata: DICOM JSON (PS3.18 Annex F) or native DICOM XML (PS3.19 Annex A) of an instance, a series, a study."""

from __future__ import annotations

from collections.abc import Iterator

from hounsfield.aws.response import WireResponse
from hounsfield.dicomweb.calls import Call
from hounsfield.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.dicomweb.negotiation import DICOM_JSON, DICOM_XML, JSON, MULTIPART, acceptable
from hounsfield.gate.answers import StreamedResult
from hounsfield.imaging.errors import NotAcceptableError


def get_instance_metadata(call: Call) -> WireResponse | StreamedResult:
    """Operation GetDICOMInstanceMetadata; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    labels = call.labels
    where = (call.access, call.datastore_id, labels["study"], labels["series"], labels["instance"], call.base)
    reader = call.context.metadata
    kind = document_kind(call)
    if kind == DICOM_XML:
        return xml_documents(iter([reader.instance_xml(*where, call.image_set_id)]))
    return WireResponse(200, [("Content-Type", kind)], reader.instance(*where, call.image_set_id))


def get_series_metadata(call: Call) -> WireResponse | StreamedResult:
    """Operation GetDICOMSeriesMetadata; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    where = (call.access, call.datastore_id, call.labels["study"], call.labels["series"], call.base)
    reader = call.context.metadata
    kind = document_kind(call)
    if kind == DICOM_XML:
        return xml_documents(reader.series_xml(*where, call.image_set_id))
    chunks = reader.series(*where, call.image_set_id)
    return StreamedResult([("Content-Type", kind)], sum(map(len, chunks)), chunks)


def get_study_metadata(call: Call) -> WireResponse | StreamedResult:
    """Metadata of all primary image sets of a study; raises `NotFoundError` and `NotAcceptableError`."""
    call.only()
    kind = document_kind(call)
    reader = call.context.metadata
    where = (call.access, call.datastore_id, call.labels["study"], call.base)
    if kind == DICOM_XML:
        return xml_documents(reader.study_xml(*where))
    return StreamedResult([("Content-Type", kind)], None, reader.study(*where))


def document_kind(call: Call) -> str:
    """Choose between JSON and XML; JSON wherever it is allowed, as viewers list it beside types that do not fit."""
    ranges = call.accepts
    for kind in (DICOM_JSON, JSON, DICOM_XML):
        if acceptable(ranges, kind, parts=None if kind == DICOM_XML else False):
            return kind
    raise NotAcceptableError(
        f'Metadata is {DICOM_JSON} or {MULTIPART}; type="{DICOM_XML}", which the Accept header does not allow.'
    )


def xml_documents(documents: Iterator[bytes]) -> StreamedResult:
    """Answer with XML documents, each a part."""
    boundary = new_boundary()
    parts = (([("Content-Type", DICOM_XML)], iter([document])) for document in documents)
    kind = f'{MULTIPART}; type="{DICOM_XML}"; boundary={boundary}'
    return StreamedResult([("Content-Type", kind)], None, encode_parts(boundary, parts))
