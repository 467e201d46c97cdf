"""Frames of pixel data that was kept as one object.

native value of a known frame size (floating point, 24 or 64 bits)  ─▶ cut into frames by arithmetic
anything else: video, what could not be decoded                     ─▶ one frame, the whole object
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hounsfield.dicom.io.part10 import Part10
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.pixel_description import BITS_ALLOCATED, COLUMNS, NUMBER_OF_FRAMES, ROWS, SAMPLES_PER_PIXEL
from hounsfield.imaging.retrieve.pixel_element import is_encapsulated_object, native_object_bytes
from hounsfield.imaging.retrieve.pixel_reader import StoredPixels, read_pixel_records


@dataclass(frozen=True, slots=True)
class InstanceFrame:
    """One frame.

    Attributes
    ----------
    number : int
        Which one, from 1 on.
    size : int or None
        Bytes.
    chunks : Iterator of bytes
        The frame; one chunk, but for large objects.
    transfer_syntax : str or None
        How it is encoded where that is not what all others are: a frame that does not decode comes as it is stored.
    part : Callable or None
        Reads the bytes from one place to before another, and none of what lies before them; None where all is read anyway.
    """

    number: int
    size: int | None
    chunks: Iterator[bytes]
    transfer_syntax: str | None = None
    part: Callable[[int, int], Iterator[bytes]] | None = None


def check_last(numbers: Sequence[int], count: int) -> None:
    """Raise `NotFoundError` when a frame beyond the last one is asked for."""
    if max(numbers) > count:
        raise NotFoundError(f"frame {max(numbers)} does not exist, the instance has {count}")


def cut_object_frames(original: Part10, pixels: StoredPixels, numbers: Sequence[int]) -> Iterator[InstanceFrame]:
    """Return frames of an object.

    Parameters
    ----------
    original : Part10
        The data set that came in.
    pixels : StoredPixels
        The chunks of the object.
    numbers : Sequence of int
        Which frames, from 1 on.

    Raises
    ------
    NotFoundError
        There are not so many frames.
    """
    size = sum(pixels.sizes)
    count = original.integer(NUMBER_OF_FRAMES) or 1
    frame_bytes = _native_frame_bytes(original)
    if is_encapsulated_object(original) or not frame_bytes or not 0 <= size - frame_bytes * count <= 1:
        check_last(numbers, 1)
        return iter((_whole(original, pixels, size),))
    check_last(numbers, count)
    return (
        InstanceFrame(number, frame_bytes, _cut(original, pixels, (number - 1) * frame_bytes, frame_bytes))
        for number in numbers
    )


def _native_frame_bytes(original: Part10) -> int:
    """Return the size of a native frame; 0 where it cannot be told."""
    bits = original.integer(BITS_ALLOCATED) or 0
    samples = original.integer(SAMPLES_PER_PIXEL) or 1
    return 0 if bits % 8 else (original.integer(ROWS) or 0) * (original.integer(COLUMNS) or 0) * samples * bits // 8


def _whole(original: Part10, pixels: StoredPixels, size: int) -> InstanceFrame:
    chunks = (chunk for chunk in pixels.read() if chunk)
    if not is_encapsulated_object(original):
        chunks = (native_object_bytes(original, chunk) for chunk in chunks)
    return InstanceFrame(1, size, chunks, part=lambda start, end: _cut(original, pixels, start, end - start))


def _cut(original: Part10, pixels: StoredPixels, start: int, length: int) -> Iterator[bytes]:
    """Yield a stretch of an object; of its chunks only those that it touches are read."""
    is_native = not is_encapsulated_object(original)
    end, position = start + length, 0
    places = []
    for ordinal, size in enumerate(pixels.sizes):
        if position < end and position + size > start:
            places.append((ordinal, position))
        position += size
    chunks = read_pixel_records(pixels.image_store, pixels.instance, [ordinal for ordinal, _ in places])
    for (_, offset), chunk in zip(places, chunks, strict=True):
        yield (native_object_bytes(original, chunk) if is_native else chunk)[max(start - offset, 0) : end - offset]
