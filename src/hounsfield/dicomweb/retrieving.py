"""WADO-RS of DICOM files: one instance, a series, a study (PS3.18 section 10.4), and bulk data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hounsfield.aws.response import WireResponse
from hounsfield.dicomweb.calls import Call
from hounsfield.dicomweb.conditional import entity_tag, tag_headers, unchanged
from hounsfield.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.dicomweb.negotiation import DICOM, MULTIPART, OCTET_STREAM, MediaRange, acceptable, refused
from hounsfield.gate.answers import StreamedResult
from hounsfield.imaging.archive import Archive
from hounsfield.imaging.dicom_metadata import bulk_data
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.instance_reading import StoredInstance, find_instance
from hounsfield.imaging.renditions import ANY, DicomFile, can_be_given, dicom_file
from hounsfield.imaging.series_order import find_series, find_study


def get_instance(call: Call) -> WireResponse | StreamedResult:
    """Operation GetDICOMInstance; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    instance = _instance(call)
    entry, file = _file(call, instance)
    version = (instance.image_set.image_set_id, str(instance.image_set.version), instance.key)
    tag = entity_tag(*version, file.transfer_syntax, in_parts=entry.is_multipart)
    if (answer := unchanged(call.headers, tag)) is not None:
        return answer
    if entry.is_multipart:
        return _files(iter([file]), tag_headers(tag))
    kind = f"{DICOM}; transfer-syntax={file.transfer_syntax}"
    return StreamedResult([("Content-Type", kind), *tag_headers(tag)], file.size, file.chunks)


def get_series(call: Call) -> WireResponse | StreamedResult:
    """All instances of a series, in parts; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    instances = find_series(
        call.context.archive,
        call.access,
        call.datastore_id,
        call.labels["study"],
        call.labels["series"],
        call.image_set_id,
    )
    return _all(call, instances)


def get_study(call: Call) -> WireResponse | StreamedResult:
    """All instances of a study, in parts; raises `NotFoundError` and `NotAcceptableError`."""
    call.only()
    return _all(call, find_study(call.context.archive, call.access, call.datastore_id, call.labels["study"]))


def get_bulk_data(call: Call) -> WireResponse | StreamedResult:
    """Operation GetDICOMBulkdata: the bytes of one element; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    instance = _instance(call)
    ranges = call.accepts
    single = acceptable(ranges, OCTET_STREAM, parts=False)
    if not single and not acceptable(ranges, OCTET_STREAM, parts=True):
        raise NotAcceptableError(f"Bulk data is {OCTET_STREAM}, which the Accept header does not allow.")
    data = bulk_data(call.context.archive, instance, call.labels["digest"])
    if single:
        return WireResponse(200, [("Content-Type", OCTET_STREAM)], data)
    boundary = new_boundary()
    body = b"".join(encode_parts(boundary, [([("Content-Type", OCTET_STREAM)], [data])]))
    return WireResponse(200, [("Content-Type", f'{MULTIPART}; type="{OCTET_STREAM}"; boundary={boundary}')], body)


def _instance(call: Call) -> StoredInstance:
    labels = call.labels
    return find_instance(
        call.context.archive,
        call.access,
        call.datastore_id,
        labels["study"],
        labels["series"],
        labels["instance"],
        call.image_set_id,
    )


def _wanted(call: Call) -> list[MediaRange]:
    ranges = call.accepts
    wanted = [
        entry
        for entry in ranges
        if entry.quality > 0
        and entry.covers(DICOM)
        and not refused(ranges, DICOM, entry.transfer_syntax, parts=entry.is_multipart)
    ]
    if not wanted:
        raise NotAcceptableError(f"Instances are {DICOM}, which the Accept header does not allow.")
    return wanted


def _file(call: Call, instance: StoredInstance) -> tuple[MediaRange, DicomFile]:
    """Give the file in the first form that the client accepts and that can be made."""
    for entry in _wanted(call):
        try:
            return entry, dicom_file(call.context.archive, instance, entry.transfer_syntax)
        except NotAcceptableError as error:
            refused = error
    raise refused


def _all(call: Call, instances: Sequence[StoredInstance]) -> StreamedResult:
    archive = call.context.archive
    for entry in _wanted(call):
        wanted = entry.transfer_syntax
        if wanted in {None, ANY} or all(can_be_given(archive, one, wanted) for one in instances):
            return _files((_file_in_time(archive, instance, wanted) for instance in instances), [])
    raise NotAcceptableError(
        "Not every instance can be had in a transfer syntax that the Accept header allows; transfer-syntax=* gives each "
        "as it is stored."
    )


def _file_in_time(archive: Archive, instance: StoredInstance, wanted: str | None) -> DicomFile:
    """Give a file for an answer that has begun; what only reading all of it tells to be impossible comes as stored."""
    try:
        return dicom_file(archive, instance, wanted)
    except NotAcceptableError:
        return dicom_file(archive, instance, ANY)


def _files(files: Iterable[DicomFile], headers: Sequence[tuple[str, str]]) -> StreamedResult:
    boundary = new_boundary()

    def parts() -> Iterator[tuple[list[tuple[str, str]], Iterator[bytes]]]:
        for file in files:
            yield [("Content-Type", f"{DICOM}; transfer-syntax={file.transfer_syntax}")], file.chunks

    kind = f'{MULTIPART}; type="{DICOM}"; boundary={boundary}'
    return StreamedResult([("Content-Type", kind), *headers], None, encode_parts(boundary, parts()))
