"""WADO-RS frames: GetDICOMInstanceFrames (PS3.18 section 10.4).

One frame may be had alone, with byte ranges, so that a viewer loads it progressively; several come in parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from hounsfield.api.dicomweb.conditional_requests import asked_range, tag_headers, unchanged
from hounsfield.api.dicomweb.content_negotiation import MULTIPART, MediaRange, refused
from hounsfield.api.dicomweb.media_types import STORED, syntaxes_of
from hounsfield.api.dicomweb.multipart import closing, encode_parts, new_boundary, part_head
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.wado_stored_frame import (
    MOST_AT_ONCE,
    frame_kind,
    frames_tag,
    in_parts,
    part_headers,
    parts_header,
    stored_frame_answer,
)
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.retrieve.instance_frames import InstanceFrames, make_instance_frames
from hounsfield.imaging.retrieve.instances import StoredInstance, find_instance
from hounsfield.imaging.retrieve.transfer_syntax_choice import (
    choose_frame_transfer_syntax,
    list_frame_transfer_syntaxes,
    stored_transfer_syntax,
)

MOST_FRAMES = 10_000
_LONGEST_TAG = 512

_FRAME_LIST = re.compile(r"[0-9]{1,9}(?:,[0-9]{1,9})*", re.ASCII)


def get_instance_frames(call: Call) -> WireResponse | StreamedResponse:
    """Operation GetDICOMInstanceFrames.

    Raises
    ------
    ValidationException
        The frame list is not numbers with commas between them.
    NotFoundError
        There is no such instance or frame.
    NotAcceptableError
        None of the forms that the client accepts can be made.
    """
    call.only("imageSetId")
    numbers = frame_numbers(call.labels["frames"])
    answer = stored_frame_answer(call, numbers)
    if answer is not None:
        return answer
    instance = find_instance(
        call.context.image_store,
        call.access,
        call.datastore_id,
        call.labels["study"],
        call.labels["series"],
        call.labels["instance"],
        call.image_set_id,
    )
    chosen = _chosen(call, instance, numbers)
    if isinstance(chosen, WireResponse):
        return chosen
    entry, frames = chosen
    return _answer(call, entry, frames, numbers, instance.key)


def _answer(
    call: Call, entry: MediaRange, frames: InstanceFrames, numbers: Sequence[int], key: str
) -> WireResponse | StreamedResponse:
    kind = frame_kind(entry, frames.transfer_syntax)
    tag = frames_tag(key, numbers, kind, parts=in_parts(entry))
    if len(tag) < _LONGEST_TAG and (answer := unchanged(call.headers, tag)) is not None:
        return answer
    if in_parts(entry):
        return _parts(call, frames, numbers, entry, tag)
    return _single(call, frames, kind, tag)


def _known_already(
    call: Call, instance: StoredInstance, numbers: Sequence[int], entry: MediaRange, syntax: str
) -> WireResponse | None:
    """Answer 304 when the client names the tag of what it would be given, which nothing need be read for."""
    if "if-none-match" not in call.headers or not _are_frames(instance, numbers):
        return None
    tag = frames_tag(instance.key, numbers, frame_kind(entry, syntax), parts=in_parts(entry))
    answer = unchanged(call.headers, tag) if len(tag) < _LONGEST_TAG else None
    if answer is not None:
        call.context.image_store.accesses.touch(instance.image_set.image_set_id)
    return answer


def _are_frames(instance: StoredInstance, numbers: Sequence[int]) -> bool:
    return instance.pixel_kind.in_frames and min(numbers) > 0 and max(numbers) <= instance.frame_count


def frame_numbers(text: str) -> list[int]:
    """Read a frame list, such as ``1,3,2``.

    Raises
    ------
    ValidationException
        It is not one.
    """
    if not _FRAME_LIST.fullmatch(text):
        raise ValidationException("The frame list must be frame numbers, counted from 1, with ',' between them.")
    numbers = [int(number) for number in text.split(",")]
    if len(numbers) > MOST_FRAMES:
        raise ValidationException(f"A request may name at most {MOST_FRAMES} frames.")
    return numbers


def _chosen(
    call: Call, instance: StoredInstance, numbers: Sequence[int]
) -> tuple[MediaRange, InstanceFrames] | WireResponse:
    """Return the frames in the first form that the client accepts and that can be made; 304 when it has them."""
    image_store, ranges = call.context.image_store, call.accepts
    available, stored = list_frame_transfer_syntaxes(instance), stored_transfer_syntax(instance)
    for entry in ranges:
        if entry.quality == 0:
            continue
        if entry.kind not in {MULTIPART, "*/*"} and len(numbers) > 1:
            continue
        for wanted in syntaxes_of(entry, available, stored):
            try:
                syntax = choose_frame_transfer_syntax(instance, wanted)
                kind = frame_kind(entry, syntax).partition(";")[0]
                if refused(ranges, kind, syntax, parts=in_parts(entry)):
                    continue
                known = _known_already(call, instance, numbers, entry, syntax)
                return known or (entry, make_instance_frames(image_store, instance, numbers, wanted))
            except NotAcceptableError:
                continue
    several = " Several frames come as multipart/related only." if len(numbers) > 1 else ""
    raise NotAcceptableError(
        f"The frames can be had in the transfer syntaxes {', '.join(available) or 'none'}, or as they are stored with "
        f"transfer-syntax={STORED}; the Accept header allows none of these.{several}"
    )


def _single(call: Call, frames: InstanceFrames, kind: str, tag: str) -> WireResponse | StreamedResponse:
    (frame,) = frames.frames
    headers = [("Content-Type", kind), ("Accept-Ranges", "bytes"), *tag_headers(tag)]
    if frame.size is None:
        return StreamedResponse(headers, None, frame.chunks)
    part = asked_range(call.headers, frame.size, tag)
    if part is None:
        return _whole_or_streamed(headers, frame.size, frame.chunks)
    headers.append(("Content-Range", part.content_range))
    # Of a long video only the part that is asked for is read.
    read = frame.part or partial(_between, frame.chunks)
    return _whole_or_streamed(headers, part.end - part.start, read(part.start, part.end), 206)


def _whole_or_streamed(
    headers: list[tuple[str, str]], size: int, chunks: Iterator[bytes], status: int = 200
) -> WireResponse | StreamedResponse:
    """Answer at once where it is short: sending chunk by chunk costs a change of threads each."""
    if size <= MOST_AT_ONCE:
        return WireResponse(status, headers, b"".join(chunks))
    return StreamedResponse(headers, size, chunks, status)


def _between(chunks: Iterator[bytes], start: int, end: int) -> Iterator[bytes]:
    at = 0
    for chunk in chunks:
        piece = chunk[max(0, start - at) : max(0, end - at)]
        at += len(chunk)
        if piece:
            yield piece
        if at >= end:
            return


def _parts(
    call: Call, frames: InstanceFrames, numbers: Sequence[int], entry: MediaRange, tag: str
) -> WireResponse | StreamedResponse:
    boundary, kind = new_boundary(), frame_kind(entry, frames.transfer_syntax)
    headers = [parts_header(kind, boundary)]
    if len(tag) < _LONGEST_TAG:
        headers.extend(tag_headers(tag))
    if len(numbers) == 1:
        (frame,) = frames.frames
        if frame.size is not None:
            head, tail = part_head(boundary, part_headers(call, kind, frame.number)), b"\r\n" + closing(boundary)
            size = len(head) + frame.size + len(tail)
            return _whole_or_streamed(headers, size, _framed(head, frame.chunks, tail))
        return StreamedResponse(
            headers, None, encode_parts(boundary, [(part_headers(call, kind, frame.number), frame.chunks)])
        )
    parts = (
        (
            part_headers(call, frame_kind(entry, frame.transfer_syntax or frames.transfer_syntax), frame.number),
            frame.chunks,
        )
        for frame in frames.frames
    )
    return StreamedResponse(headers, None, encode_parts(boundary, parts))


def _framed(head: bytes, chunks: Iterator[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    yield from chunks
    yield tail
