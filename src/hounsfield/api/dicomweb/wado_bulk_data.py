"""WADO-RS of bulk data and of pixel data (PS3.18 sections 10.4.1.1.5, 10.4.1.1.6, 10.4.3.3.5 and 10.4.3.3.6).

one value              ─▶ octets, alone with byte ranges, or a part
all of an instance, of a series, of a study
    values by URI      ─▶ a part each, its Content-Location the URI in the metadata
    pixel data         ─▶ a part for each frame, its Content-Location the frame
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from hounsfield.api.dicomweb.conditional_requests import asked_range, entity_tag, tag_headers, unchanged
from hounsfield.api.dicomweb.content_negotiation import MULTIPART, OCTET_STREAM, MediaRange, acceptable, refused
from hounsfield.api.dicomweb.media_types import STORED, media_type, syntaxes_of
from hounsfield.api.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.api.dicomweb.request import Call, instance_of
from hounsfield.api.dicomweb.resources import instance_path
from hounsfield.api.dicomweb.wado_stored_frame import frame_kind
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.errors import NotAcceptableError, NotFoundError
from hounsfield.imaging.retrieve.bulk_data import read_bulk_data, read_every_frame, read_named_values
from hounsfield.imaging.retrieve.data_set_json import digest_uri
from hounsfield.imaging.retrieve.dicom_file import can_transcode
from hounsfield.imaging.retrieve.instance_order import find_series, find_study
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.transfer_syntax_choice import list_frame_transfer_syntaxes, stored_transfer_syntax
from hounsfield.imaging.staged_instance import PixelKind

_Part: TypeAlias = "tuple[list[tuple[str, str]], Iterable[bytes]]"


def get_bulk_data(call: Call) -> WireResponse | StreamedResponse:
    """Operation GetDICOMBulkdata: the bytes of one element; raises `NotFoundError` and `NotAcceptableError`."""
    call.only("imageSetId")
    instance = instance_of(call)
    ranges = call.accepts
    single = acceptable(ranges, OCTET_STREAM, parts=False)
    if not single and not acceptable(ranges, OCTET_STREAM, parts=True):
        raise NotAcceptableError(f"Bulk data is {OCTET_STREAM}, which the Accept header does not allow.")
    digest = call.labels["digest"].lower()
    data = read_bulk_data(call.context.image_store, instance, digest)
    # A value is that of its source and place for good: what comes in its place is another source.
    tag = entity_tag(instance.source_key, digest, in_parts=not single)
    if (answer := unchanged(call.headers, tag)) is not None:
        return answer
    place = ("Content-Location", digest_uri(instance, call.base, digest))
    if not single:
        return _whole([([("Content-Type", OCTET_STREAM), place], [data])], tag_headers(tag))
    headers = [("Content-Type", OCTET_STREAM), place, ("Accept-Ranges", "bytes"), *tag_headers(tag)]
    part = asked_range(call.headers, len(data), tag)
    if part is None:
        return WireResponse(200, headers, data)
    return WireResponse(206, [*headers, ("Content-Range", part.content_range)], data[part.start : part.end])


def get_all_bulk_data(call: Call) -> WireResponse | StreamedResponse:
    """All bulk data of an instance, a series or a study; raises `NotFoundError` and `NotAcceptableError`."""
    instances = _instances(call)
    if not acceptable(call.accepts, OCTET_STREAM, parts=True):
        raise NotAcceptableError(
            f'Bulk data is {MULTIPART}; type="{OCTET_STREAM}", which the Accept header does not allow.'
        )
    return bulk_data_of(call, instances)


def get_pixel_data(call: Call) -> WireResponse | StreamedResponse:
    """The pixel data of an instance, a series or a study; raises `NotFoundError` and `NotAcceptableError`."""
    instances = _instances(call)
    entry, wanted = _pixel_form(call, instances)
    return _streamed(_pixel_parts(call, instances, entry, wanted), "there is no pixel data")


def bulk_data_of(call: Call, instances: Sequence[StoredInstance]) -> StreamedResponse:
    """Answer all bulk data of instances as octets: values by URI, and pixel data decoded where it can be.

    Raises
    ------
    NotFoundError
        There is none.
    """
    octets = MediaRange(MULTIPART, {"type": OCTET_STREAM})
    stored = any(
        entry.transfer_syntax == STORED and entry.is_multipart and entry.part_kind == OCTET_STREAM
        for entry in call.accepts
    )
    parts = (
        part
        for instance in instances
        for part in itertools.chain(
            _value_parts(call, instance), _pixel_parts(call, [instance], octets, STORED if stored else None)
        )
    )
    return _streamed(parts, "there is no bulk data")


def _instances(call: Call) -> list[StoredInstance]:
    """Find what a request is about: an instance, or all of a series or a study."""
    labels, image_store = call.labels, call.context.image_store
    if "instance" in labels:
        call.only("imageSetId")
        return [instance_of(call)]
    if "series" in labels:
        call.only("imageSetId")
        return find_series(
            image_store, call.access, call.datastore_id, labels["study"], labels["series"], call.image_set_id
        )
    call.only()
    return find_study(image_store, call.access, call.datastore_id, labels["study"])


def _pixel_form(call: Call, instances: Sequence[StoredInstance]) -> tuple[MediaRange, str | None]:
    """Choose the first form that the client accepts and that all pixel data can be had in."""
    ranges, image_store = call.accepts, call.context.image_store
    shown = [one for one in instances if one.pixel_kind not in {PixelKind.NONE, PixelKind.WITHHELD}]
    if not shown:
        raise NotFoundError("there is no pixel data")
    available, stored = list_frame_transfer_syntaxes(shown[0]), stored_transfer_syntax(shown[0])
    for entry in ranges:
        if entry.quality == 0 or not (entry.is_multipart or entry.kind == "*/*"):
            continue
        for wanted in syntaxes_of(entry, available, stored):
            if refused(ranges, media_type(wanted or available[0]), wanted, parts=True):
                continue
            if wanted == STORED and not all(_covers_stored(entry, one) for one in shown):
                continue
            if wanted in {None, STORED} or all(can_transcode(image_store, one, wanted) for one in shown):
                return entry, wanted
    raise NotAcceptableError(
        f"Pixel data comes in parts, {MULTIPART}; type=…; of a transfer syntax that all of it can be had in, or with "
        f"transfer-syntax={STORED} as it is stored. The Accept header allows no such thing."
    )


def _covers_stored(entry: MediaRange, instance: StoredInstance) -> bool:
    return entry.part_kind == OCTET_STREAM or entry.covers(media_type(stored_transfer_syntax(instance)))


def _value_parts(call: Call, instance: StoredInstance) -> Iterator[_Part]:
    for uri, value in read_named_values(call.context.image_store, instance, call.base):
        yield [("Content-Type", OCTET_STREAM), ("Content-Location", uri)], [value]


def _pixel_parts(
    call: Call, instances: Sequence[StoredInstance], entry: MediaRange, wanted: str | None
) -> Iterator[_Part]:
    for instance in instances:
        frames = read_every_frame(call.context.image_store, instance, wanted)
        if frames is None:
            continue
        image_set = instance.image_set
        place = f"{call.base}/{instance_path(image_set.study_uid, image_set.series_uid, instance.sop_uid)}/frames"
        query = "" if image_set.is_primary else f"?imageSetId={image_set.image_set_id}"
        for frame in frames.frames:
            kind = frame_kind(entry, frame.transfer_syntax or frames.transfer_syntax)
            yield [("Content-Type", kind), ("Content-Location", f"{place}/{frame.number}{query}")], frame.chunks


def _whole(parts: Iterable[_Part], headers: Sequence[tuple[str, str]]) -> WireResponse:
    boundary = new_boundary()
    kind = f'{MULTIPART}; type="{OCTET_STREAM}"; boundary={boundary}'
    return WireResponse(200, [("Content-Type", kind), *headers], b"".join(encode_parts(boundary, parts)))


def _streamed(parts: Iterator[_Part], nothing: str) -> StreamedResponse:
    """Answer parts as they are made; the first before anything is answered: what is wrong is mostly wrong with it."""
    first = next(parts, None)
    if first is None:
        raise NotFoundError(nothing)
    boundary = new_boundary()
    media = dict(first[0])["Content-Type"].partition(";")[0]
    kind = f'{MULTIPART}; type="{media}"; boundary={boundary}'
    return StreamedResponse(
        [("Content-Type", kind), ("Vary", "Accept")], None, encode_parts(boundary, itertools.chain([first], parts))
    )
