"""Pixel format: the elements of the Image Pixel module that say how samples lie in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hounsfield.pixels.errors import PixelError

MAX_FRAME_BYTES = 256 << 20
"""Most bytes that one decoded frame may have; what claims to be larger is refused before memory is taken."""

_MAX_US = 65535
_MAX_FRAMES = 2**31 - 1
_PACKED_DEPTHS = (1, 12)


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the samples of an image lie in its pixel data (PS3.3 section C.7.6.3).

    Attributes
    ----------
    rows, columns : int
        Height and width of a frame in pixels.
    samples_per_pixel : int
        Samples (colour components) of a pixel.
    photometric_interpretation : str
        What the samples mean, for example ``MONOCHROME2``.
    planar_configuration : int
        0 when native samples lie pixel by pixel, 1 when they lie plane by plane.
    bits_allocated, bits_stored, high_bit : int
        Bits a native sample takes, bits that carry its value, and the highest of these.
    pixel_representation : int
        0 for unsigned samples, 1 for two's complement.
    number_of_frames : int
        Frames in the pixel data as declared; 0 is read as 1, as most readers do.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    planar_configuration: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    number_of_frames: int

    def validate(self) -> None:
        """Check that the description can be true.

        Raises
        ------
        PixelError
            An element has a value that no image can have; the message names it and says what would be right.
        """
        _in_range("Rows", self.rows, 1, _MAX_US)
        _in_range("Columns", self.columns, 1, _MAX_US)
        _in_range("SamplesPerPixel", self.samples_per_pixel, 1, _MAX_US)
        _in_range("PlanarConfiguration", self.planar_configuration, 0, 1)
        _in_range("BitsAllocated", self.bits_allocated, 1, 64)
        if self.bits_allocated not in _PACKED_DEPTHS and self.bits_allocated % 8:
            raise PixelError(f"BitsAllocated is {self.bits_allocated}, it must be 1, 12 or a multiple of 8")
        _in_range("BitsStored", self.bits_stored, 1, self.bits_allocated)
        _in_range("PixelRepresentation", self.pixel_representation, 0, 1)
        _in_range("NumberOfFrames", self.number_of_frames, 0, _MAX_FRAMES)

    @property
    def frame_count(self) -> int:
        """Frames in the pixel data, at least 1."""
        return self.number_of_frames or 1

    @property
    def signed(self) -> bool:
        """Whether samples are two's complement numbers."""
        return self.pixel_representation == 1

    @property
    def bits_below(self) -> int:
        """Bits of a sample's cell below those of its value; 0 where HighBit says what cannot be."""
        below = self.high_bit - self.bits_stored + 1
        return below if 0 <= below <= self.bits_allocated - self.bits_stored else 0

    @property
    def packed(self) -> bool:
        """Whether native samples are packed without regard to bytes (1 or 12 bits allocated, PS3.5 section 8.1.1)."""
        return self.bits_allocated in _PACKED_DEPTHS

    @property
    def subsampled(self) -> bool:
        """Whether native pixels share chrominance samples in pairs (PS3.3 section C.7.6.3.1.2, ``YBR_FULL_422``)."""
        return self.photometric_interpretation == "YBR_FULL_422" and self.samples_per_pixel == 3

    @property
    def native_frame_bits(self) -> int:
        """Size of one native frame in bits; frames follow each other without padding."""
        samples = 2 if self.subsampled else self.samples_per_pixel
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def native_frame_bytes(self) -> int:
        """Size of one native frame in bytes, rounded up for packed samples."""
        return (self.native_frame_bits + 7) // 8

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a decoded frame: ``(rows, columns)`` or ``(rows, columns, samples)``."""
        if self.samples_per_pixel == 1:
            return (self.rows, self.columns)
        return (self.rows, self.columns, self.samples_per_pixel)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of a decoded sample: 8, 16 or 32 bit wide, little endian.

        Raises
        ------
        PixelError
            Samples of this width are not supported.
        """
        if self.bits_allocated == 1:
            return np.dtype("u1")
        for width in (8, 16, 32):
            if self.bits_allocated == width or (width == 16 and self.bits_allocated == 12):
                return np.dtype(f"<{'i' if self.signed else 'u'}{width // 8}")
        raise PixelError(
            f"BitsAllocated is {self.bits_allocated}, samples can be decoded when it is 1, 8, 12, 16 or 32"
        )

    @property
    def decoded_bytes(self) -> int:
        """Size of one decoded frame in bytes; raises `PixelError` as `dtype` does."""
        return self.rows * self.columns * self.samples_per_pixel * self.dtype.itemsize


def _in_range(keyword: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PixelError(f"{keyword} is {value}, it must be from {low} to {high}")
