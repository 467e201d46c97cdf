"""Frames of an instance, one or several, in the transfer syntax that is asked for (GetDICOMInstanceFrames)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hounsfield.dicom.io.part10 import Part10
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pixel_description import pixel_format
from hounsfield.imaging.retrieve.decode_check import make_ahead, may_not_decode
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.object_frames import InstanceFrame, check_last, cut_object_frames
from hounsfield.imaging.retrieve.pixel_reader import find_stored_pixels, read_pixel_records
from hounsfield.imaging.retrieve.transcoding import (
    begin_frames,
    decode_frame,
    interleave,
    read_with_corrected_colour,
    transcode_frames,
)
from hounsfield.imaging.retrieve.transfer_syntax_choice import (
    PixelForm,
    choose_transfer_syntax,
    list_frame_transfer_syntaxes,
    list_transfer_syntaxes,
    make_first_possible,
    refuse_deep_codestream,
    stored_transfer_syntax,
)
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.errors import PixelError


@dataclass(frozen=True, slots=True)
class InstanceFrames:
    """Frames of an instance.

    Attributes
    ----------
    transfer_syntax : str
        How all of them are encoded.
    frames : Iterator of InstanceFrame
        In the order asked for; the chunks of one are to be read before the next one.
    """

    transfer_syntax: str
    frames: Iterator[InstanceFrame]


def make_instance_frames(
    image_store: ImageStore, instance: StoredInstance, numbers: Sequence[int], transfer_syntax: str | None = None
) -> InstanceFrames:
    """Return frames of an instance (GetDICOMInstanceFrames).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    instance : StoredInstance
        The instance.
    numbers : Sequence of int
        Which frames, from 1 on, in any order.
    transfer_syntax : str or None
        A UID, `ANY`, or None for the default. Of video and of pixel data that was kept as one object the only frame is
        the whole of it.

    Raises
    ------
    InvalidRequestError
        The numbers name no frames at all.
    NotFoundError
        The instance has not so many frames, or none that could be found when it was imported.
    NotAcceptableError
        The frames cannot be given so.
    """
    check_numbers(instance, numbers)
    image_store.accesses.touch(instance.image_set.image_set_id)
    original = read_with_corrected_colour(image_store, instance).original
    refuse_deep_codestream(instance, original, transfer_syntax)
    if instance.pixel_kind is PixelKind.WHOLE:
        syntax, _ = choose_transfer_syntax(instance, transfer_syntax, list_transfer_syntaxes(instance))
        return InstanceFrames(syntax, cut_object_frames(original, find_stored_pixels(image_store, instance), numbers))
    check_last(numbers, instance.frame_count)

    ordinals = [number - 1 for number in numbers]

    def make(syntax: str, form: PixelForm, some: Sequence[int]) -> Iterator[bytes]:
        return transcode_frames(instance, original, read_pixel_records(image_store, instance, some), syntax, form)

    def frames(syntax: str, form: PixelForm) -> InstanceFrames:
        uncertain = form is PixelForm.NATIVE and may_not_decode(instance.pixel_kind, instance.stored_transfer_syntax)
        if uncertain and transfer_syntax is None and len(numbers) > 1:
            stored = read_pixel_records(image_store, instance, ordinals)
            return InstanceFrames(syntax, _decode_or_keep(instance, original, numbers, stored))
        made = (
            make_ahead(partial(make, syntax, form), ordinals)
            if uncertain
            else begin_frames(make(syntax, form, ordinals))
        )
        pairs = zip(numbers, made, strict=True)
        return InstanceFrames(syntax, (InstanceFrame(number, len(data), iter((data,))) for number, data in pairs))

    return make_first_possible(instance, transfer_syntax, list_frame_transfer_syntaxes(instance), frames)


def _decode_or_keep(
    instance: StoredInstance, original: Part10, numbers: Sequence[int], frames: Iterator[bytes]
) -> Iterator[InstanceFrame]:
    """Decode frames one by one; one that does not decode comes as it is stored."""
    stored, format_ = stored_transfer_syntax(instance), interleave(pixel_format(original))
    for number, frame in zip(numbers, frames, strict=True):
        data, syntax = frame, None
        try:
            data = decode_frame(frame, stored, format_)
        except PixelError:
            syntax = stored
        yield InstanceFrame(number, len(data), iter((data,)), syntax)


def check_numbers(instance: StoredInstance, numbers: Sequence[int]) -> None:
    """Raise `InvalidRequestError` for numbers that name no frames, `NotFoundError` where an instance has none."""
    if not numbers or min(numbers) < 1 or len(set(numbers)) != len(numbers):
        raise InvalidRequestError("the frame list must name frames from 1 on, each of them once")
    if instance.pixel_kind is PixelKind.NONE:
        raise NotFoundError("the instance has no pixel data, hence no frames")
    if instance.pixel_kind is PixelKind.WITHHELD:
        raise NotFoundError(
            "no frames could be found in the pixel data when the instance was imported; "
            "retrieve the instance with transfer-syntax=*"
        )
