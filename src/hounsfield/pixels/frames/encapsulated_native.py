"""Native samples of one frame within encapsulation, as they are or deflated.

    Encapsulated Uncompressed (PS3.5 sections 8.2.15, A.4.11)   the samples, padded to even length
    Deflated Image Frame      (PS3.5 sections 8.2.16, A.4.13)   a raw deflate stream of them (RFC 1951), padded likewise

Each frame begins at a byte, also where samples are of one bit.
"""

from __future__ import annotations

import zlib

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import DEFLATED_IMAGE_FRAME


def encapsulated_samples(encoded: bytes, transfer_syntax: str, format_: PixelFormat) -> bytes:
    """Return the native samples of a frame, without padding.

    Parameters
    ----------
    encoded : bytes
        The frame, its fragments joined.
    transfer_syntax : str
        Encapsulated Uncompressed Explicit VR Little Endian, or Deflated Image Frame Compression.
    format_ : PixelFormat
        Its description.

    Raises
    ------
    PixelError
        The frame has not the size that the description asks for, or does not inflate to it.
    """
    sizes = _sizes(format_)
    if transfer_syntax == DEFLATED_IMAGE_FRAME:
        encoded = _inflated(encoded, sizes[-1])
    # Samples may be padded before they are deflated, too.
    for size in sizes:
        if len(encoded) in (size, size + size % 2):
            return encoded[:size]
    raise PixelError(f"the native frame has {len(encoded)} bytes, {sizes[0]} are needed")


def _sizes(format_: PixelFormat) -> list[int]:
    """Return the sizes a frame may have: data called YBR_FULL_422 may not be subsampled after all."""
    sizes = [format_.native_frame_bytes]
    if format_.subsampled:
        sizes.append(format_.rows * format_.columns * format_.samples_per_pixel * format_.bits_allocated // 8)
    return sizes


def _inflated(encoded: bytes, most: int) -> bytes:
    """Inflate at most so many bytes, and one of padding."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = stream.decompress(encoded, most + 2)
    except zlib.error as problem:
        raise PixelError(f"the frame is no deflate stream (RFC 1951): {problem}") from problem
    if len(data) > most + most % 2:
        raise PixelError(f"the frame inflates to more than the {most} bytes that its description asks for")
    if not stream.eof:
        raise PixelError(f"the deflate stream of the frame is cut off after {len(data)} bytes of samples")
    if len(stream.unused_data) > 1:
        raise PixelError(f"the deflate stream of the frame ends {len(stream.unused_data)} bytes before the frame does")
    return data
