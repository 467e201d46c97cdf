"""One frame of an instance as it is stored, with GetDICOMInstanceFrames the short way: what viewers ask for most.

    look-up ─▶ does the client have it? ─▶ what stands around it ─▶ frame read into its place in the answer

What more than one way of answering frames needs, their tags and the headers of their parts, is here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hounsfield.api.dicomweb.conditional_requests import asked_range, entity_tag, tag_headers, unchanged
from hounsfield.api.dicomweb.content_negotiation import MULTIPART, OCTET_STREAM, MediaRange, preferred, refused
from hounsfield.api.dicomweb.media_types import STORED, media_type, syntaxes_of
from hounsfield.api.dicomweb.multipart import closing, new_boundary, part_head
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.resources import instance_path
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.retrieve.stored_frames import (
    StoredFrame,
    StoredFrames,
    find_frame,
    find_frames_by_uids,
    read_frame,
)
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.codecs.codestream import has_three_apart, is_deep
from hounsfield.pixels.transfer_syntaxes import HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS

MOST_AT_ONCE: Final = 8 * 1024 * 1024
"""Bytes of an answer that is sent whole."""
_LOSSLESS: Final = frozenset({HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS})
_HEADER_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class _Form:
    """The form in which a client asks for frames as they are stored.

    Attributes
    ----------
    kind : str
        Their content type.
    in_parts : bool
        Whether in parts.
    by_name : bool
        Whether the client means their transfer syntax, and not whatever they are stored in.
    """

    kind: str
    in_parts: bool
    by_name: bool


@lru_cache(maxsize=256)
def _form_as_stored(accepts: str, transfer_syntax: str) -> _Form | None:
    """Return the form of frames for whoever accepts that; None where frames as they are stored are not what comes first."""
    ranges = preferred(accepts)
    entry = ranges[0]
    asked = next(syntaxes_of(entry, (transfer_syntax,), transfer_syntax), None)
    if entry.quality == 0 or asked not in {STORED, transfer_syntax}:
        return None
    form = _Form(frame_kind(entry, transfer_syntax), in_parts(entry), asked != STORED)
    kind = form.kind.partition(";")[0]
    return None if refused(ranges, kind, transfer_syntax, parts=form.in_parts) else form


def stored_frame_answer(call: Call, numbers: Sequence[int]) -> WireResponse | StreamedResponse | None:
    """Return one frame as it is stored; None when that is not what the client asks for first, or is not found this way."""
    accepts = call.accept_text
    if len(numbers) > 1 or numbers[0] < 1 or call.image_set_id is not None:
        return None
    image_store, labels = call.context.image_store, call.labels
    uids = (labels["study"], labels["series"], labels["instance"])
    found = find_frames_by_uids(image_store, call.access, call.datastore_id, *uids)
    form = None if found is None else _form_as_stored(accepts, found.transfer_syntax)
    if found is None or form is None:
        return None
    tag = frames_tag(found.instance_key, numbers, form.kind, parts=form.in_parts)
    known = unchanged(call.headers, tag)
    frame = find_frame(image_store, found, numbers[0] - 1)
    if known is not None:
        # Asking is an access too.
        image_store.accesses.touch(found.image_set_id)
        return known if frame is not None else None
    return None if frame is None else (_in_a_part if form.in_parts else _alone)(call, frame, form, tag)


def _in_a_part(call: Call, frame: StoredFrame, form: _Form, tag: str) -> WireResponse | StreamedResponse | None:
    boundary = new_boundary()
    number = frame.ordinal + 1
    before, after = part_head(boundary, part_headers(call, form.kind, number)), b"\r\n" + closing(boundary)
    body = read_frame(call.context.image_store, frame, before, after)
    if _given_otherwise(frame.frames, form, body, 0 if frame.is_large else len(before)):
        return None
    headers = [parts_header(form.kind, boundary), *tag_headers(tag)]
    return _streamed(headers, (before, body, after)) if frame.is_large else WireResponse(200, headers, body)


def _alone(call: Call, frame: StoredFrame, form: _Form, tag: str) -> WireResponse | StreamedResponse | None:
    body = read_frame(call.context.image_store, frame)
    if _given_otherwise(frame.frames, form, body, 0):
        return None
    headers = [("Content-Type", form.kind), ("Accept-Ranges", "bytes"), *tag_headers(tag)]
    part = asked_range(call.headers, len(body), tag)
    if part is None:
        return _streamed(headers, (body,)) if frame.is_large else WireResponse(200, headers, body)
    headers.append(("Content-Range", part.content_range))
    return WireResponse(206, headers, body[part.start : part.end])


def _given_otherwise(found: StoredFrames, form: _Form, body: bytes | bytearray, start: int) -> bool:
    """Return whether a frame is not given as it is stored, because viewers would show wrong values of it without an error.

    It has samples of 32 bits and its codestream is asked for by name, or an earlier version stored three components apart.
    """
    if found.transfer_syntax not in _LOSSLESS or found.pixel_kind == PixelKind.DAMAGED:
        return False
    head = bytes(body[start : start + _HEADER_BYTES])
    if form.by_name and is_deep(head):
        return True
    return found.transfer_syntax == HTJ2K_LOSSLESS_RPCL and has_three_apart(head)


def _streamed(
    headers: list[tuple[str, str]], chunks: Sequence[bytes | bytearray], status: int = 200
) -> StreamedResponse:
    return StreamedResponse(headers, sum(map(len, chunks)), chunks, status)


def in_parts(entry: MediaRange) -> bool:
    """Return whether frames come in parts, as they do where the client does not say."""
    return entry.is_multipart or entry.kind == "*/*"


def frame_kind(entry: MediaRange, transfer_syntax: str) -> str:
    """Return the content type of frames: octets in some syntax, or the media type of the syntax, as it was asked for."""
    kind = OCTET_STREAM if entry.part_kind == OCTET_STREAM else media_type(transfer_syntax)
    return f"{kind}; transfer-syntax={transfer_syntax}"


def frames_tag(key: str, numbers: Sequence[int], kind: str, *, parts: bool) -> str:
    """Name frames of an instance in one form: they are the same for as long as the instance has its key.

    Parameters
    ----------
    key : str
        Key of the instance.
    numbers : Sequence of int
        Which frames.
    kind : str
        Their content type, with the transfer syntax.
    parts : bool
        Whether they come in parts.
    """
    media, _, syntax = kind.partition("; transfer-syntax=")
    octets = "octets" if media == OCTET_STREAM else "image"
    return entity_tag(key, syntax, octets, ".".join(map(str, numbers)), in_parts=parts)


def parts_header(kind: str, boundary: str) -> tuple[str, str]:
    """Return the header that says that the answer is made of parts of a content type."""
    return "Content-Type", f'{MULTIPART}; type="{kind.partition(";")[0]}"; boundary={boundary}'


def part_headers(call: Call, kind: str, number: int) -> list[tuple[str, str]]:
    """Return the headers of the part of a frame."""
    return [("Content-Type", kind), ("Content-Location", f"{instance_url(call)}/frames/{number}")]


def instance_url(call: Call) -> str:
    """Return the URL of the instance that a request is about."""
    labels = call.labels
    return f"{call.base}/{instance_path(labels['study'], labels['series'], labels['instance'])}"
