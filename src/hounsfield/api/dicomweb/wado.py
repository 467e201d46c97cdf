"""WADO-RS of DICOM files: one instance, a series, a study (PS3.18 section 10.4), in parts or in a ZIP archive.

What a client accepts first decides: application/dicom and application/zip are files, octets in parts are the bulk data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hounsfield.api.dicomweb.conditional_requests import entity_tag, tag_headers, unchanged
from hounsfield.api.dicomweb.content_negotiation import DICOM, MULTIPART, OCTET_STREAM, ZIP, MediaRange, refused
from hounsfield.api.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.api.dicomweb.request import Call, instance_of
from hounsfield.api.dicomweb.wado_bulk_data import bulk_data_of
from hounsfield.api.dicomweb.zip_archive import encode_zip, file_name
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.dicom_file import DicomFile, can_transcode, make_dicom_file
from hounsfield.imaging.retrieve.instance_order import find_series, find_study
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.transfer_syntax_choice import ANY

_NAMED: Final = (
    "Instances are application/dicom, alone, in parts or in application/zip, or bulk data as octets in parts"
)


def get_instance(call: Call) -> WireResponse | StreamedResponse:
    """Operation GetDICOMInstance; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    instance = instance_of(call)
    refusal = NotAcceptableError(f"{_NAMED}; the Accept header allows none of these.")
    for entry in _wanted(call):
        if _wants_bulk_data(entry):
            return bulk_data_of(call, [instance])
        try:
            file = make_dicom_file(call.context.image_store, instance, entry.transfer_syntax)
        except NotAcceptableError as error:
            refusal = error
            continue
        return _instance_answer(call, entry, instance, file)
    raise refusal


def _instance_answer(
    call: Call, entry: MediaRange, instance: StoredInstance, file: DicomFile
) -> WireResponse | StreamedResponse:
    version = (instance.image_set.image_set_id, str(instance.image_set.version), instance.key)
    form = "zip" if entry.kind == ZIP else "file"
    tag = entity_tag(*version, file.transfer_syntax, form, in_parts=entry.is_multipart)
    if (answer := unchanged(call.headers, tag)) is not None:
        return answer
    if entry.kind == ZIP:
        return _zipped(iter([(instance, file)]), tag_headers(tag))
    if entry.is_multipart:
        return _in_parts(iter([(instance, file)]), tag_headers(tag))
    kind = f"{DICOM}; transfer-syntax={file.transfer_syntax}"
    return StreamedResponse([("Content-Type", kind), *tag_headers(tag)], file.size, file.chunks)


def get_series(call: Call) -> WireResponse | StreamedResponse:
    """All instances of a series; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    instances = find_series(
        call.context.image_store,
        call.access,
        call.datastore_id,
        call.labels["study"],
        call.labels["series"],
        call.image_set_id,
    )
    return _all(call, instances)


def get_study(call: Call) -> WireResponse | StreamedResponse:
    """All instances of a study; raises `NotFoundError` and `NotAcceptableError`."""
    call.only()
    return _all(call, find_study(call.context.image_store, call.access, call.datastore_id, call.labels["study"]))


def _wanted(call: Call) -> list[MediaRange]:
    """Return what a client accepts of what instances can be sent as, the most preferred first."""
    ranges = call.accepts
    wanted = []
    for entry in ranges:
        kind = entry.kind if entry.kind == ZIP else OCTET_STREAM if _wants_bulk_data(entry) else DICOM
        fits = entry.kind == ZIP or _wants_bulk_data(entry) or entry.covers(DICOM)
        if fits and entry.quality > 0 and not refused(ranges, kind, entry.transfer_syntax, parts=entry.is_multipart):
            wanted.append(entry)
    return wanted


def _wants_bulk_data(entry: MediaRange) -> bool:
    return entry.is_multipart and entry.part_kind == OCTET_STREAM


def _all(call: Call, instances: Sequence[StoredInstance]) -> WireResponse | StreamedResponse:
    image_store, accepted = call.context.image_store, _wanted(call)
    if not accepted:
        raise NotAcceptableError(f"{_NAMED}; the Accept header allows none of these.")
    for entry in accepted:
        if _wants_bulk_data(entry):
            return bulk_data_of(call, instances)
        wanted = entry.transfer_syntax
        if wanted in {None, ANY} or all(can_transcode(image_store, one, wanted) for one in instances):
            files = ((instance, _file_in_time(image_store, instance, wanted)) for instance in instances)
            return _zipped(files, [("Vary", "Accept")]) if entry.kind == ZIP else _in_parts(files, [("Vary", "Accept")])
    raise NotAcceptableError(
        "Not every instance can be had in a transfer syntax that the Accept header allows; transfer-syntax=* gives each "
        "as it is stored."
    )


def _file_in_time(image_store: ImageStore, instance: StoredInstance, wanted: str | None) -> DicomFile:
    """Return a file for an answer that has begun; what only reading all of it tells to be impossible comes as stored."""
    try:
        return make_dicom_file(image_store, instance, wanted)
    except NotAcceptableError:
        return make_dicom_file(image_store, instance, ANY)


def _in_parts(
    files: Iterable[tuple[StoredInstance, DicomFile]], headers: Sequence[tuple[str, str]]
) -> StreamedResponse:
    boundary = new_boundary()

    def parts() -> Iterator[tuple[list[tuple[str, str]], Iterator[bytes]]]:
        for _, file in files:
            yield [("Content-Type", f"{DICOM}; transfer-syntax={file.transfer_syntax}")], file.chunks

    kind = f'{MULTIPART}; type="{DICOM}"; boundary={boundary}'
    return StreamedResponse([("Content-Type", kind), *headers], None, encode_parts(boundary, parts()))


def _zipped(files: Iterable[tuple[StoredInstance, DicomFile]], headers: Sequence[tuple[str, str]]) -> StreamedResponse:
    named = (
        (file_name(instance.image_set.series_uid, instance.sop_uid, number), file.size, file.chunks)
        for number, (instance, file) in enumerate(files, start=1)
    )
    return StreamedResponse([("Content-Type", ZIP), *headers], None, encode_zip(named))
