"""Frames of native pixel data, found by arithmetic and read one at a time.

    value   │ frame 0 │ frame 1 │ frame 2 │ pad │      frames follow each other without padding, packed bits too
            └ seek i × frame size, read, swap words if big endian, shift bits to the start of a byte

Memory holds one frame at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hounsfield.pixels.errors import FrameProblem, FramesError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.leniencies import PixelNote
from hounsfield.pixels.packed_bits import cut_bits


class NativeFrames:
    """The frames of native pixel data.

    Parameters
    ----------
    read : Callable[[int, int], bytes]
        Gives the bytes at an offset of the file: ``read(offset, size)``.
    value_offset, value_length : int
        Where the value of the pixel data element lies, in bytes.
    format_ : PixelFormat
        Its description.
    little_endian : bool
        Byte order of the file.
    vr : str
        Value representation of the element; in big endian ``OW`` swaps the bytes of 8-bit and packed samples too.

    Raises
    ------
    FramesError
        The value has not the size that the description asks for.
    """

    __slots__ = ("_frame_bits", "_length", "_offset", "_packed", "_read", "_swap", "count")

    notes: tuple[PixelNote, ...] = ()

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        value_offset: int,
        value_length: int,
        format_: PixelFormat,
        *,
        little_endian: bool,
        vr: str,
    ) -> None:
        self._read = read
        self._offset = value_offset
        self._length = value_length
        self.count = format_.frame_count
        self._frame_bits = _frame_bits(format_, value_length)
        self._packed = format_.packed
        self._swap = 1 if little_endian else _swap_width(format_, vr)
        self._check_length()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> bytes:
        if not 0 <= index < self.count:
            raise IndexError(f"frame {index} of {self.count}")
        first_bit = index * self._frame_bits
        start = first_bit // 8
        end = (first_bit + self._frame_bits + 7) // 8
        data = self._bytes(start, end)
        if self._packed:
            return cut_bits(data, first_bit % 8, self._frame_bits)
        return data

    def _bytes(self, start: int, end: int) -> bytes:
        """Bytes of the value in little endian order."""
        width = self._swap
        from_, to = start - start % width, min(end + -end % width, self._length)
        data = self._read(self._offset + from_, to - from_)
        if len(data) < to - from_:
            raise FramesError(
                FrameProblem.EXTRACTION, f"the file ends {to - from_ - len(data)} bytes too early for its pixel data"
            )
        if width == 1:
            return data
        whole = len(data) - len(data) % width
        swapped = np.frombuffer(data, f"u{width}", whole // width).byteswap().tobytes() + data[whole:]
        return swapped[start - from_ : end - from_]

    def _check_length(self) -> None:
        needed = (self._frame_bits * self.count + 7) // 8
        if self._length < needed:
            whole_frames, rest = divmod(self._length * 8, self._frame_bits)
            fewer = whole_frames > 0 and rest < 16
            raise FramesError(
                FrameProblem.NUMBER_MISMATCH if fewer else FrameProblem.EXTRACTION,
                f"the pixel data has {self._length} bytes, {self.count} frames need {needed}",
            )
        excess = self._length - needed
        if excess > needed % 2 and excess * 8 >= self._frame_bits:
            raise FramesError(
                FrameProblem.NUMBER_MISMATCH,
                f"the pixel data has {self._length} bytes, which is more than {self.count} frames of "
                f"{(self._frame_bits + 7) // 8} bytes",
            )


def _frame_bits(format_: PixelFormat, value_length: int) -> int:
    """Size of a frame; data called YBR_FULL_422 whose chrominance is not subsampled after all shows it by its length."""
    bits = format_.native_frame_bits
    if format_.subsampled:
        full = format_.rows * format_.columns * format_.samples_per_pixel * format_.bits_allocated
        total = full * format_.frame_count // 8
        if value_length in (total, total + total % 2):
            return full
    return bits


def _swap_width(format_: PixelFormat, vr: str) -> int:
    if format_.bits_allocated == 8 or format_.packed:
        return 2 if vr == "OW" else 1
    width = format_.bits_allocated // 8
    return width if width in (2, 4, 8) else 1
