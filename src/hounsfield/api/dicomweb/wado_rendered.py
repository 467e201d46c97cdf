"""WADO-RS rendered resources and thumbnails (PS3.18 sections 10.4.1.1.3 and 10.4.1.1.4).

one picture   ─▶ image/jpeg or image/png, or one part
several       ─▶ multipart/related, made as they go out
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Final

import orjson

from hounsfield.api.dicomweb.conditional_requests import entity_tag, tag_headers, unchanged
from hounsfield.api.dicomweb.content_negotiation import MULTIPART
from hounsfield.api.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.api.dicomweb.rendering_parameters import (
    RENDERED,
    THUMBNAIL,
    rendered_appearance,
    thumbnail_appearance,
    warnings,
)
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.resources import instance_path
from hounsfield.api.dicomweb.wado_frames import MOST_FRAMES, frame_numbers
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.errors import NotAcceptableError, NotFoundError
from hounsfield.imaging.rendering.rendered import FrameRenderer, InstanceName, RenderingTarget
from hounsfield.imaging.retrieve.decode_check import make_ahead
from hounsfield.pixels.rendering.render import Appearance, RenderedMediaType

_KINDS: Final = (RenderedMediaType.JPEG, RenderedMediaType.PNG)
_MOST_TRIED: Final = 64
"""Frames that are decoded at most to find one for a thumbnail."""
_Shot = tuple[RenderingTarget, int]


@dataclass(frozen=True, slots=True)
class _Form:
    """How pictures are answered: their media type, and whether in parts."""

    kind: RenderedMediaType
    parts: bool


def get_rendered_frames(call: Call) -> WireResponse | StreamedResponse:
    """Rendered frames of an instance; raises `NotFoundError`, `NotAcceptableError` and `ValidationException`."""
    call.only(*RENDERED)
    numbers = frame_numbers(call.labels["frames"])
    form = _form(call, len(numbers))
    appearance = rendered_appearance(call, form.kind)
    target = call.context.renderer.find(call.access, _name(call))
    call.context.renderer.check_frames(target, numbers)
    return _answer(call, form, appearance, [(target, number) for number in numbers], each=True)


def get_rendered_instance(call: Call) -> WireResponse | StreamedResponse:
    """A rendered instance: all frames in parts, or the one that stands for it; raises as `get_rendered_frames` does."""
    call.only(*RENDERED)
    form = _form(call, 1)
    appearance = rendered_appearance(call, form.kind)
    target = call.context.renderer.find(call.access, _name(call))
    presentation = call.context.renderer.presentation(target)
    if form.parts:
        _check_count(presentation.frame_count)
        return _answer(call, form, appearance, [(target, number) for number in range(1, presentation.frame_count + 1)])
    first = _within(presentation.representative, presentation.frame_count) or 1
    return _first_made(call, form, appearance, [(target, number) for number in (first, *_candidates(call, target))])


def get_rendered_series(call: Call) -> WireResponse | StreamedResponse:
    """All frames of a series, rendered, in parts; raises as `get_rendered_frames` does."""
    call.only(*RENDERED)
    labels, renderer = call.labels, call.context.renderer
    image_set = renderer.find_series(
        call.access, call.datastore_id, labels["study"], labels["series"], call.image_set_id
    )
    return _all(call, renderer.series(call.access, image_set))


def get_rendered_study(call: Call) -> WireResponse | StreamedResponse:
    """All frames of a study, rendered, in parts; raises as `get_rendered_frames` does."""
    call.only(*(name for name in RENDERED if name != "imageSetId"))
    renderer = call.context.renderer
    image_sets = renderer.find_study(call.access, call.datastore_id, call.labels["study"])
    return _all(call, [target for image_set in image_sets for target in renderer.series(call.access, image_set)])


def get_thumbnail(call: Call) -> WireResponse | StreamedResponse:
    """A small picture of a study, a series, an instance or a frame.

    Raises
    ------
    NotFoundError
        There is no such thing, or nothing in it can be shown.
    NotAcceptableError
        The client accepts no picture.
    """
    call.only(*(THUMBNAIL if "series" in call.labels else ("viewport",)))
    form = _form(call, 1)
    appearance = thumbnail_appearance(call, form.kind)
    try:
        return _first_made(call, form, appearance, _thumbnails_of(call))
    except NotAcceptableError as error:
        raise NotFoundError(f"There is no thumbnail: {error}") from error


def _thumbnails_of(call: Call) -> Iterator[_Shot]:
    """Return what a thumbnail can be made of, the best first."""
    renderer, labels = call.context.renderer, call.labels
    if "frames" in labels:
        target = renderer.find(call.access, _name(call))
        numbers = frame_numbers(labels["frames"])
        if len(numbers) > 1:
            raise ValidationException("A thumbnail is of one frame.")
        renderer.check_frames(target, numbers)
        yield target, numbers[0]
        return
    if "instance" in labels:
        instances = iter((renderer.find(call.access, _name(call)),))
    elif "series" in labels:
        image_set = renderer.find_series(
            call.access, call.datastore_id, labels["study"], labels["series"], call.image_set_id
        )
        instances = renderer.representatives(call.access, [image_set])
    else:
        found = renderer.find_study(call.access, call.datastore_id, labels["study"])
        instances = renderer.representatives(call.access, found)
    for target in instances:
        yield from ((target, number) for number in _candidates(call, target))


def _candidates(call: Call, target: RenderingTarget) -> Iterator[int]:
    """Return frames that can stand for an instance; others than the first matter only where frames may not decode."""
    numbers = call.context.renderer.candidates(target)
    return iter(numbers if target.may_not_decode else numbers[:1])


def _first_made(
    call: Call, form: _Form, appearance: Appearance, shots: Iterable[_Shot]
) -> WireResponse | StreamedResponse:
    """Answer the first picture that can be made.

    Raises
    ------
    NotAcceptableError
        None can; the message is that of the first.
    """
    refused: NotAcceptableError | None = None
    for shot in itertools.islice(shots, _MOST_TRIED):
        try:
            return _answer(call, form, appearance, [shot])
        except NotAcceptableError as error:
            refused = refused or error
    raise refused or NotAcceptableError("there is nothing of which a picture could be made")


def _name(call: Call) -> InstanceName:
    labels = call.labels
    return InstanceName(call.datastore_id, labels["study"], labels["series"], labels["instance"], call.image_set_id)


def _within(number: int | None, count: int) -> int | None:
    return number if number is not None and 1 <= number <= count else None


def _check_count(count: int) -> None:
    if count > MOST_FRAMES:
        raise ValidationException(
            f"These are {count} pictures, a request may ask for at most {MOST_FRAMES}; ask for fewer frames at a time."
        )


def _all(call: Call, instances: Sequence[RenderingTarget]) -> WireResponse | StreamedResponse:
    """Answer all frames of instances; what cannot be shown is left out, but not everything."""
    renderer = call.context.renderer
    appearance = rendered_appearance(call, RenderedMediaType.JPEG)
    _check_count(sum(target.instance.frame_count for target in instances if target.instance is not None))
    shots: list[_Shot] = []
    for target in instances:
        try:
            count = renderer.presentation(target).frame_count
        except NotAcceptableError:
            continue
        shots.extend((target, number) for number in range(1, count + 1))
    if not shots:
        raise NotAcceptableError("nothing here can be shown as a picture")
    form = _form(call, len(shots))
    return _answer(call, form, replace(appearance, kind=form.kind), shots)


def _form(call: Call, count: int) -> _Form:
    """Choose the first form that the client accepts; several pictures come in parts only."""
    refused = {entry.kind for entry in call.accepts if entry.quality == 0}
    for entry in call.accepts:
        kind = next((kind for kind in _KINDS if entry.covers(kind) and kind not in refused), None)
        if kind is None or entry.quality == 0:
            continue
        if entry.is_multipart or count == 1:
            return _Form(kind, parts=entry.is_multipart)
        if entry.kind == "*/*":
            return _Form(kind, parts=True)
    several = f" {count} pictures come as {MULTIPART} only." if count > 1 else ""
    raise NotAcceptableError(f"Pictures are {' or '.join(_KINDS)}, which the Accept header does not allow.{several}")


def _answer(
    call: Call, form: _Form, appearance: Appearance, shots: Sequence[_Shot], *, each: bool = False
) -> WireResponse | StreamedResponse:
    """Answer pictures; those that cannot be made are left out, but with ``each`` all must be made.

    Raises
    ------
    NotAcceptableError
        None can be made, or with ``each`` one of them cannot.
    """
    told = warnings(call) if "annotation" in dict(call.query) else []
    tag = _tag(form, appearance, shots)
    if (answer := unchanged(call.headers, tag)) is not None:
        return answer
    headers = [*tag_headers(tag), *told]
    renderer = call.context.renderer
    if not form.parts:
        ((target, number),) = shots
        return WireResponse(200, [("Content-Type", form.kind), *headers], renderer.frame(target, number, appearance))
    boundary = new_boundary()
    kind = f'{MULTIPART}; type="{form.kind}"; boundary={boundary}'
    parts = (
        ([("Content-Type", form.kind), ("Content-Location", _url(call, *shot))], [picture])
        for shot, picture in _made(renderer, appearance, shots, each=each)
    )
    return StreamedResponse([("Content-Type", kind), *headers], None, encode_parts(boundary, parts))


def _made(
    renderer: FrameRenderer, appearance: Appearance, shots: Sequence[_Shot], *, each: bool
) -> Iterator[tuple[_Shot, bytes]]:
    """Make pictures, the first one before anything is answered: what is wrong with the request is mostly wrong with it."""

    def make(some: Sequence[_Shot]) -> Iterator[bytes]:
        return (renderer.frame(target, number, appearance) for target, number in some)

    pairs: Iterator[tuple[_Shot, bytes]]
    if each:
        uncertain = any(target.may_not_decode for target, _ in shots)
        made = make_ahead(make, shots) if uncertain else make(shots)
        pairs = zip(shots, made, strict=True)
    else:
        pairs = _those_made(renderer, appearance, shots)
    return itertools.chain((next(pairs),), pairs)


def _those_made(
    renderer: FrameRenderer, appearance: Appearance, shots: Sequence[_Shot]
) -> Iterator[tuple[_Shot, bytes]]:
    """Make the pictures that can be made; raises `NotAcceptableError` when it is none of them."""
    refused: NotAcceptableError | None = None
    count = 0
    for shot in shots:
        try:
            yield shot, renderer.frame(*shot, appearance)
            count += 1
        except NotAcceptableError as error:
            refused = refused or error
    if refused is not None and not count:
        raise refused


def _tag(form: _Form, appearance: Appearance, shots: Sequence[_Shot]) -> str:
    # Of values, not of names in the code: nodes of two versions give the same tag.
    shown = orjson.dumps([astuple(form), astuple(appearance), [(target.tag, number) for target, number in shots]])
    return entity_tag(hashlib.blake2b(shown, digest_size=16).hexdigest(), in_parts=form.parts)


def _url(call: Call, target: RenderingTarget, number: int) -> str:
    name = target.name
    place = f"{instance_path(name.study_uid, name.series_uid, name.sop_uid)}/frames/{number}/rendered"
    return f"{call.base}/{place}"
