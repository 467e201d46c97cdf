"""The transcoding of stored frames: as stored, decoded, or encoded on the way.

Three samples that are not red, green and blue are stored with a colour transform that a data set could not name: in a file
for ``*`` they are decoded, in one for .202 they are encoded without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hounsfield.dicom.io.part10 import Part10
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pixel_description import (
    SAMPLES_PER_PIXEL,
    pixel_format,
    with_corrected_colour,
)
from hounsfield.imaging.retrieve.data_set import CurrentDataSet, read_current_data_set
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.transfer_syntax_choice import (
    PixelForm,
    stored_transfer_syntax,
)
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.codecs.codestream import has_three_apart
from hounsfield.pixels.codecs.colour import (
    JPEG_CODESTREAMS,
    rgb_of_jpeg,
)
from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.codecs.encode import encode_described, names_colour_transform, uses_colour_transform
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.native_value import native_frame
from hounsfield.pixels.transfer_syntaxes import (
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    LosslessFormat,
)

COLOUR_SAMPLES: Final = 3


def read_with_corrected_colour(image_store: ImageStore, instance: StoredInstance) -> CurrentDataSet:
    """Read the data set of an instance, the original with the colour that its frames have."""
    data_set = read_current_data_set(image_store, instance)
    original = with_corrected_colour(data_set.original, data_set.part10, instance.stored_transfer_syntax)
    return data_set if original is data_set.original else replace(data_set, original=original)


def has_unnamed_transform(instance: StoredInstance, original: Part10) -> bool:
    """Return whether frames are stored with a colour transform that Photometric Interpretation has no word for."""
    if instance.pixel_kind is not PixelKind.FRAMES or not _is_htj2k_colour(instance, original):
        return False
    format_ = pixel_format(original)
    return uses_colour_transform(format_, LosslessFormat.HTJ2K) and not names_colour_transform(format_)


def transcode_frames(
    instance: StoredInstance,
    original: Part10,
    frames: Iterator[bytes],
    syntax: str,
    form: PixelForm,
    *,
    within_file: bool = False,
) -> Iterator[bytes]:
    """Bring stored frames into the form that is asked for.

    Native frames alone have their samples pixel by pixel, as the metadata says; in a file they lie as they came.
    """
    stored = stored_transfer_syntax(instance)
    if form is PixelForm.STORED and not _is_htj2k_colour(instance, original):
        return frames
    format_ = pixel_format(original)
    if form is PixelForm.STORED:
        return (_add_colour_transform(frame, format_) for frame in frames)
    if form is PixelForm.NATIVE:
        laid = format_ if within_file else interleave(format_)
        return (decode_frame(frame, stored, laid) for frame in frames)
    lossless = LosslessFormat.JPEG_2000_LOSSLESS if syntax == JPEG_2000_LOSSLESS else LosslessFormat.HTJ2K
    transform = names_colour_transform(format_) if within_file else uses_colour_transform(format_, lossless)
    return (
        encode_described(decode_samples(frame, stored, format_), format_, lossless, colour_transform=transform)
        for frame in frames
    )


def _is_htj2k_colour(instance: StoredInstance, original: Part10) -> bool:
    if instance.pixel_kind is not PixelKind.FRAMES or instance.stored_transfer_syntax != HTJ2K_LOSSLESS_RPCL:
        return False
    return original.integer(SAMPLES_PER_PIXEL) == COLOUR_SAMPLES


def _add_colour_transform(frame: bytes, format_: PixelFormat) -> bytes:
    """Return a frame with the colour transform, which earlier versions left out of what is not red, green and blue."""
    if not has_three_apart(frame):
        return frame
    samples = decode_samples(frame, HTJ2K_LOSSLESS_RPCL, format_)
    return encode_described(samples, format_, LosslessFormat.HTJ2K, colour_transform=True)


def interleave(format_: PixelFormat) -> PixelFormat:
    """Return a pixel format with the samples pixel by pixel (Planar Configuration 0)."""
    return replace(format_, planar_configuration=0)


def decode_frame(frame: bytes, stored: str, format_: PixelFormat) -> bytes:
    """Decode a frame that is stored in a transfer syntax to native pixel data; raises `PixelError`."""
    samples = decode_samples(frame, stored, format_)
    return native_frame(rgb_of_jpeg(samples, format_) if stored in JPEG_CODESTREAMS else samples, format_)


def begin_frames(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Make the first frame at once, so that frames that cannot be made are noticed before anything is answered."""
    first = next(frames, None)
    return iter(()) if first is None else itertools.chain((first,), frames)
