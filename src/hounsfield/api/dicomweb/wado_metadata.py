"""WADO-RS metadata: DICOM JSON (PS3.18 Annex F) or native DICOM XML (PS3.19 Annex A) of an instance, a series, a study."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from hounsfield.api.dicomweb.conditional_requests import entity_tag, tag_headers, unchanged
from hounsfield.api.dicomweb.content_coding import VARY, coded, coding_headers, coding_of
from hounsfield.api.dicomweb.content_negotiation import DICOM_JSON, DICOM_XML, JSON, MULTIPART, acceptable
from hounsfield.api.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.api.dicomweb.request import Call
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.content_coding import ContentCoding, compress
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.retrieve.instance_order import sort_series
from hounsfield.imaging.retrieve.instances import (
    ReadableImageSet,
    find_image_set,
    find_instance,
    find_primary_image_sets,
)

_FORM: Final = 1
"""Grows when the same instances are described in other words, which must not go by the tags of the old ones."""


def get_instance_metadata(call: Call) -> WireResponse | StreamedResponse:
    """Operation GetDICOMInstanceMetadata; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    labels, image_store = call.labels, call.context.image_store
    where = (call.access, call.datastore_id, labels["study"], labels["series"], labels["instance"])
    reader, kind = call.context.metadata, document_kind(call)
    if kind == DICOM_XML:
        return coded(call, xml_documents(iter([reader.instance_xml(*where, call.base, call.image_set_id)])))
    instance, coding = find_instance(image_store, *where, call.image_set_id), coding_of(call)
    tag = _tag(call, kind, coding, [instance.image_set], instance.key)
    if (answer := _known(call, tag, [instance.image_set])) is not None:
        return answer
    body = b"".join(compress((reader.of_instance(instance, call.base),), coding))
    return WireResponse(200, _headers(kind, coding, tag), body)


def get_series_metadata(call: Call) -> WireResponse | StreamedResponse:
    """Operation GetDICOMSeriesMetadata; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    where = (call.access, call.datastore_id, call.labels["study"], call.labels["series"])
    reader, kind = call.context.metadata, document_kind(call)
    if kind == DICOM_XML:
        return coded(call, xml_documents(reader.series_xml(*where, call.base, call.image_set_id)))
    image_set, coding = find_image_set(call.context.image_store, *where, call.image_set_id), coding_of(call)
    tag = _tag(call, kind, coding, [image_set])
    if (answer := _known(call, tag, [image_set])) is not None:
        return answer
    chunks = reader.of_image_set(image_set, call.base, coding)
    return StreamedResponse(_headers(kind, coding, tag), sum(map(len, chunks)), chunks)


def get_study_metadata(call: Call) -> WireResponse | StreamedResponse:
    """Metadata of all primary image sets of a study; raises `NotFoundError` and `NotAcceptableError`."""
    call.only()
    reader, kind = call.context.metadata, document_kind(call)
    where = (call.access, call.datastore_id, call.labels["study"])
    if kind == DICOM_XML:
        return coded(call, xml_documents(reader.study_xml(*where, call.base)))
    image_sets, coding = sort_series(find_primary_image_sets(call.context.image_store, *where)), coding_of(call)
    tag = _tag(call, kind, coding, image_sets)
    if (answer := _known(call, tag, image_sets)) is not None:
        return answer
    chunks = reader.of_image_sets(image_sets, call.base)
    return StreamedResponse(_headers(kind, coding, tag), None, compress(chunks, coding))


def _tag(call: Call, kind: str, coding: ContentCoding, image_sets: Sequence[ReadableImageSet], key: str = "") -> str:
    """Name metadata in one form: what it is made of, who makes it, and the addresses in it."""
    made_of = [(image_set.image_set_id, image_set.version) for image_set in image_sets]
    text = f"{_FORM} {call.base} {kind} {made_of} {key}"
    return entity_tag(hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), coding)


def _known(call: Call, tag: str, image_sets: Sequence[ReadableImageSet]) -> WireResponse | None:
    """Answer 304 when the client has it, which nothing need be read for."""
    answer = unchanged(call.headers, tag, VARY)
    if answer is not None:
        for image_set in image_sets:
            call.context.image_store.accesses.touch(image_set.image_set_id)
    return answer


def _headers(kind: str, coding: ContentCoding, tag: str) -> list[tuple[str, str]]:
    return [("Content-Type", kind), *coding_headers(coding), *tag_headers(tag, VARY)]


def document_kind(call: Call) -> str:
    """Choose between JSON and XML; JSON wherever it is allowed, as viewers list it beside types that do not fit."""
    ranges = call.accepts
    for kind in (DICOM_JSON, JSON, DICOM_XML):
        if acceptable(ranges, kind, parts=None if kind == DICOM_XML else False):
            return kind
    raise NotAcceptableError(
        f'Metadata is {DICOM_JSON} or {MULTIPART}; type="{DICOM_XML}", which the Accept header does not allow.'
    )


def xml_documents(documents: Iterator[bytes]) -> StreamedResponse:
    """Answer with XML documents, each a part."""
    boundary = new_boundary()
    parts = (([("Content-Type", DICOM_XML)], iter([document])) for document in documents)
    kind = f'{MULTIPART}; type="{DICOM_XML}"; boundary={boundary}'
    return StreamedResponse([("Content-Type", kind)], None, encode_parts(boundary, parts))
