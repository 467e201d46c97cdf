"""Codestream headers, read before any decoder is trusted with them.

    JPEG, JPEG-LS   SOI … SOF (size, components, precision) … EOI            ISO/IEC 10918-1, 14495-1
    JPEG 2000       SOC SIZ [CAP] COD … SOT tile-part SOT tile-part … EOC    ISO/IEC 15444-1, -15

Everything that a codestream says of its size is checked against the description of the pixel data, so that a few
bytes cannot make a decoder take gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct, error, unpack_from

from hounsfield.pixels.errors import PixelError

_SOC_SIZ = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_SIZ = Struct(">HH8LH")
_MAX_HEADER_SEGMENTS = 4096
_MAX_TILE_PARTS = 1 << 17
_MAX_TILES = 65535
_MOST_BITS = 38
"""Of a sample (ISO/IEC 15444-1, Table A.11)."""
_WIDELY_READ_BITS = 16
_COMPONENTS, _THREE = slice(40, 42), b"\0\3"
_DEPTH = 42
"""Where a raw codestream has the precision of its first component, less one, and its sign (Ssiz)."""
_TRANSFORM = 8
"""From the marker of COD to what it says of the colour transform (section A.6.1)."""

_SOT, _SOD, _COD, _CAP, _TLM, _EOC = 0xFF90, 0xFF93, 0xFF52, 0xFF50, 0xFF55, 0xFFD9
_SOS = 0xDA
_DRI = 0xDD
_SINGLE_SCAN_MARKERS = frozenset({0xC0, 0xC1, 0xC3})
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """What the header of a codestream says of its samples.

    Attributes
    ----------
    width, height : int
        Size in pixels.
    components : int
        Samples of a pixel.
    precision : int
        Bits of a sample.
    signed : bool
        Whether samples are two's complement.
    """

    width: int
    height: int
    components: int
    precision: int
    signed: bool


@dataclass(frozen=True, slots=True)
class J2kHeader:
    """The main header of a JPEG 2000 codestream.

    Attributes
    ----------
    samples : CodestreamHeader
        Size and depth.
    offset : int
        Where the codestream begins: after the boxes of a JP2 or JPH file, else 0.
    levels : int
        Decomposition levels.
    progression : int
        Progression order: 0 LRCP, 1 RLCP, 2 RPCL, 3 PCRL, 4 CPRL.
    reversible : bool
        Whether the 5/3 transform is used.
    colour_transform : bool
        Whether the first three components are transformed together.
    high_throughput : bool
        Whether block coding is that of Part 15.
    tile_part_lengths : bool
        Whether there is a TLM segment.
    """

    samples: CodestreamHeader
    offset: int
    levels: int
    progression: int
    reversible: bool
    colour_transform: bool
    high_throughput: bool
    tile_part_lengths: bool


def read_jpeg(data: bytes) -> CodestreamHeader:
    """Read the frame header of a JPEG or JPEG-LS codestream.

    Raises
    ------
    PixelError
        There is none, or the codestream has no end: it is cut off.
    """
    header, scan = None, len(data)
    try:
        for marker, position in _jpeg_markers(data):
            if marker in _FRAME_MARKERS:
                precision, height, width, components = unpack_from(">BHHB", data, position + 2)
                header = CodestreamHeader(width, height, components, precision, signed=False)
            scan = position
    except (error, IndexError):
        raise PixelError("the JPEG codestream ends within its header") from None
    if header is None:
        raise PixelError("the JPEG codestream has no frame header (SOF) before its first scan")
    if data.rfind(_END, scan) < 0:
        raise PixelError("the JPEG codestream is cut off: it has no EOI marker after its first scan")
    return header


def lacks_end(data: bytes) -> bool:
    """Return whether a JPEG codestream has no end marker (EOI) at all."""
    return data.rfind(_END) < 0


def with_end(data: bytes) -> bytes:
    """Return a JPEG codestream that has no end marker with one behind its last byte that is no padding.

    Only where a single scan holds all components, without restart markers, can be seen whether its samples are all there;
    so others are refused.

    Raises
    ------
    PixelError
        It has no header, or is of another kind.
    """
    components, single, restarts, scanned = 0, False, False, 0
    try:
        for marker, position in _jpeg_markers(data):
            if marker in _FRAME_MARKERS:
                components, single = data[position + 7], marker in _SINGLE_SCAN_MARKERS
            elif marker == _DRI:
                restarts = any(data[position + 2 : position + 4])
            elif marker == _SOS:
                scanned = data[position + 2]
    except (error, IndexError):
        raise PixelError("the JPEG codestream ends within its header") from None
    if not single or restarts or not scanned or scanned != components:
        raise PixelError("the JPEG codestream is cut off: it has no EOI marker after its first scan")
    scan = data.rstrip(b"\0")
    # A byte 0xFF of a scan is followed by 0 (ITU-T T.81 section B.1.1.5); fill bytes before a marker are not.
    scan = scan + b"\0" if scan.endswith(b"\xff") and len(scan) < len(data) else scan.rstrip(b"\xff")
    return scan + _END


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and the content of each segment before the first scan of a JPEG codestream.

    Raises
    ------
    PixelError
        It ends within its header, or a marker is missing.
    """
    try:
        for marker, position in _jpeg_markers(data):
            (length,) = unpack_from(">H", data, position)
            if marker != _SOS:
                yield marker, data[position + 2 : position + length]
    except (error, IndexError):
        raise PixelError("the JPEG codestream ends within its header") from None


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker with a segment, up to that of the first scan, and where its length is."""
    if data[:2] != b"\xff\xd8":
        raise PixelError("the JPEG codestream does not begin with an SOI marker")
    position = 2
    for _ in range(_MAX_HEADER_SEGMENTS):
        marker, position = _next_marker(data, position)
        if marker in _STANDALONE:
            continue
        (length,) = unpack_from(">H", data, position)
        yield marker, position
        if marker == _SOS:
            return
        position += length


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """Code of the marker at a position, and where what follows it begins."""
    if data[position] != 0xFF:
        raise PixelError("the header of the JPEG codestream is damaged: a marker is missing")
    while data[position] == 0xFF:
        position += 1
    return data[position], position + 1


def read_j2k(data: bytes) -> J2kHeader:
    """Read the main header of a JPEG 2000 or HTJ2K codestream, raw or in the boxes of a JP2 or JPH file.

    Raises
    ------
    PixelError
        There is no such header, its components differ in size or depth, or the codestream is cut off.
    """
    offset = 0 if data.startswith(_SOC_SIZ) else data.find(_SOC_SIZ, 0, 1 << 16)
    if offset < 0:
        raise PixelError("the JPEG 2000 codestream does not begin with SOC and SIZ markers")
    try:
        samples, capabilities = _read_siz(data, offset + 4)
        return _read_main_header(data, offset, samples, capabilities)
    except (error, IndexError):
        raise PixelError("the JPEG 2000 codestream ends within its header") from None


def read_size(codestream: bytes) -> CodestreamHeader:
    """Read only the SIZ segment of a raw JPEG 2000 or HTJ2K codestream; raises `PixelError` as `read_j2k` does."""
    if not codestream.startswith(_SOC_SIZ):
        raise PixelError("the JPEG 2000 codestream does not begin with SOC and SIZ markers")
    try:
        return _read_siz(codestream, 4)[0]
    except (error, IndexError):
        raise PixelError("the JPEG 2000 codestream ends within its header") from None


def is_deep(codestream: bytes) -> bool:
    """Return whether a raw JPEG 2000 or HTJ2K codestream has samples of more than 16 bits; its SIZ segment is enough.

    Only the depth of the first component is read, as all have the same in what is stored.
    """
    if not codestream.startswith(_SOC_SIZ) or len(codestream) <= _DEPTH:
        raise PixelError("the JPEG 2000 codestream does not begin with SOC and SIZ markers")
    return codestream[_DEPTH] & 0x7F >= _WIDELY_READ_BITS


def has_three_apart(codestream: bytes) -> bool:
    """Return whether a raw HTJ2K codestream has three components of up to 16 bits that are not transformed together.

    The segments before its first tile-part are enough. codec-openjph, the decoder of most viewers, scrambles them.
    """
    if codestream[_COMPONENTS] != _THREE or is_deep(codestream):
        return False
    position = 2
    try:
        for _ in range(_MAX_HEADER_SEGMENTS):
            marker, length = unpack_from(">HH", codestream, position)
            if marker == _COD:
                return codestream[position + _TRANSFORM] == 0
            position += 2 + length
    except (error, IndexError):
        pass
    raise PixelError("the JPEG 2000 codestream has no COD segment in its main header")


def with_depth(codestream: bytes, components: int, precision: int, *, signed: bool) -> bytes:
    """Return a raw JPEG 2000 or HTJ2K codestream with another depth of its components in its SIZ segment.

    Nothing else in a reversible codestream depends on the precision: how many bit-planes are coded, its QCD segment tells.
    Only the level by which decoders shift unsigned samples up is half of the range that the precision gives.

    Parameters
    ----------
    codestream : bytes
        Beginning with SOC and SIZ.
    components : int
        How many it has.
    precision : int
        Bits of a sample.
    signed : bool
        Whether samples are two's complement.
    """
    start = len(_SOC_SIZ) + _SIZ.size
    changed = bytearray(codestream)
    depth = (precision - 1) | (0x80 if signed else 0)
    changed[start : start + 3 * components : 3] = bytes([depth]) * components
    return bytes(changed)


def _read_siz(data: bytes, position: int) -> tuple[CodestreamHeader, int]:
    _, capabilities, *grid, components = _SIZ.unpack_from(data, position)
    x1, y1, x0, y0 = grid[:4]
    _check_grid(*grid)
    if not components:
        raise PixelError("the JPEG 2000 codestream has a SIZ segment without components")
    depths = data[position + _SIZ.size : position + _SIZ.size + 3 * components]
    if len(depths) < 3 * components:
        raise IndexError
    if depths != depths[:3] * components:
        raise PixelError("the components of the JPEG 2000 codestream differ in depth or size, they must be the same")
    depth, dx, dy = depths[:3]
    if dx != 1 or dy != 1:
        raise PixelError("the components of the JPEG 2000 codestream are subsampled, which is not supported")
    if (depth & 0x7F) >= _MOST_BITS:
        raise PixelError(f"the JPEG 2000 codestream has samples of more than {_MOST_BITS} bits, which there cannot be")
    return CodestreamHeader(x1 - x0, y1 - y0, components, (depth & 0x7F) + 1, signed=depth >= 0x80), capabilities


def _check_grid(
    x1: int, y1: int, x0: int, y0: int, tile_width: int, tile_height: int, tile_x: int, tile_y: int
) -> None:
    """Check the reference grid (ISO/IEC 15444-1 section B.3): decoders loop without end over tiles that cannot be."""
    for end, start, tile, tile_start in ((x1, x0, tile_width, tile_x), (y1, y0, tile_height, tile_y)):
        if not (start < end and tile_start <= start < tile_start + tile):
            raise PixelError("the JPEG 2000 codestream has a SIZ segment whose tiles do not cover the image")
    tiles = -(-(x1 - tile_x) // tile_width) * -(-(y1 - tile_y) // tile_height)
    if tiles > _MAX_TILES:
        raise PixelError(f"the JPEG 2000 codestream has {tiles} tiles, at most {_MAX_TILES} are allowed")


def _read_main_header(data: bytes, offset: int, samples: CodestreamHeader, capabilities: int) -> J2kHeader:
    position = offset + 2
    coding: tuple[int, int, int, int, int] | None = None
    lengths = False
    for _ in range(_MAX_HEADER_SEGMENTS):
        marker, length = unpack_from(">HH", data, position)
        if marker == _SOT:
            break
        if marker == _COD:
            _, _, progression, _, transform, levels = unpack_from(">HBBHBB", data, position + 2)
            coding = (progression, transform, levels, data[position + 12], data[position + 13])
        lengths = lengths or marker == _TLM
        position += 2 + length
    if coding is None:
        raise PixelError("the JPEG 2000 codestream has no COD segment in its main header")
    progression, transform, levels, style, wavelet = coding
    if progression > 4 or transform > 1 or levels > 32 or wavelet > 1:
        raise PixelError("the JPEG 2000 codestream has a COD segment with values that are not defined")
    _check_complete(data, position)
    return J2kHeader(
        samples=samples,
        offset=offset,
        levels=levels,
        progression=progression,
        reversible=wavelet == 1,
        colour_transform=transform == 1,
        high_throughput=bool(capabilities & 0x4000) or bool(style & 0x40),
        tile_part_lengths=lengths,
    )


def _check_complete(data: bytes, position: int) -> None:
    """Follow the tile-parts by their lengths to the end of the codestream (ISO/IEC 15444-1 section A.4.2)."""
    for _ in range(_MAX_TILE_PARTS):
        (marker,) = unpack_from(">H", data, position)
        if marker == _EOC:
            return
        if marker != _SOT:
            raise PixelError("the JPEG 2000 codestream is damaged: a tile-part does not begin with an SOT marker")
        (length,) = unpack_from(">L", data, position + 6)
        if length == 0:
            if data.rfind(_END, position) < 0:
                break
            return
        if length < 14 or position + length + 2 > len(data):
            break
        position += length
    raise PixelError("the JPEG 2000 codestream is cut off: a tile-part or the EOC marker is missing")
