"""JPH files: a codestream in boxes (ISO/IEC 15444-15 Annex D), as image decoders take it.

    signature │ ftyp 'jph ' │ jp2h ( ihdr, colr ) │ jp2c, length 0: to the end ─▶ codestream

All of it is made from the SIZ segment of the codestream.
"""

from __future__ import annotations

from struct import pack
from typing import Final

from hounsfield.pixels.codecs.codestream import read_size
from hounsfield.pixels.errors import PixelError

_SIGNATURE = pack(">L4sL", 12, b"jP  ", 0x0D0A870A)
_FILE_TYPE = pack(">L4s4sL4s", 20, b"ftyp", b"jph ", 0, b"jph ")
_CODESTREAM = pack(">L4s", 0, b"jp2c")
_WAVELET_COMPRESSION = 7
_ENUMERATED = 1
_GREYSCALE, _SRGB = 17, 16
SIZE_BYTES: Final = 256
"""More than SOC and SIZ of a codestream take that is stored as a frame."""
HEADER_BYTES: Final = 85
"""Length of the boxes that go before a codestream; it is the same for every one."""


def jph_header(codestream: bytes) -> bytes:
    """Return the boxes that go before a codestream.

    Parameters
    ----------
    codestream : bytes
        An HTJ2K or JPEG 2000 codestream; its first 64 bytes or so are enough.

    Raises
    ------
    PixelError
        It does not begin with SOC and SIZ segments.
    """
    if not codestream.startswith(b"\xff\x4f"):
        raise PixelError("a codestream to be put into JPH boxes must begin with an SOC marker")
    size = read_size(codestream)
    depth = (size.precision - 1) | (0x80 if size.signed else 0)
    image = pack(
        ">L4sLLHBBBB", 22, b"ihdr", size.height, size.width, size.components, depth, _WAVELET_COMPRESSION, 1, 0
    )
    colour = pack(">L4sBBBL", 15, b"colr", _ENUMERATED, 0, 0, _SRGB if size.components >= 3 else _GREYSCALE)
    header = pack(">L4s", 8 + len(image) + len(colour), b"jp2h")
    return b"".join((_SIGNATURE, _FILE_TYPE, header, image, colour, _CODESTREAM))


def put_boxes(file: bytearray) -> None:
    """Make a JPH file of a codestream that has `HEADER_BYTES` bytes of room before it.

    Parameters
    ----------
    file : bytearray
        The room, whatever is in it, and the codestream, which stays where it is.

    Raises
    ------
    PixelError
        As `jph_header` does.
    """
    file[:HEADER_BYTES] = jph_header(bytes(file[HEADER_BYTES : HEADER_BYTES + SIZE_BYTES]))
