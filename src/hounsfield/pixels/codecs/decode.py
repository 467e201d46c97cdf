"""Decoder of one frame to samples.

    encoded frame ─▶ header checked against the description ─▶ codec ─▶ decoded samples ─▶ values of the stored bits
                                                                        └ decode_samples    └ decode_frame

Values are those that pydicom gives as ``pixel_array(..., raw=True)``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from struct import error as StructError  # noqa: N812 - it is a class
from types import MappingProxyType
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.codestream import CodestreamHeader, lacks_end, read_j2k, read_jpeg, with_end
from hounsfield.pixels.codecs.htj2k import decode_htj2k, decode_low_band
from hounsfield.pixels.codecs.jpeg_colour import to_described
from hounsfield.pixels.codecs.jpeg_xl import check_size, read_jpeg_xl, recompressed_jpeg
from hounsfield.pixels.codecs.rle import decode_run_length
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import MAX_FRAME_BYTES, PixelFormat
from hounsfield.pixels.frames.encapsulated_native import encapsulated_samples
from hounsfield.pixels.leniencies import PixelLeniency
from hounsfield.pixels.packed_bits import unpack_bits, unpack_twelve
from hounsfield.pixels.transfer_syntaxes import (
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    JPEG,
    JPEG_XL_RECOMPRESSION,
    NATIVE,
    NATIVE_SAMPLES,
)

Samples = NDArray[Any]

_4 = "1.2.840.10008.1.2.4."
_JPEG_LS = frozenset(_4 + part for part in ("80", "81"))
_JPEG_2000 = frozenset(_4 + part for part in ("90", "91", "92", "93"))
_HTJ2K = frozenset(_4 + part for part in ("201", "202", "203"))
_JPEG_XL = frozenset({_4 + "110", _4 + "112"})
_RLE = frozenset({"1.2.840.10008.1.2.5"})
_WHOLE_CELLS = NATIVE_SAMPLES | _RLE
"""Where a sample comes with all bits of its cell, so that HighBit tells which of them are its value."""

_COLOUR_SPACES = MappingProxyType({1: "GRAYSCALE", 3: "YCBCR", 4: "CMYK"})
_CODEC_ERRORS = (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError, StructError)


def decode_frame(encoded: bytes, transfer_syntax: str, format: PixelFormat) -> Samples:  # noqa: A002
    """Decode one frame to the values of its samples.

    Colour is as the data set says: palette indices and YBR stay, the colour transform within JPEG 2000 is undone, and a JPEG
    codestream that says another colour of itself is converted.

    Parameters
    ----------
    encoded : bytes
        One frame, as `FrameSource` gives it.
    transfer_syntax : str
        UID of the transfer syntax.
    format : PixelFormat
        The description of the pixel data.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``, interleaved by pixel; 8, 16 or 32 bit wide, signed as
        PixelRepresentation says; bits above BitsStored are zero or the sign, also where the frame holds an overlay or
        whatever else the writer left there (PS3.5 section 8.1.1). May be read-only.

    Raises
    ------
    PixelError
        The frame is not what the description says, is damaged, or cannot be decoded.
    """
    return stored_values(decode_samples(encoded, transfer_syntax, format), format)


def decode_reduced(encoded: bytes, transfer_syntax: str, format: PixelFormat, halvings: int) -> Samples:  # noqa: A002
    """Decode one frame at a smaller resolution where its codestream has one that costs less, else whole.

    Only reversible HTJ2K is decoded so: sizes are halved up to ``halvings`` times, as often as the codestream has levels and
    the shorter side has pixels, rounding up.
    Where its samples may have bits that are not of their value, these must be taken away first: it is decoded whole.
    The other parameters and the errors are those of `decode_frame`.
    """
    if transfer_syntax not in _HTJ2K:
        return decode_frame(encoded, transfer_syntax, format)
    header = read_j2k(encoded)
    _check(header.samples, format)
    # From OpenJPH 0.32 on the codec leaves no level out by which the shorter side would have less than a pixel.
    halvings = min(halvings, header.levels, min(format.rows, format.columns).bit_length() - 1)
    beyond = format.bits_stored < header.samples.precision
    if not (header.high_throughput and header.reversible) or not halvings or beyond:
        return decode_frame(encoded, transfer_syntax, format)
    try:
        decoded = decode_low_band(encoded[header.offset :], header, halvings)
    except _CODEC_ERRORS as problem:
        raise PixelError(f"the frame cannot be decoded at a smaller resolution: {_reason(problem)}") from problem
    rows, columns = (-(-side // (1 << halvings)) for side in (format.rows, format.columns))
    smaller = replace(format, rows=rows, columns=columns)
    return _fitted(decoded, header.samples.precision, smaller, signed=header.samples.signed)


def decode_samples(
    encoded: bytes,
    transfer_syntax: str,
    format: PixelFormat,  # noqa: A002
    *,
    strict: bool = False,
) -> Samples:
    """Decode one frame, leaving all bits of its samples as they are: nothing that went in is lost.

    With ``strict``, frames that lack a sample which `hounsfield.pixels.codecs.rle` would make up are refused. The other
    parameters, the result and the errors are those of `decode_frame`.
    """
    decoder = _DECODERS.get(transfer_syntax)
    if decoder is None:
        raise PixelError(f"frames of transfer syntax {transfer_syntax} cannot be decoded")
    if format.decoded_bytes > MAX_FRAME_BYTES:
        raise PixelError(
            f"a decoded frame would have {format.decoded_bytes} bytes, at most {MAX_FRAME_BYTES} are supported"
        )
    try:
        if transfer_syntax in _RLE:
            return decode_run_length(encoded, format, strict=strict)
        return decoder(encoded, format)
    except _CODEC_ERRORS as problem:
        raise PixelError(
            f"the frame cannot be decoded as transfer syntax {transfer_syntax}: {_reason(problem)}"
        ) from problem


def check_frame(encoded: bytes, transfer_syntax: str, format: PixelFormat) -> None:  # noqa: A002
    """Check what can be seen of a frame without decoding it: the header of its codestream, and that it has an end.

    Raises
    ------
    PixelError
        The frame does not decode. One that passes may still turn out not to.
    """
    if transfer_syntax in JPEG and lacks_end(encoded):
        decode_samples(encoded, transfer_syntax, format)
    elif transfer_syntax in JPEG:
        _check(_header_alike(encoded), format)
    elif transfer_syntax in _JPEG_LS:
        _check(read_jpeg(encoded), format)
    elif transfer_syntax in _JPEG_2000 | _HTJ2K:
        _check(read_j2k(encoded).samples, format)
    elif transfer_syntax in _JPEG_XL or transfer_syntax == JPEG_XL_RECOMPRESSION:
        check_size(read_jpeg_xl(encoded), format)


def _header_alike(encoded: bytes) -> CodestreamHeader:
    """Read the header of a JPEG codestream; the tiles of a slide have one and the same, which is read once."""
    scan = encoded.find(_START_OF_SCAN)
    if encoded.rfind(_END_OF_IMAGE) > scan:
        with suppress(PixelError):
            return _header_before_scan(encoded[:scan])
    return read_jpeg(encoded)


@lru_cache(maxsize=16)
def _header_before_scan(head: bytes) -> CodestreamHeader:
    return read_jpeg(head + _START_OF_SCAN + b"\0\2" + _END_OF_IMAGE)


def find_irregularity(encoded: bytes, transfer_syntax: str) -> PixelLeniency | None:
    """Return what is wrong with a frame that was decoded all the same."""
    return PixelLeniency.NO_END_MARKER if transfer_syntax in JPEG and lacks_end(encoded) else None


def stored_values(samples: Samples, format: PixelFormat) -> Samples:  # noqa: A002
    """Return the values of the stored bits alone: BitsStored of them, from HighBit down (PS3.5 section 8.1.1).

    Bits above them become the sign, or zero when samples are unsigned; bits below them go.
    """
    unused = samples.dtype.itemsize * 8 - format.bits_stored
    if unused <= 0 or format.bits_allocated == 1:
        return samples
    values = samples << (unused - format.bits_below)
    values >>= unused
    return values


def describe_decoded(format: PixelFormat, transfer_syntax: str) -> PixelFormat:  # noqa: A002
    """Return the description of samples once they are decoded: HighBit says nothing of those that a codestream held.

    A codestream has the values themselves, in the lowest bits; native and run-length frames have cells with all their bits.
    """
    if not format.bits_below or transfer_syntax in _WHOLE_CELLS:
        return format
    return replace(format, high_bit=format.bits_stored - 1)


def _decode_native(encoded: bytes, format_: PixelFormat) -> Samples:
    dtype = format_.dtype
    count = format_.rows * format_.columns * format_.samples_per_pixel
    needed = format_.native_frame_bytes
    if len(encoded) < needed:
        raise PixelError(f"the native frame has {len(encoded)} bytes, {needed} are needed")
    if format_.subsampled and len(encoded) < count * dtype.itemsize:
        return _upsampled(np.frombuffer(encoded, dtype, needed // dtype.itemsize), format_)
    if format_.bits_allocated == 1:
        flat: Samples = unpack_bits(encoded, count)
    elif format_.bits_allocated == 12:
        flat = _fitted(unpack_twelve(encoded, count), 12, format_, signed=False)
    else:
        flat = np.frombuffer(encoded, dtype, count)
    if format_.planar_configuration == 1 and format_.samples_per_pixel > 1:
        planes = flat.reshape(format_.samples_per_pixel, format_.rows, format_.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return flat.reshape(format_.shape)


def _decode_encapsulated_uncompressed(encoded: bytes, format_: PixelFormat) -> Samples:
    return _decode_native(encapsulated_samples(encoded, ENCAPSULATED_UNCOMPRESSED, format_), format_)


def _decode_deflated(encoded: bytes, format_: PixelFormat) -> Samples:
    return _decode_native(encapsulated_samples(encoded, DEFLATED_IMAGE_FRAME, format_), format_)


def _upsampled(flat: Samples, format_: PixelFormat) -> Samples:
    """Copy the chrominance of a pair to each of its pixels: ``Y1 Y2 B R`` to ``Y1 B R Y2 B R`` (PS3.3 C.7.6.3.1.2)."""
    if len(flat) % 4:
        raise PixelError("YBR_FULL_422 needs an even number of pixels")
    pairs = flat.reshape(-1, 4)
    pixels = np.empty((len(pairs), 2, 3), flat.dtype)
    pixels[:, :, 0] = pairs[:, :2]
    pixels[:, :, 1:] = pairs[:, None, 2:]
    return pixels.reshape(format_.shape)


_START_OF_SCAN = b"\xff\xda"
_END_OF_IMAGE = b"\xff\xd9"
_FILLER = b"\x55" * 4096
_OTHER_FILLER = b"\xaa" * 4096
"""Has the opposite bit at each place: a bit that a scan lacks cannot be the same in both."""


def _decode_jpeg(encoded: bytes, format_: PixelFormat) -> Samples:
    fillers, fault = [_FILLER], "is damaged: its"
    if lacks_end(encoded):
        encoded = with_end(encoded)
        fillers.append(_OTHER_FILLER)
        fault = "is cut off: it has no EOI marker, and its"
    header = read_jpeg(encoded)
    _check(header, format_)
    # The same colour space for both ends means no conversion: samples stay as they are in the codestream.
    space = _COLOUR_SPACES.get(header.components)
    decoded = imagecodecs.jpeg8_decode(encoded, colorspace=space, outcolorspace=space)
    # Any marker may have fill bytes of 0xFF before it (ITU-T T.81 section B.1.1.2).
    end = len(encoded[: encoded.rfind(_END_OF_IMAGE)].rstrip(b"\xff"))
    # The decoder makes up what a scan that ends too early lacks, and says nothing; a complete scan does not read filler.
    for filler in fillers:
        filled = imagecodecs.jpeg8_decode(
            b"".join((encoded[:end], filler, encoded[end:])), colorspace=space, outcolorspace=space
        )
        if not np.array_equal(decoded, filled):
            raise PixelError(f"the codestream {fault} scan ends before all samples are decoded")
    if header.components == 3:
        decoded = to_described(decoded, encoded, header.precision, format_)
    return _fitted(decoded, header.precision, format_, signed=False)


def _decode_jpeg_ls(encoded: bytes, format_: PixelFormat) -> Samples:
    header = read_jpeg(encoded)
    _check(header, format_)
    return _fitted(imagecodecs.jpegls_decode(encoded), header.precision, format_, signed=False)


def _decode_jpeg_2000(encoded: bytes, format_: PixelFormat) -> Samples:
    header = read_j2k(encoded)
    _check(header.samples, format_)
    if header.high_throughput:
        return _decode_htj2k(encoded, format_)
    decoded = imagecodecs.jpeg2k_decode(encoded[header.offset :], planar=False)
    return _fitted(decoded, header.samples.precision, format_, signed=header.samples.signed)


def _decode_htj2k(encoded: bytes, format_: PixelFormat) -> Samples:
    header = read_j2k(encoded)
    _check(header.samples, format_)
    if not header.high_throughput:
        return _decode_jpeg_2000(encoded, format_)
    if header.reversible:
        decoded = decode_htj2k(encoded[header.offset :])
    else:
        # OpenJPH lets what rounds to more than the largest sample wrap around: the brightest pixels would be black.
        decoded = imagecodecs.jpeg2k_decode(encoded[header.offset :], planar=False)
    return _fitted(decoded, header.samples.precision, format_, signed=header.samples.signed)


def _decode_jpeg_xl(encoded: bytes, format_: PixelFormat) -> Samples:
    # The codec compares the size in the codestream with that of the output before it decodes.
    decoded = np.empty(format_.shape, format_.dtype.newbyteorder("="))
    imagecodecs.jpegxl_decode(encoded, out=decoded)
    return decoded


def _decode_recompressed_jpeg(encoded: bytes, format_: PixelFormat) -> Samples:
    return _decode_jpeg(recompressed_jpeg(encoded, format_), format_)


def _fitted(decoded: Samples, precision: int, format_: PixelFormat, *, signed: bool) -> Samples:
    """Bring decoded samples to the type that the description asks for.

    A codestream that is unsigned where the description is signed, or the other way round, holds the same bits: they are
    extended from its own precision (JPEG and JPEG-LS cannot say that samples are signed).
    """
    samples = decoded.reshape(format_.shape).astype(format_.dtype, copy=False)
    unused = samples.dtype.itemsize * 8 - precision
    if unused > 0 and signed != format_.signed:
        return _extended(samples, unused)
    return samples


def _extended(samples: NDArray[Any], unused: int) -> Samples:
    """Fill unused high bits with the sign, or with zeros when the type is unsigned."""
    extended = samples << unused
    extended >>= unused
    return extended


def _check(header: CodestreamHeader, format_: PixelFormat) -> None:
    if (header.height, header.width) != (format_.rows, format_.columns):
        raise PixelError(
            f"the codestream has {header.height} rows and {header.width} columns, "
            f"Rows and Columns are {format_.rows} and {format_.columns}"
        )
    if header.components != format_.samples_per_pixel:
        raise PixelError(
            f"the codestream has {header.components} components, SamplesPerPixel is {format_.samples_per_pixel}"
        )
    if not 1 <= header.precision <= format_.dtype.itemsize * 8:
        raise PixelError(
            f"the codestream has samples of {header.precision} bits, BitsAllocated is {format_.bits_allocated}"
        )


def _reason(problem: BaseException) -> str:
    """First line of a codec's message: codecs know nothing of patients, they name markers and sizes."""
    return str(problem).strip().split("\n", 1)[0][:200] or type(problem).__name__


_DECODERS: MappingProxyType[str, Callable[[bytes, PixelFormat], Samples]] = MappingProxyType(
    dict.fromkeys(NATIVE, _decode_native)
    | dict.fromkeys(_RLE, decode_run_length)
    | dict.fromkeys(JPEG, _decode_jpeg)
    | dict.fromkeys(_JPEG_LS, _decode_jpeg_ls)
    | dict.fromkeys(_JPEG_2000, _decode_jpeg_2000)
    | dict.fromkeys(_HTJ2K, _decode_htj2k)
    | dict.fromkeys(_JPEG_XL, _decode_jpeg_xl)
    | {
        ENCAPSULATED_UNCOMPRESSED: _decode_encapsulated_uncompressed,
        DEFLATED_IMAGE_FRAME: _decode_deflated,
        JPEG_XL_RECOMPRESSION: _decode_recompressed_jpeg,
    }
)
