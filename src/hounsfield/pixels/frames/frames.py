"""Frame sources: pixel data cut into frames, read one at a time; and its whole value in chunks.

    value of the pixel data element ─┬─ native       ─▶ NativeFrames       ─┐
                                     └─ encapsulated ─▶ EncapsulatedFrames ─┴─▶ frames[i] ─▶ bytes of one frame

Memory holds one frame or one chunk, and the places of fragments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from hounsfield.pixels.errors import FrameProblem, FramesError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.encapsulated import EncapsulatedFrames
from hounsfield.pixels.frames.fragments import scan_fragments
from hounsfield.pixels.frames.native import NativeFrames
from hounsfield.pixels.leniencies import PixelNote
from hounsfield.pixels.transfer_syntaxes import ENCAPSULATED_UNCOMPRESSED, NATIVE

CHUNK_BYTES = 4 << 20
"""Size of the chunks that a whole value is given in."""


class FrameSource(Protocol):
    """Frames that are read when they are asked for.

    Attributes
    ----------
    notes : tuple[PixelNote, ...]
        What was wrong, and did no harm to finding the frames.
    """

    notes: tuple[PixelNote, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> bytes: ...


def frame_source(
    read: Callable[[int, int], bytes],
    value_offset: int,
    value_length: int | None,
    value_end: int,
    format: PixelFormat,  # noqa: A002 - the word of the field
    transfer_syntax: str,
    *,
    little_endian: bool,
    vr: str,
    extended_offset_table: tuple[bytes, bytes] | None = None,
) -> FrameSource:
    """Find the frames of pixel data; no frame is read yet.

    Parameters
    ----------
    read : Callable[[int, int], bytes]
        Gives the bytes at an offset of the file: ``read(offset, size)``; fewer only where the file ends.
    value_offset : int
        Where the value of the pixel data element begins.
    value_length : int | None
        Its length in bytes, None when it is undefined.
    value_end : int
        Where the value ends.
    format : PixelFormat
        The description of the pixel data.
    transfer_syntax : str
        UID of the transfer syntax.
    little_endian : bool
        Byte order of the file.
    vr : str
        Value representation of the element, ``OB`` or ``OW``.
    extended_offset_table : tuple[bytes, bytes] | None
        Values of (7FE0,0001) and (7FE0,0002), where there are.

    Returns
    -------
    FrameSource
        Each item is the bytes of one frame: native samples in little endian order, packed samples beginning at a byte;
        or a codestream, its fragments joined.

    Raises
    ------
    FramesError
        Frames cannot be found; also by reading a frame of a file that ends too early.
    """
    if transfer_syntax not in NATIVE:
        size = format.native_frame_bytes if transfer_syntax == ENCAPSULATED_UNCOMPRESSED else None
        return EncapsulatedFrames(read, value_offset, value_end, format.frame_count, extended_offset_table, size)
    if value_length is None:
        raise FramesError(
            FrameProblem.EXTRACTION,
            f"the pixel data has undefined length, which transfer syntax {transfer_syntax} does not allow",
        )
    return NativeFrames(read, value_offset, value_length, format, little_endian=little_endian, vr=vr)


def value_chunks(
    read: Callable[[int, int], bytes],
    value_offset: int,
    value_length: int | None,
    value_end: int,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[bytes]:
    """Yield the whole value of pixel data, in chunks that joined are the object and one by one tell its fragments.

    A value of undefined length is encapsulated: its fragments are given without item headers and offset table, as a
    video is. If it is not a proper sequence of items, it is given as it lies in the file, so that nothing gets lost.

    A chunk shorter than the largest ends a fragment, so that `fragments_of` finds them again; a fragment that is a multiple
    of the largest is ended by an empty chunk.

    Parameters
    ----------
    read : Callable[[int, int], bytes]
        Gives the bytes at an offset of the file: ``read(offset, size)``.
    value_offset, value_length, value_end
        As of `frame_source`.
    chunk_bytes : int
        Size of the largest chunk, in bytes.

    Raises
    ------
    FramesError
        The file ends before the value does.
    """
    stretches: Iterator[tuple[int, int]] = iter([(value_offset, value_end - value_offset)])
    if value_length is None:
        try:
            fragments = scan_fragments(read, value_offset, value_end)
        except FramesError:
            pass
        else:
            stretches = zip(fragments.starts, fragments.lengths, strict=True)
    for start, length in stretches:
        yield from _chunks(read, start, length, chunk_bytes)


def _chunks(read: Callable[[int, int], bytes], position: int, left: int, chunk_bytes: int) -> Iterator[bytes]:
    ended = False
    while not ended:
        wanted = min(chunk_bytes, left)
        chunk = _all(read, position, wanted)
        position, left = position + wanted, left - wanted
        ended = wanted < chunk_bytes
        yield chunk


def _all(read: Callable[[int, int], bytes], position: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = read(position + len(data), size - len(data))
        if not more:
            raise FramesError(
                FrameProblem.EXTRACTION, f"the file ends {size - len(data)} bytes too early for its pixel data"
            )
        data += more
    return data


def fragments_of(chunk_sizes: Sequence[int], *, chunk_bytes: int = CHUNK_BYTES) -> list[range]:
    """Find which chunks of a value, as `value_chunks` gave them, are one fragment.

    Parameters
    ----------
    chunk_sizes : Sequence[int]
        Size of each chunk in bytes.
    chunk_bytes : int
        Size of the largest chunk, in bytes.

    Returns
    -------
    list of range
        Indices of the chunks of each fragment, in order.
    """
    found = []
    start = 0
    for index, size in enumerate(chunk_sizes):
        if size < chunk_bytes:
            found.append(range(start, index + 1))
            start = index + 1
    if start < len(chunk_sizes):
        found.append(range(start, len(chunk_sizes)))
    return found
